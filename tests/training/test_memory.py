"""Waves as large as the memory allows: the arithmetic on stand-ins, and XLA's own account."""

import logging
from pathlib import Path

import jax
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.training import memory
from fer_jax.training import population as pop
from fer_jax.training.members import per_member
from fer_jax.training.mesh import make_layout
from fer_jax.training.state import Resident


def linear(fixed, own):
    return lambda members: fixed + own * members


@pytest.mark.parametrize('members', [1, 7, 118])
@pytest.mark.parametrize('across', [1, 2, 8])
@pytest.mark.parametrize('room', [1, 3, 50, 200])
def test_as_few_waves_as_fit_of_nearly_equal_size(members, across, room):
    """Against a search through all sizes."""
    need, limit = linear(1000, 30), 1000 + 30 * room + 29
    fitting = [n for n in range(1, members + 1) if need(-(-n // across)) <= limit]
    fewest = -(-members // max(fitting))
    members_at_once = memory.most_members_at_once(members, across, need, limit)
    assert members_at_once in fitting
    assert -(-members // members_at_once) == fewest
    assert members_at_once == members or members_at_once % across == 0


def test_118_members_of_which_50_fit_train_in_three_waves_of_40():
    assert memory.most_members_at_once(118, 1, linear(5.0, 1.0), 55.5) == 40


def test_a_need_that_grows_faster_than_from_one_to_two_is_asked_again():
    asked = []

    def need(members):
        asked.append(members)
        return 100 + members**2

    members_at_once = memory.most_members_at_once(64, 1, need, 100 + 20**2)
    # 20 fit; what is found is within an eighth, and four turns take no more than three.
    assert len(asked) < 10 and len(set(asked)) == len(asked)
    assert need(members_at_once) <= 500 and members_at_once == 16


def test_a_single_member_that_does_not_fit_is_told_in_one_line():
    with pytest.raises(UserError, match='needs 2.50 GiB on a device that has 2.00 GiB') as caught:
        memory.most_members_at_once(3, 1, linear(2**31, 2**29), 2**31)
    assert '\n' not in str(caught.value)


def test_what_a_cpu_has_is_divided_among_its_devices():
    one, eight = (memory.available(jax.devices()[:n]) for n in (1, 8))
    total = int(Path('/proc/meminfo').read_text().split()[1]) * 1024
    assert 0 < eight < one < total
    assert eight == pytest.approx(one / 8, rel=0.3)


def test_what_a_cpu_has_is_divided_among_the_processes_of_its_host(monkeypatch):
    alone = memory.available(jax.devices()[:1])
    monkeypatch.setattr(memory.processes, 'on_this_host', lambda: 4)
    assert memory.available(jax.devices()[:1]) == pytest.approx(alone / 4, rel=0.3)


@pytest.fixture
def need(tiny_system, tiny_members, tiny_clips, tiny_recipe):
    """XLA's account of two devices: bytes by members on each, and the population."""
    layout = make_layout(8, jax.devices()[:2], members_at_once=8, steps_per_call=1)
    resident = Resident(tiny_clips.frames, tiny_clips.length, tiny_clips.label)
    population = pop.Population(tiny_system, resident, layout)
    batches = tiny_recipe.batches(tiny_members[:1], tiny_clips, 1, [True])
    batches = jax.tree.map(lambda x: x[:, :1], batches)
    own = per_member(tiny_members[:1], [4])
    return lambda each: population.bytes_needed(each, own, batches, 20, 16)


def test_xla_counts_the_dataset_once_and_every_member(need, tiny_clips):
    needs = [need(each) for each in (1, 2, 3, 4)]
    assert tiny_clips.frames.nbytes < needs[0] < needs[1]
    # From two on they are mapped, and each takes as much as another.
    assert needs[3] - needs[2] == pytest.approx(needs[2] - needs[1], rel=0.3)
    assert memory.most_members_at_once(8, 2, need, need(4)) == 8
    assert (
        memory.most_members_at_once(8, 2, need, need(3)) == 4
    )  # 6 fit, and two turns are needed anyway


def test_the_account_is_of_the_program_that_runs(
    tiny_system, tiny_members, tiny_clips, tiny_recipe, caplog
):
    """Asking compiles what training then calls: nothing is compiled twice."""
    layout = make_layout(1, jax.devices()[:1], members_at_once=1, steps_per_call=1)
    resident = Resident(tiny_clips.frames, tiny_clips.length, tiny_clips.label)
    population = pop.Population(tiny_system, resident, layout)
    batches = tiny_recipe.batches(tiny_members[:1], tiny_clips, 1, [True])
    batches = jax.tree.map(lambda x: x[:, :1], batches)
    own = population.place(per_member(tiny_members[:1], [4]))
    population.bytes_needed(1, own, batches, 20, 16)
    state, sums = population.init(own), population.zero_sums(1)
    start = jax.tree.map(np.array, (state, sums))
    with caplog.at_level(logging.WARNING, 'jax'), jax.log_compiles():
        population.train(state, sums, own, batches)
        assert not compilations(caplog)
        population.train(*start, own, jax.tree.map(lambda x: np.repeat(x, 2, 2), batches))
        assert compilations(caplog)  # a batch of another size


def compilations(caplog):
    """Lists what has been compiled so far, by what the log says."""
    return [record for record in caplog.records if record.message.startswith('Compiling')]


def test_a_container_has_what_its_group_leaves(tmp_path):
    assert memory._left_to_container(tmp_path) == []
    (tmp_path / 'memory.max').write_text('1000\n')
    (tmp_path / 'memory.current').write_text('700\n')
    (tmp_path / 'memory.stat').write_text('anon 500\ninactive_file 200\n')
    assert memory._left_to_container(tmp_path) == [500]
    (tmp_path / 'memory.max').write_text('max\n')
    assert memory._left_to_container(tmp_path) == []
