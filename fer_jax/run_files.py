"""What a run writes about itself besides its checkpoints: config, versions, metrics, samples."""

import pathlib
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata

import jax
import numpy as np
from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax.data import leaks
from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir, whole
from fer_jax.evaluation.predictions import TEST, VALIDATION, Predictions
from fer_jax.training import processes
from fer_jax.training.members import Member
from fer_jax.training.record import COLUMNS, MemberRecord

SAMPLES = 70
PACKAGES = (
    'fer_jax', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy', 'scipy',
    'scikit-learn', 'opencv-python', 'tensorflow-datasets', 'array_record',
)  # fmt: skip


def folder_of(config: ConfigDict, workdir: str | None) -> pathlib.Path:
    """A run's folder: `workdir`, else runs/<config>-<hash of the resolved config>.

    Raises:
      UserError: the folder holds something else, or a run of another config.
    """
    default = pathlib.Path('runs') / f'{config.name}-{configs.identity(config)}'
    folder = pathlib.Path(workdir) if workdir else default
    if (folder / 'config.json').exists():
        known = rundir.read_json(folder / 'config.json')
        difference = configs.first_difference(configs.as_json(config), known)
        if difference:
            raise UserError(
                f'{folder} is a run of another config: {difference}; give another --workdir'
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f'{folder} is no run and not empty; give another --workdir')
    return folder


def begin(folder: pathlib.Path, config: ConfigDict, folds: dict, dataset: dict) -> None:
    """Writes config.json, versions.json, folds.json and dataset.json, the config last.

    Raises:
      UserError: the run was begun on other folds or other data than these.
    """
    for name, value in (('folds.json', folds), ('dataset.json', dataset)):
        if (folder / 'config.json').exists() and rundir.read_json(folder / name) != value:
            raise UserError(
                f'{folder / name} is not what this run would have: the prepared data has changed; '
                'give another --workdir'
            )
        whole.write_json(folder / name, value)
    if not (folder / 'config.json').exists():
        whole.write_json(folder / 'versions.json', versions())
        whole.write_json(folder / 'config.json', configs.as_json(config))


def versions() -> dict[str, str]:
    """Command, Python, platform, devices, commit and the packages that decide a result."""
    device = jax.devices()[0]
    found = {
        'command': ' '.join(['python', *sys.orig_argv[1:]]),
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
    """The checkout's commit, with '+' where it has local changes; 'unknown' outside a checkout."""
    git = ['git', '-C', str(pathlib.Path(__file__).parent)]
    try:
        commit, changes = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout
            for words in (('rev-parse', 'HEAD'), ('status', '--porcelain'))
        )
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return commit.strip() + '+' * bool(changes)


def save_samples(path: pathlib.Path, clips: ClipSet, predictions: Predictions) -> None:
    """Last frames of up to SAMPLES test clips, as many of each class, for the report's faces."""
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
    with whole.replacing(path) as temporary:
        np.savez_compressed(temporary, frames=frames, clip_id=clips.clip_id[rows])


def save_filters(path: pathlib.Path, filters: np.ndarray) -> None:
    """Filters of space and time float32 [filter, frame, row, column], for the report."""
    with whole.replacing(path) as temporary:
        np.savez_compressed(temporary, filters=filters)


def collect(
    clips: ClipSet, members: Sequence[Member], records: Sequence[MemberRecord]
) -> Predictions:
    """The members' probabilities as one table over all clips that any of them was to judge.

    Args:
      members: all, by their index; those with the same fold and seed as one before were to be
        trained again.
      records: of the members that were trained; one without a record has diverged the first time.
    """
    evaluated = np.unique(np.concatenate([member.evaluated for member in members]))
    column = np.full(len(clips), -1)
    column[evaluated] = np.arange(len(evaluated))
    of = {record.member.index: record for record in records}
    first: dict[tuple[int, int], int] = {}
    retrained, failed = np.zeros(len(members), bool), np.zeros(len(members), np.int32)
    for i, member in enumerate(members):
        before = first.setdefault((member.fold_number, member.seed), i)
        retrained[i] = before != i
        failed[i] = of[i].failed if i in of else failed[before]
    epochs = np.array([len(of[i].history) if i in of else 0 for i in range(len(members))], np.int32)
    shape = (len(members), epochs.max(), len(evaluated), len(clips.classes))
    probabilities = np.full(shape, np.nan, np.float16)
    part = np.zeros(shape[::2], np.int8)
    duplicate = np.zeros(shape[::2], np.int8)
    counts = np.zeros((len(members), len(clips.classes)), np.int64)
    groups = leaks.duplicates(clips)
    for i, member in enumerate(members):
        fold = member.fold
        duplicate[i] = leaks.duplicate_marks(groups, fold)[evaluated]
        counts[i] = np.bincount(clips.label[fold.train], minlength=len(clips.classes))
        if failed[i]:
            continue
        by_clip = of[i].probabilities().swapaxes(0, 1)
        probabilities[i, : epochs[i], column[member.evaluated]] = by_clip
        part[i, column[fold.validation]], part[i, column[fold.test]] = VALIDATION, TEST
    return Predictions(
        probabilities=probabilities,
        part=part,
        label=clips.label[evaluated].astype(np.int32),
        subject=clips.subject[evaluated],
        clip_id=clips.clip_id[evaluated],
        classes=clips.classes,
        fold=np.array([member.fold_number for member in members], np.int32),
        seed=np.array([member.seed for member in members], np.int32),
        epochs=epochs,
        train_counts=counts,
        duplicate=duplicate,
        retrained=retrained,
        failed=failed,
    )


class Journal:
    """metrics.csv, rewritten whole, and TensorBoard events, while members train.

    Of several processes the first alone writes.
    """

    def __init__(self, folder: pathlib.Path, members: Sequence[Member]):
        self._path = folder / 'metrics.csv'
        self._folder = folder
        self._histories = {member.index: (member, []) for member in members}

    def __enter__(self) -> 'Journal':
        if not processes.is_first():
            return self
        from tensorboardX import SummaryWriter  # takes seconds to import

        self._events = SummaryWriter(str(self._folder))
        return self

    def __exit__(self, *error) -> None:
        if processes.is_first():
            self._events.close()

    def write(self, record: MemberRecord) -> None:
        """Takes over what a member's history has gained."""
        if not processes.is_first():
            return
        member, known = self._histories[record.member.index]
        for row in record.history[len(known) :]:
            for name in COLUMNS[1:]:
                if name in row:
                    tag = f'member-{member.index:03}/{name}'
                    self._events.add_scalar(tag, row[name], row['epoch'])
            known.append(row)
        lines = [','.join(('member', 'fold', 'seed', *COLUMNS))]
        for member, history in self._histories.values():
            for row in history:
                values = (member.index, member.fold_number, member.seed)
                values += tuple(row.get(name, '') for name in COLUMNS)
                lines.append(','.join(map(str, values)))
        whole.write_text(self._path, '\n'.join(lines) + '\n')
