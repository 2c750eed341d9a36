"""A predicted film as arrays: its rows read back, smoothed over time, labelled and judged."""

import csv
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fer_jax import atomic
from fer_jax.evaluation import calibration
from fer_jax.predict import quality
from fer_jax.predict.films import UNREADABLE
from fer_jax.predict.pipeline import FACE, NO_FACE

STATUSES = (FACE, NO_FACE, UNREADABLE)
# Seconds to either side over which probabilities are averaged, nearer ones counting more.
SMOOTH = 0.5


@dataclasses.dataclass(frozen=True)
class FilmResult:
    """A film's rows: one a frame and face, one a frame without a face.

    Attributes:
      classes: names of the classes.
      frame, time: int64 [row], float64 [row] seconds.
      status: int8 [row], index into STATUSES.
      track: int32 [row], a person's number from 1; 0 where there is no face.
      box: float32 [row, 4], left, top, right, bottom edges in pixels; NaN without a face, and so
        are score, sharp and turned, float32 [row].
      start: float64 [row], seconds at which the window begins that was classified and of whose end,
        or middle, this row is; NaN where it is of none, and so are raw, float32 [row, class].
      smoothed: float32 [row, class], means of `raw` over time; NaN where nothing is near.
      threshold: highest probabilities below it are uncertain.
    """

    classes: tuple[str, ...]
    frame: np.ndarray
    time: np.ndarray
    status: np.ndarray
    track: np.ndarray
    box: np.ndarray
    score: np.ndarray
    sharp: np.ndarray
    turned: np.ndarray
    start: np.ndarray
    raw: np.ndarray
    smoothed: np.ndarray
    threshold: float

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def side(self) -> np.ndarray:
        """The longer side of each face in pixels, float32 [row]."""
        return (self.box[:, 2:] - self.box[:, :2]).max(1)

    @property
    def label(self) -> np.ndarray:
        """The most probable class by the smoothed probabilities, int [row]; -1 where none."""
        known = np.isfinite(self.smoothed[:, 0])
        return np.where(known, np.nan_to_num(self.smoothed).argmax(1), -1)

    @property
    def doubtful(self) -> np.ndarray:
        """Returns which of quality.REASONS hold, bool [row, reason]; none without a face."""
        with np.errstate(invalid='ignore'):
            found = [
                self.side < quality.SMALL,
                self.sharp < quality.BLURRED,
                self.turned > quality.TURNED,
                self.smoothed.max(1) < self.threshold,
            ]
        return np.stack(found, 1)

    @property
    def people(self) -> list[int]:
        """The numbers of all people, in order."""
        return [int(track) for track in np.unique(self.track) if track]

    @property
    def step(self) -> float:
        """Seconds from one frame that was looked at to the next, their median; 0 of one alone."""
        steps = np.diff(np.unique(self.time))
        return float(np.median(steps)) if len(steps) else 0.0

    @property
    def lasts(self) -> np.ndarray:
        """Seconds that each row stands for: until the next frame that was looked at."""
        times, place = np.unique(self.time, return_inverse=True)
        return np.append(np.diff(times), self.step)[place]


def read(
    path: Path,
    classes: Sequence[str],
    *,
    centred: bool = False,
    smooth: float = SMOOTH,
    threshold: float = 0.0,
) -> FilmResult:
    """Reads what `pipeline.predict` wrote.

    Args:
      centred: whether what is said of a window stands at its middle (`models.FaceClassifier`).
      smooth: seconds to either side that probabilities are averaged over; 0 leaves them.
    """
    with open(path, encoding='utf-8', newline='') as file:
        numbers = np.full((sum(1 for _ in file), 12 + len(classes)), np.nan)
        numbers[:, 3] = 0
        file.seek(0)
        for row, (frame, seconds, status, *rest) in enumerate(csv.reader(file)):
            values = [frame, seconds, STATUSES.index(status), *rest]
            numbers[row, : len(values)] = values
    raw = numbers[:, 12:].astype(np.float32)
    time, track = numbers[:, 1], numbers[:, 3].astype(np.int32)
    start = numbers[:, 11]
    if centred:
        start, raw = _at_middles(time, track, start, raw)
    return FilmResult(
        classes=tuple(classes),
        frame=numbers[:, 0].astype(np.int64),
        time=time,
        status=numbers[:, 2].astype(np.int8),
        track=track,
        box=numbers[:, 4:8].astype(np.float32),
        score=numbers[:, 8].astype(np.float32),
        sharp=numbers[:, 9].astype(np.float32),
        turned=numbers[:, 10].astype(np.float32),
        start=start,
        raw=raw,
        smoothed=smoothed(time, track, raw, smooth),
        threshold=threshold,
    )


def _at_middles(
    time: np.ndarray, track: np.ndarray, start: np.ndarray, raw: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Moves what is said of windows to the person's rows nearest to their middles."""
    starts, values = np.full_like(start, np.nan), np.full_like(raw, np.nan)
    for person in np.unique(track[track > 0]):
        rows = np.flatnonzero(track == person)
        said = rows[np.isfinite(start[rows])]
        middles = (start[said] + time[said]) / 2
        between = (time[rows][1:] + time[rows][:-1]) / 2
        places = rows[np.searchsorted(between, middles)]
        starts[places], values[places] = start[said], raw[said]
    return starts, values


def smoothed(time: np.ndarray, track: np.ndarray, values: np.ndarray, reach: float) -> np.ndarray:
    """Averages each person's values over time, with weights that fall to 0 at `reach` seconds.

    Args:
      time: float64 [row], rising; track: int [row], 0 for nobody; values: float32 [row, class], NaN
        where there are none.
    Returns:
      float32 [row, class], NaN where a person has no values within reach.
    """
    out = np.full_like(values, np.nan)
    for person in np.unique(track[track > 0]):
        rows = np.flatnonzero(track == person)
        out[rows] = _averaged(time[rows], values[rows], reach)
    return out


def _averaged(time: np.ndarray, values: np.ndarray, reach: float) -> np.ndarray:
    if reach <= 0:
        return values
    known = np.isfinite(values[:, 0])
    given = np.where(known[:, None], values, 0).astype(np.float64)
    total, weight = given.copy(), known.astype(np.float64)
    for apart in range(1, len(time)):
        near = 1 - (time[apart:] - time[:-apart]) / reach
        if not (near > 0).any():
            break
        near = np.maximum(near, 0)
        total[apart:] += (near * known[:-apart])[:, None] * given[:-apart]
        weight[apart:] += near * known[:-apart]
        total[:-apart] += (near * known[apart:])[:, None] * given[apart:]
        weight[:-apart] += near * known[apart:]
    with np.errstate(invalid='ignore'):
        return (total / weight[:, None]).astype(np.float32)


def header(classes: Sequence[str], *, sequences: bool) -> list[str]:
    """Lists the columns of film.csv."""
    names = ['time_s', 'frame', 'track', 'status', 'left', 'top', 'right', 'bottom', 'score']
    names += ['label', 'uncertain', 'entropy']
    names += [f'p_{name}' for name in classes] + [f'smoothed_{name}' for name in classes]
    return names + ['window_start_s'] * sequences


def lines(result: FilmResult, *, sequences: bool) -> Iterator[list[str]]:
    """Yields the rows of film.csv, after `header`; empty cells where there is nothing to say."""
    label, doubtful = result.label, result.doubtful
    entropy = calibration.entropy(result.smoothed)
    for row in range(len(result)):
        status = STATUSES[result.status[row]]
        cells = [f'{result.time[row]:.4f}', str(result.frame[row])]
        if status != FACE:
            blank = 8 + 2 * len(result.classes) + sequences
            yield [*cells, '', status, *[''] * blank]
            continue
        cells += [str(result.track[row]), status, *(f'{edge:.1f}' for edge in result.box[row])]
        cells.append(f'{result.score[row]:.3f}')
        said = label[row] >= 0
        cells.append(result.classes[label[row]] if said else '')
        cells.append(
            ' '.join(r for r, so in zip(quality.REASONS, doubtful[row], strict=True) if so)
        )
        cells.append(f'{entropy[row]:.4f}' if said else '')
        for values in (result.raw[row], result.smoothed[row]):
            cells += [f'{p:.4f}' if np.isfinite(p) else '' for p in values]
        if sequences:
            cells.append(f'{result.start[row]:.4f}' if np.isfinite(result.start[row]) else '')
        yield cells


def write_csv(path: Path, result: FilmResult, *, sequences: bool) -> None:
    """Writes film.csv, whole or not at all."""
    with (
        atomic.replacing(path) as temporary,
        open(temporary, 'w', encoding='utf-8', newline='') as file,
    ):
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(header(result.classes, sequences=sequences))
        writer.writerows(lines(result, sequences=sequences))
