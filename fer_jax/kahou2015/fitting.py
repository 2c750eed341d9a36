"""Classifiers of clips that are fitted at once, without steps, on what a network says of frames."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.kahou2015 import bins, svm
from fer_jax.training.members import Member


@dataclasses.dataclass(frozen=True)
class Averaging:
    """The mean of the frames' probabilities (kahou2015, sec. 2.3): nothing is fitted."""

    def check(self, source: Sequence[str], clips: Sequence[str]) -> None:
        """As of `Classifier`: both must be the same, in any order."""
        if sorted(source) != sorted(clips):
            raise UserError(
                f'averaging: the network of features.run knows {", ".join(source)}, the clips '
                f'are {", ".join(clips)}: both must have the same classes'
            )

    def fit(self, clips: ClipSet, member: Member) -> dict[str, np.ndarray]:
        """As of `Classifier`; the features are logits of the clips' classes, in their order."""
        if clips.frames.shape[2:] != (len(clips.classes),):
            raise UserError(
                f'averaging takes {len(clips.classes)} logits of a frame, one for each class of '
                f'{clips.name}, not values of shape {clips.frames.shape[2:]}: give '
                '--config.features.layer=logits'
            )
        return {}

    def predict(
        self, fitted: Mapping[str, np.ndarray], frames: np.ndarray, length: np.ndarray, classes: int
    ) -> np.ndarray:
        """As of `Classifier`."""
        return bins.average_probabilities(frames, length)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AggregatedSVM:
    """Frames averaged in bins, an SVM behind them (kahou2015, sec. 2.3: with RBF kernel).

    Attributes:
      bins: k of the paper.
      kernel, scale: as of `svm.fit`.
    """

    bins: int = 15
    kernel: str = 'rbf'
    scale: bool = True

    def __post_init__(self):
        if self.kernel not in svm.KERNELS:
            raise UserError(f"model.kernel is '{self.kernel}': one of {', '.join(svm.KERNELS)}")

    def check(self, source: Sequence[str], clips: Sequence[str]) -> None:
        """As of `Classifier`: any features will do."""

    def fit(self, clips: ClipSet, member: Member) -> dict[str, np.ndarray]:
        """As of `Classifier`."""
        train = member.fold.train
        values = bins.aggregate(clips.frames[train], clips.length[train], self.bins)
        machine = svm.fit(
            values,
            clips.label[train],
            clips.subject[train],
            kernel=self.kernel,
            scale=self.scale,
            seed=member.seed,
        )
        _say(machine, member)
        return machine.arrays()

    def predict(
        self, fitted: Mapping[str, np.ndarray], frames: np.ndarray, length: np.ndarray, classes: int
    ) -> np.ndarray:
        """As of `Classifier`."""
        values = bins.aggregate(frames, length, self.bins)
        return svm.Machine.load(fitted).probabilities(values, classes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChiSquaredSVM:
    """An SVM with chi-squared kernel on histograms (kahou2015, sec. 4).

    Attributes:
      penalty: C; 100 in the authors' code, the paper gives none.
    """

    penalty: float = 100.0

    def check(self, source: Sequence[str], clips: Sequence[str]) -> None:
        """As of `Classifier`: any histograms will do."""

    def fit(self, clips: ClipSet, member: Member) -> dict[str, np.ndarray]:
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
        return machine.arrays()

    def predict(
        self, fitted: Mapping[str, np.ndarray], frames: np.ndarray, length: np.ndarray, classes: int
    ) -> np.ndarray:
        """As of `Classifier`."""
        values = frames.reshape(len(frames), -1).astype(np.float64)
        return svm.Machine.load(fitted).probabilities(values, classes)


def _say(machine: svm.Machine, member: Member) -> None:
    """Prints what a member's machine is."""
    print(
        f'fold {member.fold_number}: C {machine.penalty:g}, gamma {machine.gamma:g}, inner '
        f'accuracy {100 * machine.accuracy:.1f} %',
        flush=True,
    )
