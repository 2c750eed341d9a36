"""Classifiers of clips that are fitted at once, without steps."""

import dataclasses
import pkgutil
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.config import bind
from fer_jax.data import views
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol
from fer_jax.errors import UserError
from fer_jax.evaluation import rules
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.features import FeatureSource
from fer_jax.experiment.records import Record
from fer_jax.training.members import Member, make_members

# `model.name` of a config -> the classifier, imported when a config names it.
CLASSIFIERS = {
    'averaging': 'fer_jax.kahou2015.fitting:Averaging',
    'svm': 'fer_jax.kahou2015.fitting:AggregatedSVM',
    'chi2_svm': 'fer_jax.kahou2015.fitting:ChiSquaredSVM',
}


class Classifier(typing.Protocol):
    """A classifier that a config's `model` names where nothing is trained by gradients."""

    def check(self, source: Sequence[str], clips: Sequence[str]) -> None:
        """Refuses (UserError) features of what knows such classes, for clips of such ones."""
        ...

    def fit(self, clips: ClipSet, member: Member) -> dict[str, np.ndarray]:
        """Fits on the member's training clips.

        Args:
          clips: whose frames are features float32 [clip, frame, ...].

        Returns:
          All that `predict` needs.
        """
        ...

    def predict(
        self, fitted: Mapping[str, np.ndarray], frames: np.ndarray, length: np.ndarray, classes: int
    ) -> np.ndarray:
        """Computes class probabilities float [clip, class].

        Args:
          fitted: from `fit`.
          frames: features float32 [clip, frame, ...].
          length: int [clip], frames before padding.
          classes: how many there are.
        """
        ...


def make(name: str, options: Mapping[str, Any]) -> Classifier:
    """Makes the classifier `name`, one of CLASSIFIERS; UserError for an unknown option."""
    return bind(pkgutil.resolve_name(CLASSIFIERS[name]), options, 'model')


@dataclasses.dataclass(frozen=True)
class ClassifierLearner:
    """Members that are fitted at once: one epoch, one member a fold. A `learners.Learner`."""

    classifier: Classifier

    epochs = 1
    seeds = 1
    retrain = False
    patience = 0
    equalize = 'none'  # features are taken of frames as they are

    def with_teachers(self, clip_source: ClipSource, classes: Sequence[str]) -> 'ClassifierLearner':
        """As of `learners.Learner`: nothing teaches them."""
        return self

    def check_source(self, source: FeatureSource | None, clips: ClipSet) -> None:
        """As of `learners.Learner`."""
        if source is None:
            raise UserError(
                'a classifier that is fitted at once learns from features, and the config names '
                'none: give it a section features, sound or activity'
            )
        self.classifier.check(source.classes, clips.classes)

    def members(
        self, protocol: Protocol, clips: ClipSet, *, fold: int, seeds: Sequence[int]
    ) -> list[Member]:
        """As of `learners.Learner`."""
        return make_members(protocol, clips, seeds=seeds, fold=fold)

    def views(self, member: Member, clips: ClipSet) -> tuple[str, views.Views]:
        """As of `learners.Learner`."""
        return 'none', views.identity(member.fold.train)

    def dry_run(self, members: Sequence[Member], clips: ClipSet) -> None:
        """As of `learners.Learner`: there is no step to trace."""

    def start(self, members: Sequence[Member], clips: ClipSet) -> list[Member]:
        """As of `learners.Learner`: nothing is started from."""
        return list(members)

    def origin(self, members: Sequence[Member], clips: ClipSet) -> dict[str, Any]:
        """As of `learners.Learner`."""
        return {}

    def train(
        self,
        members: Sequence[Member],
        clips: ClipSet,
        folder: Path,
        *,
        on_epoch: Callable[[Record], None],
        on_members_done: Callable[[Sequence[Record]], None],
    ) -> list[Record]:
        """As of `learners.Learner`; nothing is written to `folder`."""
        records: list[Record] = []
        for member in members:
            record = FittedRecord.of(self.classifier, member, clips)
            on_epoch(record)
            records.append(record)
        on_members_done(records)
        return records


@dataclasses.dataclass(frozen=True)
class FittedRecord:
    """The record that a fitted member leaves, as a trained one's: one epoch.

    Attributes:
      member: its fold.
      history: one row, with the columns of `training.record`.
      failed: as of a record; what is fitted at once does not diverge.
    """

    member: Member
    history: list[dict]
    _predicted: np.ndarray
    failed: int = 0

    @classmethod
    def of(cls, classifier: Classifier, member: Member, clips: ClipSet) -> 'FittedRecord':
        """Fits a member and scores its clips."""
        fitted = classifier.fit(clips, member)
        said = classifier.predict(fitted, clips.frames, clips.length, len(clips.classes))
        probabilities = said.astype(np.float32)  # float16 would make near ones equal
        row: dict[str, float] = {'epoch': 1}
        for part in ('train', 'validation', 'test'):
            own = getattr(member.fold, part)
            if len(own):
                correct, loss = rules.scores(probabilities[own][None], clips.label[own])
                row[f'{part}_loss'], row[f'{part}_accuracy'] = (
                    float(total[0]) / len(own) for total in (loss, correct)
                )
        return cls(member, [row], probabilities[member.evaluated][None])

    def best_epoch(self) -> int:
        """As of `Record`."""
        return 1

    def probabilities(self) -> np.ndarray:
        """Returns float32 [1, clip, class], clips as `member.evaluated`."""
        return self._predicted
