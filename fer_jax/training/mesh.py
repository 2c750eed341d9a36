"""The layout of a population: chosen by platform here and nowhere else.

On a CPU one member after another, one step a call: a mapped convolution and a convolution
gradient inside a loop both fall to XLA's slow paths there. On accelerators all members at once and
several steps a call. Several devices take members first, then the rows of a batch.
The devices of all processes are one mesh; members lie in the order of processes.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

ACCELERATOR_STEPS_PER_CALL = 16
# jax declares its Device as a variable, which is no type to a checker.
Devices = Sequence[jax.Device]  # type: ignore


@dataclasses.dataclass(frozen=True)
class Layout:
    """The places of members and rows.

    Attributes:
      mesh: devices with the axes 'member' and 'data'.
      members_at_once: members that train at once at most; the rest wait.
      steps_per_call: steps in one call of the device.
    """

    mesh: Mesh
    members_at_once: int
    steps_per_call: int

    def sharding(self, *axes: str | None) -> NamedSharding:
        """Makes the sharding of an array whose leading axes lie along `axes`."""
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    def place(self, tree, *axes: str | None):
        """Lays a tree of host arrays, the same in every process, over the mesh."""
        sharding = self.sharding(*axes)
        if sharding.is_fully_addressable:
            return jax.device_put(tree, sharding)

        def put(x):
            if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
                return jax.random.wrap_key_data(put(jax.random.key_data(x)))
            x = np.asarray(x)
            return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

        return jax.tree.map(put, tree)


def make_layout(
    members: int,
    devices: Devices | None = None,
    *,
    members_at_once: int,
    steps_per_call: int,
) -> Layout:
    """Lays `members` members out over devices.

    Args:
      members: how many there are.
      devices: all of all processes by default.
      members_at_once: members at once; 0 chooses: one for each device on a CPU, all of
        them on accelerators (of which memory.most_members_at_once takes as many as fit).
      steps_per_call: steps a call; 0 chooses: 1 on a CPU, 16 on accelerators.
    """
    devices = jax.devices() if devices is None else list(devices)
    on_cpu = devices[0].platform == 'cpu'
    if not members_at_once:
        members_at_once = len(devices) if on_cpu else members
    members_at_once = min(members_at_once, members)
    # Members first: as many devices along 'member' as there are members at once, or the next
    # number that divides the devices. What is missing is filled up with members that do not train.
    shares = [n for n in range(1, len(devices) + 1) if len(devices) % n == 0]
    across = next((n for n in shares if n >= members_at_once), len(devices))
    # jax.make_mesh would refuse devices of several hosts, and many shapes on a TPU's torus.
    mesh = Mesh(
        np.array(sorted(devices, key=lambda device: device.process_index)).reshape(across, -1),
        ('member', 'data'),
        axis_types=(AxisType.Auto, AxisType.Auto),
    )
    return Layout(
        mesh, members_at_once, steps_per_call or (1 if on_cpu else ACCELERATOR_STEPS_PER_CALL)
    )
