"""Eyes, brows, nose, mouth and glasses, painted into a head's albedo before it is lit."""

import numpy as np

from fer_jax.data.simulated import canvas
from fer_jax.data.simulated.canvas import Window
from fer_jax.data.simulated.geometry import Geometry
from fer_jax.data.simulated.identity import Identity
from fer_jax.data.simulated.shapes import Bump, Eye
from fer_jax.data.simulated.skin import tone


def brows(image: np.ndarray, window: Window, who: Identity, shape: Geometry, rng: np.random.Generator) -> None:
    """Each brow: a soft band and hairs that lean outwards."""
    colour = tone(np.asarray(who.hair) * .62 + np.asarray(who.skin) * .04, image.shape[2])
    for line, width in zip(shape.brows, shape.brow_widths, strict=True):
        where = window.around(line, .12)
        band = np.vstack([line - np.stack([0 * width, .5 * width], 1), (line + np.stack([0 * width, .5 * width], 1))[::-1]])
        mask = canvas.polygon(window, band, where, .012) * who.brow_density * .72
        side = np.sign(line[-1, 0])
        at = rng.random(46) ** .85 * (len(line) - 1)
        lift = rng.uniform(-.5, .5, 46)
        root = np.stack([np.interp(at, np.arange(len(line)), line[:, c]) for c in (0, 1)], 1)
        thick = np.interp(at, np.arange(len(line)), width)
        root[:, 1] += lift * thick
        along = at / (len(line) - 1)
        lean = np.stack([side * (.35 + .65 * along), -.75 + .85 * along - .6 * lift], 1)
        tip = root + lean * (.055 + .02 * rng.random(46))[:, None]
        hairs = list(np.stack([root, tip], 1))
        mask = np.maximum(mask, .80 * canvas.strokes(window, hairs, where, .011, blur=.004))
        canvas.paint(image, where, colour, np.clip(mask, 0, .95))


def eyes(image: np.ndarray, window: Window, who: Identity, shape: Geometry, gaze: tuple[float, float]) -> None:
    """Eyeballs within the lids, then lashes, creases and the lids' rims."""
    channels = image.shape[2]
    skin = np.asarray(who.skin)
    for eye in shape.eyes:
        outline = np.vstack([eye.upper, eye.lower[::-1]])
        where = window.around(np.vstack([outline, eye.crease]), .14)
        # the lid between its crease and its rim
        lid = canvas.polygon(window, np.vstack([eye.crease, eye.upper[::-1]]), where, .012)
        canvas.paint(image, where, tone(skin * (1.02, .97, .96), channels), lid * .45)
        if eye.opening > .04:
            _eyeball(image, window, who, eye, outline, where, gaze)
        fold = canvas.strokes(window, [eye.crease], where, .016, blur=.010) * (1 - .75 * who.hood)
        canvas.paint(image, where, tone(skin * (.50, .40, .36), channels), fold * .75)
        rim = canvas.strokes(window, [eye.lower[2:]], where, .012, blur=.006)
        canvas.paint(image, where, tone(skin * (.52, .40, .37), channels), rim * .60)
        lashes = canvas.strokes(window, [eye.upper[1:]], where, .020 + .012 * who.lashes, blur=.005)
        _, y = _coordinates(window, where)
        dark = tone(np.asarray(who.hair) * .25 + .015, channels)
        tips = _lashes(eye, who.lashes)
        lashes = np.maximum(lashes, canvas.strokes(window, tips, where, .010, blur=.003) * .8)
        canvas.paint(image, where, dark, np.clip(lashes * (.72 + .25 * who.lashes), 0, .96))


def _coordinates(window: Window, where: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = where
    x = window.x0 + np.arange(columns.start, columns.stop, dtype=np.float32) / window.scale
    y = window.y0 + np.arange(rows.start, rows.stop, dtype=np.float32) / window.scale
    return x[None], y[:, None]


def _lashes(eye: Eye, amount: float) -> list[np.ndarray]:
    """A few lashes at the outer half of the upper lid."""
    roots = eye.upper[13:25:2]
    turn = np.linspace(.2, .9, len(roots))
    reach = .05 * amount
    return [np.stack([r, r + (eye.side * reach * k, -reach * (1.2 - k) * .8)]) for r, k in zip(roots, turn, strict=True)]


def _eyeball(image, window, who: Identity, eye: Eye, outline, where, gaze) -> None:
    channels = image.shape[2]
    x, y = _coordinates(window, where)
    cx, cy = eye.centre[0] + gaze[0] * .07, eye.centre[1] + gaze[1] * .04
    radius = np.sqrt((x - cx) ** 2 + (y - cy) ** 2)
    edge = .8 / window.scale
    across = (x - eye.centre[0]) / who.eye_width
    ball = np.ones((*np.broadcast_shapes(x.shape, y.shape), channels), np.float32)
    ball *= tone((.86, .83, .81), channels) * (1 - .30 * np.abs(across) ** 2.5)[..., None]
    inner = np.clip(1 - np.hypot(x - eye.upper[0, 0], (y - eye.upper[0, 1])) / .06, 0, 1)
    ball += (tone((.78, .50, .47), channels) - ball) * (inner * .8)[..., None]
    disc = np.clip((who.iris - radius) / edge + .5, 0, 1)
    ring = np.clip(1.12 - (radius / who.iris) ** 4 * .62, .3, 1.1) * (1 + .12 * np.sin(9 * np.arctan2(y - cy, x - cx)))
    lower_glow = 1 + .35 * np.clip((y - cy) / who.iris, -1, 1)
    iris = tone(who.eyes, channels) * (ring * lower_glow)[..., None]
    ball += (iris - ball) * disc[..., None]
    pupil = np.clip((who.iris * .42 - radius) / edge + .5, 0, 1)
    ball *= 1 - .93 * pupil[..., None]
    shade = canvas.strokes(window, [eye.upper], where, .05, blur=.022)
    ball *= 1 - .62 * shade[..., None]
    canvas.paint(image, where, ball, canvas.polygon(window, outline, where, .004))


def highlights(image: np.ndarray, window: Window, who: Identity, shape: Geometry, gaze, light) -> None:
    """The light's reflection in each eye, on the lit image; `light` is its (x, y) direction."""
    for eye in shape.eyes:
        if eye.opening < .25:
            continue
        cx = eye.centre[0] + gaze[0] * .05 + .30 * who.iris * light[0]
        cy = eye.centre[1] + gaze[1] * .03 - .34 * who.iris
        dot = Bump(cx, cy, .021, .021, min(1., 1.0 * eye.opening))
        where, value = canvas.gaussian(window, dot)
        inside = canvas.polygon(window, np.vstack([eye.upper, eye.lower[::-1]]), where, .004)
        canvas.paint(image, where, tone((.98, .98, .98), image.shape[2]), np.clip(value * 1.3, 0, 1) * inside)


def nose(image: np.ndarray, window: Window, who: Identity, shape: Geometry) -> None:
    """Nostrils, the wings' rims and the shadow under the tip."""
    channels = image.shape[2]
    skin = np.asarray(who.skin)
    n, y0 = who.nose_width, who.nose_y
    reach = np.array([(-n - .1, y0 - .25), (n + .1, y0 + .12)])
    where = window.around(reach, .05)
    t = np.linspace(0, 1, 9)
    holes, wings = [], []
    for s, wing in zip((-1, 1), shape.nose_y, strict=True):
        flare = 1 + 1.2 * (y0 - wing)
        angle = np.linspace(0, 2 * np.pi, 14)
        holes.append(np.stack([s * .44 * n * flare + .062 * np.cos(angle) - s * .012 * np.sin(angle),
                               wing + .035 + .024 * np.sin(angle) - .016 * np.cos(angle) * s], 1))  # fmt: skip
        arc = np.pi * (.30 + .75 * t)
        wings.append(np.stack([s * (n * flare - .085 + .085 * np.sin(arc)), wing - .055 - .085 * np.cos(arc - .2)], 1))
    rim = canvas.strokes(window, wings, where, .024, blur=.016)
    canvas.paint(image, where, tone(skin * (.50, .38, .34), channels), rim * .62)
    for hole in holes:
        canvas.paint(image, where, tone(skin * (.18, .11, .10), channels), canvas.polygon(window, hole, where, .012) * .88)


def mouth(image: np.ndarray, window: Window, who: Identity, shape: Geometry) -> None:
    """Lips; between them, when they part, the cavity with teeth and tongue."""
    channels = image.shape[2]
    lips = np.asarray(who.lips)
    outer = np.vstack([shape.lip_top, shape.lip_bottom[::-1]])
    where = window.around(outer, .10)
    top = np.vstack([shape.lip_top, shape.lip_seam_top[::-1]])
    low = np.vstack([shape.lip_seam_bottom, shape.lip_bottom[::-1]])
    canvas.paint(image, where, tone(lips * .80, channels), canvas.polygon(window, top, where, .010) * .88)
    canvas.paint(image, where, tone(lips * 1.02, channels), canvas.polygon(window, low, where, .012) * .82)
    if shape.opening > .012:
        _cavity(image, window, shape, where, channels)
    seam = (shape.lip_seam_top + shape.lip_seam_bottom) / 2
    lines = [seam] if shape.opening <= .03 else [shape.lip_seam_top]
    line = canvas.strokes(window, lines, where, .022, blur=.008)
    canvas.paint(image, where, tone(lips * (.26, .20, .20), channels), line * .85)
    for end in (0, -1):
        corner = seam[end]
        spot, value = canvas.gaussian(window, Bump(corner[0] - .01 * np.sign(corner[0]), corner[1], .030, .026, .60))
        canvas.paint(image, spot, tone(np.asarray(who.skin) * (.34, .25, .23), channels), value)


def _cavity(image, window, shape: Geometry, where, channels: int) -> None:
    inside = np.vstack([shape.lip_seam_top, shape.lip_seam_bottom[::-1]])
    mask = canvas.polygon(window, inside, where, .006)
    x, y = _coordinates(window, where)
    hole = np.ones((*mask.shape, channels), np.float32) * tone((.10, .035, .035), channels)
    middle = len(shape.lip_seam_top) // 2
    floor, roof = shape.lip_seam_bottom[middle, 1], shape.lip_seam_top[middle, 1]
    width = shape.lip_seam_top[-1, 0] - shape.lip_seam_top[0, 0]
    gap = shape.opening
    if gap > .10:
        tongue = np.clip(1.15 - np.hypot(x / (.27 * width), (y - floor) / (.40 * gap)) ** 2, 0, 1) ** .7
        hole += (tone((.56, .24, .23), channels) - hole) * (tongue * .85)[..., None]
        lower_teeth = np.clip((y - (floor - .055)) / .012, 0, 1) * np.clip(1.2 - np.abs(x) / (.24 * width), 0, 1)
        if gap < .26:
            hole += (tone((.66, .62, .57), channels) - hole) * (lower_teeth * .55)[..., None]
    # upper teeth hang from the upper lip's seam
    xs = shape.lip_seam_top[:, 0]
    seam = np.interp(x[0], xs, shape.lip_seam_top[:, 1])[None]
    length = min(.115, .78 * gap)
    arch = length * np.clip(1.15 - (np.abs(x) / (.46 * width)) ** 3, 0, 1)
    teeth = np.clip((seam + arch - y) * window.scale + .5, 0, 1) * np.clip((.47 * width - np.abs(x)) / .05, 0, 1)
    gaps = 1 - .16 * np.exp(-((np.abs(np.mod(np.abs(x), .075) - .0375) - .0375) / .008) ** 2)
    ivory = tone((.90, .87, .80), channels) * ((.72 + .28 * np.clip((y - seam) / .06, 0, 1)) * gaps * (1 - .45 * (np.abs(x) / (.5 * width)) ** 2))[..., None]
    hole += (ivory - hole) * (teeth * .95)[..., None]
    shadow = np.clip(1 - (y - roof + .05) / .05, 0, 1) * .3
    canvas.paint(image, where, hole * (1 - shadow[..., None]), mask)


def glasses(image: np.ndarray, window: Window, who: Identity) -> None:
    """Frames and a faint glare, on the lit image."""
    if who.glasses == 'none':
        return
    angle = np.linspace(0, 2 * np.pi, 40)
    power = .62 if who.glasses == 'square' else 1.
    cx, rx, ry = who.eye_x + .01, .315, .235 if who.glasses == 'square' else .275
    ring = np.stack([np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power * rx,
                     np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power * ry + .05], 1)  # fmt: skip
    lines = [ring + (s * cx, 0) for s in (-1, 1)]
    gap = cx - rx
    t = np.linspace(-1, 1, 9)
    lines.append(np.stack([t * gap, -.02 - .03 * (1 - t * t)], 1))
    lines += [np.array([(s * (cx + rx), -.03), (s * 1.0, -.06)]) for s in (-1, 1)]
    where = window.around(np.vstack(lines), .05)
    frame = canvas.strokes(window, lines, where, .030, blur=.003)
    shadow = np.roll(canvas.strokes(window, lines, where, .04, blur=.02), max(1, round(.03 * window.scale)), 0)
    canvas.paint(image, where, tone(np.asarray(who.skin) * .35, image.shape[2]), shadow * .30)
    dark = .08 if sum(who.hair) < 1.2 else .2
    canvas.paint(image, where, tone((dark, dark * .85, dark * .75), image.shape[2]), frame * .93)
