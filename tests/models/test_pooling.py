"""Poolings against PyTorch's, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fer_jax.models.c3d import POOLINGS
from fer_jax.models.pooling import avg_pool, max_pool, skip_short_axes

GEOMETRIES = [
    ((5, 8, 9), (1, 2, 2), (1, 2, 2), (0, 0, 0)),
    ((5, 7, 9), (2, 2, 2), (2, 2, 2), (0, 0, 0)),  # odd sizes: the last cells belong to no window
    ((3, 7, 8), (1, 2, 2), (2, 2, 2), (0, 1, 1)),  # haddad2020's last pooling
    ((4, 9, 10), (2, 3, 2), (3, 4, 2), (1, 1, 0)),  # gaps between windows, and padding
]
# Of the maximum only: windows that overlap.
OVERLAPPING = [
    ((2, 8, 7), (1, 3, 3), (1, 2, 2), (0, 1, 1)),  # kahou2015, jain2018
    ((5, 7, 3), (3, 5, 2), (2, 2, 1), (0, 2, 0)),
]


def torch_pool(kind, x, geometry, upstream):
    """Value and gradient of PyTorch's pooling, channels last as given."""
    pool = {
        'max': torch.nn.functional.max_pool3d,
        'avg': torch.nn.functional.avg_pool3d,
    }[kind]
    frames = torch.tensor(x).permute(0, 4, 1, 2, 3).requires_grad_()
    y = pool(frames, *geometry)
    y.backward(torch.tensor(upstream(y.shape)).permute(0, 4, 1, 2, 3))
    return y.detach().permute(0, 2, 3, 4, 1).numpy(), frames.grad.permute(0, 2, 3, 4, 1).numpy()


def upstream_of(shape):
    """A gradient for PyTorch's layout [B, C, ...], channels last."""
    b, c, *space = shape
    return np.random.default_rng(3).standard_normal((b, *space, c)).astype(np.float32)


@pytest.mark.parametrize('tied', [False, True])
@pytest.mark.parametrize(
    'kind, space, window, strides, padding',
    [('avg', *case) for case in GEOMETRIES] + [('max', *case) for case in GEOMETRIES + OVERLAPPING],
)
def test_equals_pytorch(kind, space, window, strides, padding, tied):
    rng = np.random.default_rng(0)
    # Ties as a black border or a saturated patch makes them; all negative, so that a zero in the
    # padding would win over them.
    x = rng.integers(-4, -1, (2, *space, 3)) if tied else rng.standard_normal((2, *space, 3))
    x = x.astype(np.float32)
    expected, gradient = torch_pool(kind, x, (window, strides, padding), upstream_of)
    pool = {'max': max_pool, 'avg': avg_pool}[kind]
    y, pull = jax.vjp(lambda x: pool(x, window, strides, padding), x)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    (dx,) = pull(jnp.asarray(upstream_of((2, 3, *y.shape[1:-1]))))
    np.testing.assert_allclose(dx, gradient, rtol=1e-6)


@pytest.mark.parametrize('pool', [max_pool, avg_pool])
def test_equals_the_native_form_in_two_dimensions(pool):
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype(np.float32)
    results = [
        jax.value_and_grad(lambda x, form=form: jnp.sum(pool(x, (2, 2), form=form) ** 2))(x)
        for form in ('auto', 'lax')
    ]
    for own, native in zip(*results, strict=True):
        np.testing.assert_allclose(own, native, rtol=1e-6)


def test_mapped_over_members_equals_one_after_another():
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 6, 3)).astype(np.float32)
    grad = jax.grad(lambda x: jnp.sum(max_pool(x, (2, 2)) ** 2))
    together = jax.vmap(grad)(x)
    np.testing.assert_array_equal(together, np.stack([grad(x[0]), grad(x[1])]))


@pytest.mark.parametrize(
    'space, window, strides, padding',
    [
        ((6, 6), (2, 2), (2, 2), (2, 0)),  # padding as wide as the window
        ((6, 1), (2, 2), (2, 2), (0, 0)),  # axis too short
    ],
)
def test_impossible_poolings_are_refused(space, window, strides, padding):
    with pytest.raises(ValueError, match='padding must stay below the window'):
        max_pool(jnp.zeros((1, *space, 1)), window, strides, padding)


def test_the_mean_takes_no_windows_that_overlap():
    with pytest.raises(ValueError, match='strides must reach the window'):
        avg_pool(jnp.zeros((1, 6, 6, 1)), (3, 3), (2, 2))


def test_fitted_leaves_short_axes_alone():
    assert skip_short_axes((1, 4, 4), *POOLINGS[1]) == ((1, 2, 2), (1, 2, 2), (0, 0, 0))
    assert skip_short_axes((2, 4, 4), *POOLINGS[1]) == POOLINGS[1]
    assert skip_short_axes((1, 1, 7), *POOLINGS[4]) == POOLINGS[4]  # its padding makes room
