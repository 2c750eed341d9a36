"""Members' records: as a table of probabilities, and as metrics written while members train."""

import itertools
import typing
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_jax import atomic
from fer_jax.data import leaks
from fer_jax.data.clips import ClipSet
from fer_jax.evaluation.predictions import TEST, VALIDATION, Predictions
from fer_jax.training import processes
from fer_jax.training.members import Member
from fer_jax.training.record import COLUMNS


class Record(typing.Protocol):
    """The record of a member that has ended, as `training.record.MemberRecord` keeps it.

    Attributes:
      member: whose it is.
      history: a row of COLUMNS for each epoch.
      failed: the epoch in which it diverged; 0 where it did not.
    """

    @property
    def member(self) -> Member: ...

    @property
    def history(self) -> list[dict]: ...

    @property
    def failed(self) -> int: ...

    def best_epoch(self) -> int:
        """Returns the epoch, from 1, that the validation clips choose."""
        ...

    def probabilities(self) -> np.ndarray:
        """Returns float16 or float32 [epoch, clip, class], clips as `member.evaluated`."""
        ...


def collect(clips: ClipSet, members: Sequence[Member], records: Sequence[Record]) -> Predictions:
    """Collects the members' probabilities in one table over all clips that any was to judge.

    Args:
      members: all, by their index; those with the same fold and seed as one before were to be
        trained again.
      records: of the members that were trained; one without a record has diverged the first time.
    """
    evaluated = np.unique(np.concatenate([member.evaluated for member in members]))
    column = np.full(len(clips), -1)
    column[evaluated] = np.arange(len(evaluated))
    of = {record.member.index: record for record in records}
    first: dict[tuple[int, int], int] = {}
    retrained, failed = np.zeros(len(members), bool), np.zeros(len(members), np.int32)
    for i, member in enumerate(members):
        before = first.setdefault((member.fold_number, member.seed), i)
        retrained[i] = before != i
        failed[i] = of[i].failed if i in of else failed[before]
    epochs = np.array([len(of[i].history) if i in of else 0 for i in range(len(members))], np.int32)
    shape = (len(members), epochs.max(), len(evaluated), len(clips.classes))
    said = {i: of[i].probabilities() for i in range(len(members)) if not failed[i]}
    kind = np.result_type(*(each.dtype for each in said.values())) if said else np.float16
    probabilities = np.full(shape, np.nan, kind)
    part = np.zeros(shape[::2], np.int8)
    duplicate = np.zeros(shape[::2], np.int8)
    counts = np.zeros((len(members), len(clips.classes)), np.int64)
    groups = leaks.duplicates(clips)
    for i, member in enumerate(members):
        fold = member.fold
        duplicate[i] = leaks.duplicate_marks(groups, fold)[evaluated]
        counts[i] = np.bincount(clips.label[fold.train], minlength=len(clips.classes))
        if failed[i]:
            continue
        by_clip = said[i].swapaxes(0, 1)
        probabilities[i, : epochs[i], column[member.evaluated]] = by_clip
        part[i, column[fold.validation]], part[i, column[fold.test]] = VALIDATION, TEST
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
        retrained=retrained,
        failed=failed,
        **({} if clips.target is None else {'target': clips.target[evaluated]}),
    )


class Journal:
    """metrics.csv, rewritten whole, and TensorBoard events, while members train.

    Of several processes the first alone writes.
    """

    def __init__(self, folder: Path, members: Sequence[Member]):
        self._path = folder / 'metrics.csv'
        self._folder = folder
        self._lines = {member.index: [] for member in members}

    def __enter__(self) -> 'Journal':
        if not processes.is_first():
            return self
        from tensorboardX import SummaryWriter  # takes seconds to import

        self._events = SummaryWriter(str(self._folder))
        return self

    def __exit__(self, *error) -> None:
        if processes.is_first():
            self._events.close()

    def write(self, record: Record) -> None:
        """Takes over what a member's history has gained."""
        if not processes.is_first():
            return
        member = record.member
        known = self._lines[member.index]
        for row in record.history[len(known) :]:
            for name in COLUMNS[1:]:
                if name in row:
                    tag = f'member-{member.index:03}/{name}'
                    self._events.add_scalar(tag, row[name], row['epoch'])
            values = (member.index, member.fold_number, member.seed)
            values += tuple(row.get(name, '') for name in COLUMNS)
            known.append(','.join(map(str, values)))
        lines = [','.join(('member', 'fold', 'seed', *COLUMNS))]
        lines += itertools.chain.from_iterable(self._lines.values())
        atomic.write_text(self._path, '\n'.join(lines) + '\n')
