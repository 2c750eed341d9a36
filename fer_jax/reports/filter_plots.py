"""Filters of space and time, drawn as kahou2015's Figure 2 shows them."""

from collections.abc import Sequence

import numpy as np

from fer_jax.evaluation.table import csv_text
from fer_jax.reports.figures import Drawing, draw

MOST, ACROSS = 24, 2  # filters drawn, and beside one another
EVERY = 2  # frames: of ten, 1, 3, 5, 7 and 9
_WIDTH, _STAMP = 4.3, 0.22  # inches: of the figure, and the height that stamps take
_GAP = 2  # pixels between frames; filters lie further apart


def filters(patterns: np.ndarray, stamps: Sequence[str]) -> Drawing:
    """Draws the first MOST filters, each a row of every other frame, the earliest left.

    Args:
      patterns: [filter, frame, row, column]; each is scaled by its own largest weight.
    """
    shown = patterns[:MOST, ::EVERY]
    image = _sheet(shown / np.maximum(np.abs(shown).max((1, 2, 3), keepdims=True), 1e-12))
    numbers = range(1, patterns.shape[1] + 1, EVERY)
    listed = f'{", ".join(map(str, numbers[:-1]))} and {numbers[-1]}'

    def paint(figure) -> None:
        axes = figure.subplots()
        axes.set_axis_off()
        axes.imshow(image, interpolation='none', aspect='equal')

    size = (_WIDTH, _WIDTH * image.shape[0] / image.shape[1] + _STAMP * bool(stamps))
    count = f'{len(shown)} of {len(patterns)}' if len(patterns) > len(shown) else len(shown)
    weights = [f'{weight:.4g}' for weight in shown.ravel()]
    grid = np.indices(shown.shape).reshape(4, -1)
    grid[1] *= EVERY
    return Drawing(
        'filters',
        'Filters of space and time learned from scenes',
        f'{count} filters that the synchrony autoencoder learned from blocks of scenes, in the '
        f'order of their numbers: frames {listed} from left to right, each filter scaled by its '
        'largest weight, grey where it is 0. What differs from left to right is motion.',
        draw(paint, size=size, stamps=stamps),
        csv_text(['filter', 'frame', 'y', 'x', 'weight'], [*grid, weights], stamps),
    )


def _sheet(shown: np.ndarray) -> np.ndarray:
    """Tiles weights [filter, frame, h, w] in -1..1 as grey uint8 [height, width, 4]; gaps clear."""
    count, frames, h, w = shown.shape
    tall, wide = h + 2 * _GAP, frames * (w + _GAP) + 4 * _GAP
    across = min(ACROSS, count)
    sheet = np.zeros((-(-count // across) * tall, across * wide, 4), np.uint8)
    for index, slices in enumerate(np.rint(127.5 + 127.5 * shown).astype(np.uint8)):
        row, column = divmod(index, across)
        for number, tile in enumerate(slices):
            top, left = row * tall, column * wide + number * (w + _GAP)
            sheet[top : top + h, left : left + w, :3] = tile[..., None]
            sheet[top : top + h, left : left + w, 3] = 255
    return sheet[: -2 * _GAP, : -5 * _GAP]
