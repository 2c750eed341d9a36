"""The page of 'does time matter?': figures, tables, and every number drawn as CSV."""

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
    NUMBER,
    PROBABILITY,
    SHARE,
    Column,
    Table,
    csv_text,
    show,
)
from fer_jax.reports import page
from fer_jax.reports.figures import COLOURS, Drawing, draw
from fer_jax.studies import study_files
from fer_jax.studies.order import ORDERS, pair_title, summary_text


def accuracies(values: Mapping[str, Any]) -> Drawing:
    """Draws each network's accuracy by order; a fold's of one seed joined by thin lines."""
    networks, stamps = values['networks'], values['stamps']
    majority = next(iter(networks.values()))['majority']
    places = np.arange(len(ORDERS))

    def paint(figure) -> None:
        panels = figure.subplots(1, len(networks), sharey=True, squeeze=False)[0]
        for axes, network in zip(panels, networks.values(), strict=True):
            orders = network['orders'].values()
            inside = np.array([np.ravel(order['cells']) for order in orders])
            axes.plot(places, 100 * inside, color=COLOURS['stone'], lw=0.7, alpha=0.7)
            middle = np.array([100 * order['accuracy'] for order in orders])
            ends = np.array([[100 * end for end in order['interval']] for order in orders])
            axes.vlines(places, *ends.T, color=COLOURS['blue'], lw=2.4)
            axes.plot(places, middle, 'o-', ms=7, mew=0, lw=1.6, color=COLOURS['blue'])
            for place, point in zip(places, middle, strict=True):
                axes.annotate(
                    f'{point:.1f}', (place, point), (7, 0), textcoords='offset points',
                    va='center', fontsize=8.5, weight='bold', color=COLOURS['ink'],
                    bbox={'facecolor': COLOURS['card'], 'lw': 0, 'pad': 1, 'alpha': 0.8},
                )  # fmt: skip
            axes.axhline(100 * network['majority'], color=COLOURS['muted'], lw=1, ls=(0, (4, 3)))
            names = [order['title'].replace(' ', '\n') for order in orders]
            axes.set_xticks(places, names, color=COLOURS['ink'])
            axes.set_xlim(-0.4, len(places) - 0.35)
            axes.grid(axis='x', visible=False)
            axes.set_title(network['title'], fontsize=9)
        panels[0].set_ylabel('test accuracy (%)')
        panels[0].annotate(
            'commonest class', (0, 100 * majority), (2, 3),
            xycoords=('axes fraction', 'data'), textcoords='offset points', fontsize=7.5,
            color=COLOURS['muted'],
        )  # fmt: skip

    rows = [
        (name, order, seed, fold, cell)
        for name, network in networks.items()
        for order, entry in network['orders'].items()
        for seed, folds in enumerate(entry['cells'])
        for fold, cell in enumerate(folds)
    ]
    return Drawing(
        'time_matters',
        'Test accuracy with frames in order, shuffled, and the apex repeated',
        'Test accuracy by the order of a clip’s frames: pooled over folds, mean over seeds, with '
        f'{100 * values["level"]:.0f} % intervals by bootstrap over subjects. Thin: each fold of '
        'each seed. Dashed: naming the commonest class.',
        draw(paint, size=(4.8, 3.3), stamps=stamps),
        csv_text(
            ('network', 'order', 'seed', 'fold', 'accuracy'), list(zip(*rows, strict=True)), stamps
        ),
    )


def differences(values: Mapping[str, Any], csv: str) -> Drawing:
    """Draws every paired difference with its interval and the folds of each seed behind it."""
    pairs = [
        (network['title'], pair)
        for network in values['networks'].values()
        for pair in network['pairs']
    ]

    def paint(figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=COLOURS['ink'], lw=1)
        for row, (network, pair) in enumerate(pairs):
            each = 100 * np.ravel(pair['cells'])
            axes.plot(each, np.full(len(each), row + 0.2), '|', ms=6, color=COLOURS['stone'])
            axes.plot(
                [100 * end for end in pair['interval']], [row, row], lw=2, color=COLOURS['blue']
            )
            axes.plot(100 * pair['difference'], row, 'o', ms=6.5, mew=0, color=COLOURS['blue'])
            axes.annotate(
                f'{100 * pair["difference"]:+.1f}'.replace('-', '−'), (1, row), (0, 9), ha='right',
                xycoords=('axes fraction', 'data'), textcoords='offset points', fontsize=8.5,
                color=COLOURS['ink'], weight='bold',
            )  # fmt: skip
            axes.annotate(
                f'{network}: {pair_title(pair)}', (0, row), (0, 9),
                xycoords=('axes fraction', 'data'), textcoords='offset points', fontsize=8.5,
                color=COLOURS['ink'], bbox={'facecolor': COLOURS['card'], 'lw': 0, 'pad': 1},
            )  # fmt: skip
        axes.set_yticks(range(len(pairs)), [''] * len(pairs))
        axes.set_ylim(len(pairs) - 0.5, -0.9)
        axes.spines['left'].set_visible(False)
        axes.set_xlabel('difference of accuracy (points)')

    return Drawing(
        'time_differences',
        'Paired differences of accuracy between orders of the frames',
        'Paired differences with their intervals; strokes: each fold of each seed.',
        draw(paint, size=(4.1, 0.9 + 0.46 * len(pairs)), stamps=values['stamps']),
        csv,
    )


def tables(values: Mapping[str, Any]) -> tuple[Table, Table]:
    """Makes the tables of accuracies, and of paired differences with their tests."""
    level = f'{100 * values["level"]:.0f} % interval'
    networks = values['networks'].values()
    orders = [
        {'network': network['title'], 'majority': network['majority'], **entry}
        for network in networks
        for entry in network['orders'].values()
    ]
    pairs = [
        {
            'network': network['title'],
            'pair': pair_title(pair),
            **pair,
            **{name: pair['tests'][name]['two_sided'] for name in ('t', 'corrected_t')},
            'holm': pair['tests']['corrected_t']['holm'],
        }
        for network in networks
        for pair in network['pairs']
    ]
    counted = values['seeds'] * values['folds']
    return (
        Table(
            'accuracies',
            'Accuracy after the last epoch, pooled over folds, mean over seeds.',
            (
                Column('network', 'Network'),
                Column('title', 'Frames'),
                Column('accuracy', 'Accuracy', SHARE),
                Column('interval', level, INTERVAL),
                Column('majority', 'Commonest class', SHARE),
            ),
            orders,
        ),
        Table(
            'differences',
            'Paired differences in points, with intervals by bootstrap over subjects. Better and '
            f'worse: of {counted} pairs of a fold and seed. d_z and two-sided p-values over folds, '
            'seeds averaged; Holm: the corrected test’s, for the pairs of one network.',
            (
                Column('network', 'Network'),
                Column('pair', 'Pair'),
                Column('difference', 'Difference', DIFFERENCE),
                Column('interval', level, DIFFERENCE_INTERVAL),
                Column('better', 'Better', COUNT),
                Column('worse', 'Worse', COUNT),
                Column('effect_size', 'd_z', NUMBER),
                Column('t', TESTS['t'], PROBABILITY),
                Column('corrected_t', TESTS['corrected_t'], PROBABILITY),
                Column('holm', 'Holm', PROBABILITY),
            ),
            pairs,
        ),
    )


def redraw(folder: Path, out: str | None) -> tuple[str, Path]:
    """Draws a study's page from its files; returns the results as text and the page's path.

    Args:
      out: where the page goes; None is the study's folder.

    Raises:
      UserError: the study has no results yet, or a file is damaged.
    """
    saved = study_files.load(folder)
    path = write(saved.values, saved.settings, saved.versions, Path(out or folder))
    return summary_text(saved.values), path


def write(
    values: Mapping[str, Any], settings: Mapping[str, Any], versions: Mapping[str, str], out: Path
) -> Path:
    """Writes report.html and figures/ (SVG, and every table and figure as CSV); returns the page.

    Args:
      values: what `order.compute` says.
      settings: the fields of `order.OrderDesign` and the seeds.
      versions: command, packages, devices.
    """
    stamps = values['stamps']
    of_order, of_pair = tables(values)
    drawings = accuracies(values), differences(values, of_pair.csv(stamps))
    files = {f'{table.name}.csv': table.csv(stamps) for table in (of_order, of_pair)}
    for drawing in drawings:
        files |= {f'{drawing.name}.svg': drawing.svg, f'{drawing.name}.csv': drawing.csv}
    tiles = ''.join(
        f'<div><dt>{escape(network["title"])}: {escape(pair_title(pair))}</dt>'
        f'<dd>{show(DIFFERENCE, pair["difference"])}'
        f'<small>{show(DIFFERENCE_INTERVAL, pair["interval"])}, '
        f'{"includes" if pair["interval"][0] <= 0 <= pair["interval"][1] else "excludes"} 0'
        '</small></dd></div>'
        for network in values['networks'].values()
        for pair in network['pairs']
    )
    said = (
        f'The same small networks on the same simulated clips, {settings["frames"]} frames each '
        'from neutral to apex: in order; in a random order of each clip’s own, drawn once and the '
        'same in training and test; and the last frame, the apex, in place of all. Folds by '
        'subject, seeds, starts, batches and augmentation are the same in all three, so '
        'differences are paired. Intervals draw subjects; nothing is trained anew in a draw.'
    )
    warning = (
        'The settings were fixed by the training accuracy with the frames in order, which favours '
        'that order if any. The sizes belong to these faces and these networks.'
    )
    links = ' · '.join(
        f'<a href="{name}/report.html">{escape(network["title"])}</a>'
        for name, network in values['networks'].items()
    )
    sections = [
        (
            'headline',
            'Result',
            f'<p>{escape(said)}</p><dl class="tiles first">{tiles}</dl><p>{escape(warning)}</p>',
        ),
        (
            'differences',
            'Accuracies and differences',
            page.pair(*(page.drawing(drawing, stamps) for drawing in drawings))
            + page.table(of_order, stamps)
            + page.table(of_pair, stamps)
            + f'<p>Every test, fold and run: {links}.</p>',
        ),
        ('provenance', 'How to repeat it', page.provenance(settings, versions)),
    ]
    lead = (
        f'{values["clips"]} clips of {values["subjects"]} simulated people · {values["folds"]} '
        f'folds · {values["seeds"]} seed{"s" * (values["seeds"] > 1)}'
    )
    return atomic.publish_page(out, page.page('Does time matter?', lead, stamps, sections), files)
