"""Sums a film up for each person: seconds seen, and the share of each expression."""

from typing import Any

import numpy as np

from fer_jax.evaluation import bootstrap
from fer_jax.evaluation.table import COUNT, INTERVAL, NUMBER, SHARE, Column, Table
from fer_jax.predict import quality
from fer_jax.predict.films import UNREADABLE
from fer_jax.predict.pipeline import FACE, NO_FACE
from fer_jax.predict.results import STATUSES, FilmResult

# Seconds of a block: neighbouring rows say nearly the same, rows of different blocks hardly.
BLOCK = 2.0


def tracks(result: FilmResult) -> Table:
    """Makes a row a person: when and how long seen, share of its time in each class with interval.

    Intervals are percentiles of a circular block bootstrap (Politis and Romano 1992): blocks of 2
    seconds of a person's rows are drawn with replacement until they are as many rows. They say how
    much the shares vary with what was filmed, not whether the network is right.
    """
    label, lasts, doubtful = result.label, result.lasts, np.any(result.doubtful, 1)
    rows = []
    for track in result.people:
        own = result.track == track
        said = own & (label >= 0)
        weight = lasts[said]
        seconds = float(lasts[own].sum())
        row: dict[str, Any] = {
            'track': track,
            'seconds': seconds,
            'first_s': float(result.time[own].min()),
            'last_s': float(result.time[own].max()),
            'rows': int(own.sum()),
            'uncertain': float(np.average(doubtful[own], weights=lasts[own] if seconds else None)),
        }
        shares, intervals = block_shares(label[said], weight, len(result.classes), block_of(weight))
        for k, name in enumerate(result.classes):
            row[f'share_{name}'] = shares[k]
            ends = tuple(intervals[:, k].tolist())
            row[f'interval_{name}'] = None if np.isnan(ends).any() else ends
        rows.append(row)
    columns = [
        Column('track', 'Person', COUNT),
        Column('seconds', 'Seconds seen', NUMBER),
        Column('first_s', 'From', NUMBER),
        Column('last_s', 'To', NUMBER),
        Column('rows', 'Frames', COUNT, shown=False),
        Column('uncertain', 'Uncertain %', SHARE),
    ]
    for name in result.classes:
        columns += [
            Column(f'share_{name}', f'{name} %', SHARE),
            Column(f'interval_{name}', '95 %', INTERVAL),
        ]
    caption = (
        'Each person: share of the time seen with each expression, by the smoothed probabilities; '
        'intervals by block bootstrap.'
    )
    return Table('tracks', caption, tuple(columns), rows)


def block_of(weight: np.ndarray) -> int:
    """Counts the rows that make a block; no fewer than the cube root of all."""
    if not len(weight):
        return 1
    usual = max(float(np.median(weight)), 1e-6)
    return max(1, round(BLOCK / usual), round(len(weight) ** (1 / 3)))


def block_shares(
    label: np.ndarray, weight: np.ndarray, classes: int, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the classes' shares and their intervals by circular block bootstrap.

    Args:
      label: int [row]; weight: float [row], each row's seconds.
      block: rows of a block.
    Returns:
      Shares float64 [class] and intervals [2, class]; NaN without rows, intervals also where there
      are fewer than two blocks.
    """
    each = np.zeros((len(label), classes))
    each[np.arange(len(label)), label] = weight
    total = each.sum()
    if not total:
        return np.full(classes, np.nan), np.full((2, classes), np.nan)
    shares = each.sum(0) / total
    return shares, interval_of_blocks(each, block, lambda sums: sums / sums.sum(-1, keepdims=True))


def interval_of_blocks(values: np.ndarray, block: int, statistic) -> np.ndarray:
    """Computes the interval of a statistic of sums over rows, by circular block bootstrap.

    Args:
      values: float [row, ...], what is summed.
      block: rows of a block.
      statistic: sums [draw, ...] -> values [draw, ...].
    Returns:
      [2, ...]; NaN where there are fewer than two blocks.
    """
    count = len(values)
    if count < 2 * block:
        return np.full_like(bootstrap.interval(statistic(values.sum(0)[None])), np.nan)
    # Sums of all blocks, the last ones going on at the beginning.
    wrapped = np.concatenate([values, values[: block - 1]]) if block > 1 else values
    running = np.concatenate([np.zeros((1, *values.shape[1:])), wrapped.cumsum(0)])
    sums = running[block:] - running[:-block]
    number = -(-count // block)
    rng = np.random.default_rng(bootstrap.SEED)
    drawn = np.stack(
        [sums[rng.integers(count, size=number)].sum(0) for _ in range(bootstrap.DRAWS)]
    )
    with np.errstate(invalid='ignore', divide='ignore'):
        return bootstrap.interval(statistic(drawn))


def number(count: int, one: str, more: str = '') -> str:
    """Returns a number of things in words: '1 face', '2 faces'; `more` is the plural unless -s."""
    return f'{count:,} {one if count == 1 else more or one + "s"}'


def people(count: int) -> str:
    """Returns a number of people in words: '1 person', '2 people'."""
    return number(count, 'person', 'people')


def counts(result: FilmResult) -> dict[str, int]:
    """Counts frames by their status, and faces by what makes them doubtful."""
    frames = {
        status: len(np.unique(result.frame[result.status == STATUSES.index(status)]))
        for status in (FACE, NO_FACE, UNREADABLE)
    }
    faces = result.track > 0
    doubts = {
        reason: int(result.doubtful[faces, k].sum()) for k, reason in enumerate(quality.REASONS)
    }
    return {
        'frames': sum(frames.values()),
        'with a face': frames[FACE],
        'without a face': frames[NO_FACE],
        'unreadable': frames[UNREADABLE],
        'people': len(result.people),
        'faces': int(faces.sum()),
        'uncertain faces': int(result.doubtful[faces].any(1).sum()),
        **doubts,
    }
