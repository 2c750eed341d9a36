"""One run from config to report: data, folds, members, training, predictions, results, pages."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax.data import fold_file
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol
from fer_jax.errors import UserError
from fer_jax.evaluation import results, rundir
from fer_jax.experiment import extension, fits, run_files, runners
from fer_jax.experiment.features import FeatureSource
from fer_jax.experiment.learners import Learner
from fer_jax.experiment.members import Data, MemberGroup, make_groups, members_of, numbered
from fer_jax.experiment.records import Journal, Record, collect
from fer_jax.experiment.sections import Sections
from fer_jax.reports import run_page
from fer_jax.training import processes
from fer_jax.training.members import Member


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that a config stands for, ready to train.

    Attributes:
      learner: how members learn.
      source: of the features that they learn from; None for pictures.
      clips: as they were loaded.
      dataset: what dataset.json holds.
      protocol: its folds.
      stamps: what must be known before a number is believed.
      groups: all members, folds times seeds.
      again: for each of them the member that is trained on its training and validation clips
        together when its epochs have been chosen; empty unless the learner retrains.
    """

    learner: Learner
    source: FeatureSource | None
    clips: ClipSet
    dataset: Mapping[str, Any]
    protocol: Protocol
    stamps: tuple[str, ...]
    groups: Sequence[MemberGroup]
    again: Sequence[MemberGroup]

    @property
    def members(self) -> list[Member]:
        """The members that train first."""
        return members_of(self.groups)

    @property
    def everyone(self) -> list[Member]:
        """Those and the members that train again."""
        return members_of([*self.groups, *self.again])


# What `run` calls when members have ended: the experiment, and their records; and after an epoch.
OnMembersDone = Callable[[Experiment, Sequence[Record]], None]
OnEpoch = Callable[[Record], None]


def resolve(config: ConfigDict) -> ConfigDict:
    """Returns the config by which a run is known: complete, and with the content of a fold file.

    Returns:
      A copy with all keys of its kinds. Where `protocol.file` is given, `protocol.sha256` is of the
      file's content.

    Raises:
      UserError: what `config.complete` refuses, or a config of several models, which is no
        experiment by itself.
    """
    if runners.name_of(config) != runners.EXPERIMENT:
        raise UserError(
            f'{config.name} is made of several models, which fer_jax.main trains: give the config '
            'of one of them'
        )
    resolved = configs.complete(config)
    if resolved.protocol.file:
        resolved.protocol.sha256 = resolved.protocol.sha256 or fold_file.digest(
            resolved.protocol.file
        )
    return resolved


def build(
    config: ConfigDict, data_dir: Path, load_data: Callable[[Sections, Path], Data] = Data.load
) -> Experiment:
    """Opens a config, reads its data and makes its members; what is wrong in it is found here.

    Args:
      load_data: loads and divides the clips.

    Raises:
      UserError: a key, a value, a dataset or a fold that is not there, or a leak.
    """
    sections = Sections.open(config)
    learner, source = sections.learner, sections.feature_source(data_dir)
    data = load_data(sections, data_dir)
    clips, protocol = data.clips, data.protocol
    learner = learner.with_teachers(sections.clips, clips.classes)
    learner.check_source(source, clips)
    if learner.patience and not sections.protocol.inner:  # whose validation clips are its test
        _check_validated('train.patience', protocol, sections.protocol.file)
    make = functools.partial(make_groups, sections, data, source, seeds=sections.seeds)
    # First pass: members are made. What does not fit together is refused before more are made.
    groups = make(protocol)
    learner.dry_run(groups[0].members, groups[0].clips)
    again = []
    if learner.retrain:
        _check_validated('train.retrain', protocol, sections.protocol.file)
        again = make(protocol.merged())
    # Second pass: numbers over all members, those that train again last. The chain lists what makes
    # their features in this order.
    groups, again = numbered(groups, 0), numbered(again, len(members_of(groups)))
    chain = {source.key: source.chain(members_of(groups + again), clips)} if source else {}
    # Third pass: members get networks to start from and to learn from, which `origin` describes.
    groups, again = (
        [MemberGroup(learner.start(group.members, clips), group.clips) for group in some]
        for some in (groups, again)
    )
    first = groups[0]
    dataset = {
        **data.dataset,
        'registration': first.clips.registration,
        **chain,
        **learner.origin(members_of(groups + again), first.clips),
    }
    return Experiment(learner, source, clips, dataset, protocol, data.stamps, groups, again)


def _check_validated(key: str, protocol: Protocol, file: str) -> None:
    """Refuses (UserError) what goes by validation clips where there are folds without.

    Args:
      key: of the config, that goes by them.
      file: that the folds are of; '' for a rule.
    """
    if not all(len(fold.validation) for fold in protocol.folds):
        advice = 'there are none: give --config.protocol.validation'
        if file:
            advice = f'{file} holds none in some fold: write a file that does'
        raise UserError(f'{key} goes by the epochs that validation clips choose, and {advice}')


def run(
    config: ConfigDict,
    *,
    workdir: str | None,
    data_dir: Path,
    on_members_done: OnMembersDone = lambda experiment, records: None,
    on_epoch: OnEpoch = lambda record: None,
    pages: bool = True,
    extend: str | None = None,
) -> dict[str, Any]:
    """Trains, evaluates and reports; goes on where an earlier call with the same config stopped.

    Args:
      on_members_done: called when members that train first have ended, with their records
        (loop.train). What it raises stops the run, which can be taken up again.
      on_epoch: called with a member's record before what an epoch gave is written; may raise too.
      pages: draw report.html and figures/ as well; `fer_jax.report` draws them later.
      extend: a finished run of the same config but fewer epochs, which this one goes on from.

    With several processes (`runtime.join`) all of them call this; the first writes and prints.

    Returns:
      What results.json holds; nothing on processes other than the first.
    """
    with processes.together():
        stated = config.get('protocol', {}).get('validation', 0.0)
        config = resolve(config)
        folder = run_files.folder_of(config, workdir)
    if processes.tell(rundir.is_finished(folder)):
        if not processes.is_first():
            return {}
        print(f'{folder} is finished; delete it to train again')
        return _announce(folder, results.read(folder))
    experiment = processes.first_then_others(lambda: build(config, data_dir))
    folds = fold_file.to_json(experiment.protocol, experiment.clips, experiment.stamps)
    known = [configs.as_json(config), folds, experiment.dataset]
    processes.check_same(known, 'config, folds or clips')
    with processes.together():
        if processes.is_first():
            if extend:
                extension.check(Path(extend), config, folds, experiment.dataset)
            run_files.begin(folder, config, folds, experiment.dataset)
            if extend:
                extension.take_over(Path(extend), folder, config.train.epochs)
            _print_plan(experiment, folder)
            own = config.protocol
            if stated and own.file and not own.inner and not _has_validation(experiment.protocol):
                print(
                    f'note: protocol.validation {stated:g} is left out, the folds are those of '
                    f'{own.file}, which holds no validation clips: no epoch is chosen',
                    flush=True,
                )
    records = train_members(experiment, folder, on_members_done, on_epoch)
    with processes.together():
        if processes.is_first():
            return _write(experiment, folder, records, pages)
    return {}


def _write(
    experiment: Experiment, folder: Path, records: Sequence[Record], pages: bool
) -> dict[str, Any]:
    """Writes all that follows from the records, DONE last; returns the results."""
    everyone = experiment.everyone
    predictions = collect(experiment.clips, everyone, records)
    predictions.save(folder / 'probabilities.npz')
    run_files.save_samples(folder / 'samples.npz', experiment.clips, predictions)
    source = experiment.source
    if source and (filters := source.filters(everyone[0])) is not None:
        run_files.save_filters(folder / 'filters.npz', filters)
    values = results.write(folder)
    if pages:
        run_page.write_report(folder, values=values)
    rundir.finish(folder)
    return _announce(folder, values)


def train_members(
    experiment: Experiment,
    folder: Path,
    on_members_done: OnMembersDone = lambda experiment, records: None,
    on_epoch: OnEpoch = lambda record: None,
) -> list[Record]:
    """Trains all members, then again those that retrain and did not diverge; returns records.

    Networks do so by `learners.NetworkLearner.train`, which calls `loop.train`.

    Raises:
      UserError: all diverged.
    """
    if processes.is_first():
        fits.save(folder, experiment.everyone, experiment.clips.classes)
    with Journal(folder, experiment.everyone) as journal:

        def write(record):
            on_epoch(record)
            journal.write(record)

        def train(groups, on_members_done=lambda records: None):
            return [
                record
                for group in groups
                for record in experiment.learner.train(
                    group.members,
                    group.clips,
                    folder / 'checkpoints',
                    on_epoch=write,
                    on_members_done=on_members_done,
                )
            ]

        records = train(experiment.groups, functools.partial(on_members_done, experiment))
        _check_some_sound(records)
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
        records += train([group for group in again if group.members])
        _check_some_sound(records)
        return records


def _check_some_sound(records: Sequence[Record]) -> None:
    """Refuses (UserError) records of which each fold and seed has one that diverged."""
    pairs = {(record.member.fold_number, record.member.seed) for record in records}
    failed = [record for record in records if record.failed]
    if pairs == {(record.member.fold_number, record.member.seed) for record in failed}:
        again = ', some when trained again' * (len(records) > len(pairs))
        raise UserError(
            f'all {len(pairs)} members diverged{again}, the first in epoch {failed[0].failed}: '
            'lower --config.optimizer.learning_rate'
        )


def _has_validation(protocol: Protocol) -> bool:
    return any(len(fold.validation) for fold in protocol.folds)


def _print_plan(experiment: Experiment, folder: Path) -> None:
    """Says what is about to be trained on what."""
    clips, protocol = experiment.clips, experiment.protocol
    subjects = len(set(clips.subject) - {''})
    print(
        f'{clips.name}: {len(clips):,} clips of {subjects or "unknown"} subjects, '
        f'{len(clips.classes)} classes{", SIMULATED faces" * clips.simulated}\n'
        f'{protocol.name}: {len(protocol.folds)} folds; {len(experiment.members)} members, '
        f'{experiment.learner.epochs} epochs each'
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
    for chain in experiment.dataset.get('taught_by', ()):
        print(
            f'learns from what the networks of {chain["run"]} say ({chain["config"]}, '
            f'{chain["dataset"]}); their share of a target: {chain["share"]:g}',
            flush=True,
        )
    if source := experiment.source:
        print(f'learns from {source.in_words(experiment.dataset[source.key])}', flush=True)
    for stamp in experiment.stamps:
        print(f'note: {stamp}', flush=True)


def _announce(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    print(results.summary_text(values), flush=True)
    if (folder / 'report.html').exists():
        print(f'report: {folder / "report.html"}', flush=True)
    return values
