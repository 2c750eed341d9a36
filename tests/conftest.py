"""Conditions of every test: eight devices on any machine, and no silent broadcasting.

A test of one device takes a layout of `jax.devices()[:1]`. The devices are this process's only: the
commands that tests start see the machine as a user's would.
"""

import fcntl
import os
from pathlib import Path

import jax
import pytest

from fer_jax import config as configs
from fer_jax.experiment.sections import Sections
from fer_jax.training import population

# Tests compile hundreds of programs and run each a few times: without LLVM's optimisations that
# takes a third of the time and gives the same numbers.
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0')
population.QUICKLY.clear()  # states no level of its own
# A test must not depend on the accelerator of the machine that it happens to run on.
jax.config.update('jax_platforms', os.environ.setdefault('JAX_PLATFORMS', 'cpu'))
jax.config.update('jax_num_cpu_devices', 8)
# [B] + [B, K] is nearly always a mistake where batches are concerned.
jax.config.update('jax_numpy_rank_promotion', 'raise')

# Fixtures of runs as fer_jax.main leaves them, for the tests of evaluation/ and of reports/, and a
# browser for the tests of pages.
pytest_plugins = ['tests.browser', 'tests.finished_runs', 'tests.plain_runs']


@pytest.fixture(scope='session', autouse=True)
def _compiled_programs(tmp_path_factory):
    """Compiles each program once a session, outside the user's cache folder.

    Tests build the same small networks again and again: this more than halves their time. Commands
    have a folder of their own: one that a test kills may leave half an entry there.
    """
    jax.config.update('jax_compilation_cache_dir', str(tmp_path_factory.mktemp('compiled')))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
    commands = tmp_path_factory.mktemp('compiled-by-commands')
    os.environ['JAX_COMPILATION_CACHE_DIR'] = str(commands)


@pytest.fixture(scope='session')
def drawn_data(tmp_path_factory):
    """A folder of data that all tests share, with the CK+ of eight simulated people in it.

    It is drawn once, by whichever process of pytest comes first: to be read only.
    """
    shared = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        shared = shared.parent
    config = configs.load_config(Path(__file__).parents[1] / 'configs/ckplus_c3d.py', 'simulated')
    config.simulated.subjects = 8
    with (shared / 'drawing').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Sections.open(config).clips.ensure_prepared(shared / 'drawn')
    return shared / 'drawn'
