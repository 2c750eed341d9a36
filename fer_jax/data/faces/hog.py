"""dlib: a detector on histograms of oriented gradients and a correlation tracker (saurav2020)."""

from pathlib import Path

import numpy as np

from fer_jax.data.faces import detector
from fer_jax.errors import UserError

# The peak of the tracker's response over its side lobes: in a real film never below 9.4 within five
# frames, hands before the face included; with the face gone from the picture at most 4.5.
_SURE = 7.0


class Dlib(detector.Detector):
    """dlib's frontal face detector and correlation tracker (saurav2020, sec. IV-B).

    A picture without a face is searched again at twice the size: the detector knows faces of 80
    pixels and more. Its boxes are squares, on simulated faces as wide as the tight box around the
    landmarks is at most, and 0.08 of that higher. `weights` is a file of a 68 point shape
    predictor; without it there are no landmarks.
    """

    NAME = 'dlib'

    def __init__(self, weights: Path | None = None):
        try:
            import dlib
        except ImportError as error:
            raise detector.package_missing(self.NAME, 'the package dlib', error) from error
        self._dlib = dlib
        self._predictor = None if weights is None else _predictor(dlib, weights)
        self.landmarks = weights is not None
        files = [] if weights is None else [weights]
        super().__init__(f'dlib {dlib.__version__}', *files, sure=_SURE)

    def boxes(self, image):
        find = self.own(self._dlib.get_frontal_face_detector)
        picture = detector.grey(image)
        found = find(picture, 0) or find(picture, 1)
        edges = [(face.left(), face.top(), face.right(), face.bottom()) for face in found]
        return np.array(edges, np.float64).reshape(-1, 4) + (-0.5, -0.5, 0.5, 0.5)

    def new_tracker(self):
        return _Tracker(self._dlib)

    def points(self, image, box):
        if self._predictor is None:
            raise ValueError('a shape predictor is needed for landmarks')
        left, top, right, bottom = (round(float(edge)) for edge in box + (0.5, 0.5, -0.5, -0.5))
        face = self._dlib.rectangle(left, top, right, bottom)
        shape = self._predictor(detector.grey(image), face)
        return [(point.x, point.y) for point in shape.parts()]


class _Tracker:
    """dlib's correlation tracker as a `tracking.Tracker`."""

    def __init__(self, dlib):
        self._rectangle, self._tracker = dlib.drectangle, dlib.correlation_tracker()

    def start(self, image, box):
        left, top, right, bottom = (float(edge) for edge in box + (0.5, 0.5, -0.5, -0.5))
        self._tracker.start_track(detector.grey(image), self._rectangle(left, top, right, bottom))

    def update(self, image):
        if self._tracker.update(detector.grey(image)) < _SURE:
            return None
        face = self._tracker.get_position()
        edges = (face.left(), face.top(), face.right(), face.bottom())
        return np.array(edges) + (-0.5, -0.5, 0.5, 0.5)


def _predictor(dlib, path: Path):
    """Loads a shape predictor of 68 points and tries it on an empty picture."""
    fetch = (
        "pass dlib's shape_predictor_68_face_landmarks.dat (https://github.com/davisking/"
        'dlib-models, unpacked) with --weights'
    )
    try:
        predictor = dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise UserError(f'{path}: dlib cannot read this as a shape predictor; {fetch}') from error
    blank = predictor(np.zeros((64, 64), np.uint8), dlib.rectangle(8, 8, 55, 55))
    if blank.num_parts != 68:
        raise UserError(f'{path}: predicts {blank.num_parts} landmarks instead of 68; {fetch}')
    return predictor
