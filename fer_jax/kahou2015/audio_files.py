"""Features of sound as openSMILE's SMILExtract writes them: .arff, or .csv."""

import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from fer_jax.data.protocols import shorten
from fer_jax.errors import UserError

# Columns that are no features, as openSMILE and its Python package call them.
_CLIP = ('name', 'file', 'filename')
_OTHERS = ('frameindex', 'frametime', 'start', 'end', 'class', 'emotion', 'label')
_PARTS = {'train': 'train', 'val': 'validation', 'validation': 'validation', 'test': 'test'}
# AFEW's parts, in whose folders the release keeps a folder for each class.
_AFEW = {f'{name}_afew': part for name, part in _PARTS.items()}
# Whether a row's name is a clip's id, folders that both end with, and whether a suffix is the id's.
_Closeness = tuple[bool, int, bool]


def read(path: Path, clip_ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Reads the features of some clips from a file with one row a clip.

    A row belongs to the clip whose id its name is; else to the one whose id ends as the name does,
    suffixes aside, in the most folders: 'sound/000046280.wav' is 'train/000046280', and
    'wav/joy/01.wav' is 'joy/01.wav', not 'anger/01.wav'. Names of two parts ('test/000046280.wav',
    'Val_AFEW/Happy/000046280.wav') are of two clips. Other rows are passed over.

    Args:
      path: .arff, or .csv divided by commas or semicolons with the names in its first line.
      clip_ids: the clips wanted.

    Returns:
      Names of the features in ascending order, whatever the file's, and float32 [clip, feature].

    Raises:
      UserError: no such file, a line that is wrong, clips without a row, two rows for a clip.
    """
    if not path.is_file():
        raise UserError(f'sound.file: there is no {path}')
    try:
        return _read(path, clip_ids)
    except csv.Error as error:
        raise UserError(f'{path} cannot be read as a table ({error}): extract it again') from error


def _read(path: Path, clip_ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
    with path.open(newline='', encoding='utf-8-sig', errors='replace') as lines:
        names, rows = _arff(path, lines) if path.suffix.lower() == '.arff' else _csv(path, lines)
        lower = [name.lower() for name in names]
        named = [k for k, name in enumerate(lower) if name in _CLIP]
        if not named:
            raise UserError(f"{path} does not name its clips: it has no column '{_CLIP[0]}'")
        columns = [k for k, name in enumerate(lower) if name not in (*_CLIP, *_OTHERS)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"{path} has more than one column '{twice[0]}': extract it again")
        columns.sort(key=lambda k: names[k])
        found: dict[str, tuple[_Closeness, list[int], np.ndarray]] = {}
        wanted: dict[str, list[str]] = {}
        for clip in clip_ids:
            for end in {PurePosixPath(clip).name, PurePosixPath(clip).stem}:
                wanted.setdefault(end, []).append(clip)
        for number, row in rows:
            if len(row) != len(names):
                raise UserError(
                    f'{path}, line {number}: {len(row)} values, but {len(names)} columns are named'
                )
            clip, closeness = _clip_of(row[named[0]].strip().strip('\'"'), wanted)
            if not clip or (clip in found and found[clip][0] > closeness):
                continue
            try:
                with np.errstate(over='ignore'):  # infinite, which is refused below
                    values = np.array([row[k] for k in columns], np.float32)
            except ValueError:
                wrong = next(k for k in columns if not _is_number(row[k]))
                raise UserError(
                    f"{path}, line {number}: {names[wrong]} is '{row[wrong]}', which is no number"
                ) from None
            if not np.isfinite(values).all():
                wrong = columns[int(np.argmin(np.isfinite(values)))]
                raise UserError(
                    f"{path}, line {number}: {names[wrong]} is '{row[wrong]}', which is no finite "
                    'number of four bytes'
                )
            same = found[clip][1] if clip in found and found[clip][0] == closeness else []
            found[clip] = closeness, [*same, number], values
    for clip, (_, rows_of, _) in found.items():
        if len(rows_of) > 1:
            raise UserError(
                f"{path}, lines {rows_of[0]} and {rows_of[1]}: both are of '{clip}': leave one"
            )
    if missing := [clip for clip in clip_ids if clip not in found]:
        raise UserError(f'{path} has no row for {len(missing)} clips: {shorten(missing)}')
    return [names[k] for k in columns], np.stack([found[clip][2] for clip in clip_ids])


def _clip_of(name: str, wanted: Mapping[str, Sequence[str]]) -> tuple[str, _Closeness]:
    """Finds the clip that a row's name is closest to; '' where there is none, or are two.

    Args:
      wanted: clips' ids by what they end with, with and without suffix.
    """
    path = PurePosixPath(name.replace('\\', '/'))
    part = _part(path)
    close: dict[str, _Closeness] = {}
    for clip in {*wanted.get(path.name, ()), *wanted.get(path.stem, ())}:
        own = PurePosixPath(clip)
        if part and _part(own) and part != _part(own):
            continue
        folders = zip(reversed(path.parent.parts), reversed(own.parent.parts), strict=False)
        common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], folders))
        close[clip] = name == clip, common, own.name in (path.name, path.stem)
    best = max(close.values(), default=(False, 0, False))
    clips = [clip for clip, closeness in close.items() if closeness == best]
    return (clips[0] if len(clips) == 1 else ''), best


def _part(path: PurePosixPath) -> str:
    """Tells the part that a name's folders name; '' where none does."""
    afew = [_AFEW[name.lower()] for name in path.parent.parts if name.lower() in _AFEW]
    return afew[-1] if afew else _PARTS.get(path.parent.name, '')


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _arff(path: Path, lines: Iterator[str]) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Names of the columns, and rows with the numbers of their lines."""
    names = []
    numbered = enumerate(lines, 1)
    for number, line in numbered:
        word, _, rest = line.strip().partition(' ')
        if word.lower() == '@attribute':
            rest = rest.strip()
            if not rest:
                raise UserError(f'{path}, line {number}: @attribute without a name')
            quoted = rest[:1] in ('"', "'")
            names.append(rest[1:].split(rest[0])[0] if quoted else rest.split()[0])
        elif word.lower() == '@data':
            return names, _rows(numbered, ',')
    raise UserError(f"{path} is no .arff file: it has no line '@data'")


def _csv(path: Path, lines: Iterator[str]) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """As of `_arff`."""
    numbered = enumerate(lines, 1)
    _, header = next(numbered, (1, ''))
    mark = ';' if ';' in header else ','
    names = next(csv.reader([header], delimiter=mark), [])
    return [name.strip() for name in names], _rows(numbered, mark)


def _rows(numbered: Iterator[tuple[int, str]], mark: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in numbered:
        if line.strip() and not line.startswith('%'):
            yield number, next(csv.reader([line.strip()], delimiter=mark, quotechar="'"))
