"""The loop says what it takes, and keeps no more states on the host than it may."""

import re

import jax
import pytest

from fer_jax.errors import UserError
from fer_jax.training import loop
from fer_jax.training.checkpoint import MemberCheckpoints


def test_no_more_states_than_allowed_wait_to_be_written(fit, tmp_path, tiny_members, monkeypatch):
    monkeypatch.setattr(loop, 'WRITTEN_AT_ONCE', 1, raising=False)
    save, wait = MemberCheckpoints.save_latest, MemberCheckpoints.wait
    waiting, most = set(), []

    def saved(self, *given):
        waiting.add(self.folder)
        most.append(len(waiting))
        save(self, *given)

    def waited(self):
        wait(self)
        waiting.discard(self.folder)

    monkeypatch.setattr(MemberCheckpoints, 'save_latest', saved)
    monkeypatch.setattr(MemberCheckpoints, 'wait', waited)
    fit(tmp_path, members=tiny_members[:3], members_at_once=3, epochs=2)
    assert len(most) == 3 and max(most) == 1


def test_saving_members_side_by_side_compiles_nothing(fit, tmp_path, tiny_members, monkeypatch):
    """The first save and the first best network: no slice of a leaf for a member is a program."""
    save, evaluate = loop._Together._save, loop.MemberRecord.add_epoch
    compiled, during = [], []

    def listen(event, seconds, **kwargs):
        if 'backend_compile' in event:
            compiled.append(event)

    def counting(self, *args, **kwargs):
        # Since the last member's probabilities were there: its best network, and all states.
        save(self, *args, **kwargs)
        during.append(len(compiled))

    def recorded(self, *args, **kwargs):
        compiled.clear()
        return evaluate(self, *args, **kwargs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    monkeypatch.setattr(loop._Together, '_save', counting)
    monkeypatch.setattr(loop.MemberRecord, 'add_epoch', recorded)
    try:
        fit(tmp_path, members=tiny_members[:3], members_at_once=3, epochs=1, keep_states=True)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert during == [0]


def test_a_member_that_does_not_fit_is_told(fit, tmp_path, tiny_members, monkeypatch):
    monkeypatch.setattr(loop.memory, 'available', lambda devices: 1000)
    with pytest.raises(UserError, match='a single member needs .* that has 0 MiB left'):
        fit(tmp_path)


def test_on_a_cpu_a_step_is_said_to_need_at_times_three_times_its_account(fit, tmp_path, capsys):
    fit(tmp_path, epochs=1)
    (line,) = [ln for ln in capsys.readouterr().out.splitlines() if ln.startswith('a step takes')]
    assert re.search(
        r' needs \d+ MiB \(at times up to three times that\) besides the data, of', line
    )
