"""Reading a run's directory: all that a report needs, with nothing but the files.

Every folder that `fer_jax.report` can draw records in kind.json what it is: a run, the run of a
paper's whole system, a study or a sweep (the kinds of `reports.kinds`).
"""

import csv
import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic
from fer_jax.data.protocols import PARTS
from fer_jax.errors import DAMAGED, UserError
from fer_jax.evaluation import predictions as predictions_file
from fer_jax.evaluation.predictions import AGAIN, Predictions

SIMULATED = 'SIMULATED FACES'

KIND, DONE = 'kind.json', 'DONE'
# The kind of a run of one model; of `reports.kinds`.
RUN = 'run'

FOLD_KEYS = {'protocol': str, 'subject_disjoint': bool, 'stamps': list, 'folds': list}
DATASET_KEYS = {
    'name': str,
    'simulated': bool,
    'clips': int,
    'classes': list,
    'class_counts': dict,
    'subjects': int,
    'dropped': list,
    'faces': str,
    'registration': str,
    'fingerprint': str,
}


@dataclasses.dataclass(frozen=True)
class Run:
    """One run's directory in memory.

    config, versions, folds, dataset: the JSON files (config's 'name' and versions' 'command' are
    shown where they are there); predictions: probabilities.npz;
    curves {'train_loss': float64 [M,E], ...} for each of PARTS and loss or accuracy, NaN where
    absent or where the member diverged; sample_frames uint8 [S,H,W] and sample_ids str [S], the
    last frames of test clips; filters float32 [F,T,H,W] of space and time, None where the run
    learned none from whole scenes.
    """

    path: Path
    config: dict[str, Any]
    versions: dict[str, Any]
    folds: dict[str, Any]
    dataset: dict[str, Any]
    predictions: Predictions
    curves: dict[str, np.ndarray]
    sample_frames: np.ndarray
    sample_ids: np.ndarray
    filters: np.ndarray | None = None

    @property
    def name(self) -> str:
        """Returns the run's name: its config's, else its folder's."""
        return self.config.get('name') or self.path.resolve().name

    @property
    def stamps(self) -> tuple[str, ...]:
        """Returns what must be known before a number is believed."""
        return stamps(self.dataset, self.folds, self.predictions)


def stamps(
    dataset: dict[str, Any], folds: dict[str, Any], predictions: Predictions
) -> tuple[str, ...]:
    """Collects the stamps of a run: of dataset.json, folds.json, folds left out, what diverged."""
    ran, count = len(np.unique(predictions.fold)), len(folds['folds'])
    simulated = (SIMULATED,) * bool(dataset['simulated'])
    some = (f'{ran} OF {count} FOLDS',) * (ran < count)
    return simulated + tuple(folds['stamps']) + some + predictions.stamps


def write_kind(folder: Path, kind: str) -> None:
    """Records what a folder is, one of `reports.kinds.PAGES`, before anything else is in it."""
    atomic.write_json(folder / KIND, {'kind': kind})


def kind_of(folder: Path) -> str | None:
    """Returns the kind that a folder records, None where it records none.

    Raises:
      UserError: kind.json is damaged.
    """
    if not (folder / KIND).is_file():
        return None
    return str(read_json(folder / KIND).get('kind'))


def check_run(folder: Path) -> None:
    """Refuses a folder that records another kind than a run of one model."""
    if (kind := kind_of(folder)) not in (None, RUN):
        raise UserError(
            f'{folder} is no run of one model, it holds {kind}: its own report is '
            f'{folder / "report.html"}'
        )


def check_out(folder: Path, own: Path | None = None, option: str = '--out') -> None:
    """Refuses a folder whose own report a page would replace: of a run, a study or a network.

    Args:
      own: the folder that the page is of, which is none of them.
      option: the flag that names the folder.
    """
    if own and folder.resolve() == own.resolve():
        return
    if (folder / 'config.json').exists() or (folder / KIND).exists():
        raise UserError(
            f'{folder} is a run, a study or a model folder, whose own report lies there: give '
            f'another {option}'
        )


def finish(folder: Path) -> None:
    """Marks a run as finished; the last that is written in it."""
    atomic.write_text(folder / DONE, '')


def is_finished(folder: Path) -> bool:
    """Returns whether a run has been trained and evaluated to its end."""
    return (folder / DONE).is_file()


def check_finished(folder: Path, option: str = '') -> None:
    """Checks that a folder is a finished run.

    Args:
      option: of a config that names the folder, for the message.

    Raises:
      UserError: it is missing, or has not finished.
    """
    told = f'{option}: ' if option else ''
    if not folder.is_dir():
        raise UserError(
            f'{told}there is no run at {folder}: give the directory that fer_jax.main wrote'
        )
    if not is_finished(folder):
        raise UserError(f'{told}{folder} has not finished (no DONE in it): start its command again')


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object; UserError where the file is missing or is none."""
    if not path.is_file():
        raise UserError(f'{path} is missing: {AGAIN}')
    try:
        value = json.loads(path.read_text(encoding='utf-8'))
    except DAMAGED as error:
        raise UserError(f'{path} is not JSON ({error}): {AGAIN}') from error
    if not isinstance(value, dict):
        raise UserError(f'{path} holds no JSON object: {AGAIN}')
    return value


def read_arrays(path: Path, names: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Reads the arrays of a .npz.

    Args:
      names: those that must be there, and are taken; none are all.

    Raises:
      UserError: the file is missing, damaged, or lacks one of the names.
    """
    if not path.is_file():
        raise UserError(f'{path} is missing: {AGAIN}')
    try:
        with path.open('rb') as file, np.load(file, allow_pickle=False) as saved:
            return {name: saved[name] for name in names or saved.files}
    except DAMAGED as error:
        raise UserError(f'{path} is damaged ({error}): {AGAIN}') from error


def load(path: Path | str) -> Run:
    """Reads a run's directory.

    Raises:
      UserError: it is missing, unfinished, damaged or of another kind; the message names the file.
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError(f'there is no run at {path}: give the directory that fer_jax.main wrote')
    check_run(path)
    predictions = predictions_file.load(path / 'probabilities.npz')
    frames, ids = _samples(path / 'samples.npz')
    run = Run(
        path=path,
        config=read_json(path / 'config.json'),
        versions=read_json(path / 'versions.json'),
        folds=read_json(path / 'folds.json'),
        dataset=read_json(path / 'dataset.json'),
        predictions=predictions,
        curves=_curves(path / 'metrics.csv', predictions),
        sample_frames=frames,
        sample_ids=ids,
        filters=_filters(path / 'filters.npz'),
    )
    check_kinds(path / 'folds.json', run.folds, FOLD_KEYS)
    check_kinds(path / 'dataset.json', run.dataset, DATASET_KEYS)
    _check_lists(path, run)
    if predictions.fold.max() >= len(run.folds['folds']):
        raise UserError(
            f'{path / "probabilities.npz"} has a fold {predictions.fold.max()} that '
            f'{path / "folds.json"} does not list: they are of different runs; {AGAIN}'
        )
    return run


def load_finished(path: Path | str) -> Run:
    """Reads the directory of a run that has finished.

    Raises:
      UserError: it is missing, unfinished, damaged or of another kind.
    """
    check_run(Path(path))
    check_finished(Path(path))
    return load(path)


def check_kinds(path: Path, value: dict[str, Any], keys: Mapping[str, type]) -> None:
    """Refuses a JSON object that lacks a key, or has a value of another type under it."""
    missing = [key for key in keys if key not in value]
    if missing:
        raise UserError(f'{path} lacks {", ".join(missing)}: {AGAIN}')
    for key, kind in keys.items():
        if type(value[key]) is not kind:
            raise UserError(f"{path}: '{key}' is no {kind.__name__}: {AGAIN}")


def _check_lists(path: Path, run: Run) -> None:
    """Refuses lists of folds.json and dataset.json that hold something else than a page shows."""
    for number, fold in enumerate(run.folds['folds']):
        lists = [fold.get(part) for part in PARTS] if isinstance(fold, dict) else [None]
        if not all(isinstance(x, list) and all(isinstance(c, str) for c in x) for x in lists):
            raise UserError(
                f'{path / "folds.json"}: fold {number} is not lists of {", ".join(PARTS)}: {AGAIN}'
            )
    about = path / 'dataset.json'
    counts = run.dataset['class_counts']
    for name in run.dataset['classes']:
        if not isinstance(name, str) or type(counts.get(name)) is not int:
            raise UserError(f"{about}: 'class_counts' lacks {name}: {AGAIN}")
    for clip in run.dataset['dropped']:
        if not isinstance(clip, dict) or not {'clip_id', 'reason'} <= set(clip):
            raise UserError(f"{about}: 'dropped' has {clip}, which is not a clip: {AGAIN}")


def _curves(path: Path, predictions: Predictions) -> dict[str, np.ndarray]:
    """Takes the columns of metrics.csv that are drawn, [M,E] by member and epoch.

    Args:
      predictions: whose members and epochs the file must have; those of a member that diverged are
        not drawn.
    """
    if not path.is_file():
        raise UserError(f'{path} is missing: {AGAIN}')
    names = [f'{part}_{what}' for what in ('loss', 'accuracy') for part in PARTS]
    sound = predictions.failed == 0
    epochs = np.where(sound, predictions.epochs, 0)
    curves = {name: np.full((len(sound), epochs.max(initial=0)), np.nan) for name in names}
    seen: dict[int, list[int]] = {}
    try:
        with path.open(encoding='utf-8', newline='') as file:
            for row in csv.DictReader(file):
                member, epoch = int(row['member']), int(row['epoch'])
                if not 0 <= member < len(sound):
                    raise ValueError(f'no member {member}')
                if not sound[member]:
                    continue
                seen.setdefault(member, []).append(epoch)
                if not 1 <= epoch <= epochs[member]:
                    continue
                for name in names:
                    if row[name]:
                        curves[name][member, epoch - 1] = float(row[name])
        for member, last in enumerate(epochs.tolist()):
            found = seen.get(member, [])
            if found != list(range(1, last + 1)):
                said = f'{found[0]} to {found[-1]}' if found else 'none'
                raise ValueError(f'member {member} has epochs {said}, not 1 to {last}')
    except (*DAMAGED, csv.Error) as error:
        raise UserError(f'{path} is damaged ({type(error).__name__}: {error}): {AGAIN}') from error
    return curves


def _samples(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns frames uint8 [S,H,W] and clip ids [S] of samples.npz."""
    frames, ids = read_arrays(path, ('frames', 'clip_id')).values()
    if frames.ndim != 3 or frames.dtype != np.uint8 or ids.shape != frames.shape[:1]:
        raise UserError(f'{path} must hold frames uint8 [S,H,W] and clip_id [S]: {AGAIN}')
    if 0 in frames.shape[1:]:
        raise UserError(f'{path} holds frames without a pixel, uint8{list(frames.shape)}: {AGAIN}')
    return frames, ids


def _filters(path: Path) -> np.ndarray | None:
    """Returns filters [F,T,H,W] of filters.npz; None where there is no such file."""
    if not path.is_file():
        return None
    filters = read_arrays(path, ('filters',))['filters']
    if filters.ndim != 4:
        raise UserError(f'{path} must hold filters [F,T,H,W]: {AGAIN}')
    return filters
