"""A table of results: its columns, its rows of plain values, as CSV and as people read it."""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# How a column is shown. A CSV always has the plain value: shares in 0..1, intervals as two columns.
TEXT, COUNT, SHARE, INTERVAL, DIFFERENCE = 'text', 'count', 'share', 'interval', 'difference'
DIFFERENCE_INTERVAL, NUMBER, PROBABILITY = 'difference-interval', 'number', 'probability'
INTERVALS = (INTERVAL, DIFFERENCE_INTERVAL)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: its key in a row, its title, how its values are shown; or it is in the CSV only."""

    key: str
    title: str
    kind: str = TEXT
    shown: bool = True


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of plain values (None: no number) under columns; `strong` marks rows by index."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[Mapping[str, Any]]
    strong: frozenset[int] = frozenset()

    def csv(self, stamps: Sequence[str]) -> str:
        """Returns CSV text; stamps, where there are any, are the last column of every row."""
        header, values = [], []
        for column in self.columns:
            cells = [row[column.key] for row in self.rows]
            if column.kind in INTERVALS:
                header += [f'{column.key}_low', f'{column.key}_high']
                cells = [(None, None) if cell is None else cell for cell in cells]
                values += [[cell[0] for cell in cells], [cell[1] for cell in cells]]
            else:
                header.append(column.key)
                values.append(cells)
        return csv_text(header, values, stamps)


def csv_text(
    header: Sequence[str], columns: Sequence[Sequence[Any] | np.ndarray], stamps: Sequence[str]
) -> str:
    """Formats columns of equal length as CSV; None and NaN are empty, floats have 6 digits."""
    header, columns = list(header), [[_cell(value) for value in column] for column in columns]
    if stamps:
        header.append('stamps')
        columns.append(['; '.join(stamps)] * len(columns[0]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def harmless(text: str) -> str:
    """Returns a csv's cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(('=', '+', '-', '@', '\t', '\r')) else text


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value if _is_number(value) else harmless(value)
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ''
    return f'{value:.6g}' if isinstance(value, float | np.floating) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def show(kind: str, value: Any) -> str:
    """Formats a value for people: shares in per cent, differences in points with their sign."""
    if kind == DIFFERENCE_INTERVAL:
        return ' to '.join(f'{100 * end:+.1f}' for end in value).replace('-', '−')
    if kind == NUMBER:
        return f'{value:.2f}'.replace('-', '−')
    if kind == PROBABILITY:
        return probability(value)
    if kind == SHARE:
        return f'{100 * value:.2f}'
    if kind == DIFFERENCE:
        return f'{100 * value:+.2f}'.replace('-', '−')
    if kind == INTERVAL:
        return f'{100 * value[0]:.1f} – {100 * value[1]:.1f}'
    if kind == COUNT:
        return f'{value:,}'.replace(',', '\u202f')
    return str(value)


def probability(value: float) -> str:
    """Formats a p-value: four decimals, one more where they would leave a single digit."""
    if value < 0.0001:
        return '<0.0001'
    return f'{value:.4f}' if value >= 0.001 else f'{value:.5f}'
