"""The step: frozen parts stand still bit for bit, mirrored judging, the crop."""

import dataclasses
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax import models
from fer_jax.config import load_config
from fer_jax.data import views
from fer_jax.errors import UserError
from fer_jax.training import losses
from fer_jax.training.inputs import model_inputs
from fer_jax.training.members import per_member
from fer_jax.training.optimizers import evaluated_weights
from fer_jax.training.state import Batch, Resident, Sums
from fer_jax.training.step import System
from fer_jax.training.teacher import Teacher


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
    """Tells of each group, by its name, whether any bit of it changed."""
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
    'momentum, averaged': {'name': 'momentum', 'weight_decay': 0.1, 'average': 0.9},
}


@pytest.mark.parametrize('optimizer', OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_what_is_frozen_stands_still_bit_for_bit(tiny_system, given, optimizer):
    # With an L2 term on a frozen layer, decay, and batch statistics of a frozen normalisation.
    class Frozen(type(tiny_system.model)):
        frozen = ('conv', 'norm', 'fc1')

    system = dataclasses.replace(tiny_system, model=Frozen(3), optimizer=optimizer, l2=0.1)
    before, after = after_steps(system, *given)
    expected = {'conv': False, 'norm': False, 'fc1': False, 'fc2': True}
    assert moved(evaluated_weights(before.params), evaluated_weights(after.params)) == expected
    assert moved(evaluated_weights(before.batch_stats), evaluated_weights(after.batch_stats)) == {
        'norm': False
    }
    # Without it everything moves.
    free = dataclasses.replace(system, model=tiny_system.model)
    before, after = after_steps(free, *given)
    assert all(moved(evaluated_weights(before.params), evaluated_weights(after.params)).values())
    assert moved(evaluated_weights(before.batch_stats), evaluated_weights(after.batch_stats)) == {
        'norm': True
    }


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


def test_each_frame_is_standardised_before_it_is_warped():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 9, 9, 1), np.uint8)
    frames[1, 2] = 7  # of one grey level
    options = {'normalize': 'each', 'channels': 1}
    found = np.asarray(model_inputs(jnp.asarray(frames), None, 0.0, 1.0, **options))
    mean, std = (
        np.array(f(frames / 255, axis=(2, 3, 4), keepdims=True)) for f in (np.mean, np.std)
    )
    expected = (frames / 255 - mean) / np.maximum(std, 1 / 255)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    # Brighter and less contrast: the same.
    other = (frames // 2 + 64).astype(np.uint8)
    again = model_inputs(jnp.asarray(other), None, 0.0, 1.0, **options)
    np.testing.assert_allclose(again, found, atol=0.02)
    # What a view shows from beyond the border is the mean, 0.
    view = jnp.tile(jnp.array([[[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]]), (2, 1, 1)), jnp.ones(2)
    moved = np.asarray(model_inputs(jnp.asarray(frames), view, 0.0, 1.0, **options))
    np.testing.assert_allclose(moved[..., :-2, :], found[..., 2:, :], atol=1e-5)
    np.testing.assert_array_equal(moved[..., -2:, :], 0)


def loss_of_first_step(system, own, clips):
    state = jax.jit(system.init)(own, clips)
    _, sums = jax.jit(system.train_step)(state, Sums.zero(), own, clips, batch())
    return float(sums.loss / sums.count)


def test_a_step_takes_the_loss_that_its_system_names(tiny_system, given):
    own, clips = given
    own = own.replace(class_weight=jnp.array([0.5, 1.0, 1.5]))
    system = dataclasses.replace(tiny_system, l2=0.0, loss='squared_error', label_smoothing=0.2)
    state = jax.jit(system.init)(own, clips)
    rows = batch()
    _, sums = jax.jit(system.train_step)(state, Sums.zero(), own, clips, rows)
    view = rows.affine, rows.contrast
    frames = model_inputs(clips.frames[:6], view, own.mean, own.std, **system.inputs)
    logits, _ = system.model.apply(
        {'params': state.params, 'batch_stats': state.batch_stats}, frames, mask=rows.mask,
        length=clips.length[:6], train=True, dropout_rate=0.0, mutable=['batch_stats'],
        rngs={'dropout': own.key},
    )  # fmt: skip
    label = clips.label[:6]
    expected = losses.squared_error(logits, label, rows.mask, own.class_weight, 0.2)
    assert float(sums.loss / sums.count) == pytest.approx(float(expected), rel=1e-4)
    assert sums.correct == (logits.argmax(-1) == label)[:5].sum() and sums.count == 5


def test_votes_take_the_place_of_labels(tiny_system, given):
    own, clips = given
    votes = dataclasses.replace(tiny_system, targets='votes')
    certain = clips.replace(target=jax.nn.one_hot(clips.label, 3))
    expected = loss_of_first_step(tiny_system, own, clips)
    assert loss_of_first_step(votes, own, certain) == pytest.approx(expected, rel=1e-6)
    # Labels do not look at votes.
    divided = clips.replace(target=jnp.full((len(clips.label), 3), 1 / 3))
    assert loss_of_first_step(tiny_system, own, divided) == expected
    assert loss_of_first_step(votes, own, divided) != pytest.approx(expected, rel=1e-3)
    with pytest.raises(UserError, match="loss.targets is 'votes', and these labels are not"):
        loss_of_first_step(votes, own, clips)
    with pytest.raises(UserError, match="unknown loss.targets 'ballots': one of labels, votes"):
        loss_of_first_step(dataclasses.replace(votes, targets='ballots'), own, certain)


@pytest.mark.parametrize('option', ['erase', 'mixup'])
def test_views_are_changed_in_training_only_and_anew_in_each_step(tiny_system, given, option):
    own, clips = given
    system = dataclasses.replace(tiny_system, **{option: 1.0})
    state = jax.jit(tiny_system.init)(own, clips)
    losses, step = [], jax.jit(system.train_step)
    for number in (0, 0, 1):
        _, sums = step(state.replace(step=jnp.int32(number)), Sums.zero(), own, clips, batch())
        losses.append(float(sums.loss))
    assert losses[0] == losses[1] != losses[2]
    clip = jnp.arange(5)
    judgements = [jax.jit(s.evaluate_step)(state, own, clips, clip) for s in (tiny_system, system)]
    np.testing.assert_array_equal(*judgements)


@pytest.mark.parametrize('keep', [0.5, 0.9])
def test_the_average_follows_what_steps_change(tiny_system, given, keep):
    own, clips = given
    system = dataclasses.replace(tiny_system, optimizer={**tiny_system.optimizer, 'average': keep})
    plain, state = jax.jit(tiny_system.init)(own, clips), jax.jit(system.init)(own, clips)
    expected = {'params': plain.params, 'batch_stats': plain.batch_stats}
    for number in range(6):
        plain, _ = jax.jit(tiny_system.train_step)(plain, Sums.zero(), own, clips, batch())
        state, _ = jax.jit(system.train_step)(state, Sums.zero(), own, clips, batch())
        kept = min(keep, (1 + number) / (10 + number))
        now = {'params': plain.params, 'batch_stats': plain.batch_stats}
        expected = jax.tree.map(lambda a, x, k=kept: k * a + (1 - k) * x, expected, now)
    # Steps are those of a run without it, and so is the optimizer's state.
    for a, b in zip(bits(state.params.own), bits(plain.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert jax.tree.structure(state.opt_state) == jax.tree.structure(plain.opt_state)
    found = {'params': state.params.average, 'batch_stats': state.batch_stats.average}
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    # The average judges.
    averaged = plain.replace(params=found['params'], batch_stats=found['batch_stats'])
    clip = jnp.arange(7)
    judgements = [
        jax.jit(s.evaluate_step)(x, own, clips, clip)
        for s, x in ((system, state), (tiny_system, averaged))
    ]
    np.testing.assert_allclose(*judgements, atol=1e-6)


def test_a_surplus_step_leaves_the_average(tiny_system, given):
    own, clips = given
    system = dataclasses.replace(tiny_system, optimizer={'name': 'adam', 'average': 0.9})
    _, state = after_steps(system, own, clips, steps=2)
    after, _ = jax.jit(system.train_step)(state, Sums.zero(), own, clips, batch(used=0))
    for a, b in zip(bits(state), bits(after), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_average_beside_lookahead_is_the_users(tiny_system, given):
    optimizer = {'name': 'adam', 'average': 0.9, 'lookahead': True}
    system = dataclasses.replace(tiny_system, optimizer=optimizer)
    with pytest.raises(UserError, match='average and optimizer.lookahead are both set'):
        jax.eval_shape(system.init, *given)


class Certain(nn.Module):
    """Says the same of every clip: the logarithms of its shares."""

    @nn.compact
    def __call__(self, frames, *, mask, length, train, dropout_rate):
        assert frames.shape[2:] == (8, 8, 1) and not train
        shares = self.param('shares', nn.initializers.ones, (4,))
        return jnp.log(shares)[None].repeat(len(frames), 0)


def test_teachers_are_their_share_of_a_target(tiny_system, given):
    own, clips = given
    shares = jnp.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.1, 0.1, 0.4]])
    columns = (3, 0, 2)  # of four classes that the teachers know
    teacher = Teacher(Certain(), {'normalize': 'unit', 'channels': 1, 'crop': 8}, columns)
    arrays = tuple(
        {'params': {'shares': s}, 'batch_stats': {}, 'mean': own.mean, 'std': own.std}
        for s in shares
    )
    system = dataclasses.replace(tiny_system, teachers=(teacher, teacher), teachers_share=0.75)
    known = shares[:, jnp.array(columns)]
    taught = (known / known.sum(1, keepdims=True)).mean(0)
    target = 0.25 * jax.nn.one_hot(clips.label, 3) + 0.75 * taught[None]
    expected = loss_of_first_step(
        dataclasses.replace(tiny_system, targets='votes'), own, clips.replace(target=target)
    )
    found = loss_of_first_step(system, own.replace(teachers=arrays), clips)
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_view_is_of_the_standardised_face():
    """An upside-down face is not compared with an upright mean face (jain2018, kahou2015)."""
    rng = np.random.default_rng(0)
    frames = jnp.asarray(rng.integers(0, 256, (2, 1, 6, 6, 1)), jnp.uint8)
    mean, std = rng.random((6, 6, 1), np.float32), 0.1 + rng.random((6, 6, 1), np.float32)
    options = {'normalize': 'mean_std', 'channels': 1}
    upright = model_inputs(frames, None, jnp.asarray(mean), jnp.asarray(std), **options)
    upside_down = jnp.tile(jnp.array([[[1.0, 0.0, 0.0], [0.0, -1.0, 5.0]]]), (2, 1, 1))
    view = upside_down, jnp.ones(2)
    found = model_inputs(frames, view, jnp.asarray(mean), jnp.asarray(std), **options)
    np.testing.assert_allclose(found, upright[:, :, ::-1], atol=1e-5)
    # Outside the picture is the mean, not black less the mean.
    away = view[0].at[:, 0, 2].set(100.0), view[1]
    found = model_inputs(frames, away, jnp.asarray(mean), jnp.asarray(std), **options)
    np.testing.assert_array_equal(found, 0)


def test_kahou_s_crops_keep_the_deviation_of_white_noise():
    config = load_config('fer2013_cnn.py')
    frames = np.random.default_rng(0).integers(0, 256, (64, 1, 48, 48, 1)).astype(np.uint8)
    drawn = views.random(
        np.arange(64), (48, 48), np.random.default_rng(1), **config.augment.options.to_dict()
    )
    inputs = {'normalize': 'unit', 'channels': 1, 'crop': config.inputs.crop}
    found = model_inputs(
        jnp.asarray(frames), (jnp.asarray(drawn.affine), jnp.asarray(drawn.contrast)),
        jnp.zeros(1), jnp.ones(1), **inputs,
    )  # fmt: skip
    assert np.std(found) == pytest.approx(np.std(frames / 255), rel=0.02)


def test_the_rate_told_is_that_of_the_last_step_taken(tiny_system):
    options = {'name': 'sgd', 'schedule': 'step', 'epochs': 3, 'every': 1, 'factor': 0.1}
    system = dataclasses.replace(tiny_system, optimizer=options)
    own = SimpleNamespace(learning_rate=0.5, total_steps=jnp.float32(15))
    for steps, rate in ((0, 0.5), (5, 0.5), (6, 0.05), (10, 0.05), (15, 0.005)):
        found = system.learning_rate(SimpleNamespace(step=jnp.int32(steps)), own)
        assert found == pytest.approx(rate), steps
