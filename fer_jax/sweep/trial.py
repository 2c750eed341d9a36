"""One trial: the population of a setting, evaluated as folds end; and the best one again."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fer_jax import atomic
from fer_jax import config as configs
from fer_jax.config import Space
from fer_jax.data import fold_file
from fer_jax.errors import Away, Interrupted, UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import run as experiment
from fer_jax.experiment.learners import NetworkLearner
from fer_jax.experiment.records import Record
from fer_jax.experiment.run import Experiment
from fer_jax.experiment.sections import Sections
from fer_jax.sweep import pruning, space
from fer_jax.sweep.ledger import Claim, Ledger, TakenOver
from fer_jax.sweep.sampling import Sampling
from fer_jax.sweep.storage import Lost
from fer_jax.sweep.workers import Heartbeat

# Of the training subjects, where the config holds none out to choose.
VALIDATION = 0.2
ON_TEST = 'hyper-parameters chosen on the test folds: optimistic'
INNER = 'judged on inner validation clips, no test clip'
# The rule of results.json whose accuracy is a trial's value (see pruning.correct).
RULE = 'test_best_fold'


class Pruned(Exception):
    """The trial is given up; the message says why."""


@dataclasses.dataclass(frozen=True)
class StudyPlan:
    """The plan of a study's trials.

    Attributes:
      name: of the study.
      config: resolved, with clips held out to choose unless `on_test`.
      space, sampling: see there.
      on_test: trials are judged on the test folds.
      stamps: of the study's page.
      data: fingerprint of the prepared data, and SHA-256 of the folds.
    """

    name: str
    config: ConfigDict
    space: Space
    sampling: Sampling
    on_test: bool
    stamps: tuple[str, ...] = ()
    data: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def prepare(
        cls,
        name: str,
        config: ConfigDict,
        searched: Space,
        sampling: Sampling,
        *,
        on_test: bool,
        data_dir: Path,
    ) -> 'StudyPlan':
        """Checks all that can be checked before the first trial, data included.

        Raises:
          UserError: what fer_jax.main would say of the config; a space that does not fit it;
            no clips to choose on.
        """
        space.check(config, searched)
        config = experiment.resolve(config)
        if not isinstance(Sections.open(config).learner, NetworkLearner):
            raise UserError(
                f'a search trains networks in steps, and {config.name} is fitted at once: give the '
                'config of a network'
            )
        if not on_test:
            config = _with_validation(config, data_dir)
        search = cls(name, config, searched, sampling, on_test)
        built = experiment.build(search.setting({}), data_dir)
        clips = built.clips
        if searched.accuracy == 'subject_accuracy' and (clips.subject == '').any():
            raise UserError(
                f'{space.SOURCE} judges by subject_accuracy, and {clips.name} has clips of unknown '
                'subjects: give pooled_accuracy'
            )
        stamps = (rundir.SIMULATED,) * clips.simulated + built.stamps
        folds = json.dumps(fold_file.to_json(built.protocol, clips), sort_keys=True)
        data = {
            'fingerprint': built.dataset['fingerprint'],
            'folds': hashlib.sha256(folds.encode()).hexdigest(),
        }
        return dataclasses.replace(search, stamps=tuple(dict.fromkeys(stamps)), data=data)

    def plan(self) -> dict[str, Any]:
        """Returns what workers of the study must agree in, as JSON."""
        return {
            'config': configs.as_json(self.config),
            'space': space.as_json(self.space),
            'sampling': dataclasses.asdict(self.sampling),
            'choose_on_test': self.on_test,
            'data': dict(self.data),
        }

    def setting(self, values: Mapping[str, Any]) -> ConfigDict:
        """Makes the config of the trial that tries these values."""
        config = configs.with_values(self.config, values, f'the study {self.name}')
        with config.unlocked():
            config.train.retrain = False
            config.stamps = (ON_TEST,) if self.on_test else (INNER,)
            if not self.on_test:
                config.protocol.inner = True
        return config

    def best(self, values: Mapping[str, Any], finished: int) -> ConfigDict:
        """Makes the config that trains the best setting again, stamped with its origin.

        Args:
          finished: trials among which it is the best.
        """
        config = configs.with_values(self.config, values, f'the study {self.name}')
        among = f'setting chosen among {finished} trials of the study {self.name}'
        with config.unlocked():
            if self.on_test:
                config.stamps = (among, ON_TEST)
            else:
                config.train.retrain = True
                config.stamps = (f'{among} on inner validation clips of all folds together',)
        return config


def _with_validation(config: ConfigDict, data_dir: Path) -> ConfigDict:
    """Holds out clips to choose by in every fold of a config; says so where it adds them."""
    sections = Sections.open(config)
    clips = sections.clips.load(sections.clips.ensure_prepared(data_dir))
    protocol = sections.protocol.make(clips)
    if all(len(fold.validation) for fold in protocol.folds):
        return config
    if 'validation' not in config.protocol:
        raise UserError(
            f'{config.protocol.file} has folds without validation clips, so settings cannot be '
            'compared without looking at test clips: add some, or choose on the test folds with '
            '--choose_on_test, which every report will say'
        )
    values = {'protocol.validation': VALIDATION}
    if config.protocol.name == 'random':  # whose shares are of all clips
        share = config.protocol.train_fraction
        values = {
            'protocol.train_fraction': round((1 - VALIDATION) * share, 6),
            'protocol.validation': round(VALIDATION * share, 6),
        }
    was = {key: config.protocol[key.partition('.')[2]] for key in values}
    changes = ', '.join(f'{key} is set to {values[key]} (it was {was[key]})' for key in values)
    print(f'note: settings are compared on inner validation clips: {changes}', flush=True)
    return configs.with_values(config, values, 'the search')


@dataclasses.dataclass
class TrialEvaluation:
    """Evaluates a trial as its folds end: reports how it stands, gives up what is lost."""

    search: StudyPlan
    ledger: Ledger
    claim: Claim
    tally: pruning.Tally | None = None

    def __call__(self, run: Experiment, records: Sequence[Record]) -> None:
        """Counts members that have ended.

        Raises:
          Pruned: the trial is not worth its remaining members.
          TakenOver: another worker has it.
          UserError: a member diverged: without its fold the accuracy would be of other clips.
        """
        if not records:
            return
        if self.tally is None:
            accuracy = self.search.space.accuracy
            self.tally = pruning.tally(accuracy, run.members, run.clips.subject)
        for record in records:
            if record.failed:
                member = record.member
                raise UserError(
                    f'fold {member.fold_number} seed {member.seed} diverged in epoch '
                    f'{record.failed}'
                )
            self.tally.add(record.member.index, pruning.correct(record, run.clips.label))
        done, members = len(self.tally.finished), self.tally.members
        so_far, at_best = float(self.tally.so_far()), float(self.tally.at_best())
        stop = self.ledger.report(self.claim, so_far, done)
        print(
            f'trial {self.claim.number}: {done} of {members} members, {100 * so_far:.2f} % so far, '
            f'{100 * at_best:.2f} % at best',
            flush=True,
        )
        if done == members:
            return
        threshold = self.search.space.threshold
        if threshold and self.tally.is_lost(threshold):
            raise Pruned(
                f'cannot reach {100 * threshold:g} % any more: {100 * at_best:.2f} % at best after '
                f'{done} of {members} members'
            )
        if stop:
            raise Pruned(f'{self.search.sampling.pruner}: after {done} of {members} members')


def folder_of(workdir: Path, number: int) -> Path:
    """Returns a trial's run directory."""
    return workdir / f'trial-{number:04}'


def run(search: StudyPlan, ledger: Ledger, claim: Claim, workdir: Path, data_dir: Path) -> str:
    """Trains a trial, from its checkpoints where it has some, and writes its outcome down.

    Returns:
      A sentence about it.

    Raises:
      UserError: the system refuses a file (a full disk, a network drive that went away), the data
        are gone, or the storage is away; the trial waits for the next worker.
      Interrupted: the command was asked to stop; so does the trial.
    """
    folder = folder_of(workdir, claim.number)
    epochs: dict[int, int] = {}
    try:
        if claim.twin is not None:
            return _as_before(ledger, claim, claim.twin)
        ledger.note(claim, folder=folder.name)
        with Heartbeat(ledger.store, claim.trial) as heartbeat:

            def check(record: Record) -> None:
                heartbeat.assure()
                if heartbeat.taken_over:
                    raise TakenOver
                epochs[record.member.index] = len(record.history)
                heartbeat.epochs = sum(epochs.values())

            results = experiment.run(
                search.setting(claim.values),
                workdir=str(folder),
                data_dir=data_dir,
                on_members_done=TrialEvaluation(search, ledger, claim),
                on_epoch=check,
                pages=False,
            )
        value = results.get(RULE, {}).get(search.space.accuracy)
        if value is None:
            raise UserError('an epoch without numbers: it diverged')
        ledger.tell(claim, 'COMPLETE', value)
        _keep_best(ledger, workdir)
        return f'trial {claim.number}: {100 * value:.2f} %'
    except TakenOver:
        return f'trial {claim.number}: another worker has taken it over'
    except Pruned as reason:
        return _ended(ledger, claim, folder, 'PRUNED', str(reason))
    except Lost:
        raise
    except UserError as error:
        reason = str(error) if atomic.refusal(error) else ''
        if not reason and not epochs:
            reason = _fault_of_all(search, data_dir)
        if reason:
            ledger.release(claim)
            said = f'trial {claim.number}, which waits for the next worker: {reason}'
            raise Away(said) from error
        return _ended(ledger, claim, folder, 'FAIL', str(error))
    except (Interrupted, KeyboardInterrupt):
        ledger.release(claim)
        raise
    except Exception as error:
        if refused := atomic.refusal(error):
            ledger.release(claim)
            raise UserError(
                f'trial {claim.number} in {folder}: {refused}; it goes on from its last whole '
                'checkpoint'
            ) from error
        said = ' '.join(str(error).split())
        if 'RESOURCE_EXHAUSTED' in said:  # XLA's word for the device's memory
            return _ended(ledger, claim, folder, 'FAIL', f'out of memory: {said[:200]}')
        _ended(ledger, claim, folder, 'FAIL', f'{type(error).__name__}: {said[:200]}')
        raise


def _fault_of_all(search: StudyPlan, data_dir: Path) -> str:
    """Returns what is wrong whatever a trial's setting, such as data that are gone; '' if nothing.

    The study began with its config as it is, so that what is wrong with that one now is no fault of
    the setting that failed.
    """
    try:
        experiment.build(search.setting({}), data_dir)
    except UserError as error:
        return str(error)
    return ''


def _keep_best(ledger: Ledger, workdir: Path) -> None:
    """Deletes the networks of all trials that ended but the best one's; predictions stay."""
    complete = [t for t in ledger.trials() if t.state.name == 'COMPLETE']
    best = max(complete, key=lambda trial: (trial.value, -trial.number))
    kept = best.user_attrs.get('folder')
    for name in {trial.user_attrs.get('folder') for trial in complete} - {kept, None}:
        _drop_networks(workdir / name)


def _drop_networks(folder: Path) -> None:
    """Deletes the networks of a trial's members; predictions stay."""
    for networks in (folder / 'checkpoints').glob('*/best'):
        shutil.rmtree(networks, ignore_errors=True)  # another worker may do the same


def _ended(ledger: Ledger, claim: Claim, folder: Path, state: str, reason: str) -> str:
    """Tells a trial that has no value, and deletes its networks, which `finish` does without."""
    try:
        ledger.tell(claim, state, reason=reason)
    except TakenOver:
        return f'trial {claim.number}: another worker has taken it over'
    _drop_networks(folder)
    return f'trial {claim.number} {"pruned" if state == "PRUNED" else "failed"}: {reason}'


def _as_before(ledger: Ledger, claim: Claim, twin: Any) -> str:
    """Tells a trial what one with the same setting was told: training would only repeat it."""
    note = f'the setting of trial {twin.number}, not trained again'
    ledger.report(claim, twin.value, twin.last_step or 0)
    value = twin.value if twin.state.name == 'COMPLETE' else None
    folder = twin.user_attrs['folder']
    ledger.tell(claim, twin.state.name, value, reason=note, folder=folder)
    return f'trial {claim.number}: {note}'


def finish(search: StudyPlan, ledger: Ledger, number: int, workdir: Path, data_dir: Path) -> None:
    """Trains a pruned trial to its end, in its folder; the study keeps its verdict.

    Members that had begun before may have predictions alone, others have their networks, too.

    Raises:
      UserError: no such trial, or one that was not pruned.
    """
    trials = ledger.trials()
    if not 0 <= number < len(trials) or trials[number].state.name != 'PRUNED':
        pruned = ', '.join(str(t.number) for t in trials if t.state.name == 'PRUNED')
        raise UserError(f'trial {number} was not pruned; pruned ones are: {pruned or "none"}')
    found = trials[number]
    folder = workdir / found.user_attrs['folder']
    experiment.run(search.setting(found.params), workdir=str(folder), data_dir=data_dir)


def retrain_best(search: StudyPlan, ledger: Ledger, workdir: Path, data_dir: Path) -> None:
    """Trains the best setting of the study as a run of its own.

    Raises:
      UserError: no trial has been trained to its end.
    """
    trials = ledger.trials()
    complete = [t for t in trials if t.state.name == 'COMPLETE']
    if not complete:
        raise UserError(f'the study {search.name} has no trial that was trained to its end yet')
    best = max(complete, key=lambda trial: (trial.value, -trial.number))
    finished = sum(t.state.is_finished() for t in trials)
    running = len(trials) - finished
    print(
        f'trial {best.number} is the best of {finished} trials ({100 * best.value:.2f} %)'
        f'{f"; {running} still run" * bool(running)}: '
        + ', '.join(f'{key}={value}' for key, value in best.params.items()),
        flush=True,
    )
    folder = workdir / f'best-{best.number:04}-of-{finished:04}'
    experiment.run(search.best(best.params, finished), workdir=str(folder), data_dir=data_dir)
