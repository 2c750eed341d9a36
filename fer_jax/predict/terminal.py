"""Predicts films, pictures and a camera for a terminal: bars while it runs, then results."""

import math
import time
from pathlib import Path

import jax
import tqdm

from fer_jax import atomic
from fer_jax.errors import UserError
from fer_jax.predict import jobs, several, summary
from fer_jax.predict.camera import Camera
from fer_jax.predict.films import Film
from fer_jax.predict.jobs import Options


def films(
    files: list[tuple[str, Path]],
    out: Path,
    model,
    options: Options,
    *,
    named: tuple[str, int, float],
    share: str,
    at_once: int,
) -> None:
    """Predicts films, and for several writes a table of all.

    Args:
      files: name and path of each.
      out: the folder that is written into.
      model: of `networks.open_model`.
      named: model, member and window as the command names them, for processes of their own.
      share: 'K/N' where a job array shares the films.
      at_once: films at a time; 0 for two where cores are free.

    Raises:
      UserError: a film that is none; of several the others are predicted first.
    """
    plans = [
        (name, path, out / stem)
        for (name, path), stem in zip(files, jobs.stems(files), strict=True)
    ]
    if share:
        plans = several.share(plans, share)
    count = several.at_once(at_once, len(plans), jax.default_backend() != 'cpu')
    if count > 1:
        found = several.predict([film[1:] for film in plans], named, options, count)
    else:
        found = (_film(path, base, model, options) for _, path, base in plans)
    rows, failures = [], []
    for (name, path, base), about in zip(plans, found, strict=True):
        if isinstance(about, UserError):
            if len(files) == 1:
                raise about
            print(f'error: {about}', flush=True)
            failures.append(name)
            rows.append(jobs.film_row(name, None, str(about)))
        else:
            _tell(path, base, about, options)
            rows.append(jobs.film_row(name, about))
    if share:
        # A task that fails would end those of the others.
        print(
            f'{len(failures)} of {len(plans)} films failed; the same command without --share '
            'writes films.csv when all tasks are done'
        )
        return
    if len(files) > 1:
        with jobs.writing(out):
            atomic.write_text(out / 'films.csv', jobs.films_table(rows).csv(()))
    if failures:
        raise UserError(
            f'{len(failures)} of {len(plans)} films failed; {out / "films.csv"} says why'
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
        f'{summary.people(counted["people"])}, '
        f'{counted["uncertain faces"]} of {counted["faces"]} faces '
        f'uncertain; {about["seconds_taken"]["all"]:.1f} s'
    )
    for remark in about['remarks']:
        print(f'  note: {remark}')
    written = base.with_name(base.name + ('.html' if options.page else '.csv'))
    print(f'  {written}', flush=True)


def pictures(files: list[tuple[str, Path]], out: Path, model, options: Options) -> None:
    """Predicts pictures, name and path of each, into one table."""
    with tqdm.tqdm(total=len(files), unit=' pictures', disable=None) as bar, jobs.writing(out):
        out.mkdir(parents=True, exist_ok=True)

        def show(done: int) -> None:
            bar.update(done - bar.n)

        rows = jobs.predict_pictures(files, out, model, options, show)
    faces = sum(row['status'] == 'face' for row in rows)
    unreadable = sum(row['status'] == 'unreadable' for row in rows)
    written = out / ('pictures.html' if options.page and not options.blur else 'pictures.csv')
    looked_at = summary.number(len(files), 'picture')
    print(f'{looked_at}, {summary.number(faces, "face")}, {unreadable} unreadable')
    for remark in model.notes:
        print(f'  note: {remark}')
    print(f'  {written}')


def camera(number: int, seconds: float, out: Path, model, options: Options) -> None:
    """Predicts what a camera films, for some seconds or, where that is 0, until Ctrl-C."""
    name = time.strftime(f'camera{number}-%Y%m%d-%H%M%S')
    source = Camera.open(number, name, seconds or math.inf)
    print('the camera is on; Ctrl-C ends it', flush=True)
    with jobs.writing(out):
        out.mkdir(parents=True, exist_ok=True)
        about = jobs.predict_film(source, out / name, model, options)
    print(f'{about["counts"]["frames"]} frames\n  {out / name}.csv')
