"""The clip: the one shape in which every dataset reaches protocols, training and evaluation."""

import dataclasses

import numpy as np

from fer_jax.errors import UserError

SAMPLINGS = ('last', 'uniform')


@dataclasses.dataclass(frozen=True)
class ClipSet:
    """A whole dataset in memory; a still is a clip of one frame.

    Attributes:
      name: the dataset's name, e.g. 'ckplus'.
      classes: class names in the order that `label` indexes.
      simulated: the faces come from `fer_jax.simulate`.
      frames: uint8 [clip, frame, height, width, channel], grey levels 0 to 255. Clips shorter than
        the frame axis are padded by repeating their last frame.
      length: int32 [clip], frames before padding, 1 to the size of the frame axis.
      label: int32 [clip], index into `classes`.
      subject: str [clip], '' where the release names none.
      clip_id: str [clip], unique.
      split: str [clip], the owners' official part, '' where there is none.
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

    def __post_init__(self):
        n = len(self.clip_id)
        if self.frames.ndim != 5 or self.frames.dtype != np.uint8:
            raise ValueError(
                f'frames must be uint8 [N,T,H,W,C], not {self.frames.dtype} {self.frames.shape}'
            )
        for field in ('frames', 'length', 'label', 'subject', 'split'):
            if len(getattr(self, field)) != n:
                raise ValueError(f'{field} has {len(getattr(self, field))} rows, clip_id has {n}')
        if len(np.unique(self.clip_id)) != n:
            raise ValueError('clip ids are not unique')

    def __len__(self) -> int:
        return len(self.clip_id)

    @property
    def class_counts(self) -> dict[str, int]:
        """Clips of each class, in the order of `classes`."""
        counts = np.bincount(self.label, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, counts, strict=True)}


def sample_frames(length: int, n: int, sampling: str) -> np.ndarray:
    """Which `n` frames of a clip of `length` frames to keep; short clips repeat their last frame.

    'last' keeps the last `n` (haddad2020, sec. 4.1); 'uniform' keeps the first and the last frame
    and equally spaced ones between (saurav2020, sec. 3: round(linspace)).

    Returns:
      int64 [n], non-decreasing frame indices in [0, length).
    """
    if length < 1 or n < 1:
        raise ValueError(f'a clip of {length} frames sampled to {n}: both must be positive')
    if sampling not in SAMPLINGS:
        raise UserError(f"unknown frame sampling '{sampling}': one of {', '.join(SAMPLINGS)}")
    if length <= n:
        return np.minimum(np.arange(n), length - 1)
    if sampling == 'last':
        return np.arange(length - n, length)
    return np.rint(np.linspace(0, length - 1, n)).astype(np.int64)
