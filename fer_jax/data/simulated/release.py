"""Writes a simulated release: whole or not at all, the same bytes on however many cores."""

import contextlib
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from fer_jax.data.simulated import ckplus, fer2013, roster
from fer_jax.errors import UserError

GENERATOR_VERSION = 1
STAMP = 'SIMULATED.json'
DATASETS = ('ckplus', 'fer2013')


def write_release(
    dataset: str,
    out: str | os.PathLike,
    subjects: int | None = None,
    seed: int = 0,
    *,
    unlabelled: bool | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draws a dataset and lays it out as its owners' release, with a SIMULATED.json beside it.

    Args:
      dataset: 'ckplus' or 'fer2013'.
      out: the release's folder; it must not exist, or be empty.
      subjects: how many people; None is the published size.
      unlabelled: for ckplus, whether to draw the sequences without an emotion label as well; None
        does so for the published size only.
      workers: processes; None is one a core. Their number changes nothing in the files.
      progress: called with (pieces done, pieces).

    Raises:
      UserError: an unknown dataset, a number of subjects out of range, an `out` that holds
        something.
    """
    out = Path(out)
    if dataset not in DATASETS:
        raise UserError(
            f'--dataset={dataset}: there is no simulation of it; choose from {", ".join(DATASETS)}'
        )
    if unlabelled and dataset != 'ckplus':
        raise UserError(f'--unlabelled: {dataset} has no sequences without a label')
    if seed < 0:
        raise UserError(f'--seed={seed}: a seed is 0 or more')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out}: exists and is not empty; choose another --out, or remove it')
    extra = subjects is None if unlabelled is None else unlabelled
    plan = (
        roster.plan(subjects, seed, extra) if dataset == 'ckplus' else fer2013.plan(subjects, seed)
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f'.{out.name}-', dir=out.parent))
    try:
        if dataset == 'ckplus':
            for _ in _run(ckplus.tasks(building, plan, seed), workers, progress):
                pass
        else:
            fer2013.write(building, _run(fer2013.tasks(plan, seed), workers, progress))
        stamp = {
            'dataset': dataset,
            'subjects': subjects,
            'seed': seed,
            'generator_version': GENERATOR_VERSION,
        }
        (building / STAMP).write_text(json.dumps(stamp, indent=2) + '\n')
        building.chmod(0o755)
        if out.exists():
            out.rmdir()
        building.rename(out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return out


def _call(task: tuple[Callable, tuple]) -> object:
    function, arguments = task
    return function(*arguments)


def _quiet() -> None:
    cv2.setNumThreads(1)  # one core a process, or the processes fight


def _run(tasks: list, workers: int | None, progress: Callable[[int, int], None] | None) -> Iterator:
    """The results of all tasks, in their order."""
    workers = min(workers or len(os.sched_getaffinity(0)), len(tasks))
    with contextlib.ExitStack() as stack:
        results = map(_call, tasks)
        if workers > 1:
            pool = stack.enter_context(multiprocessing.get_context('spawn').Pool(workers, _quiet))
            results = pool.imap(_call, tasks)
        for done, result in enumerate(results, 1):
            if progress:
                progress(done, len(tasks))
            yield result
