"""study.json: all that is known of a study, so that its page needs neither storage nor Optuna."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_jax import atomic
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir

if TYPE_CHECKING:
    from fer_jax.sweep.ledger import Ledger
    from fer_jax.sweep.trial import StudyPlan

NAME = 'study.json'
# What the folder records itself to be (fer_jax.reports.kinds).
KIND = 'sweep'
STATES = {'COMPLETE': 'done', 'PRUNED': 'pruned', 'FAIL': 'failed', 'RUNNING': 'running'}
# The rate is that of the last so many trials: workers come and go.
RECENT = 20
# What the file holds once a trial has begun.
_KEYS = {
    'study': str, 'stamps': list, 'plan': dict, 'total': int, 'importances': dict, 'trials': list,
}  # fmt: skip
_TRIAL_KEYS = {
    *(
        'number',
        'state',
        'value',
        'params',
        'members',
        'reason',
        'folder',
        'begun',
        'ended',
        'host',
    ),
}


def check_place(workdir: Path, ledger: 'Ledger') -> None:
    """Refuses a folder that holds another study, or something else; makes a new one.

    Raises:
      UserError: the message names what it holds.
    """
    with ledger.store.lock():  # workers begin together, and one makes the folder
        _check_place(workdir, ledger)


def _check_place(workdir: Path, ledger: 'Ledger') -> None:
    path, kind = workdir / NAME, rundir.kind_of(workdir)
    if kind not in (None, KIND):
        raise UserError(f'{workdir} is no sweep, it holds {kind}: give another --workdir')
    if path.exists():
        known = rundir.read_json(path)
        if known.get('identity') != ledger.identity:
            raise UserError(
                f'{workdir} holds another study ({known.get("study")} of '
                f'{known.get("storage")}): give another --workdir'
            )
    elif kind is None and not atomic.is_free(workdir):
        raise UserError(f'{workdir} is no study and not empty: give another --workdir')
    else:
        rundir.write_kind(workdir, KIND)
        about = {'study': ledger.name, 'storage': ledger.store.address}
        atomic.write_json(path, {**about, 'identity': ledger.identity, 'trials': []})


def take(search: 'StudyPlan', ledger: 'Ledger') -> dict[str, Any]:
    """Takes down the study as it stands, as JSON.

    Keys: study, storage, identity, stamps, plan, total; importances {key: share of the variance}
    where enough trials are done; trials, each with number, state (STATES), value, params, members
    (that have ended), reason, folder, begun, ended (ISO), host.
    """
    trials = []
    for found in ledger.trials():
        attrs = found.user_attrs
        trials.append(
            {
                'number': found.number,
                'state': STATES.get(found.state.name, 'waiting'),
                'value': found.value,
                'params': found.params,
                'members': found.last_step or 0,
                'reason': attrs.get('reason'),
                'folder': attrs.get('folder'),
                'begun': _iso(found.datetime_start),
                'ended': _iso(found.datetime_complete),
                'host': (attrs.get('worker') or {}).get('host'),
            }
        )
    return {
        'study': ledger.name,
        'storage': ledger.store.address,
        'identity': ledger.identity,
        'stamps': list(search.stamps),
        'config': search.config.name,
        'plan': search.plan(),
        'total': ledger.total,
        'importances': ledger.store.patiently(lambda: _importances(ledger)),
        'trials': trials,
    }


def _iso(moment: datetime.datetime | None) -> str | None:
    return moment and moment.isoformat(timespec='seconds')


def _importances(ledger: 'Ledger') -> dict[str, float]:
    """Computes what each key explains of the done trials' variance (fANOVA); {}: unknown."""
    import optuna

    done = [trial for trial in ledger.trials() if trial.state.name == 'COMPLETE']
    if len(done) < 4 or len({trial.value for trial in done}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(ledger.study, evaluator=evaluator)


def load(workdir: Path) -> dict[str, Any]:
    """Reads study.json.

    Raises:
      UserError: it is missing or damaged, or no trial has begun.
    """
    values = rundir.read_json(workdir / NAME)
    if 'plan' not in values:
        raise UserError(f'{workdir}: no trial of the study {values.get("study")} has ended yet')
    path = workdir / NAME
    rundir.check_kinds(path, values, _KEYS)
    for number, trial in enumerate(values['trials']):
        if not isinstance(trial, dict) or not _TRIAL_KEYS <= set(trial):
            raise UserError(
                f'{path}: trial {number} lacks one of {", ".join(sorted(_TRIAL_KEYS))}: start the '
                'sweep again, which writes the file anew'
            )
    return values


def best(trials: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Finds the done trial of highest value, of equals the first."""
    done = [trial for trial in trials if trial['state'] == 'done']
    return max(done, key=lambda trial: trial['value'], default=None)


def status(ledger: 'Ledger') -> str:
    """Writes one line: trials by state, the best so far, rate and time left."""
    trials = ledger.trials()
    counts = dict.fromkeys(STATES.values(), 0)
    for trial in trials:
        counts[STATES.get(trial.state.name, 'running')] += 1
    said = ', '.join(f'{count} {state}' for state, count in counts.items())
    line = f'{ledger.name}: {said} of {ledger.total}'
    done = [trial for trial in trials if trial.state.name == 'COMPLETE']
    if done:
        first = max(done, key=lambda trial: trial.value)
        line += f'; best {100 * first.value:.2f} % (trial {first.number})'
    ended = [trial for trial in trials if trial.state.is_finished() and trial.datetime_start]
    recent = sorted(ended, key=lambda trial: trial.datetime_complete)[-RECENT:]
    if recent:
        begun = min(trial.datetime_start for trial in recent)
        seconds = max((recent[-1].datetime_complete - begun).total_seconds(), 1.0)
        rate = len(recent) / seconds
        left = max(ledger.total - len(ended), 0) / rate
        line += f'; {3600 * rate:.3g} trials/h, {datetime.timedelta(seconds=round(left))} left'
    return line


def text(values: Mapping[str, Any]) -> str:
    """Formats the study for a terminal."""
    trials = values['trials']
    lines = [f'*** {stamp} ***' for stamp in values['stamps']]
    counts = [(state, sum(t['state'] == state for t in trials)) for state in STATES.values()]
    lines.append(
        f'{values["study"]}: ' + ', '.join(f'{n} {state}' for state, n in counts if n)
        + f' of {values["total"]} trials'
    )  # fmt: skip
    found = best(trials)
    if found is None:
        return '\n'.join([*lines, 'no trial was trained to its end'])
    lines.append(f'best: trial {found["number"]}, {100 * found["value"]:.2f} %')
    lines += [f'  {key:<28}{value}' for key, value in found['params'].items()]
    if values['importances']:
        lines.append('share of the variance of the done trials (fANOVA):')
        lines += [f'  {k:<28}{100 * share:.0f} %' for k, share in values['importances'].items()]
    return '\n'.join(lines)
