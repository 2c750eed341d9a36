"""The parts of a face's geometry: curves, bumps, creases and eyes, in face units."""

import dataclasses
from functools import lru_cache
from math import comb

import numpy as np


@dataclasses.dataclass(frozen=True)
class Bump:
    """A Gaussian: centre, standard deviations and height."""

    x: float
    y: float
    sx: float
    sy: float
    amount: float


@dataclasses.dataclass(frozen=True)
class Eye:
    """One eye: lids and the upper lid's crease from the inner to the outer corner, each [n, 2].

    opening: 0 shut, 1 as at rest; side: -1 the viewer's left, 1 the right.
    """

    upper: np.ndarray
    lower: np.ndarray
    crease: np.ndarray
    centre: tuple[float, float]
    opening: float
    side: int


@dataclasses.dataclass(frozen=True)
class Brow:
    """A brow's middle line from the inner to the outer end [n, 2] and its thickness [n]."""

    line: np.ndarray
    width: np.ndarray


@dataclasses.dataclass(frozen=True)
class Mouth:
    """The lips' four edges from the viewer's left [n, 2], how far they part, the jaw's drop."""

    top: np.ndarray
    seam_top: np.ndarray
    seam_bottom: np.ndarray
    bottom: np.ndarray
    opening: float
    drop: float


@dataclasses.dataclass(frozen=True)
class Crease:
    """A line in the skin [n, 2] with its depth 0..1 along the way [n]."""

    points: np.ndarray
    depth: np.ndarray


@lru_cache
def _bernstein(order: int, count: int) -> np.ndarray:
    t = np.linspace(0, 1, count)[:, None]
    k = np.arange(order + 1)
    return (np.array([comb(order, j) for j in k]) * t**k * (1 - t) ** (order - k)).astype(
        np.float32
    )


def bezier(points: list, count: int = 12) -> np.ndarray:
    """Evaluates the Bezier curve with these control points, float32 [count, 2]."""
    p = np.asarray(points, np.float32)
    return _bernstein(len(p) - 1, count) @ p
