"""A camera as a film that has no end until somebody ends it."""

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Generator
from pathlib import Path

import cv2

from fer_jax.errors import UserError
from fer_jax.predict.films import OK, EveryTime, Frame, ahead_of
from fer_jax.predict.orientation import Orientation


@dataclasses.dataclass
class Camera:
    """An open camera, with what `films.Film` has of a film.

    Attributes:
      path: the name under which its rows are written.
      seconds: after which it ends by itself; infinite for never.
    """

    path: Path
    width: int
    height: int
    rate: float
    seconds: float
    _capture: cv2.VideoCapture
    orientation = Orientation()
    has_matrix = False
    codec = format = 'camera'
    has_sound = False

    @classmethod
    def open(cls, number: int, name: str, seconds: float = math.inf) -> 'Camera':
        """Opens a camera by its number, from 0.

        Raises:
          UserError: there is none, or it gives no picture.
        """
        capture = cv2.VideoCapture(number)
        good, image = capture.read() if capture.isOpened() else (False, None)
        if not good or image is None:
            capture.release()
            raise UserError(
                f'--camera={number}: no camera of that number gives a picture; connect one, give '
                'another number, or predict a film'
            )
        rate = capture.get(cv2.CAP_PROP_FPS)
        rate = rate if 0 < rate <= 1000 else 25.0
        return cls(Path(name), image.shape[1], image.shape[0], rate, seconds, capture)

    def frames(self, fps: float = 0.0, skip: int = 0) -> Generator[Frame, None, None]:
        """Yields frames as they come, until `seconds` have passed or the process gets SIGINT.

        A frame that comes while others are still looked at is left out: what is shown is now.
        """
        stop = threading.Event()
        before = signal.signal(signal.SIGINT, lambda *_: stop.set())
        try:
            yield from ahead_of(self._frames(fps, stop), 1)
        finally:
            signal.signal(signal.SIGINT, before)
            self._capture.release()

    def _frames(self, fps: float, stop: threading.Event) -> Generator[Frame, None, None]:
        chosen, started, index = EveryTime(fps), time.monotonic(), -1
        while not stop.is_set():
            good, image = self._capture.read()
            now = time.monotonic() - started
            if not good or now > self.seconds:
                return
            index += 1
            if chosen.takes(now):
                yield Frame(index, now, OK, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
