"""One worker of a study: it takes trials until there are none."""

import time
from pathlib import Path

import jax

from fer_jax import atomic
from fer_jax.errors import UserError
from fer_jax.sweep import snapshot, study_page, trial
from fer_jax.sweep.ledger import Ledger

POLL_S = 5.0  # of a worker that waits for others


def work(search: trial.StudyPlan, ledger: Ledger, workdir: Path, data_dir: Path) -> None:
    """Takes trials until there are none, then draws the study's page.

    Raises:
      UserError: the system refuses study.json or a file of the page.
    """
    for stamp in search.stamps:
        print(f'note: {stamp}', flush=True)
    said = ''
    while True:
        claim = ledger.claim()
        status = snapshot.status(ledger)
        if status != said:
            print(status, flush=True)
            said = status
        if claim is None:
            if ledger.finished():
                break
            time.sleep(POLL_S)  # others still train: one of them may die
            continue
        again = ', from where another worker left it' * claim.resumed
        values = ', '.join(f'{key}={value}' for key, value in claim.values.items())
        print(f'trial {claim.number}{again}: {values}', flush=True)
        print(trial.run(search, ledger, claim, workdir, data_dir), flush=True)
        jax.clear_caches()  # programs of other structures would pile up
        _write(search, ledger, workdir)
    print(_write(search, ledger, workdir, page=True))


def _write(search: trial.StudyPlan, ledger: Ledger, workdir: Path, *, page: bool = False) -> str:
    """Writes study.json, and draws the page where asked: one worker at a time.

    Returns:
      What is to be said of the page; '' without one.

    Raises:
      UserError: the system refuses a file.
    """

    def write():
        with ledger.store.lock():  # else what was taken earlier might replace what is newer
            values = snapshot.take(search, ledger)
            try:
                atomic.write_json(workdir / snapshot.NAME, values)
                if not page:
                    return ''
                return f'\n{snapshot.text(values)}\n\n{study_page.write(values, workdir)}'
            except OSError as error:  # of the folder: waiting for the storage would not help
                said = atomic.refusal(error) or f'{error}; start the same command again'
                raise UserError(f'the state of the study is not written: {said}') from error

    return ledger.store.patiently(write)
