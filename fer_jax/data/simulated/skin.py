"""What of a head does not move with expression: its relief, skin texture, beard, shadows in the hollows."""

from dataclasses import dataclass

import cv2
import numpy as np

from fer_jax.data.simulated import canvas, geometry
from fer_jax.data.simulated.canvas import Window
from fer_jax.data.simulated.identity import Identity, luminance
from fer_jax.data.simulated.shapes import Bump


@dataclass(frozen=True)
class Skin:
    """Maps over the canonical window at rest: height [H, W] and occlusion [H, W] (1 open), albedo [H, W, C]."""

    height: np.ndarray
    occlusion: np.ndarray
    albedo: np.ndarray


def tone(colour, channels: int) -> np.ndarray:
    """An RGB colour as float32 [channels]: itself, or its luma."""
    rgb = np.asarray(colour, np.float32)
    return rgb if channels == 3 else luminance(rgb)


def _relief(who: Identity) -> list[Bump]:
    both = []
    for s in (-1, 1):
        both += [
            Bump(s * .40, who.brow_y + .05, .26, .085, .055),
            Bump(s * who.eye_x, .01, .22, .14, -.10),
            Bump(s * .18, -.02, .08, .14, -.045),
            Bump(s * .58, .40, .22, .20, .07 + .03 * who.fullness),
            Bump(s * .62, .92, .20, .26, -.035 + .05 * who.fullness),
            Bump(s * who.nose_width * .74, who.nose_y - .045, .07, .075, .12),
            Bump(s * (who.nose_width + .12), who.nose_y - .10, .07, .12, -.03),
            Bump(s * .88, -.50, .16, .22, -.05),
            Bump(s * .30, -.68, .26, .22, .018),
        ]
    n = who.nose_y
    return [*both,
        Bump(0, who.brow_y + .08, .10, .09, .03),
        Bump(0, .00, who.nose_bridge * 1.2, .18, .06),
        Bump(0, n * .35, who.nose_bridge * 1.35, .17, .095), Bump(0, n * .66, who.nose_bridge * 1.4, .15, .13),
        Bump(0, n - .10, .125 * who.nose_tip, .11, .21),
        Bump(0, who.mouth_y - .03, .36, .24, .10), Bump(0, n + .17, .035, .07, -.02),
        Bump(0, who.mouth_y + who.lip_low + .10, .20, .06, -.06),
        Bump(0, who.chin_y - .20, .20, .13, .10),
    ]  # fmt: skip


def build(who: Identity, window: Window, channels: int, rng: np.random.Generator) -> Skin:
    """The resting maps of `who` over `window`."""
    x, y = window.grid()
    h, w = x.shape
    head = geometry.outline(who)
    half = len(head) // 2
    side = head[: half + 1]
    across = np.sqrt(np.interp(y[:, 0], side[:, 1], side[:, 0]) ** 2 + .25 * np.clip(y[:, 0] - .7, 0, 1) + .55 * np.clip(-.7 - y[:, 0], 0, 1))[:, None]
    r2 = (x / across) ** 2
    v = (y - .1) / 1.75
    # A head is flatter in front than a sphere: a superellipse across, an ellipse along.
    height = .80 * np.sqrt(np.clip(1.05 - .72 * r2 - .30 * r2 * r2, .02, None)) * (1 - .42 * v * v)
    whole = (slice(0, h), slice(0, w))
    height += .30 * canvas.polygon(window, head, whole, .10)  # rounds the head off towards its contour
    for bump in _relief(who):
        where, value = canvas.gaussian(window, bump)
        height[where] += value
    occlusion = np.ones((h, w), np.float32)
    dark = [Bump(0, who.nose_y + .10, .20, .045, .20), Bump(0, who.mouth_y + who.lip_low + .09, .17, .05, .14)]
    for s in (-1, 1):
        dark += [
            Bump(s * .20, -.03, .08, .11, .12), Bump(s * who.eye_x, -.115, .20, .055, .15),
            Bump(s * (who.nose_width + .04), who.nose_y - .07, .045, .09, .16),
            Bump(s * who.eye_x, .13, .17, .05, .06 + .12 * who.age),
            Bump(s * .95, .9, .14, .5, .12),
        ]  # fmt: skip
    for bump in dark:
        where, value = canvas.gaussian(window, bump)
        occlusion[where] *= 1 - value
    base = tone(who.skin, channels)
    albedo = np.broadcast_to(base, (h, w, channels)).copy()
    mottle = canvas.noise(rng, h, w, 14) * .5 + canvas.noise(rng, h, w, 45) * .35
    pores = rng.standard_normal((h, w)).astype(np.float32)
    pores = cv2.GaussianBlur(pores, (0, 0), max(.5, window.scale / 110)) * 1.6
    height += pores * (.0007 + .0010 * who.age)
    albedo *= (1 + .022 * mottle + .012 * pores)[..., None]
    flush = tone(np.asarray(who.skin) * (1.02, .80, .80), channels)
    for bump in (Bump(0, who.nose_y - .1, .16, .16, .30), Bump(-.58, .48, .22, .18, .38), Bump(.58, .48, .22, .18, .38)):
        where, value = canvas.gaussian(window, bump)
        canvas.paint(albedo, where, flush, value)
    if who.freckles > 0:
        spots = np.clip(canvas.noise(rng, h, w, 90) - 1.15, 0, 1) * np.exp(-((y - .3) / .35) ** 2) * (np.abs(x) < .95)
        canvas.paint(albedo, np.s_[:, :], tone(np.asarray(who.skin) * (.66, .52, .45), channels), np.clip(spots * who.freckles, 0, .7))
    if who.beard or who.moustache:
        _beard(who, albedo, x, y, window, channels, rng)
    return Skin(height.astype(np.float32), occlusion, albedo)


def _beard(who: Identity, albedo: np.ndarray, x, y, window: Window, channels: int, rng: np.random.Generator) -> None:
    """Stubble to full beard along the jaw, and a moustache, laid into the albedo."""
    h, w = x.shape
    line = .62 + .50 * np.clip(1 - np.abs(x) / .95, 0, 1) - .85 * np.clip(np.abs(x) - .80, 0, 1)
    jaw = np.clip((y - line) / .16, 0, 1) * np.clip((np.abs(x) - .02) / .3 + (y > who.mouth_y), 0, 1)
    lip = np.exp(-(((y - (who.mouth_y - .20)) / .085) ** 2)) * np.clip((.50 - np.abs(x)) / .14, 0, 1)
    hairs = .5 + .5 * np.clip(canvas.noise(rng, h, w, 75, 2.2) + .5 * canvas.noise(rng, h, w, 140, 2.), -1, 1)
    amount = np.clip(jaw * who.beard + lip * who.moustache, 0, .96)
    amount = cv2.GaussianBlur(amount.astype(np.float32), (0, 0), .03 * window.scale)
    solid = np.clip(amount * (.72 + .5 * (hairs - .5)), 0, .95)
    canvas.paint(albedo, np.s_[:, :], tone(np.asarray(who.hair) * .9 + .015, channels), solid * .9)
