"""minaee2019's network: sizes, the transformer's start, options."""

import functools
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.models import build

FACES = np.random.default_rng(0).random((3, 1, 48, 48, 1), np.float32)


@functools.cache
def initialised(**options):
    """A network that maps variables and faces to logits when called, and its variables."""
    module = build('stn', num_classes=7, **options)
    # Random numbers are slow to compile well; the same bits come out either way.
    init = jax.jit(module.init, compiler_options={'xla_backend_optimization_level': 1})
    return module, init(jax.random.key(0), FACES)


@functools.cache
def evaluation(module):
    """The network's evaluation, compiled: variables, faces -> logits and what it sowed."""
    return jax.jit(functools.partial(module.apply, mutable=['intermediates']))


def parameters(variables):
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(variables['params']))


@pytest.mark.parametrize(
    'options, expected',
    [
        ({}, 76_777),
        ({'transform': 'features'}, 76_777),
        ({'localiser_kernels': (7, 5)}, 66_857),
        # 3x3 convolutions, 810 -> 50 -> 7.
        ({'transform': 'none'}, (9 * 10 + 10) + 3 * (90 * 10 + 10) + 811 * 50 + 51 * 7),
    ],
)
def test_parameter_counts(options, expected):
    module = build('stn', num_classes=7, **options)
    variables = jax.eval_shape(module.init, jax.random.key(0), FACES)
    assert parameters(variables) == expected
    params = variables['params']
    assert params['fc1']['kernel'].shape == (810, 50)
    assert params['fc2']['kernel'].shape == (50, 7)
    if 'localiser_kernels' in options:
        assert params['localiser_fc']['kernel'].shape == (640, 32)
    elif options.get('transform') != 'none':
        assert params['localiser_fc']['kernel'].shape == (1000, 32)


@pytest.mark.parametrize('transform', ['input', 'features'])
def test_the_transformer_starts_at_the_identity(transform):
    module, variables = initialised(transform=transform)
    logits, state = evaluation(module)(variables, FACES)
    (theta,) = state['intermediates']['theta']
    np.testing.assert_array_equal(theta, np.tile(np.eye(2, 3, dtype=np.float32), (3, 1, 1)))
    plain = build('stn', num_classes=7, transform='none')
    params = {name: variables['params'][name] for name in variables['params']}
    for name in ('localiser_conv1', 'localiser_conv2', 'localiser_fc', 'localiser_theta'):
        del params[name]
    np.testing.assert_allclose(logits, evaluation(plain)({'params': params}, FACES)[0], atol=1e-6)


def test_the_grid_moves_the_input():
    """A theta that shifts by a quarter of the width is the network on shifted faces."""
    module, variables = initialised()
    shifted = np.zeros_like(FACES)
    shifted[..., :36, :] = FACES[..., 12:, :]
    params = variables['params']
    bias = params['localiser_theta']['bias'].at[2].set(2 * 12 / 48)
    moved = {'params': {**params, 'localiser_theta': {**params['localiser_theta'], 'bias': bias}}}
    evaluate = evaluation(module)
    np.testing.assert_allclose(
        evaluate(moved, FACES)[0], evaluate(variables, shifted)[0], atol=1e-6
    )


def test_initialisers():
    _, normal = initialised()
    _, default = initialised(initializer='default')
    for name, layer in normal['params'].items():
        if name == 'localiser_theta':
            continue
        count = layer['kernel'].size
        assert np.isclose(layer['kernel'].std(), 0.05, rtol=3 / count**0.5), name
        assert not layer['bias'].any()
        other = default['params'][name]
        bound = prod(other['kernel'].shape[:-1]) ** -0.5
        assert 0.7 * bound < np.abs(other['kernel']).max() <= bound * (1 + 1e-6), name
        assert 0 < np.abs(other['bias']).max() <= bound
    for params in (normal['params'], default['params']):
        assert not params['localiser_theta']['kernel'].any()


def test_the_image_receives_no_gradient_through_the_grid_but_theta_does():
    module, variables = initialised()
    weights = variables['params']['localiser_theta']['kernel'] + 0.01

    def loss(params):
        return jnp.sum(jnp.square(module.apply({'params': params}, FACES)))

    params = dict(variables['params'])
    params['localiser_theta'] = {**params['localiser_theta'], 'kernel': weights}
    gradients = jax.jit(jax.grad(loss))(params)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients))


def test_dropout_needs_its_key_only_in_training():
    module, variables = initialised()
    rngs = {'dropout': jax.random.key(1)}
    apply = jax.jit(
        lambda rate: module.apply(variables, FACES, train=True, dropout_rate=rate, rngs=rngs)
    )
    np.testing.assert_allclose(apply(0.0), evaluation(module)(variables, FACES)[0], atol=1e-6)
    assert not np.allclose(apply(0.5), apply(0.0))
    np.testing.assert_array_equal(apply(1.0), np.zeros((3, 7)))  # all biases start at 0


def test_bfloat16_gives_float32_logits():
    module, variables = initialised()
    logits, _ = evaluation(module.clone(dtype='bfloat16'))(variables, FACES)
    exact, _ = evaluation(module)(variables, FACES)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, exact, atol=0.05 * np.abs(exact).max())
    assert np.ptp(exact, axis=0).max() > 0.1 * np.abs(exact).max()  # the faces matter


@pytest.mark.parametrize(
    'frames, options, message',
    [
        ((1, 2, 48, 48, 1), {}, 'images, not clips of 2 frames'),
        ((1, 1, 15, 48, 1), {}, 'at least 16 x 16, not 15 x 48'),
        ((1, 1, 17, 48, 1), {'localiser_kernels': (7, 5)}, 'at least 18 x 18, not 17 x 48'),
        ((1, 1, 48, 48, 1), {'localiser_kernels': (21, 15)}, 'at least 52 x 52, not 48 x 48: give'),
        ((1, 1, 48, 48, 1), {'transform': 'output'}, 'stn knows input, features, none'),
        ((1, 1, 48, 48, 1), {'initializer': 'xavier'}, 'stn knows default, normal'),
    ],
)
def test_mistakes_are_the_user_s(frames, options, message):
    module = build('stn', num_classes=7, **options)
    with pytest.raises(UserError, match=message):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(frames))


@pytest.mark.parametrize('kernels, side', [((3, 3), 16), ((7, 5), 18), ((5, 13), 32)])
def test_the_smallest_image_is_one_that_the_localiser_takes(kernels, side):
    module = build('stn', num_classes=7, localiser_kernels=kernels)
    jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 1, side, side, 1)))
    with pytest.raises(UserError, match=f'at least {side} x {side}, not {side - 1} x {side - 1}'):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 1, side - 1, side - 1, 1)))
