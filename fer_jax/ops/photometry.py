"""Pointwise changes of grey levels and the normalisations that follow them."""

import dm_pix
import jax
import jax.numpy as jnp

_GREY = 127.0
_WHITE = 255.0
# Of saurav2020's dark clips: the mean level below which one is dark, and its gamma.
_DARK, _EXPONENT = 80.0, 1.5


def contrast(frames: jax.Array, factor: jax.Array) -> jax.Array:
    """Stretches each level's distance from mid-grey: 127 + a (v - 127), clipped.

    haddad2020, sec. 3.2. dm_pix.adjust_contrast stretches about each image's own mean and does not
    clip, which is another operation.

    Args:
      frames: float32 [B, T, H, W, C], grey levels 0 to 255.
      factor: float32 [B], the a of each clip; 1 changes nothing, the paper draws from [0.22, 2.2].

    Returns:
      float32 [B, T, H, W, C], 0 to 255.
    """
    return jnp.clip(_GREY + _per_clip(factor, frames) * (frames - _GREY), 0.0, _WHITE)


def gamma(frames: jax.Array, exponent: jax.Array) -> jax.Array:
    """Raises each level, as a fraction of white, to a power (saurav2020, sec. IV-B, dark clips).

    Args:
      frames: float32 [B, T, H, W, C], grey levels 0 to 255.
      exponent: float32 [B], of each clip; below 1 brightens, above 1 darkens.

    Returns:
      float32 [B, T, H, W, C], 0 to 255.
    """
    adjusted = dm_pix.adjust_gamma(frames / _WHITE, _per_clip(exponent, frames))
    return jnp.multiply(adjusted, _WHITE)


def brighten_dark(frames: jax.Array) -> jax.Array:
    """Corrects the gamma of dark clips, leaves others alone (saurav2020, sec. IV-B, AFEW).

    The paper gives the gamma of 1.5, but neither what is dark nor the direction. Here a clip whose
    mean level is below 80 is dark, and v^(1 / 1.5) brightens it. One mean over all frames
    keeps the brightness from jumping from frame to frame.

    Args:
      frames: uint8 or float32 [B, T, H, W, C], grey levels 0 to 255.

    Returns:
      float32 [B, T, H, W, C], whole grey levels 0 to 255.
    """
    frames = frames.astype(jnp.float32)
    dark = jnp.mean(frames, axis=tuple(range(1, frames.ndim))) < _DARK
    return jnp.round(gamma(frames, jnp.where(dark, 1.0 / _EXPONENT, 1.0)))


def to_unit(frames: jax.Array) -> jax.Array:
    """Maps grey levels 0 to 255 to [0, 1], any shape, float32."""
    return frames.astype(jnp.float32) / _WHITE


def to_symmetric(frames: jax.Array) -> jax.Array:
    """Maps [0, 1] to [-1, 1], any shape (an option of haddad2020, sec. 3.3)."""
    return 2.0 * frames - 1.0


def standardise(frames: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """Subtracts the mean image, divides by the deviation (kahou2015, sec. 2.1.2; jain2018, sec. 3).

    Args:
      frames: float32 [B, T, H, W, C] in [0, 1].
      mean: float32 [H, W, C] in [0, 1], fitted on training clips.
      std: float32 [H, W, C] in [0, 1]. Deviations below one grey level count as one: pixels that
        hardly vary in training are not blown up.

    Returns:
      float32 [B, T, H, W, C].
    """
    return (frames - mean[None, None]) / jnp.maximum(std, 1.0 / _WHITE)[None, None]


def standardise_each(frames: jax.Array) -> jax.Array:
    """Gives every frame mean 0 and deviation 1 over its own pixels (jain2018, sec. 4, by frame).

    What is left does not depend on a picture's brightness and contrast, and nothing is fitted.

    Args:
      frames: float32 [B, T, H, W, C] in [0, 1]. Deviations below one grey level count as one.

    Returns:
      float32 [B, T, H, W, C].
    """
    axes = tuple(range(2, frames.ndim))
    mean, std = frames.mean(axes, keepdims=True), frames.std(axes, keepdims=True)
    return (frames - mean) / jnp.maximum(std, 1.0 / _WHITE)


def _per_clip(values: jax.Array, frames: jax.Array) -> jax.Array:
    """Reshapes [B] to [B, 1, 1, 1, 1], as many axes as the frames have."""
    return values.reshape(-1, *[1] * (frames.ndim - 1))
