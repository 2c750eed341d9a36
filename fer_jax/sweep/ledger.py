"""A study that many workers share: trials handed out, taken over from the dead, counted once.

A trial keeps its number from its first worker to its last. A worker writes its name on the trial
that it takes, and a beat every workers.HEARTBEAT_S. A trial is left behind when its worker has said
so (SIGTERM), when the worker's process is gone (on the same host), or when its beat has not changed
for GRACE_S by the clock of who looks (elsewhere); the next worker goes on with it.

Optuna's own heartbeats fail a stale trial and add another in its place. They end with the first
error of the storage, do not see a worker that died before its first beat, and exist for databases
only.
"""

import dataclasses
import functools
import math
import socket
import time
import uuid
from collections.abc import Mapping
from typing import Any

from fer_jax import config as configs
from fer_jax.errors import UserError
from fer_jax.sweep.sampling import Sampling
from fer_jax.sweep.space import grid
from fer_jax.sweep.storage import Store
from fer_jax.sweep.workers import is_alive, this_process

GRACE_S = 300.0
# A trial that so many workers died in without an epoch or a fold more is given up.
DEATHS = 5
# User attributes of a study: what its workers agree in, and which of its name it is.
PLAN, IDENTITY = 'plan', 'identity'


class TakenOver(Exception):
    """Another worker has the trial: this one was silent for too long."""


@dataclasses.dataclass
class Claim:
    """A trial that this worker has.

    Attributes:
      trial: Optuna's.
      number, values: its number and its setting, dotted key -> value.
      twin: a finished trial with the same setting, if there is one.
      resumed: whether another worker had it before.
    """

    trial: Any
    number: int
    values: dict[str, Any]
    twin: Any
    resumed: bool


class Ledger:
    """A study in a store.

    Attributes:
      name: of the study.
      study: Optuna's.
      identity: of this study, whatever others had its name.
      total: trials in all, whatever the number of workers.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        plan: Mapping[str, Any],
        distributions: Mapping[str, Any],
        sampling: Sampling,
        total: int,
    ):
        """Makes the study, or joins it.

        Args:
          plan: what trials are (JSON): workers of one study must have the same.
          distributions: Optuna's, by dotted key.

        Raises:
          UserError: the study was begun with another plan.
        """
        import optuna

        self.store, self.name, self.total = store, name, total
        self._distributions, self._sampling = distributions, sampling
        self._grid = functools.cache(lambda: grid(distributions))
        if sampling.sampler == 'grid':
            self.total = min(total, math.prod(map(len, self._grid().values())))
        self._me = {**this_process(), 'id': uuid.uuid4().hex, 'host': socket.gethostname()}
        self._seen: dict[int, tuple[Any, float]] = {}

        def join():
            with store.lock():
                study = optuna.create_study(
                    storage=store.storage,
                    study_name=name,
                    direction='maximize',
                    pruner=sampling.make_pruner(),
                    load_if_exists=True,
                )
                known = study.user_attrs.get(PLAN)
                if known is None:
                    study.set_user_attr(IDENTITY, uuid.uuid4().hex)
                    study.set_user_attr(PLAN, dict(plan))
                return study, known

        self.study, known = store.patiently(join)
        difference = known and configs.first_difference(dict(plan), known, 'plan')
        if difference:
            raise UserError(
                f'the study {name} was begun with another plan: {difference.replace("plan.", "")}; '
                'give the same flags, config and data, or another --study'
            )

        self.identity = store.patiently(lambda: self.study.user_attrs[IDENTITY])

    def trials(self) -> list[Any]:
        """Reads all trials as they stand (optuna.trial.FrozenTrial)."""
        return self.store.patiently(lambda: self.study.get_trials(deepcopy=False))

    def finished(self) -> bool:
        """Returns whether all trials have been begun and none is running."""
        trials = self.trials()
        return len(trials) >= self.total and all(t.state.is_finished() for t in trials)

    def claim(self) -> Claim | None:
        """Claims a trial for this worker: one that was left behind, or a new one; None: neither."""
        return self._patiently(self._claim)

    def _patiently(self, section):
        def attempt():
            try:
                return section()
            except Exception:
                self._seen.clear()  # while the storage is away nobody can beat
                raise

        return self.store.patiently(attempt)

    def _claim(self) -> Claim | None:
        import optuna

        with self.store.lock():
            trials = self.study.get_trials(deepcopy=False)
            left = (t for t in trials if t.state.name == 'RUNNING' and self._left(t))
            found = next((t for t in left if not self._is_deadly(t)), None)
            self.study.sampler = self._sampling.make_sampler(
                found.number if found else len(trials), self._grid
            )
            if found:
                trial = optuna.Trial(self.study, found._trial_id)
            elif len(trials) < self.total or any(t.state.name == 'WAITING' for t in trials):
                trial = self.study.ask()  # first what somebody has put into Optuna's queue
            else:
                return None
            values = {key: _suggest(trial, key, kind) for key, kind in self._distributions.items()}
            trial.set_user_attr('worker', self._me)
            twins = (t for t in trials if t.params == values and t.number != trial.number)
            judged = ('COMPLETE', 'PRUNED')
            twin = next((t for t in twins if t.state.name in judged and t.value is not None), None)
            resumed = bool(found and found.user_attrs.get('folder'))
            return Claim(trial, trial.number, values, twin, resumed)

    def _left(self, trial: Any) -> bool:
        """Returns whether nobody works on a running trial; with the lock held, nobody begins to."""
        worker = trial.user_attrs.get('worker')
        if worker is None or worker['id'] == self._me['id']:  # a claim that the storage cut short
            return True
        if worker['place'] == self._me['place']:
            return not is_alive(worker)
        state, now = (worker['id'], trial.user_attrs.get('beat')), time.monotonic()
        known = self._seen.get(trial.number)
        if known is None or known[0] != state:
            self._seen[trial.number] = (state, now)
            return False
        return now - known[1] > GRACE_S

    def _is_deadly(self, trial: Any) -> bool:
        """Counts the death of the trial's worker; ends the trial where it is one too many."""
        worker = trial.user_attrs.get('worker')
        if worker is None or worker['id'] == self._me['id']:
            return False
        import optuna

        epochs = trial.user_attrs.get('epochs', 0)
        further = epochs > trial.user_attrs.get('epochs_at_death', 0)
        deaths = 1 if further else trial.user_attrs.get('deaths', 0) + 1
        opened = optuna.Trial(self.study, trial._trial_id)
        opened.set_user_attr('deaths', deaths)
        opened.set_user_attr('epochs_at_death', epochs)
        opened.set_user_attr('worker', None)
        if deaths < DEATHS:
            return False
        opened.set_user_attr('reason', f'{deaths} workers died in it, one after another')
        self._tell(opened, optuna.trial.TrialState.FAIL)
        return True

    def note(self, claim: Claim, **values: Any) -> None:
        """Writes user attributes on the trial."""

        def write():
            for key, value in values.items():
                claim.trial.set_user_attr(key, value)

        self.store.patiently(write)

    def report(self, claim: Claim, accuracy: float, step: int) -> bool:
        """Reports the accuracy after `step` members; whether the pruner would stop here.

        Raises:
          TakenOver: another worker has the trial.
        """

        def write():
            known = self._own(claim)
            if step not in known.intermediate_values:
                claim.trial.storage.set_trial_intermediate_value(known._trial_id, step, accuracy)
            if known.user_attrs.get('deaths'):
                claim.trial.set_user_attr('deaths', 0)
            known = self.study.get_trials(deepcopy=False)[claim.number]
            return self.study.pruner.prune(self.study, known)

        return self.store.patiently(write)

    def _own(self, claim: Claim) -> Any:
        """Reads the trial; TakenOver where it is another worker's, or was ended by one."""
        known = self.study.get_trials(deepcopy=False)[claim.number]
        worker = known.user_attrs.get('worker')
        if known.state.is_finished() or not worker or worker['id'] != self._me['id']:
            raise TakenOver
        return known

    def tell(self, claim: Claim, state: str, value: float | None = None, **notes: Any) -> None:
        """Ends the trial: state 'COMPLETE' with its value, 'PRUNED' or 'FAIL', and attributes.

        Raises:
          TakenOver: another worker has the trial, or has ended it.
        """
        from optuna.trial import TrialState

        told = False

        def write():
            nonlocal told
            with self.store.lock():
                if told and self.study.get_trials(deepcopy=False)[claim.number].state.is_finished():
                    return  # it was written, and the answer was lost
                self._own(claim)
                for key, text in notes.items():
                    claim.trial.set_user_attr(key, text)
                told = True
                self._tell(claim.trial, TrialState[state], value)

        self.store.patiently(write)

    def _tell(self, trial: Any, state: Any, value: float | None = None) -> None:
        import optuna

        # Optuna's grid sampler would stop an optimize() that is not there.
        self.study.sampler = optuna.samplers.RandomSampler()
        self.study.tell(trial, value, state)

    def release(self, claim: Claim) -> None:
        """Leaves an unfinished trial to the next worker at once."""

        def write():
            with self.store.lock():
                self._own(claim)
                claim.trial.set_user_attr('worker', None)

        try:
            self.store.patiently(write)
        except TakenOver:
            return


def _suggest(trial: Any, key: str, kind: Any) -> Any:
    """Suggests the trial's value of a key: what was proposed before, or a new proposal."""
    if hasattr(kind, 'choices'):
        return trial.suggest_categorical(key, kind.choices)
    suggest = trial.suggest_int if isinstance(kind.low, int) else trial.suggest_float
    return suggest(key, kind.low, kind.high, step=kind.step, log=kind.log)
