"""Leak checks: subjects, views, fitted statistics and identical pixels across the parts of a fold.

Each check raises an error that names the clips or subjects, or returns what the report must state.
"""

import hashlib
import itertools
from collections.abc import Sequence

import numpy as np

from fer_jax.data.clips import ClipSet, recording_of
from fer_jax.data.fitted import Fitted
from fer_jax.data.protocols import PARTS, Fold, Protocol, shorten
from fer_jax.errors import UserError

SUBJECTS_SHARED = 'subjects shared'
SUBJECTS_UNKNOWN = 'subjects unknown'
_NAMES = {'train': 'training', 'validation': 'validation', 'test': 'test'}
# Marks of `duplicate_marks`, which predictions carry.
NOT_DUPLICATE, IN_VALIDATION, IN_TRAINING = 0, 1, 2


def check_folds(protocol: Protocol, clips: ClipSet, source: str = '') -> tuple[str, ...]:
    """Checks that a protocol's folds keep its promise about subjects.

    Args:
      source: the file that the folds come from, for messages; '' for the protocol's name.

    Returns:
      The stamps of every report: 'subjects shared' where some fold has a subject in two parts,
      'subjects unknown' where clips name none; nothing for a subject-disjoint protocol. And
      'frames of one recording in training and test', or of another two parts, where single frames
      are the clips (`clips.stills`, `clips.onsets`) and some fold divides those of a recording.

    Raises:
      UserError: a clip is in two parts of a fold or twice in one, or is tested more often than
        there are repeats; a fold has no training or no test clips; or a subject is in two parts
        although the protocol keeps subjects apart.
    """
    source = source or protocol.name
    stamps = set()
    recording = np.array([recording_of(clips.name, name) for name in clips.clip_id.tolist()])
    divided = len(set(recording.tolist())) < len(clips)
    judged = np.zeros(len(clips), int)
    for number, fold in enumerate(protocol.folds):
        where = f'{source}, fold {number}'
        seen = np.zeros(len(clips), int)
        for part in PARTS:
            np.add.at(seen, getattr(fold, part), 1)
        if (seen > 1).any():
            names = shorten(clips.clip_id[seen > 1].tolist())
            raise UserError(f'{where}: {names} more than once; a clip may be in one part only')
        if not len(fold.train) or not len(fold.test):
            counts = f'{len(fold.train)} training and {len(fold.test)} test clips'
            raise UserError(f'{where}: has {counts}; both parts are needed')
        judged[fold.test] += 1
        stamps |= _check_subjects(where, fold, clips, protocol.subject_disjoint)
        if divided:
            stamps |= {
                f'frames of one recording in {_NAMES[one]} and {_NAMES[other]}'
                for one, other in shared(fold, recording)
            }
    if (judged > protocol.repeats).any():
        names = shorten(clips.clip_id[judged > protocol.repeats].tolist())
        raise UserError(
            f'{source}: {names} in the test part of more than {protocol.repeats} folds; its '
            'result would count them more than once'
        )
    return tuple(sorted(stamps))


def _check_subjects(where: str, fold: Fold, clips: ClipSet, disjoint: bool) -> set[str]:
    stamps = set()
    used = np.concatenate([getattr(fold, part) for part in PARTS])
    if (clips.subject[used] == '').any():
        if disjoint:
            raise UserError(f'{where}: declared subject-disjoint, but some clips name no subject')
        stamps.add(SUBJECTS_UNKNOWN)
    for (one, other), names in shared(fold, clips.subject).items():
        if disjoint:
            raise UserError(
                f'{where}: declared subject-disjoint, but {one} and {other} share '
                f'{shorten(names)}; move the clips of each subject to one part'
            )
        stamps.add(SUBJECTS_SHARED)
    return stamps


def shared(fold: Fold, of_clip: np.ndarray) -> dict[tuple[str, str], list[str]]:
    """Returns what two parts of a fold share, ascending: {(part, part): [name]}.

    Args:
      of_clip: str [N], the subject or the recording of each clip; '' is none.
    """
    names = {part: set(of_clip[getattr(fold, part)].tolist()) - {''} for part in PARTS}
    pairs = itertools.combinations(PARTS, 2)
    both = {(one, other): sorted(names[one] & names[other]) for one, other in pairs}
    return {pair: found for pair, found in both.items() if found}


def check_views(clip: np.ndarray, fold: Fold) -> None:
    """Refuses training views of anything but training clips (augmenting before splitting).

    Args:
      clip: int [view], the views' clips.

    Raises:
      UserError: a view of another clip, by index.
    """
    _check_inside('training views', clip, fold)


def check_fitted(
    fitted: Fitted, fold: Fold, *, and_chosen: np.ndarray | Sequence[int] = ()
) -> None:
    """Refuses a statistic that was fitted on anything but training clips.

    Args:
      and_chosen: int [clip], validation clips that it may have seen as well: those of a dataset of
        which no clip trains. They choose the epoch and judge nothing.

    Raises:
      UserError: a clip outside the training part and these, by index; or one of these that is no
        validation clip.
    """
    allowed = np.intersect1d(and_chosen, fold.validation)
    seen = np.setdiff1d(fitted.clips, allowed)
    _check_inside(f'the {fitted.name}', seen, fold)


def _check_inside(what: str, clip: np.ndarray, fold: Fold) -> None:
    found = outside(clip, fold)
    if len(found):
        names = shorten([f'number {i}' for i in found])
        raise UserError(f'leak: {what} made from clips outside the training part: {names}')


def outside(clip: np.ndarray, fold: Fold) -> np.ndarray:
    """Returns which of the clips (int [n]) the fold does not train on, int [m], each once."""
    return np.setdiff1d(clip, fold.train)


def duplicates(clips: ClipSet) -> np.ndarray:
    """Groups clips whose frames (before padding) are identical, pixel by pixel.

    In a set of sounds alone, whose clips are all black, each is in a group of its own.

    Returns:
      int32 [N]; equal numbers mark identical clips.
    """
    if not clips.frames.any():
        return np.arange(len(clips), dtype=np.int32)
    groups: dict[bytes, int] = {}
    number = np.empty(len(clips), np.int32)
    for i, (frames, length) in enumerate(zip(clips.frames, clips.length, strict=True)):
        pixels = np.ascontiguousarray(frames[:length])
        digest = hashlib.blake2b(pixels.data, digest_size=16).digest()
        number[i] = groups.setdefault(digest, len(groups))
    return number


def duplicate_marks(groups: np.ndarray, fold: Fold) -> np.ndarray:
    """Marks validation and test clips that are identical, pixel by pixel, to clips seen before.

    Args:
      groups: int [N], from `duplicates`.

    Returns:
      int8 [N]: 2 for validation and test clips identical to a training clip, 1 for test clips
      identical to a validation clip only, 0 for all others.
    """
    marks = np.zeros(len(groups), np.int8)
    marks[fold.test[np.isin(groups[fold.test], groups[fold.validation])]] = IN_VALIDATION
    evaluated = np.concatenate([fold.validation, fold.test])
    marks[evaluated[np.isin(groups[evaluated], groups[fold.train])]] = IN_TRAINING
    return marks


def label_conflicts(groups: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Finds groups of identical clips that carry more than one label.

    Args:
      groups, label: int [N].

    Returns:
      int [conflict], numbers of groups, ascending.
    """
    pairs = np.unique(np.stack([groups, label]), axis=1)
    number, labels = np.unique(pairs[0], return_counts=True)
    return number[labels > 1]
