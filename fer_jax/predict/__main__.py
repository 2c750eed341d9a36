"""Predicts expressions in pictures, films and from a camera, with any network of this project.

    python -m fer_jax.predict PATH [PATH ...] [--model=small] [--out=DIR]
    python -m fer_jax.predict film.mp4 --model=RUN --fps=5 --events=elan --against=codes.csv
    python -m fer_jax.predict --camera=0 --model=FOLDER

PATH is a picture, a film, or a folder of both. The model is a network of the package by its name,
RUN, a directory that fer_jax.main wrote and finished, or FOLDER, one that fer_jax.export wrote. The
probabilities of several members, calibrated where the run had validation clips, are averaged, or
--member names one. Networks of sequences see windows as long as in training, or of --window s.
First flags: --out=DIR, --model, --events=elan. Documented in docs/predict.md.

For film.mp4 these are written into DIR (default predictions/):
  film.csv           a row for each frame and face
  film.tracks.csv    a row for each person: seconds seen, share of each class with an interval
  film.overlay.mp4   the film with boxes, numbers and bars; its sound is kept; --blur hides faces
  film.html          one file of up to 20 MB: the film beside a time line for each person
  film.json          film, network, settings and counts; written last
For pictures: pictures.csv, a row a face, and pictures.html, a sheet of them; for several films also
films.csv. --events writes stretches of expressions for ELAN, BORIS or as subtitles. --against
compares with a human coder's table. --share is for job arrays. Interrupted, also by kill -9, the
same command goes on where it was; films that are finished are only read.

The labels say how people would name the expression in a picture, not what a person feels. The
European Union's AI Act, Article 5(1)(f), forbids inferring emotions at work and in education,
except for medical or safety reasons. This is general information, no legal advice.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from fer_jax import cli
from fer_jax.errors import UserError
from fer_jax.predict import events, results

if TYPE_CHECKING:
    from fer_jax.predict.jobs import Options

# Longest sides at which faces are looked for, and with --small_faces.
_SIDES, _SMALL_SIDES = (320, 640), (640, 1280)
# Frames a second that a network of sequences needs.
_FEWEST = 2


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
      UserError: nothing to predict, no network, a film that is none (all else is predicted first),
        or a folder that cannot be written.
    """
    if fv.camera is None and not fv.positional:
        raise UserError('name a picture, a film or a folder, or give --camera=0')
    if fv.camera is not None and fv.positional:
        raise UserError('--camera and files do not go together: predict one after the other')
    from fer_jax import runtime
    from fer_jax.predict import networks, terminal, windows
    from fer_jax.predict.jobs import Given

    given = Given.find(fv.positional, fv.out) if fv.positional else Given([], [])
    if fv.against and (len(given.films) != 1 or given.pictures):
        raise UserError('--against is for one film: name that film alone')
    if given.passed_over:
        print(f'note: {given.passed_over}', flush=True)
    runtime.prepare()
    model = networks.open_model(fv.model, member=fv.member, window=fv.window)
    if model.seconds and 0 < fv.fps < _FEWEST:
        raise UserError(
            f'--fps={fv.fps:g}: {model.name} sees several frames together and needs at least '
            f'{_FEWEST} a second; give a higher --fps, or 0 for all frames'
        )
    if model.seconds and fv.smooth < windows.STEP and not 0 < fv.fps <= 1 / windows.STEP:
        raise UserError(
            f'--smooth={fv.smooth:g}: {model.name} says something each {windows.STEP:g} s, frames '
            f'between would have no label; give at least --smooth={windows.STEP:g}'
        )
    options = _options(fv)
    out = Path(fv.out)
    if fv.camera is not None:
        terminal.camera(fv.camera, fv.seconds, out, model, options)
    # Films that are none end the command, so pictures come before them.
    if given.pictures and fv.share.partition('/')[0] in ('', '0'):
        terminal.pictures(given.pictures, out, model, options)
    if given.films:
        named = fv.model, fv.member, fv.window
        terminal.films(
            given.films, out, model, options, named=named, share=fv.share, at_once=fv.at_once
        )


def _options(fv: flags.FlagValues) -> 'Options':
    """Gathers what the flags say of how to look and what to write."""
    from fer_jax.predict import pipeline
    from fer_jax.predict.jobs import Options

    return Options(
        settings=pipeline.Settings(fps=fv.fps, sides=_SMALL_SIDES if fv.small_faces else _SIDES),
        smooth=fv.smooth,
        overlay=fv.overlay,
        page=fv.page,
        blur=fv.blur,
        events=fv.events,
        against=fv.against,
    )


if __name__ == '__main__':
    cli.run(main, define, __doc__)
