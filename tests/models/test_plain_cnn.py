"""The plain network: its size, padding, the fold into convolutions with a bias."""

import dataclasses
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.models import build, plain_cnn
from fer_jax.models.features import features

CLIPS = np.random.default_rng(0).standard_normal((3, 2, 12, 12, 1)).astype(np.float32)
QUICK = {'xla_backend_optimization_level': 1}
SMALL = {'filters': (3, 4, 5), 'convolutions': (1, 2, 2)}


def test_parameter_counts():
    module = build('plain_cnn', num_classes=8)
    faces = jax.ShapeDtypeStruct((2, 1, 44, 44, 1), jnp.float32)
    params = jax.eval_shape(module.init, jax.random.key(0), faces)['params']
    sides = (1, 24, 48, 48, 96, 96, 160, 160)
    expected = sum(9 * a * b + 2 * b for a, b in zip(sides, sides[1:], strict=False)) + 161 * 8
    assert sum(prod(leaf.shape) for leaf in jax.tree.leaves(params)) == expected == 526_928


@pytest.mark.parametrize('branches', [False, True])
def test_folded_it_computes_the_same(drawn, branches):
    module = build('plain_cnn', num_classes=7, branches=branches, **SMALL)
    variables = drawn(module, CLIPS)
    expected = jax.jit(module.apply, compiler_options=QUICK)(variables, CLIPS)
    folded = dataclasses.replace(module, folded=True, branches=False)
    params = plain_cnn.fold(variables)
    like = jax.eval_shape(folded.init, jax.random.key(0), CLIPS)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, like['params'])
    assert 'batch_stats' not in like
    found = jax.jit(folded.apply, compiler_options=QUICK)({'params': params}, CLIPS)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    # The logits differ between clips by far more than that.
    assert np.asarray(expected).std(0).max() > 0.1


def test_branches_end_where_shapes_differ():
    module = build('plain_cnn', num_classes=7, branches=True, **SMALL)
    params = jax.eval_shape(module.init, jax.random.key(0), CLIPS)['params']
    skips = {name for name in params if name.startswith('norm_skip')}
    assert skips == {'norm_skip2b', 'norm_skip3b'}
    assert {'point1a', 'point2a', 'point2b', 'point3a', 'point3b'} <= set(params)


def test_padded_frames_and_rows_change_nothing_in_training(drawn):
    module = build('plain_cnn', num_classes=7, branches=True, **SMALL)
    variables = drawn(module, CLIPS)
    mask, length = jnp.array([True, True, False]), jnp.array([2, 1, 2])
    other = CLIPS.copy()
    other[2] = 9.0  # a padded row
    other[1, 1] = 9.0  # a frame beyond its clip's length

    def train(clips):
        return module.apply(
            variables, clips, mask=mask, length=length, train=True, dropout_rate=0.0,
            rngs={'dropout': jax.random.key(0)}, mutable=['batch_stats'],
        )  # fmt: skip

    (one, seen), (two, same) = (jax.jit(train, compiler_options=QUICK)(x) for x in (CLIPS, other))
    np.testing.assert_allclose(one[:2], two[:2], rtol=1e-4, atol=1e-5)
    assert np.abs(np.asarray(one[2] - two[2])).max() > 1e-3
    for a, b in zip(jax.tree.leaves(seen), jax.tree.leaves(same), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_every_layer_is_a_feature(drawn):
    module = build('plain_cnn', num_classes=7, **SMALL)
    variables = drawn(module, CLIPS)
    shapes = {
        name: jax.eval_shape(lambda v, n=name: features(module, v, CLIPS, n), variables).shape
        for name in ('map1a', 'pool1', 'map2b', 'pool2', 'map3b', 'mean', 'logits')
    }
    assert shapes == {
        'map1a': (3, 2, 12, 12, 3),
        'pool1': (3, 2, 6, 6, 3),
        'map2b': (3, 2, 6, 6, 4),
        'pool2': (3, 2, 3, 3, 4),
        'map3b': (3, 2, 3, 3, 5),
        'mean': (3, 2, 5),
        'logits': (3, 2, 7),
    }


@pytest.mark.parametrize('convolutions', [(1, 2), (1, 0, 2)])
def test_groups_that_do_not_fit_are_the_users(convolutions):
    module = build('plain_cnn', num_classes=7, filters=(3, 4, 5), convolutions=convolutions)
    with pytest.raises(UserError, match='model.filters is .3, 4, 5., model.convolutions'):
        jax.eval_shape(module.init, jax.random.key(0), CLIPS)
