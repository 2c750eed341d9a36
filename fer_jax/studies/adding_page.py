"""The page of the adding problem: its figure, its table, and every number drawn as CSV."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic
from fer_jax.evaluation.table import COUNT, Column, Table, csv_text
from fer_jax.reports import page
from fer_jax.reports.figures import COLOURS, Drawing, draw
from fer_jax.studies import adding, study_files

# Each network's hue.
HUES = {'irnn': 'blue', 'tanh': 'vermillion'}


def figure(values: Mapping[str, Any], length: int) -> Drawing:
    """Draws the test error of every network over its training; seeds thin, their median bold.

    Args:
      values: what `adding.compute` says.
      length: T, steps of a sequence.
    """
    steps, networks = np.array(values['steps']), values['networks']
    curves = {name: np.array(network['errors']) for name, network in networks.items()}
    seeds = len(next(iter(curves.values())))

    def paint(figure) -> None:
        axes = figure.subplots()
        axes.set_yscale('log')
        for level, said in (
            (values['mean_error'], f'saying the mean: {values["mean_error"]:.3f}'),
            (values['solved'], f'{values["solved"]}'),
        ):
            axes.axhline(level, color=COLOURS['muted'], lw=1, ls=(0, (4, 3)))
            axes.annotate(
                said, (1, level), (0, 3), xycoords=('axes fraction', 'data'), ha='right',
                textcoords='offset points', fontsize=8, color=COLOURS['muted'],
            )  # fmt: skip
        for name, errors in curves.items():
            colour = COLOURS[HUES[name]]
            for line in errors:
                axes.plot(steps / 1000, line, color=colour, lw=0.7, alpha=0.4)
            axes.plot(
                steps / 1000, np.median(errors, axis=0), color=colour, lw=2.2,
                label=networks[name]['title'],
            )  # fmt: skip
        axes.margins(x=0.01)
        axes.set_xlabel('training steps (thousands)')
        axes.set_ylabel('test mean squared error')
        axes.legend(loc='lower left', bbox_to_anchor=(-0.02, 1.01), borderaxespad=0, ncols=2)

    rows = [
        (name, seed, step, errors[seed, at])
        for name, errors in curves.items()
        for seed in range(seeds)
        for at, step in enumerate(values['steps'])
    ]
    return Drawing(
        'adding_problem',
        f'Test error of the IRNN and the tanh RNN on the adding problem over {length} steps',
        f'Adding problem over {length} steps: mean squared error on the test sequences'
        f'{"; thin: each seed, bold: their median" * (seeds > 1)}.',
        draw(paint, size=(4.1, 3.1)),
        csv_text(('network', 'seed', 'step', 'error'), list(zip(*rows, strict=True)), ()),
    )


def table(values: Mapping[str, Any]) -> Table:
    """Lists every network's error after its last step, and the first tested step that solved it."""
    rows = [
        {
            'network': network['title'],
            'seed': seed,
            'error': f'{error:.5f}',
            'first': network['first'][seed],
        }
        for network in values['networks'].values()
        for seed, error in enumerate(network['last'])
    ]
    return Table(
        'networks',
        f'Mean squared error after the last of {values["steps"][-1]:,} steps, and the tested step '
        f'from which on every error is below {values["solved"]} (–: none).',
        (
            Column('network', 'Network'),
            Column('seed', 'Seed', COUNT),
            Column('error', 'Test error'),
            Column('first', f'Below {values["solved"]} from step', COUNT),
        ),
        rows,
    )


def redraw(folder: Path, out: str | None) -> tuple[str, Path]:
    """Draws a study's page from its files; returns the results as text and the page's path.

    Args:
      out: where the page goes; None is the study's folder.

    Raises:
      UserError: the study has no results yet, or a file is damaged.
    """
    saved = study_files.load(folder)
    text = adding.summary_text(saved.values, adding.AddingDesign(**saved.settings))
    return text, write(saved.values, saved.settings, saved.versions, Path(out or folder))


def write(
    values: Mapping[str, Any], settings: Mapping[str, Any], versions: Mapping[str, str], out: Path
) -> Path:
    """Writes report.html and figures/ (the figure as SVG, all numbers as CSV); returns the page.

    Args:
      values: what `adding.compute` says.
      settings: the fields of `adding.AddingDesign`.
      versions: command, packages, devices.
    """
    drawing, listed = figure(values, settings['length']), table(values)
    files = {
        f'{drawing.name}.svg': drawing.svg,
        f'{drawing.name}.csv': drawing.csv,
        f'{listed.name}.csv': listed.csv(()),
    }
    seeds = len(next(iter(values['networks'].values()))['last'])
    among = f', median of {seeds} seeds' * (seeds > 1)
    tiles = ''.join(
        f'<div><dt>{escape(network["title"])}</dt><dd>{network["median"]:.4f}'
        f'<small>test error{among}</small></dd></div>'
        for network in values['networks'].values()
    )
    said = (
        f'A sequence has {settings["length"]} numbers from 0 to 1, two of them marked; at its end '
        'the network says the sum of the two. Saying the mean, 1, costs '
        f'{values["mean_error"]:.3f}. Both networks have {settings["units"]} units and the same '
        f'training: Adam at {settings["learning_rate"]:g} with cosine decay, gradients cut to a '
        f'norm of {settings["clip"]:g}, {settings["steps"]:,} batches of '
        f'{settings["batch_size"]} fresh sequences. Le et al. 2015 (arXiv 1504.00941), whose '
        'problem and IRNN these are, take plain gradient descent at 0.01. The '
        f'{settings["tested"]:,} test sequences are always the same.'
    )
    sections = [
        ('headline', 'Result', f'<dl class="tiles first">{tiles}</dl><p>{escape(said)}</p>'),
        ('curve', 'Learning', page.pair(page.drawing(drawing, ()), page.table(listed, ()))),
        ('provenance', 'How to repeat it', page.provenance(settings, versions)),
    ]
    lead = f'{settings["length"]} steps · {seeds} seed{"s" * (seeds > 1)}'
    return atomic.publish_page(out, page.page('The adding problem', lead, (), sections), files)
