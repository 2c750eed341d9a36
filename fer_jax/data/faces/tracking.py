"""Following one face through a clip: a detector every few frames, a tracker or a line between.

Boxes are left, top, right, bottom edges in pixels with centres at integers. The detector looks at
every n-th frame and the last; where the followed face is not among what it finds, it looks at all
frames around. The followed face is the one with the greatest sum of sides over the frames that the
detector looked at first: largest and most persistent, so that a face that only passes by, however
large, is not taken for the clip's. No frame gets a box that is more than n frames from a detection.
"""

import typing
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# Two boxes this much alike (area of the intersection over that of the union) are one face.
SAME_FACE = 0.3


class Tracker(typing.Protocol):
    """Carries one box from frame to frame by what the picture shows."""

    def start(self, image: np.ndarray, box: np.ndarray) -> None:
        """Takes the box [4] of `image` as the one to follow."""

    def update(self, image: np.ndarray) -> np.ndarray | None:
        """Finds the box [4] in the next image; None where the face is lost."""


def follow(
    frames: Sequence[Any],
    detect: Callable[[Any], np.ndarray],
    every: int,
    new_tracker: Callable[[], Tracker] | None = None,
) -> np.ndarray:
    """Follows one face: its box in each frame.

    Args:
      frames: T images, in whatever form `detect` takes them.
      detect: gives float [F, 4], the boxes of all faces in a picture.
      every: the detector looks at each `every`-th frame; a still is one frame.
      new_tracker: makes what carries a box between detections; None draws a straight line between
        two detections.
    Returns:
      float32 [T, 4], NaN where the face was not found.
    """
    last = len(frames) - 1
    first = sorted({*range(0, last + 1, every), last})
    found = {index: detect(frames[index]) for index in first}
    chosen = _main_track(found, first)
    for start, end in zip(first, first[1:], strict=False):
        if start not in chosen or end not in chosen:
            found |= {index: detect(frames[index]) for index in range(start + 1, end)}
    if len(found) > len(first):
        chosen = _main_track(dict(sorted(found.items())), first)

    boxes = np.full((len(frames), 4), np.nan)
    for index, box in chosen.items():
        boxes[index] = box
    near = _near(chosen, len(frames), every)
    if new_tracker is not None:
        _carry(boxes, frames, near, new_tracker)
    _draw_lines(boxes, near)
    return boxes.astype(np.float32)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Divides the area of the intersection of two boxes [4] by that of their union, 0 to 1."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    areas = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]))
    return shared / (areas - shared) if shared else 0.0


def _main_track(found: dict[int, np.ndarray], first: list[int]) -> dict[int, np.ndarray]:
    """Selects the frames and boxes of the face to follow; `found` maps frame -> boxes [F, 4]."""
    tracks: list[dict[int, np.ndarray]] = []
    for index, boxes in found.items():
        # The best pairs of a known face and a new box first; what is left starts a face of its own.
        pairs = [
            (overlap(track[max(track)], box), number, place)
            for number, track in enumerate(tracks)
            for place, box in enumerate(boxes)
        ]
        continued, taken = set(), set()
        for alike, number, place in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:])):
            if alike >= SAME_FACE and number not in continued and place not in taken:
                tracks[number][index] = boxes[place]
                continued.add(number)
                taken.add(place)
        tracks += [{index: box} for place, box in enumerate(boxes) if place not in taken]

    def weight(track: dict[int, np.ndarray]) -> tuple[float, float]:
        sides = {index: (box[2:] - box[:2]).sum() for index, box in track.items()}
        return sum(sides.get(index, 0.0) for index in first), sum(sides.values())

    return max(tracks, key=weight, default={})


def _near(chosen: dict[int, np.ndarray], length: int, every: int) -> np.ndarray:
    """Marks bool [T], at most `every` frames from a detection of the followed face."""
    near = np.zeros(length, bool)
    for index in chosen:
        near[max(0, index - every) : index + every + 1] = True
    return near


def _carry(
    boxes: np.ndarray, frames: Sequence, near: np.ndarray, new_tracker: Callable[[], Tracker]
) -> None:
    """Fills in what a tracker sees: forwards from known boxes, then backwards to what is left."""
    for step in (1, -1):
        known = np.flatnonzero(np.isfinite(boxes[:, 0]))
        for start in known[::step]:
            index, tracker = start + step, None
            while 0 <= index < len(boxes) and near[index] and np.isnan(boxes[index, 0]):
                if tracker is None:
                    tracker = new_tracker()
                    tracker.start(frames[start], boxes[start])
                box = tracker.update(frames[index])
                if box is None:
                    break
                boxes[index] = box
                index += step


def _draw_lines(boxes: np.ndarray, near: np.ndarray) -> None:
    """Fills in what lies between two known boxes, near enough to a detection."""
    known = np.flatnonzero(np.isfinite(boxes[:, 0]))
    if not len(known):
        return
    indices = np.arange(len(boxes))
    between = np.isnan(boxes[:, 0]) & near & (indices > known[0]) & (indices < known[-1])
    for edge in range(4):
        boxes[between, edge] = np.interp(indices[between], known, boxes[known, edge])
