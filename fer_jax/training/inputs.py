"""From frames as they lie in memory to what a network sees, on the device.

Order, on grey levels 0 to 255: equalisation, geometry, contrast; then [0, 1] and normalisation.
By a mean and a deviation, frames are normalised before the geometry: a face that is shifted or
upside down would be compared with an upright mean face.
Equalisation sees whole unwarped frames and depends on nothing fitted, so it runs once over the
resident dataset instead of in every step; the rest is part of the compiled step.
"""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.errors import UserError
from fer_jax.ops import augment, equalize, photometry, warp

EQUALIZATIONS = ('none', 'histogram', 'clahe', 'gamma_dark')
NORMALIZATIONS = ('none', 'unit', 'symmetric', 'mean_std', 'each')
# Clips that are equalised at a time.
_CLIPS = 256


def equalize_frames(frames: np.ndarray, kind: str) -> np.ndarray:
    """Equalises a whole dataset.

    Args:
      frames: uint8 [clip, frame, height, width, channel].
      kind: 'none', 'histogram', 'clahe' (clip limit 2, 8 x 8 tiles: haddad2020, sec. 3.3) or
        'gamma_dark' (dark clips made brighter: saurav2020, on AFEW).

    Returns:
      uint8, same shape.
    """
    if kind == 'none':
        return frames
    op = jax.jit(equalization(kind))
    out = np.empty_like(frames)
    for some in batches_of(len(frames), _CLIPS):
        out[some] = np.asarray(op(frames[some]))
    return out


def equalization(kind: str) -> Callable[[jax.Array], jax.Array]:
    """Returns what equalises clips, as of `equalize_frames`, in a program that is traced.

    It takes uint8 [clip, frame, height, width, channel] and returns whole grey levels.
    """
    if kind == 'histogram':
        return equalize.equalize_histogram
    if kind == 'clahe':
        return equalize.clahe
    if kind == 'gamma_dark':
        return photometry.brighten_dark
    if kind == 'none':
        return lambda frames: frames
    raise UserError(f"unknown inputs.equalize '{kind}': one of {', '.join(EQUALIZATIONS)}")


def batches_of(count: int, size: int) -> Iterator[slice]:
    """Divides `count` rows into batches of one size, at most `size`, so of one compiled shape.

    The last batch overlaps the one before it.
    """
    size = max(1, min(size, count))
    for start in range(0, count, size):
        start = min(start, count - size)
        yield slice(start, start + size)


def model_inputs(
    frames: jax.Array,
    view: tuple[jax.Array, jax.Array] | None,
    mean: jax.Array,
    std: jax.Array,
    *,
    normalize: str,
    channels: int,
    crop: int = 0,
) -> jax.Array:
    """Turns a batch into what the network sees.

    Args:
      frames: uint8 [clip, frame, height, width, channel], equalised; or features, float32.
      view: affine [clip, 2, 3] and contrast [clip], or None for the frames as they are.
      mean, std: float32 [height, width, channel] in [0, 1] units, used by 'mean_std'.
      normalize: 'none' takes features of another network as they are, and nothing below counts;
        'unit' leaves [0, 1]; 'symmetric' gives [-1, 1] (haddad2020, sec. 3.3); 'mean_std'
        subtracts the training clips' mean image and divides by their deviation image, 'each' gives
        every frame mean 0 and deviation 1 by itself: both before frames are warped, so that what a
        view shows from outside the picture is the mean.
      channels: 1, or 3 to repeat grey (haddad2020, sec. 4.1).
      crop: side of the central square that is left, in pixels; 0 for the whole frame. A view that
        was shifted first makes it a random crop.

    Returns:
      float32 [clip, frame, height, width, channels], or crop in place of height and width; of
      features float32 [clip, frame, ...].

    Raises:
      UserError: unknown normalisation, or channels or a crop that the frames do not have.
    """
    if normalize == 'none':
        return frames
    frames = frames.astype(jnp.float32)
    if normalize in ('each', 'mean_std'):
        if view is not None:
            frames = photometry.contrast(frames, view[1])
        frames = photometry.to_unit(frames)
        if normalize == 'each':
            frames = photometry.standardise_each(frames)
        else:  # before the geometry: the mean image is that of faces as they are stored
            frames = photometry.standardise(frames, mean, std)
        if view is not None:
            frames = warp.warp_affine(frames, view[0])
    else:
        if view is not None:
            frames = augment.apply_views(frames, *view)
        frames = photometry.to_unit(frames)
    if normalize == 'symmetric':
        frames = photometry.to_symmetric(frames)
    elif normalize not in ('unit', 'each', 'mean_std'):
        raise UserError(
            f"unknown inputs.normalize '{normalize}': one of {', '.join(NORMALIZATIONS)}"
        )
    if crop:
        height, width = frames.shape[2:4]
        if not 0 < crop <= min(height, width):
            raise UserError(
                f'inputs.crop is {crop}, the frames are {height} x {width}: give 1 to '
                f'{min(height, width)}, or 0 for the whole frame'
            )
        top, left = (height - crop) // 2, (width - crop) // 2
        frames = frames[:, :, top : top + crop, left : left + crop]
    if channels not in (frames.shape[-1], 3 * frames.shape[-1]):
        raise UserError(
            f'inputs.channels is {channels}, the clips have {frames.shape[-1]}: give 1 or 3'
        )
    return jnp.repeat(frames, channels // frames.shape[-1], axis=-1)
