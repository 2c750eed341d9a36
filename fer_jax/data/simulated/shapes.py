"""What a face's geometry is made of: curves, bumps, creases and eyes, in face units."""

from dataclasses import dataclass
from math import comb

import numpy as np


@dataclass(frozen=True)
class Bump:
    """A Gaussian: centre, standard deviations and what it adds (a height, a displacement or a darkness)."""

    x: float
    y: float
    sx: float
    sy: float
    amount: float


@dataclass(frozen=True)
class Eye:
    """One eye: both lids from the inner to the outer corner, the crease above, the opening 0..1 and its centre."""

    upper: np.ndarray
    lower: np.ndarray
    crease: np.ndarray
    centre: tuple[float, float]
    opening: float
    side: int


@dataclass(frozen=True)
class Crease:
    """A line in the skin with its depth 0..1 along the way."""

    points: np.ndarray
    depth: np.ndarray
    width: float = 1.


def bezier(points: list, count: int = 12) -> np.ndarray:
    """The Bezier curve with these control points, float32 [count, 2]."""
    p = np.asarray(points, np.float32)
    n = len(p) - 1
    t = np.linspace(0, 1, count, dtype=np.float32)[:, None]
    return sum(comb(n, k) * t**k * (1 - t) ** (n - k) * p[k] for k in range(n + 1))
