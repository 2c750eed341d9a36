"""Members trained side by side: one member's step, mapped over members, laid over the mesh."""

import math
from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np
from jax.sharding import PartitionSpec

from fer_jax.training import memory, processes
from fer_jax.training.mesh import Layout
from fer_jax.training.state import Batch, PerMember, Resident, Sums, TrainState
from fer_jax.training.step import System

# Random numbers take five times as long to compile with all of LLVM's optimisations, for the same
# bits; a network is initialised once.
QUICKLY = {'xla_backend_optimization_level': 1}
# Clips judged at once are a multiple of this, so that folds of nearly equal size share a program.
EVALUATED_MULTIPLE = 8


class Population:
    """The compiled functions of one system on one layout.

    States, sums and per_member carry a leading axis [member]; batches [member, step, row, ...]. The
    dataset is the same for all members and lies on every device. With several processes all call
    the same methods with the same values.
    """

    def __init__(self, system: System, resident: Resident, layout: Layout):
        self.layout = layout
        self.resident = layout.place(resident)
        # Shardings are stated, so that what a step returns is what the next one was compiled for.
        own = layout.sharding('member')
        self._init = jax.jit(
            _over_members(system.init, layout, shared=1),
            out_shardings=own,
            compiler_options=QUICKLY,
        )
        self._train = jax.jit(
            _over_members(_steps_of_call(system), layout, shared=1),
            donate_argnums=0,
            out_shardings=own,
        )
        self._rate = jax.jit(jax.vmap(system.learning_rate))
        self._evaluate = jax.jit(_over_members(_evaluate(system), layout, shared=1))

    def init(self, per_member: PerMember) -> TrainState:
        """Makes fresh states of the members whose per_member, stacked and placed, these are."""
        return self._init(per_member, self.resident)

    def zero_sums(self, members: int) -> Sums:
        """Makes the sums of an epoch that has not begun, [member]."""
        return self.place(Sums(*(np.zeros(members, np.float32) for _ in range(3))))

    def train(
        self, state: TrainState, sums: Sums, per_member: PerMember, batches: Batch
    ) -> tuple[TrainState, Sums]:
        """Trains on [member, step, row, ...] batches; `state` is donated: keep what returns."""
        rows = self.layout.mesh.shape['data']
        batches = jax.tree.map(lambda x: _pad(np.asarray(x), 2, rows), batches)
        batches = self.layout.place(batches, 'member', None, 'data')
        return self._train(state, sums, per_member, batches, self.resident)

    def evaluate(
        self, state: TrainState, per_member: PerMember, clip: np.ndarray, batch_size: int
    ) -> np.ndarray:
        """Computes class probabilities of int [member, clip]: float32 [member, clip, class]."""
        batch_size = self._evaluated_at_once(batch_size, clip.shape[1])
        padded = _pad(np.asarray(clip, np.int32), 1, batch_size)
        parts = [
            self._evaluate(
                state,
                per_member,
                self.layout.place(padded[:, i : i + batch_size], 'member', 'data'),
                self.resident,
            )
            for i in range(0, padded.shape[1], batch_size)
        ]
        parts = [processes.fetch(part) for part in parts]
        return np.concatenate(parts, axis=1)[:, : clip.shape[1]]

    def bytes_needed(
        self, each: int, per_member: PerMember, batches: Batch, clips: int, batch_size: int
    ) -> int:
        """Counts the bytes on a device that holds `each` members while they train or are judged.

        Args:
          per_member: [member], of any number of members: their shapes count.
          batches: [member, step, row, ...] of one call.
          clips, batch_size: judged in an epoch, and at once.
        """
        train, evaluate = self.programs(each, per_member, batches, clips, batch_size)
        return max(memory.needed(train), memory.needed(evaluate))

    def programs(
        self, each: int, per_member: PerMember, batches: Batch, clips: int, batch_size: int
    ) -> tuple[jax.stages.Compiled, jax.stages.Compiled]:
        """Compiles the step and the evaluation of `each` members a device; arguments as above."""
        across, rows = self.layout.mesh.shape.values()
        members = each * across

        def like(tree, *axes):
            def shaped(x):
                shape = [members, *x.shape[1:]]
                if 'data' in axes:
                    at = axes.index('data')
                    shape[at] = -(-shape[at] // rows) * rows
                return jax.ShapeDtypeStruct(shape, x.dtype, sharding=self.layout.sharding(*axes))

            return jax.tree.map(shaped, tree)

        per_member = like(per_member, 'member')
        state = like(self.shapes(per_member), 'member')
        sums = like(Sums(*(np.zeros(1, np.float32) for _ in range(3))), 'member')
        clip = np.zeros((1, self._evaluated_at_once(batch_size, clips)), np.int32)
        batches = like(batches, 'member', None, 'data')
        return (
            self._train.lower(state, sums, per_member, batches, self.resident).compile(),
            self._evaluate.lower(
                state, per_member, like(clip, 'member', 'data'), self.resident
            ).compile(),
        )

    def shapes(self, per_member: PerMember) -> TrainState:
        """Returns the shapes of the states that `init` would give."""
        return jax.eval_shape(self._init, per_member, self.resident)

    def learning_rate(self, state: TrainState, per_member: PerMember) -> jax.Array:
        """Returns the rate that each member's last step took: float32 [member]."""
        return self._rate(state, per_member)

    def place(self, tree):
        """Lays a tree with a leading member axis over the mesh."""
        return self.layout.place(tree, 'member')

    def join(self, states: Iterable[TrainState], count: int) -> TrainState:
        """Lays the states of `count` members over the mesh, from arrays on the host.

        Each is copied, where this process holds the member, before the next is taken.
        """
        places = self.layout.sharding('member').addressable_devices_indices_map((count,))
        here = {i for place in places.values() if place for i in range(*place[0].indices(count))}
        joined = None
        for i, state in enumerate(states):
            if joined is None:  # zeros take no memory before they are written over
                joined = jax.tree.map(lambda x: np.zeros((count, *x.shape), x.dtype), state)
            if i in here:
                for whole, own in zip(jax.tree.leaves(joined), jax.tree.leaves(state), strict=True):
                    whole[i] = own
        return self.place(joined)

    def _evaluated_at_once(self, batch_size: int, clips: int) -> int:
        multiple = math.lcm(EVALUATED_MULTIPLE, self.layout.mesh.shape['data'])
        return -(-min(batch_size, clips) // multiple) * multiple


def apart(tree, members: Iterable[int]) -> Iterator:
    """Takes members out of a stacked tree, each as arrays on the host (no donation harms).

    What a device holds is fetched as a whole, once the members of the one before are taken, and
    divided on the host: on a device each index and each shape would be a program of its own. With
    several processes all of them go through all `members`: those that hold a member send it to the
    others.
    """
    leaves, structure = jax.tree.flatten(tree)
    count = len(leaves[0])
    places = leaves[0].sharding.devices_indices_map(leaves[0].shape)
    fetched, rows = range(0), []
    for index in members:
        holders = {
            device.process_index
            for device, place in places.items()
            if index in range(*place[0].indices(count))
        }
        if jax.process_index() not in holders:
            own = structure.unflatten(np.zeros(leaf.shape[1:], leaf.dtype) for leaf in leaves)
        else:
            if index not in fetched:
                fetched, rows = _fetch(leaves, index)
            own = structure.unflatten(leaf[index - fetched.start, ...] for leaf in rows)
        everywhere = len(holders) == jax.process_count()
        yield own if everywhere else processes.send(own, source=min(holders))


def _fetch(leaves: list[jax.Array], member: int) -> tuple[range, list[np.ndarray]]:
    """Fetches from the device of this process that holds `member`: which members, and leaves."""
    shards = leaves[0].addressable_shards
    parts = [range(*shard.index[0].indices(len(leaves[0]))) for shard in shards]
    which = next(i for i, part in enumerate(parts) if member in part)
    held = [leaf.addressable_shards[which].data for leaf in leaves]
    if shards[which].device.platform == 'cpu':
        # A CPU's array is looked at where it lies, and would be donated with what it holds.
        return parts[which], [np.array(leaf) for leaf in held]
    # Arrays keep what was fetched of them: these new ones, of the same memory, do not live on.
    held = [
        jax.make_array_from_single_device_arrays(leaf.shape, leaf.sharding, [leaf]) for leaf in held
    ]
    for leaf in held:
        leaf.copy_to_host_async()
    return parts[which], [np.asarray(leaf) for leaf in held]


def _steps_of_call(system: System) -> Callable:
    """Makes one member's steps through [step, row, ...] batches."""

    def run(
        state: TrainState, sums: Sums, per_member: PerMember, batches: Batch, resident: Resident
    ) -> tuple[TrainState, Sums]:
        if batches.clip.shape[0] == 1:  # no loop: see mesh.py
            return system.train_step(
                state, sums, per_member, resident, jax.tree.map(lambda x: x[0], batches)
            )

        def step(carry: tuple[TrainState, Sums], batch: Batch):
            return system.train_step(*carry, per_member, resident, batch), None

        return jax.lax.scan(step, (state, sums), batches)[0]

    return run


def _evaluate(system: System) -> Callable:
    """Puts the dataset last in one member's evaluation step, as `_over_members` wants it."""
    return lambda state, per_member, clip, resident: system.evaluate_step(
        state, per_member, resident, clip
    )


def _over_members(function: Callable, layout: Layout, shared: int) -> Callable:
    """Maps `function` over the leading axis of all but its last `shared` arguments.

    A device with one member calls it without a map (a mapped convolution is slower); several
    devices split the members by shard_map, so that nothing is ever communicated along 'member'.
    """

    def local(*args):
        own, common = args[:-shared], args[-shared:]
        if jax.tree.leaves(own)[0].shape[0] == 1:
            out = function(*jax.tree.map(lambda x: x[0], own), *common)
            return jax.tree.map(lambda x: x[None], out)
        return jax.vmap(lambda *each: function(*each, *common))(*own)

    if layout.mesh.shape['member'] == 1:
        return local

    def split(*args):
        specs = (PartitionSpec('member'),) * (len(args) - shared) + (PartitionSpec(),) * shared
        return jax.shard_map(
            local, mesh=layout.mesh, in_specs=specs, out_specs=PartitionSpec('member'),
            axis_names={'member'}, check_vma=False,
        )(*args)  # fmt: skip

    return split


def _pad(array: np.ndarray, axis: int, multiple: int) -> np.ndarray:
    """Fills `axis` with zeros (False in a mask) up to a multiple."""
    missing = -array.shape[axis] % multiple
    if not missing:
        return array
    widths = [(0, missing if i == axis else 0) for i in range(array.ndim)]
    return np.pad(array, widths)
