"""The laboratory's figures, each a `Drawing` with the numbers that it shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_jax.evaluation.table import csv_text
from fer_jax.reports import plots
from fer_jax.reports.figures import COLOURS, Drawing, draw
from fer_jax.studies.leakage.divisions import Siblings

WIDTH = 4.1  # inches


def _named_rows(axes, names: Sequence[str]) -> None:
    """Writes the rows' names above them, which leaves a phone's width to the numbers."""
    for row, name in enumerate(names):
        axes.annotate(
            name, (0, row), (0, 9), xycoords=('axes fraction', 'data'),
            textcoords='offset points', fontsize=8.5, color=COLOURS['ink'],
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [''] * len(names))
    axes.set_ylim(len(names) - 0.5, -0.9)
    axes.spines['left'].set_visible(False)


def optimism(values: Mapping[str, Any], stamps: Sequence[str], csv: str) -> Drawing:
    """Draws every leak's optimism with its interval, beside zero."""
    pairs = values['optimism']

    def paint(figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=COLOURS['ink'], lw=1)
        for row, pair in enumerate(pairs):
            colour = COLOURS['vermillion' if pair['leak'] else 'purple']
            axes.plot([100 * end for end in pair['interval']], [row, row], lw=2, color=colour)
            point = 100 * pair['difference']
            axes.plot(point, row, 'o', ms=6.5, mew=0, color=colour)
            axes.annotate(
                f'{point:+.1f}'.replace('-', '−'), (1, row), (0, 9), ha='right',
                xycoords=('axes fraction', 'data'), textcoords='offset points', fontsize=8.5,
                color=COLOURS['ink'], weight='bold',
            )  # fmt: skip
        _named_rows(axes, [titled(pair) for pair in pairs])
        axes.set_xlabel('optimism (points)')

    return Drawing(
        'optimism',
        'Optimism of each leak with its interval',
        'Optimism, the accuracy with the leak minus the one without it, with its '
        f'{100 * values["level"]:.0f} % interval. Purple: two leaks at once.',
        draw(paint, size=(WIDTH, 0.9 + 0.42 * len(pairs)), stamps=stamps),
        csv,
    )


def titled(pair: Mapping[str, Any]) -> str:
    """Returns a pair's title with its letter."""
    return f'({pair["leak"]}) {pair["title"]}' if pair['leak'] else pair['title']


def accuracies(values: Mapping[str, Any], stamps: Sequence[str], csv: str) -> Drawing:
    """Draws the two accuracies of every leak."""
    pairs = values['optimism']

    def paint(figure) -> None:
        axes = figure.subplots()
        honest, leaking = (
            [values['ways'][pair[side]]['accuracy'] for pair in pairs]
            for side in ('honest', 'leaking')
        )
        _two_of_each(axes, {'without the leak': honest, 'with it': leaking})
        _named_rows(axes, [titled(pair) for pair in pairs])
        axes.set_xlabel('accuracy (%)')

    return Drawing(
        'accuracies',
        'Accuracy with each leak beside the one without it',
        'Accuracy with the leak (hollow) and without it; nothing else differs.',
        draw(paint, size=(WIDTH, 0.9 + 0.42 * len(pairs)), stamps=stamps),
        csv,
    )


def _two_of_each(axes, given: Mapping[str, Sequence[float]]) -> None:
    """Draws two shares in each row, a full and a hollow point joined by a line, with a legend."""
    (full, first), (hollow, second) = ((name, 100 * np.array(v)) for name, v in given.items())
    rows = np.arange(len(first))
    axes.hlines(rows, first, second, lw=1.4, color=COLOURS['stone'])
    axes.plot(first, rows, 'o', ms=6.5, mew=0, color=COLOURS['blue'], label=full)
    axes.plot(second, rows, 'o', ms=6.5, mew=1.6, color=COLOURS['vermillion'],
              mfc=COLOURS['card'], label=hollow)  # fmt: skip
    axes.margins(x=0.08)
    axes.legend(loc='lower left', bbox_to_anchor=(-0.02, 1.01), borderaxespad=0, ncols=2)


def curves(values: Mapping[str, Any], stamps: Sequence[str]) -> Drawing:
    """Draws the accuracy after each epoch under the reference setting, a line a seed and fold."""
    given = values['curves']
    lines = {part: np.array(given[part]) for part in ('validation', 'test')}
    seeds, folds, epochs = lines['test'].shape
    by_part = {f'{part}_accuracy': line.reshape(-1, epochs) for part, line in lines.items()}
    by_part['train_accuracy'] = np.full((seeds * folds, epochs), np.nan)
    seed, fold = np.divmod(np.arange(seeds * folds), folds)
    chosen = np.array(given['validation_epochs']).ravel().tolist()
    return plots.curves(by_part, 'accuracy', fold, seed, chosen, stamps)


def settings(values: Mapping[str, Any], stamps: Sequence[str], csv: str) -> Drawing:
    """Draws every setting on the inner validation clips and on the test clips."""
    rows = values['settings']

    def paint(figure) -> None:
        axes = figure.subplots()
        validation, test = (
            [row[f'{part}_accuracy'] for row in rows] for part in ('validation', 'test')
        )
        _two_of_each(axes, {'inner validation': validation, 'test': test})
        _named_rows(axes, [setting_title(row) for row in rows])
        axes.set_xlabel('accuracy at the last epoch (%)')

    return Drawing(
        'settings_accuracy',
        'Accuracy of each setting on inner validation and on test clips',
        'Every setting of the grid at its last epoch: all folds and seeds together.',
        draw(paint, size=(WIDTH, 0.9 + 0.42 * len(rows)), stamps=stamps),
        csv,
    )


def setting_title(row: Mapping[str, Any]) -> str:
    """Names a setting in words."""
    reference = ' (reference)' * row['reference']
    return f'rate {row["learning_rate"]:g}, dropout {row["dropout_rate"]:g}{reference}'


def siblings(shown: Siblings, stamps: Sequence[str]) -> Drawing:
    """Draws test copies of a fold beside the copies of the same clips that training has."""
    rows, copies = shown.tested.shape
    part = np.where(shown.tested, 'test', 'training')

    def paint(figure) -> None:
        grid = figure.subplots(rows, copies, squeeze=False)
        for place, axes in np.ndenumerate(grid):
            frame = shown.frames[place]
            axes.imshow(frame, cmap='gray', vmin=0, vmax=255, interpolation='nearest')
            colour = COLOURS['vermillion' if shown.tested[place] else 'blue']
            axes.set_title(str(part[place]), color=colour, fontsize=8, loc='center', pad=3)
            axes.set_axis_off()

    columns = [np.ravel(column) for column in (shown.clip_id, shown.subject, part)]
    return Drawing(
        'siblings',
        'Copies of the same clips on both sides of a division',
        f'What leak (a) is: the copies of {rows} clips (last frames; the original first) '
        'where copies are divided at random, in the first fold of seed 0.',
        draw(paint, size=(WIDTH, 0.3 + 1.05 * rows), stamps=stamps),
        csv_text(('copy', 'subject', 'part'), columns, stamps),
    )
