"""A run's files besides checkpoints and metrics: config, versions, folds, dataset, samples."""

import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from fer_jax import atomic, cli
from fer_jax import config as configs
from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.evaluation.predictions import TEST, Predictions
from fer_jax.reports import kinds

SAMPLES = 70
PACKAGES = (
    'fer_jax', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy', 'scipy',
    'scikit-learn', 'opencv-python-headless', 'tensorflow-datasets', 'array_record',
)  # fmt: skip


def folder_of(config: ConfigDict, workdir: str | None) -> Path:
    """Returns a run's folder: `workdir`, else runs/<config>-<hash of what differs from defaults>.

    A run that was begun before a key existed is the run of a config with its neutral value.

    Raises:
      UserError: the folder holds something else, or a run of another config.
    """
    default = Path('runs') / f'{config.name}-{configs.identity(config)}'
    folder = Path(workdir) if workdir else default
    if (folder / 'config.json').exists():
        known = rundir.read_json(folder / 'config.json')
        difference = configs.difference(config, known)
        if difference:
            here, there = (_dataset_of(values) for values in (configs.as_json(config), known))
            if here != there:
                raise UserError(
                    f'{folder} is a run on another dataset: {there}, not {here}; give another '
                    '--workdir'
                )
            longer = difference.startswith('config.train.epochs ')
            raise UserError(
                f'{folder} is a run of another config: {difference}; give another --workdir'
                + f', with --extend={folder} where it is to go on from there' * longer
            )
    elif not atomic.is_free(folder):
        raise UserError(f'{folder} is no run and not empty; give another --workdir')
    return folder


def _dataset_of(config: Mapping[str, Any]) -> str | None:
    """Returns the dataset of a config as JSON; None for a system of several models."""
    data = config.get('data')
    return data.get('name') if isinstance(data, Mapping) else None


def begin(
    folder: Path,
    config: ConfigDict,
    folds: Mapping,
    dataset: Mapping,
    kind: str = kinds.RUN,
) -> None:
    """Writes config.json first, then kind.json, versions.json, folds.json and dataset.json.

    A run that was killed before it had written all of them gets what it lacks.

    Args:
      kind: which page `fer_jax.report` draws of the folder.

    Raises:
      UserError: the run was begun on other folds or other data than these, or builds on a run that
        was trained anew since.
    """
    for name, value in (('folds.json', folds), ('dataset.json', dataset)):
        if (folder / name).exists() and rundir.read_json(folder / name) != value:
            raise UserError(
                f'{folder / name} is not what this run would have: the prepared data has changed, '
                'or the run that it builds on; give another --workdir'
            )
    files = {
        'config.json': configs.as_json(config),
        rundir.KIND: {'kind': kind},
        'versions.json': versions(),
        'folds.json': folds,
        'dataset.json': dataset,
    }
    for name, value in files.items():
        if not (folder / name).exists():
            atomic.write_json(folder / name, value)


def versions() -> dict[str, str]:
    """Lists command, Python, platform, devices, commit and the packages that decide a result."""
    device = jax.devices()[0]
    found = {
        'command': cli.command_line(),
        'python': platform.python_version(),
        'platform': platform.platform(),
        'devices': f'{jax.device_count()} x {device.device_kind} ({device.platform})',
        'commit': _commit(),
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = 'not installed as a package'
    return found


def _commit() -> str:
    """Reads the checkout's commit, with '+' for local changes; 'unknown' outside a checkout."""
    here = Path(__file__)
    questions = (
        ('ls-files', '--error-unmatch', here.name),  # an environment may lie in another checkout
        ('rev-parse', 'HEAD'),
        ('status', '--porcelain'),
    )
    git = ['git', '-C', str(here.parent)]
    try:
        _, commit, changes = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout
            for words in questions
        )
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return commit.strip() + '+' * bool(changes)


def save_samples(path: Path, clips: ClipSet, predictions: Predictions) -> None:
    """Saves last frames of up to SAMPLES test clips, as many of each class, for the report."""
    tested = np.flatnonzero((predictions.part == TEST).any(axis=0))
    rng = np.random.default_rng(0)
    each = -(-SAMPLES // len(clips.classes))
    chosen = []
    for k in range(len(clips.classes)):
        of_class = tested[predictions.label[tested] == k]
        chosen += sorted(rng.permutation(of_class)[:each])
    row = {clip_id: i for i, clip_id in enumerate(clips.clip_id)}
    rows = np.array([row[predictions.clip_id[i]] for i in chosen])
    frames = np.rint(clips.frames[rows, clips.length[rows] - 1].mean(axis=-1)).astype(np.uint8)
    with atomic.replacing(path) as temporary:
        np.savez_compressed(temporary, frames=frames, clip_id=clips.clip_id[rows])


def save_filters(path: Path, filters: np.ndarray) -> None:
    """Filters of space and time float32 [filter, frame, row, column], for the report."""
    with atomic.replacing(path) as temporary:
        np.savez_compressed(temporary, filters=filters)
