"""Hair: a cap between hairline and contour (and locks at the sides), drawn strand by strand once per person."""

from dataclasses import dataclass

import cv2
import numpy as np

from fer_jax.data.simulated import canvas, geometry
from fer_jax.data.simulated.canvas import Window
from fer_jax.data.simulated.identity import Identity
from fer_jax.data.simulated.skin import tone

_T = np.linspace(0, 1, 61, dtype=np.float32)


@dataclass(frozen=True)
class Hair:
    """Over the canonical window: albedo [H, W, C], coverage [H, W] and relief [H, W]."""

    albedo: np.ndarray
    cover: np.ndarray
    height: np.ndarray


@dataclass(frozen=True)
class Cut:
    """A style's cap: where it ends at the sides (y), the rise over the skull, fringe depth, length of the locks."""

    side_y: float
    top: float
    side: float
    fringe: float
    locks: float
    combed_back: float


CUTS = {
    'buzz': Cut(-.15, .03, .01, 0., 0., 1.),
    'short': Cut(.05, .20, .07, .05, 0., .6),
    'combed': Cut(.08, .24, .09, 0., 0., 0.),
    'fringe': Cut(.30, .22, .14, .36, 1.15, 0.),
    'curly': Cut(.20, .34, .26, .10, 0., 0.),
    'bob': Cut(.30, .22, .17, .04, 1.30, 0.),
    'long': Cut(.30, .21, .16, 0., 2.6, 0.),
    'tied': Cut(.05, .10, .04, 0., 0., 1.),
}


def _cap(who: Identity, cut: Cut) -> tuple[np.ndarray, np.ndarray]:
    """Hairline and contour from the left side over the top to the right, each [61, 2]."""
    head = geometry.outline(who)
    x, y = head[:, 0], head[:, 1]
    upper = head[y < cut.side_y]
    angle = np.arctan2(upper[:, 0], -(upper[:, 1] + .55))
    upper = upper[np.argsort(angle)]
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(upper, axis=0), axis=1))]
    skull = np.stack([np.interp(_T * length[-1], length, upper[:, c]) for c in (0, 1)], 1)
    rise = who.volume / .17 * (cut.side + (cut.top - cut.side) * np.clip(np.sin(np.pi * _T), 0, 1) ** 1.3)
    normal = skull - (0, -.45)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    contour = skull + normal * (rise + .02)[:, None]
    u = np.abs(2 * _T - 1)
    s = np.sign(2 * _T - 1)
    f, top = who.forehead, who.hairline_y
    # sideburn, temple, recess, middle
    hx = np.interp(u, [0, .30, .46, .60, .80, 1], [0, .36 * f, .60 * f, .80 * f, .93, .955 * who.width])
    hy = np.interp(u, [0, .30, .46, .60, .80, 1], [top, top + .01, top + .09, -.70, -.38, cut.side_y])
    part = np.clip(2 * _T - 1 - who.parting, -2, 2)
    hy = hy + cut.fringe * np.clip(1 - (u / .62) ** 4, 0, 1) * (1 - .25 * np.exp(-((part / .12) ** 2)))
    hairline = np.stack([s * hx, hy], 1).astype(np.float32)
    hairline = cv2.GaussianBlur(hairline[:, None], (1, 9), 0, sigmaY=2., borderType=cv2.BORDER_REPLICATE)[:, 0]
    return hairline, contour.astype(np.float32)


def _lock(who: Identity, cut: Cut, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The inner and outer edge of the hair that hangs beside the face, each [24, 2]."""
    t = np.linspace(0, 1, 24)
    y = -.55 + t * (cut.locks + .55)
    flow = .05 * np.sin(5 * t + who.parting * 6) * (.4 + who.curl)
    inner = np.interp(t, [0, .3, .55, 1], [.80, .935, .93, .86 if cut.locks > 2 else .78]) * who.width + flow
    outer = np.interp(t, [0, .25, .6, 1], [1.0, 1.10, 1.20, 1.24]) + who.volume * .55 * np.sin(np.pi * np.clip(t * .9 + .1, 0, 1)) + flow
    return np.stack([side * inner, y], 1).astype(np.float32), np.stack([side * outer, y], 1).astype(np.float32)


def _between(a: np.ndarray, b: np.ndarray, at: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Points at index fraction `at` [n] and depth `q` [n] between two edges."""
    k = at * (len(a) - 1)
    base = np.arange(len(a))
    pa = np.stack([np.interp(k, base, a[:, c]) for c in (0, 1)], 1)
    pb = np.stack([np.interp(k, base, b[:, c]) for c in (0, 1)], 1)
    return pa * (1 - q[:, None]) + pb * q[:, None]


def _strands(who: Identity, cut: Cut, hairline, contour, rng: np.random.Generator, count: int) -> list[np.ndarray]:
    lines = []
    steps = np.linspace(0, 1, 12)
    middle = .5 + .32 * who.parting
    for _ in range(count):
        wave = who.curl * .05 * np.sin(rng.uniform(0, 7) + steps * rng.uniform(6, 14))
        if who.style == 'curly':
            at, q = rng.random(), rng.random() ** .8 * 1.06
            centre = _between(hairline, contour, np.array([at]), np.array([q]))[0]
            r, a0 = rng.uniform(.03, .075), rng.uniform(0, 7)
            arc = a0 + steps * rng.uniform(2.5, 5.5)
            lines.append(centre + r * np.stack([np.cos(arc), np.sin(arc)], 1))
        elif rng.random() < cut.combed_back:
            at = np.clip(rng.random() + wave + steps * rng.normal(0, .012), 0, 1)
            q0 = rng.uniform(-.03, .7)
            lines.append(_between(hairline, contour, at, np.clip(q0 + steps * rng.uniform(.25, .6), -.05, 1.03)))
        elif cut.fringe > .2 and rng.random() < .55:  # hair falling from the part over the forehead
            at0 = rng.uniform(.22, .78)
            at = np.clip(middle + (at0 - middle) * (.55 + .45 * steps) + wave * .4, 0, 1)
            lines.append(_between(hairline, contour, at, np.clip(.9 - 1.0 * steps**1.2 * rng.uniform(.85, 1.04), -.04, 1)))
        else:  # combed sideways from the part
            q = rng.random() ** .9
            end = 0. if rng.random() < middle else 1.
            begin = middle + (end - middle) * rng.uniform(0, .7)
            at = begin + (end - begin) * steps * rng.uniform(.4, 1)
            sweep = .25 * (1 - np.abs(at - middle) * 2) * (q - .5)
            lines.append(_between(hairline, contour, np.clip(at, 0, 1), np.clip(q + sweep + wave, -.02, 1.02)))
    return lines


def build(who: Identity, window: Window, channels: int, rng: np.random.Generator) -> Hair:
    """Draws the hair in front of and beside the head."""
    shape = (window.height, window.width)
    whole = (slice(0, window.height), slice(0, window.width))
    if who.style == 'bald':
        empty = np.zeros(shape, np.float32)
        return Hair(np.zeros((*shape, channels), np.float32), empty, empty)
    cut = CUTS[who.style]
    hairline, contour = _cap(who, cut)
    fine = float(np.clip(window.scale / 95, .35, 1.4))
    lines = _strands(who, cut, hairline, contour, rng, int((520 if who.style != 'curly' else 620) * fine))
    mask = canvas.polygon(window, np.vstack([hairline, contour[::-1]]), whole, .022 if who.style != 'buzz' else .05)
    if cut.locks:
        for side in (-1, 1):
            inner, outer = _lock(who, cut, side)
            mask = np.maximum(mask, canvas.polygon(window, np.vstack([inner, outer[::-1]]), whole, .02))
            for _ in range(int(130 * fine)):
                q = np.full(10, rng.random())
                at = np.clip(rng.uniform(-.2, .7) + np.linspace(0, rng.uniform(.3, .7), 10), 0, 1)
                sway = who.curl * .12 * np.sin(rng.uniform(0, 7) + at * 16)
                lines.append(_between(inner, outer, at, np.clip(q + sway, -.03, 1.04)))
    light = np.full(shape, 118, np.uint8)
    edge = np.zeros(shape, np.uint8)
    thick = max(1, round(.012 * window.scale))
    order = rng.permutation(len(lines))
    for group, level in zip(np.array_split(order, 9), (40, 175, 70, 150, 95, 205, 60, 130, 110), strict=True):
        strands = [canvas.fixed(window.pixels(lines[k])) for k in group]
        cv2.polylines(light, strands, False, level, thick, cv2.LINE_AA, 4)
        cv2.polylines(edge, strands, False, 200, 1, cv2.LINE_AA, 4)
    cover = np.maximum(mask, canvas.soften(edge, .4) * .9 * (who.style != 'buzz'))
    if who.style == 'buzz':
        cover = cover * .72
    value = cv2.GaussianBlur(light, (0, 0), max(.4, .004 * window.scale)).astype(np.float32) / 118
    albedo = tone(np.asarray(who.hair) * 1.05 + .02, channels) * value[..., None]
    depth = cv2.GaussianBlur(mask, (0, 0), .16 * window.scale)
    return Hair(albedo, np.clip(cover, 0, 1), .5 * depth + .010 * (value - 1))
