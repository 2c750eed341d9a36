"""Stride-1 convolutions, in the form that is fast where the program runs.

XLA's CPU backend sends a 2D NHWC convolution to a fast library, a 3D one to a slow path, and the
gradients of both with respect to the kernel to a slower one. The form 'taps' therefore writes a 3D
convolution as ONE 2D convolution over frames whose temporal neighbours are stacked in the channels,
and the kernel's gradient as matrix products or as a sum of convolutions over bands of rows. The
form 'lax' is the native convolution with XLA's own gradients: right on accelerators, and the oracle
in the tests. 'auto' chooses by platform.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fer_jax.errors import UserError
from fer_jax.host import cores
from fer_jax.ops import portable

FORMS = ('auto', 'lax', 'taps')

# Thresholds measured on two cores with AVX-512. Up to this many values under the kernel, its
# gradient is one matrix product over all taps side by side; above, one for each of its rows.
_ONE_PRODUCT_UP_TO = 100
# A kernel's gradient in bands (see `_in_bands`) pays for more taps than this; for fewer, up to so
# many channels in and out. A band has so many positions, more where there would be too many bands.
_TAPS_UP_TO = 9
_BANDS_OF_CHANNELS_UP_TO = 128
_BAND = 2560
_BANDS_UP_TO = 50
# The library keeps to one core where outputs are no multiple of this, or where a kernel sees fewer
# values than this. From so many channels in, rows of the kernel are then outputs (see `_spread`).
_OUTPUTS, _VALUES = 128, 1024
_SPREAD_FROM = 3
# Up to so many channels in and out, pixels are convolved in horizontal pairs (see `_in_pairs`).
_PAIRS_UP_TO = (32, 16)


def chosen_form(form: str) -> str:
    """Returns the form that 'auto' stands for on this platform; another name as it is.

    Raises:
      UserError: unknown form.
    """
    if form not in FORMS:
        raise UserError(f'model.form is {form!r}: one of {", ".join(FORMS)}')
    if form == 'auto':
        return 'taps' if jax.default_backend() == 'cpu' else 'lax'
    return form


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    padding: str = 'SAME',
    form: str = 'auto',
) -> jax.Array:
    """Computes a two-dimensional convolution (cross-correlation) with stride 1.

    Args:
      x: float [B, H, W, C].
      kernel: float [kh, kw, C, O]; odd kh and kw where padding is 'SAME'.
      bias: float [O], added to the result.
      padding: 'SAME' (output H x W) or 'VALID' (output H - kh + 1 x W - kw + 1).
      form: 'auto', 'lax' or 'taps'.

    Returns:
      float [B, H', W', O].
    """
    margins = _margins(kernel.shape[:-2], padding)
    if portable.wanted() or chosen_form(form) == 'lax':
        return _add(_convolve(x, kernel, margins), bias)
    return _taps2d(x, kernel, margins, bias)


def conv3d(
    x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None, *, form: str = 'auto'
) -> jax.Array:
    """Computes a three-dimensional convolution (cross-correlation) with stride 1, padding 'SAME'.

    Args:
      x: float [B, T, H, W, C].
      kernel: float [kt, kh, kw, C, O]; kt, kh and kw odd.
      bias: float [O], added to the result.
      form: 'auto', 'lax' or 'taps', which holds every frame up to kt times in memory.

    Returns:
      float [B, T, H, W, O].
    """
    margins = _margins(kernel.shape[:-2], 'SAME')
    if chosen_form(form) == 'lax' and not portable.wanted():
        return _add(_convolve(x, kernel, margins), bias)
    b, t, h, w, c = x.shape
    centre = kernel.shape[0] // 2
    # Taps further from the centre than the clip is long meet only padding.
    reach = min(centre, t - 1)
    kernel = kernel[centre - reach : centre + reach + 1]
    kt, kh, kw, _, o = kernel.shape
    padded = jnp.pad(x, ((0, 0), (kt // 2,) * 2, (0, 0), (0, 0), (0, 0)))
    stacked = jnp.concatenate([padded[:, i : i + t] for i in range(kt)], -1)
    stacked = stacked.reshape(b * t, h, w, kt * c)
    flat_kernel = jnp.moveaxis(kernel, 0, 2).reshape(kh, kw, kt * c, o)
    y = conv2d(stacked, flat_kernel, bias, form=form)
    return y.reshape(b, t, h, w, o)


def _margins(window: tuple[int, ...], padding: str) -> tuple[int, ...]:
    """Returns the padding on each side of each spatial axis."""
    if padding == 'VALID':
        return (0,) * len(window)
    if padding != 'SAME':
        raise ValueError(f"padding {padding!r} is neither 'SAME' nor 'VALID'")
    if any(size % 2 == 0 for size in window):
        raise ValueError(f"a kernel of {window} has an even side: 'SAME' is defined for odd ones")
    return tuple(size // 2 for size in window)


def _convolve(x: jax.Array, kernel: jax.Array, margins: tuple[int, ...]) -> jax.Array:
    """Computes the native convolution, channels last."""
    layout = ('NHWC', 'HWIO', 'NHWC') if len(margins) == 2 else ('NDHWC', 'DHWIO', 'NDHWC')
    return lax.conv_general_dilated(
        x, kernel, (1,) * len(margins), [(m, m) for m in margins], dimension_numbers=layout
    )


def _add(y: jax.Array, bias: jax.Array | None) -> jax.Array:
    return y if bias is None else y + bias.reshape(*(1,) * (y.ndim - 1), -1)


def _taps2d(
    x: jax.Array, kernel: jax.Array, margins: tuple[int, ...], bias: jax.Array | None
) -> jax.Array:
    """Computes a 2D convolution in the form 'taps'."""
    _, kw, c, o = kernel.shape
    if kw > 1 and c <= _PAIRS_UP_TO[0] and o <= _PAIRS_UP_TO[1]:
        return _in_pairs(x, kernel, margins, bias)
    convolve = _spread if cores() > 1 else _convolve
    return _add(_conv2d(x, kernel, margins, convolve), bias)


def _in_pairs(
    x: jax.Array, kernel: jax.Array, margins: tuple[int, ...], bias: jax.Array | None
) -> jax.Array:
    """Computes the convolution with two neighbouring pixels of a row as one of twice the channels.

    With few channels the library computes at a fraction of its speed. Read in pairs, which moves
    nothing in memory, a row of W pixels x C channels is one of W / 2 x 2C, and the kernel one of
    2C x 2O channels, a quarter to a third of them zero: a third more arithmetic in half the time.
    """
    kh, kw, c, o = kernel.shape
    b, h, w, _ = x.shape
    width = w + 2 * margins[1] - kw + 1
    pairs = (kw + 2) // 2  # that a pair of outputs sees
    odd = 2 * ((width + 1) // 2 + pairs - 1) - (w + 2 * margins[1])  # columns that complete a pair
    x = jnp.pad(x, ((0, 0), (margins[0],) * 2, (margins[1], margins[1] + odd), (0, 0)))
    # Output v of a pair meets pixel u of the p-th pair under the kernel's column 2p + u - v.
    p, u, v = np.ogrid[:pairs, :2, :2]
    column = 2 * p + u - v
    inside = (column >= 0) & (column < kw)
    wide = jnp.where(inside[..., None, None], kernel[:, np.clip(column, 0, kw - 1)], 0)
    wide = wide.transpose(0, 1, 2, 4, 3, 5).reshape(kh, pairs, 2 * c, 2 * o)
    # Added to pairs: what follows element by element can then stay in pairs up to the next layer.
    y = _add(
        _conv2d(x.reshape(b, x.shape[1], -1, 2 * c), wide, (0, 0), _convolve),
        None if bias is None else jnp.tile(bias, 2),
    )
    return y.reshape(b, y.shape[1], -1, o)[:, :, :width]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv2d(
    x: jax.Array,
    kernel: jax.Array,
    margins: tuple[int, ...],
    convolve: Callable[[jax.Array, jax.Array, tuple[int, ...]], jax.Array],
) -> jax.Array:
    """Computes a 2D convolution by `_convolve` or `_spread`, with its own gradients."""
    return convolve(x, kernel, margins)


def _conv2d_forward(x, kernel, margins, convolve):
    return convolve(x, kernel, margins), (x, kernel)


def _conv2d_backward(margins, convolve, residuals, dy):
    x, kernel = residuals
    kh, kw = kernel.shape[:2]
    # The transposed convolution, written as a plain one so that it, too, takes the fast path.
    turned = jnp.swapaxes(kernel[::-1, ::-1], -1, -2)
    dx = convolve(dy, turned, (kh - 1 - margins[0], kw - 1 - margins[1]))
    return dx, _kernel_gradient(x, dy, (kh, kw), margins)


_conv2d.defvjp(_conv2d_forward, _conv2d_backward)


def _spread(x: jax.Array, kernel: jax.Array, margins: tuple[int, ...]) -> jax.Array:
    """Convolves with the kernel's rows side by side in the outputs, where that is faster.

    Each position then adds up the outputs of the rows. The library shares outputs between cores in
    blocks, so that with few of them one core does all: with two cores this has up to twice the
    speed, with one the sums only cost.
    """
    kh, kw, c, o = kernel.shape
    native = o % _OUTPUTS == 0 and kh * kw * c >= _VALUES
    if kh == 1 or c < _SPREAD_FROM or native:
        return _convolve(x, kernel, margins)
    rows = kh // 3 if kh % 3 == 0 else 1  # that stay under the kernel
    groups = kh // rows
    wide = kernel.reshape(groups, rows, kw, c, o).transpose(1, 2, 3, 0, 4)
    x = jnp.pad(x, ((0, 0), (margins[0],) * 2, (0, 0), (0, 0)))
    y = lax.conv_general_dilated(
        x, wide.reshape(rows, kw, c, groups * o), (1, 1), [(0, 0), (margins[1], margins[1])],
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
    )  # fmt: skip
    height = x.shape[1] - kh + 1
    parts = [y[:, i * rows :][:, :height, :, i * o : (i + 1) * o] for i in range(groups)]
    total = sum(parts)
    return total.astype(x.dtype)  # pyright: ignore[reportAttributeAccessIssue]  # of one at least


def _kernel_gradient(
    x: jax.Array, dy: jax.Array, window: tuple[int, int], margins: tuple[int, ...]
) -> jax.Array:
    """Computes a kernel's gradient by products [C, positions] x [positions, kw O], one per row.

    With few values under the kernel one product serves all taps. More than 9 taps, or few channels
    and positions, are computed in bands.
    """
    kh, kw = window
    b, h, w, o = dy.shape
    c = x.shape[-1]
    few = max(c, o) <= _BANDS_OF_CHANNELS_UP_TO and b * h * w <= _BANDS_UP_TO * _BAND
    if kh * kw > _TAPS_UP_TO or (few and kh * kw * c > _ONE_PRODUCT_UP_TO):
        return _in_bands(x, dy, window, margins)
    if kh * kw * c <= _ONE_PRODUCT_UP_TO:
        x = jnp.pad(x, ((0, 0), (margins[0],) * 2, (margins[1],) * 2, (0, 0)))
        taps = [x[:, i : i + h, j : j + w] for i in range(kh) for j in range(kw)]
        product = jnp.concatenate(taps, -1).reshape(-1, kh * kw * c).T @ dy.reshape(-1, o)
        return product.reshape(kh, kw, c, o)
    # Every column's values beside those of the outputs that saw it under the kernel's columns.
    dy = jnp.pad(dy, ((0, 0), (0, 0), (kw - 1 - margins[1],) * 2, (0, 0)))
    seen_by = [dy[:, :, kw - 1 - j :][:, :, : x.shape[2]] for j in range(kw)]
    seen_by = jnp.concatenate(seen_by, -1).reshape(-1, kw * o)
    x = jnp.pad(x, ((0, 0), (margins[0],) * 2, (0, 0), (0, 0)))
    products = [x[:, i : i + h].reshape(-1, c).T @ seen_by for i in range(kh)]
    return jnp.stack(products).reshape(kh, c, kw, o).swapaxes(1, 2)


def _in_bands(
    x: jax.Array, dy: jax.Array, window: tuple[int, int], margins: tuple[int, ...]
) -> jax.Array:
    """Convolves x with dy over images and positions, as a sum over bands of rows.

    As one convolution, the native form, its inner sum over all positions is so long that the
    library computes at a third to a half of its speed, and on one core. A band of a few rows of
    some images fits.
    """
    kh, kw = window
    b, h, w, o = dy.shape
    positions = max(_BAND, b * h * w // _BANDS_UP_TO)
    images = min(b, max(16, positions // w // 16 * 16))  # the innermost axis: whole vectors
    rows = max(1, positions // (w * images))
    wide = jnp.promote_types(dy.dtype, jnp.float32)  # many bands of bfloat16 add up in float32
    total = jnp.zeros((x.shape[-1], kh, kw, o), wide)
    sides = (margins[1], margins[1])
    for image in range(0, b, images):
        some = slice(image, image + images)
        # Kept as they are, or each band would be cut out of the images and turned by itself.
        seen, passed = lax.optimization_barrier(
            (x[some].transpose(3, 1, 2, 0), dy[some].transpose(1, 2, 0, 3))
        )
        for row in range(0, h, rows):
            band = passed[row : row + rows]
            first = row - margins[0]  # of the rows of x that the band has met; some are padding
            last = first + len(band) + kh - 1
            above, below = max(0, -first), max(0, last - x.shape[1])
            total += lax.conv_general_dilated(
                seen[:, first + above : last - below], band, (1, 1),
                [(above, below), sides], dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
                preferred_element_type=wide,
            )  # fmt: skip
    return total.transpose(1, 2, 0, 3).astype(dy.dtype)
