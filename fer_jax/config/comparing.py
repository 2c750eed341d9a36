"""By what a run is known: what differs from the defaults; and where two configs differ."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from fer_jax.config import keys
from fer_jax.config.sections import filled, plain
from fer_jax.errors import UserError

_ABSENT = '(absent)'  # in place of the value of a key that only the other config has


def as_json(config: ConfigDict) -> dict:
    """Turns the resolved config into what JSON reads back (tuples as lists)."""
    return json.loads(config.to_json_best_effort())


def differences(config: Mapping[str, Any] | ConfigDict) -> dict[str, Any]:
    """Returns what of a config differs from the defaults, as JSON reads it back.

    A section of what is learned from (keys.SOURCES) is told even where all of it is neutral.
    """
    values = filled(plain(config))
    return json.loads(json.dumps(_differing(values, keys.defaults(values))))


def _differing(values: Mapping[str, Any], neutral: Mapping[str, Any]) -> dict[str, Any]:
    out = {}
    for key, value in values.items():
        usual = neutral[key]
        if isinstance(usual, dict) and usual:
            inside = _differing(value, usual)
            if inside or key in keys.SOURCES:
                out[key] = inside
        elif value != usual:
            out[key] = value
    return out


def identity(config: Mapping[str, Any] | ConfigDict) -> str:
    """Returns eight hexadecimal digits of what differs from the defaults: part of a run's name."""
    said = json.dumps(differences(config), sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def difference(config: Mapping[str, Any] | ConfigDict, known: Mapping[str, Any]) -> str | None:
    """Returns where a config and one that was written down first differ, as `first_difference`.

    Args:
      known: as config.json holds it. A key that it lacks, because it is newer, is neutral there.
    """
    return first_difference(_with_neutral(plain(config)), _with_neutral(known))


def changes(config: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a config has otherwise than another one: dotted key -> its value.

    Args:
      config, known: as config.json holds them. A key that one lacks is neutral there, None where
        its kind does not have it.
    """
    unequal = _unequal(_with_neutral(config), _with_neutral(known), '')
    return {path[1:]: None if one == _ABSENT else one for path, one, _ in unequal}


def _with_neutral(config: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the neutral values of what a config as JSON lacks; what it has stays."""
    try:
        neutral = keys.defaults(config)
    except UserError:  # of a kind that there is not any more
        neutral = {}
    return json.loads(json.dumps(_beneath(neutral, config)))


def _beneath(neutral: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    out = {**neutral, **config}
    for key, value in neutral.items():
        if isinstance(value, dict) and isinstance(config.get(key), Mapping):
            out[key] = _beneath(value, config[key])
    return out


def first_difference(one: Any, other: Any, path: str = 'config') -> str | None:
    """Returns where two configs (as JSON) first differ, as 'config.x is 16, there 3', or None."""
    for place, mine, theirs in _unequal(one, other, path):
        return f'{place} is {mine}, there {theirs}'
    return None


def _unequal(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yields where two configs differ: the dotted key below `path`, and the value of each."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            yield from _unequal(one.get(key, _ABSENT), other.get(key, _ABSENT), f'{path}.{key}')
    elif one != other:
        yield path, one, other


def listing(config: Mapping[str, Any] | ConfigDict) -> str:
    """Returns every key and value of a config in lines; a star marks what differs from defaults."""
    values = filled(plain(config))
    lines = _lines(values, keys.defaults(values), '')
    return '\n'.join(f'{" *"[differs]} {key} = {value!r}' for key, value, differs in lines)


def _lines(
    values: Mapping[str, Any], neutral: Mapping[str, Any], path: str
) -> Iterator[tuple[str, Any, bool]]:
    """Yields dotted key, value, and whether it differs from the neutral one."""
    for key, value in values.items():
        if isinstance(neutral[key], dict) and neutral[key]:
            yield from _lines(value, neutral[key], f'{path}{key}.')
        elif value != {}:  # options of a kind that has none
            yield f'{path}{key}', value, value != neutral[key]
