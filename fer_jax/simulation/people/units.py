"""Facial action units: their order and names, and the emotions made of them.

Intensities are float32 [2, U]: side 0 is the viewer's left (the subject's right), side 1 the
viewer's right, in the order of UNITS; 0 is absent and 1 the maximum (FACS level E), so a FACS
letter A..E is a fifth each.
"""

import numpy as np

UNITS = (
    1,  # inner brow raiser
    2,  # outer brow raiser
    4,  # brow lowerer
    5,  # upper lid raiser
    6,  # cheek raiser
    7,  # lid tightener
    9,  # nose wrinkler
    10,  # upper lip raiser
    12,  # lip corner puller
    14,  # dimpler
    15,  # lip corner depressor
    16,  # lower lip depressor
    17,  # chin raiser
    20,  # lip stretcher
    23,  # lip tightener
    24,  # lip pressor
    25,  # lips part
    26,  # jaw drop
    27,  # mouth stretch
    45,  # blink
)
INDEX = {unit: i for i, unit in enumerate(UNITS)}
EMOTIONS = (
    'neutral',
    'anger',
    'contempt',
    'disgust',
    'fear',
    'happiness',
    'sadness',
    'surprise',
)


def intensities(units: dict[int, float | tuple[float, float]]) -> np.ndarray:
    """Converts {unit: both sides} or {unit: (viewer's left, viewer's right)} to intensities.

    Returns float32 [2, U].
    """
    out = np.zeros((2, len(UNITS)), np.float32)
    for unit, value in units.items():
        out[:, INDEX[unit]] = value
    return out
