"""Predicts an upload, and gathers what the page shows of it: all by predict's own functions."""

import csv
import dataclasses
from collections.abc import Callable
from html import escape
from pathlib import Path

from PIL import Image

from fer_jax import atomic
from fer_jax.errors import UserError
from fer_jax.predict import jobs, stills
from fer_jax.predict.films import Film
from fer_jax.predict.jobs import Options
from fer_jax.predict.models import FaceClassifier
from fer_jax.predict.summary import people

# Rows of the table that the page shows; the file has all.
ROWS = 200
# Columns of film.csv and pictures.csv that the page leaves to the file.
_LEFT_OUT = {'frame', 'path', 'left', 'top', 'right', 'bottom', 'score', 'entropy'}
# What is appended to a page that is shown within the other. It tells its height; links to files
# beside it become plain text, since they are offered below.
_WITHIN = """
<style>#shown { max-height: 26rem !important } body > header h1 { margin-top: .5rem }</style>
<script>
  for (const link of document.querySelectorAll('a[href]'))
    if (!/^(#|data:|blob:)/.test(link.getAttribute('href')))
      link.replaceWith(link.textContent === 'csv' ? '' : link.textContent);
  const tell = () => {
    const height = Math.ceil(document.body.getBoundingClientRect().height);
    parent.postMessage({ fer_jax_height: height }, '*');
  };
  new ResizeObserver(tell).observe(document.body);
  tell();
</script>
"""


@dataclasses.dataclass(frozen=True)
class Shown:
    """The content that the page shows of an upload.

    Attributes:
      summary: one line.
      page: film.html as an element of a page; '' of a picture.
      picture: the file of the picture with what is drawn into it; None of a film.
      header, rows: of the table, its first ROWS rows.
      files: all that can be downloaded.
    """

    summary: str
    page: str
    picture: Path | None
    header: list[str]
    rows: list[list[str]]
    files: list[Path]


def show(
    path: Path,
    out: Path,
    model: FaceClassifier,
    *,
    blur: bool = False,
    progress: Callable[[float, str], None] = lambda share, stage: None,
) -> Shown:
    """Predicts a picture or a film, writes its files, and returns what there is to show.

    Args:
      out: an empty folder for the files.
      blur: hides the faces.
      progress: called with the share that is done, 0 to 1, and with what is being done.
    Raises:
      UserError: a file that is neither, or a damaged one; it names the file without its folder.
    """
    try:
        given = jobs.Given.find([str(path)])
        with jobs.writing(out):
            if given.films:
                return _film(path, out, model, Options(blur=blur), progress)
            return _picture(path, out, model, Options(blur=blur))
    except UserError as error:
        raise UserError(str(error).replace(f'{path.parent}/', '')) from error


def _film(
    path: Path,
    out: Path,
    model: FaceClassifier,
    options: Options,
    progress: Callable[[float, str], None],
) -> Shown:
    film = Film.open(path)
    # The header of what a browser records does not say how long it is.
    whole = film.seconds if film.seconds > 0 else float('inf')

    def tell(stage: str, done: float) -> None:
        progress(min(1.0, done / whole), f'{stage}, {done:.0f} s of the film')

    about = jobs.predict_film(film, out / path.stem, model, options, progress=tell)
    counted = about['counts']
    remarks = [*about['remarks']]
    summary = (
        f'{path.name}: {counted["frames"]} frames, {counted["with a face"]} with a face, '
        f'{people(counted["people"])}, '
        f'{counted["uncertain faces"]} of {counted["faces"]} faces uncertain'
    )
    header, rows = _table(out / f'{path.stem}.csv')
    return Shown(
        summary='; '.join([summary, *remarks]),
        page=_within(out / f'{path.stem}.html', f'Film {path.name}'),
        picture=None,
        header=header,
        rows=rows,
        files=_files(out),
    )


def _picture(path: Path, out: Path, model: FaceClassifier, options: Options) -> Shown:
    rows = jobs.predict_pictures([(path.name, path)], out, model, options)
    drawn = out / f'{path.stem}.overlay.jpg'
    image = stills.draw(path, rows, blur=options.blur)
    with atomic.replacing(drawn) as temporary:
        Image.fromarray(image).save(temporary, 'jpeg', quality=90)
    faces = sum(row['status'] == 'face' for row in rows)
    header, table = _table(out / 'pictures.csv')
    return Shown(
        summary=f'{path.name}: {faces or "no"} {"face" if faces == 1 else "faces"}',
        page='',
        picture=drawn,
        header=header,
        rows=table,
        files=_files(out),
    )


def _files(out: Path) -> list[Path]:
    return sorted(path for path in out.iterdir() if path.is_file())


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Reads the columns and first rows of a table that the page shows, smoothed where it can."""
    with open(path, encoding='utf-8', newline='') as file:
        reader = csv.reader(file)
        names = next(reader)
        smooth = any(name.startswith('smoothed_') for name in names)
        left_out = _LEFT_OUT | {name for name in names if smooth and name.startswith('p_')}
        kept = [k for k, name in enumerate(names) if name not in left_out]
        rows = [[row[k] for k in kept] for _, row in zip(range(ROWS), reader, strict=False)]
    return [_heading(names[k]) for k in kept], rows


def _heading(name: str) -> str:
    known = {'time_s': 'seconds', 'track': 'person'}
    return known.get(name) or name.removeprefix('smoothed_').removeprefix('p_')


def _within(page: Path, title: str) -> str:
    """Returns a page that was written as an element that can reach nothing outside itself."""
    text = page.read_text(encoding='utf-8') + _WITHIN
    return (
        f'<iframe class="fer-jax" title="{escape(title)}" sandbox="allow-scripts allow-downloads" '
        f'srcdoc="{escape(text)}"></iframe>'
    )
