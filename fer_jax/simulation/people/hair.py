"""Hair: a cap between hairline and contour and locks beside the face, drawn strand by strand."""

import dataclasses

import cv2
import numpy as np

from fer_jax.simulation.people import canvas, geometry, lighting
from fer_jax.simulation.people.canvas import Window
from fer_jax.simulation.people.identity import Identity
from fer_jax.simulation.people.skin import tone

_T = np.linspace(0, 1, 61, dtype=np.float32)


@dataclasses.dataclass(frozen=True)
class Hair:
    """Over the face's window: albedo [H, W, C], coverage [H, W], normals, cast shadow [H, W]."""

    albedo: np.ndarray
    cover: np.ndarray
    normal: tuple[np.ndarray, np.ndarray, np.ndarray]
    shadow: np.ndarray


@dataclasses.dataclass(frozen=True)
class Cut:
    """A style, in face units.

    side_y: where the cap ends at the sides; top, side: its rise over the skull there; fringe and
    curtain (hair parted over the temples): how far they hang; locks: how low they reach, 0 for
    none; combed_back: share of strands; rough: unevenness of the contour.
    """

    side_y: float
    top: float
    side: float
    fringe: float = 0.0
    curtain: float = 0.0
    locks: float = 0.0
    combed_back: float = 0.0
    rough: float = 0.010


CUTS = {
    'buzz': Cut(-0.15, 0.03, 0.01, combed_back=1.0, rough=0.0),
    'short': Cut(0.05, 0.20, 0.07, fringe=0.04, combed_back=0.65, rough=0.030),
    'combed': Cut(0.08, 0.24, 0.09, curtain=0.05),
    'fringe': Cut(0.30, 0.22, 0.15, fringe=0.36, locks=1.15),
    'curly': Cut(0.20, 0.36, 0.28, fringe=0.05, rough=0.04),
    'bob': Cut(0.30, 0.22, 0.17, curtain=0.22, locks=1.30),
    'long': Cut(0.30, 0.21, 0.16, curtain=0.18, locks=2.6),
    'tied': Cut(0.05, 0.09, 0.04, combed_back=1.0),
}


def _ripple(rng: np.random.Generator, size: float, waves: int) -> np.ndarray:
    """Draws a smooth irregularity along a contour, [61]."""
    knots = rng.normal(0, size, waves)
    return np.interp(_T * (waves - 1), np.arange(waves), knots) * np.sin(np.pi * _T).clip(0) ** 0.3


def _cap(who: Identity, cut: Cut, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws hairline and contour from the left side over the top to the right, each [61, 2]."""
    head = geometry.outline(who)
    upper = head[head[:, 1] < cut.side_y]
    upper = upper[np.argsort(np.arctan2(upper[:, 0], -(upper[:, 1] + 0.55)))]
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(upper, axis=0), axis=1))]
    skull = np.stack([np.interp(_T * length[-1], length, upper[:, c]) for c in (0, 1)], 1)
    lopsided = 1 + 0.25 * who.parting * (2 * _T - 1)
    rise = (
        who.volume
        / 0.17
        * (cut.side + (cut.top - cut.side) * np.sin(np.pi * _T).clip(0) ** 1.2)
        * lopsided
    )
    normal = skull - (0, -0.45)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    contour = skull + normal * (rise + 0.02 + _ripple(rng, cut.rough, 17))[:, None]
    u = np.abs(2 * _T - 1)
    s = np.sign(2 * _T - 1)
    f, top = who.forehead, who.hairline_y
    # middle, recess, temple, sideburn
    hx = np.interp(
        u,
        [0, 0.30, 0.46, 0.60, 0.80, 1],
        [0, 0.36 * f, 0.60 * f, 0.82 * f, 0.945, 0.965 * who.width],
    )
    hy = np.interp(
        u, [0, 0.30, 0.46, 0.60, 0.80, 1], [top, top + 0.01, top + 0.09, -0.70, -0.38, cut.side_y]
    )
    from_part = 2 * _T - 1 - 0.6 * who.parting
    hang = (
        cut.fringe
        * np.clip(1 - (u / 0.64) ** 4, 0, 1)
        * (1 - 0.20 * np.exp(-((from_part / 0.12) ** 2)))
    )
    hang = hang + cut.curtain * np.clip(np.abs(from_part) / 0.35, 0, 1) * np.clip(
        1.6 - 1.6 * u, 0, 1
    )
    hairline = np.stack([s * hx, hy + hang + _ripple(rng, 0.012, 13)], 1).astype(np.float32)
    hairline = cv2.GaussianBlur(
        hairline[:, None], (1, 7), 0, sigmaY=1.4, borderType=cv2.BORDER_REPLICATE
    )[:, 0]
    return hairline, contour.astype(np.float32)


def _lock(who: Identity, cut: Cut, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Computes the inner and outer edge of the hair that hangs beside the face, each [24, 2]."""
    t = np.linspace(0, 1, 24)
    y = -0.55 + t * (cut.locks + 0.55)
    flow = 0.05 * np.sin(5 * t + who.parting * 6) * (0.4 + who.curl)
    inner = (
        np.interp(t, [0, 0.3, 0.55, 1], [0.80, 0.935, 0.93, 0.86 if cut.locks > 2 else 0.78])
        * who.width
        + flow
    )
    outer = (
        np.interp(t, [0, 0.25, 0.6, 1], [1.0, 1.10, 1.20, 1.24])
        + who.volume * 0.55 * np.sin(np.pi * np.clip(t * 0.9 + 0.1, 0, 1))
        + flow
    )
    return np.stack([side * inner, y], 1), np.stack([side * outer, y], 1)


def _between(a: np.ndarray, b: np.ndarray, at: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Interpolates between two edges at index fraction `at` [n] and depth `q` [n]."""
    k = at * (len(a) - 1)
    base = np.arange(len(a))
    pa = np.stack([np.interp(k, base, a[:, c]) for c in (0, 1)], 1)
    pb = np.stack([np.interp(k, base, b[:, c]) for c in (0, 1)], 1)
    return pa * (1 - q[:, None]) + pb * q[:, None]


def _strand(
    who: Identity, cut: Cut, hairline: np.ndarray, contour: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws a strand of the cap, [12, 2]: a curl, combed back, over the forehead or to the side."""
    steps = np.linspace(0, 1, 12)
    middle = 0.5 + 0.32 * who.parting
    wave = who.curl * 0.05 * np.sin(rng.uniform(0, 7) + steps * rng.uniform(6, 14))
    if who.style == 'curly':
        place = np.array([rng.random()]), np.array([rng.random() ** 0.8 * 1.06])
        radius, start = rng.uniform(0.03, 0.075), rng.uniform(0, 7)
        arc = start + steps * rng.uniform(2.5, 5.5)
        curl = radius * np.stack([np.cos(arc), np.sin(arc)], 1)
        return _between(hairline, contour, *place) + curl
    if rng.random() < cut.combed_back:
        at = rng.random() + wave + steps * rng.normal(0, 0.012)
        q = rng.uniform(-0.05, 0.7) + steps * rng.uniform(0.25, 0.6)
        q = np.clip(q, -0.07, 1.02 + 3 * cut.rough)
    elif cut.fringe > 0.2 and rng.random() < 0.55:
        at = middle + (rng.uniform(0.22, 0.78) - middle) * (0.55 + 0.45 * steps) + wave * 0.4
        q = np.clip(0.9 - steps**1.2 * rng.uniform(0.85, 1.04), -0.04, 1)
    else:
        q = rng.random() ** 0.9
        end = 0.0 if rng.random() < middle else 1.0
        begin = middle + (end - middle) * rng.uniform(0, 0.7)
        at = begin + (end - begin) * steps * rng.uniform(0.4, 1)
        sweep = 0.25 * (1 - np.abs(at - middle) * 2) * (q - 0.5)
        q = np.clip(q + sweep + wave, -0.02, 1.02)
    return _between(hairline, contour, np.clip(at, 0, 1), q)


def _hanging(
    who: Identity, inner: np.ndarray, outer: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws one strand of a lock beside the face, [10, 2]."""
    at = np.clip(rng.uniform(-0.2, 0.7) + np.linspace(0, rng.uniform(0.3, 0.7), 10), 0, 1)
    sway = who.curl * 0.12 * np.sin(rng.uniform(0, 7) + at * 16)
    return _between(inner, outer, at, np.clip(rng.random() + sway, -0.03, 1.04))


def _outline(
    who: Identity, cut: Cut, window: Window, rng: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Computes what the hair covers [H, W], and its strands."""
    hairline, contour = _cap(who, cut, rng)
    fine = float(np.clip(window.scale / 95, 0.35, 1.4))
    count = int((620 if who.style == 'curly' else 520) * fine)
    lines = [_strand(who, cut, hairline, contour, rng) for _ in range(count)]
    soft = 0.05 if who.style == 'buzz' else 0.022
    cover = canvas.polygon(window, np.vstack([hairline, contour[::-1]]), window.whole, soft)
    parts = []
    if who.style == 'tied':
        centre = np.array([0.2 * who.parting, who.skull_y - 0.16])
        angle, turn = np.linspace(0, 2 * np.pi, 30), np.linspace(0.3, 2.8, 12)
        parts.append(centre + np.stack([0.30 * np.cos(angle), 0.24 * np.sin(angle)], 1))
        bow = np.stack([0.30 * np.cos(turn), -0.24 * np.sin(turn)], 1)
        lines += [centre + r * bow for r in rng.uniform(0.1, 1.02, int(70 * fine))]
    if cut.locks:
        for side in (-1, 1):
            inner, outer = _lock(who, cut, side)
            parts.append(np.vstack([inner, outer[::-1]]))
            lines += [_hanging(who, inner, outer, rng) for _ in range(int(130 * fine))]
    for part in parts:
        cover = np.maximum(cover, canvas.polygon(window, part, window.whole, 0.02))
    return cover, lines


def build(who: Identity, window: Window, channels: int, rng: np.random.Generator) -> Hair:
    """Draws the hair in front of and beside the head."""
    shape = (window.height, window.width)
    if who.style == 'bald':
        none = np.zeros(shape, np.float32)
        return Hair(np.zeros((*shape, channels), np.float32), none, (none, none, none + 1), none)
    cut = CUTS[who.style]
    mask, lines = _outline(who, cut, window, rng)
    light = np.full(shape, 118, np.uint8)
    edge = np.zeros(shape, np.uint8)
    thick = max(1, round(0.012 * window.scale))
    levels = (40, 175, 70, 150, 95, 205, 60, 130, 110)
    for group, level in zip(np.array_split(rng.permutation(len(lines)), 9), levels, strict=True):
        strands = [canvas.fixed(window.pixels(lines[k])) for k in group]
        cv2.polylines(light, strands, False, level, thick, cv2.LINE_AA, canvas.BITS)
        cv2.polylines(edge, strands, False, 200, 1, cv2.LINE_AA, canvas.BITS)
    value = cv2.GaussianBlur(light, (0, 0), max(0.4, 0.004 * window.scale)).astype(np.float32) / 118
    if who.style == 'curly':
        value = 1 + 0.6 * (value - 1)
    short = who.style == 'buzz'
    cover = 0.72 * mask if short else np.maximum(mask, 0.9 * canvas.soften(edge, 0.4))
    x, y = window.grid()
    albedo = tone(np.asarray(who.hair) * 1.05 + 0.02, channels) * value[..., None]
    if who.style not in ('buzz', 'curly'):  # a band of sheen over the crown
        sheen = np.exp(-(((y - who.skull_y - 0.30) / 0.17) ** 2)) * (1.4 * value - 0.8)
        bright = tone(np.asarray(who.hair) * 1.1 + 0.12, channels)
        canvas.paint(albedo, window.whole, bright, 0.65 * np.clip(sheen, 0, 1))
    dome = 1.35 - (x / 1.25) ** 2 - (np.minimum(y + 0.35, 0) / 1.45) ** 2
    depth = cv2.GaussianBlur(mask, (0, 0), 0.12 * window.scale)
    relief = 0.8 * np.sqrt(np.clip(dome, 0.05, None)) + 0.35 * depth + 0.012 * (value - 1)
    shadow = cv2.GaussianBlur(cover, (0, 0), 0.05 * window.scale) * (1 - cover)
    normal = lighting.normals(relief.astype(np.float32), window.scale)
    return Hair(albedo, np.clip(cover, 0, 1), normal, shadow)
