"""Reading a manifest: a table of clips, as people write it in a spreadsheet."""

import csv
import dataclasses
import io
import math
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from fer_jax.data.datasets.own import rows
from fer_jax.data.datasets.own.rows import Mistakes, Row
from fer_jax.errors import UserError

COLUMNS = ('path', 'label', 'subject', 'split', 'start_s', 'end_s', 'landmarks')
SUFFIXES = ('.csv', '.tsv')


def read(path: Path, ignored: tuple[str, ...], mistakes: Mistakes) -> list[Row]:
    """Reads the rows of a manifest, each checked by itself against the files.

    Args:
      path: .csv (commas, or semicolons as some spreadsheets write) or .tsv (tabs), UTF-8 or UTF-16,
        with a header of COLUMNS in any order; `path` and `label` must be there. Columns without a
        name are passed over. Paths are relative to the manifest's folder.
      ignored: columns that are not looked at.
      mistakes: takes what is wrong.

    Raises:
      UserError: nothing can be read, or a column is missing or unknown, or `path` or `label` is to
        be ignored.
    """
    needed = [name for name in ('path', 'label') if name in ignored]
    if needed:
        raise UserError(
            f"{path}: --ignore_columns names '{needed[0]}', which is needed; leave it out there"
        )
    table = _table(path)
    line, cells = next(table, (0, []))
    if any(map(_breaks, cells)):
        raise UserError(f'{path}, line {line}: a line break in the header; is a quote not closed?')
    header = [rows.text(name).lower() for name in cells]
    for name in ('path', 'label'):
        if name not in header:
            raise UserError(
                f"{path}: no column '{name}' in the header '{', '.join(header)[:80]}'; the first "
                f'line names the columns: path, label and, where wanted, {", ".join(COLUMNS[2:])}'
            )
    named = [name for name in header if name]
    unknown = [name for name in named if name not in (*COLUMNS, *ignored)]
    if unknown:
        raise UserError(
            f'{path}: unknown column ({len(unknown)}): {", ".join(unknown)}; the columns are '
            f'{", ".join(COLUMNS)}: rename it, or pass --ignore_columns={",".join(unknown)}'
        )
    if len(set(named)) < len(named):
        raise UserError(f'{path}: a column twice in the header {", ".join(header)}; remove one')
    found = []
    for line, cells in table:
        if not any(cell.strip() for cell in cells):
            continue
        where = f'line {line}'
        if len(cells) > len(header) or len(cells) <= max(map(header.index, ('path', 'label'))):
            mistakes.add(
                f'rows that have not {len(header)} cells as the header',
                'quote cells that hold the separator',
                where,
            )
            continue
        both = zip(header, cells, strict=False)
        kept = {column: cell for column, cell in both if column not in ignored}
        if any(_breaks(kept.get(column, '')) for column in COLUMNS):
            mistakes.add('cells with a line break in them', 'is a quote not closed?', where)
            continue
        row = _row(path, kept, where, mistakes)
        if row is not None:
            found.append(row)
    if any(row.split for row in found):
        for row in found:
            if row.label and not row.split:
                mistakes.add('no split, where other rows have one', 'fill it in', row)
    return found


def _breaks(cell: str) -> bool:
    """Tells whether a cell goes on in another line, as one does whose quote is not closed."""
    return '\n' in cell.strip() or '\r' in cell.strip()


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Reads a manifest's rows, whatever its separator and encoding: their last lines, and cells.

    A first line 'sep=;', as Excel knows it, states the separator and is no row.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}') from error
    wide = data.startswith((b'\xff\xfe', b'\xfe\xff'))
    try:
        content = data.decode('utf-16' if wide else 'utf-8-sig')
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b'\n') + 1
        raise UserError(f'{path}, line {line}: not UTF-8; save the table as "CSV UTF-8"') from error
    header = content.partition('\n')[0].rstrip('\r')
    stated = header[:4].lower() == 'sep=' and header[4:] in (',', ';', '\t', '|')
    separator = '\t' if path.suffix.lower() == '.tsv' or '\t' in header else ','
    if separator == ',' and header.count(';') > header.count(','):
        separator = ';'
    file = io.StringIO(content, newline='')
    reader = csv.reader(file, delimiter=header[-1] if stated else separator, skipinitialspace=True)
    try:
        if stated:
            next(reader)
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise UserError(
            f'{path}, line {reader.line_num}: {error}; is a quote not closed?'
        ) from error


def _row(path: Path, cells: dict[str, str], where: str, mistakes: Mistakes) -> Row | None:
    """Parses one row; None, and a mistake noted, where it stands for nothing."""
    name = _inside(path.parent, cells['path'], where, mistakes)
    if name is None:
        return None
    file = path.parent / name
    label, subject = rows.text(cells['label']), rows.text(cells.get('subject', ''))
    split = rows.text(cells.get('split', ''))
    listed = Row(name, where, label, subject, kind=rows.kind_at(file))
    if not os.path.exists(file):  # nor can be: a name that is too long
        mistakes.add(
            'files that are not there', f'paths are relative to {path.parent}; correct them', listed
        )
        return None
    if not _readable(file, listed, mistakes):
        return None
    if split and split.lower() not in rows.SPLITS:
        mistakes.add(f"unknown split '{split}'", 'a split is train, validation or test', listed)
    split = rows.SPLITS.get(split.lower(), '')
    if not label and split in ('train', 'validation'):
        mistakes.add(
            'label empty in a row that is to train',
            'fill it in, or leave the split empty: unlabelled clips are in no fold',
            listed,
        )
    times = _times(cells, listed, mistakes)
    if times is None:
        return None
    points = cells.get('landmarks', '').strip()
    if points:
        points = _inside(path.parent, points, where, mistakes) or ''
        if points and not os.path.isfile(path.parent / points):
            mistakes.add('files of landmarks that are not there', 'correct the paths', where)
    return dataclasses.replace(listed, split=split, start=times[0], end=times[1], landmarks=points)


def _inside(folder: Path, given: str, where: str, mistakes: Mistakes) -> str | None:
    """Makes a path relative to the folder, with forward slashes; None where it leads out of it.

    An accented letter is one character or two, as in the file's name.
    """
    name = given.strip()
    if not name:
        mistakes.add('path empty', 'name the file, or remove the row', where)
        return None
    if not os.path.exists(folder / name):
        name = name.replace('\\', '/')
        written = (unicodedata.normalize(form, name) for form in ('NFC', 'NFD'))
        name = next((each for each in written if os.path.exists(folder / each)), name)
    relative = os.path.relpath(os.path.normpath(folder / name), folder)
    if relative == os.pardir or relative.startswith(os.pardir + os.sep):
        mistakes.add(
            f'path outside the folder {folder}',
            'put the manifest above the files, or link them there',
            f'{given.strip()} ({where})',
        )
        return None
    return relative.replace(os.sep, '/')


def _readable(file: Path, listed: Row, mistakes: Mistakes) -> bool:
    """Tells whether a file's kind is known, or a folder holds frames."""
    if listed.kind == rows.FRAMES:
        if rows.frames_in(file):
            return True
        mistakes.add('folders without a picture in them', 'name a folder of frames', listed)
    elif listed.kind:
        return True
    else:
        mistakes.add(
            'no picture, film or sound by their names',
            'save pictures as JPEG or PNG, films as MP4, sounds as WAV or FLAC',
            listed,
        )
    return False


def _times(cells: dict[str, str], listed: Row, mistakes: Mistakes) -> tuple[float, float] | None:
    """Parses start_s and end_s of a row, 0 and infinity where empty; None where wrong."""
    times = []
    for column, default in (('start_s', 0.0), ('end_s', math.inf)):
        given = cells.get(column, '').strip()
        try:
            # A spreadsheet of another language writes a comma.
            times.append(float(given.replace(',', '.')) if given else default)
        except ValueError:
            times.append(math.nan)
    start, end = times
    if not (0 <= start < math.inf) or math.isnan(end):
        mistakes.add('start_s or end_s that is no number of seconds', 'correct it', listed)
    elif start >= end:
        mistakes.add(
            'start after end', 'start_s is the smaller one', f'{listed}: {start:g} to {end:g}'
        )
    elif (start or end < math.inf) and listed.kind not in (rows.FILM, rows.SOUND):
        mistakes.add('times of something that is no film or sound', 'leave them empty', listed)
    else:
        return start, end
    return None
