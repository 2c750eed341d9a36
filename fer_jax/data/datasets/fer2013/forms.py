"""The forms in which people have FER2013: its csv, Kaggle's others, and folders of pictures.

All hold the same images. What a form does not say, the parts of the test images or their labels,
is said to be missing; nothing is guessed.
"""

import contextlib
import csv
import dataclasses
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fer_jax.data.datasets import pictures
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

ORIGINAL = 'fer2013.csv'
SIDE = 48
CLASSES = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral')
# The owners' Usage -> the name of that part in all datasets.
SPLITS = {'Training': 'train', 'PublicTest': 'validation', 'PrivateTest': 'test'}
# What folders are called -> part; a folder of all test images is 'test'.
_FOLDERS = {
    **dict.fromkeys(('train', 'training'), 'train'),
    **dict.fromkeys(('publictest', 'validation', 'val', 'valid'), 'validation'),
    **dict.fromkeys(('privatetest', 'test', 'testing'), 'test'),
}
_LABELS = {
    **{name: name for name in CLASSES},
    'angry': 'anger',
    'disgusted': 'disgust',
    'fearful': 'fear',
    'happy': 'happiness',
    'sad': 'sadness',
    'surprised': 'surprise',
}


@dataclasses.dataclass(frozen=True)
class Face:
    """One image.

    Attributes:
      name: what its clip is called, after 'fer2013/'.
      path: file and line, or file, in the release.
      label: '' where the form has none.
      split: 'train', 'validation' or 'test'.
      image: uint8 [48, 48, 1], or the file that holds it.
    """

    name: str
    path: str
    label: str
    split: str
    image: np.ndarray | Path


@dataclasses.dataclass(frozen=True)
class Form:
    """The content of a release.

    Attributes:
      folder: its root.
      faces: all images, in order.
      read: files whose content counts for the fingerprint; `listed` those whose size does.
      voted: how many faces, from the first on, FER+'s rows are known to belong to.
      unvoted: why not to the others.
      notes: what this form is without, in words.
    """

    folder: Path
    faces: list[Face]
    read: list[Path]
    listed: list[Path]
    voted: int
    unvoted: str = ''
    notes: tuple[str, ...] = ()


def open_form(release: Path) -> Form:
    """Reads a release, in the first of the forms that its folder holds.

    Raises:
      UserError: it holds none, or a file that cannot be read as what its name says.
    """
    wanted = f'{ORIGINAL} (icml_face_data.csv, train.csv or folders train and test do too)'
    releases.folder(
        release, 'FER2013', lambda folder: any(found for found, _ in _forms(folder)), wanted
    )
    return next(read for found, read in _forms(release) if found)(release)


def _forms(release: Path) -> Sequence[tuple[bool, Callable[[Path], Form]]]:
    """Lists each form: whether the folder holds it, and what reads it."""
    whole = [release / name for name in (ORIGINAL, 'icml_face_data.csv')]
    return [
        *((path.is_file(), lambda _, path=path: _whole_csv(path)) for path in whole),
        ((release / 'train.csv').is_file(), _train_and_test_csv),
        (bool(_parts(release)), _folders),
    ]


def _whole_csv(path: Path) -> Form:
    """Reads fer2013.csv, or icml_face_data.csv, with columns in another order and after spaces."""
    faces = _rows(path, ('emotion', 'pixels', 'Usage'))
    return Form(path.parent, faces, [path], [], len(faces))


def _train_and_test_csv(folder: Path) -> Form:
    """Reads train.csv and test.csv of Kaggle's challenge; the latter has no labels."""
    train, test = folder / 'train.csv', folder / 'test.csv'
    faces = _rows(train, ('emotion', 'pixels'), split='train')
    trained, files = len(faces), [train]
    if not test.is_file():
        notes = ('train.csv alone: no image to test on; protocol random divides it',)
        return Form(folder, faces, files, [], 0, 'test.csv is not beside train.csv', notes)
    faces += _rows(test, ('pixels',), split='test', first=trained)
    notes = (
        'test.csv has no labels: its images are stored, in no fold, and protocol random divides '
        'train.csv; fer2013.csv or icml_face_data.csv has the official parts',
    )
    unvoted = 'whether test.csv has the order of FER+ is not known'
    return Form(folder, faces, [*files, test], [], trained, unvoted, notes)


def _parts(folder: Path) -> dict[Path, str]:
    """Finds the folders of parts with classes in a folder, and which part each is."""
    return {
        path: _FOLDERS[path.name.lower()]
        for path in sorted(folder.glob('*/'))
        if path.name.lower() in _FOLDERS
        and any(shown.name.lower() in _LABELS for shown in path.glob('*/'))
    }


def _folders(folder: Path) -> Form:
    """Reads folders train and test, or PublicTest and PrivateTest, with a folder for each class.

    Some people's files are called PublicTest_88305.jpg, which says their part.
    """
    faces, files = [], []
    parts = _parts(folder)
    for part, split in parts.items():
        for shown in sorted(part.glob('*/')):
            if releases.is_foreign(shown):
                continue
            label = _LABELS.get(shown.name.lower())
            if label is None:
                raise UserError(
                    f"{shown}: '{shown.name}' is none of FER2013's classes, "
                    f'{", ".join(sorted(set(_LABELS)))}; for other classes take --dataset=own'
                )
            for path in sorted(shown.iterdir()):
                if releases.is_foreign(path) or path.suffix.lower() not in pictures.TYPES:
                    continue
                usage = SPLITS.get(path.name.partition('_')[0])
                name = path.relative_to(folder).as_posix()
                faces.append(Face(name, name, label, usage or split, path))
                files.append(path)
    if not faces:
        names = ', '.join(path.name for path in parts)
        raise UserError(f'{folder}: no picture in the classes of {names}; copy the folders again')
    notes = []
    if not any(face.split == 'validation' for face in faces):
        notes.append(
            'no PrivateTest: these folders do not say which test images are of PublicTest and '
            'which of PrivateTest; protocol official trains on train and judges all of test, with '
            'protocol.validation=0.1 to choose by; figures are not comparable to PrivateTest'
        )
    if not any(face.split == 'test' for face in faces):
        notes.append(
            'no test images: protocol official judges validation in their place, which chooses no '
            'epoch then; figures are not comparable to PrivateTest'
        )
    unvoted = 'FER+ goes by the rows of fer2013.csv, which the names of these files do not tell'
    return Form(folder, faces, [], files, 0, unvoted, tuple(notes))


def read_image(path: Path) -> np.ndarray:
    """Reads one picture of a folder as uint8 [48, 48, 1]."""
    image = pictures.read_picture(path)
    if image.shape[:2] != (SIDE, SIDE):
        raise UserError(
            f'{path}: {image.shape[1]}x{image.shape[0]} pixels instead of {SIDE}x{SIDE}; for '
            'pictures of other sizes take --dataset=own --faces=none'
        )
    return image if image.shape[2] == 1 else np.rint(image.mean(2, keepdims=True)).astype(np.uint8)


def lines(path: Path) -> Generator[tuple[int, list[str]], None, None]:
    """Reads a csv: the number of each row's last line, and its cells; empty lines are passed over.

    Raises:
      UserError: a quote that is never closed.
    """
    with open(path, newline='', encoding='utf-8-sig', errors='replace') as file:
        reader = csv.reader(file)
        try:
            for row in filter(None, reader):
                yield reader.line_num, row
        except csv.Error as error:
            raise UserError(
                f'{path}, line {reader.line_num}: {error}; is a quote not closed? take the '
                'original file'
            ) from error


def columns(reader, path: Path, wanted: tuple[str, ...]) -> list[int]:
    """Finds the wanted columns of a csv, whatever their order."""
    _, header = next(reader, (0, []))
    header = [name.strip() for name in header]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise UserError(
            f"{path}: no column '{missing[0]}' in the header '{','.join(header)[:80]}'; it should "
            f'have {",".join(wanted)}: take the original file'
        )
    return [header.index(name) for name in wanted]


def _rows(path: Path, wanted: tuple[str, ...], *, split: str = '', first: int = 0) -> list[Face]:
    """Reads a csv of images.

    Args:
      wanted: the columns that it has, of emotion, pixels and Usage.
      split: the part of all its rows, where it has no Usage.
      first: the number of its first row.
    """
    faces = []
    reader = lines(path)
    with contextlib.closing(reader):
        places = dict(zip(wanted, columns(reader, path, wanted), strict=True))
        bar = tqdm(reader, desc=f'reading {path.name}', unit=' rows', disable=None)
        for number, (line, row) in enumerate(bar):
            where = f'{path}, line {line}'
            if len(row) <= max(places.values()):
                raise UserError(
                    f'{where}: {len(row)} column(s); the row is cut off: take the original file'
                )
            cells = {name: row[place].strip() for name, place in places.items()}
            emotion, usage = cells.get('emotion', ''), cells.get('Usage', '')
            if 'emotion' in cells and emotion not in ('0', '1', '2', '3', '4', '5', '6'):
                raise UserError(
                    f"{where}: emotion '{emotion[:20]}' is not one of 0 to 6; correct the row"
                )
            if 'Usage' in cells and usage not in SPLITS:
                raise UserError(f"{where}: Usage '{usage[:20]}' is none of {', '.join(SPLITS)}")
            faces.append(
                Face(
                    f'{first + number:08d}',
                    f'{path.name}:{number + 2}',  # the line, of which the first is the header
                    CLASSES[int(emotion)] if emotion else '',
                    SPLITS.get(usage, split),
                    _image(cells['pixels'], where),
                )
            )
    if not faces:
        raise UserError(f'{path}: no rows after the header; take the original file')
    return faces


def _image(text: str, where: str) -> np.ndarray:
    try:
        values = np.fromstring(text, dtype=np.int64, sep=' ')  # four times as fast as splitting
    except ValueError as error:
        raise UserError(f'{where}: pixels that are no whole numbers; correct the row') from error
    if len(values) != SIDE * SIDE:
        raise UserError(
            f'{where}: {len(values):,} pixels instead of {SIDE * SIDE:,} ({SIDE}x{SIDE}); '
            'correct the row or take the original file'
        )
    if values.min() < 0 or values.max() > 255:
        raise UserError(f'{where}: a pixel lies outside 0 to 255; correct the row')
    return values.astype(np.uint8).reshape(SIDE, SIDE, 1)
