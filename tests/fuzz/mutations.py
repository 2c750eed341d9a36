"""Seeded damage: to bytes, to texts of numbers and rows, to JSON, to arrays, to folders."""

import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = (
    *('', '-1', '0', '1.5', 'nan', 'inf', '-inf', '1e308', '1e-9', str(10**20), str(2**31)),
    *(
        '9' * 5000,
        '0x10',
        '1_0',
        'x',
        'None',
        '\x00',
        '"',
        "'",
        '\u0663',
        '=1+1',
        '1 2',
        '999999999',
    ),
)
VALUES = (
    *(None, True, False, 0, -1, 7, 10**9, 10**20, 1.5, 1e308, '', 'x', '../..', '/dev/zero'),
    *([], [[]], [None], {}, {'a': {}}, 'a' * 5000, '\x1b[31m', [1, 'a'], -0.0, [10**9] * 4),
)
Change = Callable[[bytes, np.random.Generator], bytes]


def _span(data: bytes, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(data) + 1))
    return start, min(len(data), start + int(rng.integers(1, 40)))


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four bits."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if out:
            out[int(rng.integers(len(out)))] ^= 1 << int(rng.integers(8))
    return bytes(out)


def cut_off(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data) + 1))]


def lose(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def twice(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] + data[end:]


def zeros(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def insert(data: bytes, rng: np.random.Generator) -> bytes:
    start, _ = _span(data, rng)
    pieces = (b'\xef\xbb\xbf', b'\xff\xfe', b'\n\n', b'"', b',', b'[' * 5000, b'\x1b[31m', b'\r')
    return data[:start] + pieces[int(rng.integers(len(pieces)))] + data[start:]


def number(data: bytes, rng: np.random.Generator) -> bytes:
    """Another number, or what is none, in place of one of a text."""
    found = list(re.finditer(rb'-?\d+(?:\.\d+)?(?:e[+-]?\d+)?', data))
    if not found:
        return lose(data, rng)
    start, end = found[int(rng.integers(len(found)))].span()
    return data[:start] + NUMBERS[int(rng.integers(len(NUMBERS)))].encode() + data[end:]


def rows(data: bytes, rng: np.random.Generator) -> bytes:
    """Lines lost, doubled or exchanged."""
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return b''
    one, other = rng.integers(len(lines), size=2)
    kind = int(rng.integers(3))
    if kind == 0:
        del lines[int(one)]
    elif kind == 1:
        lines.insert(int(other), lines[int(one)])
    else:
        lines[int(one)], lines[int(other)] = lines[int(other)], lines[int(one)]
    return b''.join(lines)


def whole(data: bytes, rng: np.random.Generator) -> bytes:
    """Something else altogether."""
    others = (b'', b'\n', b'null', b'[]', b'{}', b'3', b'\x00' * 100, b'PK\x03\x04', b'\xff' * 50)
    return others[int(rng.integers(len(others)))]


BYTES: tuple[Change, ...] = (flip, cut_off, lose, twice, zeros, insert, whole)
TEXT: tuple[Change, ...] = (*BYTES, number, number, rows)


def document(data: bytes, rng: np.random.Generator) -> bytes:
    """Another value, or none, at one place of a JSON document."""
    value = json.loads(data)
    holder, key, at = [value], 0, value
    while isinstance(at, dict | list) and at and (holder[key] is value or rng.random() < 0.8):
        keys = list(at) if isinstance(at, dict) else range(len(at))
        holder, key = at, keys[int(rng.integers(len(keys)))]
        at = holder[key]
    if isinstance(holder, dict) and rng.random() < 0.25:
        del holder[key]
    else:
        holder[key] = VALUES[int(rng.integers(len(VALUES)))]
    return json.dumps(value).encode()


def arrays(data: bytes, rng: np.random.Generator) -> bytes:
    """Another value, shape or type in one array of a .npz."""
    with np.load(io.BytesIO(data)) as saved:
        found = dict(saved)
    name = sorted(found)[int(rng.integers(len(found)))]
    array, kind = found[name], int(rng.integers(6))
    if kind == 0:
        found[name] = array[..., :-1] if array.ndim else array
    elif kind == 1:
        found[name] = array.astype(str)
    elif kind == 2:
        found[name] = array.reshape(-1)
    elif kind == 3:
        del found[name]
    elif array.size and array.dtype.kind in 'iuf':
        values = (-1, 2, 77, np.nan, np.inf) if array.dtype.kind == 'f' else (-1, 2, 77, 2**15)
        array = array.copy()
        value = values[int(rng.integers(len(values)))]
        array.reshape(-1)[int(rng.integers(array.size))] = np.array(value).astype(array.dtype)
        found[name] = array
    else:
        found[name] = array[:0]
    out = io.BytesIO()
    np.savez(out, **found)
    return out.getvalue()


def changes_of(path: Path) -> tuple[Change, ...]:
    """The damage that a file of its kind meets."""
    if path.suffix == '.json':
        return (*TEXT, *[document] * 8)
    if path.suffix == '.npz':
        return (*BYTES, *[arrays] * 8)
    binary = path.suffix.lower() in {'.png', '.jpg', '.tiff', '.avi', '.mat', '.npy'}
    return BYTES if binary or 'array_record' in path.name else TEXT


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to('nowhere')


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _copy(path: Path) -> None:
    shutil.copy(path, path.with_name(f'{path.stem} (1){path.suffix}'))


def _of_macos(path: Path) -> None:
    path.with_name(f'._{path.name}').write_bytes(b'\0\5\x16\7')


def _capitals(path: Path) -> None:
    path.rename(path.with_suffix(path.suffix.upper()))


def _odd_name(path: Path) -> None:
    os.rename(path, os.fsencode(path.parent) + b'/\xff\xfe' + os.fsencode(path.name))


PLACES = (Path.unlink, _folder, _link, _loop, _copy, _of_macos, _capitals, _odd_name)


def damage(folder: Path, files: list[Path], rng: np.random.Generator) -> str:
    """Damages one of a folder's files and returns what was done, for messages."""
    path = files[int(rng.integers(len(files)))]
    if rng.random() < 0.15:
        change: Any = PLACES[int(rng.integers(len(PLACES)))]
        change(path)
    else:
        changes = changes_of(path)
        change = changes[int(rng.integers(len(changes)))]
        path.write_bytes(change(path.read_bytes(), rng))
    return f'{path.relative_to(folder)}: {change.__name__.strip("_")}'
