"""Where everything in a face is, as a function of who it is and what its muscles do.

All points are float32 [n, 2] (x, y) in face units (see identity.py), before pose. Displacements per action unit
follow the appearance changes listed in the FACS manual; their sizes were set by eye.
"""

from dataclasses import dataclass

import numpy as np

from fer_jax.data.simulated import relief
from fer_jax.data.simulated.identity import Identity
from fer_jax.data.simulated.shapes import Bump, Crease, Eye
from fer_jax.data.simulated.units import INDEX

SIDES = (-1, 1)
_T = np.linspace(-1, 1, 41, dtype=np.float32)
_LID_T = np.linspace(-1, 1, 25, dtype=np.float32)
_BROW_T = np.linspace(0, 1, 17, dtype=np.float32)
_OUTER = np.array([-1, -.62, -.27, 0, .27, .62, 1], np.float32)
_INNER = np.array([-.86, -.36, 0, .36, .86], np.float32)


@dataclass(frozen=True)
class Geometry:
    """The face's lines in the canonical plane."""

    outline: np.ndarray
    eyes: tuple[Eye, Eye]
    brows: tuple[np.ndarray, np.ndarray]
    brow_widths: tuple[np.ndarray, np.ndarray]
    lip_top: np.ndarray
    lip_seam_top: np.ndarray
    lip_seam_bottom: np.ndarray
    lip_bottom: np.ndarray
    opening: float
    nose_y: tuple[float, float]
    drop: float
    creases: tuple[Crease, ...]
    bumps: tuple[Bump, ...]
    shifts: tuple[tuple[Bump, float, float], ...]
    landmarks: np.ndarray


def _spline(points: np.ndarray, per: int) -> np.ndarray:
    """Closed Catmull-Rom curve through [n, 2] points, [n * per, 2]."""
    p0, p1, p2, p3 = (np.roll(points, k, 0)[:, None] for k in (1, 0, -1, -2))
    t = (np.arange(per, dtype=np.float32) / per)[None, :, None]
    curve = p1 + .5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    return curve.reshape(-1, 2).astype(np.float32)


def outline(who: Identity) -> np.ndarray:
    """The head's contour at rest, closed, clockwise from the top, [n, 2]."""
    w, full = who.width, .02 * who.fullness
    right = np.array([
        (.50 * who.forehead, who.skull_y + .07), (.88 * who.forehead, who.skull_y + .36),
        (1.06 * who.forehead, -.84), (1.0 * w, -.38), (1.01 * w, .05), (.975 * w + full, .45),
        (.5 * (who.jaw + .95 * w) + full, .76), (who.jaw, who.jaw_y + .06),
        (.60 * who.jaw + .42 * who.chin, .5 * (who.jaw_y + who.chin_y) + .12),
        (who.chin + .02, who.chin_y - .075),
    ], np.float32)  # fmt: skip
    left = right[::-1] * (-1, 1)
    return _spline(np.vstack([[(0, who.skull_y)], right, [(0, who.chin_y)], left]).astype(np.float32), 8)


def lower(y: np.ndarray, who: Identity, drop: float) -> np.ndarray:
    """How far the lowered jaw takes a point at height y down, in face units."""
    s = np.clip((y - .72) / (who.chin_y - .42 - .72), 0, 1)
    return drop * s * s * (3 - 2 * s)


def _brow(who: Identity, side: int, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    t = _BROW_T
    x = who.brow_inner + t * who.brow_length
    y = who.brow_y - who.brow_arch * 4 * t * (1 - t) * (.6 + .8 * t) - who.brow_tilt * (t - .5) + .06 * t**3
    a1, a2, a4 = a[INDEX[1]], a[INDEX[2]], a[INDEX[4]]
    inner = np.exp(-((t / .45) ** 2))
    y = y - .155 * a1 * inner - .14 * a2 * np.exp(-(((t - .78) / .36) ** 2)) - .03 * (a1 + a2)
    y = y + a4 * (.115 * np.exp(-((t / .55) ** 2)) + .045) + a[INDEX[9]] * .055 * inner
    y = y + .03 * a[INDEX[6]] * t + .012 * a[INDEX[7]]
    x = x - a4 * .075 * np.exp(-((t / .6) ** 2)) - .02 * a[INDEX[9]] * inner
    width = who.brow_thickness * np.interp(t, [0, .12, .45, 1], [.55, 1., .95, .22]) * (1 + .15 * a4)
    return np.stack([side * x, y], 1).astype(np.float32), width.astype(np.float32)


def _eye(who: Identity, side: int, a: np.ndarray) -> Eye:
    t = _LID_T  # -1 at the inner corner, 1 at the outer
    tight, cheek, wrinkle, smile = a[INDEX[7]], a[INDEX[6]], a[INDEX[9]], a[INDEX[12]]
    up = who.eye_up * (1 + .62 * a[INDEX[5]] - .34 * tight - .16 * cheek - .14 * wrinkle - .08 * a[INDEX[4]])
    low = who.eye_low * (1 + .10 * a[INDEX[5]] - .55 * tight - .55 * cheek - .40 * wrinkle - .12 * smile)
    up, low = max(up, .012), max(low, -.01)
    base = -who.eye_tilt * (t + .2)
    top = base - up * (1 - np.abs(t + .08 * (1 - t * t)) ** 2.1) ** .86
    bottom = base + low * (1 - np.abs(t - .12 * (1 - t * t)) ** 2.2) ** .9
    shut = np.clip(a[INDEX[45]], 0, 1)
    line = base + .75 * who.eye_low * (1 - t * t)
    top, bottom = top * (1 - shut) + line * shut, bottom * (1 - shut) + line * shut
    x = side * (who.eye_x + who.eye_width * t)
    lift = .030 * a[INDEX[1]] + .02 * a[INDEX[2]] - .03 * a[INDEX[4]] - .012 * wrinkle
    fold = who.crease * (1 + .2 * shut) + lift - .35 * (up - who.eye_up)
    crease = top * .75 + .25 * base - np.maximum(fold, .012) * (1 - .55 * np.abs(t) ** 2) - .2 * (top * 0 + up) * (1 - t * t)
    opening = float((up + low) * (1 - shut) / (who.eye_up + who.eye_low))
    return Eye(
        upper=np.stack([x, top], 1), lower=np.stack([x, bottom], 1), crease=np.stack([x, crease], 1),
        centre=(side * who.eye_x, float(base.mean()) - .008), opening=opening, side=side,
    )  # fmt: skip


def _mouth(who: Identity, a: np.ndarray) -> dict[str, np.ndarray]:
    """The four lip curves over t in -1..1 and the corner and middle points, from intensities [2, U]."""
    t = _T
    u = {unit: a[:, INDEX[unit]] for unit in (5, 9, 10, 12, 14, 15, 16, 17, 20, 23, 24, 25, 26, 27)}
    out = (.095 * u[12] + .12 * u[20] + .015 * u[15] + .035 * u[14] - .065 * u[23] - .035 * u[24]
           - .085 * u[27] - .035 * u[26] - .03 * u[17])  # fmt: skip
    jaw_drop = .20 * u[26].mean() + .46 * u[27].mean()
    part = float(np.clip(u[25].mean() + u[27].mean(), 0, 1))
    down = (-.165 * u[12] + .115 * u[15] + .025 * u[20] - .055 * u[14] - .012 * u[10]) + .40 * jaw_drop
    mid = -.035 * u[9] - .05 * u[10] - .03 * u[12] - .055 * u[17] + .012 * u[24] + .02 * u[15]
    mid = float(mid.mean()) + .10 * jaw_drop
    weight = 1 / (1 + np.exp(-t / .18))  # how far the viewer's right side rules
    def both(values: np.ndarray) -> np.ndarray:
        return values[0] * (1 - weight) + values[1] * weight

    b = np.abs(t) ** 1.6
    x = t * (who.mouth_width + both(out))
    seam = who.mouth_y + mid * (1 - b) + both(down) * b - .010 * np.exp(-((t / .12) ** 2))
    seam = seam + .008 * np.cos(t * 9) * (1 - b)
    thin = 1 - .30 * u[23] - .62 * u[24] - .16 * u[20] - .10 * u[14]
    top_h = who.lip_up * np.clip(both(thin - .22 * u[12] + .10 * u[10] - .10 * u[27] - .15 * u[17]), .12, 2)
    low_h = who.lip_low * np.clip(both(thin - .12 * u[12] + .16 * u[17] - .05 * u[27]), .15, 2)
    gap_up = part * (.022 * u[25].mean() + .045 * u[10].mean() + .030 * u[12].mean() + .02 * u[9].mean())
    gap_low = part * (.050 * u[25].mean() + .045 * u[16].mean() + .03 * u[20].mean()
                      + .035 * u[12].mean() + .85 * jaw_drop)  # fmt: skip
    raise_lip = both(.050 * u[10] + .03 * u[9]) * np.exp(-(((np.abs(t) - .42) / .34) ** 2))
    inner_top = seam - gap_up * (1 - np.abs(t) ** 2.6) - .5 * raise_lip * part
    inner_low = seam + gap_low * (1 - np.abs(t) ** 2.3) ** .85
    bow = who.bow * (.20 * np.exp(-(((np.abs(t) - .27) / .17) ** 2)) - .16 * np.exp(-((t / .11) ** 2)))
    top = inner_top - top_h * ((1 - np.abs(t) ** 1.9) ** .85 + bow) - .5 * raise_lip
    bottom = inner_low + low_h * (1 - t * t) ** .72
    return dict(x=x, top=top, inner_top=inner_top, inner_low=inner_low, bottom=bottom,
                drop=np.float32(jaw_drop), opening=np.float32((gap_up + gap_low)))  # fmt: skip


def build(who: Identity, a: np.ndarray) -> Geometry:
    """The lines of `who`'s face under intensities `a` float32 [2, U] (0..1, rest not added here)."""
    a = np.asarray(a, np.float32)
    m = _mouth(who, a)
    drop = float(m['drop'])
    eyes = tuple(_eye(who, s, a[i]) for i, s in enumerate(SIDES))
    brows, widths = zip(*(_brow(who, s, a[i]) for i, s in enumerate(SIDES)), strict=True)
    head = outline(who).copy()
    head[:, 1] += lower(head[:, 1], who, drop)
    head[:, 0] *= 1 - .05 * drop * (head[:, 1] > .5)
    wing = [who.nose_y - .055 * a[i, INDEX[9]] - .025 * a[i, INDEX[10]] for i in (0, 1)]
    curves = {k: np.stack([m['x'], m[k]], 1) for k in ('top', 'inner_top', 'inner_low', 'bottom')}
    return Geometry(
        outline=head, eyes=eyes, brows=brows, brow_widths=widths,
        lip_top=curves['top'], lip_seam_top=curves['inner_top'], lip_seam_bottom=curves['inner_low'],
        lip_bottom=curves['bottom'], opening=float(m['opening']), nose_y=(wing[0], wing[1]), drop=drop,
        creases=relief.creases(who, a, eyes, brows, curves['top'], wing, drop),
        bumps=relief.bumps(who, a, curves['top'], wing, drop), shifts=relief.shifts(who, a),
        landmarks=_landmarks(who, head, eyes, brows, curves, wing),
    )  # fmt: skip


def _along(curve: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points of a curve [n, 2] at fractions 0..1 of its index."""
    index = np.asarray(at) * (len(curve) - 1)
    return np.stack([np.interp(index, np.arange(len(curve)), curve[:, c]) for c in (0, 1)], 1)


def _landmarks(who, head, eyes, brows, curves, wing) -> np.ndarray:
    """The 68 iBUG points [68, 2]: jaw 17, brows 10, nose 9, eyes 12, lips 20."""
    half = len(head) // 2
    right = head[: half + 1]
    right = right[right[:, 1] > -.05]
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(right, axis=0), axis=1))]
    at = np.linspace(0, length[-1], 9)
    right = np.stack([np.interp(at, length, right[:, c]) for c in (0, 1)], 1)
    jaw = np.vstack([right[:-1] * (-1, 1), right[::-1]])
    five = np.linspace(.02, .98, 5)
    left_brow, right_brow = _along(brows[0], five)[::-1], _along(brows[1], five)
    top = np.linspace(-.02, who.nose_y - .10, 4)
    bridge = np.stack([np.zeros(4), top], 1)
    n = who.nose_width
    base = np.array([(-n, wing[0]), (-.5 * n, wing[0] + .035), (0, who.nose_y + .055),
                     (.5 * n, wing[1] + .035), (n, wing[1])])  # fmt: skip
    base[[0, 4], 1] -= .01
    upper, low = np.array([.32, .68]), np.array([.34, .66])
    e0, e1 = eyes
    left_eye = np.vstack([e0.upper[-1], _along(e0.upper, upper)[::-1], e0.upper[0], _along(e0.lower, low)])
    right_eye = np.vstack([e1.upper[0], _along(e1.upper, upper), e1.upper[-1], _along(e1.lower, low)[::-1]])
    o, i = (_OUTER + 1) / 2, (_INNER + 1) / 2
    lips = np.vstack([
        _along(curves['top'], o), _along(curves['bottom'], o[1:-1])[::-1],
        _along(curves['inner_top'], i), _along(curves['inner_low'], i[1:-1])[::-1],
    ])  # fmt: skip
    return np.vstack([jaw, left_brow, right_brow, bridge, base, left_eye, right_eye, lips]).astype(np.float32)
