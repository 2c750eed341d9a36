"""Draws a run's report again, or compares runs on the same folds, from their files alone.

    python -m fer_jax.report RUN [--out=DIR]
    python -m fer_jax.report RUN RUN [RUN ...] [--rule=RULE] [--out=DIR]
    python -m fer_jax.report RUN RUN [RUN ...] --ensemble [--out=DIR]
    python -m fer_jax.report --card=haddad2020:table4 [RUN ...] [--out=DIR]
    python -m fer_jax.report STUDY [--out=DIR]

First flags: --out=DIR, --rule=RULE, --card=PAPER:TABLE. Documented in docs/protocols.md (rules,
what is compared) and docs/running.md (what a run leaves).

RUN is a directory that fer_jax.main wrote and finished, STUDY one of fer_jax.studies or
fer_jax.sweep, of a sweep also while it goes on. Writes report.html, which needs nothing else, and
figures/ (every figure as SVG, every number drawn as CSV), and prints the results.

With one run DIR is by default the run's own. With several it is comparison/: every run under every
rule of choosing an epoch, and each pair's difference with an interval, an effect size and p-values.
Runs that are not of the same folds are refused. RULE is by default nested where all runs have it,
else val_best, else last. With --ensemble the runs are one system: the mean of their probabilities
is judged, DIR is by default ensemble/. With --card a paper's table is printed beside the runs that
answer it.
"""

from pathlib import Path

from absl import flags

from fer_jax import cli
from fer_jax.errors import UserError
from fer_jax.evaluation import comparison, ensembles, rundir
from fer_jax.evaluation.rules import RULES
from fer_jax.reports import comparison_page, judgement_page, kinds


def define(fv: flags.FlagValues) -> None:
    """Declares this command's flags."""
    cli.define_positional(fv, 'RUN, or runs to compare')
    flags.DEFINE_string('out', None, 'folder for report.html and figures/', flag_values=fv)
    flags.DEFINE_enum(
        'rule', None, list(RULES), f'compare under this rule: {", ".join(RULES)}', flag_values=fv
    )
    flags.DEFINE_bool(
        'ensemble', False, "judge the mean of the runs' probabilities", flag_values=fv
    )
    flags.DEFINE_string(
        'card', None, 'a reproduction card, PAPER:TABLE; a wrong name lists all', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Draws the page that the command names, and prints the results and where the page is.

    Raises:
      UserError: no run or study, or one that is missing, unfinished or damaged, or runs that cannot
        be paired.
    """
    if fv.rule and (fv.card or len(fv.positional) == 1):
        without = 'leave it out with --card' if fv.card else 'name two runs or more'
        raise UserError(f'--rule is for comparing runs: {without}')
    if fv.ensemble and (fv.card or fv.rule or len(fv.positional) < 2):
        raise UserError('--ensemble is for two runs or more, without --card and --rule')
    if fv.card:
        text, page = kinds.draw_card(fv.card, fv.positional, fv.out)
    elif not fv.positional:
        raise UserError('name a run, or runs to compare: python -m fer_jax.report RUN [RUN ...]')
    elif len(fv.positional) == 1:
        text, page = kinds.redraw(Path(fv.positional[0]), fv.out)
    elif fv.ensemble:
        text, page = _ensemble(fv)
    else:
        text, page = _compare(fv)
    print(text)
    if page:
        print(f'\n{page}')


def _compare(fv: flags.FlagValues) -> tuple[str, Path]:
    """Draws the comparison of the runs; returns it as text, and the page's path."""
    out, runs = Path(fv.out or 'comparison'), _runs(fv)
    rundir.check_out(out)
    values = comparison.compute(runs, rule=fv.rule)
    return comparison.summary_text(values), comparison_page.write(values, out)


def _ensemble(fv: flags.FlagValues) -> tuple[str, Path]:
    """Draws the mean of the runs as one system; returns it as text, and the page's path."""
    out, runs = Path(fv.out or 'ensemble'), _runs(fv)
    rundir.check_out(out)
    found = ensembles.judge(runs)
    sentence = "each network at the epoch of its run's own rule"
    return found.summary_text(), judgement_page.write(found, out, sentence)


def _runs(fv: flags.FlagValues) -> list[rundir.Run]:
    return [rundir.load_finished(name) for name in fv.positional]


if __name__ == '__main__':
    cli.run(main, define, __doc__)
