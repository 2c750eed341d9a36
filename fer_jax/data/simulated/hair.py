"""Hair: a cap between hairline and contour and locks beside the face, drawn strand by strand."""

from dataclasses import dataclass

import cv2
import numpy as np

from fer_jax.data.simulated import canvas, geometry, lighting
from fer_jax.data.simulated.canvas import Window
from fer_jax.data.simulated.identity import Identity
from fer_jax.data.simulated.skin import tone

_T = np.linspace(0, 1, 61, dtype=np.float32)


@dataclass(frozen=True)
class Hair:
    """Over the face's window: albedo [H, W, C], coverage [H, W], normals, cast shadow [H, W]."""

    albedo: np.ndarray
    cover: np.ndarray
    normal: tuple[np.ndarray, np.ndarray, np.ndarray]
    shadow: np.ndarray


@dataclass(frozen=True)
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
    """A smooth irregularity along a contour, [61]."""
    knots = rng.normal(0, size, waves)
    return np.interp(_T * (waves - 1), np.arange(waves), knots) * np.sin(np.pi * _T).clip(0) ** 0.3


def _cap(who: Identity, cut: Cut, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Hairline and contour from the left side over the top to the right, each [61, 2]."""
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
    """The inner and outer edge of the hair that hangs beside the face, each [24, 2]."""
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
    return np.stack([side * inner, y], 1).astype(np.float32), np.stack([side * outer, y], 1).astype(
        np.float32
    )


def _between(a: np.ndarray, b: np.ndarray, at: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Points at index fraction `at` [n] and depth `q` [n] between two edges."""
    k = at * (len(a) - 1)
    base = np.arange(len(a))
    pa = np.stack([np.interp(k, base, a[:, c]) for c in (0, 1)], 1)
    pb = np.stack([np.interp(k, base, b[:, c]) for c in (0, 1)], 1)
    return pa * (1 - q[:, None]) + pb * q[:, None]


def _strands(
    who: Identity, cut: Cut, hairline, contour, rng: np.random.Generator, count: int
) -> list[np.ndarray]:
    lines = []
    steps = np.linspace(0, 1, 12)
    middle = 0.5 + 0.32 * who.parting
    for _ in range(count):
        wave = who.curl * 0.05 * np.sin(rng.uniform(0, 7) + steps * rng.uniform(6, 14))
        if who.style == 'curly':
            at, q = rng.random(), rng.random() ** 0.8 * 1.06
            centre = _between(hairline, contour, np.array([at]), np.array([q]))[0]
            r, a0 = rng.uniform(0.03, 0.075), rng.uniform(0, 7)
            arc = a0 + steps * rng.uniform(2.5, 5.5)
            lines.append(centre + r * np.stack([np.cos(arc), np.sin(arc)], 1))
        elif rng.random() < cut.combed_back:
            at = np.clip(rng.random() + wave + steps * rng.normal(0, 0.012), 0, 1)
            q0 = rng.uniform(-0.05, 0.7)
            most = 1.02 + 3 * cut.rough
            lines.append(
                _between(
                    hairline, contour, at, np.clip(q0 + steps * rng.uniform(0.25, 0.6), -0.07, most)
                )
            )
        elif (
            cut.fringe > 0.2 and rng.random() < 0.55
        ):  # hair falling from the part over the forehead
            at0 = rng.uniform(0.22, 0.78)
            at = np.clip(middle + (at0 - middle) * (0.55 + 0.45 * steps) + wave * 0.4, 0, 1)
            lines.append(
                _between(
                    hairline,
                    contour,
                    at,
                    np.clip(0.9 - 1.0 * steps**1.2 * rng.uniform(0.85, 1.04), -0.04, 1),
                )
            )
        else:  # combed sideways from the part
            q = rng.random() ** 0.9
            end = 0.0 if rng.random() < middle else 1.0
            begin = middle + (end - middle) * rng.uniform(0, 0.7)
            at = begin + (end - begin) * steps * rng.uniform(0.4, 1)
            sweep = 0.25 * (1 - np.abs(at - middle) * 2) * (q - 0.5)
            lines.append(
                _between(
                    hairline, contour, np.clip(at, 0, 1), np.clip(q + sweep + wave, -0.02, 1.02)
                )
            )
    return lines


def build(who: Identity, window: Window, channels: int, rng: np.random.Generator) -> Hair:
    """Draws the hair in front of and beside the head."""
    shape = (window.height, window.width)
    whole = (slice(0, window.height), slice(0, window.width))
    if who.style == 'bald':
        empty = np.zeros(shape, np.float32)
        return Hair(
            np.zeros((*shape, channels), np.float32), empty, (empty, empty, empty + 1), empty
        )
    cut = CUTS[who.style]
    hairline, contour = _cap(who, cut, rng)
    fine = float(np.clip(window.scale / 95, 0.35, 1.4))
    lines = _strands(
        who, cut, hairline, contour, rng, int((520 if who.style != 'curly' else 620) * fine)
    )
    mask = canvas.polygon(
        window, np.vstack([hairline, contour[::-1]]), whole, 0.022 if who.style != 'buzz' else 0.05
    )
    if who.style == 'tied':
        angle = np.linspace(0, 2 * np.pi, 30)
        bun = np.stack(
            [0.30 * np.cos(angle) + 0.2 * who.parting, who.skull_y - 0.16 + 0.24 * np.sin(angle)], 1
        )
        mask = np.maximum(mask, canvas.polygon(window, bun, whole, 0.02))
        turn = np.linspace(0.3, 2.8, 12)
        for r in rng.uniform(0.1, 1.02, int(70 * fine)):
            lines.append(
                bun.mean(0) + np.stack([0.30 * r * np.cos(turn), -0.24 * r * np.sin(turn)], 1)
            )
    if cut.locks:
        for side in (-1, 1):
            inner, outer = _lock(who, cut, side)
            mask = np.maximum(
                mask, canvas.polygon(window, np.vstack([inner, outer[::-1]]), whole, 0.02)
            )
            for _ in range(int(130 * fine)):
                q = np.full(10, rng.random())
                at = np.clip(
                    rng.uniform(-0.2, 0.7) + np.linspace(0, rng.uniform(0.3, 0.7), 10), 0, 1
                )
                sway = who.curl * 0.12 * np.sin(rng.uniform(0, 7) + at * 16)
                lines.append(_between(inner, outer, at, np.clip(q + sway, -0.03, 1.04)))
    light = np.full(shape, 118, np.uint8)
    edge = np.zeros(shape, np.uint8)
    thick = max(1, round(0.012 * window.scale))
    order = rng.permutation(len(lines))
    for group, level in zip(
        np.array_split(order, 9), (40, 175, 70, 150, 95, 205, 60, 130, 110), strict=True
    ):
        strands = [canvas.fixed(window.pixels(lines[k])) for k in group]
        cv2.polylines(light, strands, False, level, thick, cv2.LINE_AA, 4)
        cv2.polylines(edge, strands, False, 200, 1, cv2.LINE_AA, 4)
    cover = np.maximum(mask, canvas.soften(edge, 0.4) * 0.9 * (who.style != 'buzz'))
    if who.style == 'buzz':
        cover = cover * 0.72
    value = cv2.GaussianBlur(light, (0, 0), max(0.4, 0.004 * window.scale)).astype(np.float32) / 118
    if who.style == 'curly':
        value = 1 + 0.6 * (value - 1)
    x, y = window.grid()
    sheen = np.exp(-(((y - (who.skull_y + 0.30)) / 0.17) ** 2)) * (
        who.style not in ('buzz', 'curly')
    )
    sheen = sheen * np.clip(0.6 + 1.4 * (value - 1), 0, 1.5)
    albedo = tone(np.asarray(who.hair) * 1.05 + 0.02, channels) * value[..., None]
    albedo += (tone(np.asarray(who.hair) * 1.1 + 0.12, channels) - albedo) * (
        0.65 * sheen.clip(0, 1)
    )[..., None]
    dome = 0.8 * np.sqrt(
        np.clip(1.35 - (x / 1.25) ** 2 - (np.minimum(y + 0.35, 0) / 1.45) ** 2, 0.05, None)
    )
    depth = cv2.GaussianBlur(mask, (0, 0), 0.12 * window.scale)
    relief = (dome + 0.35 * depth + 0.012 * (value - 1)).astype(np.float32)
    cover = np.clip(cover, 0, 1)
    shadow = cv2.GaussianBlur(cover, (0, 0), 0.05 * window.scale) * (1 - cover)
    return Hair(albedo, cover, lighting.normals(relief, window.scale), shadow)
