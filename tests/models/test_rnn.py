"""kahou2015's clip classifier: its size, features of any shape, dropout."""

from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.models import build

CLIPS = np.random.default_rng(0).random((3, 4, 2, 2, 3), np.float32)


def parameters(module, frames):
    shapes = jax.eval_shape(module.init, jax.random.key(0), frames)
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(shapes['params']))


@pytest.mark.parametrize(
    'options, shape, expected',
    [
        # kahou2015: 10 x 10 x 32 after the second pooling; 12 x 12 x 32 from 48 x 48.
        ({}, (10, 10, 32), 3200 * 200 + 200 + 200 * 200 + 200 * 7 + 7),
        ({}, (12, 12, 32), 4608 * 200 + 200 + 200 * 200 + 200 * 7 + 7),
        ({'activation': 'tanh', 'units': 5}, (7,), 7 * 5 + 5 + 25 + 5 * 7 + 7),
    ],
)
def test_parameter_counts(options, shape, expected):
    module = build('rnn', num_classes=7, **options)
    assert parameters(module, jnp.zeros((2, 16, *shape))) == expected
    if shape == (10, 10, 32):
        assert expected == 681_607


@pytest.fixture(scope='module')
def small(drawn):
    """A narrow network, its variables, and its evaluation: clips, length -> logits, state."""
    module = build('rnn', num_classes=7, units=6)
    variables = drawn(module, CLIPS)

    @jax.jit
    def evaluate(frames, length):
        logits, found = module.apply(variables, frames, length=length, mutable=['intermediates'])
        return logits, found['intermediates']['state'][0]

    return module, variables, evaluate


def test_features_are_flattened_and_length_counts(small):
    _, variables, evaluate = small
    logits, state = evaluate(CLIPS, jnp.full(3, 4))
    assert state.shape == (3, 6) and logits.dtype == jnp.float32
    fc1 = variables['params']['fc1']
    np.testing.assert_allclose(logits, np.asarray(state) @ fc1['kernel'] + fc1['bias'], rtol=1e-4)
    np.testing.assert_allclose(
        evaluate(CLIPS.reshape(3, 4, 12), jnp.full(3, 4))[0], logits, rtol=1e-5
    )
    other = CLIPS.copy()
    other[0, 2:] = 9.0
    length = jnp.array([2, 4, 4])
    cut, _ = evaluate(other, length)
    np.testing.assert_array_equal(cut, evaluate(CLIPS, length)[0])
    np.testing.assert_allclose(cut[1:], logits[1:], rtol=1e-6)
    assert not np.allclose(cut[0], logits[0], rtol=1e-3)


def test_dropout_takes_a_traced_rate(small):
    module, variables, evaluate = small
    rngs = {'dropout': jax.random.key(1)}
    apply = jax.jit(
        lambda rate: module.apply(variables, CLIPS, train=True, dropout_rate=rate, rngs=rngs)
    )
    np.testing.assert_allclose(apply(0.0), evaluate(CLIPS, jnp.full(3, 4))[0], rtol=1e-5)
    np.testing.assert_allclose(apply(1.0), np.tile(variables['params']['fc1']['bias'], (3, 1)))


def test_bfloat16_gives_float32_logits(small):
    module, variables, evaluate = small
    logits = jax.jit(module.clone(dtype='bfloat16').apply)(variables, CLIPS)
    exact, _ = evaluate(CLIPS, jnp.full(3, 4))
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, exact, atol=0.02 * np.abs(exact).max())


def test_unknown_activation_is_the_user_s():
    with pytest.raises(UserError, match='give relu, tanh'):
        parameters(build('rnn', num_classes=7, activation='gelu'), CLIPS)
