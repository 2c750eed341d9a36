"""Messages among devices in a step, from the compiled program, as devices become more."""

import math
import re

import jax
import numpy as np
import pytest

from fer_jax.training import population as pop
from fer_jax.training.members import per_member
from fer_jax.training.mesh import make_layout
from fer_jax.training.state import Resident

BYTES = {'pred': 1, 'u8': 1, 'bf16': 2, 'f16': 2, 's32': 4, 'u32': 4, 'f32': 4, 'f64': 8}
COLLECTIVES = r'(all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\('


def communicated(program: str) -> dict[str, int]:
    """Bytes that each device gives to collectives, by their kind, in a compiled program's text."""
    found: dict[str, int] = {}
    for line in program.splitlines():
        if match := re.search(COLLECTIVES, line):
            shapes = re.findall(r'(\w+)\[([\d,]*)\]', line[: match.start()].partition('=')[2])
            sizes = (BYTES[t] * math.prod(map(int, filter(None, s.split(',')))) for t, s in shapes)
            found[match[1]] = found.get(match[1], 0) + sum(sizes)
    return found


def step(tiny_system, tiny_members, tiny_clips, tiny_recipe, *, members, devices, rows):
    """One step's program over devices, and the bytes of one member's parameters."""
    layout = make_layout(
        members, jax.devices()[:devices], members_at_once=members, steps_per_call=1
    )
    resident = Resident(tiny_clips.frames, tiny_clips.length, tiny_clips.label)
    population = pop.Population(tiny_system, resident, layout)
    batches = tiny_recipe.batches(tiny_members[:1], tiny_clips, 1, [True])
    # Weak scaling: each device has as many rows, or as many members, as one alone.
    batches = jax.tree.map(lambda x: np.tile(x[:, :1], (1, 1, rows, *[1] * (x.ndim - 3))), batches)
    own = per_member(tiny_members[:1], [4])
    each = -(-members // layout.mesh.shape['member'])
    program = population.programs(each, own, batches, 20, 16)[0]
    one = jax.tree.map(lambda x: x[0], own)
    state = jax.eval_shape(tiny_system.init, one, resident)
    return (
        layout,
        communicated(program.as_text()),
        sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state.params)),
    )


def test_a_text_is_counted():
    text = """
      %a = f32[3,4]{1,0} all-reduce(f32[3,4]{1,0} %x), replica_groups={}
      ROOT %b = (f32[5]{0}, s32[]) all-reduce-start(f32[5]{0} %y, s32[] %z), to_apply=%add
      %c = f32[7]{0} add(f32[7]{0} %p, f32[7]{0} %q)
      %d = bf16[2,8]{1,0} all-gather(bf16[2,4]{1,0} %r), dimensions={1}
    """
    assert communicated(text) == {'all-reduce': 48 + 24, 'all-gather': 32}


@pytest.mark.parametrize('devices', [1, 2, 4, 8])
def test_more_members_on_more_devices_say_nothing(
    tiny_system, tiny_members, tiny_clips, tiny_recipe, devices
):
    layout, said, _ = step(
        tiny_system, tiny_members, tiny_clips, tiny_recipe, members=devices, devices=devices, rows=1
    )
    print(f'\n{devices} devices, {devices} members: {said or 0} bytes')
    assert layout.mesh.shape['member'] == devices
    assert said == {}


def test_more_rows_on_more_devices_add_up_gradients_only(
    tiny_system, tiny_members, tiny_clips, tiny_recipe
):
    found = {}
    for devices in (1, 2, 4, 8):
        layout, said, params = step(
            tiny_system, tiny_members, tiny_clips, tiny_recipe,
            members=1, devices=devices, rows=devices,
        )  # fmt: skip
        print(f'\n{devices} devices, {8 * devices} rows: {said or 0} bytes, {params} of parameters')
        assert layout.mesh.shape['data'] == devices
        found[devices] = said
    assert found[1] == {}
    assert found[2] == found[4] == found[8] and set(found[2]) == {'all-reduce'}
    # The gradients once, and what BatchNorm and the loss add up over the batch.
    assert params <= found[2]['all-reduce'] <= 1.5 * params + 512


def test_several_members_over_more_devices_than_members_stay_apart(
    tiny_system, tiny_members, tiny_clips, tiny_recipe
):
    """Four members over eight devices: pairs add up rows, and no pair hears another."""
    args = (tiny_system, tiny_members, tiny_clips, tiny_recipe)
    layout, said, params = step(*args, members=4, devices=8, rows=2)
    assert tuple(layout.mesh.shape.values()) == (4, 2)
    alone = step(*args, members=1, devices=2, rows=2)[1]
    assert said == alone
