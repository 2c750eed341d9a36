"""Predicts expressions in pictures, films and from a camera, with any network of this project.

    python -m fer_jax.predict PATH [PATH ...] [--model=small] [--out=DIR]
    python -m fer_jax.predict film.mp4 --model=RUN --fps=5 --events=elan --against=codes.csv
    python -m fer_jax.predict --camera=0 --model=FOLDER

PATH is a picture, a film, or a folder of both. The model is a network of the package by its name,
RUN, a directory that fer_jax.main wrote and finished, or FOLDER, one that fer_jax.export wrote. The
calibrated probabilities of several members are averaged, or one is named with --member. Networks of
sequences see windows as long as in training, or of --window seconds.
First flags: --out=DIR, --model, --events=elan. Documented in docs/predict.md.

For film.mp4 these are written into DIR (default predictions/):
  film.csv           a row for each frame and face
  film.tracks.csv    a row for each person: seconds seen, share of each class with an interval
  film.overlay.mp4   the film with boxes, numbers and bars; its sound is kept; --blur hides faces
  film.html          one file: the film beside a time line for each person
  film.json          film, network, settings and counts; written last
For pictures: pictures.csv, a row a face, and pictures.html, a sheet of them; for several films also
films.csv. --events writes stretches of expressions for ELAN, BORIS or as subtitles. --against
compares with a human coder's table. --share is for job arrays. Interrupted, also by kill -9, the
same command goes on where it was; films that are finished are only read.

The labels say how people would name the expression in a picture, not what a person feels. The
European Union's AI Act, Article 5(1)(f), forbids inferring emotions at work and in education,
except for medical or safety reasons. This is general information, no legal advice.
"""

import math
import time
from pathlib import Path

import jax
import tqdm
from absl import flags

from fer_jax import atomic, cli, runtime
from fer_jax.errors import UserError
from fer_jax.predict import events, jobs, networks, pipeline, results, several
from fer_jax.predict.camera import Camera
from fer_jax.predict.films import Film
from fer_jax.predict.jobs import Given, Options

# Longest sides at which faces are looked for, and with --small_faces.
_SIDES, _SMALL_SIDES = (320, 640), (640, 1280)


def define(fv: flags.FlagValues) -> None:
    """Defines the command's flags."""
    cli.define_positional(fv, 'films, pictures, folders')
    flags.DEFINE_string(
        'model', 'small', 'a network of the package, a finished run, or a folder', flag_values=fv
    )
    flags.DEFINE_integer(
        'member', -1, 'the one member of a run to take; -1 takes the mean of all', flag_values=fv
    )
    flags.DEFINE_string('out', 'predictions', 'folder for what is written', flag_values=fv)
    flags.DEFINE_float(
        'fps', 0.0, 'frames a second of a film that are looked at; 0 for all', 0.0, flag_values=fv
    )
    flags.DEFINE_integer('camera', None, 'the number of a camera, from 0', 0, flag_values=fv)
    flags.DEFINE_float(
        'seconds', 0.0, 'how long the camera films; 0 until Ctrl-C', 0.0, flag_values=fv
    )
    flags.DEFINE_bool(
        'small_faces', False, 'look closer: finds faces half as large, takes longer', flag_values=fv
    )
    flags.DEFINE_float(
        'window', 0.0, 'seconds that a network of sequences sees; 0 as trained', 0.0, flag_values=fv
    )
    flags.DEFINE_float(
        'smooth',
        results.SMOOTH,
        'seconds to either side that probabilities are averaged over; 0 for none',
        0.0,
        flag_values=fv,
    )
    flags.DEFINE_bool('overlay', True, 'write film.overlay.mp4', flag_values=fv)
    flags.DEFINE_bool('page', True, 'write film.html or pictures.html', flag_values=fv)
    flags.DEFINE_bool('blur', False, 'hide faces in what is drawn', flag_values=fv)
    flags.DEFINE_enum(
        'events', '', ['', *events.FORMATS], f'also write {", ".join(events.FORMATS)}',
        flag_values=fv,
    )  # fmt: skip
    flags.DEFINE_integer(
        'at_once', 0, 'films at a time; 0: two where cores are free', 0, flag_values=fv
    )
    flags.DEFINE_string(
        'share', '', "K/N: films of task K of N alone; pictures are task 0's", flag_values=fv
    )
    flags.DEFINE_string('against', '', "a human coder's table of one film", flag_values=fv)


def main(fv: flags.FlagValues) -> None:
    """Predicts what the command names.

    Raises:
      UserError: nothing to predict, no network, a film that is none (of several the others are
        predicted first), or a folder that cannot be written.
    """
    if fv.camera is None and not fv.positional:
        raise UserError('name a picture, a film or a folder, or give --camera=0')
    if fv.camera is not None and fv.positional:
        raise UserError('--camera and files do not go together: predict one after the other')
    given = Given.find(fv.positional) if fv.positional else None
    if fv.against and (given is None or len(given.films) != 1 or given.pictures):
        raise UserError('--against is for one film: name that film alone')
    runtime.prepare()
    model = networks.open_model(fv.model, member=fv.member, window=fv.window)
    options = _options(fv)
    out = Path(fv.out)
    if given is None:
        _camera(fv, out, model, options)
        return
    if given.films:
        _films(fv, given.films, out, model, options)
    if given.pictures and fv.share.partition('/')[0] in ('', '0'):
        _pictures(given.pictures, out, model, options)


def _options(fv: flags.FlagValues) -> Options:
    return Options(
        settings=pipeline.Settings(fps=fv.fps, sides=_SMALL_SIDES if fv.small_faces else _SIDES),
        smooth=fv.smooth,
        overlay=fv.overlay,
        page=fv.page,
        blur=fv.blur,
        events=fv.events,
        against=fv.against,
    )


def _films(
    fv: flags.FlagValues, files: list[tuple[str, Path]], out: Path, model, options: Options
) -> None:
    films = [
        (name, path, out / stem)
        for (name, path), stem in zip(files, jobs.stems(files), strict=True)
    ]
    if fv.share:
        films = several.share(films, fv.share)
    count = several.at_once(fv.at_once, len(films), jax.default_backend() != 'cpu')
    if count > 1:
        named = fv.model, fv.member, fv.window
        found = several.predict([film[1:] for film in films], named, options, count)
    else:
        found = (_film(path, base, model, options) for _, path, base in films)
    rows, failures = [], []
    for (name, path, base), about in zip(films, found, strict=True):
        if isinstance(about, UserError):
            if len(files) == 1:
                raise about
            print(f'error: {about}', flush=True)
            failures.append(name)
            rows.append(jobs.film_row(name, None, str(about)))
        else:
            _tell(path, base, about, options)
            rows.append(jobs.film_row(name, about))
    if fv.share:
        # A task that fails would end those of the others.
        print(
            f'{len(failures)} of {len(films)} films failed; the same command without --share '
            'writes films.csv when all tasks are done'
        )
        return
    if len(files) > 1:
        with jobs.writing(out):
            atomic.write_text(out / 'films.csv', jobs.films_table(rows).csv(()))
    if failures:
        raise UserError(
            f'{len(failures)} of {len(films)} films failed; {out / "films.csv"} says why'
        )


def _film(path: Path, base: Path, model, options: Options) -> dict | UserError:
    """Predicts one film with a bar of its seconds; returns the error where there is one."""
    try:
        film = Film.open(path)
        total = film.seconds if math.isfinite(film.seconds) else None
        bar_format = '{desc} {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s, {remaining} left'
        with (
            tqdm.tqdm(total=total, bar_format=bar_format if total else None, disable=None) as bar,
            jobs.writing(base.parent),
        ):

            def show(stage: str, done: float) -> None:
                bar.set_description(f'{path.name}: {stage}', refresh=False)
                bar.update(max(0, min(done, total or done) - bar.n) if bar.desc else 0)
                if done < bar.n - 1:  # the next stage begins at the film's start
                    bar.reset()

            base.parent.mkdir(parents=True, exist_ok=True)
            return jobs.predict_film(film, base, model, options, progress=show)
    except UserError as error:
        return error


def _tell(path: Path, base: Path, about: dict, options: Options) -> None:
    """Prints what came of a film."""
    counted = about['counts']
    print(
        f'{path}: {counted["frames"]} frames, {counted["with a face"]} with a face, '
        f'{counted["people"]} people, {counted["uncertain faces"]} of {counted["faces"]} faces '
        f'uncertain; {about["seconds_taken"]["all"]:.1f} s'
    )
    for remark in about['remarks']:
        print(f'  note: {remark}')
    written = base.with_name(base.name + ('.html' if options.page else '.csv'))
    print(f'  {written}', flush=True)


def _pictures(files: list[tuple[str, Path]], out: Path, model, options: Options) -> None:
    with tqdm.tqdm(total=len(files), unit=' pictures', disable=None) as bar, jobs.writing(out):
        out.mkdir(parents=True, exist_ok=True)

        def show(done: int) -> None:
            bar.update(done - bar.n)

        rows = jobs.predict_pictures(files, out, model, options, show)
    faces = sum(row['status'] == 'face' for row in rows)
    unreadable = sum(row['status'] == 'unreadable' for row in rows)
    print(
        f'{len(files)} pictures, {faces} faces, {unreadable} unreadable\n  {out / "pictures.csv"}'
    )


def _camera(fv: flags.FlagValues, out: Path, model, options: Options) -> None:
    name = time.strftime(f'camera{fv.camera}-%Y%m%d-%H%M%S')
    camera = Camera.open(fv.camera, name, fv.seconds or math.inf)
    print('the camera is on; Ctrl-C ends it', flush=True)
    with jobs.writing(out):
        out.mkdir(parents=True, exist_ok=True)
        about = jobs.predict_film(camera, out / name, model, options)
    print(f'{about["counts"]["frames"]} frames\n  {out / name}.csv')


if __name__ == '__main__':
    cli.run(main, define, __doc__)
