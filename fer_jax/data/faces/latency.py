"""Measures how long a live camera waits for a face: on a film, one frame after another."""

import statistics
import time
from pathlib import Path

from fer_jax.data import registration
from fer_jax.data.datasets import video
from fer_jax.data.faces import make_detector
from fer_jax.data.faces.detector import grey
from fer_jax.errors import UserError

# As many of a film's frames are measured: four seconds of most.
FRAMES = 100


def measure(
    film: str | Path, detector: str, *, size: int, channels: int, margin: float
) -> dict[str, float]:
    """Times finding the face in a frame, and cutting it out and scaling it.

    Args:
      film: a video file; its first FRAMES frames are looked at, each by itself.
      detector: name of a way to find faces.
      size: side of the face that is cut out, in pixels.
      channels: 1 (grey) or 3.
      margin: side of what is cut out as a multiple of the face box.
    Returns:
      Median seconds of one frame: 'find', over all frames, and 'cut', over those with a face.
    Raises:
      UserError: no film, a damaged one, or one in whose first frames there is no face.
    """
    look = make_detector(detector)
    find, cut = [], []
    for frame in video.read_video(film)[:FRAMES]:
        started = time.perf_counter()
        boxes = look.boxes(frame)
        found = time.perf_counter()
        find.append(found - started)
        window = registration.face_window(boxes[:1], margin)
        if window is not None:
            registration.crop(frame if channels == 3 else grey(frame), window, size)
            cut.append(time.perf_counter() - found)
    if not cut:
        raise UserError(
            f'{film}: {detector} finds no face in its first {len(find)} frames: give another film, '
            'or another detector'
        )
    return {'find': statistics.median(find), 'cut': statistics.median(cut)}
