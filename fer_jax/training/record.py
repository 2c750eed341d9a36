"""One member's files on the disk while it trains: probabilities, history, checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic
from fer_jax.errors import UserError
from fer_jax.evaluation import rules
from fer_jax.training import processes
from fer_jax.training.checkpoint import MemberCheckpoints
from fer_jax.training.members import Member

COLUMNS = (
    'epoch', 'learning_rate', 'train_loss', 'train_accuracy',
    'validation_loss', 'validation_accuracy', 'test_loss', 'test_accuracy',
)  # fmt: skip

_AGAIN = 'delete this folder of the member and start the same command again'
_ROUNDING = 0.02  # of a sum of float16 probabilities


class MemberRecord:
    """One member's history and its probabilities of every epoch, in its folder of `checkpoints/`.

    Probabilities lie in a file of fixed size that is written in place: an epoch that is trained
    again after a resumption writes the same values. The history travels in the checkpoint, so it
    always fits the state.

    Attributes:
      last_epoch: where the member ends at the latest.
      history: one dict of COLUMNS for each finished epoch.
      failed: the epoch in which it diverged; 0 where it did not.
    """

    def __init__(self, member: Member, label: np.ndarray, classes: int, epochs: int, folder: Path,
                 patience: int = 0):  # fmt: skip
        self.member = member
        self.last_epoch = min(member.stop_after or epochs, epochs)
        self.checkpoints = MemberCheckpoints(folder)
        self.history: list[dict[str, Any]] = []
        self.failed, self._patience = 0, patience
        self._path = folder / 'probabilities.npy'
        self._label = label[member.evaluated]
        shape = (epochs, len(self._label), classes)
        self._on_disk = _file(self._path, shape) if processes.is_first() else None
        # The first process keeps what others only look at once.
        self._probabilities = (
            np.full(shape, np.nan, np.float16) if self._on_disk is None else self._on_disk
        )

    def add_epoch(
        self, learning_rate: float, loss: float, accuracy: float, probabilities: np.ndarray
    ) -> dict | None:
        """Adds a finished epoch, or ends the member where a number in it is not finite.

        Args:
          learning_rate: of the epoch's last step.
          loss, accuracy: of the training clips as the network saw them, augmentation and dropout
            included.
          probabilities: float32 [clip, class] of the evaluated clips.

        Returns:
          The epoch's row of the history; None where the member has diverged.
        """
        epoch = len(self.history) + 1
        if not (np.isfinite(loss) and np.isfinite(probabilities).all()):
            self.failed = epoch
            return None
        self._probabilities[epoch - 1] = probabilities
        row: dict[str, Any] = dict(
            zip(COLUMNS, (epoch, learning_rate, loss, accuracy), strict=False)
        )
        part_of = np.arange(len(self._label)) < len(self.member.fold.validation)
        for part, rows in (('validation', part_of), ('test', ~part_of)):
            if rows.any():
                saved = self._probabilities[epoch - 1 : epoch, rows].astype(np.float32)
                correct, total = rules.scores(saved, self._label[rows])
                row[f'{part}_loss'], row[f'{part}_accuracy'] = (
                    float(x[0]) / rows.sum() for x in (total, correct)
                )
        self.history.append(row)
        return row

    @property
    def stopped(self) -> bool:
        """Tells whether the member has ended: diverged, at its last epoch, or out of patience.

        Patience counts from the epoch that the validation clips choose, in the trials of a search,
        too, whose test part they are. It follows from the history alone, so that a member which
        ended at its last epoch goes on where it is given more of them.
        """
        done = len(self.history)
        if self.failed or done >= self.last_epoch:
            return True
        if not (self._patience and done):
            return False
        part = 'test' if self.member.fold.inner else 'validation'
        return done - self._best_epoch(part) >= self._patience

    def best_epoch(self) -> int:
        """Returns the epoch, from 1, that the validation clips choose; else the last."""
        return self._best_epoch('validation')

    def _best_epoch(self, part: str) -> int:
        if f'{part}_accuracy' not in self.history[-1]:
            return len(self.history)
        accuracy, loss = (
            np.array([row[f'{part}_{name}'] for row in self.history])
            for name in ('accuracy', 'loss')
        )
        return 1 + rules.best_epoch(accuracy, loss)

    def probabilities(self) -> np.ndarray:
        """Returns float16 [epoch, clip, class] of the epochs run, clips as `member.evaluated`."""
        return np.array(self._probabilities[: len(self.history)])

    def flush(self) -> None:
        """Puts the probabilities on the disk: before a checkpoint that counts them as done."""
        if self._on_disk is not None:
            self._on_disk.flush()

    def as_json(self, sums: list[float], finished: bool) -> dict:
        """Returns what a checkpoint keeps besides the state: history, sums of an epoch cut short.

        The history is copied: a checkpoint is written in the background while epochs are added.
        """
        return {
            'history': list(self.history),
            'failed': self.failed,
            'sums': sums,
            'finished': finished,
        }

    def restore(self, saved: dict) -> None:
        """Takes over a checkpoint's history.

        Raises:
          UserError: the probabilities of its epochs are not in their file.
        """
        self.history, self.failed = list(saved['history']), saved['failed']

        if not processes.is_first():
            return
        sums = self.probabilities().sum(axis=2, dtype=np.float32)
        wrong = np.flatnonzero(~(np.abs(sums - 1) < _ROUNDING).all(axis=1))
        if len(wrong):
            raise UserError(
                f'{self._path.parent}: {self._path.name} lacks epoch {wrong[0] + 1}, which the '
                f'checkpoints count as done: {_AGAIN}'
            )

    def finished(self) -> bool:
        """Returns whether the newest checkpoint is the last; takes over its history if so.

        The last of a run of fewer epochs is not.
        """
        positions = self.checkpoints.positions()
        saved = self.checkpoints.record(positions[-1]) if positions else None
        if not saved or not saved['finished']:
            return False
        self.restore(saved)
        return self.stopped


def _file(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """Opens a file of float16 of that shape that is written in place; NaN where it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        new = np.lib.format.open_memmap(path, mode='w+', dtype=np.float16, shape=shape)
        try:
            atomic.reserve(path, path.stat().st_size)
        except OSError:
            path.unlink()
            raise
        new[:] = np.nan
        return new
    try:
        known = np.load(path, mmap_mode='r')  # opened for writing, a short file would be filled up
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f'{path.parent}: {path.name} is damaged ({error}): {_AGAIN}') from error
    if (known.shape, known.dtype) != (shape, np.float16):
        raise UserError(
            f'{path.parent}: {path.name} holds {known.dtype}{list(known.shape)}, not '
            f'float16{list(shape)}: {_AGAIN}'
        )
    return np.lib.format.open_memmap(path, mode='r+')
