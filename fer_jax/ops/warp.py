"""Bilinear warps of whole batches: affine maps of clips, and the spatial transformer's sampler.

Both read the four neighbours of every output pixel with gathers in a flat [B, H*W, channels]
layout, one set of indices per clip, so that a clip's frames move together and an index is computed
once for all of them. dm_pix has `affine_transform` and `rotate` for one [H, W, C] image, which
compute an index for every channel; on a CPU they were measured more than twenty times slower, so
that dm_pix serves as a second oracle in the tests only.
"""

import jax
import jax.numpy as jnp


def warp_affine(frames: jax.Array, affine: jax.Array) -> jax.Array:
    """Warps every clip by its own affine map; all frames of a clip by the same one.

    Args:
      frames: float32 [B, T, H, W, C], any unit.
      affine: float32 [B, 2, 3], maps an OUTPUT pixel (x, y, 1) to the INPUT pixel (x, y), pixel
        centres at integers: OpenCV's warpAffine with WARP_INVERSE_MAP.

    Returns:
      float32 [B, T, H, W, C], bilinear, 0 outside the image: a neighbour beyond the border counts
      as 0, as with OpenCV's BORDER_CONSTANT. OpenCV rounds the mapped points to 1/32 pixel, this
      does not.
    """
    b, t, h, w, c = frames.shape
    flat = jnp.moveaxis(frames, 1, 3).reshape(b, h * w, t * c)
    x, y = _map_points(affine, jnp.arange(w, dtype=frames.dtype), jnp.arange(h, dtype=frames.dtype))
    warped = _bilinear(flat, x, y, h, w)
    return jnp.moveaxis(warped.reshape(b, h, w, t, c), 3, 1)


def sample_grid(
    images: jax.Array, theta: jax.Array, *, stop_image_gradient: bool = False
) -> jax.Array:
    """Samples images at a spatial transformer's grid (minaee2019, sec. III; Jaderberg et al. 2015).

    Equal to PyTorch's grid_sample(images, affine_grid(theta, align_corners=False),
    align_corners=False) with zeros outside, values and gradients. Where a sampled point falls
    exactly on a pixel, the derivative with respect to the point is the one to its right (or below),
    as PyTorch's. The arithmetic is exact for the identity, so that a network that starts there has
    that derivative everywhere and not one that rounding chose.

    Args:
      images: float32 [B, H, W, C], any unit.
      theta: float32 [B, 2, 3], maps an output point (x, y, 1) to the input point (x, y), both
        normalised: -1 and 1 are the outer edges of the first and the last pixel.
      stop_image_gradient: no gradient to `images`. Set it where the images are data: the scatter
        that this gradient needs costs more than all the rest.

    Returns:
      float32 [B, H, W, C].
    """
    b, h, w, c = images.shape
    if stop_image_gradient:
        images = jax.lax.stop_gradient(images)
    # Twice the distance from the image's centre in pixels: integers, hence exact.
    columns = (2 * jnp.arange(w) + 1 - w).astype(images.dtype)
    rows = (2 * jnp.arange(h) + 1 - h).astype(images.dtype)
    # theta in these units: x and y are scaled by W and H.
    scale = jnp.array([[1.0, w / h, w], [h / w, 1.0, h]], images.dtype)
    x, y = _map_points(theta * scale[None], columns, rows)
    flat = images.reshape(b, h * w, c)
    return _bilinear(flat, (x + (w - 1)) / 2, (y + (h - 1)) / 2, h, w).reshape(b, h, w, c)


def _map_points(
    affine: jax.Array, columns: jax.Array, rows: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Maps the grid of x = columns [W] and y = rows [H] by affine [B, 2, 3] to x, y [B, H*W].

    Written out, because a matrix product would be rounded to bfloat16 or TF32 on accelerators.
    """
    rows, columns = jnp.meshgrid(rows, columns, indexing='ij')
    x, y = columns.reshape(1, -1), rows.reshape(1, -1)
    a = affine[:, :, :, None]
    return (
        a[:, 0, 0] * x + a[:, 0, 1] * y + a[:, 0, 2],
        a[:, 1, 0] * x + a[:, 1, 1] * y + a[:, 1, 2],
    )


def _bilinear(flat: jax.Array, x: jax.Array, y: jax.Array, height: int, width: int) -> jax.Array:
    """Samples flat images [B, H*W, C] at points x, y [B, P] in pixels to [B, P, C]; 0 outside."""
    left, top = jnp.floor(x), jnp.floor(y)
    right_part, lower_part = x - left, y - top
    total = jnp.zeros((), flat.dtype)
    # Weights are the fractions and their complements, not 1 - |distance|: the derivative of the
    # latter is 0 at distance 0 and would drop a neighbour from the gradient at the identity.
    for row, row_weight in ((top, 1 - lower_part), (top + 1, lower_part)):
        for column, column_weight in ((left, 1 - right_part), (left + 1, right_part)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = jnp.where(inside, row_weight * column_weight, 0)
            # Clipped as integers: the cast of a NaN (a diverged theta) must not leave the image.
            row_index = jnp.clip(row.astype(jnp.int32), 0, height - 1)
            column_index = jnp.clip(column.astype(jnp.int32), 0, width - 1)
            index = (row_index * width + column_index)[..., None]
            value = jnp.take_along_axis(flat, index, axis=1, mode='promise_in_bounds')
            total = total + value * weight[..., None]
    return total
