"""jain2018's networks: sizes, what the sequence is, the frozen CNN."""

import functools
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.models import build
from fer_jax.models.cnn_rnn import in_bands, still_steps

FACES = jax.ShapeDtypeStruct((2, 1, 96, 96, 1), jnp.float32)
CLIPS = np.random.default_rng(0).random((2, 3, 16, 8, 1), np.float32)
STILLS = CLIPS[:, :1]
QUICK = {'xla_backend_optimization_level': 1}


def shapes(frames=FACES, **options):
    """Abstract parameters."""
    module = build('cnn_rnn', num_classes=7, **options)
    return jax.eval_shape(module.init, jax.random.key(0), frames)['params']


def parameters(params):
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(params))


def convolutions(sides):
    filters = (1, 8, 16, 32, 64, 128, 256)
    return sum(side**2 * a * b + b for side, a, b in zip(sides, filters, filters[1:], strict=False))


def recurrent(inputs, units):
    return inputs * units + units + units**2 + (units + 1) * 7


MIXED = convolutions((5, 5, 5, 3, 3, 3))
FC = 257 * 200 + 201 * 200


@pytest.mark.parametrize(
    'options, expected',
    [
        ({'rnn': 'none'}, MIXED + FC + 201 * 7),
        ({}, MIXED + FC + recurrent(200, 150)),
        ({'rnn': 'tanh', 'units': 50}, MIXED + FC + recurrent(200, 50)),
        ({'rnn': 'none', 'kernels': 'all5'}, convolutions((5,) * 6) + FC + 201 * 7),
        ({'depth': 4}, convolutions((5, 5, 5, 3)) + 65 * 200 + 201 * 200 + recurrent(200, 150)),
        # 96 / 8 = 12: rows of 12 x 32 values.
        ({'features': 'pool3'}, convolutions((5, 5, 5)) + recurrent(12 * 32, 150)),
        (
            {'features': 'pool3', 'stills': 'repeat'},
            convolutions((5, 5, 5)) + recurrent(12 * 12 * 32, 150),
        ),
    ],
)
def test_parameter_counts(options, expected):
    assert parameters(shapes(**options)) == expected
    stated = {('rnn',): 496_783, (): 549_083}
    if options in ({}, {'rnn': 'none'}):
        assert expected == stated[tuple(options)]


def test_both_networks_share_the_cnn():
    alone, hybrid = shapes(rnn='none'), shapes()
    own = {'fc3'}, {'rnn', 'classifier'}
    for params, others in zip((alone, hybrid), own, strict=True):
        assert set(params) == {'frames', 'fc1', 'fc2', *others}
    for name in ('frames', 'fc1', 'fc2'):
        assert jax.tree.map(jnp.shape, alone[name]) == jax.tree.map(jnp.shape, hybrid[name])


@pytest.fixture(scope='module')
def network(drawn):
    """Networks of four convolutions by their options, on demand."""

    def make(**options):
        module = build('cnn_rnn', num_classes=7, depth=4, width=0.25, units=4, **options)
        return module, drawn(module, STILLS if 'stills' in options else CLIPS)

    return make


def compiled(module):
    """Evaluation: variables, frames, length -> logits and everything that was sown."""

    def evaluate(variables, frames, length):
        logits, state = module.apply(variables, frames, length=length, mutable=['intermediates'])
        return logits, {name: values[0] for name, values in state['intermediates'].items()}

    return jax.jit(evaluate, compiler_options=QUICK)


@pytest.mark.parametrize('rnn', ['relu', 'none'])
def test_padded_frames_change_nothing(network, rnn):
    module, variables = network(rnn=rnn)
    evaluate = compiled(module)
    length, full = jnp.array([2, 3]), jnp.array([3, 3])
    other = CLIPS.copy()
    other[0, 2:] = 9.0
    logits, found = evaluate(variables, CLIPS, length)
    np.testing.assert_allclose(evaluate(variables, other, length)[0], logits, rtol=1e-5)
    assert not np.allclose(evaluate(variables, other, full)[0], logits, rtol=1e-3, atol=0)
    sizes = {'pool2': (2, 3, 4, 2, 4), 'conv4a': (2, 3, 2, 1, 16), 'hidden2': (2, 3, 50)}
    sizes |= {'logits': (2, 3, 7)} if rnn == 'none' else {'state': (2, 4)}
    assert {name: found[name].shape for name in sizes} == sizes


def test_a_repeated_still_is_a_clip_of_the_same_frame(network):
    module, variables = network(stills='repeat', steps=3, rnn='tanh')
    evaluate = compiled(module)
    expected, _ = evaluate(variables, np.repeat(STILLS, 3, 1), jnp.array([3, 3]))
    still, _ = evaluate(variables, STILLS, jnp.array([1, 1]))
    np.testing.assert_allclose(still, expected, rtol=1e-4, atol=1e-6)


def test_a_still_s_rows_are_read_from_top_to_bottom(drawn):
    """40 x 8 pixels: the last map has 5 rows, of which two steps are made that share the third."""
    frames = np.random.default_rng(1).random((2, 1, 40, 8, 1), np.float32)
    module = build('cnn_rnn', num_classes=7, depth=4, width=0.25, units=4, rnn='tanh')
    variables = drawn(module, frames)
    _, found = compiled(module)(variables, frames, jnp.array([1, 1]))
    maps, params = np.asarray(found['conv4a'])[:, 0], variables['params']
    assert maps.shape == (2, 5, 1, 16)
    state, rnn = np.zeros((2, 4)), params['rnn']
    for rows in (slice(0, 3), slice(2, 5)):
        x = maps[:, rows].mean((1, 2))
        for name in ('fc1', 'fc2'):
            x = np.maximum(x @ params[name]['kernel'] + params[name]['bias'], 0)
        x = x @ rnn['input']['kernel'] + rnn['input']['bias']
        state = np.tanh(x + state @ rnn['recurrent']['kernel'])
    np.testing.assert_allclose(found['state'], state, rtol=1e-4)


@pytest.mark.parametrize('height, steps', [(96, 3), (48, 2), (33, 2), (16, 1)])
def test_no_depth_changes_how_many_steps_a_still_has(height, steps):
    """Table 3 varies the depth alone; six convolutions read the rows that they have."""
    assert still_steps(height) == steps
    frames = jax.ShapeDtypeStruct((2, 1, height, 8, 1), jnp.float32)
    rows = {}
    for depth in (4, 5, 6):
        module = build('cnn_rnn', num_classes=7, depth=depth, width=0.125, units=4)
        _, state = jax.eval_shape(
            functools.partial(module.init_with_output, mutable=['params', 'intermediates']),
            jax.random.key(0),
            frames,
        )
        found = state['intermediates']
        assert found['hidden2'][0].shape[:2] == (2, steps)
        rows[depth] = found[f'conv{depth}a'][0].shape[2]
    assert rows[6] == steps <= rows[5] <= rows[4] == -(-height // 8)


def test_bands_are_those_of_adaptive_pooling():
    rows = np.arange(12.0).reshape(1, 6, 2)
    np.testing.assert_array_equal(in_bands(rows, 6), rows)
    np.testing.assert_allclose(in_bands(rows, 3)[0, :, 0], [1, 5, 9])
    np.testing.assert_allclose(in_bands(rows[:, :3], 2)[0, :, 0], [1, 3])
    np.testing.assert_allclose(in_bands(rows[:, :2], 3)[0, :, 0], [0, 1, 2])


@pytest.mark.parametrize('stills', ['rows', 'repeat'])
def test_a_still_among_clips_is_the_still_alone(network, stills):
    module, variables = network(stills=stills, rnn='tanh')
    evaluate = compiled(module)
    among = np.concatenate([np.repeat(STILLS[:1], 3, 1), CLIPS[1:]])
    logits, found = evaluate(variables, among, jnp.array([1, 3]))
    assert found['hidden2'].shape == (2, 3, 50)
    alone = evaluate(variables, STILLS[:1], jnp.array([1]))[0][0]
    np.testing.assert_allclose(logits[0], alone, rtol=1e-4, atol=1e-6)
    clip, _ = evaluate(variables, CLIPS, jnp.array([3, 3]))
    np.testing.assert_allclose(logits[1], clip[1], rtol=1e-4, atol=1e-6)
    assert not np.allclose(logits[0], clip[0], rtol=1e-3)


def test_a_frozen_cnn_runs_as_in_evaluation_and_receives_no_gradient(network):
    module, variables = network(rnn='tanh', freeze=True)

    @functools.partial(jax.jit, compiler_options=QUICK)
    @functools.partial(jax.grad, has_aux=True)
    def gradient(params):
        rngs = {'dropout': jax.random.key(0)}
        logits = module.apply({'params': params}, CLIPS, train=True, dropout_rate=0.5, rngs=rngs)
        return jnp.sum(jnp.square(logits)), logits

    gradients, logits = gradient(variables['params'])
    for name, layer in gradients.items():
        moves = any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(layer))
        assert moves == (name in ('rnn', 'classifier')), name
    exact, _ = compiled(module)(variables, CLIPS, jnp.array([3, 3]))
    np.testing.assert_allclose(logits, exact, rtol=1e-4, atol=1e-6)
    half, _ = compiled(module.clone(dtype='bfloat16'))(variables, CLIPS, jnp.array([3, 3]))
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, exact, atol=0.05 * np.abs(exact).max())


def test_dropout_takes_a_traced_rate(network):
    module, variables = network(rnn='none')
    params = jax.tree.map(np.zeros_like, variables['params'])
    params['fc2'], params['fc3'] = variables['params']['fc2'], variables['params']['fc3']
    rngs = {'dropout': jax.random.key(1)}
    apply = jax.jit(
        lambda rate: module.apply(
            {'params': params}, STILLS, train=True, dropout_rate=rate, rngs=rngs
        ),
        compiler_options=QUICK,
    )
    bias = np.tile(params['fc3']['bias'], (2, 1))
    np.testing.assert_allclose(apply(1.0), bias, rtol=1e-6)  # nothing is left of 'fc2'
    assert not np.allclose(apply(0.5), bias)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'rnn': 'lstm'}, "model.rnn is 'lstm'; cnn_rnn knows none, relu, tanh"),
        ({'depth': 3}, 'model.depth is 3; cnn_rnn knows 4, 5, 6'),
        ({'kernels': '5'}, 'cnn_rnn knows mixed, all5'),
        ({'features': 'conv3'}, 'cnn_rnn knows fc, pool3'),
        ({'stills': 'columns'}, 'cnn_rnn knows rows, repeat'),
    ],
)
def test_mistakes_are_the_user_s(options, message):
    with pytest.raises(UserError, match=message):
        shapes(**options)


@pytest.mark.parametrize('stills', ['rows', 'repeat'])
def test_outputs_of_every_step_are_averaged(stills):
    """Against probabilities after each step, taken from clips that end there."""
    options = {'depth': 4, 'width': 0.25, 'units': 4, 'rnn': 'tanh', 'stills': stills}
    last, average = (
        build('cnn_rnn', num_classes=7, **options, outputs=outputs)
        for outputs in ('last', 'average')
    )
    variables = jax.jit(average.init)(jax.random.key(1), CLIPS)
    assert jax.tree.map(jnp.shape, variables['params']) == jax.tree.map(
        jnp.shape, jax.eval_shape(last.init, jax.random.key(1), CLIPS)['params']
    )
    length = np.array([3, 2])
    found = average.apply(variables, CLIPS, length=length)
    steps = np.stack([
        jax.nn.softmax(last.apply(variables, CLIPS[:, :n], length=np.full(2, n))) for n in (2, 3)
    ])  # fmt: skip
    # A clip of one frame is a still, whose sequence is that frame once.
    cut = last.clone(stills='repeat', steps=1)
    first = jax.nn.softmax(cut.apply(variables, CLIPS[:, :1]))
    expected = [np.mean([first[0], *steps[:, 0]], 0), np.mean([first[1], steps[0, 1]], 0)]
    np.testing.assert_allclose(jax.nn.softmax(found), expected, rtol=1e-4)
    with pytest.raises(UserError, match='model.outputs is'):
        build('cnn_rnn', num_classes=7, outputs='all').init(jax.random.key(0), CLIPS)
