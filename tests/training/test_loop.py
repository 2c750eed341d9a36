"""The loop: resumption bit for bit, interruption, early stop, repetition."""

import dataclasses
import os
import pathlib
import signal

import jax
import numpy as np
import pytest

from fer_jax.errors import Interrupted, UserError
from fer_jax.training import loop
from fer_jax.training.checkpoint import MemberCheckpoints


@pytest.fixture
def fit(tiny_system, tiny_members, tiny_clips, tiny_recipe):
    """Trains in a folder; members and schedule may be overridden."""

    def run(folder, *, members=None, on_epoch=lambda record: None, devices=1, epochs=4, **schedule):
        return loop.train(
            tiny_system,
            tiny_members[:2] if members is None else members,
            tiny_clips,
            tiny_recipe,
            loop.Schedule(epochs=epochs, evaluate_batch=16, **schedule),
            pathlib.Path(folder),
            devices=jax.devices()[:devices],
            on_epoch=on_epoch,
        )

    return run


def final(folder, member):
    """A member's last checkpoint as it lies on the disk: flat {path: array}."""
    checkpoints = MemberCheckpoints(pathlib.Path(folder) / f'{member:03}')
    position = checkpoints.positions()[-1]
    state = checkpoints._latest.restore(position)['state']
    checkpoints.close()
    flat = {
        jax.tree_util.keystr(path): np.asarray(x)
        for path, x in jax.tree_util.tree_leaves_with_path(state)
    }
    assert len(flat) > 10
    return flat


def assert_same_ends(one, other, members=2):
    for member in range(members):
        ends = final(one, member), final(other, member)
        assert ends[0].keys() == ends[1].keys()
        for key in ends[0]:
            np.testing.assert_array_equal(ends[0][key], ends[1][key], err_msg=key)


def assert_same_records(one, other):
    for a, b in zip(one, other, strict=True):
        assert a.history == b.history
        np.testing.assert_array_equal(a.probabilities(), b.probabilities())


class Kill(Exception):
    """What a kill looks like from inside: nothing after it runs."""


def kill_at(epoch, member=0):
    def on_epoch(record):
        if record.member.index == member and len(record.history) == epoch:
            raise Kill

    return on_epoch


def test_one_seed_one_result(fit, tmp_path):
    assert_same_records(fit(tmp_path / 'a'), fit(tmp_path / 'b'))
    assert_same_ends(tmp_path / 'a', tmp_path / 'b')


@pytest.mark.parametrize('member,epoch', [(0, 1), (0, 3), (1, 2), (1, 4)])
def test_killed_and_resumed_is_bit_for_bit(fit, tmp_path, member, epoch):
    whole = fit(tmp_path / 'whole')
    with pytest.raises(Kill):
        fit(tmp_path / 'cut', on_epoch=kill_at(epoch, member))
    resumed = fit(tmp_path / 'cut')
    assert_same_records(whole, resumed)
    assert_same_ends(tmp_path / 'whole', tmp_path / 'cut')


def test_resumes_from_the_last_of_sparse_checkpoints(fit, tmp_path):
    whole = fit(tmp_path / 'whole', checkpoint_every=2)
    with pytest.raises(Kill):
        fit(tmp_path / 'cut', checkpoint_every=2, on_epoch=kill_at(3))
    seen = []
    resumed = fit(
        tmp_path / 'cut', checkpoint_every=2, on_epoch=lambda r: seen.append(len(r.history))
    )
    assert seen[:2] == [2, 3]
    assert_same_records(whole, resumed)
    assert_same_ends(tmp_path / 'whole', tmp_path / 'cut')


def test_a_wave_resumes_together(fit, tmp_path):
    whole = fit(tmp_path / 'whole', wave=2, devices=2)
    with pytest.raises(Kill):
        fit(tmp_path / 'cut', wave=2, devices=2, on_epoch=kill_at(3, member=1))
    assert_same_records(whole, fit(tmp_path / 'cut', wave=2, devices=2))
    assert_same_ends(tmp_path / 'whole', tmp_path / 'cut')


def test_sigterm_in_mid_epoch_saves_the_step(fit, tmp_path, monkeypatch):
    whole = fit(tmp_path / 'whole')
    advance, calls = loop.TrainingProgress.advance, []

    def interrupting(self, steps, clips):
        calls.append(steps)
        if len(calls) == 6:  # 4 steps an epoch: in the middle of the second
            os.kill(os.getpid(), signal.SIGTERM)
        advance(self, steps, clips)

    monkeypatch.setattr(loop.TrainingProgress, 'advance', interrupting)
    with pytest.raises(Interrupted, match='start the same command again'):
        fit(tmp_path / 'cut')
    monkeypatch.undo()
    checkpoints = MemberCheckpoints(tmp_path / 'cut' / '000')
    epoch, step = divmod(checkpoints.positions()[-1], loop.EPOCH)
    checkpoints.close()
    assert epoch == 2 and 0 < step < 4
    assert_same_records(whole, fit(tmp_path / 'cut'))
    assert_same_ends(tmp_path / 'whole', tmp_path / 'cut')


def test_a_finished_population_is_only_read(fit, tmp_path):
    first = fit(tmp_path)
    seen = []
    again = fit(tmp_path, on_epoch=lambda record: seen.append(len(record.history)))
    assert seen == [4, 4]  # once a member, with its whole history: nothing was trained
    assert_same_records(first, again)


def test_early_stop_keeps_the_best_and_leaves_the_others_alone(fit, tmp_path):
    records = fit(tmp_path / 'a', epochs=12, patience=2, wave=2, devices=1)
    full = fit(tmp_path / 'b', epochs=12, wave=2, devices=1)
    assert any(len(record.history) < 12 for record in records)
    for stopped, whole in zip(records, full, strict=True):
        epochs = len(stopped.history)
        assert stopped.history == whole.history[:epochs]
        if epochs < 12:
            assert epochs - stopped.best_epoch() == 2
        checkpoints = MemberCheckpoints(tmp_path / 'a' / f'{stopped.member.index:03}')
        assert checkpoints.restore_best()[0] == stopped.best_epoch()
        checkpoints.close()


def test_the_best_is_the_network_that_gave_its_probabilities(
    fit, tmp_path, tiny_system, tiny_clips
):
    record = fit(tmp_path)[0]
    checkpoints = MemberCheckpoints(tmp_path / '000')
    epoch, network = checkpoints.restore_best()
    checkpoints.close()
    frames = tiny_clips.frames[record.member.evaluated].astype(np.float32) / 255
    logits = tiny_system.model.apply(
        network, frames, mask=None, length=None, train=False, dropout_rate=None
    )
    np.testing.assert_allclose(
        jax.nn.softmax(logits), record.probabilities()[epoch - 1].astype(np.float32), atol=1e-3
    )


def test_it_learns(fit, tmp_path, tiny_members):
    quick = dataclasses.replace(tiny_members[0], learning_rate=0.03)
    history = fit(tmp_path, members=[quick], epochs=20, checkpoint_every=20)[0].history
    assert history[-1]['train_loss'] < 0.5 * history[0]['train_loss']


def test_divergence_is_told(fit, tmp_path, tiny_members):
    wild = dataclasses.replace(tiny_members[0], learning_rate=float('inf'))
    with pytest.raises(UserError, match='diverged in epoch .*learning_rate'):
        fit(tmp_path, members=[wild])


@pytest.mark.parametrize('key', ['epochs', 'checkpoint_every', 'evaluate_batch'])
def test_schedule_refuses_zero(key):
    with pytest.raises(UserError, match=f'train.{key} is 0'):
        loop.Schedule(**{'epochs': 1, key: 0})
