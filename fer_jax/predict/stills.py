"""Pictures: a table with a row a face for all of them, and a sheet of the faces."""

import csv
import dataclasses
import hashlib
import io
from collections.abc import Callable, Generator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic
from fer_jax.data.datasets import pictures
from fer_jax.errors import UserError
from fer_jax.evaluation import calibration
from fer_jax.evaluation.table import COUNT, Column, Table
from fer_jax.predict import crops, detection, overlay, pipeline, quality, summary
from fer_jax.predict.detection import FaceFinder, Faces
from fer_jax.predict.films import UNREADABLE, ahead_of
from fer_jax.predict.following import Seen
from fer_jax.predict.models import FaceClassifier
from fer_jax.predict.orientation import Orientation
from fer_jax.predict.pipeline import FACE, NO_FACE, Work
from fer_jax.reports import page

# A picture is looked at with these longest sides until one shows a face: one picture may be looked
# at more closely than each frame of a film.
SIDES = (640, 320, 1280)
# Pictures whose rows are written together, and decoded ahead.
_CHUNK, _AHEAD = 64, 4
# Faces on the sheet, and their size in pixels.
_SHEET, _SIZE = 240, 104
# Of faces there, as JPEG.
_QUALITY = 82
_EDGES = ('left', 'top', 'right', 'bottom')


@dataclasses.dataclass(frozen=True)
class StillRow:
    """One face of one picture, or a picture without one; see `columns`."""

    path: str
    status: str
    box: np.ndarray | None = None
    score: float = 0.0
    sharp: float = 0.0
    turned: float = 0.0
    probabilities: np.ndarray | None = None


def columns(classes: Sequence[str]) -> list[str]:
    """Lists the columns of pictures.csv."""
    names = ['path', 'status', *_EDGES, 'score', 'label', 'uncertain']
    return [*names, 'entropy', *(f'p_{name}' for name in classes)]


def predict(
    paths: Sequence[tuple[str, Path]],
    model: FaceClassifier,
    finder: FaceFinder,
    folder: Path,
    identity: Any,
    progress: Callable[[int], None] = lambda count: None,
) -> Work:
    """Writes a row a face into `folder`/rows.csv, going on where it was stopped.

    Args:
      paths: the name that the table gives a picture, and its file.
      identity: JSON value of all else that decides the rows.
    """
    listed = hashlib.sha256()
    for name, path in paths:
        stat = path.stat() if path.exists() else None
        listed.update(f'{name} {stat and (stat.st_size, stat.st_mtime_ns)}\n'.encode())
    work = Work(folder, [identity, listed.hexdigest()])
    known = work.known()
    start = known[0]['next'] if known else 0
    while start < len(paths):
        some = paths[start : start + _CHUNK]
        text = _lines(some, model, finder)
        start += len(some)
        work.add(text, {'next': start}, {})
        progress(start)
    return work


def _lines(paths: Sequence[tuple[str, Path]], model: FaceClassifier, finder: FaceFinder) -> str:
    rows, clips = [], []
    for (name, _), image in zip(paths, ahead_of(_read(paths), _AHEAD), strict=True):
        if image is None:
            rows.append(StillRow(name, UNREADABLE))
            continue
        faces, shown, orientation = find(image, finder)
        if not len(faces):
            rows.append(StillRow(name, NO_FACE))
        for k in range(len(faces)):
            face = Seen(0, faces.box[k], faces.points[k], float(faces.score[k]))
            patch = crops.patch(shown, 0.0, face, model)
            clips.append(crops.clip([patch], model)[0])
            rows.append(
                StillRow(
                    name,
                    FACE,
                    unturned(faces.box[k], orientation, image.shape[1], image.shape[0]),
                    float(faces.score[k]),
                    quality.sharpness(shown, faces.box[k]),
                    quality.turn(faces.points[k]),
                )
            )
    said = iter(pipeline.in_batches(model, clips, [1] * len(clips)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    for row in rows:
        if row.status == FACE:
            row = dataclasses.replace(row, probabilities=next(said))
        writer.writerow(cells(row, model))
    return out.getvalue()


def _read(paths: Sequence[tuple[str, Path]]) -> Generator[np.ndarray | None, None, None]:
    """Reads each picture as uint8 [H, W, 3], None where it cannot be read."""
    for _, path in paths:
        try:
            image = pictures.read_picture(path)
        except UserError:
            yield None
            continue
        yield np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def find(image: np.ndarray, finder: FaceFinder) -> tuple[Faces, np.ndarray, Orientation]:
    """Finds the faces of a picture uint8 [H, W, 3], turned where they show only then.

    Returns:
      Faces in the turned picture, that picture, and the turn.
    """
    turn = detection.surest_turn([image], finder)
    shown = np.ascontiguousarray(turn.apply(image))
    return finder.find(shown), shown, turn


def unturned(box: np.ndarray, orientation: Orientation, width: int, height: int) -> np.ndarray:
    """Moves a box of a turned picture to pixels of the picture as it is, `width` by `height`."""
    shown = orientation.size(width, height)
    left, top, right, bottom = box
    if orientation.mirror_x:
        left, right = shown[0] - 1 - right, shown[0] - 1 - left
    if orientation.mirror_y:
        top, bottom = shown[1] - 1 - bottom, shown[1] - 1 - top
    if orientation.transpose:
        left, top, right, bottom = top, left, bottom, right
    return np.array([left, top, right, bottom])


def cells(row: StillRow, model: FaceClassifier) -> list[str]:
    """Makes a row of pictures.csv."""
    box, p = row.box, row.probabilities
    if box is None or p is None:
        return [row.path, row.status, *[''] * (len(columns(model.classes)) - 2)]
    doubts = quality.doubts(float((box[2:] - box[:2]).max()), row.sharp, row.turned)
    doubts += ['unsure'] * bool(p.max() < model.threshold)
    return [
        row.path,
        FACE,
        *(f'{edge:.1f}' for edge in box),
        f'{row.score:.3f}',
        model.classes[int(p.argmax())],
        ' '.join(doubts),
        f'{calibration.entropy(p):.4f}',
        *(f'{value:.4f}' for value in p),
    ]


def write_table(path: Path, work: Work, model: FaceClassifier) -> list[dict[str, str]]:
    """Writes pictures.csv and returns its rows."""
    names = columns(model.classes)
    with open(work.rows, encoding='utf-8', newline='') as file:
        rows = list(csv.reader(file))
    with (
        atomic.replacing(path) as temporary,
        open(temporary, 'w', encoding='utf-8', newline='') as file,
    ):
        csv.writer(file, lineterminator='\n').writerows([names, *rows])
    return [dict(zip(names, row, strict=True)) for row in rows]


def draw(path: Path, rows: Sequence[dict[str, str]], *, blur: bool = False) -> np.ndarray:
    """Draws a picture with boxes, numbers, labels and bars, uint8 [H, W, 3].

    Args:
      rows: the picture's own rows of pictures.csv.
      blur: hides the faces.
    Raises:
      UserError: the picture cannot be read.
    """
    (image,) = _read([(path.name, path)])
    if image is None:
        raise UserError(f'{path.name}: no picture in it can be decoded; give another one')
    image = image.copy()
    faces = [row for row in rows if row['status'] == FACE]
    boxes = [np.array([float(row[edge]) for edge in _EDGES]) for row in faces]
    for box in boxes if blur else ():
        overlay.hide(image, box)
    for number, (row, box) in enumerate(zip(faces, boxes, strict=True), 1):
        said = {name[2:]: float(value) for name, value in row.items() if name.startswith('p_')}
        overlay.draw_face(
            image, box, number, [*said], np.array([*said.values()]), doubtful=bool(row['uncertain'])
        )
    return image


def sheet(
    rows: Sequence[dict[str, str]],
    files: dict[str, Path],
    model: FaceClassifier,
    stamps: Sequence[str] = (),
) -> str:
    """Composes pictures.html: faces under their labels, and how many there are of each.

    Args:
      rows: of pictures.csv.
      files: a picture's name in the table -> its file.
    """
    faces = [row for row in rows if row['status'] == FACE]
    chosen = faces
    if len(faces) > _SHEET:
        chosen = [faces[k] for k in np.linspace(0, len(faces) - 1, _SHEET).round().astype(int)]
    found = [
        {
            'label': name,
            'faces': sum(row['label'] == name for row in faces),
            'certain': sum(row['label'] == name and not row['uncertain'] for row in faces),
        }
        for name in model.classes
    ]
    table = Table(
        'labels',
        'Faces by label; certain ones are not small, blurred, turned or unsure.',
        (Column('label', 'Class'), Column('faces', 'Faces', COUNT))
        + (Column('certain', 'Certain', COUNT),),
        found,
    )
    facts = {
        'Pictures': len({row['path'] for row in rows}),
        'Faces': len(faces),
        'Without a face': sum(row['status'] == NO_FACE for row in rows),
        'Unreadable': sum(row['status'] == UNREADABLE for row in rows),
        'Network': model.name,
    }
    counted = page.table(table, stamps).replace('figures/labels.csv', 'pictures.csv')
    parts = [
        ('pictures', 'Pictures', page.facts(facts) + f'<p class="note">{escape(page.NOTE)}</p>')
    ]
    parts.append(('labels', 'Labels', counted))
    for name in model.classes:
        own = [row for row in chosen if row['label'] == name]
        if own:
            items = ''.join(_item(row, files[row['path']], name) for row in own)
            parts.append((f'class-{len(parts)}', name, f'<ul class="faces">{items}</ul>'))
    seen = summary.number(facts['Pictures'], 'picture'), summary.number(len(faces), 'face')
    lead = f'{", ".join(seen)}, {model.name}'
    return page.page('Pictures', lead, stamps, parts)


def _item(row: dict[str, str], path: Path, name: str) -> str:
    """Shows a face with its probability; the whole picture's name when pointed at."""
    from PIL import Image

    (image,) = _read([(row['path'], path)])
    if image is None:
        raise UserError(f'{path}: it can no longer be read; start the command again')
    box = np.array([float(row[edge]) for edge in _EDGES])
    side = 1.3 * (box[2:] - box[:2]).max()
    left, top = (box[:2] + box[2:]) / 2 - side / 2
    cut = Image.fromarray(image).crop(
        (round(left), round(top), round(left + side), round(top + side))
    )
    face = np.asarray(cut.resize((_SIZE, _SIZE), Image.Resampling.LANCZOS))
    doubt = f' · {row["uncertain"]}' if row['uncertain'] else ''
    return (
        f'<li class="{"wrong" if row["uncertain"] else "right"}">'
        f'<img src="{page.embedded(face, _QUALITY)}" '
        f'alt="{escape(row["path"])}: {escape(name)}" title="{escape(row["path"])}">'
        f'<b>{escape(name)}</b> <span>{float(row[f"p_{name}"]):.2f}{doubt}</span></li>'
    )
