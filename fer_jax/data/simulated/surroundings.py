"""Ears, neck, shoulders, clothes, the hair behind, and what stands behind a person."""

import cv2
import numpy as np

from fer_jax.data.simulated import canvas
from fer_jax.data.simulated.canvas import Window
from fer_jax.data.simulated.hair import CUTS
from fer_jax.data.simulated.identity import Identity
from fer_jax.data.simulated.pose import Pose
from fer_jax.data.simulated.skin import tone


def ears(lit: np.ndarray, face: np.ndarray, window: Window, who: Identity, light) -> np.ndarray:
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


def build(actor, pose: Pose, light, seed: int) -> np.ndarray:
    """Background and body of a face.Actor, radiance float32 [H, W, C].

    Drawn at half size, for all of it is soft.
    """
    who, width, height, channels = actor.who, actor.width, actor.height, actor.channels
    scale = pose.scale / 2
    window = Window(
        -pose.x / pose.scale, -pose.y / pose.scale, scale, -(-width // 2), -(-height // 2)
    )
    rng = np.random.default_rng([seed, 5])
    image = _background(window, channels, rng)
    whole = (slice(0, window.height), slice(0, window.width))
    bright = light.ambient + 0.62 * light.strength
    x, y = window.grid()
    turn = light.strength * 0.42 * np.sin(light.azimuth)
    skin = np.asarray(who.skin)
    cut = CUTS.get(who.style)
    if cut and cut.locks:
        side, end = 1.10 + 0.6 * who.volume, cut.locks - 0.05
        right = [(1.0, -0.8), (side, 0.4), (side, end)]
        back = np.array([*right, *((-x, y) for x, y in right[::-1])])
        strand = canvas.noise(rng, window.height, window.width, 90, 9.0)
        colour = tone(np.asarray(who.hair) * bright * 0.55, channels)
        mask = canvas.polygon(window, back, whole, 0.05)
        canvas.paint(image, whole, colour * (1 + 0.18 * strand)[..., None], mask)
    jaw = who.jaw * 0.80
    neck = np.array(
        [
            (-jaw, 0.9),
            (jaw, 0.9),
            (jaw * 0.97, 1.9),
            (jaw * 1.25, 2.25),
            (2.1, 2.62),
            (2.1, 5),
            (-2.1, 5),
            (-2.1, 2.62),
            (-jaw * 1.25, 2.25),
            (-jaw * 0.97, 1.9),
        ]
    )
    shade = bright * (0.92 - 0.30 * (x / 0.9) ** 2) + turn * x
    shade = np.clip(shade, 0.12, 1.3) * (
        1 - 0.50 * np.exp(-(((y - 1.72) / 0.30) ** 2) - (x / 0.85) ** 2)
    )
    tendon = np.exp(-(((np.abs(x) - 0.30 + 0.12 * (y - 2.0)) / 0.05) ** 2)) * np.exp(
        -(((y - 2.1) / 0.35) ** 2)
    )
    flesh = tone(skin * (0.97, 0.93, 0.92), channels) * (shade * (1 - 0.10 * tendon))[..., None]
    canvas.paint(image, whole, flesh, canvas.polygon(window, neck, whole, 0.012))
    _clothes(image, window, whole, who, bright, turn, x, y, channels, rng)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).reshape(
        height, width, channels
    )


def _clothes(image, window, whole, who, bright, turn, x, y, channels, rng) -> None:
    depth = {'round': 0.16, 'vee': 0.62, 'shirt': 0.40}[who.collar]
    jaw = who.jaw * 0.80
    t = np.linspace(-1, 1, 15)
    power = 2.2 if who.collar == 'round' else 1.1
    neckline = np.stack([t * jaw * 1.22, 2.24 + depth * (1 - np.abs(t) ** power)], 1)
    shoulder = [
        (1.5, 2.42),
        (2.15, 2.62),
        (2.7, 3.0),
        (3.1, 6.0),
        (-3.1, 6.0),
        (-2.7, 3.0),
        (-2.15, 2.62),
        (-1.5, 2.42),
    ]
    garment = np.vstack([neckline, shoulder])
    folds = canvas.noise(rng, window.height, window.width, 9, 2.0)
    shade = np.clip(bright * (1 - 0.05 * x * x) + turn * 0.6 * x, 0.15, 1.4) * (1 + 0.05 * folds)
    canvas.paint(
        image,
        whole,
        tone(who.clothes, channels) * shade[..., None],
        canvas.polygon(window, garment, whole, 0.012),
    )
    seam = canvas.strokes(window, [neckline + (0, 0.05)], whole, 0.07, blur=0.02)
    canvas.paint(
        image, whole, tone(np.asarray(who.clothes) * 0.72, channels) * shade[..., None], seam * 0.8
    )
    if who.collar == 'shirt':
        for s in (-1, 1):
            flap = np.array(
                [(s * jaw * 1.2, 2.16), (s * jaw * 1.42, 2.34), (s * 0.52, 2.86), (s * 0.05, 2.66)]
            )
            canvas.paint(
                image,
                whole,
                tone(np.asarray(who.clothes) * 1.08 + 0.02, channels) * shade[..., None],
                canvas.polygon(window, flap, whole, 0.010),
            )
            edge = canvas.strokes(window, [flap[1:]], whole, 0.025, blur=0.012)
            canvas.paint(image, whole, tone(np.asarray(who.clothes) * 0.45, channels), edge * 0.6)


def _background(window: Window, channels: int, rng: np.random.Generator) -> np.ndarray:
    """A wall, a curtain or a blurred room."""
    h, w = window.height, window.width
    x, y = np.linspace(-1, 1, w, dtype=np.float32), np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    level = rng.uniform(0.16, 0.72)
    tint = np.clip(1 + rng.normal(0, 0.055, 3), 0.7, 1.3)
    kind = rng.choice(3)
    value = level * (1 + rng.normal(0, 0.14) * x + rng.normal(-0.05, 0.12) * y)
    if kind == 1:  # curtain
        value = value * (
            1 + 0.10 * np.sin(x * rng.uniform(14, 32) + rng.uniform(0, 6) + 0.6 * np.sin(2.5 * y))
        )
    elif kind == 2:  # furniture out of focus
        blocks = rng.random((rng.integers(2, 5), rng.integers(3, 7))).astype(np.float32)
        room = cv2.resize(blocks, (w, h), interpolation=cv2.INTER_NEAREST)
        value = value * (0.75 + 0.5 * cv2.GaussianBlur(room, (0, 0), w / 22))
    value = value * (1 + 0.03 * canvas.noise(rng, h, w, 6))
    return np.clip(value, 0.02, 1.0)[..., None] * tone(tint, channels)
