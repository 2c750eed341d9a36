"""Draws the picture of docs/running.md: what two networks look at; it shows simulated faces only.

Two runs, the pages of what they look at, and the picture of both:

    python -m fer_jax.main --config=configs/ckplus_stn.py:simulated --workdir=runs/stn
    python -m fer_jax.main --config=configs/ckplus_c3d.py:simulated --config.train.epochs=30 \
        --workdir=runs/c3d
    python -m fer_jax.explain runs/stn --kind=fall --clips=20
    python -m fer_jax.explain runs/c3d --kind=fall --clips=20
    python docs/explain_simulated.py runs/stn/explain runs/c3d/explain [OUT.jpg]
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fer_jax.explain import inside, pictures
from fer_jax.reports.figures import COLOURS, SERIES, STYLE

SIZE, DPI = (10.6, 7.0), 104
WARPED, SHOWN = 5, 7  # faces of a row
TOP = 0.5  # the fall of the probability that is fully coloured


def load(folder: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a page; only of simulated faces."""
    with np.load(folder / 'figures' / 'explain.npz') as saved:
        arrays = dict(saved)
    if not arrays['simulated']:
        sys.exit(f'{folder} shows people: draw the picture from simulated faces only')
    return arrays


def typical(arrays: dict[str, np.ndarray]) -> list[int]:
    """Finds the row of each class's face, as the page chooses it."""
    label = arrays['label']
    return [int(np.flatnonzero(label == k)[(label == k).sum() // 2]) for k in np.unique(label)]


def show(axes, image: np.ndarray, title: str = '') -> None:
    """Shows a picture with a word above it."""
    axes.imshow(image, interpolation='nearest')
    axes.set_title(title, loc='center', fontsize=9, weight='normal', pad=3)
    axes.set_axis_off()


def warps(figure, arrays: dict[str, np.ndarray]) -> None:
    """Draws inputs with the sampled grid, above what is sampled."""
    figure.suptitle('Spatial transformer: the grid, and the face that it samples')
    rows = typical(arrays)[:WARPED]
    for column, axes in enumerate(figure.subplots(2, WARPED).T[: len(rows)]):
        picture = arrays['pictures'][rows[column]]
        show(axes[0], pictures.face(picture), str(arrays['classes'][arrays['label'][rows[column]]]))
        show(axes[1], pictures.face(arrays['sampled'][column]))
        side = pictures.SIDE
        lines = inside.outline(arrays['theta'][column], picture.shape[:2], 7)
        lines = (lines + 0.5) * side / picture.shape[1] - 0.5
        for number, line in enumerate(lines):
            border = number % 7 in (0, 6)
            axes[0].plot(*line.T, color=COLOURS['orange'], lw=1.8 if border else 0.6)
        points = lines.reshape(-1, 2)
        low, high = np.minimum(points.min(0) - 3, -0.5), np.maximum(points.max(0) + 3, side - 0.5)
        axes[0].set_xlim(low[0], high[0])
        axes[0].set_ylim(high[1], low[1])


def saliency(figure, networks: list[tuple[str, dict[str, np.ndarray]]]) -> None:
    """Draws mean maps of classes, a row for each network."""
    figure.suptitle(
        'Occlusion saliency: the mean fall of the class’s probability '
        f'(full orange: {100 * TOP:.0f} points)'
    )
    grid = figure.subplots(len(networks), SHOWN)
    for row, (name, arrays) in zip(grid, networks, strict=True):
        for k, axes in enumerate(row):
            own = arrays['label'] == k
            axes.set_axis_off()
            if not own.any():
                axes.text(0.5, 0.5, f'no clip of\n{arrays["classes"][k]}\nright', ha='center',
                          va='center', fontsize=8, color=COLOURS['muted'])  # fmt: skip
            else:
                mean = arrays['fall_maps'][own].mean(0)
                picture = arrays['pictures'][own].mean(0)
                show(axes, pictures.overlay(picture, mean, TOP), arrays['classes'][k])
        row[0].text(-0.12, 0.5, name, rotation=90, ha='center', va='center', fontsize=9,
                    color=COLOURS['muted'], transform=row[0].transAxes)  # fmt: skip


def over_time(figure, arrays: dict[str, np.ndarray], k: int) -> None:
    """Draws class probabilities while a clip's frames are revealed."""
    figure.suptitle(f'As the frames of a clip of {arrays["classes"][k]} are revealed')
    row = np.unique(arrays['label']).tolist().index(k)
    course = arrays['over_time'][row]
    frames = arrays['over_time_frames'][row]
    strip, axes = figure.subplots(2, 1, sharex=True, height_ratios=(0.62, 1.5))
    for step, frame in enumerate(frames, 1):
        strip.imshow(pictures.face(frame), extent=(step - 0.42, step + 0.42, 0, 1), aspect='auto')
    strip.set_axis_off()
    for each, name in enumerate(arrays['classes']):
        axes.plot(
            np.arange(1, len(course) + 1), course[:, each], 'o-', label=name,
            ms=5 if each == k else 3, lw=2.6 if each == k else 1.1, color=COLOURS[SERIES[each]],
        )  # fmt: skip
    axes.set_xlim(0.5, len(course) + 0.5)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(np.arange(1, len(course) + 1))
    axes.grid(axis='x', visible=False)
    axes.set_xlabel('frames revealed')
    axes.set_ylabel('probability')
    axes.legend(loc='center left', bbox_to_anchor=(1, 0.5))


def main(stn: Path, c3d: Path, out: Path) -> None:
    """Writes the picture."""
    stills, films = load(stn), load(c3d)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        matplotlib.rc('figure', titlesize=10, titleweight='bold')
        figure = Figure(figsize=SIZE, layout='constrained')
        FigureCanvasAgg(figure)
        rows = figure.subfigures(3, 1, height_ratios=(0.07, 1, 0.86))
        assert isinstance(rows, np.ndarray)  # of several rows
        banner, above, below = rows
        banner.text(0.5, 0.5, 'SIMULATED FACES', ha='center', va='center', fontsize=11,
                    weight='bold', color=COLOURS['vermillion'])  # fmt: skip
        left, right = above.subfigures(1, 2, width_ratios=(1.35, 1))
        warps(left, stills)
        over_time(right, films, films['classes'].tolist().index('happiness'))
        wide, narrow = below.subfigures(1, 2, width_ratios=(2.6, 1))
        saliency(wide, [('transformer', stills), ('3D CNN', films)])
        narrow.suptitle('First filters')
        upper, lower = narrow.subplots(2, 1, height_ratios=(1, 1.35))
        show(upper, pictures.kernels(stills['filters_conv1'], 5), 'transformer, 3 x 3')
        show(lower, pictures.kernels(films['filters_conv1a'], 2), '3D CNN, 3 frames of 3 x 3')
        figure.savefig(out, dpi=DPI, pil_kwargs={'quality': 88, 'optimize': True})


if __name__ == '__main__':
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    default = Path(__file__).with_suffix('.jpg')
    out = Path(sys.argv[3]) if len(sys.argv) == 4 else default
    main(Path(sys.argv[1]), Path(sys.argv[2]), out)
