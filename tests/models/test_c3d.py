"""haddad2020's network: shapes, sizes, options, members."""

import functools
import itertools
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.models import build

# Compiled once and run once.
QUICK = {'xla_backend_optimization_level': 1}
PUBLISHED = jax.ShapeDtypeStruct((2, 10, 112, 112, 3), jnp.float32)


def shapes(frames=PUBLISHED, **options):
    """Abstract logits and variables."""
    module = build('c3d', num_classes=7, **options)
    return jax.eval_shape(module.init_with_output, jax.random.key(0), frames)


def parameters(params):
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(params))


def test_published_size():
    logits, variables = shapes()
    params = variables['params']
    assert logits.shape == (2, 7) and logits.dtype == jnp.float32
    assert params['fc1']['kernel'].shape == (8192, 4096)
    assert params['conv5b']['kernel'].shape == (3, 3, 3, 512, 512)
    # Convolutions without bias, normalisations, fully connected layers with bias.
    filters = [3, 64, 128, 256, 256, 512, 512, 512, 512]
    expected = sum(27 * a * b + 2 * b for a, b in itertools.pairwise(filters))
    expected += sum(a * b + b for a, b in itertools.pairwise([8192, 4096, 4096, 7]))
    assert parameters(params) == expected == 78_027_207


# haddad2020, Table 1, all combinations of what changes shapes; dropout and initialisers below.
OPTIONS = list(
    itertools.product(
        ('relu', 'elu', 'prelu', 'leaky_relu', 'mish'),
        (1, 3, 5, 7, 9),
        ('avg', 'max'),
        (False, True),
    )
)


@pytest.mark.parametrize('activation, temporal_size, pooling, second_conv', OPTIONS)
def test_every_option_of_table_1(activation, temporal_size, pooling, second_conv):
    logits, variables = shapes(
        activation=activation,
        temporal_size=temporal_size,
        pooling=pooling,
        second_conv=second_conv,
    )
    params = variables['params']
    assert logits.shape == (2, 7)
    assert params['fc1']['kernel'].shape[0] == 8192
    assert params['conv1a']['kernel'].shape[0] == temporal_size
    assert ('conv1b' in params, 'conv2b' in params) == (second_conv, second_conv)
    slopes = [name for name in params if name.startswith('act')]
    assert len(slopes) == (0 if activation != 'prelu' else 10 + 2 * second_conv)


@pytest.mark.parametrize('initializer', ['none', 'xavier_uniform', 'xavier_normal'])
def test_initialiser_reaches_every_kernel(initializer):
    module = build('c3d', num_classes=7, width=0.125, initializer=initializer)
    init = jax.jit(module.init, compiler_options=QUICK)
    params = init(jax.random.key(0), jnp.zeros((1, 2, 16, 16, 1)))['params']
    for name, layer in params.items():
        if 'kernel' not in layer:
            continue
        *window, inputs, units = layer['kernel'].shape
        fan_in, fan_out = prod(window) * inputs, prod(window) * units
        deviation = {
            'none': (3 * fan_in) ** -0.5,
            'xavier_uniform': (2 / (fan_in + fan_out)) ** 0.5,
            'xavier_normal': (2 / (fan_in + fan_out)) ** 0.5,
        }[initializer]
        assert np.isclose(layer['kernel'].std(), deviation, rtol=0.15), name
        if 'bias' in layer:
            assert np.abs(layer['bias']).max() <= fan_in**-0.5


@pytest.mark.parametrize(
    'space, inputs',
    [
        ((10, 112, 112), 4 * 4 * 512),
        ((16, 112, 112), 4 * 4 * 512),
        ((10, 48, 48), 2 * 2 * 512),
        ((8, 56, 56), 2 * 2 * 512),
        ((1, 112, 112), 4 * 4 * 512),  # time is left alone once one frame remains
        ((3, 20, 16), 1 * 1 * 512),
    ],
)
def test_sizes_come_from_the_data(space, inputs):
    _, variables = shapes(jax.ShapeDtypeStruct((2, *space, 1), jnp.float32))
    assert variables['params']['fc1']['kernel'].shape[0] == inputs


def test_width_scales_filters_and_hidden_units():
    _, variables = shapes(width=0.125)
    params = variables['params']
    assert params['conv1a']['kernel'].shape == (3, 3, 3, 3, 8)
    assert params['fc1']['kernel'].shape == (8192 // 8, 512)
    assert params['fc3']['kernel'].shape == (512, 7)


@pytest.mark.parametrize(
    'option, value',
    [('activation', 'gelu'), ('temporal_size', 4), ('initializer', 'he'), ('pooling', 'sum')],
)
def test_unknown_option_is_the_user_s(option, value):
    with pytest.raises(UserError, match=f'model.{option} is {value!r}; c3d knows '):
        shapes(**{option: value})


@pytest.fixture(scope='module')
def small():
    """A narrow network, its variables, and clips whose last rows are padding."""
    module = build('c3d', num_classes=7, width=0.0625, activation='prelu')
    frames = jnp.asarray(np.random.default_rng(0).random((4, 3, 16, 16, 1), np.float32))
    init = jax.jit(jax.vmap(module.init, in_axes=(0, None)), compiler_options=QUICK)
    return module, init(jax.random.split(jax.random.key(0), 2), frames), frames


def test_padded_rows_change_nothing(small):
    module, variables, frames = small
    variables = jax.tree.map(lambda leaf: leaf[0], variables)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def step(frames, mask):
        def loss(params):
            logits, mutated = module.apply(
                {**variables, 'params': params},
                frames,
                mask=mask,
                train=True,
                dropout_rate=0.0,
                rngs={'dropout': jax.random.key(0)},
                mutable=['batch_stats'],
            )
            return jnp.sum(jnp.square(logits) * mask[:, None]), (logits, mutated)

        return jax.grad(loss, has_aux=True)(variables['params'])

    mask = jnp.arange(4) < 3
    gradients, (logits, stats) = step(frames, mask)
    other = frames.at[3].set(5.0)
    assert not np.array_equal(step(other, jnp.ones(4, bool))[1][0][:3], logits[:3])
    for left, right in zip(
        jax.tree.leaves((gradients, logits[:3], stats)),
        jax.tree.leaves((lambda g, a: (g, a[0][:3], a[1]))(*step(other, mask))),
        strict=True,
    ):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_mapped_over_members_equals_one_after_another(small):
    module, variables, frames = small

    def step(variables, rate):
        def loss(params):
            logits, mutated = module.apply(
                {**variables, 'params': params},
                frames,
                train=True,
                dropout_rate=rate,
                rngs={'dropout': jax.random.key(0)},
                mutable=['batch_stats'],
            )
            return jnp.mean(jnp.square(logits)), (logits, mutated)

        return jax.grad(loss, has_aux=True)(variables['params'])

    rates = jnp.array([0.1, 0.6])
    together = jax.jit(jax.vmap(step), compiler_options=QUICK)(variables, rates)
    one = jax.jit(step, compiler_options=QUICK)
    for member in range(2):
        alone = one(jax.tree.map(lambda leaf, m=member: leaf[m], variables), rates[member])
        for left, right in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            scale = np.abs(right).max()
            np.testing.assert_allclose(left[member], right, rtol=1e-3, atol=1e-4 * scale)


def test_dropout_at_rate_one_leaves_only_the_classifier_s_bias(small):
    module, variables, frames = small
    variables = jax.tree.map(lambda leaf: leaf[0], variables)
    apply = jax.jit(
        lambda rate: module.apply(
            variables,
            frames,
            train=True,
            dropout_rate=rate,
            rngs={'dropout': jax.random.key(0)},
            mutable=['batch_stats'],
        )[0]
    )
    bias = variables['params']['fc3']['bias']
    np.testing.assert_allclose(apply(1.0), np.tile(bias, (4, 1)), rtol=1e-6)
    assert np.isfinite(apply(0.0)).all() and not np.allclose(apply(0.0), bias)


def test_bfloat16_keeps_parameters_and_logits_float32(small, drawn):
    module, _, frames = small
    frames *= jnp.arange(1, 5).reshape(4, 1, 1, 1, 1) / 4
    # Larger kernels, for what reaches the deepest ones of clips that are this small.
    variables = jax.tree_util.tree_map_with_path(
        lambda path, leaf: 3 * leaf if path[-2].key.startswith('conv') else leaf,
        drawn(module, frames),
    )
    half = module.clone(dtype='bfloat16')
    logits = jax.jit(half.apply)(variables, frames)
    exact = jax.jit(module.apply)(variables, frames)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, exact, atol=0.05 * np.abs(exact).max())
    assert np.ptp(exact, axis=0).max() > 0.1 * np.abs(exact).max()  # the frames matter
    params = jax.eval_shape(half.init, jax.random.key(0), frames)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
