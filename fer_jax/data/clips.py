"""The clip: the one shape in which every dataset reaches protocols, training and evaluation."""

import dataclasses
import re
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from fer_jax.data import registration
from fer_jax.errors import UserError

SAMPLINGS = ('last', 'uniform', 'linspace', 'rising')
ORDERS = ('kept', 'shuffled', 'apex')
# How the ids of `stills` end.
_FRAME = re.compile(r'@\d+$')


@dataclasses.dataclass(frozen=True)
class ClipSet:
    """A whole dataset in memory; a still is a clip of one frame.

    Attributes:
      name: the dataset's name, e.g. 'ckplus'; of a combined one, 'fer2013+tfd'.
      classes: class names in the order that `label` indexes.
      simulated: the faces come from `fer_jax.simulate`.
      frames: uint8 [clip, frame, height, width, channel], grey levels 0 to 255; or what a layer of
        another network made of such frames, float32 [clip, frame, ...]. Clips shorter than the
        frame axis are padded by repeating their last frame.
      length: int32 [clip], frames before padding, 1 to the size of the frame axis.
      label: int32 [clip], index into `classes`; -1 where a clip without a label was asked for.
      subject: str [clip], '' where the release names none.
      clip_id: str [clip], unique.
      split: str [clip], the owners' official part, '' where there is none.
      registration: how the faces were registered, in words.
      landmarks: float32 [clip, frame, 68 or 5, 2], x and y in pixels of the frames, NaN where there
        are none and in repeated frames. Only where a registration is still to be fitted on them
        (`fitted.fit_registration`), else None.
      target: float32 [clip, class], each class's share of the raters' votes (zeros where nobody
        chose any of them); None where labels are not decided by votes.
    """

    name: str
    classes: tuple[str, ...]
    simulated: bool
    frames: np.ndarray
    length: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    clip_id: np.ndarray
    split: np.ndarray
    registration: str = 'none'
    landmarks: np.ndarray | None = None
    target: np.ndarray | None = None

    def __post_init__(self):
        n = len(self.clip_id)
        pictures = self.frames.ndim == 5 and self.frames.dtype == np.uint8
        features = self.frames.ndim > 2 and self.frames.dtype == np.float32
        if not pictures and not features:
            raise ValueError(
                'frames must be uint8 [N,T,H,W,C], or features float32 [N,T,...], not '
                f'{self.frames.dtype} {self.frames.shape}'
            )
        for field in ('frames', 'length', 'label', 'subject', 'split'):
            if len(getattr(self, field)) != n:
                raise ValueError(f'{field} has {len(getattr(self, field))} rows, clip_id has {n}')
        if self.landmarks is not None and self.landmarks.shape[:2] != self.frames.shape[:2]:
            raise ValueError(f'landmarks are {self.landmarks.shape}, frames {self.frames.shape}')
        if self.target is not None and self.target.shape != (n, len(self.classes)):
            raise ValueError(f'target is {self.target.shape} of {n} clips')
        if len(np.unique(self.clip_id)) != n:
            raise ValueError('clip ids are not unique')

    def __len__(self) -> int:
        return len(self.clip_id)

    def take(self, rows: np.ndarray) -> 'ClipSet':
        """Returns some of the clips, by their indices or as bool [clip]."""
        own = ('frames', 'length', 'label', 'subject', 'clip_id', 'split', 'landmarks', 'target')
        arrays = {field: getattr(self, field) for field in own}
        return dataclasses.replace(
            self, **{field: None if a is None else a[rows] for field, a in arrays.items()}
        )

    @property
    def class_counts(self) -> dict[str, int]:
        """Clips of each class, in the order of `classes`."""
        counts = np.bincount(self.label[self.label >= 0], minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, counts, strict=True)}

    @property
    def dataset_number(self) -> np.ndarray:
        """Int [clip]: position of its dataset among the names that `name` joins by '+'.

        0 throughout for a single dataset.
        """
        names = self.name.split('+')
        if len(names) == 1:
            return np.zeros(len(self), int)
        of = {name: number for number, name in enumerate(names)}
        return np.array([of[clip_id.split('/')[0]] for clip_id in self.clip_id.tolist()])


def combine(parts: Sequence[ClipSet]) -> ClipSet:
    """Joins datasets into one (kahou2015: FER2013 and TFD; jain2018: JAFFE and MMI).

    Classes are matched by name: the first dataset's come first, then those that only a later one
    has; a dataset may lack some. Clip ids and subjects get the dataset's name before them
    ('tfd/0017'; no subject stays none), so that none is taken for another's. Official parts stay as
    they are, and the frames must be of one geometry. Votes are kept where all datasets have them.
    """
    names = [part.name for part in parts]
    if len(set(names)) < len(names):
        raise UserError(f"data.name '{'+'.join(names)}' names a dataset twice; name each once")
    classes = tuple(dict.fromkeys(name for part in parts for name in part.classes))
    index = [[classes.index(name) for name in part.classes] + [-1] for part in parts]
    landmarks = [part.landmarks for part in parts if part.landmarks is not None]
    voted = [part.target is not None for part in parts]
    said = dict.fromkeys(part.registration for part in parts)
    return ClipSet(
        name='+'.join(names),
        classes=classes,
        simulated=any(part.simulated for part in parts),
        frames=np.concatenate([part.frames for part in parts]),
        length=np.concatenate([part.length for part in parts]),
        # Label -1, none, stays -1: it takes the last of the numbers.
        label=np.concatenate(
            [np.array(to, np.int32)[part.label] for to, part in zip(index, parts, strict=True)]
        ),
        subject=np.array(
            [f'{part.name}/{name}' if name else '' for part in parts for name in part.subject]
        ),
        clip_id=np.array([f'{part.name}/{name}' for part in parts for name in part.clip_id]),
        split=np.concatenate([part.split for part in parts]),
        registration=next(iter(said))
        if len(said) == 1
        else '; '.join(f'{part.name}: {part.registration}' for part in parts),
        landmarks=_joined_landmarks(landmarks) if len(landmarks) == len(parts) else None,
        target=np.concatenate([_widened(part, classes) for part in parts]) if all(voted) else None,
    )


def _widened(part: ClipSet, classes: Sequence[str]) -> np.ndarray:
    """Returns the targets of a set whose classes are among `classes`, in these columns."""
    target = np.zeros((len(part), len(classes)), np.float32)
    target[:, [classes.index(name) for name in part.classes]] = part.target
    return target


def _joined_landmarks(landmarks: list[np.ndarray]) -> np.ndarray:
    """Joins the landmarks of several datasets; 5 points of each where one has no more."""
    if len({each.shape[2] for each in landmarks}) > 1:
        landmarks = [registration.keypoints(each, 5) for each in landmarks]
    return np.concatenate(landmarks)


def stills(clips: ClipSet) -> ClipSet:
    """Makes every frame a clip of its own, to join the frames of films with datasets of stills.

    kahou2015 (sec. 2.1.3) stops its networks for stills by the frames of AFEW. The frames of a clip
    keep its label, subject and part. Their ids are its id and the frame's number among those that
    were loaded: 'train/000046280@3'. A clip of one frame keeps its id.
    """
    real = np.arange(clips.frames.shape[1]) < clips.length[:, None]
    clip, frame = np.nonzero(real)
    ids = [
        clips.clip_id[i] if clips.length[i] == 1 else f'{clips.clip_id[i]}@{t}'
        for i, t in zip(clip.tolist(), frame.tolist(), strict=True)
    ]
    landmarks = None if clips.landmarks is None else clips.landmarks[clip, frame][:, None]
    return dataclasses.replace(
        clips,
        frames=clips.frames[clip, frame][:, None],
        length=np.ones(len(clip), np.int32),
        label=clips.label[clip],
        subject=clips.subject[clip],
        clip_id=np.array(ids),
        split=clips.split[clip],
        landmarks=landmarks,
        target=None if clips.target is None else clips.target[clip],
    )


def onsets(clips: ClipSet) -> ClipSet:
    """Returns both ends of sequences from neutral to apex as stills; the first frame is neutral.

    minaee2019 does not say whether its CK+ has neutral faces. The last frames keep their label. A
    sequence of one frame is its end only.

    Args:
      clips: of two frames, a sequence's first and its last.

    Raises:
      UserError: no clip has two frames.
    """
    if not (clips.length > 1).any():
        raise UserError(f'data.neutral: {clips.name} has stills only, no frame before their own')
    classes = tuple(dict.fromkeys((*clips.classes, 'neutral')))
    ends = stills(clips)
    first = np.char.endswith(ends.clip_id, '@0')
    label = np.where(first, classes.index('neutral'), ends.label).astype(np.int32)
    return dataclasses.replace(ends, classes=classes, label=label, target=None)


def recording_of(name: str, clip_id: str) -> str:
    """Names the recording of a clip, 'dataset/clip', however clips were combined or split.

    Args:
      name: of the set that the id is of, e.g. 'fer2013+afew'.
      clip_id: as in `ClipSet.clip_id`; of `stills`, the clip that it is a frame of.
    """
    return ('' if '+' in name else f'{name}/') + without_frame(clip_id)


def without_frame(clip_id: str) -> str:
    """Returns the id of the clip that a still of `stills` is a frame of; another id as it is."""
    return _FRAME.sub('', clip_id)


def recordings(name: str, clip_ids: Iterable[str]) -> set[str]:
    """Returns the recordings of clips, as of `recording_of`."""
    return {recording_of(name, clip_id) for clip_id in clip_ids}


def sample_frames(length: int, n: int, sampling: str) -> np.ndarray:
    """Chooses `n` frames of a clip of `length` frames.

    'last' keeps the last `n` (haddad2020, sec. 4.1); 'uniform' and 'linspace' keep the first and
    the last frame and equally spaced ones between. Of a clip with fewer than `n` frames 'last' and
    'uniform' take all and repeat the last one; 'linspace' stays equally spaced, so that every frame
    is repeated in its place (saurav2020, sec. IV-B: round(linspace)). 'rising' is 'uniform' over
    the first half alone: of a film that runs from neutral to an apex and back it ends near the
    apex. One frame alone is the last of them, as the first one is neutral in many films.

    Returns:
      int64 [n], non-decreasing frame indices in [0, length).
    """
    if length < 1 or n < 1:
        raise ValueError(f'a clip of {length} frames sampled to {n}: both must be positive')
    length = real_frames(length, sampling)
    if length <= n and sampling != 'linspace':
        return np.minimum(np.arange(n), length - 1)
    if sampling == 'last' or n == 1:
        return np.arange(length - n, length)
    return np.rint(np.linspace(0, length - 1, n)).astype(np.int64)


def real_frames(length: int, sampling: str) -> int:
    """Returns how many of a clip's frames `sample_frames` chooses from, from the first one on."""
    return (length + 1) // 2 if sampling == 'rising' else length


def arrange(clips: ClipSet, order: str) -> ClipSet:
    """Reorders the frames of every clip, to measure what their order is worth.

    'kept' leaves them. 'shuffled' draws an order for each clip, by a generator seeded by its id
    alone. Every order of its true frames is equally likely, the true order included, and a clip
    has the same order in every run, in training and in test. 'apex' repeats the last true frame (in
    CK+ a sequence's apex), so that nothing moves. Lengths stay. The padding repeats the frame that
    is then the last true one.

    Raises:
      UserError: another order.
    """
    if order not in ORDERS:
        raise UserError(f"unknown data.order '{order}': one of {', '.join(ORDERS)}")
    if order == 'kept':
        return clips
    last = clips.length[:, None] - 1
    at = np.minimum(np.arange(clips.frames.shape[1]), last)
    if order == 'shuffled':
        drawn = [
            np.random.default_rng(zlib.crc32(name.encode())).permutation(n)[row]
            for name, n, row in zip(clips.clip_id.tolist(), clips.length, at, strict=True)
        ]
        at = np.stack(drawn)
    else:
        at = np.broadcast_to(last, at.shape)
    row = np.arange(len(clips))[:, None]
    landmarks = None if clips.landmarks is None else clips.landmarks[row, at]
    return dataclasses.replace(clips, frames=clips.frames[row, at], landmarks=landmarks)
