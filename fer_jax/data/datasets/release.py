"""Reading a release as its owners ship it, with errors for the person who named the folder."""

import concurrent.futures
import fnmatch
import glob
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from fer_jax.data.datasets import pictures, records
from fer_jax.errors import UserError

# Written by `fer_jax.simulate` into the root of a simulated release.
SIMULATED_FILE = 'SIMULATED.json'


def root(release: str | Path, dataset: str, wanted: dict[str, str]) -> Path:
    """Checks that `release` is the folder that holds the dataset's parts, neither above nor below.

    Args:
      wanted: file or folder that must lie in the root -> where its owners ship it, for the message.
    Raises:
      UserError: no such folder, a folder one to three levels off (named), or a part missing.
    """
    release = Path(release).expanduser()
    if not release.exists():
        raise UserError(
            f'{release}: no such folder; --release names the folder that holds {_listed(wanted)}'
        )

    def complete(folder: Path) -> bool:
        return all((folder / part).exists() for part in wanted)

    if release.is_dir() and complete(release):
        return release
    for folder in release.resolve().parents[:3]:
        if complete(folder):
            raise UserError(f'{release} lies inside the {dataset} release: pass --release={folder}')
    if not release.is_dir():
        raise UserError(f'{release} is a file; --release names the folder with {_listed(wanted)}')
    first = next(iter(wanted))
    inner = [*release.glob(f'*/{first}'), *release.glob(f'*/*/{first}')]
    for folder in sorted({path.parent for path in inner}):
        if complete(folder):
            raise UserError(f'{release} is above the {dataset} release: pass --release={folder}')
    missing = [part for part in wanted if not (release / part).exists()]
    raise UserError(
        f'{release} is no {dataset} release: it has no {missing[0]} ({wanted[missing[0]]}); '
        f'--release names the folder that holds {_listed(wanted)}'
    )


def folder(release: Path, dataset: str, found: Callable[[Path], object], wanted: str) -> Path:
    """Checks a release whose root holds no part of a fixed name.

    Args:
      found: whether a folder is the root.
      wanted: what the root holds, for the message.
    Raises:
      UserError: no such folder, one level off (the right one is named), or nothing found.
    """
    advice = f'--release names the folder that holds {wanted}'
    if not release.exists():
        raise UserError(f'{release}: no such folder; {advice}')
    if release.is_dir() and found(release):
        return release
    for other in (*release.resolve().parents[:2], *sorted(release.glob('*/'))):
        if found(other):
            raise UserError(f'{release} is not the root of {dataset}: pass --release={other}')
    raise UserError(f'{release} is no {dataset} release; {advice}')


def _listed(names: Iterable[str]) -> str:
    *rest, last = names
    return f'{", ".join(rest)} and {last}' if rest else last


def simulated(folder: Path) -> dict | None:
    """Reads what the simulator wrote about the release in `folder`; None for an owners' release.

    Raises:
      UserError: a note that is not as the simulator writes it: nobody may take drawn faces for
        real ones because of it.
    """
    path = folder / SIMULATED_FILE
    if not os.path.lexists(path):
        return None
    again = 'simulate the release again'
    if not path.is_file():
        raise UserError(f'{path}: no file; {again}')
    try:
        note = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{path}: not JSON ({error}); {again}') from error
    if not isinstance(note, dict) or not isinstance(note.get('dataset'), str):
        raise UserError(f'{path}: not what the simulator writes (no dataset in it); {again}')
    return note


def is_foreign(path: Path) -> bool:
    """Returns whether a name is of an operating system's making: `._x`, `.DS_Store`, `__MACOSX`."""
    return path.name.startswith('.') or path.name in ('__MACOSX', 'Thumbs.db', 'desktop.ini')


def by_number(name: str) -> list:
    """Makes a sort key by which frame9 comes before frame10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r'(\d+)', name)]


def matching(folder: Path, pattern: str) -> list[Path]:
    """Lists the files of a folder whose names match a pattern in either case, sorted.

    Those of an operating system's making are passed over.

    Raises:
      UserError: the folder cannot be read.
    """
    try:
        return sorted(
            path
            for path in (folder.iterdir() if folder.is_dir() else ())
            if fnmatch.fnmatch(path.name.lower(), pattern.lower()) and not is_foreign(path)
        )
    except OSError as error:
        raise UserError(f'{folder}: {error.strerror}; {pictures.AGAIN}') from error


def optional(path: Path) -> Path | None:
    """Finds a file that a release may lack, its name in either case; None where it is not there.

    Raises:
      UserError: what has the name is no file, or the folder cannot be read.
    """
    if path.is_file():
        return path
    named = matching(path.parent, glob.escape(path.name))
    for other in named:
        if not other.is_file():
            raise UserError(
                f'{other}: no file, but a folder or a link that leads nowhere; {pictures.AGAIN}'
            )
    return named[0] if named else None


def check_inside(points: np.ndarray, frame: np.ndarray, path: Path) -> None:
    """Refuses landmarks [P, 2] further outside of their picture than half its longer side.

    Points that are not known (NaN) are passed over.
    """
    height, width = frame.shape[:2]
    beyond = np.maximum(-points, points - (width - 1, height - 1))
    furthest = beyond.max(initial=0, where=~np.isnan(beyond))
    if furthest > max(height, width) / 2:
        raise UserError(
            f'{path}: a landmark lies {furthest:.0f} pixels outside of the picture of '
            f'{width}x{height}; {pictures.AGAIN}'
        )


def fingerprint(folder: Path, *, listed: Sequence[Path], read: Sequence[Path]) -> str:
    """Hashes (SHA-256) names and sizes of `listed` files, names and contents of `read` ones.

    Pictures are listed, labels are read: telling two releases apart must not take as long as
    preparing one. The simulator's note counts as read.

    Raises:
      UserError: a file cannot be read.
    """
    digest = hashlib.sha256()
    note = folder / SIMULATED_FILE
    path = folder
    try:
        for path in sorted(listed):
            digest.update(os.fsencode(f'{_inside(path, folder)}\0{path.stat().st_size}\n'))
        for path in sorted([*read, note] if note.exists() else read):
            digest.update(os.fsencode(f'{_inside(path, folder)}\n'))
            with open(path, 'rb') as file:
                digest.update(hashlib.file_digest(file, 'sha256').digest())
    except OSError as error:  # a link that leads nowhere, or round in a circle
        raise UserError(f'{path}: {error.strerror}; {pictures.AGAIN}') from error
    return digest.hexdigest()


def _inside(path: Path, folder: Path) -> str:
    """Makes a path relative to the release, so that moving the release does not change it."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def read_frames(paths: Sequence[Path], pool: concurrent.futures.Executor) -> list[np.ndarray]:
    """Reads a clip's frames, on the pool's threads (decoding leaves the interpreter's lock).

    Frames of a clip share their channels: one colour frame makes the clip colour.

    Raises:
      UserError: an unreadable frame, or frames of different sizes.
    """
    frames = list(pool.map(pictures.read_picture, paths))
    for path, frame in zip(paths, frames, strict=True):
        if frame.shape[:2] != frames[0].shape[:2]:
            raise UserError(
                f'{path}: {frame.shape[1]}x{frame.shape[0]} pixels, but {paths[0].name} of this '
                f'clip has {frames[0].shape[1]}x{frames[0].shape[0]}; {pictures.AGAIN}'
            )
    channels = max(frame.shape[2] for frame in frames)
    return [
        frame if frame.shape[2] == channels else np.repeat(frame, channels, axis=2)
        for frame in frames
    ]


def whole_pictures(frames: Sequence[np.ndarray]) -> records.Faces:
    """Makes the faces of pictures [H, W, C] that ship cut to the face, without landmarks."""
    edges = [(-0.5, -0.5, frame.shape[1] - 0.5, frame.shape[0] - 0.5) for frame in frames]
    landmarks = np.full((len(frames), 68, 2), np.nan, np.float32)
    return records.Faces(np.array(edges, np.float32), landmarks)


def stored_whole(frames: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Makes the record's arrays (`clip_builder.ClipBuilder`) of pictures stored as they are.

    Frames of one shape uint8 [S, S, C], each all face.
    """
    return records.uncut(frames, whole_pictures(frames))


def read_numbers(path: Path, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Reads a text file of numbers apart by white space as float64 of exactly `shape`.

    Raises:
      UserError: the file cannot be read, holds something else, or another count of numbers.
    """
    try:
        words = path.read_text(encoding='utf-8-sig').split()
        numbers = np.array([float(word) for word in words])
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}; {pictures.AGAIN}') from error
    except ValueError as error:
        raise UserError(f'{path}: {what} expected, but {error}; {pictures.AGAIN}') from error
    if numbers.size != np.prod(shape, dtype=int) or not np.isfinite(numbers).all():
        raise UserError(
            f'{path}: {what} expected, found {np.isfinite(numbers).sum()} number(s); '
            f'{pictures.AGAIN}'
        )
    return numbers.reshape(shape)
