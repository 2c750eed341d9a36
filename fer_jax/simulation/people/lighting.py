"""Lamp, skin and camera: from a relief and its albedo to grey levels."""

import dataclasses

import cv2
import numpy as np

from fer_jax.simulation.people.identity import Identity, luminance

_CURVE_STEPS = 4096


@dataclasses.dataclass(frozen=True)
class Light:
    """One lamp and the room: angles in radians (azimuth to the viewer's right, elevation up)."""

    azimuth: float = -0.5
    elevation: float = 0.6
    strength: float = 0.75
    ambient: float = 0.45

    def direction(self) -> np.ndarray:
        """Computes the unit vector towards the lamp (x right, y down, z to the viewer)."""
        ce = np.cos(self.elevation)
        return np.array(
            [np.sin(self.azimuth) * ce, -np.sin(self.elevation), np.cos(self.azimuth) * ce],
            np.float32,
        )


@dataclasses.dataclass(frozen=True)
class Camera:
    """Blur (standard deviation, pixels), noise (grey levels), gain, gamma."""

    blur: float = 0.6
    noise: float = 2.0
    gain: float = 1.0
    gamma: float = 1.0


def normals(height: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the unit normals (x, y, z), each [H, W], of a relief in face units."""
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=-scale / 8)
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=-scale / 8)
    n = 1 / np.sqrt(1 + gx * gx + gy * gy)
    return gx * n, gy * n, n


def illumination(normal: tuple, toward: np.ndarray, light: Light) -> np.ndarray:
    """Computes irradiance [H, W] on a surface from the lamp in direction `toward` and the room."""
    nx, ny, nz = normal
    cosine = nx * toward[0] + ny * toward[1] + nz * toward[2]
    # Light goes a little round the edge, in skin as in hair.
    soft = np.maximum((cosine + np.float32(0.25)) * np.float32(1 / 1.25), 0)
    room = np.float32(0.55) + np.float32(0.45) * nz
    return np.float32(light.ambient) * room + np.float32(light.strength) * soft


def shine(normal: tuple, toward: np.ndarray, light: Light, amount: float) -> np.ndarray:
    """Computes the lamp's reflection [H, W] off moist or oily skin."""
    nx, ny, nz = normal
    half = toward + (0, 0, 1)
    half = (half / np.linalg.norm(half)).astype(np.float32)
    cosine = np.maximum(nx * half[0] + ny * half[1] + nz * half[2], 0)
    fourth = cosine**2 * cosine**2
    return np.float32(amount * light.strength) * (fourth * fourth) * (fourth * fourth)


def expose(image: np.ndarray, camera: Camera, grain: np.ndarray) -> np.ndarray:
    """Converts radiance [H, W, C] (1 is white) through lens, tone curve and sensor to uint8.

    grain: noise of unit deviation, [H, W].
    """
    if camera.blur > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), camera.blur).reshape(image.shape)
    levels = _CURVE_STEPS / 1.6 * camera.gain
    curve = tone_curve(
        np.arange(_CURVE_STEPS, dtype=np.float32) / (_CURVE_STEPS / 1.6), camera.gamma
    )
    image = np.take(curve, np.clip(image * levels, 0, _CURVE_STEPS - 1).astype(np.uint16))
    if camera.noise > 0:
        image += camera.noise * grain[..., None]
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def exposure(who: Identity, light: Light, level: float) -> float:
    """Computes the gain of a camera that aims at a mean `level` 0..1 of this skin in this light.

    It gets two thirds of the way, in logarithms.
    """
    seen = float(luminance(np.asarray(who.skin))[0]) * (light.ambient + 0.55 * light.strength)
    return float(np.clip((level / seen) ** 0.67, 0.45, 2.6))


def tone_curve(radiance: np.ndarray, gamma: float) -> np.ndarray:
    """Maps radiance to grey levels 0..255: a power, with a soft shoulder above two thirds."""
    shoulder = np.where(
        radiance < 0.66, radiance, 0.66 + 0.34 * np.tanh((radiance - 0.66) / 0.34 * 0.9)
    )
    return (255 * shoulder**gamma).astype(np.float32)
