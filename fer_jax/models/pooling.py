"""Max- and average-pooling with gradients that are fast on a CPU.

XLA's gradient of a max-pool (select and scatter) costs ten times and more what choosing by the
position of the window's maximum costs. Windows here do not overlap (strides >= window), so that the
gradient is one select over the input, and they may be padded as PyTorch pads: with -inf for the
maximum, with zeros that count for the mean. As in PyTorch the output's size is rounded down, and of
equal maxima the first one (in row-major order) receives the gradient.
"""

from collections.abc import Sequence
from functools import partial, reduce
from itertools import product
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from fer_jax.models.convolution import chosen_form

Sizes = tuple[int, ...]


class _Geometry(NamedTuple):
    """What a pooling does along each spatial axis; hashable, as custom gradients need it."""

    space: Sizes
    window: Sizes
    strides: Sizes
    padding: Sizes

    @property
    def out(self) -> Sizes:
        """Number of windows along each axis."""
        return tuple((n + 2 * p - w) // s + 1 for n, w, s, p in zip(*self, strict=True))


def max_pool(
    x: jax.Array,
    window: Sizes,
    strides: Sizes | None = None,
    padding: Sizes | None = None,
    *,
    form: str = 'auto',
) -> jax.Array:
    """Maximum over windows, channels last.

    Args:
        x: float [B, *space, C].
        window: sizes of the window along the spatial axes.
        strides: at least the window's sizes; the default is the window.
        padding: cells of -inf on both sides of each axis, fewer than the window has; default none.
        form: 'lax' is XLA's reduce_window and its gradient; 'taps' and 'auto' the own one.

    Returns:
        float [B, *space', C], space' = floor((space + 2 padding - window) / strides) + 1.

    Raises:
        ValueError: windows that overlap, or an axis shorter than its window.
    """
    geometry = _geometry(x, window, strides, padding)
    if _is_native(form):
        margins = [(p, p) for p in geometry.padding]
        return nn.max_pool(x, geometry.window, geometry.strides, margins)
    return _max_pool(x, geometry)


def avg_pool(
    x: jax.Array,
    window: Sizes,
    strides: Sizes | None = None,
    padding: Sizes | None = None,
    *,
    form: str = 'auto',
) -> jax.Array:
    """Mean over windows, channels last; padded zeros count (PyTorch's count_include_pad=True).

    Arguments, result and errors as `max_pool`.
    """
    geometry = _geometry(x, window, strides, padding)
    if _is_native(form):
        margins = [(p, p) for p in geometry.padding]
        return nn.avg_pool(x, geometry.window, geometry.strides, margins)
    return _avg_pool(x, geometry)


def fitted(
    space: Sequence[int], window: Sizes, strides: Sizes, padding: Sizes
) -> tuple[Sizes, Sizes, Sizes]:
    """A pooling that leaves alone the axes which have become shorter than its window.

    Small clips (8 frames, 48 x 48) reach one frame or one pixel before the last pooling; clips of
    the published size never do.

    Returns:
        window, strides and padding: 1, 1 and 0 along the axes where space + 2 padding < window.
    """
    axes = [
        (w, s, p) if n + 2 * p >= w else (1, 1, 0)
        for n, w, s, p in zip(space, window, strides, padding, strict=True)
    ]
    window, strides, padding = zip(*axes, strict=True)
    return window, strides, padding


def _is_native(form: str) -> bool:
    # The own form serves accelerators as well, so that 'auto' takes it everywhere.
    return form != 'auto' and chosen_form(form) == 'lax'


def _geometry(
    x: jax.Array, window: Sizes, strides: Sizes | None, padding: Sizes | None
) -> _Geometry:
    window = tuple(window)
    geometry = _Geometry(
        x.shape[1:-1], window, tuple(strides or window), tuple(padding or (0,) * len(window))
    )
    for n, w, s, p in zip(*geometry, strict=True):
        if s < w or p >= w or n + 2 * p < w:
            raise ValueError(
                f'pooling {geometry}: strides must reach the window, padding stay below it, '
                'and each axis hold one window'
            )
    return geometry


def _cells(x: jax.Array, geometry: _Geometry, fill: float) -> list[jax.Array]:
    """The windows' first cells, second cells, ... in row-major order.

    Returns:
        prod(window) arrays [B, *space', C].
    """
    if any(geometry.padding):
        margins = ((0, 0), *((p, p) for p in geometry.padding), (0, 0))
        x = jnp.pad(x, margins, constant_values=fill)
    cells = []
    for first in product(*map(range, geometry.window)):
        spans = [
            slice(o, o + (n - 1) * s + 1, s)
            for o, n, s in zip(first, geometry.out, geometry.strides, strict=True)
        ]
        cells.append(x[(slice(None), *spans)])
    return cells


def _spread(values: jax.Array, chosen: jax.Array | None, geometry: _Geometry) -> jax.Array:
    """Hands each window's value back to its cells: to the cell numbered `chosen`, or to all.

    Args:
        values: float [B, *space', C].
        chosen: int8 [B, *space', C], a cell's number in its window; None for all cells.
        geometry: of the pooling.

    Returns:
        float [B, *space, C].
    """
    space, window, strides, padding = geometry
    out = geometry.out
    # A cell's number in its window, -1 between windows, as [1, 1, s1, 1, s2, ..., 1]: it meets
    # the values as [B, n1, 1, n2, 1, ..., C].
    number = jnp.full(strides, -1, jnp.int8)
    number = number.at[tuple(map(slice, window))].set(
        jnp.arange(prod(window), dtype=jnp.int8).reshape(window)
    )
    number = number.reshape(1, *(n for s in strides for n in (1, s)), 1)
    within = tuple(range(2, 2 * len(window) + 1, 2))
    taken = number >= 0 if chosen is None else jnp.expand_dims(chosen, within) == number
    zero = jnp.zeros((), values.dtype)
    wide = jnp.where(taken, jnp.expand_dims(values, within), zero)
    wide = wide.reshape(len(values), *(n * s for n, s in zip(out, strides, strict=True)), -1)
    # Cut what lay in the padding, add the cells that no window reached.
    edges = [
        (-p, p + m - n * s, 0) for m, p, n, s in zip(space, padding, out, strides, strict=True)
    ]
    return jax.lax.pad(wide, zero, [(0, 0, 0), *edges, (0, 0, 0)])


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _max_pool(x: jax.Array, geometry: _Geometry) -> jax.Array:
    return reduce(jnp.maximum, _cells(x, geometry, -jnp.inf))


def _max_pool_forward(x, geometry):
    largest, *cells = _cells(x, geometry, -jnp.inf)
    chosen = jnp.zeros(largest.shape, jnp.int8)
    for number, cell in enumerate(cells, 1):
        chosen = jnp.where(cell > largest, jnp.int8(number), chosen)
        largest = jnp.maximum(largest, cell)
    return largest, chosen


def _max_pool_backward(geometry, chosen, dy):
    return (_spread(dy, chosen, geometry),)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _avg_pool(x: jax.Array, geometry: _Geometry) -> jax.Array:
    return sum(_cells(x, geometry, 0.0)) / prod(geometry.window)


def _avg_pool_forward(x, geometry):
    return _avg_pool(x, geometry), None


def _avg_pool_backward(geometry, _, dy):
    return (_spread(dy / prod(geometry.window), None, geometry),)


_avg_pool.defvjp(_avg_pool_forward, _avg_pool_backward)
