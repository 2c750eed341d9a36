"""Runs of `plain_cnn` on a small release of FER2013's form: pictures of stripes and noise."""

from pathlib import Path

import numpy as np
import pytest

from fer_jax import config as configs
from fer_jax.data import preparation

ROOT = Path(__file__).parents[1]
SIDE = 48
CLASSES = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral')
# The columns of FER+ that come first are those of the classes in this order.
VOTED = ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt')
PARTS = {'Training': 70, 'PublicTest': 35, 'PrivateTest': 42}
CHANGES = {
    'train.epochs': 8, 'train.batch_size': 10, 'train.seeds': 2, 'data.size': 24,
    'model.filters': (8, 12), 'model.convolutions': (1, 1), 'inputs.crop': 20,
}  # fmt: skip


def stripes(label: int, rng: np.random.Generator) -> np.ndarray:
    """A picture uint8 [48, 48] of so many stripes as its class says, and noise."""
    phase = 2 * np.pi * (label + 1) * np.arange(SIDE) / SIDE + rng.uniform(0, 2 * np.pi)
    image = 120 + 80 * np.sin(phase)[:, None] + rng.normal(0, 15, (SIDE, SIDE))
    return np.clip(image, 0, 255).astype(np.uint8)


def votes(label: int, row: int, rng: np.random.Generator) -> list[int]:
    """Ten votes, FER+'s columns: most for the class, or, every seventh row, spread over three."""
    column = VOTED.index(CLASSES[label])
    counts = [0] * 10
    counts[column] = 4 if row % 7 == 3 else 8
    counts[(column + 1) % 7] += 3 if row % 7 == 3 else 1
    counts[8 if row % 7 == 3 else (column + 2) % 7] += 3 if row % 7 == 3 else 1
    assert sum(counts) == 10
    return counts


def write_release(folder: Path) -> Path:
    """Writes fer2013.csv and fer2013new.csv; the first two test pictures are training pictures."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines, tags = ['emotion,pixels,Usage'], [f'Usage,Image name,{",".join(VOTED)},unknown,NF']
    drawn = []
    for usage, count in PARTS.items():
        for row in range(count):
            label = row % 7
            copied = usage == 'PrivateTest' and row < 2
            drawn.append(drawn[row] if copied else stripes(label, rng))
            lines.append(f'{label},{" ".join(map(str, drawn[-1].ravel()))},{usage}')
            counts = votes(label, row, rng)
            tags.append(f'{usage},fer{len(tags):07d}.png,{",".join(map(str, counts))}')
    (folder / 'fer2013.csv').write_text('\n'.join(lines) + '\n')
    (folder / 'fer2013new.csv').write_text('\n'.join(tags) + '\n')
    return folder


def plain_config(changes: dict):
    """The config of the small runs, with changes (dotted keys)."""
    config = configs.load_config(ROOT / 'configs' / 'fer2013_plain.py')
    config.update_from_flattened_dict({**CHANGES, **changes})
    return config


def train(folder: Path, data: Path, **changes) -> Path:
    """Trains a run on the prepared pictures.

    Args:
      changes: of the config: whole sections, or keys with '__' for the dots.
    """
    from fer_jax.experiment import run as experiment

    config = plain_config({})
    with config.unlocked():
        for key, value in changes.items():
            if isinstance(value, dict):
                config[key] = value
    keys = {k.replace('__', '.'): v for k, v in changes.items() if not isinstance(v, dict)}
    config.update_from_flattened_dict(keys)
    experiment.run(config, workdir=str(folder), data_dir=data, pages=False)
    return folder


@pytest.fixture(scope='session')
def plain_data(tmp_path_factory) -> Path:
    """Prepared data: FER2013's form, with votes."""
    folder = tmp_path_factory.mktemp('plain')
    release = write_release(folder / 'release')
    preparation.prepare('fer2013', release, folder / 'data', report=lambda line: None)
    return folder / 'data'


@pytest.fixture(scope='session')
def plain_run(tmp_path_factory, plain_data) -> Path:
    """A finished run of two seeds on votes; tests only read it."""
    return train(tmp_path_factory.mktemp('plain_runs') / 'votes', plain_data)


@pytest.fixture(scope='session')
def plain_train():
    """The function that trains another one: (folder, data, key__of__config=value, ...)."""
    return train


@pytest.fixture(scope='session')
def plain_stripes():
    """The function that draws a picture: (class number, generator) -> uint8 [48, 48]."""
    return stripes
