"""Augmentation inside the step: a batch of views from a batch of clips."""

import jax
import jax.numpy as jnp

from fer_jax.ops import photometry, warp


def apply_views(frames: jax.Array, affine: jax.Array, contrast: jax.Array) -> jax.Array:
    """Applies each clip's view, geometry before contrast; all frames of a clip share one draw.

    Flips, rotations, shifts, scalings and crops are all affines (`fer_jax.data.views`), so that a
    step warps once. Being bilinear, a view that moves by whole pixels (a flip too) is exact.

    Args:
      frames: float32 [B, T, H, W, C], grey levels 0 to 255, after equalisation if there is any.
      affine: float32 [B, 2, 3], output to input pixels, see `warp.warp_affine`. Outside the image
        is black.
      contrast: float32 [B], multiplier a in 127 + a (v - 127).

    Returns:
      float32 [B, T, H, W, C], 0 to 255.
    """
    return photometry.contrast(warp.warp_affine(frames, affine), contrast)


# Random erasing's rectangles (Zhong et al. 2017, arXiv 1708.04896): share of the image's area, and
# height over width.
ERASED_AREA, ERASED_SHAPE = (0.02, 0.25), (0.3, 1 / 0.3)


def erase(frames: jax.Array, key: jax.Array, probability: float) -> jax.Array:
    """Sets one random rectangle of some clips to 0, the same in all of a clip's frames.

    Random erasing (Zhong et al. 2017): area and, in the logarithm, shape are drawn evenly from
    `ERASED_AREA` and `ERASED_SHAPE`; a side ends where the image does.

    Args:
      frames: float32 [B, T, H, W, C], normalised.
      key: a random key.
      probability: of a clip to lose a rectangle, 0 to 1.

    Returns:
      float32 [B, T, H, W, C].
    """
    b, _, height, width, _ = frames.shape
    whether, area, shape, place = jax.random.split(key, 4)
    area = jax.random.uniform(area, (b,), minval=ERASED_AREA[0], maxval=ERASED_AREA[1])
    low, high = jnp.log(jnp.array(ERASED_SHAPE))
    root = jnp.exp(jax.random.uniform(shape, (b,), minval=low, maxval=high) / 2)
    # As shares of the sides: their product is the area, their quotient the shape.
    sides = jnp.minimum(jnp.sqrt(area)[:, None] * jnp.stack([root, 1 / root], 1), 1.0)
    sides = jnp.where(jax.random.uniform(whether, (b, 1)) < probability, sides, 0.0)
    first = jax.random.uniform(place, (b, 2)) * (1 - sides)

    def within(axis, size):
        centre = (jnp.arange(size)[None] + 0.5) / size
        start, end = first[:, axis, None], (first + sides)[:, axis, None]
        return (centre >= start) & (centre < end)

    inside = within(0, height)[:, :, None] & within(1, width)[:, None, :]
    return jnp.where(inside[:, None, :, :, None], 0.0, frames)


def mix(
    frames: jax.Array, target: jax.Array, mask: jax.Array, key: jax.Array, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """Mixes each clip with another one of the batch, and their targets (mixup).

    Zhang et al. 2017, arXiv 1710.09412, eq. 1: x = w x_i + (1 - w) x_j with w from Beta(alpha,
    alpha), here one w for each clip. The larger share is the clip's own, so that its label stays
    the likelier one.

    Args:
      frames: float32 [B, T, H, W, C], normalised.
      target: float32 [B, K].
      mask: bool [B]; clips are mixed with unmasked ones only, masked ones stay as they are.
      key: a random key.
      alpha: of the distribution, above 0.

    Returns:
      frames and target, mixed.
    """
    order, share = jax.random.split(key)
    b = len(mask)
    # Unmasked rows in random order, and each row's rank among them: row -> the next one in a ring.
    rank = jnp.where(mask, jax.random.uniform(order, (b,)), 2.0)
    ring = jnp.argsort(rank)
    following = jnp.roll(ring, -1).at[jnp.maximum(mask.sum() - 1, 0)].set(ring[0])
    partner = jnp.zeros(b, jnp.int32).at[ring].set(following)
    weight = jax.random.beta(share, alpha, alpha, (b,))
    weight = jnp.where(mask, jnp.maximum(weight, 1 - weight), 1.0)

    def mixed(x):
        own = weight.reshape(-1, *(1,) * (x.ndim - 1))
        return own * x + (1 - own) * x[partner]

    return mixed(frames), mixed(target)
