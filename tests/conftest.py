"""What every test runs under: eight devices on any machine, and no silent broadcasting.

Tests of one device take a layout of `jax.devices()[:1]`. The settings are of this process only: the
commands that tests start see the machine as a user's would.
"""

import os

import jax

# A test must not depend on the accelerator of the machine that it happens to run on.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
jax.config.update('jax_num_cpu_devices', 8)
# [B] + [B, K] is nearly always a mistake where batches are concerned.
jax.config.update('jax_numpy_rank_promotion', 'raise')
