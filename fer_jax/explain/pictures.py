"""Small pictures from arrays: faces, maps laid over them, kernels; and sheets of them."""

import dataclasses
import re
from collections.abc import Callable, Sequence

import cv2
import matplotlib.colors
import numpy as np

from fer_jax.reports.figures import COLOURS, draw

SIDE = 144  # pixels of a face: more than a phone shows of one
WIDTH, STAMP = 4.3, 0.22  # inches: of a figure, and the height that stamps take
_DIM = 0.55  # how much of a map's face is left: what is not coloured steps back
_GAP = 1  # pixels between slices; filters lie further apart


@dataclasses.dataclass(frozen=True)
class Panel:
    """A picture of a sheet: uint8 [height, width, 3 or 4], a word above it, whether it is bad."""

    image: np.ndarray
    title: str = ''
    wrong: bool = False
    paint: Callable | None = None  # called with the axes, to draw onto the picture


def file_name(kind: str, number: int, name: str) -> str:
    """Names a class's figure, 'time_3_happiness': by its number, as names may hold any sign."""
    return f'{kind}_{number}_{re.sub(r"[^A-Za-z0-9-]", "_", name)[:40]}'


def face(picture: np.ndarray) -> np.ndarray:
    """Enlarges a face [H, W, 1 or 3] in [0, 1]: uint8 [height, width, 3], SIDE wide."""
    rgb = np.broadcast_to(picture, (*picture.shape[:2], 3)).astype(np.float32)
    return np.rint(255 * np.clip(_enlarged(rgb, cv2.INTER_CUBIC), 0, 1)).astype(np.uint8)


def overlay(picture: np.ndarray, values: np.ndarray, full: float) -> np.ndarray:
    """Lays a map over its face: the more, the more orange; blue where it is negative.

    Args:
      picture: [H, W, 1 or 3] in [0, 1].
      values: [H, W].
      full: the value that is fully coloured.

    Returns:
      uint8 [height, width, 3].
    """
    base = face(np.broadcast_to(picture.mean(-1, keepdims=True), picture.shape)) / 255
    share = _enlarged((values / full).astype(np.float32), cv2.INTER_NEAREST)[..., None]
    mixed = _tinted(1 - _DIM + _DIM * base, np.clip(share, -1, 1) * 0.85)
    return np.rint(255 * mixed).astype(np.uint8)


def kernels(filters: np.ndarray, across: int) -> np.ndarray:
    """Draws filters in rows, each as its slices from the earliest to the latest, blue to orange.

    Args:
      filters: [filter, t, h, w]; each is scaled by its own largest weight.
      across: filters in a row.

    Returns:
      uint8 [height, width, 4], a pixel a weight, white where it is 0; nothing between slices.
    """
    count, t, h, w = filters.shape
    rows = -(-count // across)
    tall, wide = h + 2 * _GAP, t * (w + _GAP) + _GAP
    sheet = np.zeros((rows * tall, across * wide, 4), np.uint8)
    scale = np.maximum(np.abs(filters).max((1, 2, 3), keepdims=True), 1e-12)
    coloured = _tinted(np.ones((count, t, h, w, 3)), (filters / scale)[..., None])
    for index, slices in enumerate(coloured):
        row, column = divmod(index, across)
        for number, tile in enumerate(slices):
            top, left = row * tall, column * wide + number * (w + _GAP)
            block = sheet[top : top + h, left : left + w]
            block[..., :3], block[..., 3] = np.rint(255 * tile), 255
    return sheet[: rows * tall - 2 * _GAP, : across * wide - 2 * _GAP]


def sheet(panels: Sequence[Panel], columns: int, stamps: Sequence[str]) -> str:
    """Lays panels in rows as SVG, WIDTH inches wide."""
    rows = -(-len(panels) // columns)
    line = 0.24 * any(panel.title for panel in panels)
    height = rows * (WIDTH / columns * _ratio(panels[0].image) + line)

    def paint(figure) -> None:
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
        for axes in figure.subplots(rows, columns, squeeze=False).ravel():
            axes.set_axis_off()
        for axes, panel in zip(figure.axes, panels, strict=False):
            axes.imshow(panel.image, interpolation='none', aspect='equal')
            colour = COLOURS['vermillion' if panel.wrong else 'ink']
            axes.set_title(panel.title, loc='center', fontsize=8, pad=2.5, color=colour,
                           weight='normal')  # fmt: skip
            if panel.paint:
                panel.paint(axes)

    return draw(paint, size=(WIDTH, height + STAMP * bool(stamps)), stamps=stamps)


def _ratio(image: np.ndarray) -> float:
    return image.shape[0] / image.shape[1]


def _enlarged(image: np.ndarray, method: int) -> np.ndarray:
    height = round(SIDE * _ratio(image))
    return cv2.resize(image, (SIDE, height), interpolation=method)


def _tinted(base: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Mixes RGB [..., 3] in [0, 1] with orange by a share [..., 1] above 0, blue by one below."""
    orange, blue = (np.array(matplotlib.colors.to_rgb(COLOURS[n])) for n in ('vermillion', 'blue'))
    part = np.abs(share)
    return base * (1 - part) + np.where(share > 0, orange, blue) * part
