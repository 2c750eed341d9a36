"""One run from config to report: data, folds, members, training, predictions, results, pages."""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax import loading, models, run_files
from fer_jax.data import fold_file, leaks, protocols
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol
from fer_jax.errors import UserError
from fer_jax.evaluation import report, results, rundir, whole
from fer_jax.evaluation.predictions import TEST, VALIDATION, Predictions
from fer_jax.training import inputs, loop, transfer
from fer_jax.training.members import Member, Recipe, fold_numbers, make_members, traits
from fer_jax.training.record import MemberRecord
from fer_jax.training.state import Resident, Sums, TrainState
from fer_jax.training.step import System


@dataclasses.dataclass(frozen=True)
class Cohort:
    """Members that train on the same frames: all, or those of a fold with its own registration.

    Attributes:
      members: numbered over all cohorts.
      clips: as training sees them, registered and equalised.
    """

    members: Sequence[Member]
    clips: ClipSet


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that a config stands for, ready to train.

    Attributes:
      system: the static part, the same for all members.
      recipe: how batches come from clips.
      schedule: epochs and execution.
      clips: as they were loaded.
      dataset: what dataset.json holds.
      protocol: its folds.
      stamps: what must be known before a number is believed.
      cohorts: all members, folds times seeds.
      again: for each of them the member that is trained on its training and validation clips
        together when its epochs have been chosen; empty unless `train.retrain`.
    """

    system: System
    recipe: Recipe
    schedule: loop.Schedule
    clips: ClipSet
    dataset: dict[str, Any]
    protocol: Protocol
    stamps: tuple[str, ...]
    cohorts: Sequence[Cohort]
    again: Sequence[Cohort]

    @property
    def members(self) -> list[Member]:
        """The members that train first."""
        return [member for cohort in self.cohorts for member in cohort.members]


def make_system(config: ConfigDict, num_classes: int) -> System:
    """Model, loss, optimizer and inputs of a config."""
    options = dict(config.model)
    model = models.build(options.pop('name'), num_classes=num_classes, **options)
    optimizer = dict(config.optimizer)
    del optimizer['learning_rate']
    seen = dict(config.inputs)
    del seen['equalize']
    return System(
        model,
        optimizer,
        inputs=seen,
        mirrored=seen.pop('mirrored', False),
        l2=config.loss.l2,
        l2_layers=tuple(config.loss.l2_layers),
        label_smoothing=config.loss.get('label_smoothing', 0.0),
    )


def resolve(config: ConfigDict) -> ConfigDict:
    """The config by which a run is known: with a fold file, `protocol` is the file and its content.

    Returns:
      A copy whose section `protocol` has 'file', 'sha256' (of the content) and 'fold' where a fold
      file is given, and no 'file' otherwise.
    """
    resolved = config.copy_and_resolve_references()
    section = dict(resolved.protocol)
    if file := section.pop('file', ''):
        sha256 = section.get('sha256') or fold_file.digest(file)
        section = {'file': file, 'sha256': sha256, 'fold': section['fold']}
    with resolved.unlocked():
        resolved.protocol = ConfigDict(section)
    return resolved


def make_protocol(config: ConfigDict, clips: ClipSet) -> Protocol:
    """The config's folds: those of the file `protocol.file`, else by the rule `protocol.name`."""
    options = dict(config.protocol)
    del options['fold']
    if file := options.pop('file', ''):
        return fold_file.read(file, clips, options.get('sha256', ''))
    return configs.bind(protocols.make_protocol, options, 'protocol', clips)


def build(config: ConfigDict, data_dir: pathlib.Path) -> Experiment:
    """Reads the data and lays out the population; what is wrong in a config is found here.

    Raises:
      UserError: a key, a value, a dataset or a fold that is not there, or a leak.
    """
    train = dict(config.train)
    batch_size, seeds, retrain = (train.pop(key) for key in ('batch_size', 'seeds', 'retrain'))
    recipe = Recipe(config.augment.kind, dict(config.augment.options), batch_size)
    schedule = configs.bind(loop.Schedule, train, 'train')
    folder = loading.place(config, data_dir)
    clips = loading.load(config, folder)
    dataset = loading.about(config, clips, folder)
    system = make_system(config, len(clips.classes))
    protocol = make_protocol(config, clips)
    stamps = leaks.check_folds(protocol, clips, config.protocol.get('file', ''))
    seeds = range(config.seed, config.seed + seeds)
    make = functools.partial(_cohorts, config, clips, folder, seeds)
    cohorts = make(protocol)
    dataset['registration'] = cohorts[0].clips.registration
    state = _dry_run(system, recipe, cohorts[0].members[:1], cohorts[0].clips)
    again = []
    if retrain:
        if not all(len(fold.validation) for fold in protocol.folds):
            raise UserError(
                'train.retrain goes by the epochs that validation clips choose, and there are '
                'none: give --config.protocol.validation'
            )
        folds = tuple(fold.merged() for fold in protocol.folds)
        again = make(dataclasses.replace(protocol, folds=folds))
    cohorts, again = _numbered(cohorts, 0), _numbered(again, sum(len(c.members) for c in cohorts))
    if config.init.run:
        source = transfer.Source.open(config.init.run)
        cohorts, again = (
            [Cohort(source.start(cohort.members, clips), cohort.clips) for cohort in stage]
            for stage in (cohorts, again)
        )
        fresh = transfer.fresh(state.params, cohorts[0].members[0].start)
        dataset['starts_from'] = {**source.chain, 'fresh': fresh}
    return Experiment(system, recipe, schedule, clips, dataset, protocol, stamps, cohorts, again)


def _cohorts(
    config: ConfigDict,
    clips: ClipSet,
    folder: pathlib.Path,
    seeds: Sequence[int],
    protocol: Protocol,
) -> list[Cohort]:
    """The members of a protocol's folds: one cohort, or one a fold where frames are fitted to it.

    Args:
      clips: as loaded from `folder`, with nothing fitted.
    """

    def cohort(framed, fold):
        kind = config.inputs.equalize
        framed = dataclasses.replace(framed, frames=inputs.equalize_frames(framed.frames, kind))
        members = make_members(
            protocol,
            framed,
            seeds=seeds,
            fold=fold,
            learning_rate=config.optimizer.learning_rate,
            dropout_rate=config.model.get('dropout_rate', 0.0),
            class_weights=config.loss.class_weights,
            mean_std=config.inputs.normalize == 'mean_std',
        )
        return Cohort(members, framed)

    if not loading.is_fitted(config):
        return [cohort(clips, config.protocol.fold)]
    return [
        cohort(loading.register(config, clips, protocol.folds[number], folder), number)
        for number in fold_numbers(protocol, config.protocol.fold)
    ]


def _numbered(cohorts: Sequence[Cohort], first: int) -> list[Cohort]:
    """The cohorts with their members numbered from `first`."""
    number = itertools.count(first)
    return [
        Cohort(
            [dataclasses.replace(member, index=next(number)) for member in cohort.members],
            cohort.clips,
        )
        for cohort in cohorts
    ]


def _dry_run(
    system: System, recipe: Recipe, members: Sequence[Member], clips: ClipSet
) -> TrainState:
    """Traces a step without computing it: what does not fit fails before anything is written.

    Returns:
      The shapes of a member's state.
    """
    resident = Resident(clips.frames, clips.length, clips.label)
    batches = recipe.batches(members, clips, 1, [True])
    own, batch = jax.tree.map(lambda x: x[0], (traits(members, [1]), batches))
    batch = jax.tree.map(lambda x: x[0], batch)
    state = jax.eval_shape(system.init, own, resident)
    jax.eval_shape(system.train_step, state, Sums.zero(), own, resident, batch)
    return state


def run(config: ConfigDict, *, workdir: str | None, data_dir: pathlib.Path) -> dict[str, Any]:
    """Trains, evaluates and reports; goes on where an earlier call with the same config stopped.

    Returns:
      What results.json holds.
    """
    config = resolve(config)
    folder = run_files.folder_of(config, workdir)
    if (folder / 'DONE').exists():
        print(f'{folder} is finished; delete it to train again')
        return _announce(folder, rundir.read_json(folder / 'results.json'))
    experiment = build(config, data_dir)
    folds = fold_file.to_json(experiment.protocol, experiment.clips, experiment.stamps)
    run_files.begin(folder, config, folds, experiment.dataset)
    _print_plan(experiment, folder)
    records = _train(experiment, folder)
    predictions = collect(experiment, records)
    predictions.save(folder / 'probabilities.npz')
    run_files.save_samples(folder / 'samples.npz', experiment.clips, predictions)
    values = results.write(folder)
    report.write_report(folder, values=values)
    whole.write_text(folder / 'DONE', '')
    return _announce(folder, values)


def _train(experiment: Experiment, folder: pathlib.Path) -> list[MemberRecord]:
    """The records of all members; those trained again come last."""
    everyone = [
        member for cohort in (*experiment.cohorts, *experiment.again) for member in cohort.members
    ]
    with run_files.Journal(folder, everyone) as journal:

        def train(cohorts):
            return [
                record
                for cohort in cohorts
                for record in loop.train(
                    experiment.system,
                    cohort.members,
                    cohort.clips,
                    experiment.recipe,
                    experiment.schedule,
                    folder / 'checkpoints',
                    on_epoch=journal.write,
                )
            ]

        records = train(experiment.cohorts)
        if not experiment.again:
            return records
        epochs = iter([record.best_epoch() for record in records])
        return records + train(
            [
                Cohort(
                    [dataclasses.replace(m, stop_after=next(epochs)) for m in cohort.members],
                    cohort.clips,
                )
                for cohort in experiment.again
            ]
        )


def _print_plan(experiment: Experiment, folder: pathlib.Path) -> None:
    """Says what is about to be trained on what."""
    clips, protocol = experiment.clips, experiment.protocol
    subjects = len(set(clips.subject) - {''})
    print(
        f'{clips.name}: {len(clips):,} clips of {subjects or "unknown"} subjects, '
        f'{len(clips.classes)} classes{", SIMULATED faces" * clips.simulated}\n'
        f'{protocol.name}: {len(protocol.folds)} folds; {len(experiment.members)} members, '
        f'{experiment.schedule.epochs} epochs each'
        f'{", then again on training and validation clips" * bool(experiment.again)}\n'
        f'run: {folder}',
        flush=True,
    )
    if chain := experiment.dataset.get('starts_from'):
        print(
            f'starts from the networks of {chain["run"]} ({chain["config"]}, {chain["dataset"]}); '
            f'fresh: {", ".join(chain["fresh"]) or "nothing"}',
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
    clips, members = experiment.clips, [record.member for record in records]
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
        retrained=np.array([member.stop_after > 0 for member in members]),
    )
