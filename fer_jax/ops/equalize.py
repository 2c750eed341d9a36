"""Histogram equalisation, global and local, equal to OpenCV's.

dm_pix has neither. Both need a histogram, a table made from its running sum, and a look-up; the
histogram is a scatter-add, on a CPU the cheapest of the forms measured by more than three times (2
to 5 ns a pixel; sorting 28, a product of one-hot digits 60 to 140, comparing with all 256 levels
350 and more). Images go through in blocks of fixed size, so that the memory beyond input and output
does not grow with the batch and a whole resident dataset can be given at once.

Both are step functions of the grey levels: their derivative is 0 wherever it exists, and that is
what a gradient through them is.
"""

import jax
import jax.numpy as jnp
from jax import lax

from fer_jax.ops import portable

_LEVELS = 256
# Images a block: the memory beside input and output is that of one block, about 30 MB for CLAHE at
# 112 x 112.
_BLOCK = 64


def equalize_histogram(frames: jax.Array) -> jax.Array:
    """Equalises the histogram of each image and channel by itself, as cv2.equalizeHist.

    Used by kahou2015 (sec. 2.1.2) and jain2018 (sec. 3). A constant image stays as it is.

    Args:
      frames: uint8 or float32 [..., H, W, C], grey levels 0 to 255; fractions are rounded first, as
        conversion to uint8 for OpenCV would.

    Returns:
      float32 [..., H, W, C], whole grey levels 0 to 255.
    """
    return _each_image(_equalize_one, frames)


def clahe(frames: jax.Array, clip_limit: float = 2.0, tiles: tuple[int, int] = (8, 8)) -> jax.Array:
    """Equalises each image and channel in tiles, with limited contrast, as cv2.createCLAHE.

    haddad2020 (sec. 3.3) uses clip limit 2 and 8 x 8 tiles. As in OpenCV, an image whose sides are
    not both multiples of the tile counts is extended to the right and below by mirroring
    (BORDER_REFLECT_101), by a whole `tiles` on a side that would have fitted.

    Args:
      frames: uint8 or float32 [..., H, W, C], grey levels 0 to 255; fractions are rounded first. H
        and W must exceed the tile counts.
      clip_limit: largest count of one level in a tile's histogram, as a multiple of the mean count;
        what lies above is spread over all levels. At least 1 pixel.
      tiles: columns and rows of tiles, OpenCV's order.

    Returns:
      float32 [..., H, W, C], whole grey levels 0 to 255.

    Raises:
      ValueError: an image too small to mirror.
    """
    columns, rows = tiles
    height, width = frames.shape[-3:-1]
    if height <= rows or width <= columns:
        raise ValueError(f'{columns} x {rows} tiles need more than {width} x {height} pixels')
    return _each_image(lambda image: _clahe_one(image, clip_limit, columns, rows), frames)


def _each_image(function, frames: jax.Array) -> jax.Array:
    """Maps `function`, int32 [H, W] -> float32 [H, W], over [..., H, W, C], block by block."""
    height, width = frames.shape[-3:-1]
    by_channel = jnp.moveaxis(jax.lax.stop_gradient(frames), -1, -3)

    def one(image):
        return function(jnp.clip(jnp.round(image), 0, _LEVELS - 1).astype(jnp.int32))

    done = jax.lax.map(one, by_channel.reshape(-1, height, width), batch_size=_BLOCK)
    return jnp.moveaxis(done.reshape(by_channel.shape), -3, -1)


def _histogram(bins: jax.Array, count: int) -> jax.Array:
    """Counts int32 [P] bin numbers in [0, count), of whole tiles of levels, as int32 [count]."""
    if portable.wanted():  # a product of which tile and which level each bin is
        tile, level = lax.div(bins, _LEVELS), lax.rem(bins, _LEVELS)
        tiles = (tile[:, None] == jnp.arange(count // _LEVELS)[None]).astype(jnp.float32)
        levels = (level[:, None] == jnp.arange(_LEVELS)[None]).astype(jnp.float32)
        return (tiles.T @ levels).reshape(-1).astype(jnp.int32)
    return jnp.zeros(count, jnp.int32).at[bins].add(1, mode='promise_in_bounds')


def _whole_levels(values: jax.Array) -> jax.Array:
    return jnp.clip(jnp.round(values), 0, _LEVELS - 1)


def _equalize_one(image: jax.Array) -> jax.Array:
    histogram = _histogram(image.reshape(-1), _LEVELS)
    darkest = histogram[jnp.argmax(histogram > 0)]
    above = image.size - darkest
    scale = jnp.float32(_LEVELS - 1) / jnp.maximum(above, 1).astype(jnp.float32)
    # The darkest level present becomes 0 and its pixels count no more.
    ranks = (jnp.cumsum(histogram) - darkest).astype(jnp.float32)
    equalized = _whole_levels(ranks * scale).at[image].get(mode='promise_in_bounds')
    return jnp.where(above == 0, image.astype(jnp.float32), equalized)


def _clahe_one(image: jax.Array, clip_limit: float, columns: int, rows: int) -> jax.Array:
    height, width = image.shape
    extended = image
    if height % rows or width % columns:
        border = (0, rows - height % rows), (0, columns - width % columns)
        extended = jnp.pad(image, border, mode='reflect')
    tile_height, tile_width = extended.shape[0] // rows, extended.shape[1] // columns

    tile_row = jnp.arange(rows * tile_height, dtype=jnp.int32) // tile_height
    tile_column = jnp.arange(columns * tile_width, dtype=jnp.int32) // tile_width
    first_bin = (tile_row[:, None] * columns + tile_column[None, :]) * _LEVELS
    histograms = _histogram((first_bin + extended).reshape(-1), rows * columns * _LEVELS)
    area = tile_height * tile_width
    tables = _tile_tables(histograms.reshape(rows * columns, _LEVELS), clip_limit, area)

    above, below, lower_weight = _neighbour_tiles(height, tile_height, rows)
    left, right, right_weight = _neighbour_tiles(width, tile_width, columns)
    flat = tables.reshape(-1).astype(jnp.int32)

    def look_up(row, column):
        index = (row[:, None] * columns + column[None, :]) * _LEVELS + image
        return flat.at[index].get(mode='promise_in_bounds')

    # Bilinear in whole numbers: many results lie exactly half-way, and floats would round them by
    # the order in which a compiler multiplies and adds, differently on each device.
    right_weight, lower_weight = right_weight[None, :], lower_weight[:, None]
    left_weight, upper_weight = 2 * tile_width - right_weight, 2 * tile_height - lower_weight
    upper = look_up(above, left) * left_weight + look_up(above, right) * right_weight
    lower = look_up(below, left) * left_weight + look_up(below, right) * right_weight
    total, whole = upper * upper_weight + lower * lower_weight, 4 * area
    level, rest = total // whole, total % whole
    half_to_even = (2 * rest > whole) | ((2 * rest == whole) & (level % 2 == 1))
    return (level + half_to_even).astype(jnp.float32)


def _tile_tables(histograms: jax.Array, clip_limit: float, area: int) -> jax.Array:
    """Makes each tile's table, float32 [tile, 256] grey levels, of its counts int32 [tile, 256]."""
    limit = max(int(clip_limit * area / _LEVELS), 1)
    excess = jnp.sum(jnp.maximum(histograms - limit, 0), axis=1, keepdims=True)
    # What was cut off goes to all levels alike; the remainder, one each, to every step-th level.
    share, remainder = excess // _LEVELS, excess % _LEVELS
    step = jnp.maximum(_LEVELS // jnp.maximum(remainder, 1), 1)
    level = jnp.arange(_LEVELS, dtype=jnp.int32)[None, :]
    extra = (level % step == 0) & (level // step < remainder)
    clipped = jnp.minimum(histograms, limit) + share + extra.astype(jnp.int32)
    scale = jnp.float32(_LEVELS - 1) / jnp.float32(area)
    return _whole_levels(jnp.cumsum(clipped, axis=1).astype(jnp.float32) * scale)


def _neighbour_tiles(size: int, tile: int, count: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns the tiles with centres before and after each pixel, and the weight of the latter.

    Returns:
      int32 [size] each; weights in parts of 2 * tile.
    """
    half_pixels = 2 * jnp.arange(size, dtype=jnp.int32) - tile
    before, weight = half_pixels // (2 * tile), half_pixels % (2 * tile)
    return jnp.maximum(before, 0), jnp.minimum(before + 1, count - 1), weight
