"""Draws a run's report again, from the files of its directory alone.

    python -m fer_jax.report RUN [--out=DIR]

RUN is the directory that fer_jax.main wrote and finished. Writes report.html, which needs nothing
else, and figures/ (every figure as SVG, every number drawn as CSV) into DIR, by default into RUN,
and prints the results as text.
"""

from pathlib import Path

from absl import flags

from fer_jax import cli
from fer_jax.errors import UserError
from fer_jax.evaluation import report, results, rundir


def define(fv: flags.FlagValues) -> None:
    """Declares this command's flags."""
    flags.DEFINE_string('out', None, 'folder for report.html and figures/', flag_values=fv)


def main(fv: flags.FlagValues) -> None:
    """Draws the report of the run named on the command line.

    Raises:
      UserError: not exactly one run, or one that is missing, unfinished or damaged.
    """
    if len(fv.positional) != 1:
        raise UserError('name one run: python -m fer_jax.report RUN [--out=DIR]')
    run = Path(fv.positional[0])
    if not run.is_dir():
        raise UserError(f'there is no run at {run}: give the directory that fer_jax.main wrote')
    if not (run / 'DONE').is_file():
        raise UserError(f'{run} has not finished (no DONE in it): start its command again')
    loaded = rundir.load(run)
    values = results.compute(loaded.predictions, stamps=loaded.stamps)
    path = report.write_report(run, fv.out, values)
    print(results.summary_text(values))
    print(f'\n{path}')


if __name__ == '__main__':
    cli.run(main, define, __doc__)
