"""Workers: whether the one that had a trial still lives."""

import os
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_jax.sweep.storage import Store

HEARTBEAT_S = 20.0
# Without a beat for so long nothing is written any more: well below ledger.GRACE_S.
SILENT_S = 150.0


class Heartbeat:
    """A thread that says, while the block runs, that the worker lives.

    A storage that is away is passed over: the worker says so when it needs it, see `assure`.

    Attributes:
      epochs: trained by now, of all members together; written where they are more than ever.
      taken_over: another worker has the trial, or has ended it, and nothing is said any more.
    """

    def __init__(self, store: Store, trial: Any):
        self._store, self._trial = store, trial
        self._worker = trial.user_attrs['worker']['id']
        self.epochs = 0
        self.taken_over = False
        self._count, self._said = 0, time.monotonic()  # of the last beat that was written
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> 'Heartbeat':
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._end.set()
        self._thread.join()

    def assure(self) -> None:
        """Waits, after SILENT_S without a beat, until one is written or `taken_over` is known.

        Raises:
          Lost: the storage has been away for too long.
        """

        def say():
            with self._store.lock():  # nobody takes the trial over between the look and the beat
                self._say()

        if time.monotonic() - self._said > SILENT_S:
            self._store.patiently(say)

    def _beat(self) -> None:
        while True:
            try:
                self._say()
            except Exception as error:
                if not self._store.is_away(error):
                    raise
            if self.taken_over or self._end.wait(HEARTBEAT_S):
                return

    def _say(self) -> None:
        """Writes one beat, unless another worker has the trial or has ended it."""
        from optuna.exceptions import UpdateFinishedTrialError

        begun = time.monotonic()
        self._count += 1
        try:
            known = self._trial.storage.get_trial(self._trial._trial_id)
            self.taken_over = (known.user_attrs.get('worker') or {}).get('id') != self._worker
            if self.taken_over:
                return
            self._trial.set_user_attr('beat', self._count)
            if self.epochs > known.user_attrs.get('epochs', 0):
                self._trial.set_user_attr('epochs', self.epochs)
        except UpdateFinishedTrialError:  # another worker took it over and ended it
            self.taken_over = True
            return
        self._said = begun


def this_process() -> dict[str, Any]:
    """This process among those of its host, and the host: boot and process namespace."""
    parts = [socket.gethostname()]
    for read in (
        lambda: Path('/proc/sys/kernel/random/boot_id').read_text().strip(),
        lambda: os.readlink('/proc/self/ns/pid'),
    ):
        try:
            parts.append(read())
        except OSError:  # not Linux: no other host has this one's name
            continue
    return {'place': ' '.join(parts), 'pid': os.getpid(), 'begun': _begun(os.getpid())}


def _begun(pid: int) -> str | None:
    """Reads when a process began, in the system's ticks; None: it ended, or nothing says so."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except OSError:
        return None
    return None if fields[0] in 'ZX' else fields[19]


def is_alive(worker: Mapping[str, Any]) -> bool:
    """Returns whether a worker of this host runs, and no other process has its number."""
    try:
        os.kill(worker['pid'], 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user; where /proc hides those, the worker may be one
        return _begun(worker['pid']) in (None, worker['begun'])
    return _begun(worker['pid']) == worker['begun']
