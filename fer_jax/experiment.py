"""One run from config to report: data, folds, members, training, predictions, results, pages."""

import dataclasses
import pathlib
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax import models
from fer_jax.data import leaks, preparation, prepared, protocols, simulated
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol
from fer_jax.errors import UserError
from fer_jax.evaluation import report, results, rundir, whole
from fer_jax.evaluation.predictions import TEST, VALIDATION, Predictions
from fer_jax.training import inputs, loop
from fer_jax.training.members import Member, Recipe, make_members
from fer_jax.training.record import COLUMNS, MemberRecord
from fer_jax.training.step import System

SAMPLES = 70


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that a config stands for, ready to train.

    Attributes:
      system: the static part, the same for all members.
      recipe: how batches come from clips.
      schedule: epochs and execution.
      clips: equalised.
      groups: int32 [clip], equal for clips that were pixel-identical before.
      dataset: what dataset.json holds.
      protocol: its folds.
      stamps: what must be known before a number is believed.
      members: folds times seeds.
    """

    system: System
    recipe: Recipe
    schedule: loop.Schedule
    clips: ClipSet
    groups: np.ndarray
    dataset: dict[str, Any]
    protocol: Protocol
    stamps: tuple[str, ...]
    members: Sequence[Member]


def make_system(config: ConfigDict, num_classes: int) -> System:
    """Model, loss, optimizer and inputs of a config."""
    options = dict(config.model)
    model = models.build(options.pop('name'), num_classes=num_classes, **options)
    optimizer = dict(config.optimizer)
    del optimizer['learning_rate']
    seen = {key: value for key, value in config.inputs.items() if key != 'equalize'}
    return System(model, optimizer, seen, config.loss.l2, tuple(config.loss.l2_layers))


def load_clips(config: ConfigDict, data_dir: pathlib.Path) -> tuple[ClipSet, dict[str, Any]]:
    """The config's clips as they were prepared, and what dataset.json says of them.

    With `simulated.subjects` above 0 the release is simulated and prepared first, once.
    """
    options = dict(config.data)
    name = options.pop('name')
    if config.simulated.subjects:
        data_dir = _simulate(name, data_dir, **config.simulated)
    clips = configs.bind(prepared.load, options, 'data', name, data_dir=data_dir)
    found = prepared.describe(name, data_dir, options['faces'])
    dataset = {
        'name': name,
        'simulated': clips.simulated,
        'clips': len(clips),
        'classes': list(clips.classes),
        'class_counts': clips.class_counts,
        'subjects': len(set(clips.subject) - {''}),
        'dropped': [
            clip for clip in found['dropped'] if clip['label_set'] in ('', options['labels'])
        ],
        **{key: found[key] for key in ('faces', 'fingerprint', 'faceless', 'differences')},
        'registration': options['registration'],
    }
    return clips, dataset


def _simulate(name: str, data_dir: pathlib.Path, *, subjects: int, seed: int) -> pathlib.Path:
    """The data folder of a simulated release, made and prepared where it is not there yet."""
    folder = data_dir / 'simulated' / f'{name}-{subjects}-subjects-seed-{seed}'
    if not prepared.location(name, folder).exists():
        release = folder / 'release'
        if not (release / 'SIMULATED.json').exists():
            simulated.write_release(name, release, subjects=subjects, seed=seed)
        preparation.prepare(name, release, folder)
    return folder


def build(config: ConfigDict, data_dir: pathlib.Path) -> Experiment:
    """Reads the data and lays out the population; what is wrong in a config is found here.

    Raises:
      UserError: a key, a value, a dataset or a fold that is not there, or a leak.
    """
    train = dict(config.train)
    batch_size, seeds = train.pop('batch_size'), train.pop('seeds')
    recipe = Recipe(config.augment.kind, dict(config.augment.options), batch_size)
    schedule = configs.bind(loop.Schedule, train, 'train')
    clips, dataset = load_clips(config, data_dir)
    system = make_system(config, len(clips.classes))
    options = dict(config.protocol)
    fold = options.pop('fold')
    protocol = configs.bind(protocols.make_protocol, options, 'protocol', clips)
    stamps = leaks.check_folds(protocol, clips)
    groups = leaks.duplicates(
        clips
    )  # before equalisation, after which different images can be equal
    clips = dataclasses.replace(
        clips, frames=inputs.equalize_frames(clips.frames, config.inputs.equalize)
    )
    members = make_members(
        protocol,
        clips,
        seeds=range(config.seed, config.seed + seeds),
        fold=fold,
        learning_rate=config.optimizer.learning_rate,
        dropout_rate=config.model.get('dropout_rate', 0.0),
        class_weights=config.loss.class_weights,
        mean_std=config.inputs.normalize == 'mean_std',
    )
    return Experiment(system, recipe, schedule, clips, groups, dataset, protocol, stamps, members)


def run(config: ConfigDict, *, workdir: str | None, data_dir: pathlib.Path) -> dict[str, Any]:
    """Trains, evaluates and reports; goes on where an earlier call with the same config stopped.

    Returns:
      What results.json holds.
    """
    folder = (
        pathlib.Path(workdir)
        if workdir
        else pathlib.Path('runs') / f'{config.name}-{configs.identity(config)}'
    )
    _open(folder, config)
    if (folder / 'DONE').exists():
        print(f'{folder} is finished; delete it to train again', flush=True)
        return _announce(folder, rundir.read_json(folder / 'results.json'))
    experiment = build(config, data_dir)
    folds = protocols.to_json(experiment.protocol, experiment.clips, experiment.stamps)
    whole.write_json(folder / 'folds.json', folds)
    whole.write_json(folder / 'dataset.json', experiment.dataset)
    _print_plan(experiment, folder)
    with _Journal(folder, experiment.members) as journal:
        records = loop.train(
            experiment.system, experiment.members, experiment.clips, experiment.recipe,
            experiment.schedule, folder / 'checkpoints', on_epoch=journal.write,
        )  # fmt: skip
    predictions = collect(experiment, records)
    predictions.save(folder / 'probabilities.npz')
    _save_samples(folder / 'samples.npz', experiment.clips, predictions)
    values = results.write(folder)
    report.write_report(folder, values=values)
    whole.write_text(folder / 'DONE', '')
    return _announce(folder, values)


def collect(experiment: Experiment, records: Sequence[MemberRecord]) -> Predictions:
    """The members' probabilities as one table over all clips that any of them was judged on."""
    clips, members = experiment.clips, experiment.members
    evaluated = np.unique(np.concatenate([member.evaluated for member in members]))
    column = np.full(len(clips), -1)
    column[evaluated] = np.arange(len(evaluated))
    epochs = np.array([len(record.history) for record in records], np.int32)
    shape = (len(members), epochs.max(), len(evaluated), len(clips.classes))
    probabilities = np.full(shape, np.nan, np.float16)
    part = np.zeros(shape[::2], np.int8)
    duplicate = np.zeros(shape[::2], np.int8)
    counts = np.zeros((len(members), len(clips.classes)), np.int64)
    for i, (member, record) in enumerate(zip(members, records, strict=True)):
        fold = member.fold
        probabilities[i, : epochs[i], column[member.evaluated]] = record.probabilities().swapaxes(
            0, 1
        )
        part[i, column[fold.validation]], part[i, column[fold.test]] = VALIDATION, TEST
        duplicate[i] = leaks.duplicate_marks(experiment.groups, fold)[evaluated]
        counts[i] = np.bincount(clips.label[fold.train], minlength=len(clips.classes))
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
    )


def versions() -> dict[str, str]:
    """Python, platform, devices, the project's commit and the packages that decide a result."""
    names = ('fer_jax', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy',
    'opencv-python',
             'tensorflow-datasets', 'array_record', 'scikit-learn', 'scipy')  # fmt: skip
    device = jax.devices()[0]
    found = {
        'python': platform.python_version(),
        'platform': platform.platform(),
        'devices': f'{jax.device_count()} x {device.device_kind} ({device.platform})',
        'commit': _commit(),
        'command': ' '.join(['python -m fer_jax.main', *sys.argv[1:]]),
    }
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = 'not installed as a package'
    return found


def _commit() -> str:
    """The checkout's commit, with '+' where it has local changes; 'unknown' outside a checkout."""
    git = ['git', '-C', str(pathlib.Path(__file__).parent)]
    try:
        commit = subprocess.run(
            [*git, 'rev-parse', 'HEAD'], capture_output=True, text=True, check=True
        ).stdout
        changes = subprocess.run(
            [*git, 'status', '--porcelain'], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return commit.strip() + '+' * bool(changes)


def _open(folder: pathlib.Path, config: ConfigDict) -> None:
    """Makes the run's folder with config.json and versions.json, or checks that it is this config's."""
    resolved = configs.as_json(config)
    if (folder / 'config.json').exists():
        difference = configs.first_difference(resolved, rundir.read_json(folder / 'config.json'))
        if difference:
            raise UserError(
                f'{folder} is a run of another config: {difference}; give another --workdir'
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f'{folder} is no run and not empty; give another --workdir')
    folder.mkdir(parents=True, exist_ok=True)
    whole.write_json(folder / 'versions.json', versions())
    whole.write_json(folder / 'config.json', resolved)


def _print_plan(experiment: Experiment, folder: pathlib.Path) -> None:
    """Says what is about to be trained on what."""
    clips, protocol = experiment.clips, experiment.protocol
    faces = 'simulated faces' if clips.simulated else 'licensed or public faces'
    subjects = len(set(clips.subject) - {''})
    print(
        f'{clips.name}: {len(clips)} clips of {subjects or "unknown"} subjects ({faces}), '
        f'{len(clips.classes)} classes\n'
        f'{protocol.name}: {len(protocol.folds)} folds; {len(experiment.members)} members of '
        f'{experiment.schedule.epochs} epochs\n'
        f'run: {folder}',
        flush=True,
    )
    for stamp in experiment.stamps:
        print(f'note: {stamp}', flush=True)


def _announce(folder: pathlib.Path, values: dict[str, Any]) -> dict[str, Any]:
    print(results.summary_text(values))
    print(f'report: {folder / "report.html"}', flush=True)
    return values


def _save_samples(path: pathlib.Path, clips: ClipSet, predictions: Predictions) -> None:
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


class _Journal:
    """metrics.csv, rewritten whole, and TensorBoard events, while members train."""

    def __init__(self, folder: pathlib.Path, members: Sequence[Member]):
        self._path = folder / 'metrics.csv'
        self._folder = folder
        self._histories = {member.index: (member, []) for member in members}

    def __enter__(self) -> '_Journal':
        from tensorboardX import SummaryWriter  # takes seconds to import

        self._events = SummaryWriter(str(self._folder))
        return self

    def __exit__(self, *error) -> None:
        self._events.close()

    def write(self, record: MemberRecord) -> None:
        """Takes over a member's history."""
        member, known = self._histories[record.member.index]
        for row in record.history[len(known) :]:
            for name in COLUMNS[1:]:
                if name in row:
                    self._events.add_scalar(
                        f'member-{member.index:03}/{name}', row[name], row['epoch']
                    )
            known.append(row)
        header = ('member', 'fold', 'seed', *COLUMNS)
        lines = [','.join(header)]
        for member, history in self._histories.values():
            for row in history:
                values = (
                    member.index,
                    member.fold_number,
                    member.seed,
                    *(row.get(name, '') for name in COLUMNS),
                )
                lines.append(','.join(str(value) for value in values))
        whole.write_text(self._path, '\n'.join(lines) + '\n')
