"""Places everything in a face, as a function of who it is and what its muscles do.

All points are float32 [n, 2] (x, y) in face units (see identity.py), before pose. Displacements per
action unit follow the appearance changes listed in the FACS manual; their sizes were set by eye.
"""

import dataclasses

import numpy as np

from fer_jax.simulation.people import relief
from fer_jax.simulation.people.identity import Identity
from fer_jax.simulation.people.shapes import Brow, Bump, Crease, Eye, Mouth
from fer_jax.simulation.people.units import INDEX

SIDES = (-1, 1)
_T = np.linspace(-1, 1, 41, dtype=np.float32)
_LID_T = np.linspace(-1, 1, 25, dtype=np.float32)
_BROW_T = np.linspace(0, 1, 17, dtype=np.float32)
_OUTER = np.array([-1, -0.62, -0.27, 0, 0.27, 0.62, 1], np.float32)
_INNER = np.array([-0.86, -0.36, 0, 0.36, 0.86], np.float32)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The face's lines before pose."""

    outline: np.ndarray
    eyes: tuple[Eye, Eye]
    brows: tuple[Brow, Brow]
    mouth: Mouth
    wings: tuple[float, float]  # heights of the nose's wings
    creases: tuple[Crease, ...]
    bumps: tuple[Bump, ...]
    shifts: tuple[tuple[Bump, float, float], ...]
    landmarks: np.ndarray


def _spline(points: np.ndarray, per: int) -> np.ndarray:
    """Interpolates [n, 2] points by a closed Catmull-Rom curve, [n * per, 2]."""
    p0, p1, p2, p3 = (np.roll(points, k, 0)[:, None] for k in (1, 0, -1, -2))
    t = (np.arange(per, dtype=np.float32) / per)[None, :, None]
    curve = p1 + 0.5 * t * (
        p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )
    return curve.reshape(-1, 2).astype(np.float32)


def outline(who: Identity) -> np.ndarray:
    """Computes the head's contour at rest, closed, clockwise from the top, [n, 2]."""
    w, full = who.width, 0.02 * who.fullness
    right = np.array(
        [
            (0.50 * who.forehead, who.skull_y + 0.07),
            (0.88 * who.forehead, who.skull_y + 0.36),
            (1.06 * who.forehead, -0.84),
            (1.0 * w, -0.38),
            (1.01 * w, 0.05),
            (0.975 * w + full, 0.45),
            (0.5 * (who.jaw + 0.95 * w) + full, 0.76),
            (who.jaw, who.jaw_y + 0.06),
            (0.60 * who.jaw + 0.42 * who.chin, 0.5 * (who.jaw_y + who.chin_y) + 0.12),
            (who.chin + 0.02, who.chin_y - 0.075),
        ],
        np.float32,
    )
    left = right[::-1] * (-1, 1)
    return _spline(
        np.vstack([[(0, who.skull_y)], right, [(0, who.chin_y)], left]).astype(np.float32), 8
    )


def lower(y: np.ndarray, who: Identity, drop: float) -> np.ndarray:
    """Computes how far the lowered jaw takes a point at height y down, in face units."""
    s = np.clip((y - 0.72) / (who.chin_y - 0.42 - 0.72), 0, 1)
    return drop * s * s * (3 - 2 * s)


def _brow(who: Identity, side: int, a: np.ndarray) -> Brow:
    t = _BROW_T
    x = who.brow_inner + t * who.brow_length
    y = (
        who.brow_y
        - who.brow_arch * 4 * t * (1 - t) * (0.6 + 0.8 * t)
        - who.brow_tilt * (t - 0.5)
        + 0.06 * t**3
    )
    a1, a2, a4 = a[INDEX[1]], a[INDEX[2]], a[INDEX[4]]
    inner = np.exp(-((t / 0.45) ** 2))
    y = y - 0.155 * a1 * inner - 0.14 * a2 * np.exp(-(((t - 0.78) / 0.36) ** 2)) - 0.03 * (a1 + a2)
    y = y + a4 * (0.115 * np.exp(-((t / 0.55) ** 2)) + 0.045) + a[INDEX[9]] * 0.055 * inner
    y = y + 0.03 * a[INDEX[6]] * t + 0.012 * a[INDEX[7]]
    x = x - a4 * 0.075 * np.exp(-((t / 0.6) ** 2)) - 0.02 * a[INDEX[9]] * inner
    width = (
        who.brow_thickness
        * np.interp(t, [0, 0.12, 0.45, 1], [0.55, 1.0, 0.95, 0.22])
        * (1 + 0.15 * a4)
    )
    return Brow(np.stack([side * x, y], 1).astype(np.float32), width.astype(np.float32))


def _eye(who: Identity, side: int, a: np.ndarray) -> Eye:
    t = _LID_T  # -1 at the inner corner, 1 at the outer
    tight, cheek, wrinkle, smile = a[INDEX[7]], a[INDEX[6]], a[INDEX[9]], a[INDEX[12]]
    up = who.eye_up * (
        1 + 0.62 * a[INDEX[5]] - 0.34 * tight - 0.16 * cheek - 0.14 * wrinkle - 0.08 * a[INDEX[4]]
    )
    low = who.eye_low * (
        1 + 0.10 * a[INDEX[5]] - 0.55 * tight - 0.55 * cheek - 0.40 * wrinkle - 0.12 * smile
    )
    up, low = max(up, 0.012), max(low, -0.01)
    base = -who.eye_tilt * (t + 0.2)
    top = base - up * (1 - np.abs(t + 0.08 * (1 - t * t)) ** 2.1) ** 0.86
    bottom = base + low * (1 - np.abs(t - 0.12 * (1 - t * t)) ** 2.2) ** 0.9
    shut = np.clip(a[INDEX[45]], 0, 1)
    line = base + 0.75 * who.eye_low * (1 - t * t)
    top, bottom = top * (1 - shut) + line * shut, bottom * (1 - shut) + line * shut
    x = side * (who.eye_x + who.eye_width * t)
    lift = 0.030 * a[INDEX[1]] + 0.02 * a[INDEX[2]] - 0.03 * a[INDEX[4]] - 0.012 * wrinkle
    fold = who.crease * (1 + 0.2 * shut) + lift - 0.35 * (up - who.eye_up)
    crease = (
        top * 0.75
        + 0.25 * base
        - np.maximum(fold, 0.012) * (1 - 0.55 * np.abs(t) ** 2)
        - 0.2 * up * (1 - t * t)
    )
    opening = float((up + low) * (1 - shut) / (who.eye_up + who.eye_low))
    return Eye(
        upper=np.stack([x, top], 1),
        lower=np.stack([x, bottom], 1),
        crease=np.stack([x, crease], 1),
        centre=(side * who.eye_x, float(base.mean()) - 0.008),
        opening=opening,
        side=side,
    )


def _mouth(who: Identity, a: np.ndarray) -> Mouth:
    """Computes the lips under intensities [2, U]; t is -1 at the viewer's left corner, 1 right."""
    t = _T
    u = {unit: a[:, INDEX[unit]] for unit in (5, 9, 10, 12, 14, 15, 16, 17, 20, 23, 24, 25, 26, 27)}
    out = (
        0.095 * u[12]
        + 0.12 * u[20]
        + 0.015 * u[15]
        + 0.035 * u[14]
        - 0.065 * u[23]
        - 0.035 * u[24]
        - 0.085 * u[27]
        - 0.035 * u[26]
        - 0.03 * u[17]
    )
    jaw_drop = 0.20 * u[26].mean() + 0.46 * u[27].mean()
    part = float(np.clip(u[25].mean() + u[27].mean(), 0, 1))
    down = (
        -0.165 * u[12] + 0.115 * u[15] + 0.025 * u[20] - 0.055 * u[14] - 0.012 * u[10]
    ) + 0.40 * jaw_drop
    mid = -0.035 * u[9] - 0.05 * u[10] - 0.03 * u[12] - 0.055 * u[17] + 0.012 * u[24] + 0.02 * u[15]
    mid = float(mid.mean()) + 0.10 * jaw_drop
    weight = 1 / (1 + np.exp(-t / 0.18))  # how far the viewer's right side rules

    def both(values: np.ndarray) -> np.ndarray:
        return values[0] * (1 - weight) + values[1] * weight

    b = np.abs(t) ** 1.6
    x = t * (who.mouth_width + both(out))
    seam = who.mouth_y + mid * (1 - b) + both(down) * b - 0.010 * np.exp(-((t / 0.12) ** 2))
    seam = seam + 0.008 * np.cos(t * 9) * (1 - b)
    thin = 1 - 0.30 * u[23] - 0.62 * u[24] - 0.16 * u[20] - 0.10 * u[14]
    top_h = who.lip_up * np.clip(
        both(thin - 0.22 * u[12] + 0.10 * u[10] - 0.10 * u[27] - 0.15 * u[17]), 0.12, 2
    )
    low_h = who.lip_low * np.clip(both(thin - 0.12 * u[12] + 0.16 * u[17] - 0.05 * u[27]), 0.15, 2)
    gap_up = part * (
        0.022 * u[25].mean() + 0.045 * u[10].mean() + 0.030 * u[12].mean() + 0.02 * u[9].mean()
    )
    gap_low = part * (
        0.050 * u[25].mean()
        + 0.045 * u[16].mean()
        + 0.03 * u[20].mean()
        + 0.035 * u[12].mean()
        + 0.85 * jaw_drop
    )
    raise_lip = both(0.050 * u[10] + 0.03 * u[9]) * np.exp(-(((np.abs(t) - 0.42) / 0.34) ** 2))
    inner_top = seam - gap_up * (1 - np.abs(t) ** 2.6) - 0.5 * raise_lip * part
    inner_low = seam + gap_low * (1 - np.abs(t) ** 2.3) ** 0.85
    bow = who.bow * (
        0.20 * np.exp(-(((np.abs(t) - 0.27) / 0.17) ** 2)) - 0.16 * np.exp(-((t / 0.11) ** 2))
    )
    top = inner_top - top_h * ((1 - np.abs(t) ** 1.9) ** 0.85 + bow) - 0.5 * raise_lip
    bottom = inner_low + low_h * (1 - t * t) ** 0.72
    curves = (np.stack([x, y], 1) for y in (top, inner_top, inner_low, bottom))
    return Mouth(*curves, opening=float(gap_up + gap_low), drop=float(jaw_drop))


def build(who: Identity, a: np.ndarray) -> Geometry:
    """Computes the lines of `who`'s face under intensities float32 [2, U], without `who.rest`."""
    a = np.asarray(a, np.float32)
    mouth = _mouth(who, a)
    left, right = SIDES
    eyes = _eye(who, left, a[0]), _eye(who, right, a[1])
    brows = _brow(who, left, a[0]), _brow(who, right, a[1])
    head = outline(who)
    head[:, 1] += lower(head[:, 1], who, mouth.drop)
    head[:, 0] *= 1 - 0.05 * mouth.drop * (head[:, 1] > 0.5)
    wings = who.nose_y - 0.055 * a[:, INDEX[9]] - 0.025 * a[:, INDEX[10]]
    return Geometry(
        outline=head,
        eyes=eyes,
        brows=brows,
        mouth=mouth,
        wings=(float(wings[0]), float(wings[1])),
        creases=relief.creases(who, a, eyes, brows, mouth, wings),
        bumps=relief.bumps(who, a, mouth, wings),
        shifts=relief.shifts(who, a),
        landmarks=_landmarks(who, head, eyes, brows, mouth, wings),
    )


def _along(curve: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolates a curve [n, 2] at fractions 0..1 of its index."""
    index = np.asarray(at) * (len(curve) - 1)
    return np.stack([np.interp(index, np.arange(len(curve)), curve[:, c]) for c in (0, 1)], 1)


def _landmarks(who: Identity, head, eyes, brows, mouth: Mouth, wing) -> np.ndarray:
    """Computes the 68 iBUG points [68, 2]: jaw 17, brows 10, nose 9, eyes 12, lips 20."""
    half = len(head) // 2
    right = head[: half + 1]
    right = right[right[:, 1] > -0.05]
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(right, axis=0), axis=1))]
    at = np.linspace(0, length[-1], 9)
    right = np.stack([np.interp(at, length, right[:, c]) for c in (0, 1)], 1)
    jaw = np.vstack([right[:-1] * (-1, 1), right[::-1]])
    five = np.linspace(0.02, 0.98, 5)
    left_brow, right_brow = _along(brows[0].line, five)[::-1], _along(brows[1].line, five)
    top = np.linspace(-0.02, who.nose_y - 0.10, 4)
    bridge = np.stack([np.zeros(4), top], 1)
    n = who.nose_width
    base = np.array(
        [
            (-n, wing[0]),
            (-0.5 * n, wing[0] + 0.035),
            (0, who.nose_y + 0.055),
            (0.5 * n, wing[1] + 0.035),
            (n, wing[1]),
        ]
    )
    base[[0, 4], 1] -= 0.01
    upper, low = np.array([0.32, 0.68]), np.array([0.34, 0.66])
    e0, e1 = eyes
    left_eye = np.vstack(
        [e0.upper[-1], _along(e0.upper, upper)[::-1], e0.upper[0], _along(e0.lower, low)]
    )
    right_eye = np.vstack(
        [e1.upper[0], _along(e1.upper, upper), e1.upper[-1], _along(e1.lower, low)[::-1]]
    )
    o, i = (_OUTER + 1) / 2, (_INNER + 1) / 2
    lips = np.vstack(
        [
            _along(mouth.top, o),
            _along(mouth.bottom, o[1:-1])[::-1],
            _along(mouth.seam_top, i),
            _along(mouth.seam_bottom, i[1:-1])[::-1],
        ]
    )
    return np.vstack([jaw, left_brow, right_brow, bridge, base, left_eye, right_eye, lips]).astype(
        np.float32
    )
