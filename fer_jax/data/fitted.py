"""Statistics fitted on clips, which remember the clips: the leak check reads that."""

import dataclasses
from typing import Generic, TypeVar

import numpy as np

from fer_jax.data import registration
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Fold

# Names of what is fitted; TARGET_SHAPE is where 'mean shapes' are mapped onto.
MEAN_STD, CLASS_WEIGHTS = 'mean and deviation image', 'class weights'
TEMPLATE, MEAN_SHAPES, TARGET_SHAPE = 'Procrustes template', 'mean shapes', 'target shape'
# Clips summed at a time.
_BLOCK = 512
Value = TypeVar('Value', bound=np.ndarray | tuple[np.ndarray, ...])


@dataclasses.dataclass(frozen=True)
class Fitted(Generic[Value]):
    """Keeps what was learned from clips before any training: a mean image, class weights.

    Attributes:
      name: for messages, e.g. 'mean and deviation image'.
      value: one array or several.
      clips: int [clip], the clips that it was fitted on.
    """

    name: str
    value: Value
    clips: np.ndarray


def fit_mean_std(
    frames: np.ndarray, length: np.ndarray, indices: np.ndarray
) -> Fitted[tuple[np.ndarray, np.ndarray]]:
    """Fits the mean and the standard deviation of each pixel over the frames of some clips.

    kahou2015, sec. 2.1.2; jain2018, sec. 3 (neither says on which clips it is fitted).

    Args:
      frames: uint8 or float [N, T, H, W, C], grey levels 0 to 255, equalised if the network's input
        is.
      length: int [N], frames before padding; repeated last frames do not count.
      indices: int [clip], the clips to fit on.

    Returns:
      A Fitted whose value is (mean, std), each float32 [H, W, C] in units of [0, 1] frames; std is
      the population's (divided by n).
    """
    total = np.zeros(frames.shape[2:])
    squares = np.zeros(frames.shape[2:])
    for start in range(0, len(indices), _BLOCK):
        some = indices[start : start + _BLOCK]
        real = np.arange(frames.shape[1]) < length[some, None]
        levels = frames[some][real].astype(np.float64)
        total += levels.sum(0)
        squares += np.square(levels, out=levels).sum(0)
    count = length[indices].sum()
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    value = (mean / 255).astype(np.float32), (std / 255).astype(np.float32)
    return Fitted(MEAN_STD, value, np.asarray(indices))


def class_weights(labels: np.ndarray, indices: np.ndarray, num_classes: int) -> Fitted[np.ndarray]:
    """Computes class weights, the inverse class frequencies, for a loss (haddad2020, Table 1).

    Args:
      labels: int [N].
      indices: int [clip], the clips to count.
      num_classes: K.

    Returns:
      A Fitted whose value is float32 [K] with mean 1 over the classes that occur; 0 for the others.
    """
    counts = np.bincount(labels[indices], minlength=num_classes)
    weight = np.divide(1.0, counts, out=np.zeros(num_classes), where=counts > 0)
    weight *= np.sum(counts > 0) / weight.sum()
    return Fitted(CLASS_WEIGHTS, weight.astype(np.float32), np.asarray(indices))


def fit_registration(
    clips: ClipSet,
    indices: np.ndarray,
    *,
    kind: str,
    points: int,
    target: np.ndarray | None = None,
) -> Fitted[np.ndarray] | None:
    """Fits a registration, to be given to `prepared.load` for the same data section.

    Args:
      clips: as loaded with this registration and nothing fitted: unregistered, with landmarks.
      indices: int [clip], the clips to fit on.
      kind: the registration (`drawing.REGISTRATIONS`). 'procrustes' fits a template, onto which
        each frame is moved by its own similarity. 'mean_shape' (kahou2015, sec. 2.1.2; jain2018,
        sec. 3) fits one similarity a dataset, which takes its mean shape onto `target`.
      points: of a shape, 5, 51 or 68 (`registration.keypoints`).
      target: float [P, 2], the mean shape to map onto, in pixels of the frames; None is that of the
        combined set's first dataset. Clips for a network that was trained on another set take
        that set's mean shape, which its run keeps (TARGET_SHAPE).

    Returns:
      A Fitted whose value is the template float64 [P, 2], or float64 [dataset, 2, 3], output pixel
      -> pixel of the unregistered frames; NaN where the clips have no landmarks to fit on. None for
      a registration that fits nothing.
    """
    if kind == 'procrustes':
        shapes = _shapes(clips, indices, points)
        template = np.full((points, 2), np.nan)
        template = registration.procrustes_mean(shapes) if len(shapes) else template
        return Fitted(TEMPLATE, template, np.asarray(indices))
    if kind == 'mean_shape':
        shapes = mean_shapes(clips, indices, points)
        onto = shapes[0] if target is None else target
        matrices = np.full((len(shapes), 2, 3), np.nan)
        for number, shape in enumerate(shapes):
            if np.isfinite(shape).all() and np.isfinite(onto).all():
                matrices[number] = registration.similarity(onto, shape)
        return Fitted(MEAN_SHAPES, matrices, np.asarray(indices))
    return None


def chosen_clips(clips: ClipSet, fold: Fold) -> np.ndarray:
    """Returns the clips that a registration is fitted on, int [clip], ascending.

    They are the training clips; and of a dataset that has none among them those of its owners'
    training part that choose the epoch: every dataset of a combined set needs a mean shape.
    """
    number, own = clips.dataset_number, fold.validation
    spared = own[(clips.split[own] == 'train') & ~np.isin(number[own], number[fold.train])]
    return np.sort(np.concatenate([fold.train, spared]))


def mean_shapes(clips: ClipSet, indices: np.ndarray, points: int) -> np.ndarray:
    """Computes each dataset's mean shape over all frames with landmarks of some clips.

    Args:
      clips, indices, points: as of `fit_registration`.

    Returns:
      float64 [dataset, P, 2], x and y in pixels of the frames; NaN for a dataset without landmarks.
    """
    indices, dataset = np.asarray(indices), clips.dataset_number
    means = np.full((len(clips.name.split('+')), points, 2), np.nan)
    for number in range(len(means)):
        shapes = _shapes(clips, indices[dataset[indices] == number], points)
        if len(shapes):
            means[number] = shapes.mean(0, dtype=np.float64)
    return means


def _shapes(clips: ClipSet, indices: np.ndarray, points: int) -> np.ndarray:
    """Returns the shapes of all frames of some clips that have one, float32 [frame, P, 2]."""
    assert clips.landmarks is not None  # loaded with a registration that is still to be fitted
    landmarks = clips.landmarks[indices]
    shapes = registration.keypoints(landmarks.reshape(-1, *landmarks.shape[2:]), points)
    return shapes[np.isfinite(shapes).all((1, 2))]
