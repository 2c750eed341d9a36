"""A face as a pure function of who, action units, pose, light and camera: the image and its 68 landmarks.

    who = identity.sample(np.random.default_rng(0))
    picture = face.render(who, units.intensities({6: .8, 12: 1., 25: .7}), Pose(), Light(), channels=3)
    picture.image       # uint8 [490, 640, 3], RGB
    picture.landmarks   # float32 [68, 2], pixels, iBUG order

What stays the same through a sequence (skin and hair textures, shoulders, background) is kept in an Actor.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from fer_jax.data.simulated import canvas, features, geometry, hair, skin, surroundings
from fer_jax.data.simulated.canvas import Window
from fer_jax.data.simulated.identity import Identity
from fer_jax.data.simulated.pose import Pose, inverse_map, project
from fer_jax.data.simulated.skin import tone

_X0, _Y0, _WIDTH, _HEIGHT = -1.75, -2.15, 3.5, 4.75


@dataclass(frozen=True)
class Light:
    """One lamp and the room: angles in radians (azimuth to the viewer's right, elevation up)."""

    azimuth: float = -.5
    elevation: float = .6
    strength: float = .75
    ambient: float = .45

    def direction(self) -> np.ndarray:
        """Unit vector towards the lamp (x right, y down, z to the viewer)."""
        ce = np.cos(self.elevation)
        return np.array([np.sin(self.azimuth) * ce, -np.sin(self.elevation), np.cos(self.azimuth) * ce], np.float32)


@dataclass(frozen=True)
class Camera:
    """Blur in pixels (standard deviation), sensor noise in grey levels, gain, and gamma of the tone curve."""

    blur: float = .6
    noise: float = 2.
    gain: float = 1.
    gamma: float = 1.


@dataclass(frozen=True)
class Picture:
    """uint8 [H, W, C] (C 1 grey or 3 RGB) and the landmarks float32 [68, 2] in pixels."""

    image: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True)
class Actor:
    """A person before a background, prepared to be drawn many times at one size."""

    who: Identity
    scale: float
    width: int
    height: int
    channels: int
    window: Window
    surface: skin.Skin
    locks: hair.Hair


def prepare(who: Identity, scale: float, width: int, height: int, channels: int) -> Actor:
    """Draws what stays: `who`'s skin and hair at `scale` pixels per face unit, for images of this size."""
    window = Window(_X0, _Y0, scale, round(_WIDTH * scale), round(_HEIGHT * scale))
    surface = skin.build(who, window, channels, np.random.default_rng([who.seed, 1]))
    locks = hair.build(who, window, channels, np.random.default_rng([who.seed, 2]))
    return Actor(who, scale, width, height, channels, window, surface, locks)


def render(who: Identity | Actor, actions: np.ndarray, pose: Pose | None = None, light: Light | None = None,
           camera: Camera | None = None, *, width: int = 640, height: int = 490, channels: int = 1,
           background: int = 0, noise_seed: int = 0) -> Picture:  # fmt: skip
    """Draws one face.

    Args:
      who: the person, or an Actor that holds what was prepared for this pose's scale and these channels.
      actions: intensities float32 [2, U] as in units.py; the person's resting face is NOT added here.
      background: seed of what stands behind; noise_seed: seed of the sensor's noise.
    """
    pose, light, camera = pose or Pose(), light or Light(), camera or Camera()
    actor = who if isinstance(who, Actor) else prepare(who, pose.scale, width, height, channels)
    layer, cover, shape = head(actor, actions, pose, light)
    scene = surroundings.build(actor.who, pose, light, actor.width, actor.height, actor.channels, background)
    where = inverse_map(actor.who, pose, actor.width, actor.height)
    where = (where - np.float32((actor.window.x0, actor.window.y0))) * np.float32(actor.window.scale)
    stack = np.dstack([layer, cover])
    warped = cv2.remap(stack, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    image = scene * (1 - warped[..., -1:]) + warped[..., :-1]
    rng = np.random.default_rng([noise_seed, 3])
    return Picture(expose(image, camera, rng), project(actor.who, shape.landmarks, pose))


def expose(image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Radiance [H, W, C] (1 is white) through lens, sensor and tone curve to uint8."""
    if camera.blur > .2:
        image = cv2.GaussianBlur(image, (0, 0), camera.blur).reshape(image.shape)
    image = np.clip(image * camera.gain, 0, 1)
    if camera.gamma != 1:
        image = image**camera.gamma
    image = image * 255
    if camera.noise > 0:
        grain = rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None]
        image = image + camera.noise * grain
    return np.clip(image + .5, 0, 255).astype(np.uint8)


def head(actor: Actor, actions: np.ndarray, pose: Pose, light: Light) -> tuple[np.ndarray, np.ndarray, geometry.Geometry]:
    """The lit head, unposed, over the actor's window: radiance [H, W, C] times coverage [H, W], that, and its lines."""
    who, window = actor.who, actor.window
    shape = geometry.build(who, actions)
    whole = (slice(0, window.height), slice(0, window.width))
    height, occlusion, albedo = _carried(actor, shape)
    for bump in shape.bumps:
        where, value = canvas.gaussian(window, bump)
        height[where] += value
    albedo = albedo.copy()
    _press(height, albedo, window, who, shape)
    features.nose(albedo, window, who, shape)
    features.mouth(albedo, window, who, shape)
    features.eyes(albedo, window, who, shape, pose.gaze)
    features.brows(albedo, window, who, shape, np.random.default_rng([who.seed, 4]))
    toward = pose.rotation().T @ light.direction()
    lit = albedo * (illumination(height, window.scale, toward, light) * occlusion)[..., None]
    lit += _shine(height, window.scale, toward, light, who.shine)[..., None]
    features.highlights(lit, window, who, shape, pose.gaze, toward)
    face = canvas.polygon(window, shape.outline, whole, .006)
    cover = surroundings.ears(lit, face, window, who, light)
    features.glasses(lit, window, who)
    locks = actor.locks
    hair_light = illumination(locks.height + .9 * height, window.scale, toward, light)
    under = canvas.soften((locks.cover * 255).astype(np.uint8), .05 * window.scale)
    lit *= (1 - .45 * under * (1 - locks.cover))[..., None]
    strands = locks.albedo * (hair_light * 1.05 + .05)[..., None]
    alpha = locks.cover[..., None]
    layer = lit * (cover[..., None] * (1 - alpha)) + strands * alpha
    return layer, 1 - (1 - cover) * (1 - locks.cover), shape


def _carried(actor: Actor, shape: geometry.Geometry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The skin's maps, carried along by the jaw and by the muscles' pull."""
    who, window, rest = actor.who, actor.window, actor.surface
    if shape.drop < 1e-3 and not shape.shifts:
        return rest.height.copy(), rest.occlusion, rest.albedo
    x, y = window.grid()
    rows = y[:, 0]
    moved = rows + geometry.lower(rows, who, shape.drop)
    source = np.interp(rows, moved, rows).astype(np.float32)
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    for bump, sx, sy in shape.shifts:
        where, value = canvas.gaussian(window, bump)
        dx[where] += sx * value
        dy[where] += sy * value
    map_x = (x - dx - window.x0) * window.scale
    map_y = (source[:, None] - dy - window.y0) * window.scale
    stack = np.dstack([rest.height, rest.occlusion, rest.albedo])
    stack = cv2.remap(stack, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(stack[..., 0]), stack[..., 1], stack[..., 2:]


def _press(height: np.ndarray, albedo: np.ndarray, window: Window, who: Identity, shape: geometry.Geometry) -> None:
    """Presses creases and lips into the relief and darkens the creases."""
    for crease in shape.creases:
        where = window.around(crease.points, .12 * crease.width)
        segments = [crease.points[k:k + 2] for k in range(len(crease.points) - 1)]
        values = [int(255 * min(1., (crease.depth[k] + crease.depth[k + 1]) / 2)) for k in range(len(segments))]
        groove = canvas.strokes(window, segments, where, .030 * crease.width, values, .018 * crease.width)
        height[where] -= .050 * crease.width * groove
        dark = tone(np.asarray(who.skin) * (.50, .38, .33), albedo.shape[2])
        canvas.paint(albedo, where, dark, .55 * groove)
    for top, bottom, rise in ((shape.lip_top, shape.lip_seam_top, .035), (shape.lip_seam_bottom, shape.lip_bottom, .055)):
        band = np.vstack([top, bottom[::-1]])
        where = window.around(band, .08)
        height[where] += rise * canvas.polygon(window, band, where, .028)
    for eye in shape.eyes:
        lids = np.vstack([eye.crease, eye.lower[::-1] + (0, .02)])
        where = window.around(lids, .10)
        height[where] += .05 * canvas.polygon(window, lids, where, .045)


def _normals(height: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=scale / 8)
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=scale / 8)
    return gx, gy, 1 / np.sqrt(1 + gx * gx + gy * gy)


def illumination(height: np.ndarray, scale: float, toward: np.ndarray, light: Light) -> np.ndarray:
    """Irradiance on a relief [H, W] in face units, from the lamp in direction `toward` and the room."""
    gx, gy, n = _normals(height, scale)
    cosine = (toward[2] - gx * toward[0] - gy * toward[1]) * n
    soft = np.clip((cosine + .25) / 1.25, 0, None)  # skin lets light through at the terminator
    return light.ambient * (.55 + .45 * n) + light.strength * soft


def _shine(height: np.ndarray, scale: float, toward: np.ndarray, light: Light, amount: float) -> np.ndarray:
    gx, gy, n = _normals(height, scale)
    half = toward + (0, 0, 1)
    half = half / np.linalg.norm(half)
    cosine = np.clip((half[2] - gx * half[0] - gy * half[1]) * n, 0, 1)
    return amount * light.strength * cosine**18
