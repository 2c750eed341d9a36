"""Several films at a time, each in a process that opens the network once."""

import functools
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import connection
from pathlib import Path
from typing import Any

from fer_jax import host, runtime
from fer_jax.errors import UserError
from fer_jax.predict import jobs, networks
from fer_jax.predict.films import Film
from fer_jax.predict.jobs import Options

# A film keeps about two cores busy.
_CORES_A_FILM = 2


def at_once(wanted: int, films: int, accelerated: bool) -> int:
    """Returns how many films are predicted at a time.

    Args:
      wanted: what the user says; 0 for two where a second one has cores of its own.
      films: how many there are.
      accelerated: whether the network runs on an accelerator, which one process takes whole.
    """
    free = 2 if host.cores() >= 2 * _CORES_A_FILM and not accelerated else 1
    return max(1, min(wanted or free, films))


def share(films: Sequence[Any], text: str) -> list[Any]:
    """Returns the films of one of several tasks: of 'K/N' every N-th from the K-th, from 0.

    Raises:
      UserError: no such share.
    """
    number, _, of = text.partition('/')
    if not (number.isdecimal() and of.isdecimal() and int(number) < int(of)):
        raise UserError(f'--share={text}: give K/N, task K of N, from 0/N to N-1/N')
    return list(films[int(number) :: int(of)])


def predict(
    films: Sequence[tuple[Path, Path]], model: tuple[str, int, float], options: Options, count: int
) -> Iterator[dict[str, Any] | UserError]:
    """Predicts films, `count` at a time; yields for each, in order, what `predict_film` returns.

    Args:
      films: (film, base of what is written) of each.
      model: name, member and window of `networks.open_model`.
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(count, context, initializer=_end_with_parent) as pool:
        try:
            started: list[Future] = [
                pool.submit(_predict, path, base, model, options) for path, base in films
            ]
            for each in started:
                error = each.exception()
                if error is not None and not isinstance(error, UserError):
                    raise error
                yield error or each.result()
        except BaseException:
            # What they have done is taken up again by the same command.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _predict(
    path: Path, base: Path, model: tuple[str, int, float], options: Options
) -> dict[str, Any]:
    with jobs.writing(base.parent):
        base.parent.mkdir(parents=True, exist_ok=True)
        return jobs.predict_film(Film.open(path), base, _opened(model), options)


@functools.cache
def _opened(model: tuple[str, int, float]) -> networks.models.FaceClassifier:
    name, member, window = model
    runtime.prepare()
    return networks.open_model(name, member=member, window=window)


def _end_with_parent() -> None:
    """Ends this process when its parent is killed: a second command would write the same files."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
