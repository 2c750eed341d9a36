"""All networks against PyTorch, in float64: logits, loss, every gradient, running statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fer_jax.benchmark.torch_models import TWINS
from fer_jax.config import keys
from fer_jax.models import build
from tests.benchmark.flax_loaders import LOADERS

# Compiled once and run once.
QUICK = {'xla_backend_optimization_level': 1}
CASES = [
    pytest.param('c3d', (3, 10, 48, 48, 1), {'width': 0.0625}, marks=pytest.mark.slow),
    pytest.param(
        'c3d',
        (2, 3, 20, 17, 2),
        {
            'width': 0.0625,
            'activation': 'prelu',
            'temporal_size': 9,
            'pooling': 'max',
            'second_conv': True,
        },
        marks=pytest.mark.slow,
    ),
    ('c3d', (2, 4, 32, 32, 3), {'width': 0.0625, 'activation': 'mish', 'temporal_size': 1}),
    ('stn', (3, 1, 48, 48, 1), {}),
    ('stn', (3, 1, 48, 48, 1), {'transform': 'features', 'localiser_kernels': (7, 5)}),
    ('stn', (3, 1, 21, 19, 3), {'transform': 'none'}),
    ('convlstm', (2, 3, 8, 8, 1), {'width': 0.0625, 'second_branch': True}),
    pytest.param(
        'convlstm',
        (2, 2, 9, 7, 3),
        {'width': 0.0625, 'pool_after': (2,), 'gate': 'hard_sigmoid', 'states': 'all'},
        marks=pytest.mark.slow,
    ),
    ('frame_cnn', (3, 1, 9, 8, 1), {'width': 0.0625}),
    ('frame_cnn', (3, 1, 12, 9, 1), {'width': 0.125, 'pool': 2}),
    ('frame_cnn', (2, 3, 9, 8, 1), {'width': 0.03125, 'structure': 'three5', 'batch_norm': True}),
    pytest.param(
        'frame_cnn',
        (3, 1, 13, 8, 3),
        {'width': 0.03125, 'structure': 'very_deep'},
        marks=pytest.mark.slow,
    ),
    pytest.param(
        'frame_cnn',
        (3, 2, 13, 8, 1),
        {'width': 0.03125, 'structure': 'very_deep', 'batch_norm': True},
        marks=pytest.mark.slow,
    ),
    ('plain_cnn', (3, 1, 9, 8, 1), {'filters': (3, 4), 'convolutions': (1, 2)}),
    (
        'plain_cnn',
        (2, 3, 8, 8, 1),
        {'filters': (3, 4), 'convolutions': (2, 2), 'branches': True},
    ),
    ('rnn', (3, 4, 3, 2, 2), {'units': 5}),
    ('rnn', (3, 4, 3, 2, 2), {'units': 5, 'activation': 'tanh'}),
    pytest.param(
        'cnn_rnn',
        (2, 2, 16, 8, 1),
        {'width': 0.25, 'rnn': 'none', 'kernels': 'all5'},
        marks=pytest.mark.slow,
    ),
    ('cnn_rnn', (3, 1, 40, 8, 3), {'width': 0.25, 'units': 4, 'depth': 4}),  # 5 rows, 2 steps
    pytest.param(
        'cnn_rnn',
        (3, 1, 9, 8, 1),
        {'width': 0.25, 'units': 4, 'rnn': 'tanh', 'features': 'pool3', 'stills': 'repeat'},
        marks=pytest.mark.slow,
    ),
]
# The native formulations, once each.
NATIVE = [
    ('c3d', (2, 2, 32, 32, 1), {'width': 0.0625, 'form': 'lax'}),
    ('stn', (3, 1, 48, 48, 1), {'form': 'lax'}),
    pytest.param(
        'convlstm',
        (2, 3, 8, 8, 1),
        {'width': 0.0625, 'second_branch': True, 'freeze': True, 'form': 'lax'},
        marks=pytest.mark.slow,
    ),
    pytest.param(
        'frame_cnn',
        (2, 2, 8, 8, 1),
        {'width': 0.0625, 'structure': 'two3', 'form': 'lax'},
        marks=pytest.mark.slow,
    ),
    pytest.param(
        'cnn_rnn',
        (2, 3, 9, 8, 1),
        {'width': 0.125, 'units': 4, 'depth': 5, 'freeze': True, 'form': 'lax'},
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize('name, shape, options', CASES + NATIVE)
def test_parity(name, shape, options):
    with jax.enable_x64(True):
        check_parity(name, shape, options)


def check_parity(name, shape, options):
    form = {'form': 'taps'} if 'form' in keys.NETWORKS[name] else {}
    module = build(name, num_classes=7, **form | options, dtype='float64')
    options = {key: value for key, value in options.items() if key != 'form'}
    rng = np.random.default_rng(0)
    frames, label = rng.random(shape), np.arange(shape[0]) % 7
    shapes = jax.eval_shape(module.init, jax.random.key(0), frames)
    # Everything away from its start: slopes, statistics, theta's weights.
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(0.5 * rng.standard_normal(leaf.shape) / leaf.size**0.25), shapes
    )
    stats = jax.tree.map(lambda leaf: jnp.abs(leaf) + 0.5, variables.get('batch_stats', {}))
    variables = {'params': variables['params'], 'batch_stats': stats}
    if 'localiser_theta' in variables['params']:
        variables['params']['localiser_theta']['bias'] += jnp.array([1.0, 0, 0, 0, 1, 0])

    twin = TWINS[name](shape[1:], num_classes=7, dropout_rate=0.0, **options).double()
    LOADERS[name](twin, variables)
    clips = torch.tensor(frames).permute(0, 4, 1, 2, 3)

    twin.eval()
    with torch.no_grad():
        expected = twin(clips)
    logits = jax.jit(module.apply, compiler_options=QUICK)(variables, frames)
    np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-9)

    def loss_of(params):
        logits, mutated = module.apply(
            {**variables, 'params': params},
            frames,
            train=True,
            dropout_rate=0.0,
            rngs={'dropout': jax.random.key(0)},
            mutable=['batch_stats'],
        )
        chosen = jax.nn.log_softmax(logits)[jnp.arange(len(label)), label]
        return -chosen.mean(), (logits, mutated.get('batch_stats', {}))

    twin.train()
    expected = twin(clips)
    torch.nn.functional.cross_entropy(expected, torch.tensor(label)).backward()
    gradient = jax.jit(jax.grad(loss_of, has_aux=True), compiler_options=QUICK)
    gradients, (logits, updated) = gradient(variables['params'])
    np.testing.assert_allclose(logits, expected.detach(), rtol=1e-9, atol=1e-9)

    # The gradients go the way of the parameters, into a second twin, to be compared layer by layer.
    carrier = TWINS[name](shape[1:], num_classes=7, **options).double()
    LOADERS[name](carrier, {'params': gradients, 'batch_stats': updated})
    for (path, parameter), (_, ours) in zip(
        twin.named_parameters(), carrier.named_parameters(), strict=True
    ):
        if not parameter.requires_grad:
            continue
        theirs = parameter.grad
        assert theirs.abs().max() > 0, path
        # A bias before a normalisation has no gradient but rounding.
        tolerance = 1e-9 * theirs.abs().max().item() + 1e-14
        np.testing.assert_allclose(ours.detach(), theirs, rtol=1e-7, atol=tolerance, err_msg=path)
    for (path, theirs), (_, ours) in zip(
        twin.named_buffers(), carrier.named_buffers(), strict=True
    ):
        if not path.endswith('num_batches_tracked'):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, err_msg=path)
