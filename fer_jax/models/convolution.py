"""Stride-1 convolutions, in the form that is fast where the program runs.

XLA's CPU backend sends a 2D NHWC convolution to a fast library, a 3D one to a slow path, and the
gradients of both with respect to the kernel to a slower one. The form 'taps' therefore writes a 3D
convolution as ONE 2D convolution over frames whose temporal neighbours are stacked in the channels,
and the kernel's gradient as matrix products. The form 'lax' is the native convolution with XLA's
own gradients: right on accelerators, and the oracle in the tests. 'auto' chooses by platform, here
and nowhere else.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

FORMS = ('auto', 'lax', 'taps')

# Up to this many values under the kernel, the kernel's gradient is one matrix product over all taps
# side by side; above, one product for each tap, which copies less (both measured on a CPU).
_ONE_PRODUCT_BELOW = 128


def chosen_form(form: str) -> str:
    """The form that 'auto' stands for on this platform; any other name is returned as it is.

    Raises:
        ValueError: unknown form.
    """
    if form not in FORMS:
        raise ValueError(f'form {form!r} is none of {", ".join(FORMS)}')
    if form == 'auto':
        return 'taps' if jax.default_backend() == 'cpu' else 'lax'
    return form


def conv2d(
    x: jax.Array, kernel: jax.Array, *, padding: str = 'SAME', form: str = 'auto'
) -> jax.Array:
    """Two-dimensional convolution (cross-correlation) with stride 1.

    Args:
        x: float [B, H, W, C].
        kernel: float [kh, kw, C, O]; odd kh and kw where padding is 'SAME'.
        padding: 'SAME' (output H x W) or 'VALID' (output H - kh + 1 x W - kw + 1).
        form: 'auto', 'lax' or 'taps'.

    Returns:
        float [B, H', W', O].
    """
    margins = _margins(kernel.shape[:-2], padding)
    if chosen_form(form) == 'lax':
        return _convolve(x, kernel, margins)
    return _conv2d(x, kernel, margins)


def conv3d(x: jax.Array, kernel: jax.Array, *, form: str = 'auto') -> jax.Array:
    """Three-dimensional convolution (cross-correlation) with stride 1 and 'SAME' padding.

    Args:
        x: float [B, T, H, W, C].
        kernel: float [kt, kh, kw, C, O]; kt, kh and kw odd.
        form: 'auto', 'lax' or 'taps', which holds every frame up to kt times in memory.

    Returns:
        float [B, T, H, W, O].
    """
    margins = _margins(kernel.shape[:-2], 'SAME')
    if chosen_form(form) == 'lax':
        return _convolve(x, kernel, margins)
    b, t, h, w, c = x.shape
    centre = kernel.shape[0] // 2
    # Taps further from the centre than the clip is long meet only padding.
    reach = min(centre, t - 1)
    kernel = kernel[centre - reach : centre + reach + 1]
    kt, kh, kw, _, o = kernel.shape
    padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0), (0, 0), (0, 0)))
    stacked = jnp.concatenate([padded[:, i : i + t] for i in range(kt)], -1)
    stacked = stacked.reshape(b * t, h, w, kt * c)
    flat_kernel = jnp.moveaxis(kernel, 0, 2).reshape(kh, kw, kt * c, o)
    return _conv2d(stacked, flat_kernel, margins[1:]).reshape(b, t, h, w, o)


def _margins(window: tuple[int, ...], padding: str) -> tuple[int, ...]:
    """Padding on each side of each spatial axis."""
    if padding == 'VALID':
        return (0,) * len(window)
    if padding != 'SAME':
        raise ValueError(f"padding {padding!r} is neither 'SAME' nor 'VALID'")
    if any(size % 2 == 0 for size in window):
        raise ValueError(f"a kernel of {window} has an even side: 'SAME' is defined for odd ones")
    return tuple(size // 2 for size in window)


def _convolve(x: jax.Array, kernel: jax.Array, margins: tuple[int, ...]) -> jax.Array:
    """The native convolution, channels last."""
    layout = ('NHWC', 'HWIO', 'NHWC') if len(margins) == 2 else ('NDHWC', 'DHWIO', 'NDHWC')
    return lax.conv_general_dilated(
        x, kernel, (1,) * len(margins), [(m, m) for m in margins], dimension_numbers=layout
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv2d(x: jax.Array, kernel: jax.Array, margins: tuple[int, int]) -> jax.Array:
    """A native 2D convolution with its own gradients."""
    return _convolve(x, kernel, margins)


def _conv2d_forward(x, kernel, margins):
    return _convolve(x, kernel, margins), (x, kernel)


def _conv2d_backward(margins, residuals, dy):
    x, kernel = residuals
    return _input_gradient(dy, kernel, margins), _kernel_gradient(x, dy, kernel.shape[:2], margins)


_conv2d.defvjp(_conv2d_forward, _conv2d_backward)


def _input_gradient(dy: jax.Array, kernel: jax.Array, margins: tuple[int, int]) -> jax.Array:
    """The transposed convolution, written as a plain one so that it, too, takes the fast path."""
    turned = jnp.swapaxes(kernel[::-1, ::-1], -1, -2)
    kh, kw = kernel.shape[:2]
    return _convolve(dy, turned, (kh - 1 - margins[0], kw - 1 - margins[1]))


def _kernel_gradient(
    x: jax.Array, dy: jax.Array, window: tuple[int, int], margins: tuple[int, int]
) -> jax.Array:
    """Matrix products [C, positions] x [positions, O], one for each tap or one for all of them."""
    kh, kw = window
    _, h, w, o = dy.shape
    c = x.shape[-1]
    padded = jnp.pad(x, ((0, 0), (margins[0],) * 2, (margins[1],) * 2, (0, 0)))
    taps = [padded[:, i : i + h, j : j + w] for i in range(kh) for j in range(kw)]
    positions = dy.reshape(-1, o)
    if kh * kw * c <= _ONE_PRODUCT_BELOW:
        taps = [jnp.concatenate(taps, -1)]
    products = [tap.reshape(-1, tap.shape[-1]).T @ positions for tap in taps]
    return jnp.stack(products).reshape(kh, kw, c, o)
