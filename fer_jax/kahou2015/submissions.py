"""The seven submissions of kahou2015, Table 2: which clips train, which are searched, what is kept.

A submission trains its models on one partition, stops them and searches the decision weights on the
other; 3 and 6 train again on both, with the epochs and the weights that 2 and 4 found; 7 searches
weights of 3 and 6 on both. The paper trained 2 and 4 again because they were the best of their kind
on the test clips: 3, 6 and 7 rest on the test accuracies.
"""

import dataclasses
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fer_jax import atomic
from fer_jax.errors import UserError
from fer_jax.kahou2015 import decision_fusion
from fer_jax.kahou2015.decision_fusion import Search

TRAIN, VALIDATION, TEST = 'train', 'validation', 'test'

# AFEW's classes as the challenge's label files name them.
CHALLENGE_LABELS = {
    'anger': 'Angry',
    'disgust': 'Disgust',
    'fear': 'Fear',
    'happiness': 'Happy',
    'neutral': 'Neutral',
    'sadness': 'Sad',
    'surprise': 'Surprise',
}


@dataclasses.dataclass(frozen=True)
class Submission:
    """A row of Table 2.

    Attributes:
      number: 1 to 7.
      method: in words.
      fit: the partitions that the models are trained on; none where they are those of others.
      searched: the partitions that stop the models and that the decision weights are searched on;
        none where both are kept.
      recipe: of the fusion network, a key of `fusion_training.RECIPES`.
      keeps: the submission whose epochs and decision weights are kept.
      combines: the submissions whose probabilities are the models.
    """

    number: int
    method: str
    fit: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()
    recipe: str = ''
    keeps: int = 0
    combines: tuple[int, ...] = ()


BOTH = (TRAIN, VALIDATION)
SUBMISSIONS = {
    row.number: row
    for row in (
        Submission(1, 'trained on training clips, searched on validation clips',
                   (TRAIN,), (VALIDATION,), 'stated'),
        Submission(2, 'as 1, stable fusion network', (TRAIN,), (VALIDATION,), 'stable'),
        Submission(3, 'as 2, trained again on both', BOTH, (), 'stable', keeps=2),
        Submission(4, 'trained on validation clips, searched on training clips',
                   (VALIDATION,), (TRAIN,), 'stated'),
        Submission(5, 'as 4, stable fusion network', (VALIDATION,), (TRAIN,), 'stable'),
        Submission(6, 'as 4, trained again on both', BOTH, (), 'stated', keeps=4),
        Submission(7, '3 and 6 combined, searched on both', (), BOTH, combines=(3, 6)),
    )
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Entry:
    """A submission that is made.

    Attributes:
      submission: which.
      weights: float64 [model, class], the decision weights.
      probabilities: float64 [clip, class] of all clips; NaN where no model speaks.
      epochs: of each model that is trained by epochs, by name: int [seed], those kept.
      search: what found the weights; None where they are kept.
    """

    submission: Submission
    weights: np.ndarray
    probabilities: np.ndarray
    epochs: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    search: Search | None = None


def within(split: np.ndarray, parts: Sequence[str]) -> np.ndarray:
    """Finds the clips of some partitions, int [n], in their order.

    Args:
      split: str [clip], the partition of each clip.
      parts: names of partitions.

    Raises:
      UserError: a partition without a clip.
    """
    for part in parts:
        if part not in split:
            raise UserError(
                f"there is no clip of the partition '{part}', which the submissions need: prepare "
                'AFEW with its training and its validation clips'
            )
    return np.flatnonzero(np.isin(split, parts))


def submit(
    submission: Submission,
    probabilities: np.ndarray | None,
    label: np.ndarray,
    split: np.ndarray,
    *,
    epochs: Mapping[str, np.ndarray],
    made: Mapping[int, Entry],
    **search,
) -> Entry:
    """Fuses the models of one submission.

    Args:
      submission: which.
      probabilities: float [model, clip, class] of all clips, from models trained on the clips of
        `submission.fit`; NaN rows where a model is silent. None for a combination of submissions.
      label: int [clip]; -1 for clips without one.
      split: str [clip], the partition of each clip.
      epochs: of each model that is trained by epochs, by name: int [seed].
      made: earlier submissions by number.
      **search: keywords of `decision_fusion.search`.

    Raises:
      UserError: a partition without clips, or what `decision_fusion.search` raises.
      ValueError: no probabilities, or models that were not trained for the epochs that are to be
        kept.
    """
    if submission.combines:
        probabilities = np.stack([made[n].probabilities for n in submission.combines])
    if probabilities is None:
        raise ValueError(f'submission {submission.number} needs probabilities of its models')
    if submission.keeps:
        earlier = made[submission.keeps]
        if {name: np.asarray(kept).tolist() for name, kept in epochs.items()} != {
            name: np.asarray(kept).tolist() for name, kept in earlier.epochs.items()
        }:
            raise ValueError(
                f'submission {submission.number} keeps the epochs of {submission.keeps}, '
                f'{dict(earlier.epochs)}, not {dict(epochs)}'
            )
        weights, found = earlier.weights, None
    else:
        clips = within(split, submission.searched)
        found = decision_fusion.search(probabilities[:, clips], label[clips], **search)
        weights = found.weights
    combined = decision_fusion.combine(weights, probabilities)
    return Entry(submission, weights, combined, dict(epochs), found)


def obstacle(clip_id: Sequence[str], classes: Sequence[str]) -> str:
    """Says why predictions cannot be written in the challenge's format; '' where they can.

    Args:
      clip_id, classes: as of `write_predictions`.
    """
    unknown = [name for name in classes if name not in CHALLENGE_LABELS]
    if unknown:
        return (
            f"the challenge has no class '{unknown[0]}': predictions for it can be written for "
            f'{", ".join(CHALLENGE_LABELS)}'
        )
    names = [_name(each) for each in clip_id]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        what = f'two clips are called {twice[0]}' if twice else 'there are no clips'
        return f'{what}: give the clips of the test partition'
    return ''


def _name(clip_id: str) -> str:
    """Names a clip as its file in the challenge's format is named."""
    return clip_id.rsplit('/', 1)[-1]


def write_predictions(
    path: Path | str,
    clip_id: Sequence[str],
    probabilities: np.ndarray,
    classes: Sequence[str],
    otherwise: str,
) -> int:
    """Writes predictions in the challenge's format, whole or not at all.

    The EmotiW organisers asked for a zip archive, named after the team, with one text file for each
    clip of the test partition: named after the clip (000046280.txt) and holding one of Angry,
    Disgust, Fear, Happy, Neutral, Sad and Surprise (the pages "submitting results" of 2014, 2018
    and 2019). The same predictions give the same bytes.

    Args:
      path: of the archive, TEAM.zip.
      clip_id: of each clip; what follows the last '/' names its file.
      probabilities: float [clip, class].
      classes: the names that the columns stand for, keys of CHALLENGE_LABELS.
      otherwise: the class of clips that no model says anything of.

    Returns:
      How many clips that were.

    Raises:
      UserError: no clips, a class that the challenge does not know, or two clips of one name.
    """
    if reason := obstacle(clip_id, (*classes, otherwise)):
        raise UserError(f'{path}: {reason}')
    names = [_name(each) for each in clip_id]
    silent = np.any(np.isnan(probabilities), 1)
    best = np.where(silent[:, None], 0, probabilities).argmax(1).tolist()
    with atomic.replacing(path) as temporary, zipfile.ZipFile(temporary, 'w') as archive:
        for name, index, nothing in zip(names, best, silent, strict=True):
            label = CHALLENGE_LABELS[otherwise if nothing else classes[int(index)]]
            # Without a time of its own an entry has the format's first, 1980.
            archive.writestr(zipfile.ZipInfo(f'{name}.txt'), label, zipfile.ZIP_DEFLATED)
    return int(silent.sum())
