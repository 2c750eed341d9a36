"""One run from config to report: data, folds, members, training, predictions, results, pages."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import tqdm
from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax import models, run_files
from fer_jax.data import leaks, preparation, prepared, protocols, simulated
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol
from fer_jax.evaluation import report, results, rundir, whole
from fer_jax.evaluation.predictions import TEST, VALIDATION, Predictions
from fer_jax.training import inputs, loop
from fer_jax.training.members import Member, Recipe, make_members, traits
from fer_jax.training.record import MemberRecord
from fer_jax.training.state import Resident, Sums
from fer_jax.training.step import System


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that a config stands for, ready to train.

    Attributes:
      system: the static part, the same for all members.
      recipe: how batches come from clips.
      schedule: epochs and execution.
      clips: as they were loaded.
      equalized: the same clips as training sees them.
      dataset: what dataset.json holds.
      protocol: its folds.
      stamps: what must be known before a number is believed.
      members: folds times seeds.
    """

    system: System
    recipe: Recipe
    schedule: loop.Schedule
    clips: ClipSet
    equalized: ClipSet
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
            print(f'drawing a simulated {name} of {subjects} people into {release}', flush=True)
            with tqdm.tqdm(desc='drawing', unit=' parts', disable=None) as bar:

                def show(done, total):
                    bar.total = total
                    bar.update(done - bar.n)

                simulated.write_release(name, release, subjects=subjects, seed=seed, progress=show)
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
    equalized = inputs.equalize_frames(clips.frames, config.inputs.equalize)
    equalized = dataclasses.replace(clips, frames=equalized)
    members = make_members(
        protocol,
        equalized,
        seeds=range(config.seed, config.seed + seeds),
        fold=fold,
        learning_rate=config.optimizer.learning_rate,
        dropout_rate=config.model.get('dropout_rate', 0.0),
        class_weights=config.loss.class_weights,
        mean_std=config.inputs.normalize == 'mean_std',
    )
    _dry_run(system, recipe, members[:1], equalized)
    return Experiment(
        system, recipe, schedule, clips, equalized, dataset, protocol, stamps, members
    )


def _dry_run(system: System, recipe: Recipe, members: Sequence[Member], clips: ClipSet) -> None:
    """Traces a step without computing it: what does not fit fails before anything is written."""
    resident = Resident(clips.frames, clips.length, clips.label)
    batches = recipe.batches(members, clips, 1, [True])
    own, batch = jax.tree.map(lambda x: x[0], (traits(members, [1]), batches))
    batch = jax.tree.map(lambda x: x[0], batch)
    state = jax.eval_shape(system.init, own, resident)
    jax.eval_shape(system.train_step, state, Sums.zero(), own, resident, batch)


def run(config: ConfigDict, *, workdir: str | None, data_dir: pathlib.Path) -> dict[str, Any]:
    """Trains, evaluates and reports; goes on where an earlier call with the same config stopped.

    Returns:
      What results.json holds.
    """
    folder = run_files.folder_of(config, workdir)
    if (folder / 'DONE').exists():
        print(f'{folder} is finished; delete it to train again')
        return _announce(folder, rundir.read_json(folder / 'results.json'))
    experiment = build(config, data_dir)
    folds = protocols.to_json(experiment.protocol, experiment.clips, experiment.stamps)
    run_files.begin(folder, config, folds, experiment.dataset)
    _print_plan(experiment, folder)
    with run_files.Journal(folder, experiment.members) as journal:
        records = loop.train(
            experiment.system,
            experiment.members,
            experiment.equalized,
            experiment.recipe,
            experiment.schedule,
            folder / 'checkpoints',
            on_epoch=journal.write,
        )
    predictions = collect(experiment, records)
    predictions.save(folder / 'probabilities.npz')
    run_files.save_samples(folder / 'samples.npz', experiment.clips, predictions)
    values = results.write(folder)
    report.write_report(folder, values=values)
    whole.write_text(folder / 'DONE', '')
    return _announce(folder, values)


def _print_plan(experiment: Experiment, folder: pathlib.Path) -> None:
    """Says what is about to be trained on what."""
    clips, protocol = experiment.clips, experiment.protocol
    subjects = len(set(clips.subject) - {''})
    print(
        f'{clips.name}: {len(clips):,} clips of {subjects or "unknown"} subjects, '
        f'{len(clips.classes)} classes{", SIMULATED faces" * clips.simulated}\n'
        f'{protocol.name}: {len(protocol.folds)} folds; {len(experiment.members)} members, '
        f'{experiment.schedule.epochs} epochs each\n'
        f'run: {folder}',
        flush=True,
    )
    for stamp in experiment.stamps:
        print(f'note: {stamp}', flush=True)


def _announce(folder: pathlib.Path, values: dict[str, Any]) -> dict[str, Any]:
    print(results.summary_text(values))
    print(f'report: {folder / "report.html"}', flush=True)
    return values


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
    groups = leaks.duplicates(clips)
    for i, (member, record) in enumerate(zip(members, records, strict=True)):
        fold = member.fold
        by_clip = record.probabilities().swapaxes(0, 1)
        probabilities[i, : epochs[i], column[member.evaluated]] = by_clip
        part[i, column[fold.validation]], part[i, column[fold.test]] = VALIDATION, TEST
        duplicate[i] = leaks.duplicate_marks(groups, fold)[evaluated]
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
