"""Classifiers of clips that are fitted at once, without steps, on what a network says of frames."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from fer_jax.config import bind
from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.evaluation import rules
from fer_jax.multimodal import bins, svm
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
class Averaging:
    """The mean of the frames' probabilities (kahou2015, sec. 2.3): nothing is fitted."""

    def check(self, network: Sequence[str], clips: Sequence[str]) -> None:
        """As of `Classifier`: both must be the same, in any order."""
        if sorted(network) != sorted(clips):
            raise UserError(
                f'averaging: the network of features.run knows {", ".join(network)}, the clips '
                f'are {", ".join(clips)}: both must have the same classes'
            )

    def judge(self, clips: ClipSet, member: Member) -> np.ndarray:
        """As of `Classifier`; the features are logits of the clips' classes, in their order."""
        if clips.frames.shape[2:] != (len(clips.classes),):
            raise UserError(
                f'averaging takes {len(clips.classes)} logits of a frame, one for each class of '
                f'{clips.name}, not values of shape {clips.frames.shape[2:]}: give '
                '--config.features.layer=logits'
            )
        return bins.average_probabilities(clips.frames, clips.length)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AggregatedSVM:
    """Frames averaged in bins, an SVM with RBF kernel behind them (kahou2015, sec. 2.3).

    Attributes:
      bins: k of the paper.
    """

    bins: int = 15

    def __post_init__(self):
        if self.bins < 1:
            raise UserError(f'model.bins is {self.bins}: give at least 1')

    def check(self, network: Sequence[str], clips: Sequence[str]) -> None:
        """As of `Classifier`: any features will do."""

    def judge(self, clips: ClipSet, member: Member) -> np.ndarray:
        """As of `Classifier`."""
        values = bins.aggregate(clips.frames, clips.length, self.bins)
        train = member.fold.train
        machine = svm.fit(values[train], clips.label[train], clips.subject[train], seed=member.seed)
        _say(machine, member)
        return machine.probabilities(values, len(clips.classes))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChiSquaredSVM:
    """An SVM with chi-squared kernel on histograms (kahou2015, sec. 4).

    Attributes:
      penalty: C; 100 in the authors' code, the paper gives none.
    """

    penalty: float = 100.0

    def __post_init__(self):
        if self.penalty <= 0:
            raise UserError(f'model.penalty is {self.penalty:g}: give more than 0')

    def check(self, network: Sequence[str], clips: Sequence[str]) -> None:
        """As of `Classifier`: any histograms will do."""

    def judge(self, clips: ClipSet, member: Member) -> np.ndarray:
        """As of `Classifier`; the features are histograms of clips of one frame."""
        values = clips.frames.reshape(len(clips), -1).astype(np.float64)
        if values.min() < 0:
            raise UserError(
                'chi2_svm takes histograms, and there are values below 0: give another --config.'
                'model.name'
            )
        train = member.fold.train
        machine = svm.fit_chi2(
            values[train],
            clips.label[train],
            clips.subject[train],
            penalty=self.penalty,
            seed=member.seed,
        )
        _say(machine, member)
        return machine.probabilities(values, len(clips.classes))


CLASSIFIERS = {'averaging': Averaging, 'svm': AggregatedSVM, 'chi2_svm': ChiSquaredSVM}


def build(name: str, **options: Any) -> Classifier:
    """The classifier `name` with its options; UserError for an unknown one of either."""
    if name not in CLASSIFIERS:
        raise UserError(f"model.name is '{name}': one of {', '.join(CLASSIFIERS)}")
    return bind(CLASSIFIERS[name], options, 'model')


def _say(machine: svm.Machine, member: Member) -> None:
    """Prints what a member's machine is."""
    print(
        f'fold {member.fold_number}: C {machine.penalty:g}, gamma {machine.gamma:g}, inner '
        f'accuracy {100 * machine.accuracy:.1f} %',
        flush=True,
    )


@dataclasses.dataclass(frozen=True)
class Outcome:
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
    def of(cls, classifier: Classifier, member: Member, clips: ClipSet) -> 'Outcome':
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
