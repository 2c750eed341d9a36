"""The base of all face detectors: follows one face, then its landmarks where there are any."""

import abc
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from fer_jax.data import checksums
from fer_jax.data.datasets import records
from fer_jax.data.faces import tracking
from fer_jax.errors import UserError


class Detector(abc.ABC):
    """Finds the face of a clip. Safe to call from several threads; repeats itself to the bit.

    Attributes:
      NAME: as in `faces.DETECTORS`.
      EVERY: it looks at each so-manieth frame; five times a second of a video of 25 frames.
      PARALLEL: several clips at once are faster than one (False: the package uses all cores).
      landmarks: whether faces come with 68 landmarks.
      identity: what decides which faces are found, as JSON values: name, options, weights.
      package: the package that does the work, with its version.
    """

    NAME: str
    EVERY = 5
    PARALLEL = True
    landmarks = False

    def __init__(self, package: str, *weights: Path, **options):
        """Takes the files that were learnt and the options, as part of what the detector is."""
        self.package = package
        digests = {path.name: checksums.sha256(path) for path in weights}
        self.identity = {'name': self.NAME, 'every': self.EVERY, **options, 'weights': digests}
        self._own = threading.local()

    @property
    def key(self) -> str:
        """Identity and package as text: the same text finds the same faces."""
        return json.dumps([self.identity, self.package], sort_keys=True)

    @abc.abstractmethod
    def boxes(self, image: np.ndarray) -> np.ndarray:
        """Finds the faces of a picture uint8 [H, W, C]: float64 [F, 4], left, top, right, bottom.

        Pixel centres are at integers, so that the whole picture is (-0.5, -0.5, W - 0.5, H - 0.5).
        """

    # Makes a tracker, where the package has one.
    new_tracker: Callable[[], tracking.Tracker] | None = None
    # (image, box) -> landmarks [68, 2], of what may set `landmarks`.
    points: Callable[[np.ndarray, np.ndarray], np.typing.ArrayLike] | None = None

    def find(self, frames: Sequence[np.ndarray]) -> records.Faces:
        """Follows one face through a clip of T frames uint8 [H, W, C] (`tracking.follow`).

        With landmarks, boxes are the tight ones around them, as with faces that ship with a
        release; without, they are the detector's own.
        """
        boxes = tracking.follow(frames, self.boxes, self.EVERY, self.new_tracker)
        points = np.full((len(frames), 68, 2), np.nan, np.float32)
        if self.points is None or not self.landmarks:
            return records.Faces(boxes, points)
        for index in np.flatnonzero(np.isfinite(boxes[:, 0])).tolist():
            points[index] = self.points(frames[index], boxes[index])
        return records.Faces.from_landmarks(points)

    def quarter_turns(self, frames: Sequence[np.ndarray]) -> int:
        """Returns how often a clip uint8 [H, W, C] must be turned by 90 degrees against the clock.

        0, as it is, for detectors that cannot tell: they see faces where there are none, or none
        that lies on its side.
        """
        return 0

    def own(self, make):
        """Returns this thread's own instance of something that threads cannot share."""
        if not hasattr(self._own, 'instance'):
            self._own.instance = make()
        return self._own.instance


def grey(image: np.ndarray) -> np.ndarray:
    """Converts uint8 [H, W, C] to grey [H, W], contiguous."""
    return np.ascontiguousarray(
        image[:, :, 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    )


def coloured(image: np.ndarray) -> np.ndarray:
    """Converts uint8 [H, W, C] to RGB [H, W, 3]."""
    return image if image.shape[2] == 3 else np.repeat(image, 3, axis=2)


def package_missing(name: str, package: str, error: ImportError) -> UserError:
    """Makes the error of a detector whose package cannot be imported."""
    why = ' '.join(str(error).split())
    return UserError(f"--faces={name} needs {package} ({why}): pip install 'fer_jax[landmarks]'")
