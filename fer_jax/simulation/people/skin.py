"""Parts of a face that expression only carries along: relief, skin texture, beard, dark hollows."""

import dataclasses

import cv2
import numpy as np

from fer_jax.simulation.people import canvas, geometry
from fer_jax.simulation.people.canvas import Window
from fer_jax.simulation.people.identity import Identity, luminance
from fer_jax.simulation.people.shapes import Bump


@dataclasses.dataclass(frozen=True)
class Skin:
    """Maps over the face's window at rest.

    height [H, W] in face units; occlusion [H, W], 1 where open; albedo [H, W, C].
    """

    height: np.ndarray
    occlusion: np.ndarray
    albedo: np.ndarray


def tone(colour, channels: int) -> np.ndarray:
    """Converts an RGB colour to float32 [channels]: itself, or its luma."""
    rgb = np.asarray(colour, np.float32)
    return rgb if channels == 3 else luminance(rgb)


def _relief(who: Identity) -> list[Bump]:
    both = []
    for s in (-1, 1):
        both += [
            Bump(s * 0.40, who.brow_y + 0.05, 0.26, 0.085, 0.055),
            Bump(s * who.eye_x, 0.01, 0.22, 0.14, -0.10),
            Bump(s * 0.18, -0.02, 0.08, 0.14, -0.045),
            Bump(s * 0.58, 0.40, 0.22, 0.20, 0.07 + 0.03 * who.fullness),
            Bump(s * 0.62, 0.92, 0.20, 0.26, -0.035 + 0.05 * who.fullness),
            Bump(s * who.nose_width * 0.74, who.nose_y - 0.045, 0.07, 0.075, 0.12),
            Bump(s * (who.nose_width + 0.12), who.nose_y - 0.10, 0.07, 0.12, -0.03),
            Bump(s * 0.88, -0.50, 0.16, 0.22, -0.05),
            Bump(s * 0.30, -0.68, 0.26, 0.22, 0.018),
        ]
    n = who.nose_y
    return [
        *both,
        Bump(0, who.brow_y + 0.08, 0.10, 0.09, 0.03),
        Bump(0, 0.00, who.nose_bridge * 1.2, 0.18, 0.06),
        Bump(0, n * 0.35, who.nose_bridge * 1.35, 0.17, 0.095),
        Bump(0, n * 0.66, who.nose_bridge * 1.4, 0.15, 0.13),
        Bump(0, n - 0.10, 0.125 * who.nose_tip, 0.11, 0.21),
        Bump(0, who.mouth_y - 0.03, 0.36, 0.24, 0.10),
        Bump(0, n + 0.17, 0.035, 0.07, -0.02),
        Bump(0, who.mouth_y + who.lip_low + 0.10, 0.20, 0.06, -0.06),
        Bump(0, who.chin_y - 0.20, 0.20, 0.13, 0.10),
    ]


def build(who: Identity, window: Window, channels: int, rng: np.random.Generator) -> Skin:
    """Draws the resting maps of `who` over `window`."""
    pores = rng.standard_normal((window.height, window.width)).astype(np.float32)
    pores = cv2.GaussianBlur(pores, (0, 0), max(0.5, window.scale / 110)) * 1.6
    height = _height(who, window) + pores * (0.0007 + 0.0010 * who.age)
    albedo = _albedo(who, window, channels, pores, rng)
    return Skin(height.astype(np.float32), _occlusion(who, window), albedo)


def _height(who: Identity, window: Window) -> np.ndarray:
    x, y = window.grid()
    head = geometry.outline(who)
    side = head[: len(head) // 2 + 1]
    contour = np.interp(y[:, 0], side[:, 1], side[:, 0])
    # Wider than the contour at chin and skull, where a ridge would stand in the middle otherwise.
    wider = 0.25 * np.clip(y[:, 0] - 0.7, 0, 1) + 0.55 * np.clip(-0.7 - y[:, 0], 0, 1)
    r2 = (x / np.sqrt(contour**2 + wider)[:, None]) ** 2
    # A head is flatter in front than a sphere: a superellipse across, an ellipse along.
    across = np.sqrt(np.clip(1.05 - 0.72 * r2 - 0.30 * r2 * r2, 0.02, None))
    height = 0.80 * across * (1 - 0.42 * ((y - 0.1) / 1.75) ** 2)
    height += 0.30 * canvas.polygon(window, head, window.whole, 0.10)  # round at its contour
    for bump in _relief(who):
        where, value = canvas.gaussian(window, bump)
        height[where] += value
    return height


def _occlusion(who: Identity, window: Window) -> np.ndarray:
    occlusion = np.ones((window.height, window.width), np.float32)
    dark = [
        Bump(0, who.nose_y + 0.10, 0.20, 0.045, 0.20),
        Bump(0, who.mouth_y + who.lip_low + 0.09, 0.17, 0.05, 0.14),
    ]
    for s in (-1, 1):
        dark += [
            Bump(s * 0.20, -0.03, 0.08, 0.11, 0.12),
            Bump(s * who.eye_x, -0.115, 0.20, 0.055, 0.15),
            Bump(s * (who.nose_width + 0.04), who.nose_y - 0.07, 0.045, 0.09, 0.16),
            Bump(s * who.eye_x, 0.13, 0.17, 0.05, 0.06 + 0.12 * who.age),
            Bump(s * 0.95, 0.9, 0.14, 0.5, 0.12),
        ]
    for bump in dark:
        where, value = canvas.gaussian(window, bump)
        occlusion[where] *= 1 - value
    return occlusion


def _albedo(
    who: Identity, window: Window, channels: int, pores: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws mottled skin with flushed nose and cheeks, freckles and beard."""
    x, y = window.grid()
    h, w = x.shape
    mottle = canvas.noise(rng, h, w, 14) * 0.5 + canvas.noise(rng, h, w, 45) * 0.35
    albedo = tone(who.skin, channels) * (1 + 0.022 * mottle + 0.012 * pores)[..., None]
    flush = tone(np.asarray(who.skin) * (1.02, 0.80, 0.80), channels)
    for bump in (
        Bump(0, who.nose_y - 0.1, 0.16, 0.16, 0.30),
        Bump(-0.58, 0.48, 0.22, 0.18, 0.38),
        Bump(0.58, 0.48, 0.22, 0.18, 0.38),
    ):
        where, value = canvas.gaussian(window, bump)
        canvas.paint(albedo, where, flush, value)
    if who.freckles > 0:
        spots = np.clip(canvas.noise(rng, h, w, 90) - 1.15, 0, 1) * (np.abs(x) < 0.95)
        spots = spots * np.exp(-(((y - 0.3) / 0.35) ** 2))
        brown = tone(np.asarray(who.skin) * (0.66, 0.52, 0.45), channels)
        canvas.paint(albedo, window.whole, brown, np.clip(spots * who.freckles, 0, 0.7))
    if who.beard or who.moustache:
        hairs = tone(np.asarray(who.hair) * 0.9 + 0.015, channels)
        canvas.paint(albedo, window.whole, hairs, _beard(who, window, rng))
    return albedo


def _beard(who: Identity, window: Window, rng: np.random.Generator) -> np.ndarray:
    """Draws coverage [H, W] of stubble or beard along the jaw, and of a moustache."""
    x, y = window.grid()
    h, w = x.shape
    x = np.abs(x)
    line = 0.62 + 0.50 * np.clip(1 - x / 0.95, 0, 1) - 0.85 * np.clip(x - 0.80, 0, 1)
    jaw = np.clip((y - line) / 0.16, 0, 1) * np.clip((x - 0.02) / 0.3 + (y > who.mouth_y), 0, 1)
    lip = np.exp(-(((y - who.mouth_y + 0.20) / 0.085) ** 2)) * np.clip((0.50 - x) / 0.14, 0, 1)
    hairs = canvas.noise(rng, h, w, 110, 2.0) + 0.5 * canvas.noise(rng, h, w, 190, 1.5)
    amount = np.clip(jaw * who.beard + lip * who.moustache, 0, 0.96).astype(np.float32)
    amount = cv2.GaussianBlur(amount, (0, 0), 0.03 * window.scale)
    return 0.9 * np.clip(amount * (0.74 + 0.18 * np.clip(hairs, -1, 1)), 0, 0.95)
