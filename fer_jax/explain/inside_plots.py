"""The figures of what happens inside a network: warps, first filters, probabilities over time."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from fer_jax.evaluation.table import csv_text
from fer_jax.explain import inside, pictures
from fer_jax.explain.pictures import Panel
from fer_jax.reports.figures import COLOURS, SERIES, Drawing, draw

GRID = 7  # lines of a warp's grid, across and down
MOST_FILTERS = 64
ACROSS = 18  # slices in a row of filters
# In inches: the width that frames share and the most that one takes; the height of the plot below
# them, and of what is around both.
SHARED, MOST, PLOT, AROUND = 3.19, 0.85, 1.45, 1.28


def warps(
    faces: np.ndarray,
    theta: np.ndarray,
    sampled: np.ndarray,
    titles: Sequence[str],
    names: Sequence[str],
    stamps: Sequence[str],
) -> Drawing:
    """Draws each input with the grid that the spatial transformer samples, and what comes out.

    Args:
      faces, sampled: [clip, H, W, C] in [0, 1].
      theta: [clip, 2, 3].
      titles, names: of each clip, its class and its id.
    """

    to_shown = pictures.SIDE / faces.shape[2]
    grids = [inside.outline(own, faces.shape[1:3], GRID) for own in theta]
    grids = (np.array(grids) + 0.5) * to_shown - 0.5
    # A grid may leave its face: all are shown on one scale, with room for the farthest.
    height, width = np.array(faces.shape[1:3]) * to_shown
    low = np.minimum(grids.min((0, 1, 2)) - 3, -0.5)
    high = np.maximum(grids.max((0, 1, 2)) + 3, (width - 0.5, height - 0.5))

    def grid(lines):
        def paint(axes) -> None:
            for number, line in enumerate(lines):
                border = number % GRID in (0, GRID - 1)
                axes.plot(*line.T, color=COLOURS['orange'], lw=1.6 if border else 0.5,
                          alpha=1 if border else 0.75)  # fmt: skip
            axes.set_xlim(low[0], high[0])
            axes.set_ylim(high[1], low[1])

        return paint

    panels = []
    for face, own, out, title in zip(faces, grids, sampled, titles, strict=True):
        panels.append(Panel(pictures.face(face), title, paint=grid(own)))
        panels.append(Panel(pictures.face(out), 'sampled'))
    header = ['clip_id', 'class', *(f'theta_{row}{column}' for row in '12' for column in '123')]
    columns = [list(names), list(titles), *theta.reshape(len(theta), 6).T]
    return Drawing(
        'warps',
        'What the spatial transformer samples of a face of each class',
        'A face of each class as the network sees it, with the grid that the spatial transformer '
        'lays over it (thick: its border), and the face sampled there, which the convolutions '
        'see. Outside the face it sees zeros.',
        pictures.sheet(panels, 4, stamps),
        csv_text(header, columns, stamps),
    )


def filters(kernels: Mapping[str, np.ndarray], stamps: Sequence[str]) -> list[Drawing]:
    """Draws the filters of each first layer ([filter, t, h, w])."""
    drawings = []
    for layer, kernel in kernels.items():
        count, t, h, w = kernel.shape
        shown = kernel[:MOST_FILTERS]
        rows = -(-len(shown) // max(1, ACROSS // (t + 1)))
        image = pictures.kernels(shown, -(-len(shown) // rows))
        first = f'the first {MOST_FILTERS} of ' if count > MOST_FILTERS else ''
        slices = f' Each is {t} slices of {h} x {w}, the earliest frame first.' if t > 1 else ''
        grid = np.indices(kernel.shape).reshape(4, -1)
        drawings.append(
            Drawing(
                f'filters_{layer.replace("/", "_")}',
                f'Filters of the layer {layer}',
                f'{layer}: {first}{count} filters of the first layer, mean over input channels, '
                f'each scaled by its largest weight. Orange: positive, blue: negative.{slices}',
                pictures.sheet([Panel(image)], 1, stamps),
                csv_text(['filter', 't', 'y', 'x', 'weight'], [*grid, kernel.ravel()], stamps),
            )
        )
    return drawings


def over_time(
    frames: np.ndarray,
    courses: Sequence[np.ndarray],
    labels: Sequence[int],
    names: Sequence[str],
    classes: Sequence[str],
    stamps: Sequence[str],
) -> list[Drawing]:
    """Draws class probabilities of each clip after its first, second, ... frame, below the frames.

    Args:
      frames: [clip, T, H, W, C] in [0, 1].
      courses: of each clip [length, K].
      labels: of each clip, its class.
      names: of each clip, its id.
    """
    drawings = []
    for clip, course, label, name in zip(frames, courses, labels, names, strict=True):
        length = len(course)
        shown = [pictures.face(frame) for frame in clip[:length]]
        side = min(MOST, SHARED / length)
        height = side + PLOT + AROUND

        def paint(figure, course=course, shown=shown, label=label, side=side) -> None:
            strip, axes = figure.subplots(2, 1, sharex=True, height_ratios=(side, PLOT))
            half = 0.48 * side * len(shown) / SHARED
            for step, frame in enumerate(shown, 1):
                strip.imshow(frame, extent=(step - half, step + half, 0, 1), aspect='auto',
                             interpolation='none')  # fmt: skip
            strip.set_axis_off()
            steps = np.arange(1, len(course) + 1)
            for k, colour in zip(range(len(classes)), itertools.cycle(SERIES), strict=False):
                own = k == label
                axes.plot(
                    steps, course[:, k], color=COLOURS[colour], lw=2.6 if own else 1.1,
                    ls='-' if own else (0, (4, 1.5)), marker='o', ms=4 if own else 2.5,
                    zorder=3 if own else 2, label=classes[k],
                )  # fmt: skip
            axes.set_xlim(0.5, len(course) + 0.5)
            axes.set_ylim(-0.03, 1.03)
            axes.set_xticks(steps)
            axes.grid(axis='x', visible=False)
            axes.spines['left'].set_visible(False)
            axes.set_xlabel('frames revealed')
            axes.set_ylabel('probability')
            figure.legend(*axes.get_legend_handles_labels(), loc='outside lower center', ncols=4,
                          columnspacing=1.2)  # fmt: skip

        drawings.append(
            Drawing(
                pictures.file_name('time', label, classes[label]),
                f'Class probabilities of a clip of {classes[label]} while its frames are revealed',
                f'{classes[label]}: class probabilities of one clip while its frames are revealed '
                'one after another; bold: its class.',
                draw(
                    paint,
                    size=(pictures.WIDTH, height + pictures.STAMP * bool(stamps)),
                    stamps=stamps,
                ),
                csv_text(
                    ['clip_id', 'frames', *(f'p_{k}' for k in classes)],
                    [[name] * length, range(1, length + 1), *course.T],
                    stamps,
                ),
            )
        )
    return drawings
