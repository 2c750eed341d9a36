"""Augmentation inside the step: a batch of views from a batch of clips."""

import jax

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
