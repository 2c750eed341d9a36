"""How a population is laid out: the one place that looks at the platform.

On a CPU one member after another, one step a dispatch: a mapped convolution and a convolution
gradient inside a loop both fall to XLA's slow paths there. On accelerators all members at once and
a chunk of steps a dispatch. Several devices take members first, then the rows of a batch.
"""

import dataclasses
import math
from collections.abc import Sequence

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fer_jax.errors import UserError

ACCELERATOR_CHUNK = 16


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where members and rows go.

    Attributes:
      mesh: devices with the axes 'member' and 'data'.
      wave: members that train at once; the rest wait.
      chunk: steps in one dispatch.
    """

    mesh: Mesh
    wave: int
    chunk: int

    def sharding(self, *axes: str | None) -> NamedSharding:
        """The sharding of an array whose leading axes lie along `axes`."""
        return NamedSharding(self.mesh, PartitionSpec(*axes))


def make_layout(
    members: int, devices: Sequence[jax.Device] | None = None, *, wave: int, chunk: int
) -> Layout:
    """The layout of `members` members.

    Args:
      members: how many there are.
      devices: all local ones by default.
      wave: members at once; 0 chooses: one for each device on a CPU, all of them on accelerators.
      chunk: steps a dispatch; 0 chooses: 1 on a CPU, 16 on accelerators.
    """
    if wave < 0 or chunk < 0:
        raise UserError(f'train.wave is {wave} and train.chunk {chunk}: give 0 (automatic) or more')
    devices = jax.devices() if devices is None else list(devices)
    on_cpu = devices[0].platform == 'cpu'
    if not wave:
        wave = math.gcd(members, len(devices)) if on_cpu else members
    wave = min(wave, members)
    across = math.gcd(wave, len(devices))
    mesh = jax.make_mesh(
        (across, len(devices) // across),
        ('member', 'data'),
        (AxisType.Auto, AxisType.Auto),
        devices=devices,
    )
    return Layout(mesh, wave, chunk or (1 if on_cpu else ACCELERATOR_CHUNK))
