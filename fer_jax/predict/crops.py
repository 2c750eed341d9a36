"""From a face in a frame to what a network sees: the same cuts as in its training."""

import dataclasses
import math

import cv2
import numpy as np

from fer_jax.data import cropping, registration
from fer_jax.data.datasets.records import STORED_MARGIN, STORED_SIZE
from fer_jax.predict.following import Seen
from fer_jax.predict.models import FaceClassifier

# Of a face that is kept for a window: how far the kept part reaches, in sides of the box, since
# one cut serves the whole window and the head moves in it; and the largest box that is kept as it
# is, since a window may have a hundred of them.
_STILL_REACH, _MOVING_REACH = 1.5, 2.6
_LARGEST = 256


@dataclasses.dataclass(frozen=True)
class Patch:
    """The part of a frame around one face.

    Attributes:
      time: seconds of the frame.
      pixels: uint8 [h, w, 3], RGB.
      corner: x and y in the frame of its first pixel.
      shrunk: frame pixels per pixel, 1 where it is as it was.
      box: float64 [4], the square that the network's margin counts from, in frame pixels.
      points: float64 [5, 2] in frame pixels.
    """

    time: float
    pixels: np.ndarray
    corner: tuple[int, int]
    shrunk: int
    box: np.ndarray
    points: np.ndarray

    def to_pixels(self) -> np.ndarray:
        """Returns the matrix [2, 3] from frame pixels to this patch's."""
        (x, y), k = self.corner, self.shrunk
        return np.array([[1 / k, 0, (0.5 - x) / k - 0.5], [0, 1 / k, (0.5 - y) / k - 0.5]])


def patch(image: np.ndarray, time: float, face: Seen, model: FaceClassifier) -> Patch:
    """Cuts what a network may need of a face from uint8 [H, W, 3]."""
    box = model.framing.box(face.box)
    side = box[2] - box[0]
    reach = _STILL_REACH if model.geometry.frames == 1 else _MOVING_REACH
    half = reach * max(model.geometry.margin, STORED_MARGIN) * side / 2
    x, y = (box[:2] + box[2:]) / 2
    left, top = max(0, math.floor(x - half)), max(0, math.floor(y - half))
    right, bottom = (
        min(image.shape[1], math.ceil(x + half) + 1),
        min(image.shape[0], math.ceil(y + half) + 1),
    )
    cut = image[top : max(top, bottom), left : max(left, right)]
    shrunk = 1
    if model.geometry.frames > 1:
        shrunk = max(1, math.ceil(side / _LARGEST)) if cut.size else 1
        width, height = cut.shape[1] // shrunk, cut.shape[0] // shrunk
        cut = cut[: height * shrunk, : width * shrunk]
        if shrunk > 1 and cut.size:
            cut = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
        cut = cut.copy()  # the frame itself need not stay in memory
    return Patch(time, cut, (left, top), shrunk, box, face.points)


def clip(patches: list[Patch], model: FaceClassifier) -> tuple[np.ndarray, int]:
    """Makes the network's input of one person's window.

    Args:
      patches: in the order of their times; one for a network of stills.
    Returns:
      uint8 [T, S, S, C], and how many frames there are before the last one is repeated.
    """
    geometry = model.geometry
    if geometry.sampling == 'last' and geometry.frames > 1:
        patches = _paced(patches, geometry.frames, model.seconds)
    boxes = np.stack([each.box for each in patches])
    # Cut as a preparation cuts its clips, so that the network sees what it saw in training.
    reach = STORED_MARGIN if model.stored else geometry.margin * _STILL_REACH
    windows = registration.following_windows(boxes, reach)
    if windows is None:
        raise ValueError('a clip needs a patch with a box')
    size = min(STORED_SIZE, windows[0, 2]) if model.stored else windows[0, 2]
    windows, shift = registration.on_grid(windows, size)
    points = np.stack([each.points for each in patches])
    record = {
        'clip_id': '',
        'frames': np.stack([_cut(*each, size) for each in zip(patches, windows, strict=True)]),
        'box': registration.to_crops(boxes.reshape(-1, 2, 2), windows, size).reshape(-1, 4),
        'landmarks': registration.to_crops(points, windows, size),
        'shift': shift,
    }
    out = np.empty((geometry.frames, geometry.size, geometry.size, geometry.channels), np.uint8)
    length, _ = cropping.draw(out, record, geometry, model.fit)
    return out, length


def _paced(patches: list[Patch], most: int, seconds: float) -> list[Patch]:
    """Chooses patches back from the last one, `most` in `seconds`, by time; fewer in less time."""
    times = np.array([each.time for each in patches])
    lasts = (times[-1] - times[0]) * len(times) / max(1, len(times) - 1)
    count = min(most, max(1, round(lasts * most / seconds)))
    wanted = times[-1] - seconds / most * np.arange(count)[::-1]
    return [patches[np.abs(times - time).argmin()] for time in wanted]


def _cut(each: Patch, window: tuple[int, int, int], size: int) -> np.ndarray:
    """Cuts a window of the frame, (x, y, side) in whole pixels, from a patch: uint8 [S, S, 3]."""
    if each.shrunk == 1:
        x, y, side = window
        local = x - each.corner[0], y - each.corner[1], side
        return registration.crop(each.pixels, local, size)
    matrix = registration.compose(registration.window_matrix(window, size), each.to_pixels())
    return registration.warp(each.pixels, matrix, size)
