"""All faces of a picture, with five points and a score each: YuNet run by OpenCV (wu2023)."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from fer_jax.data.faces import yunet
from fer_jax.predict.orientation import Orientation

# Lowest score of a face that is followed already; `START` is that of a new one.
KEEP, START = 0.6, 0.8
# YuNet gives about ten boxes a face. Those that overlap the surest one by `_VOTES` (area of the
# intersection over that of the union) are averaged, sure ones counting more, and those that overlap
# it by `_SAME` are the same face. The surest alone changes from frame to frame between boxes that
# lie up to 4 % of a face apart: averages move a sixth to three quarters less.
_VOTES, _SAME, _SHARPNESS, _CANDIDATES = 0.5, 0.3, 10, 5000


@dataclasses.dataclass(frozen=True)
class Faces:
    """The faces of one picture, from left to right.

    Attributes:
      box: float64 [F, 4], left, top, right, bottom edges in pixels with centres at integers.
      points: float64 [F, 5, 2], x and y of the eye centres (left in the picture first), the tip of
        the nose and the corners of the mouth.
      score: float64 [F], 0 to 1.
    """

    box: np.ndarray
    points: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.box)


class FaceFinder:
    """Finds faces in pictures, at one or more scales one after another until one shows a face.

    A face is found where it measures about 12 pixels or more in the picture looked at.

    Attributes:
      sides: longest sides, in pixels, to which a picture is reduced for looking at it; none is
        enlarged.
    """

    def __init__(self, sides: tuple[int, ...] = (320, 640)):
        self.sides = sides
        self._net = cv2.FaceDetectorYN.create(
            str(yunet.packaged()), '', (320, 320), KEEP, 1.0, _CANDIDATES
        )

    def find(self, image: np.ndarray) -> Faces:
        """All faces with a score of `KEEP` and more in uint8 [H, W, 3], RGB."""
        height, width = image.shape[:2]
        for side in self.sides:
            scale = min(1.0, side / max(height, width))
            size = max(1, round(width * scale)), max(1, round(height * scale))
            small = image
            if scale < 1:
                small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            found = self._look(small, np.array([width, height]) / size)
            if len(found) or scale == 1:
                break
        return found

    def _look(self, image: np.ndarray, ratio: np.ndarray) -> Faces:
        image = yunet.at_least(image)
        self._net.setInputSize(image.shape[1::-1])
        rows = self._net.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
        rows = np.zeros((0, 15)) if rows is None else rows.astype(np.float64)
        rows[:, 2:4] += rows[:, :2]  # OpenCV gives width and height
        rows = _faces(rows)
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        # OpenCV's corners are edges: the first pixel begins at 0, its centre lies at 0.5.
        return Faces(
            rows[:, :4] * np.tile(ratio, 2) - 0.5,
            rows[:, 4:14].reshape(-1, 5, 2) * ratio - 0.5,
            rows[:, 14],
        )


def _faces(rows: np.ndarray) -> np.ndarray:
    """One row a face of all candidates [n, 15]: box, points, score, which is that of the surest."""
    rows = rows[np.isfinite(rows).all(1) & (rows[:, 2:4] > rows[:, :2]).all(1)]
    found = []
    while len(rows):
        best = rows[rows[:, 14].argmax()]
        sides = np.minimum(rows[:, 2:4], best[2:4]) - np.maximum(rows[:, :2], best[:2])
        shared = np.maximum(sides, 0).prod(1)
        area = (rows[:, 2:4] - rows[:, :2]).prod(1)
        alike = shared / (area + (best[2:4] - best[:2]).prod() - shared)
        votes = rows[alike >= _VOTES]
        mean = np.average(votes[:, :14], axis=0, weights=votes[:, 14] ** _SHARPNESS)
        found.append(np.append(mean, best[14]))
        rows = rows[alike < _SAME]
    return np.array(found).reshape(-1, 15)


# A face on its side or its head is often found, but with a lower score than the same face upright:
# upright from the front 0.92 and more, turned at most 0.91. A turn must gain this much.
_SURE, _GAIN = 0.92, 0.02


def surest_turn(images: Sequence[np.ndarray], finder: FaceFinder) -> Orientation:
    """Finds the turn in which pictures uint8 [H, W, 3] show the surest face; none where in doubt.

    They are looked at turned only where they show no sure face as they are.
    """
    best, surest = Orientation(), -_GAIN
    for degrees in (0, 90, 180, 270):
        turn = Orientation.of_turn(degrees)
        scores = (finder.find(turn.apply(image)).score.max(initial=0.0) for image in images)
        score = max(scores, default=0.0)
        if score > surest + _GAIN:
            best, surest = turn, score
        if surest >= _SURE:
            break
    return best
