"""Classifiers of clips that are fitted at once, without steps, and what they leave."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from fer_jax.data.clips import ClipSet
from fer_jax.evaluation import rules
from fer_jax.training.members import Member


class Classifier(Protocol):
    """What a config's `model` names where nothing is trained by gradients."""

    def check(self, network: Sequence[str], clips: Sequence[str]) -> None:
        """Refuses (UserError) the features of a network of such classes for clips of such ones."""

    def judge(self, clips: ClipSet, member: Member) -> np.ndarray:
        """Class probabilities float [clip, class] of all clips, fitted on the training ones.

        Args:
          clips: whose frames are features float32 [clip, frame, ...].
        """


@dataclasses.dataclass(frozen=True)
class FittedRecord:
    """What a fitted member leaves, as a trained one's record: one epoch.

    Attributes:
      member: its fold.
      history: one row, with the columns of `training.record`.
      failed: as of a record; what is fitted at once does not diverge.
    """

    member: Member
    history: list[dict]
    _judged: np.ndarray
    failed: int = 0

    @classmethod
    def of(cls, classifier: Classifier, member: Member, clips: ClipSet) -> 'FittedRecord':
        """Fits a member and judges its training, validation and test clips."""
        probabilities = classifier.judge(clips, member).astype(np.float16)
        row = {'epoch': 1}
        for part in ('train', 'validation', 'test'):
            own = getattr(member.fold, part)
            if len(own):
                said = probabilities[own][None].astype(np.float32)
                correct, loss = rules.scores(said, clips.label[own])
                row[f'{part}_loss'], row[f'{part}_accuracy'] = (
                    float(total[0]) / len(own) for total in (loss, correct)
                )
        return cls(member, [row], probabilities[member.evaluated][None])

    def probabilities(self) -> np.ndarray:
        """float16 [1, clip, class], clips as `member.evaluated`."""
        return self._judged
