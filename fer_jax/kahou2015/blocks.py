"""Space-time blocks of whole frames, normalised and whitened (kahou2015, sec. 4).

The paper gives the blocks' size. The rest follows the authors' code for EmotiW, as far as it is
public: its forward pass, without what it was fitted on.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tqdm

SIDE, FRAMES = 16, 10  # pixels across and down, frames
VALUES = FRAMES * SIDE * SIDE
# Added to a block's deviation, of grey levels in 0..1; the authors' 0.001 is of levels in 0..255.
OFFSET = 0.001
_CHUNK = 4096  # blocks that pass at a time


def cut(frames: np.ndarray) -> np.ndarray:
    """Cuts a clip into blocks, dense and without overlap.

    What is left over at the right, at the bottom and at the end is dropped; a clip of fewer than
    FRAMES frames is played again until they suffice.

    Args:
      frames: uint8 [T, H, W], grey; T at least 1, H and W at least SIDE.

    Returns:
      uint8 [block, VALUES], by frames, rows, columns; a block's values are [FRAMES, SIDE, SIDE].
    """
    frames = np.concatenate([frames] * -(-FRAMES // len(frames)))
    t, down, across = np.floor_divide(frames.shape, (FRAMES, SIDE, SIDE))
    whole = frames[: t * FRAMES, : down * SIDE, : across * SIDE]
    parts = whole.reshape(t, FRAMES, down, SIDE, across, SIDE).transpose(0, 2, 4, 1, 3, 5)
    return parts.reshape(-1, VALUES)


def normalise(blocks: np.ndarray, contrast: float) -> np.ndarray:
    """Shifts blocks to mean 0 and evens out their contrast, float32 [block, VALUES].

    Each is divided by its own deviation + `contrast` + OFFSET: still ones stay faint. The authors'
    contrast is the mean deviation of the batch at hand, so that a clip's features would depend on
    its neighbours; here it is that of the training blocks (`Whitening.fit`).

    Args:
      blocks: uint8 [block, VALUES].
      contrast: of grey levels in 0..1.
    """
    values = blocks.astype(np.float32) / np.float32(255)
    values -= values.mean(1, keepdims=True)
    values /= values.std(1, keepdims=True) + np.float32(contrast + OFFSET)
    return values


@dataclasses.dataclass(frozen=True)
class Whitening:
    """A whitening fitted on training blocks: their contrast, and the way to uncorrelated values.

    Attributes:
      contrast: mean deviation of a block, of grey levels in 0..1.
      mean: float32 [VALUES], of normalised blocks.
      matrix: float32 [VALUES, component]; (normalised - mean) @ matrix has mean 0, variance 1 and
        no correlation over the training blocks. Each value is first scaled to deviation 1.
      inverse: float32 [component, VALUES], back to normalised blocks.
    """

    contrast: float
    mean: np.ndarray
    matrix: np.ndarray
    inverse: np.ndarray

    @classmethod
    def fit(cls, blocks: np.ndarray, variance: float) -> 'Whitening':
        """Fits on blocks uint8 [block, VALUES], in float64, a part of them at a time.

        Args:
          variance: the share of it, above 0, that the components kept have at least.
        """
        deviation = [(some / np.float32(255)).std(1) for some in _chunks(blocks)]
        contrast = float(np.concatenate(deviation).mean(dtype=np.float64))
        size = blocks.shape[1]
        total, squares = np.zeros(size), np.zeros((size, size))
        bar = tqdm.tqdm(total=len(blocks), desc='whitening', unit=' blocks', disable=None)
        with bar:
            for some in _chunks(blocks):
                values = normalise(some, contrast).astype(np.float64)
                total += values.sum(0)
                squares += values.T @ values
                bar.update(len(some))
        mean = total / len(blocks)
        covariance = squares / len(blocks) - np.outer(mean, mean)
        scale = np.sqrt(np.diag(covariance))
        scale[scale < 1e-9] = 1  # what never changes
        spread, axes = np.linalg.eigh(covariance / np.outer(scale, scale))
        spread, axes = np.maximum(spread[::-1], 0), axes[:, ::-1]
        share = np.cumsum(spread) / spread.sum()
        kept = int(np.searchsorted(share, min(variance, share[-1]))) + 1
        root, axes = np.sqrt(spread[:kept]), axes[:, :kept]
        matrix, inverse = axes / root / scale[:, None], (axes * root).T * scale
        return cls(contrast, *(a.astype(np.float32) for a in (mean, matrix, inverse)))

    def __call__(self, blocks: np.ndarray) -> np.ndarray:
        """Whitens blocks uint8 [block, VALUES]: float32 [block, component]."""
        out = np.empty((len(blocks), self.matrix.shape[1]), np.float32)
        rows = _chunks(out)
        for some, row in zip(_chunks(blocks), rows, strict=True):
            np.matmul(normalise(some, self.contrast) - self.mean, self.matrix, out=row)
        return out


def _chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yields views of consecutive rows."""
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))
