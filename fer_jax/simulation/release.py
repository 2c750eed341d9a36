"""Writes a simulated release, completely or not at all; the bytes are the same on any cores."""

import contextlib
import functools
import importlib
import inspect
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2

from fer_jax import host
from fer_jax.errors import UserError

# Raised with every change that draws other pictures.
VERSION = 2
STAMP = 'SIMULATED.json'
# Dataset -> the module that draws it, imported when asked for (some need PyAV). It has
#   plan(subjects: int | None, seed: int, **options) -> what is to be drawn, UserError where the
#     number is out of range; None is the published size;
#   write(folder: Path, plan, seed: int, run) -> None, where run(tasks) runs a list of (function,
#     arguments) on all cores and yields their results in order;
#   where its preparation takes more than the folder, PREPARED_WITH, the options;
#   where the release keeps labels to itself, hidden_labels(plan) -> {clip id: class}.
DATASETS = {
    name: f'fer_jax.simulation.releases.{name}'
    for name in (
        'ckplus',
        'jaffe',
        'mmi',
        'oulu_casia',
        'savee',
        'afew',
        'fer2013',
        'ferg',
        'tfd',
        'ravdess',
        'crema_d',
        'own_pictures',
        'own_films',
    )
}


def write_release(
    dataset: str,
    out: str | os.PathLike,
    subjects: int | None = None,
    seed: int = 0,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options,
) -> Path:
    """Draws a dataset and lays it out as its owners' release, with a SIMULATED.json beside it.

    Args:
      dataset: one of DATASETS.
      out: the release's folder; it must not exist, or be empty.
      subjects: how many people; None is the published size.
      workers: processes; None is one a core. Their number changes nothing in the files.
      progress: called with (pieces done, pieces).
      options: what the dataset's `plan` takes besides; None stands for its default: ckplus
        `unlabelled`, afew `rendered`.

    Raises:
      UserError: an unknown dataset or option, a number of subjects out of range, an `out` that
        holds something.
    """
    out = Path(out)
    if dataset not in DATASETS:
        raise UserError(
            f'--dataset={dataset}: there is no simulation of it; choose from {", ".join(DATASETS)}'
        )
    module = importlib.import_module(DATASETS[dataset])
    options = {name: value for name, value in options.items() if value is not None}
    for name in sorted(set(options) - set(inspect.signature(module.plan).parameters)):
        raise UserError(f'--{name}: a simulated {dataset} has no such choice; leave it out')
    if seed < 0:
        raise UserError(f'--seed={seed}: a seed is 0 or more')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out}: exists and is not empty; choose another --out, or remove it')
    plan = module.plan(subjects, seed, **options)
    out.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f'.{out.name}-', dir=out.parent))
    try:
        run = functools.partial(_run, workers=workers, progress=progress)
        module.write(building, plan, seed, run)
        stamp = {
            'dataset': dataset,
            'subjects': subjects,
            'seed': seed,
            'generator_version': VERSION,
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


def prepared_with(dataset: str) -> dict[str, Any]:
    """Returns the options with which a simulated release is to be prepared."""
    return getattr(importlib.import_module(DATASETS[dataset]), 'PREPARED_WITH', {})


def hidden_labels(note: dict) -> dict[str, str]:
    """Returns the labels that a simulated release does not publish: of AFEW those of the test part.

    Args:
      note: what STAMP holds, as a preparation stores it (`prepared.describe(...)['simulated']`).
    Returns:
      {clip id: class}, named as the prepared clips are; {} where the release publishes all.
    Raises:
      UserError: a release of another VERSION, which drew something else.
    """
    module = importlib.import_module(DATASETS[note['dataset']])
    if not hasattr(module, 'hidden_labels'):
        return {}
    if note['generator_version'] != VERSION:
        raise UserError(
            f'{note["dataset"]} was simulated by version {note["generator_version"]} of the '
            f'drawing, this is version {VERSION}: simulate and prepare it again'
        )
    return module.hidden_labels(module.plan(note['subjects'], note['seed']))


def _call(task: tuple[Callable, tuple]) -> object:
    function, arguments = task
    return function(*arguments)


def _start_worker() -> None:
    cv2.setNumThreads(1)  # one core a process, or the processes fight
    host.keep_buffers()


def _run(tasks: list, workers: int | None, progress: Callable[[int, int], None] | None) -> Iterator:
    """Yields the results of all tasks, in their order."""
    workers = min(workers or host.cores(), len(tasks))
    with contextlib.ExitStack() as stack:
        results = map(_call, tasks)
        if workers > 1:
            spawn = multiprocessing.get_context('spawn')
            pool = stack.enter_context(spawn.Pool(workers, _start_worker))
            results = pool.imap(_call, tasks)
        for done, result in enumerate(results, 1):
            if progress:
                progress(done, len(tasks))
            yield result
