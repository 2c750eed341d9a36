"""Turns a head: its third dimension, the projection, and the inverse that a warp needs."""

import dataclasses

import cv2
import numpy as np

from fer_jax.simulation.people.canvas import Window
from fer_jax.simulation.people.identity import Identity

_PIVOT = np.array([0.0, 0.75, -0.75], np.float32)  # the neck's top, about which a head turns
_DISTANCE = 11.0  # of the camera, in face units: a weak perspective
_CELL = 8  # pixels between the nodes at which the projection is inverted


@dataclasses.dataclass(frozen=True)
class Pose:
    """A head's pose: how it is held and where.

    yaw (to the viewer's right), pitch (down) and roll (clockwise) in radians; gaze -1..1 to the
    viewer's right and down; x, y: where the origin of the face units lies in the image, in pixels;
    scale: pixels per face unit.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    x: float = 320.0
    y: float = 215.0
    scale: float = 95.0

    @classmethod
    def at(cls, angles: np.ndarray, gaze: np.ndarray, x: float, y: float, scale: float) -> 'Pose':
        """Builds a pose from arrays: angles [3], yaw, pitch and roll in radians; gaze [2]."""
        yaw, pitch, roll = map(float, angles)
        return cls(yaw, pitch, roll, (gaze[0], gaze[1]), x, y, scale)

    def rotation(self) -> np.ndarray:
        """Returns the matrix [3, 3] from the head's axes to the camera's (z towards the viewer)."""
        (cy, sy), (cp, sp), (cr, sr) = (
            (np.cos(v), np.sin(v)) for v in (self.yaw, self.pitch, self.roll)
        )
        yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return (roll @ pitch @ yaw).astype(np.float32)


def depth(who: Identity, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Computes how far a point of the face stands out towards the viewer, in face units.

    It is coarser than the relief that is lit, so that it is smooth enough to invert the pose.
    """
    z = 0.80 - 0.62 * x * x - 0.16 * (y - 0.1) ** 2
    z = np.maximum(z, -0.9)
    n = who.nose_y
    z = z + 0.22 * np.exp(-0.5 * ((x / 0.15) ** 2 + ((y - n + 0.14) / 0.20) ** 2))
    z = z + 0.10 * np.exp(-0.5 * ((x / 0.15) ** 2 + ((y - n * 0.4) / 0.25) ** 2))
    return z + 0.08 * np.exp(-0.5 * ((x / 0.25) ** 2 + ((y - who.chin_y + 0.15) / 0.18) ** 2))


def project(who: Identity, points: np.ndarray, pose: Pose) -> np.ndarray:
    """Projects points of the face [..., 2] in face units to pixels [..., 2] of the image."""
    x, y = points[..., 0], points[..., 1]
    p = np.stack([x, y, depth(who, x, y)], -1) - _PIVOT
    p = p @ pose.rotation().T + _PIVOT
    near = _DISTANCE / (_DISTANCE - p[..., 2:])
    return (p[..., :2] * near * pose.scale + (pose.x, pose.y)).astype(np.float32)


def inverse_map(
    who: Identity, pose: Pose, corner: tuple[int, int], size: tuple[int, int], window: Window
) -> np.ndarray:
    """Maps each pixel of a rectangle of the image to the window's pixel, float32 [h, w, 2].

    The map is solved on a grid of nodes eight pixels apart and interpolated between.

    Args:
      corner: x and y of the rectangle's first pixel; size: its width and height.
    """
    columns, rows = -(-size[0] // _CELL) + 1, -(-size[1] // _CELL) + 1
    nodes = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).astype(np.float32)
    pixels = nodes * np.float32(_CELL) + np.float32((_CELL - 1) / 2) + np.array(corner, np.float32)
    flat = np.linalg.inv(pose.rotation()[:2, :2]).T / np.float32(pose.scale)
    p = (pixels - project(who, np.zeros(2, np.float32), pose)) @ flat
    step = np.float32(0.01)
    for _ in range(3):  # Newton's, with differences for derivatives
        at = project(who, p, pose)
        ax, ay = (
            np.moveaxis(project(who, p + np.array((step, 0), np.float32), pose) - at, -1, 0) / step
        )
        bx, by = (
            np.moveaxis(project(who, p + np.array((0, step), np.float32), pose) - at, -1, 0) / step
        )
        ex, ey = np.moveaxis(at - pixels, -1, 0)
        # Where the surface turns away from the camera the system is singular.
        det = np.maximum(ax * by - ay * bx, np.float32(0.15 * pose.scale**2))
        move = np.stack([(by * ex - bx * ey) / det, (ax * ey - ay * ex) / det], -1)
        p = p - np.clip(move, -0.5, 0.5)
    p = window.pixels(p)
    whole = cv2.resize(
        p.astype(np.float32), None, fx=_CELL, fy=_CELL, interpolation=cv2.INTER_LINEAR
    )
    return whole[: size[1], : size[0]]
