"""AFEW's clips, and the parts of them that the models of kahou2015 learn from (sec. 6.3)."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_jax.data import leaks
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Fold, Protocol
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.members import Data
from fer_jax.experiment.sections import Sections
from fer_jax.kahou2015.submissions import SUBMISSIONS, TRAIN, VALIDATION, within


class Training(NamedTuple):
    """The parts that one network of a model learns from.

    Attributes:
      fit: the parts that train it.
      stop: the parts that choose its epoch; none where it is trained again for as many epochs.
      keeps: number of the training whose epochs are kept; -1 for none.
    """

    fit: tuple[str, ...]
    stop: tuple[str, ...] = ()
    keeps: int = -1


# What the submissions of Table 2 train on. A model without epochs is the same after 2 and 3.
TRAININGS = (
    Training((TRAIN,), (VALIDATION,)),
    Training((VALIDATION,), (TRAIN,)),
    Training((TRAIN, VALIDATION), keeps=0),
    Training((TRAIN, VALIDATION), keeps=1),
)


def training_of(number: int) -> int:
    """Returns which of TRAININGS the models of a submission (1 to 6) had."""
    submission = SUBMISSIONS[number]
    kept = SUBMISSIONS[submission.keeps].fit if submission.keeps else ()
    return next(
        index
        for index, training in enumerate(TRAININGS)
        if training.fit == submission.fit
        and kept == (() if training.keeps < 0 else TRAININGS[training.keeps].fit)
    )


@dataclasses.dataclass(frozen=True)
class ClipTable:
    """All clips of AFEW, of all parts, whatever each model can say of them.

    Attributes:
      clip_id, split: str [clip]; ids ascend.
      label: int [clip], -1 where the owners keep it.
      truth: int [clip], the label of every clip where it is known: of simulated test clips too,
        which only judge; else as `label`.
      classes: what labels index.
      simulated: the clips are drawn.
    """

    clip_id: np.ndarray
    split: np.ndarray
    label: np.ndarray
    truth: np.ndarray
    classes: tuple[str, ...]
    simulated: bool

    @classmethod
    def of(cls, clips: ClipSet, hidden: dict[str, str]) -> 'ClipTable':
        """Makes the table of all clips.

        Args:
          clips: all, with those that have no label.
          hidden: {clip id: class} of clips whose label the release does not tell.

        Raises:
          UserError: no training or no validation clips.
        """
        for part in (TRAIN, VALIDATION):
            within(clips.split, (part,))
        truth = clips.label.astype(np.int64)
        for row, clip_id in enumerate(clips.clip_id.tolist()):
            if truth[row] < 0 and clip_id in hidden:
                truth[row] = clips.classes.index(hidden[clip_id])
        label = clips.label.astype(np.int64)
        return cls(clips.clip_id, clips.split, label, truth, clips.classes, clips.simulated)

    @property
    def stamps(self) -> tuple[str, ...]:
        """Returns what must be known before a number is believed."""
        return (rundir.SIMULATED,) * self.simulated + (leaks.SUBJECTS_UNKNOWN,)

    def part(self, *names: str) -> np.ndarray:
        """Returns the indices of the clips of some parts; empty where there are none."""
        return np.flatnonzero(np.isin(self.split, names))

    def spread(self, clips: ClipSet, values: np.ndarray) -> np.ndarray:
        """Spreads a model's own rows over all clips, NaN for those that it cannot judge.

        Args:
          clips: the model's.
          values: float [clip, ...] of them.

        Returns:
          float32 [clip, ...] of the table's.

        Raises:
          UserError: a clip that the table lacks.
        """
        place = {clip_id: row for row, clip_id in enumerate(self.clip_id.tolist())}
        others = [clip_id for clip_id in clips.clip_id.tolist() if clip_id not in place]
        if others:
            raise UserError(
                f'{clips.name}: a model learns from {others[0]}, which is not among the clips of '
                'models.activity.data: prepare the data of all models from one release'
            )
        out = np.full((len(self.clip_id), *values.shape[1:]), np.nan, np.float32)
        out[[place[clip_id] for clip_id in clips.clip_id.tolist()]] = values
        return out


def everything(source: ClipSource, data_dir: Path) -> tuple[ClipSet, Path]:
    """Loads clips with those that have no label; returns the folder of their prepared data too."""
    folder = source.ensure_prepared(data_dir)
    return dataclasses.replace(source, unlabelled=True).load(folder), folder


def data_of(sections: Sections, data_dir: Path, *, stopped: bool) -> Data:
    """Loads a model's clips, divided for TRAININGS instead of by its own config's protocol.

    Nothing is judged within the folds: probabilities of all clips are asked for afterwards.

    Args:
      stopped: the model is trained by epochs: two folds, each of which trains again on both parts.
        Otherwise three: training part, validation part, both.

    Raises:
      UserError: a part of which the model can judge no clip.
    """
    loaded = dataclasses.replace(sections.clips, unlabelled=True)
    clips, folder = everything(loaded, data_dir)
    parts = {name: np.flatnonzero(clips.split == name) for name in (TRAIN, VALIDATION)}
    for name, own in parts.items():
        if not len(own):
            raise UserError(
                f'{sections.name} finds nothing to learn from in the {name} part of {clips.name} '
                '(no face, or no sound): look at what the preparation says'
            )
    train, validation = parts.values()
    nothing = train[:0]
    folds = [Fold(train, validation, nothing), Fold(validation, train, nothing)]
    if not stopped:
        folds = [Fold(fold.train, nothing, nothing) for fold in (*folds, folds[0].merged())]
    protocol = Protocol('partitions', False, tuple(folds))
    return Data(folder, clips, loaded, loaded.about(clips, folder), protocol, ())
