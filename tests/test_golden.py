"""The first losses of each network on fixed clips: another number is a change to explain."""

import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax import models
from fer_jax.training.state import Batch, PerMember, Resident, Sums
from fer_jax.training.step import System

GOLDEN = Path(__file__).parent / 'golden' / 'first_losses.json'
UPDATE = 'FER_JAX_UPDATE_GOLDEN=1 python -m pytest tests/test_golden.py'
SYSTEMS = {
    'c3d': ({'width': 0.03125, 'dropout_rate': 0.2511}, (6, 32, 32), 3, {'name': 'adam'}),
    'c3d lookahead': (
        {'width': 0.03125, 'pooling': 'max', 'activation': 'leaky_relu', 'initializer': 'none'},
        (6, 32, 32),
        3,
        {'name': 'adam', 'lookahead': True},
    ),
    'convlstm': ({'width': 0.125}, (8, 16, 16), 1, {'name': 'adam', 'epsilon': 1e-7}),
    'convlstm two branches': (
        {'width': 0.125, 'second_branch': True},
        (8, 16, 16),
        1,
        {'name': 'adam', 'epsilon': 1e-7},
    ),
    'frame_cnn': ({'width': 0.125}, (1, 24, 24), 1, {'name': 'momentum', 'weight_decay': 1e-4}),
    'rnn': ({'units': 8}, (6, 4, 4), 1, {'name': 'sgd', 'clip': 1.0}),
    'cnn_rnn alone': (
        {'width': 0.25, 'rnn': 'none'},
        (1, 32, 32),
        1,
        {'name': 'momentum', 'schedule': 'step', 'epochs': 3, 'factor': 0.5},
    ),
    'cnn_rnn frozen': (
        {'width': 0.25, 'rnn': 'tanh', 'units': 8, 'freeze': True},
        (1, 32, 32),
        1,
        {'name': 'plain_adam', 'clip': 1.0},
    ),
    'stn': ({'initializer': 'default'}, (1, 48, 48), 1, {'name': 'adam'}),
    'stn stated': ({'initializer': 'normal'}, (1, 48, 48), 1, {'name': 'adam'}),
}


def first_losses(options, shape, channels, optimizer, model, steps=3):
    """Losses of three steps on one batch of noise clips whose class shifts their brightness."""
    rng = np.random.default_rng(0)
    label = np.arange(8) % 7
    frames = rng.integers(0, 120, (8, *shape, 1)) + 19 * label[:, None, None, None, None]
    clips = Resident(
        jnp.asarray(frames, jnp.uint8), jnp.full(8, shape[0], jnp.int32), jnp.asarray(label)
    )
    system = System(
        models.build(model, num_classes=7, **options),
        optimizer,
        {'normalize': 'unit', 'channels': channels},
        l2=1e-3,
        l2_layers=('fc1',) if model in ('rnn', 'frame_cnn') else ('fc1', 'fc2'),
    )
    scalar = jnp.float32
    per_member = PerMember(
        jax.random.key(3), scalar(1e-3), scalar(0.25), scalar(steps), jnp.ones(7),
        jnp.zeros((1, 1, 1)), jnp.ones((1, 1, 1)),
    )  # fmt: skip
    affine = jnp.tile(jnp.array([[[1.0, 0.0, 0.5], [0.0, 1.0, -0.25]]]), (8, 1, 1))
    batch = Batch(jnp.arange(8), affine, jnp.full(8, 0.9), jnp.arange(8) < 7)
    state, losses = jax.jit(system.init)(per_member, clips), []
    step = jax.jit(system.train_step)
    for _ in range(steps):
        state, sums = step(state, Sums.zero(), per_member, clips, batch)
        losses.append(float(sums.loss / sums.count))
    return losses


@pytest.mark.parametrize('name', SYSTEMS)
def test_first_losses(name):
    found = first_losses(*SYSTEMS[name], model=name.split()[0])
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get('FER_JAX_UPDATE_GOLDEN'):
        GOLDEN.write_text(json.dumps(golden | {name: found}, indent=1) + '\n')
        return
    message = f'if the change is meant, renew the numbers: {UPDATE}'
    np.testing.assert_allclose(found, golden[name], rtol=2e-4, err_msg=message)
