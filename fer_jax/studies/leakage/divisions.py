"""Copies made before anything is divided, and divisions of them: two that leak and one that not.

A run makes its copies as views of a fold's training clips, after the division, and cannot do what
is done here: copies become clips of their own, and any of them may fall on either side.
"""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from fer_jax import atomic
from fer_jax.data import leaks, views
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Fold, Protocol
from fer_jax.evaluation import rundir
from fer_jax.ops import augment

# What is divided at random, and goes to one side as a whole.
COPIES, CLIPS, SUBJECTS = 'copies', 'clips', 'subjects'
UNITS = (COPIES, CLIPS, SUBJECTS)
# Clips whose copies the page shows.
SHOWN = 4


@dataclasses.dataclass(frozen=True)
class Copies:
    """Clips and their copies as one set.

    Attributes:
      clips: every copy a clip, `count` of each, the original first.
      source: int [copy], the clip that it is a copy of, 0 to N - 1.
      original: bool [copy].
      subject: int [copy], 0 to the number of subjects - 1.
    """

    clips: ClipSet
    source: np.ndarray
    original: np.ndarray
    subject: np.ndarray


def make_copies(clips: ClipSet, count: int, seed: int, **augmentation: Any) -> Copies:
    """Augments a whole dataset before it is divided (what saurav2020's 98.83 % on SAVEE implies).

    Args:
      clips: N clips.
      count: copies of each clip, the original among them.
      seed: of the copies.
      augmentation: keywords of `views.random`.

    Returns:
      N x count copies; their frames are rounded to uint8, as files would be.
    """
    source = np.repeat(np.arange(len(clips)), count)
    number = np.tile(np.arange(count), len(clips))
    drawn = views.random(
        source, clips.frames.shape[2:4], np.random.default_rng(seed), **augmentation
    )
    augmented = augment.apply_views(
        jnp.asarray(clips.frames[source], jnp.float32),
        jnp.asarray(drawn.affine),
        jnp.asarray(drawn.contrast),
    )
    frames = np.rint(np.clip(np.asarray(augmented), 0, 255)).astype(np.uint8)
    frames[number == 0] = clips.frames
    named = {
        field: getattr(clips, field)[source] for field in ('length', 'label', 'subject', 'split')
    }
    ids = [f'{clips.clip_id[i]}#{k}' for i, k in zip(source, number, strict=True)]
    copied = dataclasses.replace(clips, frames=frames, clip_id=np.array(ids), **named)
    subject = np.unique(copied.subject, return_inverse=True)[1]
    return Copies(copied, source, number == 0, subject)


def divide(unit: np.ndarray, label: np.ndarray, parts: int, seed: int) -> np.ndarray:
    """Deals units at random into parts of nearly equal size and class proportions.

    Args:
      unit: int [item], items of one unit stay together.
      label: int [item].
      parts: how many.
      seed: of the deal.

    Returns:
      int [item], the part of each, 0 to parts - 1.
    """
    dealer = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    part = np.zeros(len(unit), int)
    with warnings.catch_warnings():
        # A class with fewer items than parts is absent from some: few people, rare classes.
        warnings.filterwarnings('ignore', 'The least populated class', UserWarning)
        for number, (_, dealt) in enumerate(dealer.split(unit, label, unit)):
            part[dealt] = number
    return part


def make_protocol(what: str, copies: Copies, folds: int, seed: int) -> Protocol:
    """Divides all copies; every copy is judged once.

    Args:
      what: one of UNITS. 'copies' leaks a clip's copies and its subject, 'clips' its subject (all
        copies of a clip go with it), 'subjects' nothing.
    """
    unit = {
        COPIES: np.arange(len(copies.source)), CLIPS: copies.source, SUBJECTS: copies.subject,
    }[what]  # fmt: skip
    part = divide(unit, copies.clips.label, folds, seed)
    none = np.zeros(0, int)
    divided = [
        Fold(np.flatnonzero(part != number), none, np.flatnonzero(part == number))
        for number in range(folds)
    ]
    return _checked(Protocol(what, what == SUBJECTS, tuple(divided)), copies)


def with_validation(protocol: Protocol, copies: Copies, inner: int, seed: int) -> Protocol:
    """Holds out one in `inner` training subjects of each fold, to choose on.

    Trains on all copies of the other subjects; validates and judges on original clips only.
    """
    folds = []
    for fold in protocol.folds:
        train = fold.train
        part = divide(copies.subject[train], copies.clips.label[train], inner, seed)
        validation = train[part == 0]
        folds.append(
            Fold(
                train[part != 0],
                validation[copies.original[validation]],
                fold.test[copies.original[fold.test]],
            )
        )
    return _checked(Protocol('grid', True, tuple(folds)), copies)


def _checked(protocol: Protocol, copies: Copies) -> Protocol:
    """Checks the honest sides as every run does; the others promise nothing."""
    leaks.check_folds(protocol, copies.clips)
    return protocol


@dataclasses.dataclass(frozen=True)
class Siblings:
    """Copies of a few clips of which some are trained on and some are judged: what a leak is.

    Attributes:
      frames: uint8 [clip, copy, H, W], the last of each copy, the original first.
      clip_id, subject: str [clip, copy].
      tested: bool [clip, copy], False where the copy is trained on.
    """

    frames: np.ndarray
    clip_id: np.ndarray
    subject: np.ndarray
    tested: np.ndarray

    def save(self, path: Path) -> None:
        """Writes a compressed .npz with the fields as its keys; whole or not at all."""
        with atomic.replacing(path) as temporary:
            np.savez_compressed(temporary, **vars(self))

    @classmethod
    def load(cls, path: Path) -> 'Siblings':
        """Reads what `save` wrote; UserError where it is missing or damaged."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**rundir.read_arrays(path, names))


def siblings(copies: Copies, folds: int, count: int = SHOWN) -> Siblings:
    """Finds clips that the first fold of seed 0 has on both sides where copies are divided.

    Args:
      count: of clips, at most.
    """
    fold = make_protocol(COPIES, copies, folds, 0).folds[0]
    tested = np.isin(np.arange(len(copies.source)), fold.test)
    both = np.intersect1d(copies.source[tested], copies.source[~tested])[:count]
    rows = np.stack([np.flatnonzero(copies.source == clip) for clip in both])
    clips = copies.clips
    frames = clips.frames[rows, clips.length[rows] - 1, ..., 0]
    return Siblings(frames, clips.clip_id[rows], clips.subject[rows], tested[rows])


def seen(protocol: Protocol, copies: Copies) -> dict[str, float]:
    """Measures what training saw of the test, as shares of all test copies.

    Returns:
      clip: of those whose clip has a copy in training; subject: whose subject has.
    """
    tested = sum(len(fold.test) for fold in protocol.folds)
    return {
        name: sum(int(np.isin(of[fold.test], of[fold.train]).sum()) for fold in protocol.folds)
        / tested
        for name, of in (('clip', copies.source), ('subject', copies.subject))
    }
