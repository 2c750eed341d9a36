"""Several processes as one run: the first writes and tells, the others follow, all end together.

Every process holds the whole dataset and makes the same batches from the same seeds, so that only
arrays on the devices and what lies in the run's folder have to be agreed on. The functions here
are called by all processes, in the same order. Alone, a process agrees with itself at no cost.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from fer_jax.errors import UserError

T = TypeVar('T')
# Of a host's kernel: its containers have the same one.
_BOOT_ID = Path('/proc/sys/kernel/random/boot_id')


def is_first() -> bool:
    """Returns whether this process writes, prints and draws."""
    return jax.process_index() == 0


def send(tree: T, source: int = 0) -> T:
    """Sends a tree of NumPy arrays, as process `source` has it, bit for bit to all.

    Args:
      tree: on the others, arrays of the same shapes and types.
    """
    if jax.process_count() == 1:
        return tree
    # As bytes: a broadcast is a sum with zeros, which would make 0.0 of -0.0.
    flat = jax.tree.map(lambda x: np.ascontiguousarray(x).reshape(-1).view(np.uint8), tree)
    sent = multihost_utils.broadcast_one_to_all(flat, jax.process_index() == source)
    return jax.tree.map(lambda x, like: x.view(like.dtype).reshape(like.shape), sent, tree)


def tell(value: T) -> T:
    """Sends a JSON value, as the first process has it, to all."""
    if jax.process_count() == 1:
        return value
    text = json.dumps(value).encode()
    size = int(send(np.array(len(text), np.int32)))
    size = 1 << max(size - 1, 1).bit_length()  # few shapes, few programs
    padded = np.frombuffer(text[:size].ljust(size), np.uint8)
    return json.loads(send(padded).tobytes())


def smallest(value: int) -> int:
    """Returns the smallest of the processes' numbers of bytes, to a MiB."""
    if jax.process_count() == 1:
        return value
    return int(multihost_utils.process_allgather(np.array(value >> 20, np.int32)).min()) << 20


def on_this_host() -> int:
    """Counts the processes on this one's host, itself included."""
    if jax.process_count() == 1:
        return 1
    booted = _BOOT_ID.read_bytes() if _BOOT_ID.exists() else b''
    mine = np.frombuffer(hashlib.sha256(booted).digest(), np.int32)
    return int((multihost_utils.process_allgather(mine) == mine).all(axis=-1).sum())


def fetch(tree):
    """Fetches a tree of arrays from the devices as whole NumPy arrays, on all."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Makes a block without agreement in it fail on all processes where it fails on one.

    Raises:
      UserError: on a process without an error of its own.
    """
    error = None
    try:
        yield
    except Exception as raised:
        error = raised
    failed = []
    if jax.process_count() > 1:
        failed = np.flatnonzero(multihost_utils.process_allgather(np.array(error is not None)))
    if error is not None:
        raise error
    if len(failed):
        raise UserError(f'process {failed[0]} has failed: its own message says why')


def first_then_others(make: Callable[[], T]) -> T:
    """Calls `make` on the first process, then on the others, which build on what it has done."""
    made: list[T] = []
    for turn in (True, False):
        with together():
            if is_first() == turn:
                made.append(make())
    return made[0]


def check_same(value: Any, what: str) -> None:
    """Refuses (UserError) processes that do not have the same JSON value."""
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    told = tell(digest)
    with together():
        if digest != told:
            raise UserError(
                f'process {jax.process_index()} has other {what} than the first one: give all of '
                'them the same command and the same prepared data'
            )


def largest(mine: int) -> int:
    """Returns the largest of the processes' numbers.

    Nothing may be running on the devices: a CPU's collectives of two programs meet each other.
    """
    if jax.process_count() == 1:
        return mine
    return int(multihost_utils.process_allgather(np.array(mine, np.int32)).max())
