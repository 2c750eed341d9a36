"""Occlusion saliency (minaee2019, sec. IV-C): what a network says when a square is zeroed."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.errors import UserError

# Values of occluded frames that a network is given together, 64 MiB of them. The windows of a
# larger clip go through it in parts, within the same call: the maps of the first layers are many
# times larger than the frames.
_TOGETHER = 2**24

# (network, frames float32 [B, T, H, W, C], length int32 [B]) -> class probabilities [B, K].
Predict = Callable[[Any, jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Windows:
    """The squares that are zeroed, one after another.

    Attributes:
      corners: int32 [window, 2], top and left, row by row.
      size: N, their side in pixels.
      shape: height and width of the frames in pixels.
    """

    corners: np.ndarray
    size: int
    shape: tuple[int, int]

    @classmethod
    def over(cls, shape: tuple[int, int], size: int, stride: int) -> 'Windows':
        """Lays all windows of a side over frames of a shape, `stride` pixels apart.

        They start at the top left corner. Where steps of `stride` would leave a rest at the right
        or lower edge, one more window ends there, so that every pixel is in a window.

        Raises:
          UserError: a window that the frames do not have, or a stride that leaves pixels out.
        """
        height, width = shape
        if not 0 < size <= min(shape):
            raise UserError(
                f'--window is {size}, the network sees faces of {height} x {width} pixels: give 1 '
                f'to {min(shape)}'
            )
        if not 0 < stride <= size:
            raise UserError(
                f'--stride is {stride}, --window {size}: give 1 to {size}, so that windows leave '
                'no pixel out'
            )
        tops, lefts = (sorted({*range(0, side - size + 1, stride), side - size}) for side in shape)
        corners = np.array([(top, left) for top in tops for left in lefts], np.int32)
        return cls(corners, size, (height, width))

    def __len__(self) -> int:
        return len(self.corners)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Spreads windows over pixels: the mean value of the windows that a pixel is in.

        Args:
          values: [..., window].

        Returns:
          float64 [..., height, width].
        """
        rows, columns = (
            (np.arange(side) >= first[:, None]) & (np.arange(side) < first[:, None] + self.size)
            for side, first in zip(self.shape, self.corners.T, strict=True)
        )
        total = np.einsum('...w,wy,wx->...yx', values, rows, columns, optimize=True)
        return total / np.einsum('wy,wx->yx', rows.astype(float), columns.astype(float))


def make_occluder(predict: Predict, windows: Windows, *, together: int = _TOGETHER) -> Callable:
    """Compiles a function that evaluates one clip under every window, all of them in one call.

    Args:
      predict: what is asked.
      together: values of occluded frames that `predict` is given at once.

    Returns:
      (network, frames float32 [T, H, W, C] as the network sees them, length int32 []) -> float32
      [1 + window, K], class probabilities of the whole face and then with each window zeroed in all
      frames. Compiled once for a geometry of the frames.
    """
    beyond = np.full((1, 2), -windows.size, np.int32)  # hides nothing
    corners = np.concatenate([beyond, windows.corners])

    def hide(frames, corner):
        rows, columns = (
            jnp.arange(side) - first for side, first in zip(windows.shape, corner, strict=True)
        )
        inside = [(axis >= 0) & (axis < windows.size) for axis in (rows, columns)]
        return jnp.where((inside[0][:, None] & inside[1][None])[None, :, :, None], 0.0, frames)

    @jax.jit
    def occlude(network, frames, length):
        def hidden(some):
            occluded = jax.vmap(hide, (None, 0))(frames, some)
            return predict(network, occluded, jnp.full(len(some), length))

        parts = -(-len(corners) * frames.size // together)
        if parts == 1:
            return hidden(corners)
        each = -(-len(corners) // parts)
        filled = np.concatenate([corners, beyond.repeat(parts * each - len(corners), 0)])
        probabilities = jax.lax.map(hidden, filled.reshape(parts, each, 2))
        return probabilities.reshape(parts * each, -1)[: len(corners)]

    return occlude


def flips(probabilities: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Marks the windows whose hiding makes the prediction wrong (minaee2019, sec. IV-C).

    Args:
      probabilities: [clip, 1 + window, K] of rightly classified clips, as the occluder gives them.
      label: int [clip].

    Returns:
      bool [clip, window].
    """
    return probabilities[:, 1:].argmax(-1) != label[:, None]


def falls(probabilities: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Computes how far hiding a window lowers the true class's probability; below 0 if it rises.

    Args:
      probabilities, label: as of `flips`.

    Returns:
      [clip, window] in -1 to 1.
    """
    true = np.take_along_axis(probabilities, label[:, None, None], 2)[..., 0]
    return true[:, :1] - true[:, 1:]
