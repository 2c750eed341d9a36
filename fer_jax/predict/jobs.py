"""Predicts what the command names, and writes the files that come of it."""

import collections
import contextlib
import dataclasses
import hashlib
import itertools
import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import fer_jax
from fer_jax import atomic, cli
from fer_jax.data.datasets import pictures, release
from fer_jax.errors import UserError
from fer_jax.evaluation.table import COUNT, NUMBER, Column, Table
from fer_jax.predict import (
    agreement,
    detection,
    events,
    film_page,
    overlay,
    pipeline,
    results,
    segments,
    stills,
    summary,
)
from fer_jax.predict.camera import Camera
from fer_jax.predict.detection import FaceFinder
from fer_jax.predict.films import Film
from fer_jax.predict.models import FaceClassifier
from fer_jax.predict.pipeline import Settings, Work
from fer_jax.reports import page

FILMS = frozenset(
    ['.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.flv', '.3gp']
    + ['.ts', '.mts', '.m2ts', '.ogv', '.gif']
)
PICTURES = frozenset(pictures.TYPES)
# Telephones' pictures, which no reader here knows.
_HEIC = ('.heic', '.heif')
_OVERLAY = '.overlay.mp4'
# Tables of all films and of all pictures, without their ending.
_TABLES = ('films', 'pictures')
# The first seconds of a film tell how it is turned, so many frames of them.
_TURN_SECONDS, _TURN_FRAMES = 12.0, 6
_MIB = 2**20
_PACKAGES = ('jax', 'numpy', 'av', 'opencv-python', 'opencv-python-headless', 'pillow')


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the command, as its flags say, for all that it predicts.

    Attributes:
      settings: what decides rows.
      smooth: seconds to either side that probabilities are averaged over.
      overlay, page: whether film.overlay.mp4 and the pages are written.
      blur: hides faces in what is drawn.
      events: '' or one of `events.FORMATS`.
      against: a human coder's file.
    """

    settings: Settings = Settings()
    smooth: float = results.SMOOTH
    overlay: bool = True
    page: bool = True
    blur: bool = False
    events: str = ''
    against: str = ''


@dataclasses.dataclass(frozen=True)
class Given:
    """Films and pictures to predict: (name, file) of each, no two names the same.

    Attributes:
      others: endings of files in folders that are neither, and how many there are of each.
    """

    films: list[tuple[str, Path]]
    pictures: list[tuple[str, Path]]
    others: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def find(cls, paths: Sequence[str], out: str = '') -> 'Given':
        """Finds films and pictures among files and, at any depth, in folders.

        In folders, overlays and files of an operating system's making are passed over.

        Args:
          out: the folder that is written into; within a folder it is passed over.
        Raises:
          UserError: a path that is not there, a picture that cannot be read here, or nothing to
            predict.
        """
        films, stills, others = [], [], collections.Counter()
        for given in map(Path, paths):
            if not given.exists():
                raise UserError(f'{given}: no such file or folder')
            files = _inside(given, out) if given.is_dir() else [(given.name, given)]
            for name, path in files:
                kind = path.suffix.lower()
                if kind in PICTURES:
                    stills.append((name, path))
                elif not given.is_dir() and kind in _HEIC:
                    raise UserError(f'{given}: {kind} cannot be read; save the picture as JPEG')
                # A file that is named is tried, whatever its name ends with.
                elif not given.is_dir() or _is_film(path):
                    films.append((name, path))
                else:
                    others[cli.printable(kind or 'without an ending')] += 1
        found = cls(_apart(films), _apart(stills), others)
        if not films and not stills:
            raise UserError(
                f'{", ".join(paths)}: no film and no picture in it (films end with '
                f'{" ".join(sorted(FILMS))}, pictures with {" ".join(sorted(PICTURES))})'
                f'{found.passed_over and f"; {found.passed_over}"}'
            )
        return found

    @property
    def passed_over(self) -> str:
        """Says what folders hold of other kinds, and what to do about it; '' where they do not."""
        if not self.others:
            return ''
        listed = ', '.join(f'{count} {kind}' for kind, count in sorted(self.others.items()))
        remedy = '; save .heic and .heif as JPEG' if self.others.keys() & set(_HEIC) else ''
        return f'passed over: {listed}{remedy}'


def _is_film(path: Path) -> bool:
    """Tells by its ending whether a file is a film; .ts may also be TypeScript, which is text."""
    if path.suffix.lower() == '.ts':
        with contextlib.suppress(OSError), open(path, 'rb') as file:
            return b'\0' in file.read(4096)
    return path.suffix.lower() in FILMS


def _inside(folder: Path, out: str) -> list[tuple[str, Path]]:
    """Lists the files of a folder, sorted, without those that `Given.find` passes over."""
    files, root, written = [], folder.resolve(), Path(out).resolve()
    within = out != '' and root in written.parents
    for path in sorted(folder.rglob('*')):
        name = path.relative_to(folder)
        if any(map(release.is_foreign, (name, *name.parents))):
            continue
        if path.name.endswith(_OVERLAY) or (within and (root / name).is_relative_to(written)):
            continue
        if path.is_file():
            files.append((name.as_posix(), path))
    return files


def _apart(files: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Lists the files, each once, with names of which no two are the same."""
    files = list({path.resolve(): (name, path) for name, path in files}.values())
    out: dict[str, Path] = {}
    for name, path in files:
        name = cli.printable(name)
        numbered = (f'{number}-{name}' for number in itertools.count(2))
        out[next(new for new in itertools.chain([name], numbered) if new not in out)] = path
    return list(out.items())


def stems(files: Sequence[tuple[str, Path]]) -> list[str]:
    """Names the files of each film: its name without the ending.

    It is whole where two films share that, and where a table of all has its name (films.csv).
    """
    bare = [str(Path(name).with_suffix('')) for name, _ in files]
    return [
        stem if bare.count(stem) == 1 and stem.lower() not in _TABLES else files[k][0]
        for k, stem in enumerate(bare)
    ]


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turns what a folder refuses (read-only, full) into one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f'{out}: cannot write there ({reason}); give another --out') from error


def predict_film(
    film: Film | Camera,
    base: Path,
    model: FaceClassifier,
    options: Options,
    *,
    progress: Callable[[str, float], None] = lambda stage, time: None,
) -> dict[str, Any]:
    """Writes all files of a film, film.json last; a finished one is only read.

    Args:
      base: DIR/film, to which the files' endings are added.
      progress: called with what is being done and the film's seconds that are done.
    Returns:
      What film.json says.
    Raises:
      UserError: the film's name is no text, film.json is another film's or program's, or no
        overlay can be coded here.
    """
    if isinstance(film, Film) and cli.printable(film.path.name) != film.path.name:
        raise UserError(f'{cli.printable(film.path)}: its name is no text in UTF-8; rename it')
    started = time.monotonic()
    codes = agreement.read(Path(options.against), model.classes) if options.against else None
    remarks: list[str] = list(model.notes)
    finder = FaceFinder(options.settings.sides)
    if isinstance(film, Film) and not film.has_matrix:
        film = _turned(film, finder, remarks)
    decided = _decided(film, model, options)
    identity = hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()
    ready = _path(base, '.json')
    folder = base.with_name(f'.{base.name}.predicting')
    begun = folder / 'film.json'
    known = _known(ready) or _known(begun)
    if known.get('identity') == identity:
        return known
    source = _source(film)
    before = known.get('source', source)
    if source['path'] != before['path'] and source['content'] != before['content']:
        raise UserError(f'{ready}: of another film, {before["path"]}; give another --out')
    if options.overlay and isinstance(film, Film):
        overlay.check(film)
    # Until all is written again, nothing counts as finished.
    atomic.write_json(begun, {'identity': '', 'source': source})
    ready.unlink(missing_ok=True)
    if options.blur and known:  # an earlier command may have shown the faces
        for ending in (_OVERLAY, '.html'):
            _path(base, ending).unlink(missing_ok=True)
    work = Work(folder, identity)
    pipeline.predict(
        film, model, finder, options.settings, work, lambda done: progress('predicting', done)
    )
    looked = time.monotonic() - started
    result = results.read(
        work.rows,
        model.classes,
        centred=model.centred,
        smooth=options.smooth,
        threshold=model.threshold,
    )
    if isinstance(film, Film):
        remarks += _endings(film, result)
    about = {
        'film': {
            'name': film.path.name,
            'width': film.width,
            'height': film.height,
            'frames_a_second': film.rate,
            'seconds': None if film.seconds != film.seconds else film.seconds,
            'orientation': film.orientation.in_words,
            'orientation_stated': film.has_matrix,
            'codec': film.codec,
            'format': film.format,
        },
        'model': {'name': model.name, 'sha256': model.digest, 'classes': list(model.classes)},
        'counts': summary.counts(result),
        'settings': decided['settings'],
        'remarks': remarks,
        'note': page.NOTE,
        'versions': _versions(),
        'identity': identity,
    }
    if isinstance(film, Camera):
        about['film']['seconds'] = float(result.time[-1]) if len(result) else 0.0
    results.write_csv(_path(base, '.csv'), result, sequences=model.seconds > 0)
    atomic.write_text(_path(base, '.tracks.csv'), summary.tracks(result).csv(()))
    if codes is not None:
        table = agreement.compare(result, codes)
        atomic.write_text(_path(base, '.agreement.csv'), table.csv(()))
    if options.events:
        ending, write = events.FORMATS[options.events]
        text = write(film, segments.segments(result), model.classes)
        atomic.write_text(_path(base, ending), text)
    shown, drawn = [], None
    if options.overlay and isinstance(film, Film):
        times = film_page.changes(result)
        drawn = _path(base, _OVERLAY)
        images = overlay.write(
            drawn,
            film,
            result,
            blur=options.blur,
            stills=times,
            progress=lambda done: progress('drawing', done),
        )
        shown = list(zip(times, images, strict=False))
    if options.page:
        small = drawn if drawn and drawn.stat().st_size < film_page.LARGEST else None
        text = film_page.text(
            film.path.name,
            result,
            about,
            film=small.read_bytes() if small else None,
            stills=shown,
            table=_path(base, '.csv').read_bytes(),
            base=base.name,
        )
        atomic.write_text(_path(base, '.html'), text)
    about['source'] = source  # folders' names stay out of the page
    about['seconds_taken'] = {
        'predicting': round(looked, 2),
        'all': round(time.monotonic() - started, 2),
    }
    atomic.write_json(ready, about)
    shutil.rmtree(folder, ignore_errors=True)
    return about


def _path(base: Path, ending: str) -> Path:
    return base.with_name(base.name + ending)


def _known(ready: Path) -> dict[str, Any]:
    """Reads what an earlier command wrote of its film, {} where it wrote nothing."""
    if not ready.exists():
        return {}
    known = None
    with contextlib.suppress(ValueError):
        known = json.loads(ready.read_text(encoding='utf-8'))
    if not isinstance(known, dict) or 'identity' not in known:
        raise UserError(f'{ready}: another program wrote this file; give another --out')
    return known


def _source(film: Film | Camera) -> dict[str, Any]:
    """Says where a film is and what its file begins and ends with: another one of its name differs.

    Returns:
      {'path', 'content'}: SHA-256 of the length, the first MiB and the last one, '' of a camera.
    """
    if isinstance(film, Camera):
        return {'path': film.path.name, 'content': ''}
    path = film.path.resolve()
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open('rb') as file:
        digest.update(file.read(_MIB))
        file.seek(max(0, size - _MIB))
        digest.update(file.read(_MIB))
    return {'path': cli.printable(path), 'content': digest.hexdigest()}


def _turned(film: Film, finder: FaceFinder, remarks: list[str]) -> Film:
    """Turns the film where its first seconds show faces only then; says so in `remarks`."""
    images = []
    frames = film.frames(fps=_TURN_FRAMES / _TURN_SECONDS)
    with contextlib.closing(frames):
        for frame in frames:
            if frame.image is not None:
                images.append(frame.image)
            if len(images) == _TURN_FRAMES:
                break
    turn = detection.surest_turn(images, finder)
    if turn.in_words == 'as stored':
        return film
    remarks.append(f'the film does not say how it is turned; {turn.in_words} it shows faces')
    width, height = turn.size(film.width, film.height)
    return dataclasses.replace(film, orientation=turn, width=width, height=height)


def _endings(film: Film, result: results.FilmResult) -> list[str]:
    """Names what is wrong with a film, for people."""
    remarks = []
    unreadable = result.status == results.STATUSES.index('unreadable')
    if unreadable.any() and unreadable[-1]:
        # Trailing frames that cannot be read are one end.
        last = len(result) - 1
        while last >= 0 and unreadable[last]:
            last -= 1
        end = float(result.time[last + 1])
        of = f' of {film.seconds:.2f} s' if film.seconds > end + 0.5 else ''
        remarks.append(f'readable up to {end:.2f} s{of}: there the file is damaged')
        unreadable = unreadable[: last + 1]
    if unreadable.any():
        first = float(result.time[: len(unreadable)][unreadable][0])
        remarks.append(f'{int(unreadable.sum())} frames cannot be read, the first at {first:.2f} s')
    if not result.people:
        remarks.append('no face was found')
    return remarks


def _decided(film: Film | Camera, model: FaceClassifier, options: Options) -> dict[str, Any]:
    """Lists all that decides a film's files, as JSON values."""
    stat = film.path.stat() if isinstance(film, Film) else None
    against = Path(options.against).read_text('utf-8-sig') if options.against else ''
    return {
        'version': fer_jax.__version__,
        'film': [film.path.name, *((stat.st_size, stat.st_mtime_ns) if stat else (time.time(),))],
        'orientation': film.orientation.in_words,
        'model': model.digest,
        'settings': {
            **dataclasses.asdict(options.settings),
            'sides': list(options.settings.sides),
            'window': model.seconds,
            'stands_at': 'middle' if model.centred else 'end',
            'smooth': options.smooth,
            'overlay': options.overlay,
            'page': options.page,
            'blur': options.blur,
            'events': options.events,
            'against': against,
        },
    }


def _versions() -> dict[str, str]:
    found = {
        'command': cli.command_line(),
        'fer_jax': fer_jax.__version__,
        'python': platform.python_version(),
    }
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def films_table(rows: list[dict[str, Any]]) -> Table:
    """Makes films.csv, a row a film."""
    columns = (
        Column('film', 'Film'),
        Column('status', 'Status'),
        Column('seconds', 'Seconds', NUMBER),
        Column('frames', 'Frames', COUNT),
        Column('with_a_face', 'With a face', COUNT),
        Column('people', 'People', COUNT),
        Column('uncertain_faces', 'Uncertain faces', COUNT),
        Column('remarks', 'Remarks'),
    )
    return Table('films', 'All films.', columns, rows)


def film_row(name: str, about: dict[str, Any] | None, error: str = '') -> dict[str, Any]:
    """Makes a film's row of `films_table`; without `about`, of the reason why there is nothing."""
    if about is None:
        blank = dict.fromkeys(('seconds', 'frames', 'with_a_face', 'people', 'uncertain_faces'))
        return {'film': name, 'status': 'failed', **blank, 'remarks': cli.printable(error)}
    counted = about['counts']
    return {
        'film': name,
        'status': 'done',
        'seconds': about['film']['seconds'],
        'frames': counted['frames'],
        'with_a_face': counted['with a face'],
        'people': counted['people'],
        'uncertain_faces': counted['uncertain faces'],
        'remarks': '; '.join(about['remarks']),
    }


def predict_pictures(
    files: list[tuple[str, Path]],
    out: Path,
    model: FaceClassifier,
    options: Options,
    progress: Callable[[int], None] = lambda count: None,
) -> list[dict[str, str]]:
    """Writes pictures.csv and pictures.html; returns the rows.

    Where faces are to be hidden there is no pictures.html: an earlier one is removed.
    """
    if options.blur:
        (out / 'pictures.html').unlink(missing_ok=True)
    identity = [fer_jax.__version__, model.digest, stills.SIDES]
    folder = out / '.pictures.predicting'
    work = stills.predict(files, model, FaceFinder(stills.SIDES), folder, identity, progress)
    rows = stills.write_table(out / 'pictures.csv', work, model)
    if options.page and not options.blur:
        text = stills.sheet(rows, dict(files), model)
        atomic.write_text(out / 'pictures.html', text)
    shutil.rmtree(folder, ignore_errors=True)
    return rows
