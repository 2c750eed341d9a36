"""Reading folders that are named after classes."""

import collections
from collections.abc import Iterator
from pathlib import Path

from fer_jax.data.datasets import release
from fer_jax.data.datasets.own import rows
from fer_jax.data.datasets.own.rows import Row
from fer_jax.errors import UserError

# So many numbered pictures in a folder below a class look like the frames of a film.
_LIKE_FRAMES = 5


def read(root: Path, sequences: bool) -> tuple[list[Row], list[dict[str, str]], list[str]]:
    """Reads the clips in class/... or in train, validation and test, each with class/... inside.

    Files that lie in no class folder are clips without a label; files beside folders of splits
    are left out.

    Args:
      sequences: a folder in a class that holds pictures is one clip of frames; otherwise each
        picture is a clip.

    Returns:
      The rows; what is left out, as in `records.ScanResult.dropped`; and what people should know.

    Raises:
      UserError: folders of splits beside others, frames beside something else, or nothing to be
        read.
    """
    inside = sorted(path for path in root.iterdir() if path.is_dir() and not rows.hidden(path))
    splits = [path for path in inside if path.name.lower() in rows.SPLITS]
    if splits and len(splits) < len(inside):
        other = next(path.name for path in inside if path not in splits)
        raise UserError(
            f'{root}: {splits[0].name} beside {other}; the folder holds classes, or only train, '
            'validation and test with the classes inside'
        )
    parts = [(path, rows.SPLITS[path.name.lower()]) for path in splits] or [(root, '')]
    twice = [name for name, n in collections.Counter(n for _, n in parts).items() if n > 1]
    if twice:
        raise UserError(f'{root}: two folders for {twice[0]}; keep one')
    found, dropped, numbered = [], [], collections.Counter()
    if splits:
        stray = (path for path in root.iterdir() if not path.is_dir() and not rows.hidden(path))
        dropped += [
            _left_out(path.name, 'beside the folders of splits')
            for path in sorted(stray, key=lambda path: release.by_number(path.name))
        ]
    for part, split in parts:
        for path in _files(part, sequences):
            inner = path.relative_to(part).parts
            name = path.relative_to(root).as_posix()
            label = rows.text(inner[0]) if len(inner) > 1 else ''
            if kind := rows.kind_at(path):
                found.append(Row(name, '', label, '', split, kind=kind))
                if len(inner) > 2 and kind == rows.PICTURE:
                    numbered[path.parent] += path.stem[-1:].isdecimal()
            else:
                reason = f'no picture, film or sound ({path.suffix or "no ending"})'
                dropped.append(_left_out(name, reason))
    if not found:
        raise UserError(
            f'{root}: no picture, film or sound in it; --release names a manifest (.csv, .tsv) or '
            'a folder with one folder for each class'
        )
    frames = [folder for folder, count in numbered.items() if count >= _LIKE_FRAMES]
    hints = []
    if frames:
        first = frames[0].relative_to(root).as_posix()
        hints.append(
            f'{len(frames):,} folders below classes hold numbered pictures, as {first}: each '
            'picture is a clip; with --sequences each folder is one'
        )
    return found, dropped, hints


def _left_out(name: str, reason: str) -> dict[str, str]:
    """Makes an entry of what is left out."""
    return {'clip_id': name, 'path': name, 'reason': reason, 'label_set': ''}


def _files(folder: Path, sequences: bool, depth: int = 0) -> Iterator[Path]:
    """Lists files below a part, by number; with `sequences` folders of frames in their place."""
    for path in sorted(folder.iterdir(), key=lambda path: release.by_number(path.name)):
        if rows.hidden(path):
            continue
        if not path.is_dir():
            yield path
        elif sequences and depth and rows.frames_in(path):
            _check_frames_alone(path)
            yield path
        else:
            yield from _files(path, sequences, depth + 1)


def _check_frames_alone(folder: Path) -> None:
    """Refuses a folder of frames in which folders, films or sounds lie as well."""
    for path in sorted(folder.iterdir()):
        if not rows.hidden(path) and (
            path.is_dir() or rows.kind_of(path.name) in (rows.FILM, rows.SOUND)
        ):
            raise UserError(
                f'{folder}: pictures beside {path.name}; with --sequences a folder of pictures is '
                'one clip and holds nothing else: move the one or the other'
            )
