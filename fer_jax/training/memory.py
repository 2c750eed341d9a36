"""Chooses how many members train at once: what fits, by XLA's own account of compiled programs."""

import functools
from collections.abc import Callable
from pathlib import Path

import jax

from fer_jax.errors import UserError
from fer_jax.training import processes
from fer_jax.training.mesh import Devices

# Of an accelerator's memory; the rest is for what XLA does not count: gaps, a checkpoint's copy.
SHARE = 0.9
_CONTROL_GROUP = Path('/sys/fs/cgroup')


def available(devices: Devices) -> int | None:
    """Returns the bytes that a run may take on each device of this process; None: unknown.

    On a CPU the memory that the system can give now, to a container what it may have, divided among
    the processes of the run on this host and the devices of each. All processes call it together.
    """
    device = devices[0]
    if device.platform == 'cpu':
        sharing = processes.on_this_host()
        table = Path('/proc/meminfo')
        if not table.exists():
            return None
        (line,) = (ln for ln in table.read_text().splitlines() if ln.startswith('MemAvailable'))
        left = [int(line.split()[1]) * 1024, *_left_to_container()]
        return min(left) // (sharing * len(devices))
    told = device.memory_stats()
    if not told or 'bytes_limit' not in told:
        return None
    return int(SHARE * (told['bytes_limit'] - told['bytes_in_use']))


def _left_to_container(group: Path = _CONTROL_GROUP) -> list[int]:
    """Reads the bytes that a control group (version 2) leaves to this process; [] if it is silent.

    What files keep in memory counts as used there, and is given back when it is needed.
    """
    try:
        limit, used = ((group / f'memory.{name}').read_text() for name in ('max', 'current'))
        kept = dict(line.split() for line in (group / 'memory.stat').read_text().splitlines())
        return [int(limit) - int(used) + int(kept.get('inactive_file', 0))]
    except (OSError, ValueError):  # no such group, or the limit is 'max'
        return []


def needed(compiled: jax.stages.Compiled) -> int:
    """Counts the bytes on a device while a program runs; what it gives in place counts once."""
    told = compiled.memory_analysis()
    if told is None:
        raise RuntimeError(f'{jax.default_backend()} tells nothing of what a program needs')
    return (
        told.argument_size_in_bytes
        + told.output_size_in_bytes
        - told.alias_size_in_bytes
        + told.temp_size_in_bytes
        + told.generated_code_size_in_bytes
    )


def most_members_at_once(members: int, across: int, need: Callable[[int], int], limit: int) -> int:
    """Chooses how many train at once: in as few turns as fit, of nearly equal size.

    Two and three members on a device, which are mapped as more are, give the part of each. The size
    that the line through the last two needs allows is asked next, until what is left is less than
    half a member's part, or a size that fits is within an eighth of one that does not.

    Args:
      members: how many there are, at least 1.
      across: devices along 'member'.
      need: bytes on a device that holds so many members.
      limit: bytes that a device has for them.

    Raises:
      UserError: a single member does not fit.
    """
    need = functools.cache(need)
    if need(1) > limit:
        raise UserError(
            f'a single member needs {gib(need(1))} on a device that has {gib(limit)} left: lower '
            '--config.train.batch_size or --config.train.evaluate_batch'
        )
    most = -(-members // across)
    fits, over, before = 1, most + 1, 1
    for size in range(2, min(most, 3) + 1):
        if need(size) > limit:
            over = size
            break
        before, fits = fits, size
    while over - fits > 1:
        if over > most:  # none has been too many yet
            own = (need(fits) - need(before)) / (fits - before)
            if limit - need(fits) < own / 2:
                break
            size = min(max(_room(before, need(before), fits, need(fits), limit), fits + 1), most)
        else:
            if over - fits <= 1 + fits // 8:
                break
            line = _room(fits, need(fits), over, need(over), limit)
            size = min(max(line, (fits + over) // 2), over - 1)
        if need(size) <= limit:
            before, fits = fits, size
        else:
            over = size
    turns = -(-most // fits)
    return min(-(-most // turns) * across, members)


def _room(fewer: int, less: int, more: int, bytes_: int, limit: int) -> int:
    """Estimates the members within `limit` on the line through two measured needs."""
    own = max((bytes_ - less) / (more - fewer), 1)
    return fewer + int((limit - less) / own)


def gib(count: int) -> str:
    """Writes a number of bytes for a message."""
    return f'{count / 2**30:.2f} GiB' if count >= 2**30 else f'{count / 2**20:.0f} MiB'
