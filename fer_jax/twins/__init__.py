"""The architectures again, in PyTorch: for parity tests and `benchmark --against=torch`.

They need PyTorch (the extra 'dev'); nothing but tests and the benchmark imports them.
"""

from torch import nn

from fer_jax.twins import c3d, stn

TWINS: dict[str, type[nn.Module]] = {'c3d': c3d.C3D, 'stn': stn.SpatialTransformerNet}
LOADERS = {'c3d': c3d.load_flax, 'stn': stn.load_flax}
