"""The page of a comparison: its tables, its figures, and what its tests assume."""

import functools
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic
from fer_jax.evaluation.comparison import TESTS
from fer_jax.evaluation.table import (
    COUNT,
    DIFFERENCE,
    DIFFERENCE_INTERVAL,
    INTERVAL,
    Table,
    probability,
    show,
)
from fer_jax.reports import comparison_tables as tables
from fer_jax.reports import page
from fer_jax.reports.figures import COLOURS, SERIES, Drawing, draw
from fer_jax.reports.plots import MOST_LINES

# More pairs than this are read in the table, not as sentences.
MOST_SENTENCES = 6

ASSUMPTIONS = {
    'Interval of a difference': 'Subjects (or recordings) are drawn again, for both runs at once. '
    'Seeds are averaged, not drawn: it says nothing of how training would vary with another seed.',
    TESTS['t']: 'Student’s, on the folds’ accuracies. Takes their differences as independent and '
    'normal; training parts of folds overlap, so its p-values are too small. haddad2020 (Tables 4 '
    'and 5) prints one-sided ones.',
    TESTS['corrected_t']: 'The resampled t-test of Nadeau and Bengio (2003): a variance that '
    'allows for shared training clips. The one to prefer for repeated random splits.',
    TESTS['wilcoxon']: 'The signed-rank test on the folds’ accuracies. Takes their differences as '
    'symmetric; folds with equal accuracies are left out.',
    TESTS['mcnemar']: 'McNemar’s test on clips that only one run gets right. Takes clips as '
    'independent, which clips of one subject and frames of one recording are not. Only where each '
    'clip is judged once (one seed, no repeats).',
    'Effect size': 'Cohen’s d_z: the mean difference of folds over its standard deviation.',
    'Holm': 'Two-sided p-values corrected for the number of pairs, each test by itself.',
}


def write(values: Mapping[str, Any], out: Path | str) -> Path:
    """Writes report.html and figures/ (SVG, and every table and figure as CSV); returns the page.

    Args:
      values: the result of comparison.compute or of ablations.compute.
    """
    stamps = values['stamps']
    shown = {
        table.name: table
        for table in (
            tables.ablations(values),
            tables.runs(values),
            tables.differences(values),
            tables.tests(values),
            tables.folds(values),
            tables.settings(values),
        )
        if table is not None
    }
    drawings = {'accuracies': accuracies(values, shown['runs'].csv(stamps))}
    if values['pairs']:
        drawings['intervals'] = intervals(values, shown['differences'].csv(stamps))
    if 1 < len(values['folds']) <= MOST_LINES and len(values['runs']) <= len(SERIES):
        drawings['fold_accuracies'] = fold_accuracies(values, shown['folds'].csv(stamps))
    files = {f'{table.name}.csv': table.csv(stamps) for table in shown.values()}
    for drawing in drawings.values():
        files |= {f'{drawing.name}.svg': drawing.svg, f'{drawing.name}.csv': drawing.csv}
    return atomic.publish_page(out, _compose(values, shown, drawings), files)


def accuracies(values: Mapping[str, Any], csv: str) -> Drawing:
    """Draws accuracy and interval of every run under every rule."""
    entries = values['runs']
    names = list(dict.fromkeys(rule for run in entries for rule in run['results']))

    def paint(figure) -> None:
        axes = figure.subplots()
        for position, rule in enumerate(names):
            shift = (position - (len(names) - 1) / 2) * 0.17
            colour, label = COLOURS[SERIES[position % len(SERIES)]], None
            for row, run in enumerate(entries):
                if rule not in run['results']:
                    continue
                entry = run['results'][rule]
                ends, at = entry['intervals']['pooled_accuracy'], row + shift
                if ends is not None:
                    axes.plot([100 * end for end in ends], [at, at], color=colour, lw=1.6)
                fill = COLOURS['card'] if entry['optimistic'] else colour
                axes.plot(100 * entry['pooled_accuracy'], at, 'o', ms=5.5, color=colour, mfc=fill,
                          mew=1.4, label=None if label else entry['title'])  # fmt: skip
                label = entry['title']
        axes.set_yticks(range(len(entries)), [run['letter'] for run in entries],
                        color=COLOURS['ink'], weight='bold')  # fmt: skip
        axes.set_ylim(len(entries) - 0.5, -0.5)
        axes.grid(axis='y', visible=False)
        axes.spines['left'].set_visible(False)
        axes.set_xlabel('test accuracy (%)')
        axes.legend(loc='lower left', bbox_to_anchor=(-0.02, 1.01), borderaxespad=0, ncols=2,
                    columnspacing=1.2, handlelength=1.0)  # fmt: skip

    return Drawing(
        'accuracies',
        'Test accuracy with its interval of every run under every rule',
        'Accuracy and interval of every run under every rule of choosing an epoch. Hollow: chosen '
        'on the test clips, optimistic.',
        draw(paint, size=(4.1, 1.5 + 0.75 * len(entries)), stamps=values['stamps']),
        csv,
    )


def intervals(values: Mapping[str, Any], csv: str) -> Drawing:
    """Draws every pair's difference with its interval, beside zero."""
    pairs = values['pairs']

    def paint(figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=COLOURS['muted'], lw=1, ls=(0, (4, 3)))
        for row, pair in enumerate(pairs):
            difference = 100 * pair['difference']
            if pair['interval'] is not None:
                ends = [100 * end for end in pair['interval']]
                axes.plot(ends, [row, row], lw=2, color=COLOURS['blue'])
            axes.plot(difference, row, 'o', ms=7, mew=0, color=COLOURS['blue'])
            axes.annotate(
                f'{difference:+.1f}'.replace('-', '−'), (difference, row), (0, 8), ha='center',
                textcoords='offset points', fontsize=8.5, color=COLOURS['ink'],
            )  # fmt: skip
        titles = [tables.pair_title(pair) for pair in pairs]
        axes.set_yticks(range(len(pairs)), titles, color=COLOURS['ink'])
        axes.set_ylim(len(pairs) - 0.5, -0.8)
        axes.grid(axis='y', visible=False)
        axes.spines['left'].set_visible(False)
        axes.set_xlabel('difference of accuracy (points)')

    return Drawing(
        'intervals',
        'Difference of accuracy of every pair with its interval',
        f'Difference of accuracy of every pair with its interval over {values["unit"]}; dashed: no '
        'difference.',
        draw(paint, size=(4.1, 1.0 + 0.5 * len(pairs)), stamps=values['stamps']),
        csv,
    )


def fold_accuracies(values: Mapping[str, Any], csv: str) -> Drawing:
    """Draws each run's accuracy in every fold, a fold's runs joined by a line."""
    rows, letters = values['folds'], [run['letter'] for run in values['runs']]

    def paint(figure) -> None:
        axes = figure.subplots()
        beside = np.linspace(-0.2, 0.2, len(letters))  # equal accuracies stay visible
        for row in rows:
            inside = [100 * row[letter] for letter in letters]
            axes.plot(row['fold'] + beside, inside, lw=1, color=COLOURS['muted'])
        for letter, shift, colour, marker in zip(letters, beside, SERIES, 'osD^vPX*', strict=False):
            at = [row['fold'] + shift for row in rows]
            axes.plot(at, [100 * row[letter] for row in rows], marker,
                      ms=6, mew=0, color=COLOURS[colour], alpha=0.9, label=letter)  # fmt: skip
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlim(rows[0]['fold'] - 0.6, rows[-1]['fold'] + 0.6)
        axes.grid(axis='x', visible=False)
        axes.set_xlabel('fold')
        axes.set_ylabel('accuracy (%)')
        axes.legend(loc='lower left', bbox_to_anchor=(-0.02, 1.01), borderaxespad=0, ncols=8,
                    columnspacing=1.2, handlelength=1.0)  # fmt: skip

    return Drawing(
        'fold_accuracies',
        'Test accuracy of every run in every fold',
        f'Test accuracy of every run in every fold under “{values["title"]}”; lines join '
        'what is paired.',
        draw(paint, size=(4.1, 3.1), stamps=values['stamps']),
        csv,
    )


def _compose(
    values: Mapping[str, Any], shown: Mapping[str, Table], drawings: Mapping[str, Drawing]
) -> str:
    """Composes the page's HTML."""
    stamps = values['stamps']

    table = functools.partial(page.table_or_folded, shown, stamps)

    def drawing(name: str) -> str:
        return page.drawing(drawings[name], stamps) if name in drawings else ''

    people = '' if values['subjects'] is None else f' of {values["subjects"]} subjects'
    repeats = ', some in several folds' if values['repeated'] else ''
    counted = f'{show(COUNT, values["clips"])} test clips{people}{repeats}'
    number = len(values['folds'])
    lead = f'{values["runs"][0]["protocol"]} · {counted} · {number} fold{"s" * (number > 1)}'
    title = f'{len(values["runs"])} runs compared'
    if len(values['runs']) == 2:
        title = ' and '.join(run['name'] for run in values['runs'])
    sections = [('headline', 'Result', _sentences(values))]
    if 'ablations' in values:
        count = len(values['ablations']) - 1
        title = f'{count} ablation{"s" * (count > 1)} compared'
        apart = [row['refusal'] for row in values['ablations'] if row['refusal']]
        notes = ''.join(f'<p class="note">{escape(refusal)}.</p>' for refusal in apart)
        sections = [('ablations', 'Ablations', table('ablations') + notes)]
    if values['pairs']:
        sections += [
            (
                'differences',
                'Differences',
                table('differences', f'{len(values["pairs"])} pairs')
                + page.pair(drawing('intervals'), drawing('fold_accuracies')),
            ),
            ('tests', 'Tests',
             table('tests', f'{len(shown["tests"].rows)} tests') + _meanings(values)
             if 'tests' in shown else '<p>No test applies: there is one fold, and its clips are '
             'judged more than once.</p>'),
        ]  # fmt: skip
    sections += [
        ('runs', 'Runs', table('runs') + page.pair(drawing('accuracies'), _provenance(values))),
        ('folds', 'Folds', table('folds', f'{number} folds')),
    ]
    if 'settings' in shown:
        sections.append(('settings', 'What was set differently', table('settings')))
    return page.page(title, lead, stamps, sections)


def _sentences(values: Mapping[str, Any]) -> str:
    """Names each run by its letter and states each pair's difference in one sentence."""
    accuracy = {
        run['letter']: run['results'][values['rule']]['pooled_accuracy'] for run in values['runs']
    }
    tiles = ''.join(
        f'<div><dt>{escape(tables.named(run))}</dt><dd>{100 * accuracy[run["letter"]]:.2f} %'
        f'<small>{_shown_interval(run["results"][values["rule"]])}</small></dd></div>'
        for run in values['runs']
    )
    said, level = [], tables.level(values)
    for pair in values['pairs'] if len(values['pairs']) <= MOST_SENTENCES else ():
        points = show(DIFFERENCE, pair['difference'])
        text = f'<b>{escape(tables.pair_title(pair))}: {points} points</b>'
        if pair['interval'] is not None:
            low, high = pair['interval']
            covers = 'includes' if low <= 0 <= high else 'excludes'
            text += f' ({level} {show(DIFFERENCE_INTERVAL, pair["interval"])}, which {covers} 0).'
        tested = [
            f'{TESTS[name]} {probability(outcome["two_sided"])}'
            for name, outcome in pair['tests'].items()
            if outcome['two_sided'] is not None
        ]
        if tested:
            text += f' Two-sided p: {escape(" · ".join(tested))}.'
        said.append(f'<p>{text}</p>')
    rule = (
        f'<p class="note">Accuracy under “{escape(values["title"])}”'
        f'{", an optimistic rule" * values["optimistic"]}, with {level}s by bootstrap over '
        f'{values["unit"]} ({show(COUNT, values["draws"])} draws).</p>'
    )
    return f'<dl class="tiles first">{tiles}</dl>{rule}{"".join(said)}'


def _shown_interval(entry: Mapping[str, Any]) -> str:
    ends = entry['intervals']['pooled_accuracy']
    return '' if ends is None else show(INTERVAL, ends)


def _meanings(values: Mapping[str, Any]) -> str:
    """Explains what each number assumes."""
    used = {TESTS[name] for pair in values['pairs'] for name in pair['tests']}
    unused = set(TESTS.values()) - used
    if len(values['pairs']) == 1:
        unused.add('Holm')
    return '<h3>What they take for granted</h3>' + page.facts(
        {name: text for name, text in ASSUMPTIONS.items() if name not in unused}
    )


def _provenance(values: Mapping[str, Any]) -> str:
    """Lists each run's folder, seeds, commit and command."""
    parts = []
    for run in values['runs']:
        facts = {
            'Folder': run['path'],
            'Seeds': ', '.join(map(str, run['seeds'])),
            'Commit': run['commit'],
        }
        command = page.code(run['command']) if run['command'] else ''
        parts.append(f'<h3>{escape(tables.named(run))}</h3>{page.facts(facts)}{command}')
    return f'<div>{"".join(parts)}</div>'
