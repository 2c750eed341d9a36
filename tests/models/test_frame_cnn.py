"""kahou2015's frame networks: sizes, features of every layer, the mean over a clip's frames."""

import functools
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from fer_jax.errors import UserError
from fer_jax.models import build
from fer_jax.models.features import features

CLIPS = np.random.default_rng(0).random((3, 4, 8, 8, 1), np.float32)
QUICK = {'xla_backend_optimization_level': 1}
FACES = jax.ShapeDtypeStruct((2, 1, 48, 48, 1), jnp.float32)


def shapes(frames=FACES, **options):
    """Abstract parameters."""
    module = build('frame_cnn', num_classes=7, **options)
    return jax.eval_shape(module.init, jax.random.key(0), frames)['params']


def convolutions(side, *filters):
    return sum(side**2 * a * b + b for a, b in zip((1, *filters), filters, strict=False))


@pytest.mark.parametrize(
    'structure, stated, expected',
    [
        (
            'very_deep',
            12_819_399,
            convolutions(3, 64, 64, 128, 128, 256, 256, 256, 256)
            + (6 * 6 * 256 + 1) * 1024 + 1025 * 1024 + 1025 * 7,
        ),
        ('three5', 341_319, convolutions(5, 64, 64, 128) + (6 * 6 * 128 + 1) * 7),
        ('three9', 267_687, convolutions(9, 32, 32, 64) + (6 * 6 * 64 + 1) * 7),
        ('two3', 120_263, convolutions(3, 32, 64, 64) + (12 * 12 * 64 + 1) * 7),
    ],
)  # fmt: skip
def test_parameter_counts(structure, stated, expected):
    params = shapes(structure=structure)
    assert sum(prod(leaf.shape) for leaf in jax.tree.leaves(params)) == stated == expected


def test_batch_norm_replaces_biases():
    params = shapes(structure='three5', batch_norm=True)['frames']
    assert 'bias' not in params['conv1a'] and params['norm1a']['scale'].shape == (64,)


@pytest.fixture(scope='module')
def network(drawn):
    """Narrow networks by their options, on demand, with their evaluation."""

    @functools.cache
    def make(**options):
        module = build('frame_cnn', num_classes=7, width=0.0625, **options)
        return module, drawn(module, CLIPS), jax.jit(module.apply, compiler_options=QUICK)

    return make


def test_clip_s_probabilities_are_the_mean_of_its_frames(network):
    module, variables, evaluate = network()
    frames = evaluate(variables, CLIPS.reshape(12, 1, 8, 8, 1)).reshape(3, 4, 7)
    frames = softmax(np.asarray(frames, np.float64), -1)
    for length in ([4, 4, 4], [1, 3, 4]):
        clips = CLIPS.copy()
        for clip, n in zip(clips, length, strict=True):
            clip[n:] = 50.0
        found = softmax(evaluate(variables, clips, length=jnp.array(length)), -1)
        expected = [clip[:n].mean(0) for clip, n in zip(frames, length, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(  # without a length every frame counts
        softmax(evaluate(variables, CLIPS), -1), frames.mean(1), rtol=1e-4
    )


def test_every_layer_is_a_feature(drawn):
    module = build('frame_cnn', num_classes=7, width=0.0625, structure='very_deep')
    variables = drawn(module, CLIPS)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def some(variables):
        layers = ('conv1b', 'pool2', 'hidden1', 'hidden2', 'logits')
        return {name: features(module, variables, CLIPS, name) for name in layers}

    maps = some(variables)
    assert {name: x.shape for name, x in maps.items()} == {
        'conv1b': (3, 4, 8, 8, 4),
        'pool2': (3, 4, 2, 2, 8),
        'hidden1': (3, 4, 64),
        'hidden2': (3, 4, 64),
        'logits': (3, 4, 7),
    }
    last = variables['params']['fc3']
    expected = np.asarray(maps['hidden2']) @ last['kernel'] + last['bias']
    np.testing.assert_allclose(maps['logits'], expected, rtol=1e-4, atol=1e-5)
    known = 'conv1a, conv1b, pool1, .*, pool3, hidden1, hidden2, logits'
    with pytest.raises(UserError, match=f"no features 'pool4'; it has {known}"):
        jax.eval_shape(lambda v: features(module, v, CLIPS, 'pool4'), variables)


def test_the_paper_s_features_have_3200_values():
    module = build('frame_cnn', num_classes=7)
    clips = jax.ShapeDtypeStruct((1, 2, 40, 40, 1), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), clips)
    maps = jax.eval_shape(lambda v, x: features(module, v, x, 'pool2'), variables, clips)
    assert maps.shape == (1, 2, 10, 10, 32)


def test_padded_frames_and_rows_change_nothing_in_training(drawn):
    module = build('frame_cnn', num_classes=7, width=0.0625, structure='two3', batch_norm=True)
    variables = drawn(module, CLIPS)
    mask, length = jnp.array([True, True, False]), jnp.array([4, 2, 4])
    other = CLIPS.copy()
    other[1, 2:], other[2] = 9.0, -9.0

    @functools.partial(jax.jit, compiler_options=QUICK)
    def step(frames, mask, length):
        def loss(params):
            logits, mutated = module.apply(
                {**variables, 'params': params},
                frames,
                mask=mask,
                length=length,
                train=True,
                dropout_rate=0.0,
                rngs={'dropout': jax.random.key(0)},
                mutable=['batch_stats'],
            )
            return jnp.sum(jnp.square(logits) * mask[:, None]), mutated

        return jax.grad(loss, has_aux=True)(variables['params'])

    expected = jax.tree.leaves(step(CLIPS, mask, length))
    found = jax.tree.leaves(step(other, mask, length))
    seen = jax.tree.leaves(step(other, jnp.ones(3, bool), jnp.full(3, 4)))
    for left, right, wrong in zip(found, expected, seen, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-4 * np.abs(right).max())
        assert not np.allclose(wrong, right, rtol=2e-3, atol=0)


def test_dropout_takes_a_traced_rate(network):
    module, variables, evaluate = network()
    rngs = {'dropout': jax.random.key(1)}
    apply = jax.jit(
        lambda rate: module.apply(variables, CLIPS, train=True, dropout_rate=rate, rngs=rngs),
        compiler_options=QUICK,
    )
    expected = softmax(evaluate(variables, CLIPS), -1)
    np.testing.assert_allclose(softmax(apply(0.0), -1), expected, rtol=1e-4)
    only_bias = np.tile(softmax(variables['params']['fc1']['bias']), (3, 1))
    np.testing.assert_allclose(softmax(apply(1.0), -1), only_bias, rtol=1e-5)


def test_bfloat16_gives_float32_logits(network):
    module, variables, evaluate = network()
    half = jax.jit(module.clone(dtype='bfloat16').apply, compiler_options=QUICK)
    logits, exact = half(variables, CLIPS), evaluate(variables, CLIPS)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, exact, atol=0.05 * np.abs(exact).max())


def test_unknown_structure_is_the_user_s():
    with pytest.raises(UserError, match="is 'vgg'; frame_cnn knows very_deep, three5, three9"):
        shapes(structure='vgg')


def test_the_pooling_s_window_can_be_changed():
    # Windows of 3 round an odd side up, those of 2 round it down: 42 -> 21 -> 11 or 10 -> 6 or 5.
    faces = jax.ShapeDtypeStruct((2, 1, 42, 42, 1), jnp.float32)
    for pool, side in ((0, 6), (3, 6), (2, 5)):
        assert shapes(faces, pool=pool)['fc1']['kernel'].shape == (side**2 * 64, 7)
    with pytest.raises(UserError, match='model.pool is 4: give 2 or 3, or 0'):
        shapes(pool=4)
