"""A member learns the same whoever trains beside it, on any number of devices."""

import dataclasses
import tracemalloc

import chex
import jax
import numpy as np
import pytest

from fer_jax.training import population as pop
from fer_jax.training.members import per_member
from fer_jax.training.mesh import make_layout
from fer_jax.training.state import Resident

STEPS = 10


def start(system, members, clips, recipe, *, devices=1, members_at_once=0, steps_per_call=1):
    layout = make_layout(
        len(members),
        jax.devices()[:devices],
        members_at_once=members_at_once,
        steps_per_call=steps_per_call,
    )
    population = pop.Population(system, Resident(clips.frames, clips.length, clips.label), layout)
    own = population.place(per_member(members, [STEPS] * len(members)))
    return population, own, population.init(own), population.zero_sums(len(members))


def steps(recipe, members, clips, count):
    """`count` steps of batches: as many epochs as that takes."""
    epochs, batches = 0, None
    while batches is None or batches.clip.shape[1] < count:
        epochs += 1
        more = recipe.batches(members, clips, epochs, [True] * len(members))
        join = lambda a, b: np.concatenate([a, b], axis=1)  # noqa: E731
        batches = more if batches is None else jax.tree.map(join, batches, more)
    return jax.tree.map(lambda x: x[:, :count], batches)


def train(system, members, clips, recipe, *, steps_per_call=1, **layout):
    population, own, state, sums = start(
        system, members, clips, recipe, steps_per_call=steps_per_call, **layout
    )
    batches = steps(recipe, members, clips, STEPS)
    for i in range(0, STEPS, steps_per_call):
        part = jax.tree.map(lambda x, i=i: x[:, i : i + steps_per_call], batches)
        state, sums = population.train(state, sums, own, part)
    return jax.device_get((state, sums)), population, own


def assert_close(one, other, rtol):
    """Within `rtol` of each leaf's largest value: an element near 0 has no digits of its own."""
    chex.assert_trees_all_equal_shapes_and_dtypes(one, other)
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True
    ):
        np.testing.assert_allclose(
            a, b, rtol=0, atol=rtol * np.abs(a).max(), err_msg=jax.tree_util.keystr(path)
        )


def assert_same(one, other):
    chex.assert_trees_all_equal(one, other)


def member_of(tree, index):
    return jax.tree.map(lambda x: x[index : index + 1], tree)


def test_members_are_fetched_from_one_device_after_another():
    """Four members on four devices: one member's megabytes at a time, and one in use."""
    layout = make_layout(4, jax.devices()[:4], members_at_once=4, steps_per_call=1)
    leaf = layout.place(np.arange(4 << 20, dtype=np.float32).reshape(4, 1 << 20), 'member')
    tracemalloc.start()
    try:
        firsts = [own[0, 0] for own in map(np.atleast_2d, pop.apart(leaf, range(4)))]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert firsts == [0, 1 << 20, 2 << 20, 3 << 20]
    assert most < 3 * (4 << 20)


@pytest.mark.parametrize('devices', [2, 8])
def test_rows_over_devices_equal_one_device(
    tiny_system, tiny_members, tiny_clips, tiny_recipe, devices
):
    args = (tiny_system, tiny_members[2:3], tiny_clips, tiny_recipe)
    (one, one_sums), *_ = train(*args)
    (many, many_sums), population, _ = train(*args, devices=devices)
    assert population.layout.mesh.shape == {'member': 1, 'data': devices}
    assert_close(one, many, 1e-5)
    assert_close(one_sums, many_sums, 1e-5)


def test_a_member_alone_equals_itself_one_after_another(
    tiny_system, tiny_members, tiny_clips, tiny_recipe
):
    """The execution of a CPU: the same compiled step, so exactly."""
    population, *_ = start(tiny_system, tiny_members, tiny_clips, tiny_recipe)
    assert population.layout.members_at_once == 1
    batches = steps(tiny_recipe, tiny_members, tiny_clips, STEPS)

    def in_turn(population, i):
        own = population.place(per_member([tiny_members[i]], [STEPS]))
        state, sums = population.init(own), population.zero_sums(1)
        for s in range(STEPS):
            part = jax.tree.map(lambda x, s=s: x[i : i + 1, s : s + 1], batches)
            state, sums = population.train(state, sums, own, part)
        return jax.device_get((state, sums))

    for i, member in enumerate(tiny_members):
        alone, *_ = start(tiny_system, [member], tiny_clips, tiny_recipe)
        assert_same(in_turn(population, i), in_turn(alone, i))


@pytest.mark.parametrize('devices,shape', [(1, (1, 1)), (2, (2, 1)), (4, (4, 1)), (8, (4, 2))])
def test_four_members_side_by_side_equal_each_alone(
    tiny_system, tiny_members, tiny_clips, tiny_recipe, devices, shape
):
    (together, sums), population, own = train(
        tiny_system, tiny_members, tiny_clips, tiny_recipe, devices=devices, members_at_once=4
    )
    assert tuple(population.layout.mesh.shape.values()) == shape
    batches = steps(tiny_recipe, tiny_members, tiny_clips, STEPS)
    for i, member in enumerate(tiny_members):
        alone, traits_alone, state, zero = start(tiny_system, [member], tiny_clips, tiny_recipe)
        for s in range(STEPS):
            part = jax.tree.map(lambda x, i=i, s=s: x[i : i + 1, s : s + 1], batches)
            if part.mask.any():
                state, zero = alone.train(state, zero, traits_alone, part)
        assert_close(member_of(together, i), jax.device_get(state), 2e-5)
        assert_close(member_of(sums, i), jax.device_get(zero), 2e-5)


def test_several_steps_a_call_equal_single_steps(
    tiny_system, tiny_members, tiny_clips, tiny_recipe
):
    single, *_ = train(tiny_system, tiny_members[:2], tiny_clips, tiny_recipe, members_at_once=2)
    chunked, *_ = train(
        tiny_system, tiny_members[:2], tiny_clips, tiny_recipe, members_at_once=2, steps_per_call=5
    )
    assert_close(single, chunked, 2e-5)


def test_a_surplus_step_changes_nothing(tiny_system, tiny_members, tiny_clips, tiny_recipe):
    population, own, state, sums = start(tiny_system, tiny_members[:1], tiny_clips, tiny_recipe)
    batch = jax.tree.map(
        lambda x: x[:, :1], tiny_recipe.batches(tiny_members[:1], tiny_clips, 1, [True])
    )
    state, sums = population.train(state, sums, own, batch)
    before = jax.device_get((state, sums))
    empty = batch.replace(mask=np.zeros_like(batch.mask))
    assert_same(before, jax.device_get(population.train(state, sums, own, empty)))


def test_rows_that_fill_a_batch_count_for_nothing(
    tiny_system, tiny_members, tiny_clips, tiny_recipe
):
    """Parameters, running statistics and sums are those of the batch without its filling."""
    population, own, state, sums = start(tiny_system, tiny_members[:1], tiny_clips, tiny_recipe)
    batch = jax.tree.map(
        lambda x: x[:, :1, :6].copy(), tiny_recipe.batches(tiny_members[:1], tiny_clips, 1, [True])
    )
    filled = jax.tree.map(lambda x: np.concatenate([x, x[:, :, ::-1]], axis=2), batch)
    filled.mask[:, :, 6:] = False
    short = jax.device_get(population.train(state, sums, own, batch))
    population, own, state, sums = start(tiny_system, tiny_members[:1], tiny_clips, tiny_recipe)
    assert_close(short, jax.device_get(population.train(state, sums, own, filled)), 1e-5)


def test_no_communication_between_members(tiny_system, tiny_members, tiny_clips, tiny_recipe):
    population, own, state, sums = start(
        tiny_system, tiny_members, tiny_clips, tiny_recipe, devices=4, members_at_once=4
    )
    batch = jax.tree.map(
        lambda x: x[:, :1], tiny_recipe.batches(tiny_members, tiny_clips, 1, [True] * 4)
    )
    batch = jax.device_put(batch, population.layout.sharding('member', None, 'data'))
    text = population._train.lower(state, sums, own, batch, population.resident).compile().as_text()
    for operation in ('all-reduce', 'all-gather', 'all-to-all', 'collective-permute'):
        assert operation not in text


def test_one_program_serves_every_step_and_member(
    tiny_system, tiny_members, tiny_clips, tiny_recipe
):
    population, *_ = start(tiny_system, tiny_members, tiny_clips, tiny_recipe)
    for member in tiny_members[:2]:
        own = population.place(per_member([member], [STEPS]))
        state, sums = population.init(own), population.zero_sums(1)
        for s in range(3):
            part = jax.tree.map(
                lambda x, s=s: x[:, s : s + 1], steps(tiny_recipe, [member], tiny_clips, 3)
            )
            state, sums = population.train(state, sums, own, part)
    assert population._train._cache_size() == 1


def test_evaluation_batches_do_not_change_probabilities(
    tiny_system, tiny_members, tiny_clips, tiny_recipe
):
    population, own, state, _ = start(tiny_system, tiny_members[:1], tiny_clips, tiny_recipe)
    clip = np.arange(40)[None]
    whole = population.evaluate(state, own, clip, 40)
    assert whole.shape == (1, 40, 3)
    np.testing.assert_allclose(whole.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(population.evaluate(state, own, clip, 16), whole, rtol=1e-5)
    # Folds whose sizes are nearly equal are judged by one program.
    programs = population._evaluate._cache_size()
    few = [population.evaluate(state, own, clip[:, :count], 40) for count in (9, 12, 16)]
    assert population._evaluate._cache_size() <= programs + 1
    assert [part.shape[1] for part in few] == [9, 12, 16]
    np.testing.assert_allclose(few[0], whole[:, :9], rtol=1e-5)


@dataclasses.dataclass(frozen=True)
class StandIn:
    """Stands for a device of a pod, as far as a layout asks."""

    id: int
    process_index: int
    slice_index: int = 0
    coords: tuple[int, ...] = ()
    platform: str = 'gpu'
    device_kind: str = 'H100'
    core_on_chip: int = 0


@pytest.mark.parametrize('members, shape', [(1, (1, 8)), (3, (4, 2)), (118, (8, 1))])
def test_devices_of_several_hosts_are_laid_out_in_the_order_of_processes(members, shape):
    devices = [StandIn(id=i, process_index=i // 4, slice_index=i // 4) for i in range(8)]
    layout = make_layout(members, devices, members_at_once=0, steps_per_call=0)
    assert layout.mesh.devices.shape == shape
    assert [device.id for device in layout.mesh.devices.flat] == list(range(8))


@pytest.mark.parametrize('members', [1, 2, 4, 5, 16])
def test_a_torus_of_tpus_takes_any_number_of_members(members):
    devices = [
        StandIn(
            id=4 * y + x, process_index=2 * (y // 2) + x // 2, coords=(x, y, 0), platform='tpu',
            device_kind='TPU v6 lite',
        )
        for y in range(4)
        for x in range(4)
    ]  # fmt: skip
    layout = make_layout(members, devices, members_at_once=0, steps_per_call=0)
    assert layout.mesh.shape['member'] >= members
    processes = [device.process_index for device in layout.mesh.devices.flat]
    assert processes == [i // 4 for i in range(16)]
