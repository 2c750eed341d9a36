"""Sample faces with their predictions: the surest mistakes, and right ones of each class."""

import dataclasses
import io
from collections.abc import Sequence

import numpy as np

from fer_jax.evaluation.predictions import Predictions, Rows
from fer_jax.evaluation.table import csv_text
from fer_jax.reports.figures import COLOURS, styled

MOST = 14  # of each kind: one or two for each class, one screen on a phone
SHEET_COLUMNS = 7


@dataclasses.dataclass(frozen=True)
class Face:
    """A test clip's last frame uint8 [H,W], its class, the prediction and its probability."""

    frame: np.ndarray
    clip_id: str
    true: str
    predicted: str
    probability: float

    @property
    def right(self) -> bool:
        """Tells whether the prediction is the class."""
        return self.true == self.predicted


def pick(
    rows: Rows, predictions: Predictions, frames: np.ndarray, clip_id: np.ndarray
) -> list[Face]:
    """Picks up to MOST right faces, class after class, then up to MOST wrong, surest first.

    A clip that several members tested is shown with the first of them.

    Args:
      frames: uint8 [S,H,W].
      clip_id: str [S], the clips that the frames are of; those without a test row are left out.
    """
    row_of: dict[str, int] = {}
    for row, name in enumerate(predictions.clip_id[rows.clip].tolist()):
        row_of.setdefault(name, row)
    faces = []
    for frame, name in zip(frames, clip_id.tolist(), strict=True):
        if name in row_of:
            row = row_of[name]
            said = int(rows.predicted[row])
            true = predictions.classes[rows.label[row]]
            probability = float(rows.probabilities[row, said])
            faces.append(Face(frame, name, true, predictions.classes[said], probability))

    order = {name: index for index, name in enumerate(predictions.classes)}
    right = [face for face in faces if face.right]
    seen: dict[str, int] = {}
    turns = []
    for face in right:  # the first of each class, then the second of each, ...
        seen[face.true] = seen.get(face.true, 0) + 1
        turns.append((seen[face.true], order[face.true]))
    shown = [right[i] for i in sorted(range(len(right)), key=turns.__getitem__)[:MOST]]
    shown.sort(key=lambda face: order[face.true])
    wrong = sorted((face for face in faces if not face.right), key=lambda f: -f.probability)
    return shown + wrong[:MOST]


def sheet(faces: Sequence[Face], stamps: Sequence[str]) -> bytes:
    """Draws faces with their captions as one PNG; wrong ones are marked with a cross."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = faces[0].frame.shape
    gap, line = round(0.08 * width), round(0.34 * width)  # beside a face, above it for its caption
    rows = -(-len(faces) // SHEET_COLUMNS)
    size = (rows * (height + line) + gap, SHEET_COLUMNS * (width + gap) + gap)
    canvas = np.full(size, 255, np.uint8)
    corners = []
    for index, face in enumerate(faces):
        row, column = divmod(index, SHEET_COLUMNS)
        top, left = row * (height + line) + line, column * (width + gap) + gap
        canvas[top : top + height, left : left + width] = face.frame
        corners.append((left + width / 2, top - 0.03 * width))

    inches = 9.0 / size[1]
    banner = 0.3 if stamps else 0.0
    total = size[0] * inches + banner
    with styled({}, pixels=True):
        figure = Figure(figsize=(9.0, total))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, size[0] * inches / total))
        axes.imshow(canvas, cmap='gray', vmin=0, vmax=255, aspect='auto')
        axes.set_axis_off()
        for face, (x, y) in zip(faces, corners, strict=True):
            said = face.true if face.right else f'{face.true} →\n{face.predicted}'
            axes.text(
                x, y, f'{"✓" if face.right else "✗"} {said} {face.probability:.2f}', fontsize=8,
                ha='center', va='bottom', color=COLOURS['ink' if face.right else 'vermillion'],
            )  # fmt: skip
        if stamps:
            figure.text(0.5, 1 - 0.5 * banner / total, ' · '.join(stamps), fontsize=10, ha='center',
                        va='center', weight='bold', color=COLOURS['vermillion'])  # fmt: skip
        file = io.BytesIO()
        figure.savefig(file, format='png', dpi=160, metadata={'Software': None})
    return file.getvalue()


def csv(faces: Sequence[Face], stamps: Sequence[str]) -> str:
    """Lists the faces shown, as CSV."""
    header = ['clip_id', 'label', 'predicted', 'probability']
    columns = [
        [face.clip_id for face in faces],
        [face.true for face in faces],
        [face.predicted for face in faces],
        [face.probability for face in faces],
    ]
    return csv_text(header, columns, stamps)
