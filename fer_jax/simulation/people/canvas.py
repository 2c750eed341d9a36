"""Drawing in face units on a NumPy image: soft polygons, lines, Gaussians and noise."""

import dataclasses

import cv2
import numpy as np

from fer_jax.simulation.people.shapes import Bump

BITS = 4  # fractional bits of OpenCV's fixed-point coordinates


@dataclasses.dataclass(frozen=True)
class Window:
    """A rectangle of the face's plane, `scale` pixels a face unit; pixel (0, 0) is (x0, y0)."""

    x0: float
    y0: float
    scale: float
    width: int
    height: int

    @property
    def whole(self) -> tuple[slice, slice]:
        """All rows and columns."""
        return slice(0, self.height), slice(0, self.width)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Maps face units [n, 2] to pixels [n, 2]."""
        origin, scale = np.array((self.x0, self.y0), np.float32), np.float32(self.scale)
        return (np.asarray(points, np.float32) - origin) * scale

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns face-unit coordinates of every pixel, each float32 [H, W]."""
        x, y = np.broadcast_arrays(*self.coordinates(self.whole))
        return x, y

    def coordinates(self, where: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        """Returns face-unit coordinates of the columns [1, w] and rows [h, 1] of a part."""
        rows, columns = where
        x = self.x0 + np.arange(columns.start, columns.stop, dtype=np.float32) / self.scale
        y = self.y0 + np.arange(rows.start, rows.stop, dtype=np.float32) / self.scale
        return x[None], y[:, None]

    def around(self, points: np.ndarray, margin: float) -> tuple[slice, slice]:
        """Slices rows and columns around points [n, 2], with `margin` face units on each side."""
        p = self.pixels(points)
        pad = margin * self.scale + 2
        (left, top), (right, bottom) = p.min(0).tolist(), p.max(0).tolist()
        x0, x1 = (min(max(int(v), 0), self.width) for v in (left - pad, right + pad + 1))
        y0, y1 = (min(max(int(v), 0), self.height) for v in (top - pad, bottom + pad + 1))
        return slice(y0, y1), slice(x0, x1)


def fixed(points: np.ndarray) -> np.ndarray:
    """Converts pixels [n, 2] to OpenCV's fixed-point int32."""
    return np.round(points * (1 << BITS)).astype(np.int32)


def polygon(
    window: Window, points: np.ndarray, where: tuple[slice, slice], blur: float = 0.0
) -> np.ndarray:
    """Computes coverage 0..1 of a filled polygon over `where`, float32 [h, w].

    Its edge is softened by `blur` face units.
    """
    rows, columns = where
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    p = window.pixels(points) - (columns.start, rows.start)
    cv2.fillPoly(mask, [fixed(p)], 255, cv2.LINE_AA, BITS)
    return soften(mask, blur * window.scale)


def strokes(
    window: Window,
    lines: list[np.ndarray],
    where: tuple[slice, slice],
    width: float,
    values: list[float] | None = None,
    blur: float = 0.0,
) -> np.ndarray:
    """Computes coverage 0..1, float32 [h, w] over `where`, of open lines `width` face units wide.

    `values` are the lines' coverages 0..1; each different value costs a pass. Lines thinner than
    a pixel are drawn one pixel wide and fainter.
    """
    rows, columns = where
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    thick = width * window.scale
    bright = 255 * min(1.0, thick)
    ends = np.cumsum([len(line) for line in lines])[:-1]
    points = window.pixels(np.concatenate(lines)) - np.array(
        (columns.start, rows.start), np.float32
    )
    drawn = np.split(fixed(points), ends)
    for level in {1.0} if values is None else sorted(set(values)):
        some = (
            drawn
            if values is None
            else [d for d, v in zip(drawn, values, strict=True) if v == level]
        )
        cv2.polylines(
            mask, some, False, int(bright * level), max(1, round(thick)), cv2.LINE_AA, BITS
        )
    return soften(mask, blur * window.scale)


def soften(mask: np.ndarray, sigma: float) -> np.ndarray:
    """Converts uint8 coverage to float32 0..1, blurred by `sigma` pixels."""
    out = mask.astype(np.float32) * np.float32(1 / 255)
    if sigma > 0.3 and out.size:
        out = cv2.GaussianBlur(out, (0, 0), sigma)
    return out


def paint(
    image: np.ndarray, where: tuple[slice, slice], colour: np.ndarray, mask: np.ndarray
) -> None:
    """Lays `colour` ([C] or [h, w, C]) over image [H, W, C] where `mask` [h, w] covers."""
    part = image[where]
    part += (np.asarray(colour, np.float32) - part) * mask[..., None]


def gaussian(window: Window, bump: Bump) -> tuple[tuple[slice, slice], np.ndarray]:
    """Evaluates a Bump as (where, values [h, w]), cut off at 2.8 standard deviations."""
    centre, deviation = np.array((bump.x, bump.y)), np.array((bump.sx, bump.sy))
    reach = np.stack([centre - 2.8 * deviation, centre + 2.8 * deviation])
    where = window.around(reach, 0.0)
    x, y = window.coordinates(where)
    gx = np.exp(-0.5 * ((x - bump.x) / bump.sx) ** 2)
    gy = np.exp(-0.5 * ((y - bump.y) / bump.sy) ** 2)
    return where, bump.amount * gy * gx


def noise(
    rng: np.random.Generator, height: int, width: int, cells: float, stretch: float = 1.0
) -> np.ndarray:
    """Draws smooth noise [H, W] of about unit deviation with `cells` cells across.

    `stretch` makes the cells that much taller than wide.
    """
    w = max(2, round(cells))
    h = max(2, round(cells * height / width / stretch))
    small = rng.standard_normal((h, w)).astype(np.float32)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
