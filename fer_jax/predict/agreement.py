"""Agreement with a person who coded the same film."""

import csv
import dataclasses
from pathlib import Path

import numpy as np

from fer_jax.errors import UserError
from fer_jax.evaluation.table import COUNT, INTERVAL, NUMBER, SHARE, Column, Table
from fer_jax.predict import summary
from fer_jax.predict.results import FilmResult

COLUMNS = ('start_s', 'end_s', 'label')
_HOW = 'a table with the columns start_s, end_s, label and, for several people, track'


@dataclasses.dataclass(frozen=True)
class Code:
    """A code: what somebody saw from `start` to `end`, in seconds; track 0 is everybody."""

    start: float
    end: float
    label: str
    track: int = 0


def read(path: Path, classes: tuple[str, ...]) -> list[Code]:
    """Reads codes.csv.

    Raises:
      UserError: not a table of that kind, or a label that the network does not know.
    """
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f'--against={path}: {error}; give {_HOW}') from error
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise UserError(f'--against={path}: no column {missing[0]}; give {_HOW}')
    codes = []
    for number, row in enumerate(rows, 2):
        try:
            start, end = float(row['start_s']), float(row['end_s'])
            track = int(row.get('track') or 0)
        except (TypeError, ValueError):
            raise UserError(
                f'--against={path}, row {number}: a time or a track is no number; give {_HOW}'
            ) from None
        label = (row['label'] or '').strip()
        if label not in classes:
            raise UserError(
                f"--against={path}, row {number}: '{label}' is none of the network's classes "
                f'({", ".join(classes)})'
            )
        if not end > start:
            raise UserError(f'--against={path}, row {number}: end_s is not after start_s')
        codes.append(Code(start, end, label, track))
    return codes


def compare(result: FilmResult, codes: list[Code]) -> Table:
    """Makes a row for each person and class, and for all classes together.

    Cohen's kappa (1960) of 'this class or another' by the seconds of rows that both have a label
    for; intervals by block bootstrap over the person's rows (`summary.BLOCK`).
    """
    coded = np.full(len(result), -1)
    for code in codes:
        rows = (result.time >= code.start) & (result.time < code.end) & (result.track > 0)
        if code.track:
            rows &= result.track == code.track
        coded[rows] = result.classes.index(code.label)
    label, lasts = result.label, result.lasts
    rows = []
    for track in result.people:
        both = np.flatnonzero((result.track == track) & (label >= 0) & (coded >= 0))
        pairs = np.zeros((len(both), len(result.classes), len(result.classes)))
        pairs[np.arange(len(both)), coded[both], label[both]] = lasts[both]
        block = summary.block_of(lasts[both])
        for k, name in [*enumerate(result.classes), (-1, 'all')]:
            values = pairs if k < 0 else _one_against_rest(pairs, k)
            found = kappa(values.sum(0)[None])[0]
            interval = (np.nan, np.nan)
            if len(both):
                interval = tuple(summary.interval_of_blocks(values, block, kappa).tolist())
            total = values.sum()
            rows.append(
                {
                    'track': track,
                    'label': name,
                    'seconds': float(total),
                    'coded': float(pairs.sum((0, 2))[k] / total) if k >= 0 and total else None,
                    'predicted': float(pairs.sum((0, 1))[k] / total) if k >= 0 and total else None,
                    'agreed': float(np.trace(values.sum(0)) / total) if total else None,
                    'kappa': None if np.isnan(found) else float(found),
                    'kappa_interval': None if np.isnan(interval).any() else interval,
                }
            )
    columns = (
        Column('track', 'Person', COUNT),
        Column('label', 'Class'),
        Column('seconds', 'Seconds coded', NUMBER),
        Column('coded', 'Coded %', SHARE),
        Column('predicted', 'Predicted %', SHARE),
        Column('agreed', 'Agreed %', SHARE),
        Column('kappa', "Cohen's kappa", NUMBER),
        Column('kappa_interval', '95 %, times 100', INTERVAL),
    )
    caption = (
        "Agreement with a human coder: Cohen's kappa by seconds, intervals by block bootstrap."
    )
    return Table('agreement', caption, columns, rows)


def _one_against_rest(pairs: np.ndarray, k: int) -> np.ndarray:
    """Sums [row, class, class] to [row, 2, 2]: the class, and all others."""
    both, coded, said = pairs[:, k, k], pairs[:, k].sum(1), pairs[:, :, k].sum(1)
    rest = pairs.sum((1, 2)) - coded - said + both
    return np.stack([np.stack([both, coded - both], 1), np.stack([said - both, rest], 1)], 1)


def kappa(pairs: np.ndarray) -> np.ndarray:
    """Computes Cohen's kappa of [..., coded, predicted] weights; NaN where it is undefined."""
    total = pairs.sum((-2, -1))
    with np.errstate(invalid='ignore', divide='ignore'):
        share = pairs / total[..., None, None]
        agreed = np.trace(share, axis1=-2, axis2=-1)
        chance = (share.sum(-1) * share.sum(-2)).sum(-1)
        return np.where(chance < 1 - 1e-12, (agreed - chance) / (1 - chance), np.nan)
