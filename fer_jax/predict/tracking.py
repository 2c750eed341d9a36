"""Follows people: faces of successive pictures joined to people with lasting numbers.

Each face is described by where it is, how large it is, where it was moving, and what head and
shoulders look like in coarse colours. Faces are given to people by the assignment of least cost
(`scipy.optimize.linear_sum_assignment`). A person out of sight is remembered for `GAP` seconds and
moves on meanwhile; back within that time, at a place that can be reached and looking alike, the
face gets its old number.
"""

import dataclasses
import math
from typing import Any

import cv2
import numpy as np
import scipy

from fer_jax.predict.detection import START, Faces

# Seconds after which a person out of sight is forgotten.
GAP = 2.5
# However seldom a film is looked at: nobody is away before so many steps between two looks.
MISSED = 1.5
# How far a face may lie from where it is expected, in sides of its box: at once, and more for each
# second out of sight. A head turns away or runs at about two sides a second.
_REACH, _REACH_A_SECOND = 0.7, 1.5
# How much its size may change, as a logarithm: at once, and more for each second.
_GROWTH, _GROWTH_A_SECOND = 0.45, 0.4
# How far looks may differ (`difference`), at once and after so many seconds out of sight. In films
# they differ by 0.05 from one look to the next, by up to 0.14 within a film for one person, and by
# 0.18 and more between two. Simulated people before one wall differ from themselves by up to 0.10,
# and 95 % of their pairs from each other by more.
_UNLIKE, _SHORT_GAP = 0.22, 0.4
# After a gap: where the face is expected, half hidden perhaps by who passed before it; elsewhere.
_UNLIKE_EXPECTED, _UNLIKE_ELSEWHERE = 0.15, 0.11
_WEIGHT_OF_LOOKS = 4.0
# Velocities are learnt over this many seconds, and trusted for as many out of sight.
_MEMORY, _COASTING = 0.35, 0.6
# The looks: cells across and down from the hair to the chest, and how fast they are relearnt.
_CELLS, _RELEARN = (5, 6), 0.2


@dataclasses.dataclass
class _Person:
    """All that is known of one person.

    Attributes:
      track: the person's number, from 1.
      time: seconds at which the face was last seen.
      centre: [2], side: of the box then, in pixels.
      velocity: [2], pixels a second.
      looks: [cell, 3], NaN where the picture ended; see `describe`.
    """

    track: int
    time: float
    centre: np.ndarray
    side: float
    velocity: np.ndarray
    looks: np.ndarray

    def expected(self, time: float) -> np.ndarray:
        """Predicts where the face should be, [2]."""
        return self.centre + self.velocity * min(time - self.time, _COASTING)


class Tracker:
    """Numbers the faces of pictures that come in the order of their times.

    Args:
      step: seconds from one picture to the next.
    """

    def __init__(self, step: float = 0.0):
        self._gap = max(GAP, MISSED * step)
        self._people: list[_Person] = []
        self._next = 1

    def update(self, time: float, faces: Faces, image: np.ndarray) -> dict[int, int]:
        """Gives each face its person.

        Args:
          time: seconds, rising from call to call.
          faces: of the picture.
          image: uint8 [H, W, 3], RGB.
        Returns:
          {person's number: index of the face}; faces that begin nobody (a score below START) are
          left out.
        """
        self._people = [person for person in self._people if time - person.time <= self._gap]
        looks = [describe(image, box) for box in faces.box]
        centres = (faces.box[:, :2] + faces.box[:, 2:]) / 2
        sides = (faces.box[:, 2:] - faces.box[:, :2]).max(axis=1, initial=0)
        cost = np.full((len(self._people), len(faces)), np.inf)
        for row, person in enumerate(self._people):
            for column in range(len(faces)):
                cost[row, column] = _cost(
                    person, time, centres[column], sides[column], looks[column]
                )
        seen: dict[int, int] = {}
        for row, column in _assigned(cost):
            person = self._people[row]
            _learn(person, time, centres[column], sides[column], looks[column])
            seen[person.track] = column
        for column in range(len(faces)):
            if column not in seen.values() and faces.score[column] >= START:
                self._people.append(
                    _Person(
                        self._next, time, centres[column], sides[column], np.zeros(2), looks[column]
                    )
                )
                seen[self._next] = column
                self._next += 1
        return dict(sorted(seen.items()))

    def become(self, other: 'Tracker') -> None:
        """Takes over what another one knows."""
        self._people, self._next = other._people, other._next

    def state(self) -> dict[str, Any]:
        """Returns all that it knows, as JSON values; floats come back bit for bit."""
        return {
            'next': self._next,
            'people': [
                {
                    'track': person.track,
                    'time': person.time,
                    'centre': person.centre.tolist(),
                    'side': float(person.side),
                    'velocity': person.velocity.tolist(),
                    'looks': [[None if math.isnan(x) else x for x in row] for row in person.looks],
                }
                for person in self._people
            ],
        }

    @classmethod
    def restored(cls, state: dict[str, Any], step: float = 0.0) -> 'Tracker':
        """Restores the tracker whose `state` this was."""
        tracker = cls(step)
        tracker._next = state['next']
        tracker._people = [
            _Person(
                known['track'],
                known['time'],
                np.array(known['centre']),
                known['side'],
                np.array(known['velocity']),
                np.array(known['looks'], np.float64),
            )
            for known in state['people']
        ]
        return tracker


def describe(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Describes what head and shoulders look like: coarse colours, float64 [cell, 3].

    Cells outside the picture are NaN.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    columns, rows = _CELLS
    x = np.linspace(left - 0.35 * width, right + 0.35 * width, columns + 1)
    y = np.linspace(top - 0.35 * height, bottom + 0.85 * height, rows + 1)
    x, y = np.rint(x).astype(int), np.rint(y).astype(int)
    cut_x, cut_y = np.clip(x, 0, image.shape[1]), np.clip(y, 0, image.shape[0])
    cut = image[cut_y[0] : cut_y[-1], cut_x[0] : cut_x[-1]]
    looks = np.full((rows, columns, 3), np.nan)
    if cut.size:
        # Few pixels a cell are enough for a mean.
        scale = min(1.0, 64 / max(cut.shape[:2]))
        size = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
        small = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
        sums = cv2.integral(cv2.cvtColor(small, cv2.COLOR_RGB2Lab))
        at_x = np.rint((cut_x - cut_x[0]) * size[0] / cut.shape[1]).astype(int)
        at_y = np.rint((cut_y - cut_y[0]) * size[1] / cut.shape[0]).astype(int)
        area = np.diff(at_y)[:, None] * np.diff(at_x)[None]
        inside = (np.diff(cut_y)[:, None] * np.diff(cut_x)[None]) * 2 >= (
            np.diff(y)[:, None] * np.diff(x)[None]
        )
        corner = sums[at_y][:, at_x]
        total = corner[1:, 1:] - corner[:-1, 1:] - corner[1:, :-1] + corner[:-1, :-1]
        known = (area > 0) & inside
        looks[known] = total[known] / area[known][:, None]
    looks = looks.reshape(-1, 3) / 127.5 - 1
    # A film's colours vary less than its lightness.
    return looks * (0.7, 4.0, 4.0)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Measures how far two faces' looks differ: root mean square over cells that both have."""
    apart = one - other
    known = ~np.isnan(apart[:, 0])
    if known.sum() < 4:
        return _UNLIKE_ELSEWHERE / 2  # too little is seen to say anything
    apart = apart[known]
    # A cloud before the sun changes the lightness of all cells.
    apart[:, 0] -= apart[:, 0].mean()
    return float(np.sqrt(np.mean(apart**2)))


def _cost(
    person: _Person, time: float, centre: np.ndarray, side: float, looks: np.ndarray
) -> float:
    """Computes what it costs to take a face for a person; infinite where it cannot be."""
    gap = time - person.time
    distance = float(np.hypot(*(centre - person.expected(time)))) / max(side, person.side)
    growth = abs(math.log(side / person.side))
    if distance > _REACH + _REACH_A_SECOND * gap or growth > _GROWTH + _GROWTH_A_SECOND * gap:
        return math.inf
    unlike = difference(person.looks, looks)
    limit = _UNLIKE
    if gap > _SHORT_GAP:
        limit = _UNLIKE_EXPECTED if distance <= _REACH else _UNLIKE_ELSEWHERE
    if unlike > limit:
        return math.inf
    return distance + growth + _WEIGHT_OF_LOOKS * unlike


def _assigned(cost: np.ndarray) -> list[tuple[int, int]]:
    """Finds the pairs of least total cost, as many as are possible; none of infinite cost."""
    if not cost.size:
        return []
    # Finite, and dearer than any pair, so that leaving one out never pays where it is possible.
    finite = np.where(np.isfinite(cost), cost, 1e6)
    rows, columns = scipy.optimize.linear_sum_assignment(finite)
    return [
        (row, column)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if np.isfinite(cost[row, column])
    ]


def _learn(
    person: _Person, time: float, centre: np.ndarray, side: float, looks: np.ndarray
) -> None:
    """Takes in where a person is now."""
    gap = time - person.time
    if gap > _COASTING:
        person.velocity = np.zeros(2)
    else:
        share = 1 - math.exp(-gap / _MEMORY)
        person.velocity = person.velocity + share * (
            (centre - person.centre) / gap - person.velocity
        )
    known, seen = ~np.isnan(person.looks[:, 0]), ~np.isnan(looks[:, 0])
    both = known & seen
    person.looks = np.where(known[:, None], person.looks, looks)
    person.looks[both] += _RELEARN * (looks[both] - person.looks[both])
    person.time, person.centre, person.side = time, centre, float(side)
