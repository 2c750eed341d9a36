"""The declarations of a config file besides its config: variants, ablations, a search space."""

import dataclasses
import importlib.resources
import json
import runpy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fer_jax.errors import DAMAGED, UserError

# The files of configs/: a link to it in a checkout, a folder of the package once installed.
CONFIGS = Path(str(importlib.resources.files('fer_jax'))) / 'configs'


def parse_variant(variant: str, **defaults: Any) -> ConfigDict:
    """Parses what follows the colon of --config=FILE:VARIANT, e.g. 'loso,simulated', 'fold=3'.

    Args:
      variant: comma-separated names (which become True) and name=value pairs.
      **defaults: the names that the config knows, with their values when not given.

    Raises:
      UserError: a name that is not among the defaults, or a value of another type.
    """
    options = dict(defaults)
    for item in filter(None, variant.split(',')):
        name, given, value = item.partition('=')
        if name not in defaults:
            raise UserError(
                f"unknown config variant '{name}': this config has {', '.join(defaults)}"
            )
        kind = type(defaults[name])
        if kind is bool:
            if given:
                raise UserError(f"config variant '{name}' takes no value: write '{name}'")
            options[name] = True
            continue
        try:
            options[name] = kind(value)
        except ValueError:
            raise UserError(f"config variant '{item}': '{value}' is not {kind.__name__}") from None
    return ConfigDict(options)


@dataclasses.dataclass(frozen=True)
class Ablation:
    """One way to read what a paper contradicts or leaves open: values that replace a config's.

    Attributes:
      why: a sentence for the report: what is read, and where the paper stands.
      changes: dotted key -> value; a mapping replaces a whole section.
    """

    why: str
    changes: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers that a search may try: whole ones where the config has a whole number.

    Attributes:
      low, high: both included.
      log: evenly in the logarithm.
      step: only low, low + step, ...; 0: any number between.
    """

    low: float
    high: float
    log: bool = False
    step: float = 0


@dataclasses.dataclass(frozen=True)
class Space:
    """The search space of a config: what a search varies, and how it judges.

    Attributes:
      choices: dotted key -> the values to choose from, or a Range.
      accuracy: 'pooled_accuracy' of all clips, or 'subject_accuracy', the mean of the subjects'.
      threshold: a setting that can no longer reach this accuracy (0 to 1) is given up; 0: none is.
    """

    choices: Mapping[str, Sequence[Any] | Range]
    accuracy: str = 'pooled_accuracy'
    threshold: float = 0.0


def find_config(path: str | Path) -> Path:
    """Returns the file that `path` names, from any working directory.

    That is `path` itself where there is such a file, else the config of that name that comes with
    the package: 'ckplus_c3d.py' and 'configs/ckplus_c3d.py' are the same.

    Raises:
      UserError: there is neither.
    """
    path = Path(path)
    own = CONFIGS / path.name
    if path.is_file():
        return path
    if path.parent in (Path(), Path('configs')) and own.is_file():
        return own
    names = ', '.join(sorted(file.name for file in CONFIGS.glob('*.py')))
    raise UserError(f'{path}: no such config; there are: {names}')


def read_config(path: Path) -> ConfigDict:
    """Returns the config that a run's config.json holds, to run again what the run did.

    Raises:
      UserError: the file cannot be read, or holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except DAMAGED as error:
        raise UserError(f'{path} is not JSON ({error}): give the config.json of a run') from error
    if not isinstance(found, dict) or not {'name', 'runner'} <= set(found):
        raise UserError(f'{path} is no config: give the config.json of a run')
    return ConfigDict(tuples(found))


def tuples(value: Any) -> Any:
    """Returns a value with tuples for lists, which JSON has in their place."""
    if isinstance(value, Mapping):
        return {key: tuples(own) for key, own in value.items()}
    return tuple(map(tuples, value)) if isinstance(value, list | tuple) else value


def load_config(path: str | Path, *variant: str) -> ConfigDict:
    """Calls get_config(variant) of a config file."""
    return _declared(path, 'get_config', 'config')(*variant)


def load_ablations(path: str, config: ConfigDict) -> dict[str, Ablation]:
    """Loads the ablations, by name, that a config file declares in get_ablations(config).

    Args:
      path: the config file.
      config: as it stands, variant and command line included; ablations may depend on it.

    Raises:
      UserError: the file has no such function.
    """
    return _declared(path, 'get_ablations', 'ablations')(config)


def load_space(path: str, config: ConfigDict) -> Space:
    """Loads the search space that a config file declares in get_space(config)."""
    return _declared(path, 'get_space', 'search space')(config)


def _declared(path: str | Path, name: str, what: str) -> Callable:
    """Imports the function `name` of a config file."""
    file = find_config(path)
    declared = {} if file.suffix == '.json' else runpy.run_path(str(file))
    if name not in declared:
        raise UserError(f'{path} declares no {what}: write {name}(config) into it')
    return declared[name]
