"""Convolutions of single frames: names, sizes, dropout, padded rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.models import layers
from fer_jax.models.frame_stack import FrameStack, Structure

IMAGES = np.random.default_rng(0).random((3, 9, 6, 2), np.float32)


@pytest.fixture
def stack_of(drawn):
    def make(pool=3, **options):
        structure = Structure(((4,), (5, 6)), (5, 3), pool)
        module = FrameStack(structure, layers.he_normal, **options)
        return module, drawn(module, IMAGES)

    return make


@pytest.mark.parametrize('pool, sizes', [(2, [(4, 3), (2, 1)]), (3, [(5, 3), (3, 2)])])
def test_maps_have_names_and_sizes(stack_of, pool, sizes):
    module, variables = stack_of(pool)
    maps, last = jax.jit(module.apply)(variables, IMAGES)
    assert {name: x.shape[1:] for name, x in maps.items()} == {
        'conv1a': (9, 6, 4),
        'pool1': (*sizes[0], 4),
        'conv2a': (*sizes[0], 5),
        'conv2b': (*sizes[0], 6),
        'pool2': (*sizes[1], 6),
    }
    np.testing.assert_array_equal(last, maps['pool2'])
    assert all(x.min() >= 0 and x.max() > 0 for x in maps.values())
    assert variables['params']['conv1a']['kernel'].shape == (5, 5, 2, 4)
    assert variables['params']['conv2a']['kernel'].shape == (3, 3, 4, 5)


def test_dropout_follows_each_pooling(stack_of):
    module, variables = stack_of()
    variables = jax.tree.map(lambda leaf: leaf * (leaf.ndim > 1), variables)  # without biases

    @jax.jit
    def apply(rate):
        rngs = {'dropout': jax.random.key(1)}
        return module.apply(variables, IMAGES, train=True, rate=rate, rngs=rngs)

    maps, last = apply(1.0)
    assert not last.any() and maps['pool1'].any() and not maps['conv2b'].any()


def test_structure_is_scaled():
    assert Structure(((64, 3), (1,)), (3, 5), 2).scaled(0.25) == (((16, 1), (1,)), (3, 5), 2)


def test_padded_images_stay_out_of_batch_statistics(stack_of):
    module, variables = stack_of(batch_norm=True)
    assert 'bias' not in variables['params']['conv1a']
    mask = jnp.array([True, True, False])
    other = IMAGES.copy()
    other[2] = 7.0

    @jax.jit
    def apply(images):
        return module.apply(
            variables,
            images,
            mask=mask,
            train=True,
            rngs={'dropout': jax.random.key(0)},
            mutable=['batch_stats'],
        )

    ((_, first), stats), ((_, second), others) = apply(IMAGES), apply(other)
    np.testing.assert_allclose(first[:2], second[:2], rtol=1e-6)
    for left, right in zip(jax.tree.leaves(stats), jax.tree.leaves(others), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)
    assert not np.allclose(first[2], second[2])
