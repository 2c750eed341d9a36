"""Ten steps of one member and of four, as one of several processes or alone: a test starts it.

    python ten_steps.py OUT [auto]

The first process writes the states and sums to OUT.
"""

import sys
from pathlib import Path

import jax
import numpy as np
from conftest import make_clips, make_members, make_recipe, make_system

from fer_jax import runtime
from fer_jax.training import population as pop
from fer_jax.training import processes
from fer_jax.training.members import per_member
from fer_jax.training.mesh import make_layout
from fer_jax.training.state import Resident

STEPS = 10


def train(count: int) -> dict[str, np.ndarray]:
    """The states and sums of `count` members after ten steps, by path."""
    clips, recipe, members = make_clips(), make_recipe(), make_members()[:count]
    layout = make_layout(count, members_at_once=count, steps_per_call=1)
    population = pop.Population(
        make_system(), Resident(clips.frames, clips.length, clips.label), layout
    )
    own = population.place(per_member(members, [STEPS] * count))
    state, sums = population.init(own), population.zero_sums(count)
    taken, epoch = 0, 0
    while taken < STEPS:
        epoch += 1
        batches = recipe.batches(members, clips, epoch, [True] * count)
        for step in range(min(batches.clip.shape[1], STEPS - taken)):
            part = jax.tree.map(lambda x, s=step: x[:, s : s + 1], batches)
            state, sums = population.train(state, sums, own, part)
            taken += 1
    judged = population.evaluate(state, own, np.arange(40)[None].repeat(count, 0), 16)
    found = {f'{count} members/mesh': np.array(list(layout.mesh.shape.values()))}
    found[f'{count} members/probabilities'] = judged
    for i, member in enumerate(pop.apart((state, sums), range(count))):
        for path, leaf in jax.tree_util.tree_leaves_with_path(member):
            found[f'{count} members/{i}{jax.tree_util.keystr(path)}'] = leaf
    return found


if __name__ == '__main__':
    runtime.join(''.join(sys.argv[2:]))
    found = train(1) | train(4)
    told = processes.tell({'processes': jax.process_count(), 'text': 'é' * jax.process_index()})
    assert told['text'] == '', told
    assert processes.largest(15 * (jax.process_index() == jax.process_count() - 1)) == 15
    assert processes.largest(0) == 0
    assert processes.on_this_host() == jax.process_count()
    if processes.is_first():
        np.savez(Path(sys.argv[1]), devices=jax.device_count(), **found)
