"""Configs: variants, strict sections, identity."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from fer_jax.errors import UserError


def parse_variant(variant: str, **defaults: Any) -> ConfigDict:
    """What stands behind the colon of --config=FILE:VARIANT, e.g. 'loso,simulated' or 'fold=3'.

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


def bind(function: Callable, section: Mapping, path: str, *args: Any, **given: Any) -> Any:
    """Calls `function(*args, **given, **section)`; a key that it does not take is the user's.

    Args:
      path: the section's name in the config, for the message.
    """
    known = inspect.signature(function).parameters
    unknown = sorted(key for key in section if key not in known or key in given)
    if unknown:
        options = ', '.join(
            sorted(k for k, p in known.items() if p.kind == p.KEYWORD_ONLY and k not in given)
        )
        raise UserError(f"config.{path} has an unknown key '{unknown[0]}': it takes {options}")
    return function(*args, **given, **section)


def as_json(config: ConfigDict) -> dict:
    """The resolved config as JSON reads it back (tuples as lists)."""
    return json.loads(config.to_json_best_effort())


def identity(config: ConfigDict) -> str:
    """Eight hexadecimal digits of the resolved config: part of a run's default folder."""
    return hashlib.sha256(json.dumps(as_json(config), sort_keys=True).encode()).hexdigest()[:8]


def first_difference(one: Any, other: Any, path: str = 'config') -> str | None:
    """Where two configs (as JSON) first differ, as 'config.x is 16, there 3', or None."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            found = first_difference(
                one.get(key, '(absent)'), other.get(key, '(absent)'), f'{path}.{key}'
            )
            if found:
                return found
        return None
    return None if one == other else f'{path} is {one}, there {other}'
