"""Giving a trial up when its remaining folds can no longer bring it to the threshold: exactly.

The paper prunes trials that "will yield" a leave-one-subject-out accuracy below 96.5 %
(haddad2020, sec. 3.3). Nothing is extrapolated here: a trial is given up when even without another
error it would end below. For CK+ that is after 12 errors in 327 clips, or where the errors of the
subjects, as shares of their clips, sum to more than 0.035 x 118 = 4.13.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import numpy as np

from fer_jax.evaluation import rules
from fer_jax.experiment.records import Record
from fer_jax.training.members import Member


class Tally:
    """Right and wrong judgements of the members that have ended, and what may still come.

    A judgement is one member and one clip that it judges. All arithmetic is in whole numbers and
    fractions, so that a bound that is met exactly is met.

    Attributes:
      accuracy: 'pooled_accuracy' or 'subject_accuracy'.
      total, right: {group: judgements}: how many there will be, how many were right so far. The
        groups are the subjects, or one for all clips.
      judged: {group: judgements} so far.
      finished: members that have ended.
    """

    def __init__(self, accuracy: str, groups: Mapping[int, Sequence[str]]):
        """Counts what will be judged: `groups` is {member: the subject of each of its clips}."""
        self.accuracy = accuracy
        self._groups = {
            member: [name if accuracy == 'subject_accuracy' else '' for name in names]
            for member, names in groups.items()
        }
        self.total = Counter(name for names in self._groups.values() for name in names)
        self.right = dict.fromkeys(self.total, 0)
        self.judged = dict.fromkeys(self.total, 0)
        self.finished: set[int] = set()

    @property
    def members(self) -> int:
        """Returns how many members there are."""
        return len(self._groups)

    def add(self, member: int, correct: Iterable[bool]) -> None:
        """Counts a member that has ended: whether each of its clips was right, in order."""
        if member in self.finished:
            return
        self.finished.add(member)
        for name, right in zip(self._groups[member], correct, strict=True):
            self.judged[name] += 1
            self.right[name] += bool(right)

    def so_far(self) -> Fraction:
        """Returns the accuracy of what has been judged; of subjects, those of whom anything has."""
        return _mean({n: (self.right[n], self.judged[n]) for n in self.total if self.judged[n]})

    def at_best(self) -> Fraction:
        """Returns the accuracy if every judgement still to come is right."""
        return _mean(
            {
                name: (self.right[name] + total - self.judged[name], total)
                for name, total in self.total.items()
            }
        )

    def is_lost(self, threshold: float) -> bool:
        """Returns whether no outcome of the members to come reaches the threshold (0 to 1)."""
        return self.at_best() < Fraction(str(threshold))


def _mean(shares: Mapping[str, tuple[int, int]]) -> Fraction:
    return sum((Fraction(*share) for share in shares.values()), Fraction()) / len(shares)


def correct(record: Record, label: np.ndarray) -> np.ndarray:
    """Marks the test clips that an ended member gets right at its best epoch, bool [clip].

    The epoch is that of the rule `test_best_fold`: in a trial of a nested search, whose test part
    is the fold's inner validation clips, the one that `val_best` chooses in the run that is trained
    again; in one that chooses on the test folds, haddad2020's.

    Args:
      label: int [clip], of the whole dataset.
    """
    fold = record.member.fold
    probabilities = record.probabilities()[:, len(fold.validation) :].astype(np.float32)
    label = label[fold.test]
    best = rules.best_epoch(*rules.scores(probabilities, label))
    return probabilities[best].argmax(-1) == label


def tally(accuracy: str, members: Sequence[Member], subject: np.ndarray) -> Tally:
    """Makes the empty tally of a run's members.

    Args:
      subject: str [clip], of the whole dataset.
    """
    groups = {member.index: subject[member.fold.test].tolist() for member in members}
    return Tally(accuracy, groups)
