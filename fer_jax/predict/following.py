"""The faces of every frame of a film: a detector looks at some, what lies between is drawn.

Between two looks a person's box and points move along a straight line. Where somebody came or went
between them, the detector looks at every frame there, so that nobody's first and last frames are
lost. How often it looks goes by time, not by frames.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from fer_jax.predict.detection import Faces
from fer_jax.predict.films import Frame
from fer_jax.predict.tracking import Tracker

# Seconds between two looks, and the most frames between them: they are kept in memory meanwhile.
EVERY, _MOST = 0.12, 12


@dataclasses.dataclass(frozen=True)
class Seen:
    """One person's face in one frame.

    Attributes:
      track: the person's number, from 1.
      box: float64 [4], left, top, right, bottom edges in pixels with centres at integers.
      points: float64 [5, 2], eye centres, tip of the nose, corners of the mouth.
      score: the detector's; between two looks the lower of both.
    """

    track: int
    box: np.ndarray
    points: np.ndarray
    score: float


def follow(
    frames: Iterable[Frame],
    find: Callable[[np.ndarray], Faces],
    tracker: Tracker,
    before: tuple[float, list[Seen]] | None = None,
    every: float = EVERY,
) -> Iterator[list[tuple[Frame, list[Seen]]]]:
    """Yields spans of frames with their faces; the last frame of a span was looked at.

    Args:
      frames: in the order of their times.
      find: the detector.
      tracker: is changed; what it knows after a span belongs to the span's end.
      before: time and faces of the frame before the first one, of a film that goes on.
      every: seconds between two looks.
    """
    span: list[Frame] = []
    for frame in frames:
        span.append(frame)
        due = before is None or frame.time - before[0] >= every - 1e-6 or len(span) >= _MOST
        if due and frame.image is not None:
            found = _closed(span, find, tracker, before)
            before = span[-1].time, found[-1][1]
            yield found
            span = []
        elif len(span) >= _MOST:  # nothing but unreadable frames
            yield from _ended(span, find, tracker, before)
            before = before and (span[-1].time, [])
            span = []
    yield from _ended(span, find, tracker, before)


def _ended(span, find, tracker, before) -> Iterator[list[tuple[Frame, list[Seen]]]]:
    """Returns what is left at a film's end, or before a stretch without a picture."""
    last = max((k for k, frame in enumerate(span) if frame.image is not None), default=-1)
    if last >= 0:
        yield _closed(span[: last + 1], find, tracker, before)
    if span[last + 1 :]:
        yield [(frame, []) for frame in span[last + 1 :]]


def _closed(
    span: list[Frame],
    find: Callable[[np.ndarray], Faces],
    tracker: Tracker,
    before: tuple[float, list[Seen]] | None,
) -> list[tuple[Frame, list[Seen]]]:
    """Places the faces of a span whose last frame can be looked at."""
    last = span[-1]
    if last.image is None:
        raise ValueError(f'frame {last.index} has no picture')
    faces = find(last.image)
    trial = copy.deepcopy(tracker)
    seen = _joined(trial.update(last.time, faces, last.image), faces)
    start, earlier = before or (last.time, [])
    known = {face.track: face for face in earlier}
    if len(span) == 1 or known.keys() == {face.track for face in seen}:
        tracker.become(trial)
        return [(frame, _between(known, start, seen, last.time, frame)) for frame in span[:-1]] + [
            (last, seen)
        ]
    out = []
    for frame in span:
        own = []
        if frame.image is not None:
            here = faces if frame is last else find(frame.image)
            own = _joined(tracker.update(frame.time, here, frame.image), here)
        out.append((frame, own))
    return out


def _joined(given: dict[int, int], faces: Faces) -> list[Seen]:
    return [
        Seen(track, faces.box[face], faces.points[face], float(faces.score[face]))
        for track, face in given.items()
    ]


def _between(
    known: dict[int, Seen], start: float, seen: list[Seen], end: float, frame: Frame
) -> list[Seen]:
    """Places the same people in a frame between two looks."""
    if frame.image is None:
        return []
    share = (frame.time - start) / (end - start)
    return [
        Seen(
            face.track,
            known[face.track].box + share * (face.box - known[face.track].box),
            known[face.track].points + share * (face.points - known[face.track].points),
            min(face.score, known[face.track].score),
        )
        for face in seen
    ]
