"""Clips of made-up people, and what made-up networks got right."""

import numpy as np
import pytest

from fer_jax.data.clips import ClipSet
from fer_jax.studies.leakage import LeakageDesign, divisions
from fer_jax.studies.leakage.divisions import make_copies
from fer_jax.studies.leakage.outcomes import Outcomes

SMALL = LeakageDesign(
    folds=3, copies=3, inner=3, epochs=2, batch_size=16, learning_rates=(1e-3,),
    dropout_rates=(0.0, 0.5), reference=0,
)  # fmt: skip


@pytest.fixture(scope='session')
def design() -> LeakageDesign:
    """Three folds, three copies, two settings, two epochs."""
    return SMALL


@pytest.fixture(scope='session')
def people() -> ClipSet:
    """36 clips of 12 subjects: every subject has two of three classes, one of them twice."""
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(12), 3)
    label = (subject + np.tile([0, 0, 1], 12)) % 3
    frames = rng.integers(0, 100, (36, 2, 8, 8, 1)) + 70 * label[:, None, None, None, None]
    return ClipSet(
        name='people',
        classes=('anger', 'fear', 'happiness'),
        simulated=True,
        frames=frames.astype(np.uint8),
        length=np.full(36, 2, np.int32),
        label=label.astype(np.int32),
        subject=np.array([f'S{number:03}' for number in subject]),
        clip_id=np.array([f'S{number:03}/{i:03}' for i, number in enumerate(subject)]),
        split=np.full(36, ''),
    )


@pytest.fixture(scope='session')
def copies(people, design):
    """Three copies of each clip, one of them the original."""
    view = {'flip': 0.5, 'rotation': 10.0, 'shift': 0.1, 'scale': 0.1, 'contrast': 0.2}
    return make_copies(people, design.copies, 0, **view)


@pytest.fixture(scope='session')
def outcomes(copies, design) -> Outcomes:
    """Two seeds of networks that guess; those that leak guess better."""
    rng = np.random.default_rng(1)
    seeds, clips, size = 2, int(copies.original.sum()), len(copies.source)
    options = (len(design.settings), design.epochs)
    shape = (seeds, design.folds, *options)
    fold = []
    for seed in range(seeds):
        part = divisions.divide(copies.subject, copies.clips.label, design.folds, seed)
        fold.append(part[copies.original])
    fold = np.stack(fold)
    validated = np.full((seeds, design.folds), 9)
    share = np.array([0.9, 0.7, 0.5])[:, None, None]
    return Outcomes(
        divided=rng.random((3, seeds, size)) < share,
        seen_clip=np.repeat([[1.0], [0.0], [0.0]], seeds, 1),
        seen_subject=np.repeat([[1.0], [0.9], [0.0]], seeds, 1),
        trained=np.full((3, seeds, design.folds), 2 * size // 3),
        tested=np.full((3, seeds, design.folds), size // 3),
        fold=fold,
        right=rng.random((seeds, *options, clips)) < 0.6,
        loss=rng.random(shape),
        validation_right=rng.integers(0, 10, shape).astype(float),
        validation_loss=rng.random(shape),
        validated=validated,
    )
