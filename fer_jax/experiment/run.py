"""One run from config to report: data, folds, members, training, predictions, results, pages."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax import models
from fer_jax.data import fold_file
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol
from fer_jax.errors import UserError
from fer_jax.evaluation import results, rundir
from fer_jax.experiment import classifiers, run_files
from fer_jax.experiment.features import FirstStage, open_stage
from fer_jax.experiment.members import Data, MemberGroup, make_groups, numbered
from fer_jax.experiment.records import Journal, collect
from fer_jax.kahou2015 import activity, fitting
from fer_jax.kahou2015.audio import Sound
from fer_jax.reports import run_page
from fer_jax.training import loop, processes, transfer
from fer_jax.training.members import Member, Recipe, per_member
from fer_jax.training.record import MemberRecord
from fer_jax.training.state import Resident, Sums, TrainState
from fer_jax.training.step import System


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that a config stands for, ready to train.

    Attributes:
      system: the static part, the same for all members; or the classifier, where it is fitted at
        once.
      recipe: how batches come from clips; None where there are none.
      schedule: epochs and execution.
      clips: as they were loaded.
      dataset: what dataset.json holds.
      protocol: its folds.
      stamps: what must be known before a number is believed.
      groups: all members, folds times seeds.
      again: for each of them the member that is trained on its training and validation clips
        together when its epochs have been chosen; empty unless `train.retrain`.
    """

    system: System | classifiers.Classifier
    recipe: Recipe | None
    schedule: loop.Schedule
    clips: ClipSet
    dataset: dict[str, Any]
    protocol: Protocol
    stamps: tuple[str, ...]
    groups: Sequence[MemberGroup]
    again: Sequence[MemberGroup]

    @property
    def members(self) -> list[Member]:
        """The members that train first."""
        return _members(self.groups)


# What `run` calls when members have ended: the experiment, and their records.
OnMembersDone = Callable[[Experiment, Sequence[MemberRecord]], None]


def make_system(config: ConfigDict, num_classes: int) -> System:
    """Model, loss, optimizer and inputs of a config."""
    options = dict(config.model)
    model = models.build(options.pop('name'), num_classes=num_classes, **options)
    optimizer = {**config.optimizer, 'epochs': config.train.epochs}
    del optimizer['learning_rate']
    seen = dict(config.inputs)
    del seen['equalize']
    return System(
        model,
        optimizer,
        inputs=seen,
        mirrored=seen.pop('mirrored', False),
        loss=config.loss.get('kind', 'cross_entropy'),
        l2=config.loss.l2,
        l2_layers=tuple(config.loss.l2_layers),
        label_smoothing=config.loss.get('label_smoothing', 0.0),
    )


def resolve(config: ConfigDict) -> ConfigDict:
    """The config by which a run is known: with a fold file, `protocol` is the file and its content.

    Returns:
      A copy whose section `protocol` has 'file', 'sha256' (of the content), 'fold' and, where it is
      given, 'inner' where a fold file is given, and no 'file' otherwise.

    Raises:
      UserError: a config of several models, which is no experiment by itself.
    """
    if 'models' in config:
        raise UserError(
            f'{config.name} is made of several models, which fer_jax.main trains: give the config '
            'of one of them'
        )
    resolved = config.copy_and_resolve_references()
    section = dict(resolved.protocol)
    if file := section.pop('file', ''):
        sha256 = section.get('sha256') or fold_file.digest(file)
        kept = {key: section[key] for key in ('fold', 'inner') if key in section}
        section = {'file': file, 'sha256': sha256, **kept}
    with resolved.unlocked():
        resolved.protocol = ConfigDict(section)
    return resolved


def build(config: ConfigDict, data_dir: pathlib.Path, data: Data | None = None) -> Experiment:
    """Reads the data and lays out the population; what is wrong in a config is found here.

    A config without a section `train` names a classifier that is fitted at once (`fitting`).

    Args:
      data: takes the place of `Data.of(config, data_dir)`.

    Raises:
      UserError: a key, a value, a dataset or a fold that is not there, or a leak.
    """
    stage = open_stage(config, data_dir)
    if 'train' not in config:
        return _build_fitted(config, data or Data.of(config, data_dir), stage)
    train = dict(config.train)
    batch_size, seeds, retrain = (train.pop(key) for key in ('batch_size', 'seeds', 'retrain'))
    recipe = Recipe(config.augment.kind, dict(config.augment.options), batch_size)
    schedule = configs.bind(loop.Schedule, train, 'train')
    if stage and recipe.kind != 'none':
        raise UserError(f"augment.kind is '{recipe.kind}': features cannot be warped, give none")
    data = data or Data.of(config, data_dir)
    clips, dataset, protocol = data.clips, data.dataset, data.protocol
    system = make_system(config, len(clips.classes))
    seeds = range(config.seed, config.seed + seeds)
    make = functools.partial(make_groups, config, clips, data.folder, seeds, stage)
    groups = make(protocol)
    dataset['registration'] = groups[0].clips.registration
    state = _dry_run(system, recipe, groups[0].members[:1], groups[0].clips)
    again = []
    if retrain:
        if not all(len(fold.validation) for fold in protocol.folds):
            raise UserError(
                'train.retrain goes by the epochs that validation clips choose, and there are '
                'none: give --config.protocol.validation'
            )
        again = make(protocol.merged())
    groups, again = numbered(groups, 0), numbered(again, sum(len(c.members) for c in groups))
    if stage:
        dataset[stage.key] = stage.chain(_members(groups + again), clips)
    if config.init.run:
        source = transfer.Source.open(config.init.run)
        groups, again = (
            [MemberGroup(source.start(group.members, clips), group.clips) for group in stage]
            for stage in (groups, again)
        )
        fresh = transfer.fresh(state.params, groups[0].members[0].start)
        dataset['starts_from'] = {**source.chain, 'fresh': fresh}
    transfer.check_frozen(system.frozen, dataset.get('starts_from'))
    return Experiment(
        system, recipe, schedule, clips, dataset, protocol, data.stamps, groups, again
    )


def _build_fitted(
    config: ConfigDict, data: Data, stage: FirstStage | Sound | activity.Activity
) -> Experiment:
    """What `build` gives, of a classifier that is fitted at once on features: one epoch."""
    options = dict(config.model)
    classifier = fitting.build(options.pop('name'), **options)
    clips, dataset, protocol = data.clips, data.dataset, data.protocol
    classifier.check(stage.classes, clips.classes)
    groups = numbered(make_groups(config, clips, data.folder, [config.seed], stage, protocol), 0)
    dataset['registration'] = groups[0].clips.registration
    dataset[stage.key] = stage.chain(_members(groups), clips)
    schedule = loop.Schedule(epochs=1)
    return Experiment(classifier, None, schedule, clips, dataset, protocol, data.stamps, groups, ())


def _members(groups: Sequence[MemberGroup]) -> list[Member]:
    return [member for group in groups for member in group.members]


def _dry_run(
    system: System, recipe: Recipe, members: Sequence[Member], clips: ClipSet
) -> TrainState:
    """Traces a step without computing it: what does not fit fails before anything is written.

    Returns:
      The shapes of a member's state.
    """
    resident = Resident(clips.frames, clips.length, clips.label)
    batches = recipe.batches(members, clips, 1, [True])
    own, batch = jax.tree.map(lambda x: x[0], (per_member(members, [1]), batches))
    batch = jax.tree.map(lambda x: x[0], batch)
    state = jax.eval_shape(system.init, own, resident)
    jax.eval_shape(system.train_step, state, Sums.zero(), own, resident, batch)
    return state


def run(
    config: ConfigDict,
    *,
    workdir: str | None,
    data_dir: pathlib.Path,
    on_members_done: OnMembersDone = lambda experiment, records: None,
    pages: bool = True,
) -> dict[str, Any]:
    """Trains, evaluates and reports; goes on where an earlier call with the same config stopped.

    Args:
      on_members_done: called when members that train first have ended, with their records
        (loop.train). What it raises stops the run, which can be taken up again.
      pages: draw report.html and figures/ as well; `fer_jax.report` draws them later.

    With several processes (`runtime.join`) all of them call this; the first writes and prints.

    Returns:
      What results.json holds; nothing on processes other than the first.
    """
    with processes.together():
        config = resolve(config)
        folder = run_files.folder_of(config, workdir)
    if processes.tell(rundir.is_finished(folder)):
        if not processes.is_first():
            return {}
        print(f'{folder} is finished; delete it to train again')
        return _announce(folder, rundir.read_json(folder / 'results.json'))
    experiment = processes.first_then_others(lambda: build(config, data_dir))
    folds = fold_file.to_json(experiment.protocol, experiment.clips, experiment.stamps)
    known = [configs.as_json(config), folds, experiment.dataset]
    processes.check_same(known, 'config, folds or clips')
    with processes.together():
        if processes.is_first():
            run_files.begin(folder, config, folds, experiment.dataset)
            _print_plan(experiment, folder)
    records = train_members(experiment, folder, on_members_done)
    with processes.together():
        if processes.is_first():
            return _write(experiment, folder, records, pages)
    return {}


def _write(
    experiment: Experiment, folder: pathlib.Path, records: Sequence[MemberRecord], pages: bool
) -> dict[str, Any]:
    """Everything that follows from the records, DONE last; returns the results."""
    everyone = _members([*experiment.groups, *experiment.again])
    predictions = collect(experiment.clips, everyone, records)
    predictions.save(folder / 'probabilities.npz')
    run_files.save_samples(folder / 'samples.npz', experiment.clips, predictions)
    if (filters := activity.filters(everyone[0])) is not None:
        run_files.save_filters(folder / 'filters.npz', filters)
    values = results.write(folder)
    if pages:
        run_page.write_report(folder, values=values)
    rundir.finish(folder)
    return _announce(folder, values)


def train_members(
    experiment: Experiment,
    folder: pathlib.Path,
    on_members_done: OnMembersDone = lambda experiment, records: None,
) -> list[MemberRecord]:
    """The records of all members; those trained again, where the first did not diverge, last.

    Raises:
      UserError: all diverged.
    """
    if experiment.recipe is None:
        return _fit(experiment, folder)
    everyone = _members([*experiment.groups, *experiment.again])
    with Journal(folder, everyone) as journal:

        def train(groups, on_members_done=lambda records: None):
            return [
                record
                for group in groups
                for record in loop.train(
                    experiment.system,
                    group.members,
                    group.clips,
                    experiment.recipe,
                    experiment.schedule,
                    folder / 'checkpoints',
                    on_epoch=journal.write,
                    on_members_done=on_members_done,
                )
            ]

        records = train(experiment.groups, functools.partial(on_members_done, experiment))
        if all(record.failed for record in records):
            raise UserError(
                f'all {len(records)} members diverged, the first in epoch {records[0].failed}: '
                'lower --config.optimizer.learning_rate'
            )
        if not experiment.again:
            return records
        epochs = {
            (record.member.fold_number, record.member.seed): record.best_epoch()
            for record in records
            if not record.failed
        }
        again = [
            MemberGroup(
                [
                    dataclasses.replace(m, stop_after=epochs[m.fold_number, m.seed])
                    for m in group.members
                    if (m.fold_number, m.seed) in epochs
                ],
                group.clips,
            )
            for group in experiment.again
        ]
        return records + train([group for group in again if group.members])


def _fit(experiment: Experiment, folder: pathlib.Path) -> list[classifiers.FittedRecord]:
    """The outcomes of all members of a classifier that is fitted at once."""
    outcomes = []
    with Journal(folder, experiment.members) as journal:
        for group in experiment.groups:
            for member in group.members:
                outcome = classifiers.FittedRecord.of(experiment.system, member, group.clips)
                journal.write(outcome)
                outcomes.append(outcome)
    return outcomes


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
    if chain := experiment.dataset.get('features_from'):
        print(
            f"learns from '{chain['layer']}' of the networks of {chain['run']} ({chain['config']}, "
            f'{chain["dataset"]})',
            flush=True,
        )
    if sound := experiment.dataset.get('sound'):
        print(
            f'learns from {sound["components"]} principal components of sound: {sound["features"]}',
            flush=True,
        )
    if scenes := experiment.dataset.get('activity'):
        print(f'learns from activity in scenes: {scenes["features"]}', flush=True)
    for stamp in experiment.stamps:
        print(f'note: {stamp}', flush=True)


def _announce(folder: pathlib.Path, values: dict[str, Any]) -> dict[str, Any]:
    print(results.summary_text(values), flush=True)
    if (folder / 'report.html').exists():
        print(f'report: {folder / "report.html"}', flush=True)
    return values
