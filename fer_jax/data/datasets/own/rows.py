"""One clip of one's own data as it is listed, and the mistakes that people make in lists."""

import collections
import dataclasses
import math
import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

from fer_jax.data.datasets import pictures, release
from fer_jax.errors import UserError

PICTURE, FILM, SOUND, FRAMES = 'picture', 'film', 'sound', 'folder of frames'
FILMS = (
    *('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.flv', '.3gp'),
    *('.gif', '.ogv', '.mts', '.m2ts', '.ts'),
)
SOUNDS = (
    *('.wav', '.flac', '.mp3', '.ogg', '.oga', '.opus', '.m4a', '.aac', '.wma', '.aif', '.aiff'),
)
# What people call the parts of their data -> what they are called here.
SPLITS = {
    **dict.fromkeys(('train', 'training', 'train_set', 'fer2013train'), 'train'),
    **dict.fromkeys(('validation', 'val', 'valid', 'dev'), 'validation'),
    **dict.fromkeys(('validation_set', 'val_set', 'valid_set', 'fer2013valid'), 'validation'),
    **dict.fromkeys(('test', 'testing', 'test_set', 'fer2013test'), 'test'),
}
_NAMED = 5  # how many places a message names


@dataclasses.dataclass(frozen=True)
class Row:
    """A clip as it is listed.

    Attributes:
      path: of the file or the folder of frames, in the folder, with forward slashes.
      where: for messages: 'line 3', or '' where files were found in folders.
      label, subject, split: '' where nothing is said; the split as in SPLITS's values.
      start, end: seconds of a film or sound; 0 and infinity are all of it.
      landmarks: a file of landmarks, in the folder, or ''.
      kind: PICTURE, FILM, SOUND or FRAMES; '' of what cannot be read.
    """

    path: str
    where: str = ''
    label: str = ''
    subject: str = ''
    split: str = ''
    start: float = 0.0
    end: float = math.inf
    landmarks: str = ''
    kind: str = ''

    @property
    def clip_id(self) -> str:
        """The path, and which part of a film or sound; of a folder of frames with its slash."""
        if self.start or self.end < math.inf:
            end = '' if self.end == math.inf else f'{self.end:.12g}'
            return f'{self.path}[{self.start:.12g}-{end}]'
        return f'{self.path}/' if self.kind == FRAMES else self.path

    def __str__(self) -> str:
        return f'{self.path} ({self.where})' if self.where else self.path


class Mistakes:
    """Collects the mistakes in a list: everything is looked at before the first word is said."""

    def __init__(self, source: str | os.PathLike):
        self._source = os.fspath(source)
        self._found: dict[tuple[str, str], list[str]] = collections.defaultdict(list)

    def add(self, what: str, remedy: str, place: object) -> None:
        """Notes one mistake.

        Args:
          what: its kind, as said of several.
          remedy: what to do.
          place: the file or line.
        """
        self._found[what, remedy].append(str(place))

    def check(self) -> None:
        """Raises a UserError with one line for each kind of mistake, if there are any."""
        if not self._found:
            return
        lines = []
        for (what, remedy), places in self._found.items():
            more = f' and {len(places) - _NAMED:,} more' if len(places) > _NAMED else ''
            lines.append(f'{what} ({len(places):,}): {", ".join(places[:_NAMED])}{more}; {remedy}')
        if len(lines) == 1:
            raise UserError(f'{self._source}: {lines[0]}')
        listed = ''.join(f'\n  {line}' for line in lines)
        raise UserError(f'{self._source}: mistakes of {len(lines)} kinds:{listed}')


def kind_of(path: str) -> str:
    """Returns PICTURE, FILM or SOUND by a file name's ending, '' for another one."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in pictures.TYPES:
        return PICTURE
    return FILM if suffix in FILMS else SOUND if suffix in SOUNDS else ''


def kind_at(path: Path) -> str:
    """Returns FRAMES for a folder, whatever it is called, and `kind_of` a file."""
    return FRAMES if os.path.isdir(path) else kind_of(path.name)


def text(value: str) -> str:
    """Normalises a name as people see it: composed characters, no space around it.

    A Mac writes an accented letter in a file name as two characters, a table as one.
    """
    return unicodedata.normalize('NFC', value).strip()


def hidden(path: Path) -> bool:
    """Tells whether a file is one that systems, or the simulator, leave in folders."""
    return release.is_foreign(path) or path.name == release.SIMULATED_FILE


def frames_in(folder: Path) -> list[Path]:
    """Lists the pictures directly in a folder, by their numbers."""
    found = [
        path for path in folder.iterdir() if not hidden(path) and kind_of(path.name) == PICTURE
    ]
    return sorted(found, key=lambda path: release.by_number(path.name))


def subjects_by(pattern: str, rows: list[Row], mistakes: Mistakes) -> list[Row]:
    """Sets each row's subject to what a regular expression finds in its path.

    Its first group counts, or all that it matches where it has none. Accented letters are one
    character, however the file's name has them.
    """
    try:
        compiled = re.compile(unicodedata.normalize('NFC', pattern))
    except re.error as error:
        raise UserError(
            f"--subject_pattern='{pattern}' is no regular expression ({error}); like '(\\d+)_'"
        ) from error
    named = []
    for row in rows:
        found = compiled.search(text(row.path))
        if not found or not (name := text(found[1 if compiled.groups else 0] or '')):
            mistakes.add(f"no subject by --subject_pattern='{pattern}'", 'correct the pattern', row)
            continue
        named.append(dataclasses.replace(row, subject=name))
    return named


def compare(rows: list[Row], mistakes: Mistakes) -> tuple[list[Row], list[Row]]:
    """Looks for rows that contradict each other.

    Returns:
      The rows without repetitions, and the repetitions.
    """
    kept, repeated = {}, []
    for row in rows:
        first = kept.setdefault(row.clip_id, row)
        if first is row:
            continue
        if first.label != row.label:
            mistakes.add(
                'two labels for one file',
                'keep one row of each',
                f"{row.path} ({first.where} '{first.label}', {row.where} '{row.label}')",
            )
        elif _said(first) != _said(row):
            mistakes.add(
                'one file with two subjects, in two splits or with two files of landmarks',
                'keep one row of each',
                f'{row.path} ({first.where} and {row.where})',
            )
        repeated.append(row)
    _overlaps(list(kept.values()), mistakes)
    splits = collections.defaultdict(set)
    for row in kept.values():
        if row.subject and row.split:
            splits[row.subject].add(row.split)
    for subject, found in splits.items():
        if len(found) > 1:
            mistakes.add(
                'a subject in two splits',
                'give each subject one split, or leave the splits out and take a protocol by '
                'subject',
                f'{subject} ({" and ".join(sorted(found))})',
            )
    return list(kept.values()), repeated


def _said(row: Row) -> tuple[str, ...]:
    """Returns what a row says of its clip beside the label."""
    return row.subject, row.split, row.landmarks


def _overlaps(rows: list[Row], mistakes: Mistakes) -> None:
    """Notes parts of one film that overlap and have different labels, subjects or splits."""
    files = collections.defaultdict(list)
    for row in rows:
        files[row.path].append(row)
    for listed in files.values():
        # (label, subject, split) -> of the rows so far the one that ends last.
        latest: dict[tuple[str, str, str], Row] = {}
        for row in sorted(listed, key=lambda row: row.start):
            alike = (row.label, row.subject, row.split)
            for said, before in latest.items():
                if said != alike and row.start < before.end:
                    mistakes.add(
                        'overlapping parts of one film with different labels, subjects or splits',
                        'correct start_s and end_s',
                        f'{row.path} ({before.where} and {row.where})',
                    )
            if alike not in latest or row.end > latest[alike].end:
                latest[alike] = row
