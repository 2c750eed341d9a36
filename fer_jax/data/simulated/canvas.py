"""Drawing in face units on a NumPy image: soft polygons, lines and Gaussians, each confined to its window."""

from dataclasses import dataclass

import cv2
import numpy as np

_BITS = 4  # fractional bits of OpenCV's fixed-point coordinates


@dataclass(frozen=True)
class Window:
    """A rectangle of the canonical plane at `scale` pixels per face unit; pixel (0, 0) lies at (x0, y0)."""

    x0: float
    y0: float
    scale: float
    width: int
    height: int

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Face units [n, 2] to pixels [n, 2]."""
        return (np.asarray(points, np.float32) - (self.x0, self.y0)) * self.scale

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Face-unit coordinates of every pixel, each float32 [H, W]."""
        x = self.x0 + np.arange(self.width, dtype=np.float32) / self.scale
        y = self.y0 + np.arange(self.height, dtype=np.float32) / self.scale
        return np.broadcast_to(x, (self.height, self.width)), np.broadcast_to(y[:, None], (self.height, self.width))

    def around(self, points: np.ndarray, margin: float) -> tuple[slice, slice]:
        """The pixels around points [n, 2], `margin` face units on each side, as slices of rows and columns."""
        p = self.pixels(points)
        pad = margin * self.scale + 2
        low, high = np.floor(p.min(0) - pad).astype(int), np.ceil(p.max(0) + pad).astype(int) + 1
        x0, x1 = np.clip([low[0], high[0]], 0, self.width)
        y0, y1 = np.clip([low[1], high[1]], 0, self.height)
        return slice(y0, y1), slice(x0, x1)


def fixed(points: np.ndarray) -> np.ndarray:
    """Pixels [n, 2] as OpenCV's fixed-point int32."""
    return np.round(points * (1 << _BITS)).astype(np.int32)


def polygon(window: Window, points: np.ndarray, where: tuple[slice, slice], blur: float = 0.) -> np.ndarray:
    """Coverage 0..1 of a filled polygon over `where`, its edge softened by `blur` face units, float32 [h, w]."""
    rows, columns = where
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    p = window.pixels(points) - (columns.start, rows.start)
    cv2.fillPoly(mask, [fixed(p)], 255, cv2.LINE_AA, _BITS)
    return soften(mask, blur * window.scale)


def strokes(window: Window, lines: list[np.ndarray], where: tuple[slice, slice], width: float,
            values: list[int] | None = None, blur: float = 0.) -> np.ndarray:  # fmt: skip
    """Coverage 0..1 of open polylines `width` face units wide over `where`, float32 [h, w].

    Lines thinner than a pixel are drawn one pixel wide and fainter.
    """
    rows, columns = where
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    thick = width * window.scale
    faint = min(1., thick)
    for k, line in enumerate(lines):
        p = fixed(window.pixels(line) - (columns.start, rows.start))
        value = int((255 if values is None else values[k]) * faint)
        cv2.polylines(mask, [p], False, value, max(1, round(thick)), cv2.LINE_AA, _BITS)
    return soften(mask, blur * window.scale)


def soften(mask: np.ndarray, sigma: float) -> np.ndarray:
    """uint8 coverage as float32 0..1, blurred by `sigma` pixels."""
    out = mask.astype(np.float32) * np.float32(1 / 255)
    if sigma > .3 and out.size:
        out = cv2.GaussianBlur(out, (0, 0), sigma)
    return out


def paint(image: np.ndarray, where: tuple[slice, slice], colour: np.ndarray, mask: np.ndarray) -> None:
    """Lays `colour` ([C] or [h, w, C]) over image [H, W, C] in place where `mask` [h, w] covers it."""
    part = image[where]
    part += (np.asarray(colour, np.float32) - part) * mask[..., None]


def gaussian(window: Window, bump) -> tuple[tuple[slice, slice], np.ndarray]:
    """A Bump as (where, values [h, w]), cut off at three standard deviations."""
    reach = np.array([[bump.x - 2.8 * bump.sx, bump.y - 2.8 * bump.sy], [bump.x + 2.8 * bump.sx, bump.y + 2.8 * bump.sy]])
    rows, columns = where = window.around(reach, 0.)
    x = window.x0 + np.arange(columns.start, columns.stop, dtype=np.float32) / window.scale
    y = window.y0 + np.arange(rows.start, rows.stop, dtype=np.float32) / window.scale
    gx = np.exp(-.5 * ((x - bump.x) / bump.sx) ** 2)
    gy = np.exp(-.5 * ((y - bump.y) / bump.sy) ** 2)
    return where, (bump.amount * gy)[:, None] * gx[None]


def noise(rng: np.random.Generator, height: int, width: int, cells: float, stretch: float = 1.) -> np.ndarray:
    """Smooth noise of unit deviation [H, W] with about `cells` cells across; `stretch` elongates it upright."""
    w = max(2, round(cells))
    h = max(2, round(cells * height / width / stretch))
    small = rng.standard_normal((h, w)).astype(np.float32)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
