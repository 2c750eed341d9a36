"""The loop: resumption bit for bit, interruption, early stop, repetition."""

import dataclasses
import os
import shutil
import signal
import weakref
from pathlib import Path

import jax
import numpy as np
import pytest

from fer_jax.data.protocols import Protocol
from fer_jax.errors import Interrupted, UserError
from fer_jax.training import loop
from fer_jax.training.checkpoint import MemberCheckpoints
from fer_jax.training.mesh import make_layout
from fer_jax.training.record import MemberRecord


def final(folder, member):
    """Reads what a member leaves: its best network, history and probabilities of every epoch."""
    folder = Path(folder) / f'{member:03}'
    checkpoints = MemberCheckpoints(folder)
    epoch, network = checkpoints.restore_best()
    record = checkpoints.record(checkpoints.positions()[-1])
    checkpoints.close()
    assert record['finished'] and record['history']
    flat = {
        jax.tree_util.keystr(path): np.asarray(x)
        for path, x in jax.tree_util.tree_leaves_with_path([epoch, network, record['history']])
    }
    assert len(flat) > 10
    return flat | {'probabilities': np.load(folder / 'probabilities.npy')}


def size_of(folder):
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob('*') if path.is_file())


def test_a_finished_member_keeps_what_prediction_needs_and_no_states(fit, tmp_path):
    """Of a member that has not ended, parameters, moments and statistics lie there for resuming."""
    sizes = {}

    def during(record):
        if len(record.history) == 3:  # two epochs are on the disk
            record.checkpoints.wait()
            folder = tmp_path / f'{record.member.index:03}' / 'latest'
            assert len(list(folder.glob('[0-9]*/state'))) == 2
            sizes[record.member.index] = size_of(folder)

    fit(tmp_path, on_epoch=during)
    for member, before in sizes.items():
        folder = tmp_path / f'{member:03}'
        assert not list((folder / 'latest').glob('[0-9]*/state'))
        assert size_of(folder / 'latest') < before / 4
        checkpoints = MemberCheckpoints(folder)
        assert checkpoints.restore_best()[1]['params'] and len(checkpoints.positions()) == 1
        checkpoints.close()
    assert len(sizes) == 2
    # The same call again only reads.
    records = fit(tmp_path)
    assert [len(record.history) for record in records] == [4, 4]


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
    """A kill as it looks from inside: nothing after it runs."""


def kill_at(epoch, member=0):
    def on_epoch(record):
        if record.member.index == member and len(record.history) == epoch:
            raise Kill

    return on_epoch


def test_one_seed_one_result(fit, tmp_path):
    assert_same_records(fit(tmp_path / 'a'), fit(tmp_path / 'b'))
    assert_same_ends(tmp_path / 'a', tmp_path / 'b')


def test_whoever_refuses_an_epoch_leaves_the_best_networks_as_they_were(fit, tmp_path):
    with pytest.raises(Kill):
        fit(tmp_path, on_epoch=kill_at(1))
    assert not list((tmp_path / '000' / 'best').glob('[0-9]*'))


@pytest.mark.parametrize('member,epoch', [(0, 1), (0, 3), (1, 2), (1, 4)])
def test_killed_and_resumed_is_bit_for_bit(fit, tmp_path, member, epoch):
    whole = fit(tmp_path / 'whole')
    with pytest.raises(Kill):
        fit(tmp_path / 'cut', on_epoch=kill_at(epoch, member))
    resumed = fit(tmp_path / 'cut')
    assert_same_records(whole, resumed)
    assert_same_ends(tmp_path / 'whole', tmp_path / 'cut')


def test_averages_and_changed_views_resume_bit_for_bit(fit, tmp_path, tiny_system):
    system = dataclasses.replace(
        tiny_system,
        optimizer={'name': 'momentum', 'nesterov': True, 'average': 0.9, 'schedule': 'cosine',
                   'warmup': 0.2},
        erase=0.5,
        mixup=0.2,
    )  # fmt: skip
    whole = fit(tmp_path / 'whole', system=system)
    with pytest.raises(Kill):
        fit(tmp_path / 'cut', system=system, on_epoch=kill_at(3))
    assert_same_records(whole, fit(tmp_path / 'cut', system=system))
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
    whole = fit(tmp_path / 'whole', members_at_once=2, devices=2)
    with pytest.raises(Kill):
        fit(tmp_path / 'cut', members_at_once=2, devices=2, on_epoch=kill_at(3, member=1))
    assert_same_records(whole, fit(tmp_path / 'cut', members_at_once=2, devices=2))
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


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_another_process_ends_this_one_alike(fit, tmp_path, monkeypatch, number):
    monkeypatch.setattr(loop.processes, 'largest', lambda mine: int(number))
    with pytest.raises(Interrupted, match='everything is saved') as caught:
        fit(tmp_path)
    assert caught.value.number == number


def test_the_bar_of_a_run_that_goes_on_ends_at_its_end(fit, tmp_path, monkeypatch):
    """Cut in mid-epoch, after one of two members has run out of patience."""
    ends, stopped = [], []
    leave, advance = loop.TrainingProgress.__exit__, loop.TrainingProgress.advance

    def leaving(self, *error):
        ends.append((self._done, self._total))
        leave(self, *error)

    def interrupting(self, steps, clips):
        advance(self, steps, clips)
        if any(stopped):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop.TrainingProgress, '__exit__', leaving)
    given = {'epochs': 12, 'patience': 2, 'members_at_once': 2, 'checkpoint_every': 100}
    with monkeypatch.context() as cut:
        cut.setattr(loop.TrainingProgress, 'advance', interrupting)
        with pytest.raises(Interrupted):
            fit(tmp_path, on_epoch=lambda record: stopped.append(record.stopped), **given)
    fit(tmp_path, **given)
    (before, total), end = ends
    assert 0 < before < total and end == (total, total)


def test_a_finished_population_is_only_read(fit, tmp_path, capsys):
    first = fit(tmp_path)
    assert capsys.readouterr().out.startswith('starting: compiling\n')
    seen = []
    again = fit(tmp_path, on_epoch=lambda record: seen.append(len(record.history)))
    assert 'compiling' not in capsys.readouterr().out
    assert seen == [4, 4]  # once a member, with its whole history: nothing was trained
    assert_same_records(first, again)


def test_early_stop_keeps_the_best_and_leaves_the_others_alone(fit, tmp_path):
    records = fit(tmp_path / 'a', epochs=12, patience=2, members_at_once=2, devices=1)
    full = fit(tmp_path / 'b', epochs=12, members_at_once=2, devices=1)
    assert any(len(record.history) < 12 for record in records)
    for stopped, whole in zip(records, full, strict=True):
        epochs = len(stopped.history)
        assert stopped.history == whole.history[:epochs]
        if epochs < 12:
            assert epochs - stopped.best_epoch() == 2
        checkpoints = MemberCheckpoints(tmp_path / 'a' / f'{stopped.member.index:03}')
        assert checkpoints.restore_best()[0] == stopped.best_epoch()
        checkpoints.close()


def test_a_trial_of_a_search_runs_out_of_patience_where_the_run_trained_again_does(
    fit, tmp_path, tiny_members
):
    nobody = tiny_members[0].fold.test[:0]
    fold = dataclasses.replace(tiny_members[0].fold, test=nobody)
    inner = Protocol('inner', False, (fold,)).inner().folds[0]
    whole, trial = (
        fit(
            tmp_path / name,
            members=[dataclasses.replace(tiny_members[0], fold=own)],
            epochs=12,
            patience=1,
        )[0]
        for name, own in (('run', fold), ('trial', inner))
    )
    assert len(trial.history) == len(whole.history) < 12
    np.testing.assert_array_equal(trial.probabilities(), whole.probabilities())
    checkpoints = MemberCheckpoints(tmp_path / 'trial' / '000')
    assert checkpoints.restore_best()[0] == len(trial.history)  # as its rule 'last' judges
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


def wild(members, index):
    """The members, one of which diverges in its first epoch."""
    return [
        dataclasses.replace(m, learning_rate=float('inf')) if m.index == index else m
        for m in members
    ]


@pytest.mark.parametrize('members_at_once,devices', [(0, 1), (3, 1), (3, 2)])
def test_a_diverged_member_leaves_the_others_as_they_would_be(
    fit, tmp_path, tiny_members, capsys, members_at_once, devices
):
    members = tiny_members[:3]
    records = fit(
        tmp_path / 'a',
        members=wild(members, 1),
        members_at_once=members_at_once,
        devices=devices,
        epochs=2,
    )
    assert [record.failed for record in records] == [0, 1, 0]
    assert [len(record.history) for record in records] == [2, 0, 2]
    assert 'fold 1 seed 5 diverged in epoch 1' in capsys.readouterr().out
    sound = fit(
        tmp_path / 'b', members=members, members_at_once=members_at_once, devices=devices, epochs=2
    )
    assert_same_records([records[0], records[2]], [sound[0], sound[2]])
    if not members_at_once:  # one after another: bit for bit what each is alone
        alone = fit(tmp_path / 'c', members=[members[2]], epochs=2)
        assert_same_records([records[2]], alone)


def test_a_diverged_member_stays_so_when_taken_up_again(fit, tmp_path, tiny_members):
    members = wild(tiny_members[:2], 0)
    whole = fit(tmp_path / 'whole', members=members, members_at_once=2)
    with pytest.raises(Kill):
        fit(tmp_path / 'cut', members=members, members_at_once=2, on_epoch=kill_at(3, member=1))
    for _ in range(2):  # taken up in the middle, then only read
        again = fit(tmp_path / 'cut', members=members, members_at_once=2)
        assert [record.failed for record in again] == [1, 0]
        assert_same_records(whole, again)


def test_numbers_that_are_none_end_a_member(tmp_path, tiny_members, tiny_clips):
    record = MemberRecord(tiny_members[0], tiny_clips.label, 3, 4, tmp_path / 'member')
    sound = np.full((len(tiny_members[0].evaluated), 3), 1 / 3, np.float32)
    assert record.add_epoch(0.1, 1.0, 0.5, sound)['epoch'] == 1
    broken = sound.copy()
    broken[3, 1] = np.nan
    assert record.add_epoch(0.1, 1.0, 0.5, broken) is None
    assert (record.failed, record.stopped, len(record.history)) == (2, True, 1)


def test_a_records_figures_are_means_over_the_clips_of_a_part(tmp_path, tiny_members, tiny_clips):
    member, fold = tiny_members[0], tiny_members[0].fold
    rng = np.random.default_rng(0)
    said = rng.dirichlet(np.ones(3), len(member.evaluated)).astype(np.float16)
    record = MemberRecord(member, tiny_clips.label, 3, 4, tmp_path / 'member')
    row = record.add_epoch(0.1, 1.0, 0.5, said)
    both = np.split(said.astype(float), [len(fold.validation)])
    for part, rows in zip(('validation', 'test'), both, strict=True):
        label = tiny_clips.label[getattr(fold, part)]
        own = rows[np.arange(len(label)), label]
        assert row[f'{part}_accuracy'] == pytest.approx((rows.argmax(1) == label).mean())
        assert row[f'{part}_loss'] == pytest.approx(-np.log(own).mean(), rel=1e-5)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-30])


def zeros_at_the_end(path):
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes(len(data) - 200))


def other_shape(path):
    np.save(path, np.load(path)[:, :-1])


@pytest.mark.parametrize(
    'damage, message',
    [
        (cut_off, 'probabilities.npy is damaged'),
        (zeros_at_the_end, 'probabilities.npy lacks epoch 1'),
        (other_shape, r'probabilities.npy holds float16\[4, .*, not float16\[4,'),
        (lambda path: path.write_bytes(b''), 'probabilities.npy is damaged'),
        (lambda path: path.unlink(), 'probabilities.npy lacks epoch 1'),
    ],
    ids=['cut off', 'zeros', 'other shape', 'empty', 'deleted'],
)
def test_damaged_probabilities_of_an_unfinished_member_are_refused(
    fit, tmp_path, tiny_members, damage, message
):
    members = tiny_members[:1]
    whole = fit(tmp_path / 'whole', members=members)
    with pytest.raises(Kill):
        fit(tmp_path / 'cut', members=members, on_epoch=kill_at(3))
    folder = tmp_path / 'cut' / f'{members[0].index:03}'
    damage(folder / 'probabilities.npy')
    with pytest.raises(UserError, match=message) as caught:
        fit(tmp_path / 'cut', members=members)
    assert f'{folder}: ' in str(caught.value) and 'delete this folder' in str(caught.value)
    shutil.rmtree(folder)  # as the message says
    assert_same_records(whole, fit(tmp_path / 'cut', members=members))


@pytest.mark.parametrize('count,devices,shape', [(3, 8, (4, 2)), (5, 4, (4, 1)), (3, 2, (2, 1))])
def test_members_that_devices_cannot_split_evenly(
    fit, tmp_path, tiny_members, count, devices, shape
):
    more = [dataclasses.replace(tiny_members[0], index=4, fold_number=4, seed=6)]
    members = (tiny_members + more)[:count]
    layout = make_layout(count, jax.devices()[:devices], members_at_once=0, steps_per_call=0)
    assert tuple(layout.mesh.shape.values()) == shape
    one, many = (fit(tmp_path / str(n), members=members, devices=n, epochs=2) for n in (1, devices))
    for alone, together in zip(one, many, strict=True):
        for row, other in zip(alone.history, together.history, strict=True):
            assert row == pytest.approx(other, rel=2e-3)
        np.testing.assert_allclose(alone.probabilities(), together.probabilities(), atol=2e-3)


def test_members_that_have_not_begun_wait_for_those_that_have(fit, tmp_path, tiny_members):
    """Members trained two at once go on three at once from the middle, and lose nothing."""
    members = tiny_members[:3]
    with pytest.raises(Kill):
        fit(tmp_path, members=members, members_at_once=1, on_epoch=kill_at(3))
    seen = []
    fit(
        tmp_path, members=members, members_at_once=3,
        on_epoch=lambda record: seen.append((record.member.index, len(record.history))),
    )  # fmt: skip
    assert [epoch for member, epoch in seen if member == 0] == [2, 3, 4]
    assert [epoch for member, epoch in seen if member == 1] == [1, 2, 3, 4]


def test_a_resumption_lets_a_member_s_state_go_before_the_next(
    fit, tmp_path, tiny_members, monkeypatch
):
    given = {'members': tiny_members[:4], 'members_at_once': 4}
    with pytest.raises(Kill):
        fit(tmp_path, on_epoch=kill_at(3), **given)
    restore = MemberCheckpoints.restore_latest
    seen, alive = [], []

    def restored(self, *words):
        alive.append(sum(leaf() is not None for leaf in seen))
        state, record = restore(self, *words)
        leaves = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]
        seen.append(weakref.ref(leaves[0]))
        return state, record

    monkeypatch.setattr(MemberCheckpoints, 'restore_latest', restored)
    fit(tmp_path, **given)
    assert len(alive) == 4 and max(alive) == 1


@pytest.mark.parametrize('key', ['epochs', 'checkpoint_every', 'evaluate_batch'])
def test_schedule_refuses_zero(key):
    with pytest.raises(UserError, match=f'train.{key} is 0'):
        loop.Schedule(**{'epochs': 1, key: 0})
