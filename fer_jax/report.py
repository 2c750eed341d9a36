"""Draws a run's report again, or compares runs on the same folds, from their files alone.

    python -m fer_jax.report RUN [--out=DIR]
    python -m fer_jax.report RUN RUN [RUN ...] [--rule=RULE] [--out=DIR]
    python -m fer_jax.report --card=haddad2020:table4 [RUN ...] [--out=DIR]
    python -m fer_jax.report STUDY [--out=DIR]

RUN is a directory that fer_jax.main wrote and finished. Both write report.html, which needs nothing
else, and figures/ (every figure as SVG, every number drawn as CSV) into DIR, and print the results
as text.

With one run DIR is by default the run's own directory. With several it is comparison/: every run
under every rule of choosing an epoch, and for every pair the difference of their accuracies with an
interval, an effect size, and p-values: paired and corrected resampled t-tests and Wilcoxon's test
over folds, McNemar's exact test on clips. Runs are paired by fold and clip; where datasets,
classes, labels, test clips or training clips are not the same the comparison is refused. RULE is
the rule that the pairs are compared under, by default val_best, or last where a run has no
validation clips.

STUDY is a directory that fer_jax.sweep writes, also while the study goes on: the page has its
history, what each hyper-parameter explains, every trial, and what the settings were chosen on.

With --card a paper's table is printed beside the finished runs that answer it, and drawn as a page
where --out is given.
"""

from pathlib import Path

from absl import flags

from fer_jax import cli, papers
from fer_jax.errors import UserError
from fer_jax.evaluation import comparison, results, rundir
from fer_jax.evaluation.rules import RULES
from fer_jax.evaluation.rundir import Run
from fer_jax.reports import comparison_page, run_page
from fer_jax.sweep import snapshot, study_page


def define(fv: flags.FlagValues) -> None:
    """Declares this command's flags."""
    flags.DEFINE_string('out', None, 'folder for report.html and figures/', flag_values=fv)
    flags.DEFINE_enum(
        'rule', None, list(RULES), f'compare under this rule: {", ".join(RULES)}', flag_values=fv
    )
    flags.DEFINE_string(
        'card', None, 'a reproduction card, PAPER:TABLE; a wrong name lists all', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Draws the report of the run, or of the comparison of the runs, that the command names.

    Raises:
      UserError: no run, or one that is missing, unfinished or damaged, or runs that cannot be
        paired.
    """
    if fv.card:
        _card(fv)
        return
    if not fv.positional:
        raise UserError('name a run, or runs to compare: python -m fer_jax.report RUN [RUN ...]')
    if len(fv.positional) > 1:
        path, text = _compare([_finished(Path(name)) for name in fv.positional], fv)
    else:
        if fv.rule:
            raise UserError('--rule is for comparing: name two runs or more, or leave it out')
        path = Path(fv.positional[0])
        if (path / snapshot.NAME).is_file():
            _study(path, fv)
            return
        if (path / 'stages').is_dir():
            _system(path, fv)
            return
        run = _finished(path)
        values = results.compute(run.predictions, stamps=run.stamps)
        path = run_page.write_report(run.path, fv.out, values)
        text = results.summary_text(values)
    print(text)
    print(f'\n{path}')


def _card(fv: flags.FlagValues) -> None:
    """Prints a paper's table beside the runs that answer it; with --out draws its page as well."""
    if fv.rule:
        raise UserError('--rule is for comparing runs: leave it out with --card')
    card, runs = papers.load(fv.card), [papers.read(path) for path in fv.positional]
    print(papers.text(card, runs))
    if fv.out:
        print(f'\n{papers.write_page(fv.out, card, runs)}')


def _study(path: Path, fv: flags.FlagValues) -> None:
    """Draws a study's page from its study.json."""
    values = snapshot.load(path)
    print(snapshot.text(values))
    print(f'\n{study_page.write(values, fv.out or path)}')


def _system(path: Path, fv: flags.FlagValues) -> None:
    """Draws the page of a run of several models from its stages."""
    from fer_jax.kahou2015 import (  # imports jax: seconds that other reports do not need
        outcome,
        page,
    )

    found = outcome.load(path)
    print(outcome.text(found.values))
    print(f'\n{page.write(found, path, fv.out)}')


def _finished(path: Path) -> Run:
    """A finished run; UserError where there is none."""
    if not path.is_dir():
        raise UserError(f'there is no run at {path}: give the directory that fer_jax.main wrote')
    if not (path / 'DONE').is_file():
        raise UserError(f'{path} has not finished (no DONE in it): start its command again')
    return rundir.load(path)


def _compare(runs: list[Run], fv: flags.FlagValues) -> tuple[Path, str]:
    """Writes the comparison; returns the page's path and the text."""
    out = Path(fv.out or 'comparison')
    if (out / 'config.json').exists():
        raise UserError(f'{out} is a run, whose own report lies there: give another --out')
    values = comparison.compute(runs, rule=fv.rule)
    return comparison_page.write(values, out), comparison.summary_text(values)


if __name__ == '__main__':
    cli.run(main, define, __doc__)
