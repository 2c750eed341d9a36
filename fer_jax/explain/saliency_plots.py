"""The figures of occlusion saliency: minaee2019's Figures 1 and 11 to 13, and means of classes."""

from collections.abc import Sequence

import numpy as np

from fer_jax.evaluation.table import csv_text
from fer_jax.explain import pictures
from fer_jax.explain.pictures import Panel
from fer_jax.explain.saliency import Study
from fer_jax.reports.figures import Drawing

PANELS = 3  # of Figure 11, across and down
# Figure 11's classes.
OCCLUDED = ('happiness', 'anger')

_UNITS = {
    'flip': 'share of the windows over a pixel that make the prediction wrong',
    'fall': 'mean fall of the class’s probability under the windows over a pixel',
}


def maps(study: Study, kind: str, names: Sequence[str], stamps: Sequence[str]) -> list[Drawing]:
    """Draws a typical face of each class with its map (Figures 1 and 12), three of one (Figure 13).

    Args:
      names: each clip's id.
    """
    typical, trio = [study.typical(k) for k in study.named], study.trio()
    fear = study.classes[study.label[trio[0]]]
    faces, shown, said = _faces_and_maps(study, kind, typical)
    each = Drawing(
        'saliency_faces',
        'Occlusion maps of a face of each class',
        'A face of each class as the network sees it (minaee2019, Figures 1 and 12): of the clips '
        'whose maps were made the one whose probability is the median. Beside it, with that '
        f'probability, its map: {said}',
        pictures.sheet([p for both in zip(faces, shown, strict=True) for p in both], 4, stamps),
        _csv(study, typical, names, stamps),
    )
    faces, shown, said = _faces_and_maps(study, kind, trio)
    three = Drawing(
        'saliency_trio',
        f'Occlusion maps of faces of {fear}',
        f'Faces of {fear} as the network sees them (minaee2019, Figure 13), the least sure first. '
        f'Below them, with the probability of the class, their maps: {said}',
        pictures.sheet(faces + shown, len(trio), stamps),
        _csv(study, trio, names, stamps),
    )
    return [each, three]


def _faces_and_maps(
    study: Study, kind: str, rows: Sequence[int]
) -> tuple[list[Panel], list[Panel], str]:
    """Draws some clips' faces, their maps on one scale, and what the colours mean."""
    values = study.windows.spread(study.values(kind)[rows])
    full = _full(kind, values)
    faces, shown = [], []
    for row, own in zip(rows, values, strict=True):
        picture, label = study.pictures[row], int(study.label[row])
        faces.append(Panel(pictures.face(picture), study.classes[label]))
        sure = f'{study.probabilities[row, 0, label]:.2f}'
        shown.append(Panel(pictures.overlay(picture, own, full), sure))
    return faces, shown, f'{_UNITS[kind]}. {_legend(kind, full)}'


def means(study: Study, kind: str, stamps: Sequence[str]) -> Drawing:
    """Draws the mean map of each class over its mean face."""
    means = study.means(kind)
    shown = {k: study.windows.spread(values) for k, values in means.items()}
    full = _full(kind, np.array(list(shown.values())), fixed=False)
    panels = [
        Panel(
            pictures.overlay(study.pictures[study.label == k].mean(0), shown[k], full),
            f'{study.classes[k]} ({(study.label == k).sum()})',
        )
        for k in study.named
    ]
    flip, fall = study.means('flip'), study.means('fall')
    count = len(study.windows)
    top, left = study.windows.corners.T
    columns = [
        np.repeat([study.classes[k] for k in study.named], count),
        np.repeat([int((study.label == k).sum()) for k in study.named], count),
        np.tile(top, len(panels)),
        np.tile(left, len(panels)),
        np.concatenate([flip[k] for k in study.named]),
        np.concatenate([fall[k] for k in study.named]),
    ]
    return Drawing(
        'saliency_means',
        'Mean occlusion map of each class',
        'The mean map of each class over rightly classified test clips (their number in brackets), '
        f'on their mean face: {_UNITS[kind]}. {_legend(kind, full)}',
        pictures.sheet(panels, 4, stamps),
        csv_text(['class', 'clips', 'top', 'left', 'flips', 'fall'], columns, stamps),
    )


def occluded(study: Study, zero: np.ndarray, stamps: Sequence[str]) -> list[Drawing]:
    """Draws nine occluded pictures of a face with what the network says of them (Figure 11).

    Args:
      zero: [H, W, 1 or 3] in [0, 1], what a zeroed face looks like.
    """
    named = [study.classes[k] for k in study.named]
    chosen = [name for name in OCCLUDED if name in named]
    chosen += [name for name in named if name not in chosen]
    drawings = []
    for name in chosen[: len(OCCLUDED)]:
        row = study.typical(study.classes.index(name))
        label, size = study.label[row], study.windows.size
        panels, rows = [], []
        for window in _spread_out(study):
            top, left = study.windows.corners[window].tolist()
            said = study.probabilities[row, 1 + window]
            k = int(said.argmax())
            picture = study.pictures[row].copy()
            hidden = slice(top, top + size), slice(left, left + size)
            picture[hidden] = zero[hidden]
            wrong = bool(k != label)
            title = f'{"✗ " * wrong}{study.classes[k]} {said[k]:.2f}'
            panels.append(Panel(pictures.face(picture), title, wrong))
            rows.append((top, left, study.classes[k], float(said[k]), float(said[label])))
        drawings.append(
            Drawing(
                pictures.file_name('occluded', int(label), name),
                f'Nine occluded pictures of a face of {name}, with predictions',
                f'{name}: nine of the {len(study.windows)} windows zeroed in one face, with the '
                'prediction and its probability; ✗ where it is wrong. The whole face has '
                f'{study.probabilities[row, 0, label]:.2f}. (minaee2019, Figure 11.)',
                pictures.sheet(panels, PANELS, stamps),
                csv_text(
                    ['top', 'left', 'predicted', 'probability', 'probability_of_class'],
                    list(zip(*rows, strict=True)),
                    stamps,
                ),
            )
        )
    return drawings


def _spread_out(study: Study) -> list[int]:
    """Selects nine windows, evenly over the middle of the face."""
    tops, lefts = (np.unique(axis) for axis in study.windows.corners.T)
    part = np.arange(1, PANELS + 1) / (PANELS + 1)
    index = {tuple(corner): i for i, corner in enumerate(study.windows.corners.tolist())}
    rows, columns = (axis[np.rint(part * (len(axis) - 1)).astype(int)] for axis in (tops, lefts))
    return [index[int(top), int(left)] for top in rows for left in columns]


def _full(kind: str, shown: np.ndarray, fixed: bool = True) -> float:
    """Returns the value of full colour: 1 for shares of one face's windows, else the peak."""
    if kind == 'flip' and fixed:
        return 1.0
    return float(np.abs(shown).max()) or 1.0


def _legend(kind: str, full: float) -> str:
    if kind == 'flip':
        return f'Full orange: {100 * full:.0f} %.'
    return f'Full orange: {100 * full:.0f} points; blue: the probability rises.'


def _csv(study: Study, rows: Sequence[int], names: Sequence[str], stamps: Sequence[str]) -> str:
    """Lists every window of some clips."""
    count = len(study.windows)
    top, left = study.windows.corners.T
    said = study.probabilities[rows, 1:]
    columns = [
        np.repeat([names[row] for row in rows], count),
        np.repeat([study.classes[study.label[row]] for row in rows], count),
        np.tile(top, len(rows)),
        np.tile(left, len(rows)),
        [study.classes[k] for k in said.argmax(-1).ravel()],
        study.values('flip')[rows].ravel().astype(int),
        study.values('fall')[rows].ravel(),
    ]
    header = ['clip_id', 'class', 'top', 'left', 'predicted', 'flips', 'fall']
    return csv_text(header, columns, stamps)
