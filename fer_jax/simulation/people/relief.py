"""The skin over the face's lines: bumps that move, creases that deepen, skin carried along."""

from functools import lru_cache

import numpy as np

from fer_jax.simulation.people.identity import Identity
from fer_jax.simulation.people.shapes import Bump, Crease, Eye, Mouth, bezier
from fer_jax.simulation.people.units import INDEX, UNITS


@lru_cache
def _taper(count: int, start: float, end: float) -> np.ndarray:
    """Computes depth along a crease: 0 at both ends, 1 between `start` and 1 - `end`."""
    t = np.linspace(0, 1, count)
    return np.clip(np.minimum(t / start, (1 - t) / end), 0, 1).astype(np.float32)


def _side(a: np.ndarray, i: int) -> dict[int, float]:
    """Returns the intensities of one side by unit."""
    return dict(zip(UNITS, a[i].tolist(), strict=True))


class _Lines(list):
    """Creases, gathered."""

    def add(self, points: list, depth: float, taper: tuple[float, float] = (0.25, 0.35)) -> None:
        """Adds a Bezier crease, unless it is too shallow to be seen."""
        if depth > 0.03:
            line = bezier(points)
            self.append(Crease(line, min(depth, 1.2) * _taper(len(line), *taper)))


def creases(who: Identity, a: np.ndarray, eyes, brows, mouth: Mouth, wings) -> tuple[Crease, ...]:
    """Computes the skin's lines under intensities [2, U]; age deepens them all."""
    lines = _Lines()
    for i, s in enumerate((-1, 1)):
        u = _side(a, i)
        _forehead(lines, who, u, s, brows[i].line[0])
        _around_eye(lines, who, u, s, eyes[i])
        for k in range(3):  # wrinkles across the nose's root
            y = -0.02 + 0.10 * k
            line = [(s * 0.02, y - 0.02 - 0.02 * k), (s * 0.10, y), (s * 0.17, y + 0.07)]
            lines.add(line, u[9] - 0.15 * (2 - k), (0.1, 0.3))
        _around_mouth(lines, who, u, s, mouth.top[-1 if s > 0 else 0], wings[i], mouth.drop)
    lines.add([(-0.10, -0.13), (0, -0.10), (0.10, -0.13)], 0.8 * float(a[:, INDEX[9]].mean()))
    chin = float(a[:, INDEX[17]].mean())
    y = who.mouth_y + who.lip_low + 0.11 + 0.95 * mouth.drop - 0.05 * chin
    below_lip = [(-0.20, y + 0.02), (0, y - 0.025), (0.20, y + 0.02)]
    lines.add(below_lip, 0.25 + 0.55 * chin + 0.2 * who.age)
    return tuple(lines)


def _forehead(lines: _Lines, who: Identity, u: dict[int, float], s: int, brow) -> None:
    """Adds three horizontal lines, bent inwards where only the inner brow rises, and the frown."""
    wide = min(1.0, u[2] / 0.3)
    for k in range(3):
        y = who.brow_y - 0.20 - 0.15 * k - 0.05 * u[1] + 0.05 * who.hairline_y
        raised = min(u[1] + 0.3, u[2] + 0.1) * (0.45 + 0.6 * who.age)
        whole = [(0, y + 0.02), (s * 0.40, y - 0.03), (s * 0.72, y + 0.05)]
        lines.add(whole, wide * (raised - 0.10 * k) + 0.25 * who.age - 0.08 * k, (0.02, 0.4))
        inner = [(0, y + 0.03), (s * 0.14, y), (s * 0.30, y - 0.05)]
        depth = (1 - wide) * (u[1] * (0.55 + 0.5 * who.age) - 0.12 * k)
        lines.add(inner, depth, (0.02, 0.4))
    frown = [
        (s * (0.085 - 0.02 * u[4]), brow[1] - 0.10),
        (s * (0.07 - 0.015 * u[4]), brow[1] + 0.02),
    ]
    lines.add([*frown, (s * 0.085, brow[1] + 0.13)], 0.9 * u[4] + 0.25 * who.age + 0.2 * u[9])


def _around_eye(lines: _Lines, who: Identity, u: dict[int, float], s: int, eye: Eye) -> None:
    """Adds crow's feet and the pouch under the lower lid."""
    x, y = eye.upper[-1]
    smiled = 0.35 * (0.18 + who.age) * max(0.0, who.age - 0.25) + (0.35 + 0.65 * who.age) * u[6]
    for k, angle in zip((-1, 0, 1), (-0.55, -0.05, 0.45), strict=True):
        d = np.array([s * np.cos(angle), np.sin(angle)]) * (0.20 - 0.02 * abs(k))
        start = np.array([x + s * 0.06, y + 0.02 + 0.05 * k])
        lines.add([start, start + 0.5 * d + (0, 0.012 * k), start + d], smiled)
    low = eye.lower
    pouch = [low[3] + (0, 0.055), low[12] + (0, 0.105), low[21] + (0, 0.05)]
    lines.add(pouch, 0.12 + 0.45 * who.age + 0.5 * u[6] + 0.35 * u[7] + 0.2 * u[9])


def _around_mouth(
    lines: _Lines, who: Identity, u: dict[int, float], s: int, corner, wing: float, drop: float
) -> None:
    """Adds the nasolabial fold, the dimple, and the lines below and beside the corner."""
    n = who.nose_width
    fold = [
        (s * (n + 0.035), wing - 0.08 - 0.05 * u[9]),
        (s * (n + 0.20 + 0.10 * u[12] + 0.05 * u[10]), wing + 0.02),
        (s * (abs(corner[0]) + 0.16 + 0.05 * u[12]), corner[1] - 0.12),
        (s * (abs(corner[0]) + 0.13 + 0.05 * u[12]), corner[1] + 0.10 + 0.2 * drop),
    ]
    lifted = 0.85 * u[12] + 0.75 * u[9] + 0.8 * u[10] + 0.25 * u[20]
    lines.add(fold, 0.10 + 0.45 * who.age**1.3 + lifted)
    dimple = [corner + (s * 0.045, -0.10), corner + (s * 0.085, 0), corner + (s * 0.045, 0.09)]
    lines.add(dimple, 1.15 * u[14])
    below = [corner + (s * 0.03, 0.01), corner + (s * 0.07, 0.07), corner + (s * 0.05, 0.18)]
    lines.add(below, 0.75 * u[15] + 0.3 * who.age)
    beside = [corner + (s * 0.09, -0.05), corner + (s * 0.13, 0.06), corner + (s * 0.10, 0.20)]
    lines.add(beside, 0.6 * u[20])


def bumps(who: Identity, a: np.ndarray, mouth: Mouth, wings) -> tuple:
    """Computes the bumps of an expression: cheeks, brow bulges, chin boss, upper-lip folds."""
    found = []
    for i, s in enumerate((-1, 1)):
        u = _side(a, i)
        lift = 0.75 * u[12] + 0.55 * u[6] + 0.35 * u[9] + 0.2 * u[10]
        found += [
            Bump(s * (0.60 + 0.02 * u[12]), 0.46 - 0.07 * lift, 0.19, 0.15, 0.085 * lift),
            Bump(s * 0.42, who.brow_y + 0.11 + 0.05 * u[4], 0.17, 0.05, 0.035 * u[4] + 0.02 * u[7]),
            Bump(
                s * 0.13,
                who.brow_y - 0.02 + 0.06 * u[4],
                0.055,
                0.07,
                0.040 * u[4] + 0.035 * max(0, u[1] - u[2]) * u[4],
            ),
            Bump(s * 0.36, who.brow_y - 0.15, 0.16, 0.06, 0.022 * (u[1] + u[2])),
            Bump(s * 0.16, wings[i] + 0.16, 0.08, 0.06, 0.030 * (u[10] + u[9])),
            Bump(
                s * (abs(mouth.top[-1 if s > 0 else 0][0]) + 0.15),
                mouth.top[-1 if s > 0 else 0][1],
                0.06,
                0.09,
                0.035 * u[14] + 0.02 * u[12] - 0.02 * u[26] - 0.05 * u[27],
            ),
            Bump(s * 0.13, who.chin_y - 0.20 + mouth.drop, 0.08, 0.07, 0.035 * u[17]),
            Bump(
                s * 0.28, who.mouth_y + 0.10 + 0.5 * mouth.drop, 0.10, 0.06, 0.02 * (u[24] + u[23])
            ),
        ]
    return tuple(b for b in found if abs(b.amount) > 1e-3)


def shifts(who: Identity, a: np.ndarray) -> tuple:
    """Computes how the skin (pores, freckles, beard) moves: (Gaussian, dx, dy) in face units."""
    found = []
    for i, s in enumerate((-1, 1)):
        u = _side(a, i)
        brow = -0.10 * u[1] - 0.07 * u[2] + 0.09 * u[4]
        found += [
            (Bump(s * 0.35, who.brow_y - 0.08, 0.30, 0.22, 1.0), -s * 0.04 * u[4], brow),
            (
                Bump(s * 0.60, 0.5, 0.26, 0.24, 1.0),
                s * 0.02 * u[12],
                -0.08 * u[6] - 0.07 * u[12] - 0.04 * u[9],
            ),
            (
                Bump(s * 0.48, who.mouth_y, 0.20, 0.20, 1.0),
                s * (0.07 * u[12] + 0.08 * u[20]),
                -0.10 * u[12] + 0.07 * u[15],
            ),
        ]
    chin = float(a[:, INDEX[17]].mean())
    found.append((Bump(0, who.chin_y - 0.2, 0.28, 0.18, 1.0), 0.0, -0.06 * chin))
    return tuple(f for f in found if abs(f[1]) + abs(f[2]) > 2e-3)
