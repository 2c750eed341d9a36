"""One TFDS builder for each dataset, imported when asked for (TFDS takes a second)."""

import importlib
import re

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
        'ravdess',
        'crema_d',
        'own',
    )
}
# Of this kind there are several, each with a name of its own: 'own:clinic'.
OWN = 'own'
# In place of a way of finding faces: whole frames, in which none are looked for.
SCENE = 'scene'


def config_name(way: str) -> str:
    """Returns the name of the BuilderConfig, and folder, of a way of finding faces, or of SCENE."""
    return way if way == SCENE else f'faces-{way}'


def builder_class(name: str):
    """Returns the `ClipBuilder` class of a dataset, 'ckplus' or 'own:clinic'.

    Raises:
      UserError: the name is unknown; own data have no name, or one that no folder can have.
    """
    kind, colon, given = name.partition(':')
    if kind not in DATASETS or (colon and kind != OWN):
        raise UserError(f"unknown dataset '{name}': one of {', '.join(DATASETS)}")
    if kind == OWN and not re.fullmatch(r'[\w-]+', given):
        raise UserError(
            f"own data need a name of letters, digits, '-' and '_', not '{given}': "
            f'--dataset={OWN} --name=clinic for data.name {OWN}:clinic'
        )
    return importlib.import_module(DATASETS[kind]).Builder


def folder(name: str) -> str:
    """Returns a dataset's folder below that of all datasets: 'ckplus', 'own/clinic'."""
    return name.replace(':', '/')
