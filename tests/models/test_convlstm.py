"""saurav2020's network: equations 1 to 6 in NumPy, sizes, options, the second branch."""

import functools
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

from fer_jax.errors import UserError
from fer_jax.models import build
from fer_jax.models.convlstm import ConvLSTM

PUBLISHED = jax.ShapeDtypeStruct((2, 8, 64, 64, 1), jnp.float32)
CLIPS = np.random.default_rng(0).random((3, 3, 8, 8, 1), np.float32)
QUICK = {'xla_backend_optimization_level': 1}


def shapes(frames=PUBLISHED, **options):
    """Abstract logits and parameters."""
    module = build('convlstm', num_classes=7, **options)
    logits, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), frames)
    return logits, variables['params']


def parameters(params):
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(params))


def convolve(maps, kernel):
    """Maps [H, W, C] under a kernel [k, k, C, O], size kept: [H, W, O]."""
    c, o = kernel.shape[2:]
    return np.stack(
        [
            sum(correlate2d(maps[..., i], kernel[..., i, j], 'same') for i in range(c))
            for j in range(o)
        ],
        -1,
    )


def equations(clip, params, gate):
    """H of every frame of one clip [T, H, W, C], by saurav2020's equations 1 to 6, gate by gate."""
    kernels = {}
    for (place, name), part in zip(
        enumerate('IFGO'), np.split(params['input']['kernel'], 4, -1), strict=True
    ):
        recurrent = np.split(params['recurrent']['kernel'], 4, -1)[place]
        kernels[name] = part, recurrent, np.split(params['input']['bias'], 4)[place]
    hidden = cell = np.zeros((*clip.shape[1:3], params['recurrent']['kernel'].shape[2]))
    states = []
    for frame in clip:
        sums = {
            name: convolve(frame, from_input) + convolve(hidden, recurrent) + bias
            for name, (from_input, recurrent, bias) in kernels.items()
        }
        cell = cell * gate(sums['F']) + np.tanh(sums['G']) * gate(sums['I'])
        hidden = np.tanh(cell) * gate(sums['O'])
        states.append(hidden)
    return np.stack(states)


@pytest.mark.parametrize('form', ['taps', 'lax'])
@pytest.mark.parametrize(
    'gate, reference',
    [
        ('sigmoid', lambda x: 1 / (1 + np.exp(-x))),
        ('hard_sigmoid', lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    ],
)
def test_equations_1_to_6(gate, reference, form):
    rng = np.random.default_rng(1)
    clips = rng.standard_normal((2, 3, 4, 5, 2))
    params = {
        'input': {'kernel': rng.standard_normal((3, 3, 2, 12)), 'bias': rng.standard_normal(12)},
        'recurrent': {'kernel': rng.standard_normal((3, 3, 3, 12))},
    }
    with jax.enable_x64(True):
        module = ConvLSTM(3, gate=gate, form=form)
        states = jax.jit(module.apply, compiler_options=QUICK)({'params': params}, clips)
    expected = np.stack([equations(clip, params, reference) for clip in clips])
    np.testing.assert_allclose(states, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('form', ['taps', 'lax'])
def test_layer_mapped_over_members_equals_one_after_another(drawn, form):
    module = ConvLSTM(2, form=form)
    clips = np.random.default_rng(1).standard_normal((2, 1, 2, 4, 4, 2)).astype(np.float32)
    params = drawn(module, clips[0])
    both = jax.tree.map(lambda leaf: np.stack([leaf, 0.5 * leaf]), params)

    def slope(params, clips):
        return jax.grad(lambda params: jnp.sum(module.apply(params, clips) ** 2))(params)

    together = jax.jit(jax.vmap(slope), compiler_options=QUICK)(both, clips)
    alone = jax.jit(slope, compiler_options=QUICK)
    for member in range(2):
        own = alone(jax.tree.map(lambda leaf, m=member: leaf[m], both), clips[member])
        for left, right in zip(jax.tree.leaves(together), jax.tree.leaves(own), strict=True):
            np.testing.assert_allclose(left[member], right, rtol=1e-4, atol=1e-5)


def test_layer_starts_as_keras_does():
    """Glorot's uniform, orthogonal, and a forget gate that starts open."""

    def start(**options):
        init = jax.jit(ConvLSTM(4, **options).init, compiler_options=QUICK)
        return init(jax.random.key(0), jnp.zeros((1, 2, 4, 4, 6)))['params']

    params = start()
    kernel = params['input']['kernel']
    bound = (6 / (9 * 6 + 9 * 16)) ** 0.5
    assert 0.95 * bound < np.abs(kernel).max() <= bound
    flat = np.asarray(params['recurrent']['kernel']).reshape(-1, 16)
    np.testing.assert_allclose(flat.T @ flat, np.eye(16), atol=1e-5)
    np.testing.assert_array_equal(params['input']['bias'], [0] * 4 + [1] * 4 + [0] * 8)
    assert not start(unit_forget_bias=False)['input']['bias'].any()


# 3x3x3 convolutions with 32, 64 and 64 filters; a ConvLSTM of 16 over 64 maps; 128 -> 7.
CONVS = (27 * 32 + 32) + (27 * 32 * 64 + 64) + (27 * 64 * 64 + 64)
LSTM = 9 * (64 + 16) * 64 + 64
FRAMES = (9 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 64 + 64)
LAST = 128 * 7 + 7


@pytest.mark.parametrize(
    'options, expected',
    [
        ({}, CONVS + LSTM + 4096 * 128 + 128 + LAST),
        ({'second_branch': True}, CONVS + FRAMES + 2 * LSTM + 4096 * 128 + 128 + LAST),
        ({'states': 'all'}, CONVS + LSTM + 8 * 4096 * 128 + 128 + LAST),
        ({'pool_after': (3,)}, CONVS + LSTM + 4 * 4096 * 128 + 128 + LAST),
        ({'pool_after': (1, 2, 3)}, CONVS + LSTM + 1024 * 128 + 128 + LAST),
    ],
)
def test_parameter_counts(options, expected):
    logits, params = shapes(**options)
    assert logits.shape == (2, 7) and logits.dtype == jnp.float32
    assert parameters(params) == expected
    stated = {(): 738_375, ('second_branch',): 840_263}
    assert stated.get(tuple(options), expected) == expected


def test_width_and_sizes_come_from_options_and_data():
    _, params = shapes(jax.ShapeDtypeStruct((1, 4, 3, 1, 3), jnp.float32), width=0.125)
    assert params['conv1']['kernel'].shape == (3, 3, 3, 3, 4)
    assert params['convlstm']['recurrent']['kernel'].shape == (3, 3, 2, 8)
    assert params['fc1']['kernel'].shape == (2, 16)  # a map of one pixel is not pooled


@pytest.fixture(scope='module')
def network(drawn):
    """Narrow networks by their options, on demand, with their evaluation."""

    @functools.cache
    def make(**options):
        module = build('convlstm', num_classes=7, width=0.0625, **options)
        return module, drawn(module, CLIPS), jax.jit(module.apply, compiler_options=QUICK)

    return make


def test_branches_are_added_before_the_dense_layers(network):
    """With a second branch whose states are zero, the network is the first branch alone."""
    _, variables, evaluate = network(second_branch=True)
    params = dict(variables['params'])
    plain = {name: params[name] for name in params if not name.startswith('frames')}
    expected = network()[2]({'params': plain}, CLIPS)
    silent = {**params, 'frames_convlstm': jax.tree.map(np.zeros_like, params['frames_convlstm'])}
    np.testing.assert_allclose(evaluate({'params': silent}, CLIPS), expected, rtol=1e-4, atol=1e-6)
    assert np.abs(evaluate(variables, CLIPS) - expected).max() > 1e-3


def test_the_second_branch_s_cnn_can_be_frozen(network):
    module, variables, _ = network(second_branch=True, freeze=True)

    @functools.partial(jax.jit, compiler_options=QUICK)
    @jax.grad
    def gradient(params):
        return jnp.sum(jnp.square(module.apply({'params': params}, CLIPS)))

    for name, layer in gradient(variables['params']).items():
        moves = any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(layer))
        assert moves == (name != 'frames'), name


def test_dropout_takes_a_traced_rate(network):
    module, variables, evaluate = network()
    rngs = {'dropout': jax.random.key(1)}
    apply = jax.jit(
        lambda rate: module.apply(variables, CLIPS, train=True, dropout_rate=rate, rngs=rngs),
        compiler_options=QUICK,
    )
    np.testing.assert_allclose(apply(0.0), evaluate(variables, CLIPS), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(apply(1.0), np.tile(variables['params']['fc2']['bias'], (3, 1)))


def test_bfloat16_keeps_parameters_and_logits_float32(network):
    module, variables, evaluate = network(second_branch=True)
    half = module.clone(dtype='bfloat16')
    logits = jax.jit(half.apply, compiler_options=QUICK)(variables, CLIPS)
    exact = evaluate(variables, CLIPS)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, exact, atol=0.05 * np.abs(exact).max())
    params = jax.eval_shape(half.init, jax.random.key(0), CLIPS)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    'options, message',
    [
        ({'gate': 'tanh'}, "model.gate is 'tanh'; convlstm knows sigmoid, hard_sigmoid"),
        ({'states': 'first'}, "model.states is 'first'; convlstm knows last, all"),
        ({'pool_after': (0, 3)}, 'the convolutions are numbered 1 to 3'),
        (
            {'second_branch': True, 'pool_after': (3,)},
            'maps of 32 x 32 and, in its second branch, 16 x 16',
        ),
    ],
)
def test_mistakes_are_the_user_s(options, message):
    with pytest.raises(UserError, match=message):
        shapes(**options)
