"""A finished run as far as cards read it: config, versions and results, of random predictions."""

import json
from pathlib import Path

import numpy as np
import pytest

from fer_jax import config as configs
from fer_jax.evaluation import results
from fer_jax.evaluation.predictions import TEST, Predictions

ROOT = Path(__file__).parents[2]
CLASSES = ('anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise')


def resolved(config: str) -> dict:
    """The resolved config that 'configs/FILE.py:variant' gives, as a run's config.json holds it."""
    path, _, variant = config.partition(':')
    return configs.as_json(configs.load_config(ROOT / path, variant))


def synthetic(folds: int = 10, seeds: int = 1, clips: int = 140, noise: float = 0.0) -> Predictions:
    """Random predictions, two epochs, every clip of its own subject."""
    rng = np.random.default_rng(folds)
    members = folds * seeds
    part = np.zeros((members, clips), np.int8)
    part[np.arange(clips)[None] % folds == np.arange(members)[:, None] % folds] = TEST
    label = rng.integers(len(CLASSES), size=clips).astype(np.int32)
    logits = rng.normal(size=(members, 2, clips, len(CLASSES)))
    logits[:, :, np.arange(clips), label] += 1.5
    logits += noise * rng.normal(size=logits.shape)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return Predictions(
        probabilities=np.where(part[:, None, :, None] > 0, probabilities, np.nan).astype('f2'),
        part=part,
        label=label,
        subject=np.array([f'S{i:03d}' for i in range(clips)]),
        clip_id=np.array([f'S{i:03d}/1' for i in range(clips)]),
        classes=CLASSES,
        fold=np.tile(np.arange(folds), seeds).astype(np.int32),
        seed=np.repeat(np.arange(seeds), folds).astype(np.int32),
        epochs=np.full(members, 2, np.int32),
        train_counts=np.ones((members, len(CLASSES)), np.int64),
        duplicate=np.zeros((members, clips), np.int8),
    )


@pytest.fixture
def make_run(tmp_path):
    """A function that writes a finished run and returns its directory."""

    def make(
        config: dict, *, name: str = 'run', flags: str = '', stamps: tuple = (), **predictions
    ) -> Path:
        run = tmp_path / name
        run.mkdir()
        computed = results.compute(synthetic(**predictions), stamps=stamps, draws=20)
        files = {
            'config.json': config,
            'versions.json': {
                'command': f'python -m fer_jax.main --config=configs/{name}.py {flags}'
            },
            'results.json': computed,
        }
        for file, value in files.items():
            (run / file).write_text(json.dumps(value), encoding='utf-8')
        (run / 'DONE').write_text('', encoding='utf-8')
        return run

    return make
