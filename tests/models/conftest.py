"""Parameters without compiling an initialiser."""

import jax
import numpy as np
import pytest


def draw(module, frames):
    """Parameters and statistics of an architecture away from its start, in the size for `frames`.

    Kernels are normal with He's deviation, so that signals pass; the rest is near its usual start.
    """
    rng = np.random.default_rng(0)

    def values(path, leaf):
        noise = rng.standard_normal(leaf.shape).astype(np.float32)
        if path[-1].key == 'kernel':
            return noise * (2 / np.prod(leaf.shape[:-1])) ** 0.5
        return 0.1 * noise + (path[-1].key in ('scale', 'var'))

    shapes = jax.eval_shape(module.init, jax.random.key(0), frames)
    kept = {name: shapes[name] for name in ('params', 'batch_stats') if name in shapes}
    return jax.tree_util.tree_map_with_path(values, kept)


@pytest.fixture(scope='session')
def drawn():
    """The function `draw`."""
    return draw
