"""The step: frozen parts stand still bit for bit, mirrored judging, the crop."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax import models
from fer_jax.errors import UserError
from fer_jax.training.inputs import model_inputs
from fer_jax.training.members import per_member
from fer_jax.training.optimizers import slow_weights
from fer_jax.training.state import Batch, Resident, Sums
from fer_jax.training.step import System


@pytest.fixture
def given(tiny_members, tiny_clips):
    """One member's per_member and the clips."""
    own = jax.tree.map(lambda x: x[0], per_member(tiny_members[:1], [30]))
    clips = Resident(*map(jnp.asarray, (tiny_clips.frames, tiny_clips.length, tiny_clips.label)))
    return own, clips


def batch(rows=6, used=5):
    affine = jnp.tile(jnp.array([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]), (rows, 1, 1))
    return Batch(jnp.arange(rows), affine, jnp.ones(rows), jnp.arange(rows) < used)


def after_steps(system, own, clips, steps=6):
    """The state before and after some steps, more than Lookahead takes for one of its own."""
    before = jax.jit(system.init)(own, clips)
    state, step = before, jax.jit(system.train_step)
    for _ in range(steps):
        state, _ = step(state, Sums.zero(), own, clips, batch())
    return before, state


def bits(tree):
    return [np.asarray(leaf).view(np.uint32) for leaf in jax.tree.leaves(tree)]


def moved(before, after):
    """Whether any bit of a group changed, by the group's name."""
    return {
        name: any(
            (a != b).any() for a, b in zip(bits(before[name]), bits(after[name]), strict=True)
        )
        for name in before
    }


OPTIMIZERS = {
    'momentum': {'name': 'momentum', 'weight_decay': 0.1, 'clip': 1.0},
    'adam': {'name': 'adam', 'weight_decay': 0.1},
    'plain adam, lookahead': {'name': 'plain_adam', 'weight_decay': 0.1, 'lookahead': True},
}


@pytest.mark.parametrize('optimizer', OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_what_is_frozen_stands_still_bit_for_bit(tiny_system, given, optimizer):
    # With an L2 term on a frozen layer, decay, and batch statistics of a frozen normalisation.
    class Frozen(type(tiny_system.model)):
        frozen = ('conv', 'norm', 'fc1')

    system = dataclasses.replace(tiny_system, model=Frozen(3), optimizer=optimizer, l2=0.1)
    before, after = after_steps(system, *given)
    expected = {'conv': False, 'norm': False, 'fc1': False, 'fc2': True}
    assert moved(slow_weights(before.params), slow_weights(after.params)) == expected
    assert moved(before.batch_stats, after.batch_stats) == {'norm': False}
    # Without it everything moves.
    free = dataclasses.replace(system, model=tiny_system.model)
    before, after = after_steps(free, *given)
    assert all(moved(slow_weights(before.params), slow_weights(after.params)).values())
    assert moved(before.batch_stats, after.batch_stats) == {'norm': True}


@pytest.mark.parametrize('freeze', [True, False])
def test_jains_cnn_stands_still_while_its_rnn_learns(given, freeze):
    options = {'depth': 4, 'width': 0.25, 'units': 4, 'rnn': 'tanh', 'freeze': freeze}
    system = System(
        models.build('cnn_rnn', num_classes=3, **options),
        {'name': 'momentum', 'weight_decay': 1e-4, 'clip': 1.0},
        {'normalize': 'unit', 'channels': 1},
        loss='squared_error',
        l2=1e-3,
        l2_layers=('fc2', 'classifier'),
    )
    before, after = after_steps(system, *given)
    cnn = dict.fromkeys(('frames', 'fc1', 'fc2'), not freeze)
    assert moved(before.params, after.params) == {**cnn, 'rnn': True, 'classifier': True}


def test_a_mirrored_judgement_is_the_mean_of_both(tiny_system, given, tiny_clips):
    own, clips = given
    both = dataclasses.replace(tiny_system, mirrored=True)
    state = jax.jit(tiny_system.init)(own, clips)
    flipped = clips.replace(frames=jnp.asarray(tiny_clips.frames[:, :, :, ::-1].copy()))
    clip = jnp.arange(7)
    one, other = (
        jax.jit(tiny_system.evaluate_step)(state, own, frames, clip) for frames in (clips, flipped)
    )
    found = jax.jit(both.evaluate_step)(state, own, clips, clip)
    np.testing.assert_allclose(found, (one + other) / 2, atol=1e-6)
    assert np.abs(np.asarray(one - other)).max() > 1e-6


@pytest.mark.parametrize(('side', 'crop', 'first'), [(48, 40, 4), (11, 6, 2), (12, 12, 0)])
def test_the_crop_is_the_middle_of_the_normalised_frame(side, crop, first):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 3, side, side, 1), np.uint8)
    mean, std = rng.random((2, side, side, 1), np.float32) + 0.5
    options = {'normalize': 'mean_std', 'channels': 3, 'crop': crop}
    found = model_inputs(jnp.asarray(frames), None, jnp.asarray(mean), jnp.asarray(std), **options)
    window = slice(first, first + crop)
    expected = ((frames / 255 - mean) / std)[:, :, window, window].repeat(3, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('crop', [-1, 13])
def test_a_crop_beyond_the_frame_is_the_users(crop):
    frames = jnp.zeros((1, 1, 12, 12, 1), jnp.uint8)
    with pytest.raises(UserError, match=f'inputs.crop is {crop}, the frames are 12 x 12'):
        model_inputs(frames, None, 0.0, 1.0, normalize='unit', channels=1, crop=crop)
