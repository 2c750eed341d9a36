"""A small system (convolution, BatchNorm, dropout) on small clips, enough for every mechanism."""

import dataclasses
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Fold
from fer_jax.models import layers
from fer_jax.training import loop
from fer_jax.training.members import Member, Recipe
from fer_jax.training.step import System

CLASSES = ('anger', 'fear', 'happiness')


class Tiny(nn.Module):
    """All that makes equality hard: BatchNorm under a mask, dropout, a dense layer."""

    num_classes: int

    @nn.compact
    def __call__(self, frames, *, mask, length, train, dropout_rate):
        b, t = frames.shape[:2]
        # No bias: BatchNorm takes it out, and Adam would blow up the rounding of its zero gradient.
        x = nn.Conv(4, (3, 3), use_bias=False, name='conv')(
            frames.reshape(b * t, *frames.shape[2:])
        )
        rows = None if mask is None else jnp.repeat(mask, t)
        x = nn.relu(layers.BatchNorm(name='norm')(x, mask=rows, train=train))
        x = x.reshape(b, t, *x.shape[1:]).mean((1, 2, 3))
        x = nn.relu(nn.Dense(8, name='fc1')(x))
        x = layers.Dropout(name='dropout')(
            x, rate=0.0 if dropout_rate is None else dropout_rate, train=train
        )
        return nn.Dense(self.num_classes, name='fc2')(x)


def make_clips() -> ClipSet:
    """40 clips of 8 subjects, the brighter the higher their class."""
    rng = np.random.default_rng(0)
    label = np.arange(40) % 3
    frames = rng.integers(0, 120, (40, 2, 12, 12, 1)) + 60 * label[:, None, None, None, None]
    return ClipSet(
        name='tiny',
        classes=CLASSES,
        simulated=True,
        frames=frames.astype(np.uint8),
        length=np.full(40, 2, np.int32),
        label=label.astype(np.int32),
        subject=np.array([f'S{i // 5:03}' for i in range(40)]),
        clip_id=np.array([f'clip{i:03}' for i in range(40)]),
        split=np.full(40, ''),
    )


def make_system() -> System:
    """Adam, an L2 penalty on the dense layers."""
    return System(
        Tiny(len(CLASSES)),
        optimizer={'name': 'adam'},
        inputs={'normalize': 'unit', 'channels': 1},
        l2=1e-3,
        l2_layers=('fc1', 'fc2'),
    )


def make_recipe() -> Recipe:
    """Fresh random views, batches of 8: the last batch of a fold of 27 or 30 is short."""
    options = {'flip': 0.5, 'rotation': 10.0, 'shift': 0.1, 'scale': 0.1, 'contrast': 0.2}
    return Recipe('random', options, 8)


def make_members() -> list[Member]:
    """Four folds of unequal size by subject, with learning and dropout rates of their own."""
    index = np.arange(40)
    members = []
    for i in range(4):
        test = (index // 5) % 4 == i
        validation = (index // 5) % 4 == (i + 1) % 4
        train = ~test & ~validation if i < 3 else ~test
        fold = Fold(index[train], index[validation & ~train], index[test])
        members.append(
            Member(
                index=i,
                fold_number=i,
                fold=fold,
                seed=5,
                learning_rate=0.001 * (i + 1),
                dropout_rate=0.1 * i,
                class_weight=np.ones(3, np.float32),
                mean=np.zeros((1, 1, 1), np.float32),
                std=np.ones((1, 1, 1), np.float32),
            )
        )
    return members


@pytest.fixture(scope='session')
def tiny_clips() -> ClipSet:
    return make_clips()


@pytest.fixture(scope='session')
def tiny_system() -> System:
    return make_system()


@pytest.fixture(scope='session')
def tiny_recipe() -> Recipe:
    return make_recipe()


@pytest.fixture(scope='session')
def tiny_members() -> list[Member]:
    return make_members()


@pytest.fixture
def alone():
    """A member as the only one of its population."""
    return lambda member: [dataclasses.replace(member, index=0)]


@pytest.fixture
def fit(tiny_system, tiny_members, tiny_clips, tiny_recipe):
    """Trains in a folder; members and schedule may be overridden."""

    def run(
        folder,
        *,
        members=None,
        on_epoch=lambda record: None,
        devices=1,
        epochs=4,
        system=tiny_system,
        **schedule,
    ):
        return loop.train(
            system,
            tiny_members[:2] if members is None else members,
            tiny_clips,
            tiny_recipe,
            loop.Schedule(epochs=epochs, evaluate_batch=16, **schedule),
            Path(folder),
            devices=jax.devices()[:devices],
            on_epoch=on_epoch,
        )

    return run
