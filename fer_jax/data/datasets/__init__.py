"""One TFDS builder for each dataset, imported when asked for (TFDS takes a second)."""

import importlib

from fer_jax.errors import UserError

# Dataset -> the module whose `Builder` (a `clip_builder.ClipBuilder`) reads its release.
DATASETS = {
    name: f'fer_jax.data.datasets.{name}.builder'
    for name in (
        'ckplus',
        'jaffe',
        'mmi',
        'oulu_casia',
        'savee',
        'afew',
        'fer2013',
        'ferg',
        'tfd',
    )
}
# In place of a way of finding faces: whole frames, in which none are looked for.
SCENE = 'scene'


def config_name(way: str) -> str:
    """The BuilderConfig, and folder, of a way of finding faces, or of SCENE."""
    return way if way == SCENE else f'faces-{way}'


def builder_class(name: str):
    """The `ClipBuilder` class of a dataset; UserError where the name is unknown."""
    if name not in DATASETS:
        raise UserError(f"unknown dataset '{name}': one of {', '.join(DATASETS)}")
    return importlib.import_module(DATASETS[name]).Builder
