"""A face as a pure function of who, action units, pose, light and camera.

    who = identity.sample(np.random.default_rng(0))
    smile = units.intensities({6: 0.8, 12: 1.0, 25: 0.7})
    picture = face.render(who, smile, Pose(yaw=0.1), Light(), channels=3)
    picture.image       # uint8 [490, 640, 3], RGB
    picture.landmarks   # float32 [68, 2], pixels, iBUG order

What stays the same through a sequence (skin, hair, noise) is drawn once and kept in an Actor.
"""

import dataclasses
from typing import Any

import cv2
import numpy as np

from fer_jax.simulation.people import canvas, features, geometry, hair, skin, surroundings
from fer_jax.simulation.people.canvas import Window
from fer_jax.simulation.people.identity import Identity
from fer_jax.simulation.people.lighting import Camera, Light, expose, illumination, normals, shine
from fer_jax.simulation.people.pose import Pose, inverse_map, project
from fer_jax.simulation.people.skin import tone

_X0, _Y0, _WIDTH, _HEIGHT = -1.75, -2.15, 3.5, 4.75


@dataclasses.dataclass(frozen=True)
class Picture:
    """uint8 [H, W, C] (C 1 grey or 3 RGB) and the landmarks float32 [68, 2] in pixels."""

    image: np.ndarray
    landmarks: np.ndarray


@dataclasses.dataclass(frozen=True)
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
    grain: np.ndarray

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels of its images."""
        return self.height, self.width, self.channels


def prepare(who: Identity, scale: float, width: int, height: int, channels: int) -> Actor:
    """Draws the parts that stay, for images of this size at `scale` pixels a face unit."""
    window = Window(_X0, _Y0, scale, round(_WIDTH * scale), round(_HEIGHT * scale))
    surface = skin.build(who, window, channels, np.random.default_rng([who.seed, 1]))
    locks = hair.build(who, window, channels, np.random.default_rng([who.seed, 2]))
    grain = np.random.default_rng([who.seed, 3]).standard_normal(
        (height + 40, width + 40), dtype=np.float32
    )
    grain = cv2.GaussianBlur(grain, (3, 1), 0.6)  # a camera's noise is smooth along its lines
    return Actor(who, scale, width, height, channels, window, surface, locks, grain)


def render(
    who: Identity | Actor,
    actions: np.ndarray,
    pose: Pose | None = None,
    light: Light | None = None,
    camera: Camera | None = None,
    *,
    width: int = 640,
    height: int = 490,
    channels: int = 1,
    background: int = 0,
    scene: np.ndarray | None = None,
    noise_seed: int = 0,
) -> Picture:
    """Draws one face.

    Args:
      who: the person; or an Actor, which sets size and channels, prepared for about the scale of
        `pose`.
      actions: intensities float32 [2, U] as in units.py; the person's resting face is NOT added
        here.
      background: seed of the background.
      scene: a result of surroundings.build, to be used instead.
      noise_seed: seed of the sensor's noise.
    """
    pose, light, camera = pose or Pose(), light or Light(), camera or Camera()
    actor = who if isinstance(who, Actor) else prepare(who, pose.scale, width, height, channels)
    if scene is None:
        scene = surroundings.build(actor.who, pose, light, actor.size, background)
    layer, shape = head(actor, actions, pose, light)
    radiance = scene.copy()
    rows, columns, where = _place(actor, pose)
    no_map: Any = None  # `where` holds x and y
    warped = cv2.remap(layer, where, no_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    part = radiance[rows, columns]
    part *= 1 - warped[..., -1:]
    part += warped[..., :-1]
    image = expose(radiance, camera, _grain(actor, noise_seed))
    return Picture(image, project(actor.who, shape.landmarks, pose))


def _place(actor: Actor, pose: Pose) -> tuple[slice, slice, np.ndarray]:
    """Finds the rows and columns of the image that the head's window can reach, and the map.

    The map [h, w, 2] holds the pixel of the window that each of these pixels shows.
    """
    w = actor.window
    x, y = np.meshgrid((w.x0, 0, w.x0 + w.width / w.scale), (w.y0, 0, w.y0 + w.height / w.scale))
    reach = project(actor.who, np.stack([x, y], -1).reshape(-1, 2).astype(np.float32), pose)
    low = np.clip(np.floor(reach.min(0)).astype(int), 0, (actor.width - 1, actor.height - 1))
    high = np.clip(np.ceil(reach.max(0)).astype(int) + 1, low + 1, (actor.width, actor.height))
    where = inverse_map(actor.who, pose, tuple(low), tuple(high - low), w)
    return slice(low[1], high[1]), slice(low[0], high[0]), where


def _grain(actor: Actor, seed: int) -> np.ndarray:
    """Cuts sensor noise of unit deviation [H, W] out of the actor's, at random and mirrored."""
    rng = np.random.default_rng([seed, 3])
    spare = np.subtract(actor.grain.shape, (actor.height, actor.width))
    top, left = rng.integers(0, spare + 1)
    grain = actor.grain[top : top + actor.height, left : left + actor.width]
    flip_y, flip_x = 1 - 2 * rng.integers(0, 2, 2)
    return grain[::flip_y, ::flip_x]


def head(
    actor: Actor, actions: np.ndarray, pose: Pose, light: Light
) -> tuple[np.ndarray, geometry.Geometry]:
    """Draws the lit head before it is posed, and its lines.

    The head is [H, W, C + 1] over the actor's window: radiance times coverage, then coverage.
    """
    who, window = actor.who, actor.window
    shape = geometry.build(who, actions)
    whole = window.whole
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
    toward = (pose.rotation().T @ light.direction()).astype(np.float32)
    normal = normals(height, window.scale)
    lit = albedo * (illumination(normal, toward, light) * occlusion)[..., None]
    lit += shine(normal, toward, light, who.shine)[..., None]
    features.highlights(lit, window, who, shape, pose.gaze, toward)
    face = canvas.polygon(window, shape.outline, whole, 0.006)
    cover = surroundings.ears(lit, face, window, who, light)
    features.glasses(lit, window, who)
    locks = actor.locks
    hair_light = illumination(locks.normal, toward, light)
    lit *= (1 - 0.45 * locks.shadow)[..., None]
    strands = locks.albedo * (hair_light * 1.05 + 0.05)[..., None]
    alpha = locks.cover[..., None]
    layer = lit * (cover[..., None] * (1 - alpha)) + strands * alpha
    return np.dstack([layer, 1 - (1 - cover) * (1 - locks.cover)]), shape


def _carried(actor: Actor, shape: geometry.Geometry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moves the skin's maps with the jaw and with the muscles' pull."""
    who, window, rest = actor.who, actor.window, actor.surface
    if shape.mouth.drop < 1e-3 and not shape.shifts:
        return rest.height.copy(), rest.occlusion, rest.albedo
    x, y = window.grid()
    rows = y[:, 0]
    moved = rows + geometry.lower(rows, who, shape.mouth.drop)
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


def _press(
    height: np.ndarray, albedo: np.ndarray, window: Window, who: Identity, shape: geometry.Geometry
) -> None:
    """Presses creases and lips into the relief and darkens the creases."""
    lines = [c.points for c in shape.creases]
    if lines:
        where = window.around(np.vstack(lines), 0.12)
        segments = [line[k : k + 2] for line in lines for k in range(len(line) - 1)]
        depth = np.concatenate([c.depth[1:] + c.depth[:-1] for c in shape.creases])
        values = np.round(np.clip(depth, 0, 2) * 3) / 6
        groove = canvas.strokes(window, segments, where, 0.036, values.tolist(), 0.022)
        height[where] -= 0.060 * groove
        dark = tone(np.asarray(who.skin) * (0.50, 0.38, 0.33), albedo.shape[2])
        canvas.paint(albedo, where, dark, 0.55 * groove)
    for top, bottom, rise in (
        (shape.mouth.top, shape.mouth.seam_top, 0.035),
        (shape.mouth.seam_bottom, shape.mouth.bottom, 0.055),
    ):
        band = np.vstack([top, bottom[::-1]])
        where = window.around(band, 0.08)
        height[where] += rise * canvas.polygon(window, band, where, 0.028)
    for eye in shape.eyes:
        lids = np.vstack([eye.crease, eye.lower[::-1] + (0, 0.02)])
        where = window.around(lids, 0.10)
        height[where] += 0.05 * canvas.polygon(window, lids, where, 0.045)
