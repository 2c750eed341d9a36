"""Eyes, brows, nose, mouth and glasses, painted into a head's albedo before it is lit."""

import numpy as np

from fer_jax.simulation.people import canvas
from fer_jax.simulation.people.canvas import Window
from fer_jax.simulation.people.geometry import Geometry
from fer_jax.simulation.people.identity import Identity
from fer_jax.simulation.people.shapes import Bump, Eye, Mouth
from fer_jax.simulation.people.skin import tone


def brows(
    image: np.ndarray, window: Window, who: Identity, shape: Geometry, rng: np.random.Generator
) -> None:
    """Paints each brow: a soft band and hairs that lean outwards."""
    colour = tone(np.asarray(who.hair) * 0.62 + np.asarray(who.skin) * 0.04, image.shape[2])
    for brow in shape.brows:
        line, width = brow.line, brow.width
        where = window.around(line, 0.12)
        half = np.stack([0 * width, 0.5 * width], 1)
        band = np.vstack([line - half, (line + half)[::-1]])
        mask = canvas.polygon(window, band, where, 0.012) * who.brow_density * 0.72
        side = np.sign(line[-1, 0])
        at = rng.random(46) ** 0.85 * (len(line) - 1)
        lift = rng.uniform(-0.5, 0.5, 46)
        root = np.stack([np.interp(at, np.arange(len(line)), line[:, c]) for c in (0, 1)], 1)
        thick = np.interp(at, np.arange(len(line)), width)
        root[:, 1] += lift * thick
        along = at / (len(line) - 1)
        lean = np.stack([side * (0.35 + 0.65 * along), -0.75 + 0.85 * along - 0.6 * lift], 1)
        tip = root + lean * (0.055 + 0.02 * rng.random(46))[:, None]
        hairs = list(np.stack([root, tip], 1))
        mask = np.maximum(mask, 0.80 * canvas.strokes(window, hairs, where, 0.011, blur=0.004))
        canvas.paint(image, where, colour, np.clip(mask, 0, 0.95))


def eyes(
    image: np.ndarray, window: Window, who: Identity, shape: Geometry, gaze: tuple[float, float]
) -> None:
    """Paints eyeballs within the lids, then lashes, creases and the lids' rims."""
    channels = image.shape[2]
    skin = np.asarray(who.skin)
    for eye in shape.eyes:
        outline = np.vstack([eye.upper, eye.lower[::-1]])
        where = window.around(np.vstack([outline, eye.crease]), 0.14)
        # the lid between its crease and its rim
        lid = canvas.polygon(window, np.vstack([eye.crease, eye.upper[::-1]]), where, 0.012)
        canvas.paint(image, where, tone(skin * (1.02, 0.97, 0.96), channels), lid * 0.45)
        if eye.opening > 0.04:
            _eyeball(image, window, who, eye, outline, where, gaze)
        fold = canvas.strokes(window, [eye.crease], where, 0.016, blur=0.010) * (
            1 - 0.75 * who.hood
        )
        canvas.paint(image, where, tone(skin * (0.50, 0.40, 0.36), channels), fold * 0.75)
        rim = canvas.strokes(window, [eye.lower[2:]], where, 0.012, blur=0.006)
        canvas.paint(image, where, tone(skin * (0.52, 0.40, 0.37), channels), rim * 0.60)
        lashes = canvas.strokes(
            window, [eye.upper[1:]], where, 0.020 + 0.012 * who.lashes, blur=0.005
        )
        dark = tone(np.asarray(who.hair) * 0.25 + 0.015, channels)
        tips = _lashes(eye, who.lashes)
        lashes = np.maximum(lashes, canvas.strokes(window, tips, where, 0.010, blur=0.003) * 0.8)
        canvas.paint(image, where, dark, np.clip(lashes * (0.72 + 0.25 * who.lashes), 0, 0.96))


def _lashes(eye: Eye, amount: float) -> list[np.ndarray]:
    """Paints a few lashes at the outer half of the upper lid."""
    roots = eye.upper[13:25:2]
    turn = np.linspace(0.2, 0.9, len(roots))
    reach = 0.05 * amount
    return [
        np.stack([r, r + (eye.side * reach * k, -reach * (1.2 - k) * 0.8)])
        for r, k in zip(roots, turn, strict=True)
    ]


def _eyeball(
    image: np.ndarray,
    window: Window,
    who: Identity,
    eye: Eye,
    outline: np.ndarray,
    where: tuple[slice, slice],
    gaze: tuple[float, float],
) -> None:
    """Paints white, iris, pupil and the upper lid's shadow, cut out by the lids' outline."""
    channels = image.shape[2]
    x, y = window.coordinates(where)
    cx, cy = eye.centre[0] + gaze[0] * 0.07, eye.centre[1] + gaze[1] * 0.04
    radius = np.sqrt((x - cx) ** 2 + (y - cy) ** 2)
    edge = 0.8 / window.scale
    across = (x - eye.centre[0]) / who.eye_width
    ball = np.ones((*np.broadcast_shapes(x.shape, y.shape), channels), np.float32)
    ball *= tone((0.86, 0.83, 0.81), channels) * (1 - 0.30 * np.abs(across) ** 2.5)[..., None]
    inner = np.clip(1 - np.hypot(x - eye.upper[0, 0], (y - eye.upper[0, 1])) / 0.06, 0, 1)
    ball += (tone((0.78, 0.50, 0.47), channels) - ball) * (inner * 0.8)[..., None]
    disc = np.clip((who.iris - radius) / edge + 0.5, 0, 1)
    ring = np.clip(1.12 - (radius / who.iris) ** 4 * 0.62, 0.3, 1.1) * (
        1 + 0.12 * np.sin(9 * np.arctan2(y - cy, x - cx))
    )
    lower_glow = 1 + 0.35 * np.clip((y - cy) / who.iris, -1, 1)
    iris = tone(who.eyes, channels) * (ring * lower_glow)[..., None]
    ball += (iris - ball) * disc[..., None]
    pupil = np.clip((who.iris * 0.42 - radius) / edge + 0.5, 0, 1)
    ball *= 1 - 0.93 * pupil[..., None]
    shade = canvas.strokes(window, [eye.upper], where, 0.05, blur=0.022)
    ball *= 1 - 0.62 * shade[..., None]
    canvas.paint(image, where, ball, canvas.polygon(window, outline, where, 0.004))


def highlights(
    image: np.ndarray, window: Window, who: Identity, shape: Geometry, gaze, light
) -> None:
    """Paints the light's reflection in each lit eye; `light` is its (x, y) direction."""
    for eye in shape.eyes:
        if eye.opening < 0.25:
            continue
        cx = eye.centre[0] + gaze[0] * 0.05 + 0.30 * who.iris * light[0]
        cy = eye.centre[1] + gaze[1] * 0.03 - 0.34 * who.iris
        dot = Bump(cx, cy, 0.021, 0.021, min(1.0, eye.opening))
        where, value = canvas.gaussian(window, dot)
        inside = canvas.polygon(window, np.vstack([eye.upper, eye.lower[::-1]]), where, 0.004)
        canvas.paint(
            image,
            where,
            tone((0.98, 0.98, 0.98), image.shape[2]),
            np.clip(value * 1.3, 0, 1) * inside,
        )


def nose(image: np.ndarray, window: Window, who: Identity, shape: Geometry) -> None:
    """Paints nostrils, the wings' rims and the shadow under the tip."""
    channels = image.shape[2]
    skin = np.asarray(who.skin)
    n, y0 = who.nose_width, who.nose_y
    reach = np.array([(-n - 0.1, y0 - 0.25), (n + 0.1, y0 + 0.12)])
    where = window.around(reach, 0.05)
    t = np.linspace(0, 1, 9)
    holes, wings = [], []
    for s, wing in zip((-1, 1), shape.wings, strict=True):
        flare = 1 + 1.2 * (y0 - wing)
        angle = np.linspace(0, 2 * np.pi, 14)
        holes.append(
            np.stack(
                [
                    s * 0.44 * n * flare + 0.062 * np.cos(angle) - s * 0.012 * np.sin(angle),
                    wing + 0.035 + 0.024 * np.sin(angle) - 0.016 * np.cos(angle) * s,
                ],
                1,
            )
        )
        arc = np.pi * (0.30 + 0.75 * t)
        wings.append(
            np.stack(
                [
                    s * (n * flare - 0.085 + 0.085 * np.sin(arc)),
                    wing - 0.055 - 0.085 * np.cos(arc - 0.2),
                ],
                1,
            )
        )
    rim = canvas.strokes(window, wings, where, 0.024, blur=0.016)
    canvas.paint(image, where, tone(skin * (0.50, 0.38, 0.34), channels), rim * 0.62)
    for hole in holes:
        canvas.paint(
            image,
            where,
            tone(skin * (0.18, 0.11, 0.10), channels),
            canvas.polygon(window, hole, where, 0.012) * 0.88,
        )


def mouth(image: np.ndarray, window: Window, who: Identity, shape: Geometry) -> None:
    """Paints the lips and, where they part, the cavity with teeth and tongue between them."""
    channels = image.shape[2]
    lips = np.asarray(who.lips)
    outer = np.vstack([shape.mouth.top, shape.mouth.bottom[::-1]])
    where = window.around(outer, 0.10)
    top = np.vstack([shape.mouth.top, shape.mouth.seam_top[::-1]])
    low = np.vstack([shape.mouth.seam_bottom, shape.mouth.bottom[::-1]])
    canvas.paint(
        image, where, tone(lips * 0.80, channels), canvas.polygon(window, top, where, 0.010) * 0.88
    )
    canvas.paint(
        image, where, tone(lips * 1.02, channels), canvas.polygon(window, low, where, 0.012) * 0.82
    )
    if shape.mouth.opening > 0.012:
        _cavity(image, window, shape.mouth, where, channels)
    seam = (shape.mouth.seam_top + shape.mouth.seam_bottom) / 2
    lines = [seam] if shape.mouth.opening <= 0.03 else [shape.mouth.seam_top]
    line = canvas.strokes(window, lines, where, 0.022, blur=0.008)
    canvas.paint(image, where, tone(lips * (0.26, 0.20, 0.20), channels), line * 0.85)
    for end in (0, -1):
        corner = seam[end]
        spot, value = canvas.gaussian(
            window, Bump(corner[0] - 0.01 * np.sign(corner[0]), corner[1], 0.030, 0.026, 0.60)
        )
        canvas.paint(image, spot, tone(np.asarray(who.skin) * (0.34, 0.25, 0.23), channels), value)


def _cavity(
    image: np.ndarray, window: Window, lips: Mouth, where: tuple[slice, slice], channels: int
) -> None:
    """Paints what parted lips show: teeth above, tongue and teeth below, darkness between."""
    inside = np.vstack([lips.seam_top, lips.seam_bottom[::-1]])
    mask = canvas.polygon(window, inside, where, 0.006)
    x, y = window.coordinates(where)
    hole = np.ones((*mask.shape, channels), np.float32) * tone((0.10, 0.035, 0.035), channels)
    middle = len(lips.seam_top) // 2
    floor, roof = lips.seam_bottom[middle, 1], lips.seam_top[middle, 1]
    width = lips.seam_top[-1, 0] - lips.seam_top[0, 0]
    gap = lips.opening
    if gap > 0.10:
        bulge = 1.15 - np.hypot(x / (0.27 * width), (y - floor) / (0.40 * gap)) ** 2
        tongue = np.clip(bulge, 0, 1) ** 0.7
        hole += (tone((0.56, 0.24, 0.23), channels) - hole) * (tongue * 0.85)[..., None]
        lower_teeth = np.clip((y - (floor - 0.055)) / 0.012, 0, 1) * np.clip(
            1.2 - np.abs(x) / (0.24 * width), 0, 1
        )
        if gap < 0.26:
            hole += (tone((0.66, 0.62, 0.57), channels) - hole) * (lower_teeth * 0.55)[..., None]
    # upper teeth hang from the upper lip's seam
    xs = lips.seam_top[:, 0]
    seam = np.interp(x[0], xs, lips.seam_top[:, 1])[None]
    length = min(0.115, 0.78 * gap)
    arch = length * np.clip(1.15 - (np.abs(x) / (0.46 * width)) ** 3, 0, 1)
    teeth = np.clip((seam + arch - y) * window.scale + 0.5, 0, 1) * np.clip(
        (0.47 * width - np.abs(x)) / 0.05, 0, 1
    )
    gaps = 1 - 0.16 * np.exp(-(((np.abs(np.mod(np.abs(x), 0.075) - 0.0375) - 0.0375) / 0.008) ** 2))
    bright = (0.72 + 0.28 * np.clip((y - seam) / 0.06, 0, 1)) * gaps
    bright = bright * (1 - 0.45 * (np.abs(x) / (0.5 * width)) ** 2)
    ivory = tone((0.90, 0.87, 0.80), channels) * bright[..., None]
    hole += (ivory - hole) * (teeth * 0.95)[..., None]
    shadow = np.clip(1 - (y - roof + 0.05) / 0.05, 0, 1) * 0.3
    canvas.paint(image, where, hole * (1 - shadow[..., None]), mask)


def glasses(image: np.ndarray, window: Window, who: Identity) -> None:
    """Paints frames and their shadow on the lit image."""
    if who.glasses == 'none':
        return
    angle = np.linspace(0, 2 * np.pi, 40)
    power = 0.62 if who.glasses == 'square' else 1.0
    cx, rx, ry = who.eye_x + 0.01, 0.315, 0.235 if who.glasses == 'square' else 0.275
    ring = np.stack(
        [
            np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power * rx,
            np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power * ry + 0.05,
        ],
        1,
    )
    lines = [ring + (s * cx, 0) for s in (-1, 1)]
    gap = cx - rx
    t = np.linspace(-1, 1, 9)
    lines.append(np.stack([t * gap, -0.02 - 0.03 * (1 - t * t)], 1))
    lines += [np.array([(s * (cx + rx), -0.03), (s * 1.0, -0.06)]) for s in (-1, 1)]
    where = window.around(np.vstack(lines), 0.05)
    frame = canvas.strokes(window, lines, where, 0.030, blur=0.003)
    shadow = np.roll(
        canvas.strokes(window, lines, where, 0.04, blur=0.02), max(1, round(0.03 * window.scale)), 0
    )
    canvas.paint(image, where, tone(np.asarray(who.skin) * 0.35, image.shape[2]), shadow * 0.30)
    dark = 0.08 if sum(who.hair) < 1.2 else 0.2
    canvas.paint(image, where, tone((dark, dark * 0.85, dark * 0.75), image.shape[2]), frame * 0.93)
