"""From what a network says of frames to one vector, or one verdict, for a clip (kahou2015, 2.3)."""

import numpy as np
import scipy


def aggregate(values: np.ndarray, length: np.ndarray, bins: int = 15) -> np.ndarray:
    """Averages of consecutive frames, `bins` of them whatever a clip's length.

    Of a clip of n frames bin b holds the frames from floor(b n / bins) to before
    floor((b + 1) n / bins), but at least the first of these: shorter clips repeat their frames
    locally. Seven values of a frame and 15 bins make the paper's 105.

    Args:
      values: float [clip, frame, ...], e.g. a network's outputs before the softmax.
      length: int [clip], frames before padding, at least 1.
      bins: k of the paper.

    Returns:
      float64 [clip, bins * values], bin by bin.
    """
    out = np.empty((len(values), bins, *values.shape[2:]))
    for row, frames, n in zip(out, values, length.tolist(), strict=True):
        for number in range(bins):
            start, stop = number * n // bins, (number + 1) * n // bins
            row[number] = frames[start : max(stop, start + 1)].mean(0, dtype=np.float64)
    return out.reshape(len(values), -1)


def average_probabilities(logits: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Averages the class probabilities of a clip's frames.

    Args:
      logits: float [clip, frame, class].
      length: int [clip], frames before padding, at least 1.

    Returns:
      float64 [clip, class].
    """
    probabilities = scipy.special.softmax(logits.astype(np.float64), -1)
    real = np.arange(logits.shape[1]) < length[:, None]
    return (probabilities * real[..., None]).sum(1) / length[:, None]
