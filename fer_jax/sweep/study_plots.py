"""The figures of a study, each a `Drawing` with the numbers that it shows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_jax.evaluation.table import csv_text
from fer_jax.reports.figures import COLOURS, Drawing, draw

WIDTH = 4.1  # inches
# Trials drawn in the parallel coordinates: more lines are a smear.
MOST_LINES = 300


def with_value(trials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Takes the trials that were trained to their end."""
    return [trial for trial in trials if trial['state'] == 'done']


def history(values: Mapping[str, Any]) -> Drawing:
    """Draws every trial's accuracy in the order of the trials, and the best so far."""
    stamps, threshold = values['stamps'], values['plan']['space']['threshold']
    trials = [trial for trial in values['trials'] if trial['value'] is not None]
    done = with_value(trials)
    best = np.maximum.accumulate([100 * trial['value'] for trial in done])

    def paint(figure) -> None:
        axes = figure.subplots()
        lost = [trial for trial in trials if trial['state'] == 'pruned']
        axes.plot(
            [trial['number'] for trial in lost], [100 * trial['value'] for trial in lost], 'o',
            ms=4.5, mew=1, color=COLOURS['stone'], mfc='none', label='given up: accuracy so far',
        )  # fmt: skip
        axes.plot(
            [trial['number'] for trial in done], [100 * trial['value'] for trial in done], 'o',
            ms=4.5, mew=0, color=COLOURS['blue'], label='trained to the end',
        )  # fmt: skip
        axes.step([trial['number'] for trial in done], best, where='post', lw=1.6,
                  color=COLOURS['vermillion'], label='best so far')  # fmt: skip
        if threshold:
            axes.axhline(100 * threshold, color=COLOURS['muted'], lw=1, ls=(0, (4, 3)))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel('trial')
        axes.set_ylabel('accuracy (%)')
        axes.legend(loc='lower left', bbox_to_anchor=(-0.02, 1.01), borderaxespad=0, ncols=1)

    columns = [[trial[key] for trial in trials] for key in ('number', 'state', 'value')]
    return Drawing(
        'history',
        'Accuracy of every trial in their order, and the best so far',
        'Every trial in the order in which they began, and the best so far'
        + '; dashed: the threshold.' * bool(threshold)
        + '.' * (not threshold),
        draw(paint, size=(WIDTH, 3.1), stamps=stamps),
        csv_text(['trial', 'state', 'accuracy'], columns, stamps),
    )


def importances(values: Mapping[str, Any]) -> Drawing:
    """Draws how much each key explains."""
    stamps, shares = values['stamps'], values['importances']

    def paint(figure) -> None:
        axes = figure.subplots()
        rows = np.arange(len(shares))
        axes.barh(rows, [100 * share for share in shares.values()], 0.6, color=COLOURS['blue'])
        axes.set_yticks(rows, list(shares), color=COLOURS['ink'])
        axes.set_ylim(len(shares) - 0.4, -0.6)
        axes.grid(axis='y', visible=False)
        axes.set_xlabel('share of the variance (%)')

    return Drawing(
        'importances',
        'How much of the variance each hyper-parameter explains',
        'How much of the variance of the accuracies of the trials that were trained to their end '
        'each hyper-parameter explains (functional analysis of variance of a random forest). Few '
        'trials say little.',
        draw(paint, size=(WIDTH, 0.9 + 0.3 * len(shares)), stamps=stamps),
        csv_text(['key', 'share'], [list(shares), list(shares.values())], stamps),
    )


def slices(values: Mapping[str, Any]) -> Drawing:
    """Draws each key by itself against the accuracy: haddad2020, Figure 2."""
    stamps, choices = values['stamps'], values['plan']['space']['choices']
    done = with_value(values['trials'])
    accuracy = np.array([100 * trial['value'] for trial in done])
    # The eye should find the best trials: the later of equals would hide the earlier.
    rng = np.random.default_rng(0)

    def paint(figure) -> None:
        columns = 2
        grid = figure.subplots(math.ceil(len(choices) / columns), columns, squeeze=False)
        for axes, (key, choice) in zip(grid.flat, choices.items(), strict=False):
            _, at, ticks = _positions(choice, [trial['params'][key] for trial in done])
            if ticks is not None:
                at = at + rng.uniform(-0.16, 0.16, len(at))
                axes.set_xticks(range(len(ticks)), ticks, fontsize=7,
                                rotation=25 if len(''.join(ticks)) > 12 else 0)  # fmt: skip
                axes.set_xlim(-0.5, len(ticks) - 0.5)
            elif choice['log']:
                axes.set_xscale('log')
            axes.plot(at, accuracy, 'x', ms=4, mew=1, color=COLOURS['vermillion'])
            axes.tick_params(labelsize=7)
            axes.set_title(key, fontsize=7.5)
        for axes in grid.flat[len(choices) :]:
            axes.set_visible(False)
        figure.supylabel('accuracy (%)', fontsize=9, color=COLOURS['muted'])

    header = ['trial', 'accuracy', *choices]
    columns = [
        [trial['number'] for trial in done],
        [trial['value'] for trial in done],
        *([trial['params'][key] for trial in done] for key in choices),
    ]
    rows = math.ceil(len(choices) / 2)
    return Drawing(
        'slices',
        'Accuracy against each hyper-parameter by itself',
        'Accuracy against each hyper-parameter by itself; each cross is a trial that was trained '
        'to its end (haddad2020, Figure 2). Crosses of one choice are spread sideways.',
        draw(paint, size=(WIDTH, 0.5 + 1.3 * rows), stamps=stamps),
        csv_text(header, columns, stamps),
    )


def parallel(values: Mapping[str, Any]) -> Drawing:
    """Draws every trial as a line through its values; the better, the stronger."""
    stamps, choices = values['stamps'], values['plan']['space']['choices']
    done = sorted(with_value(values['trials']), key=lambda trial: trial['value'])[-MOST_LINES:]
    low, high = done[0]['value'], done[-1]['value']

    def paint(figure) -> None:
        axes = figure.subplots()
        names = [*choices, 'accuracy']
        heights, labels = [], []
        for key, choice in choices.items():
            given = [trial['params'][key] for trial in done]
            height, _, ticks = _positions(choice, given)
            heights.append(height)
            labels.append(ticks or [f'{choice["low"]:g}', f'{choice["high"]:g}'])
        span = max(high - low, 1e-9)
        heights.append(np.array([(trial['value'] - low) / span for trial in done]))
        labels.append([f'{100 * low:.1f}', f'{100 * high:.1f}'])
        lines = np.stack(heights, axis=1)
        for line, rank in zip(lines, np.linspace(0, 1, len(lines)), strict=True):
            colour = COLOURS['vermillion' if rank == 1 else 'blue']
            axes.plot(
                line, range(len(names)), color=colour, lw=0.8 + rank, alpha=0.12 + 0.8 * rank**3
            )
        for row, (name, ticks) in enumerate(zip(names, labels, strict=True)):
            axes.axhline(row, color=COLOURS['muted'], lw=0.7)
            axes.annotate(name, (0, row), (0, 4), textcoords='offset points', fontsize=8.5,
                          weight='bold', color=COLOURS['ink'])  # fmt: skip
            for place, tick in enumerate(ticks):
                axes.annotate(
                    tick, (place / max(len(ticks) - 1, 1), row), (0, -3), fontsize=7.5, va='top',
                    textcoords='offset points', color=COLOURS['ink'], ha='center',
                )  # fmt: skip
        axes.set_xlim(-0.06, 1.06)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_axis_off()

    header = ['trial', *choices, 'accuracy']
    columns = [
        [trial['number'] for trial in done],
        *([trial['params'][key] for trial in done] for key in choices),
        [trial['value'] for trial in done],
    ]
    best = f'the {MOST_LINES} best trials' if len(done) == MOST_LINES else 'every trial'
    return Drawing(
        'parallel',
        'Every trial as a line through its values and its accuracy',
        f'A line for {best}, through the values and the accuracy; the better, the stronger; the '
        'best one in red.',
        draw(paint, size=(WIDTH, 0.4 + 0.55 * (len(choices) + 1)), stamps=stamps),
        csv_text(header, columns, stamps),
    )


def _positions(
    choice: Any, given: Sequence[Any]
) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
    """Places values on an axis: from 0 to 1, as they are, and the choices as text (None: a range).

    Args:
      choice: of the plan's space: a list of choices, or {'low', 'high', 'log', ...}.
    """
    if isinstance(choice, list):
        at = np.array([choice.index(value) for value in given], float)
        return at / max(len(choice) - 1, 1), at, [str(value) for value in choice]
    at = np.array(given, float)
    scale = np.log if choice['log'] else np.asarray
    low, high = scale(choice['low']), scale(choice['high'])
    return (scale(at) - low) / (high - low), at, None
