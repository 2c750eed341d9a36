"""Ears, neck, shoulders, clothes, the hair behind, and what stands behind a person."""

import cv2
import numpy as np

from fer_jax.simulation.people import canvas
from fer_jax.simulation.people.canvas import Window
from fer_jax.simulation.people.hair import CUTS
from fer_jax.simulation.people.identity import Identity
from fer_jax.simulation.people.lighting import Light
from fer_jax.simulation.people.pose import Pose
from fer_jax.simulation.people.skin import tone


def ears(
    lit: np.ndarray, face: np.ndarray, window: Window, who: Identity, light: Light
) -> np.ndarray:
    """Paints the ears beside the head, in place; returns what head and ears cover, [H, W]."""
    cover = face
    angle = np.linspace(0, 2 * np.pi, 24)
    for s in (-1, 1):
        centre = np.array([s * (who.width + 0.035), 0.16])
        tilt = 0.10 * np.sin(angle) * -s
        ring = centre + np.stack([0.105 * np.cos(angle) + tilt * 0.5, who.ear * np.sin(angle)], 1)
        where = window.around(ring, 0.05)
        mask = canvas.polygon(window, ring, where, 0.008)
        bright = light.ambient + light.strength * np.clip(
            0.45 + 0.45 * s * np.sin(light.azimuth), 0, 1
        )
        skin = tone(np.asarray(who.skin) * (0.92, 0.78, 0.74), lit.shape[2]) * bright * 0.9
        outside = mask * (1 - face[where])
        canvas.paint(lit, where, skin, outside)
        inner = centre + (ring - centre) * (0.55, 0.62)
        fold = canvas.strokes(window, [np.vstack([inner, inner[:1]])], where, 0.03, blur=0.018)
        canvas.paint(lit, where, skin * 0.5, fold * outside * 0.7)
        cover = cover.copy()
        cover[where] = np.maximum(cover[where], mask)
    return cover


def build(
    who: Identity, pose: Pose, light: Light, size: tuple[int, int, int], seed: int
) -> np.ndarray:
    """Draws background and body for images of `size` (height, width, channels), radiance float32.

    They are drawn at half size, because all of it is soft.
    """
    height, width, channels = size
    scale = pose.scale / 2
    window = Window(
        -pose.x / pose.scale, -pose.y / pose.scale, scale, -(-width // 2), -(-height // 2)
    )
    rng = np.random.default_rng([seed, 5])
    image = _background(window, channels, rng)
    bright = light.ambient + 0.62 * light.strength
    turn = light.strength * 0.42 * np.sin(light.azimuth)
    cut = CUTS.get(who.style)
    if cut and cut.locks:
        side, end = 1.10 + 0.6 * who.volume, cut.locks - 0.05
        back = _mirrored([(1.0, -0.8), (side, 0.4), (side, end)])
        strand = canvas.noise(rng, window.height, window.width, 90, 9.0)
        colour = tone(np.asarray(who.hair) * bright * 0.55, channels)
        mask = canvas.polygon(window, back, window.whole, 0.05)
        canvas.paint(image, window.whole, colour * (1 + 0.18 * strand)[..., None], mask)
    canvas.paint(image, window.whole, *_neck(who, window, channels, bright, turn))
    _clothes(image, window, who, bright, turn, rng)
    whole = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return whole.reshape(size)


def _mirrored(right: list[tuple[float, float]]) -> np.ndarray:
    """Completes a symmetric contour, [2 n, 2], from its right half."""
    return np.array([*right, *((-x, y) for x, y in right[::-1])])


def _neck(
    who: Identity, window: Window, channels: int, bright: float, turn: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draws lit skin of neck and shoulders [H, W, C] and where it is seen [H, W]."""
    jaw = 0.80 * who.jaw
    contour = [(jaw, 0.9), (0.97 * jaw, 1.9), (1.25 * jaw, 2.25), (2.1, 2.62), (2.1, 5)]
    x, y = window.grid()
    under_chin = np.exp(-(((y - 1.72) / 0.30) ** 2) - (x / 0.85) ** 2)
    shade = np.clip(bright * (0.92 - 0.30 * (x / 0.9) ** 2) + turn * x, 0.12, 1.3)
    shade = shade * (1 - 0.50 * under_chin)
    tendon = ((np.abs(x) - 0.30 + 0.12 * (y - 2.0)) / 0.05) ** 2 + ((y - 2.1) / 0.35) ** 2
    shade = shade * (1 - 0.10 * np.exp(-tendon))
    flesh = tone(np.asarray(who.skin) * (0.97, 0.93, 0.92), channels) * shade[..., None]
    return flesh, canvas.polygon(window, _mirrored(contour), window.whole, 0.012)


def _clothes(
    image: np.ndarray,
    window: Window,
    who: Identity,
    bright: float,
    turn: float,
    rng: np.random.Generator,
) -> None:
    x, _ = window.grid()
    jaw = 0.80 * who.jaw
    depth = {'round': 0.16, 'vee': 0.62, 'shirt': 0.40}[who.collar]
    t = np.linspace(-1, 1, 15)
    drop = depth * (1 - np.abs(t) ** (2.2 if who.collar == 'round' else 1.1))
    neckline = np.stack([t * jaw * 1.22, 2.24 + drop], 1)
    shoulders = _mirrored([(1.5, 2.42), (2.15, 2.62), (2.7, 3.0), (3.1, 6.0)])
    folds = canvas.noise(rng, window.height, window.width, 9, 2.0)
    shade = np.clip(bright * (1 - 0.05 * x * x) + turn * 0.6 * x, 0.15, 1.4) * (1 + 0.05 * folds)

    def paint(lightness: float, mask: np.ndarray) -> None:
        colour = tone(np.asarray(who.clothes) * lightness, image.shape[2])
        canvas.paint(image, window.whole, colour * shade[..., None], mask)

    garment = np.vstack([neckline, shoulders])
    paint(1.0, canvas.polygon(window, garment, window.whole, 0.012))
    seam = [neckline + (0, 0.05)]
    paint(0.72, 0.8 * canvas.strokes(window, seam, window.whole, 0.07, blur=0.02))
    if who.collar == 'shirt':
        for s in (-1, 1):
            right = ((jaw * 1.2, 2.16), (jaw * 1.42, 2.34), (0.52, 2.86), (0.05, 2.66))
            flap = np.array(right) * (s, 1)
            paint(1.12, canvas.polygon(window, flap, window.whole, 0.010))
            edge = canvas.strokes(window, [flap[1:]], window.whole, 0.025, blur=0.012)
            paint(0.45, 0.6 * edge)


def _background(window: Window, channels: int, rng: np.random.Generator) -> np.ndarray:
    """Draws a wall, a curtain or a blurred room."""
    h, w = window.height, window.width
    x, y = np.linspace(-1, 1, w, dtype=np.float32), np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    level = rng.uniform(0.16, 0.72)
    tint = np.clip(1 + rng.normal(0, 0.055, 3), 0.7, 1.3)
    kind = rng.choice(3)
    value = level * (1 + rng.normal(0, 0.14) * x + rng.normal(-0.05, 0.12) * y)
    if kind == 1:  # curtain
        fold = x * rng.uniform(14, 32) + rng.uniform(0, 6) + 0.6 * np.sin(2.5 * y)
        value = value * (1 + 0.10 * np.sin(fold))
    elif kind == 2:  # furniture out of focus
        blocks = rng.random((rng.integers(2, 5), rng.integers(3, 7))).astype(np.float32)
        room = cv2.resize(blocks, (w, h), interpolation=cv2.INTER_NEAREST)
        value = value * (0.75 + 0.5 * cv2.GaussianBlur(room, (0, 0), w / 22))
    value = value * (1 + 0.03 * canvas.noise(rng, h, w, 6))
    return np.clip(value, 0.02, 1.0)[..., None] * tone(tint, channels)
