"""Stretches of time in which a person shows one expression."""

import dataclasses

import numpy as np

from fer_jax.predict.results import FilmResult
from fer_jax.predict.tracking import MISSED

# Seconds between two rows of a person that end a stretch, at least `tracking.MISSED` steps between
# looks; and seconds below which a stretch is none.
_BREAK, _SHORTEST = 0.6, 0.15


@dataclasses.dataclass(frozen=True)
class Segment:
    """One expression of one person without a break.

    Attributes:
      track: the person's number.
      label: the class's name.
      start, end: seconds; the end is where the last row's time ends.
      probability: mean smoothed probability of the label.
      uncertain: share of its time that is doubtful.
    """

    track: int
    label: str
    start: float
    end: float
    probability: float
    uncertain: float


def segments(result: FilmResult) -> list[Segment]:
    """Lists all stretches of all people, by person and time, but those shorter than 0.15 s."""
    label, lasts, doubtful = result.label, result.lasts, np.any(result.doubtful, 1)
    found, broken = [], max(_BREAK, MISSED * result.step)
    for track in result.people:
        rows = np.flatnonzero((result.track == track) & (label >= 0))
        if not len(rows):
            continue
        time, own = result.time[rows], label[rows]
        cut = np.flatnonzero((np.diff(own) != 0) | (np.diff(time) > broken)) + 1
        for part in np.split(rows, cut):
            # Where the next row is far away this one's time ends as others' do.
            last = min(float(lasts[part[-1]]), broken)
            start, end = float(result.time[part[0]]), float(result.time[part[-1]]) + last
            if end - start >= _SHORTEST:
                name = int(label[part[0]])
                found.append(
                    Segment(
                        track,
                        result.classes[name],
                        start,
                        end,
                        float(result.smoothed[part, name].mean()),
                        float(np.average(doubtful[part], weights=lasts[part])),
                    )
                )
    return found
