"""A small config with a search space, and the command on it."""

from pathlib import Path

import pytest

from fer_jax import cli
from fer_jax.sweep import __main__ as sweep

ROOT = Path(__file__).parents[2]
CONFIG = f"""
import importlib.util
from fer_jax.config import Range, Space
spec = importlib.util.spec_from_file_location('published', {str(ROOT / 'configs/ckplus_c3d.py')!r})
published = importlib.util.module_from_spec(spec)
spec.loader.exec_module(published)

def get_config(variant=''):
    config = published.get_config(variant)
    config.update_from_flattened_dict({{
        'simulated.subjects': 8, 'data.frames': 2, 'data.size': 32, 'protocol.k': 2,
        'model.width': 0.03125, 'train.epochs': 1, 'train.batch_size': 16,
    }})
    return config

def get_space(config):
    return Space({{
        'model.dropout_rate': Range(0.0, 1.0),
        'optimizer.learning_rate': Range(1e-5, 1e-1, log=True),
    }})
"""


@pytest.fixture(scope='session')
def place(tmp_path_factory):
    """A folder with the config."""
    folder = tmp_path_factory.mktemp('sweep')
    (folder / 'small.py').write_text(CONFIG)
    return folder


@pytest.fixture
def sweep_words(place, drawn_data, tmp_path):
    """The command's words for a study in the test's own folder; others may be added."""

    def words(*more, variant='simulated', study='study'):
        return [
            f'--config={place / "small.py"}:{variant}', f'--study={study}',
            f'--storage=journal:{tmp_path / "journal"}', f'--workdir={tmp_path / study}',
            f'--data_dir={drawn_data}', *more,
        ]  # fmt: skip

    return words


@pytest.fixture
def call_sweep(sweep_words):
    """Calls the command with errors left to the test."""

    def call(*more, **options):
        cli.call(sweep.main, sweep.define, sweep_words(*more, **options))

    return call
