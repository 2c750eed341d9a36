"""Statistics fitted on clips, which remember the clips: the leak check reads that."""

import dataclasses

import numpy as np

# Clips summed at a time.
_BLOCK = 512


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What was learned from clips before any training: a mean image, class weights.

    Attributes:
      name: for messages, e.g. 'mean and deviation image'.
      value: one array or several.
      clips: int [clip], the clips that it was fitted on.
    """

    name: str
    value: np.ndarray | tuple[np.ndarray, ...]
    clips: np.ndarray


def fit_mean_std(frames: np.ndarray, length: np.ndarray, indices: np.ndarray) -> Fitted:
    """The mean and the deviation of each pixel over the frames of some clips.

    kahou2015, sec. 2.1.2; jain2018, sec. 3 (who fit it on all clips, which is a leak).

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
    return Fitted('mean and deviation image', value, np.asarray(indices))


def class_weights(labels: np.ndarray, indices: np.ndarray, num_classes: int) -> Fitted:
    """Inverse class frequencies, for a weighted loss (haddad2020, Table 1).

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
    return Fitted('class weights', weight.astype(np.float32), np.asarray(indices))
