"""Max- and average-pooling with gradients that are fast on a CPU.

XLA's gradient of a max-pool (select and scatter) costs ten times and more what choosing by the
position of the window's maximum costs. Where windows do not overlap (strides >= window) the
gradient is one select over the input; max-pooling also takes windows that do, one axis after
another. They may be padded as PyTorch pads: with -inf for the maximum, with zeros that count for
the mean. As in PyTorch the output's size is rounded down, and of equal maxima the first one (in
row-major order) receives the gradient.
"""

from collections.abc import Sequence
from functools import partial, reduce
from itertools import product
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from fer_jax.models.convolution import chosen_form

Sizes = tuple[int, ...]


class _Geometry(NamedTuple):
    """Sizes of a pooling along each spatial axis; hashable, as custom gradients need it."""

    space: Sizes
    window: Sizes
    strides: Sizes
    padding: Sizes

    @property
    def out(self) -> Sizes:
        """Number of windows along each axis."""
        return tuple((n + 2 * p - w) // s + 1 for n, w, s, p in zip(*self, strict=True))

    @property
    def overlaps(self) -> bool:
        """Tells whether a cell may lie in more than one window."""
        return any(s < w for w, s in zip(self.window, self.strides, strict=True))

    def along(self, axis: int, space: Sizes) -> '_Geometry':
        """Returns the pooling of one spatial axis alone, of a map whose axes have these sizes."""
        window, strides, padding = [1] * len(space), [1] * len(space), [0] * len(space)
        for sizes, own in zip((window, strides, padding), self[1:], strict=True):
            sizes[axis] = own[axis]
        return _Geometry(space, tuple(window), tuple(strides), tuple(padding))


def max_pool(
    x: jax.Array,
    window: Sizes,
    strides: Sizes | None = None,
    padding: Sizes | None = None,
    *,
    form: str = 'auto',
) -> jax.Array:
    """Takes the maximum over windows, channels last.

    Args:
      x: float [B, *space, C].
      window: sizes of the window along the spatial axes.
      strides: of the windows; the default is the window.
      padding: cells of -inf on both sides of each axis, fewer than the window has; default none.
      form: 'lax' is XLA's reduce_window and its gradient; 'taps' and 'auto' the own one.

    Returns:
      float [B, *space', C], space' = floor((space + 2 padding - window) / strides) + 1.

    Raises:
      ValueError: an axis shorter than its window, or padding as wide as the window.
    """
    geometry = _geometry(x, window, strides, padding)
    if _is_native(form):
        margins: Any = [(p, p) for p in geometry.padding]  # flax says str and takes pairs, too
        return nn.max_pool(x, geometry.window, geometry.strides, margins)
    if not geometry.overlaps:
        return _max_pool(x, geometry)
    # One axis after another: 3 + 3 cells instead of 3 x 3. From the last axis to the first, the
    # first maximum of each is the first in row-major order.
    for axis in reversed(range(len(geometry.window))):
        x = _max_pool(x, geometry.along(axis, x.shape[1:-1]))
    return x


def avg_pool(
    x: jax.Array,
    window: Sizes,
    strides: Sizes | None = None,
    padding: Sizes | None = None,
    *,
    form: str = 'auto',
) -> jax.Array:
    """Takes the mean over windows, channels last; padded zeros count (as by default in PyTorch).

    Arguments, result and errors as `max_pool`; windows that overlap are an error, too.
    """
    geometry = _geometry(x, window, strides, padding)
    if geometry.overlaps:
        raise ValueError(f'average pooling {geometry}: strides must reach the window')
    if _is_native(form):
        margins: Any = [(p, p) for p in geometry.padding]  # flax says str and takes pairs, too
        return nn.avg_pool(x, geometry.window, geometry.strides, margins)
    return _avg_pool(x, geometry)


def skip_short_axes(
    space: Sequence[int], window: Sizes, strides: Sizes, padding: Sizes
) -> tuple[Sizes, Sizes, Sizes]:
    """Returns a pooling that leaves alone the axes which have become shorter than its window.

    Small clips (8 frames, 48 x 48) reach one frame or one pixel before the last pooling; clips of
    the published size never do.

    Args:
      space: sizes of the pooled axes, (T, H, W) or (H, W).
      window, strides, padding: one number an axis.

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
        if s < 1 or p >= w or n + 2 * p < w:
            raise ValueError(
                f'pooling {geometry}: padding must stay below the window, and each axis hold one '
                'window'
            )
    return geometry


def _cells(x: jax.Array, geometry: _Geometry, fill: float) -> list[jax.Array]:
    """Returns the windows' first cells, second cells, ... in row-major order.

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

    The windows do not overlap.

    Args:
      values: float [B, *space', C].
      chosen: int8 [B, *space', C], a cell's number in its window; None for all cells.
      geometry: of the pooling.

    Returns:
      float [B, *space, C].
    """
    space, window, strides, padding = geometry
    zero = jnp.zeros((), values.dtype)
    # A cell's number in its window, -1 between windows: as [1, 1, s1, 1, s2, ..., 1] it meets the
    # values as [B, n1, 1, n2, 1, ..., C].
    number = np.full(strides, -1, np.int8)
    number[tuple(map(slice, window))] = np.arange(prod(window)).reshape(window)
    number = number.reshape(1, *(n for s in strides for n in (1, s)), 1)
    within = tuple(range(2, 2 * len(window) + 1, 2))
    taken = number >= 0 if chosen is None else jnp.expand_dims(chosen, within) == number
    wide = jnp.where(taken, jnp.expand_dims(values, within), zero)
    size = [n * s for n, s in zip(geometry.out, strides, strict=True)]
    wide = wide.reshape(len(values), *size, values.shape[-1])
    # Cut what lay in the padding, add the cells that no window reached.
    edges = [(-p, m + p - n, 0) for m, p, n in zip(space, padding, size, strict=True)]
    return jax.lax.pad(wide, zero, [(0, 0, 0), *edges, (0, 0, 0)])


def _spread_overlapping(values: jax.Array, chosen: jax.Array, geometry: _Geometry) -> jax.Array:
    """Hands values back as `_spread`, for windows that overlap, along the one axis with a window.

    Every strides-th cell lies alike in its windows. Each of these classes is added up by itself and
    all are then woven into one another: XLA makes vector code of the first and copies of the
    second, where one sum over the shifted windows ran ten times as long.
    """
    (axis,) = (i for i, w in enumerate(geometry.window) if w > 1)
    space, window, stride, padding = (sizes[axis] for sizes in geometry)
    axis += 1
    zero = jnp.zeros((), values.dtype)
    blocks = -(-(space + 2 * padding) // stride)
    classes = []
    for first in range(stride):
        parts = [jnp.zeros_like(values, shape=_with(values.shape, axis, blocks))]
        for number in range(first, window, stride):
            later = number // stride
            edges = [(0, 0, 0)] * values.ndim
            edges[axis] = (later, blocks - later - values.shape[axis], 0)
            parts.append(jax.lax.pad(jnp.where(chosen == number, values, zero), zero, edges))
        classes.append(reduce(jnp.add, parts))
    woven = jnp.stack(classes, axis + 1).reshape(_with(values.shape, axis, blocks * stride))
    return jax.lax.slice_in_dim(woven, padding, padding + space, axis=axis)


def _with(shape: Sizes, axis: int, size: int) -> Sizes:
    """Returns the shape with another size along one axis."""
    return (*shape[:axis], size, *shape[axis + 1 :])


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
    return ((_spread_overlapping if geometry.overlaps else _spread)(dy, chosen, geometry),)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _avg_pool(x: jax.Array, geometry: _Geometry) -> jax.Array:
    total = sum(_cells(x, geometry, 0.0))  # of at least one
    return total / prod(geometry.window)  # pyright: ignore[reportReturnType]


def _avg_pool_forward(x, geometry):
    return _avg_pool(x, geometry), None


def _avg_pool_backward(geometry, _, dy):
    return (_spread(dy / prod(geometry.window), None, geometry),)


_avg_pool.defvjp(_avg_pool_forward, _avg_pool_backward)
