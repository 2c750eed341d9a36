"""Values into configs: stated, neutral, of an ablation; from sections to what takes their keys."""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from fer_jax.config import keys, ranges
from fer_jax.config.declared import Ablation
from fer_jax.errors import UserError


def merged(*parts: Mapping[str, Any]) -> ConfigDict:
    """Returns what parts of a config state together; of a key that two state, the later value."""
    found: dict[str, Any] = {}
    for part in parts:
        found = _merge(found, plain(part))
    return ConfigDict(found)


def _merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(one)
    for key, value in other.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = _merge(out[key], value) if both else copy.deepcopy(value)
    return out


def plain(config: Any) -> Any:
    """Returns a config as dicts, references resolved; any other value as it is."""
    if isinstance(config, ConfigDict | Mapping):
        return {key: plain(value) for key, value in config.items()}
    return config


def complete(config: Mapping[str, Any] | ConfigDict) -> ConfigDict:
    """Returns the config with all keys of its kinds, in place of those that it does not state.

    A key that belongs to another kind of its section, and has its neutral value, is left out: so
    --config.optimizer.name=sgd is enough where adam was stated. Of a protocol from a file the rule
    is left out, and with augment.kind 'none' all that was stated of another kind.

    Raises:
      UserError: an unknown kind or key, a value of another type or out of its range
        (config/ranges.py), or a key of another kind that would do something there.
    """
    return ConfigDict(filled(plain(config)))


def filled(config: Mapping[str, Any], path: str = 'config') -> dict[str, Any]:
    """Returns what `complete` does, as dicts in the order of the list."""
    neutral = keys.defaults(config, path)
    if config.get('protocol', {}).get('file'):
        rules = {**keys.EXPERIMENT['protocol'], **_union(keys.KINDS['protocol'][1])}
        kept = {
            key: value
            for key, value in config['protocol'].items()
            if key in keys.FOLD_FILE or key not in rules
        }
        config = {**config, 'protocol': kept}
    if config.get('augment', {}).get('kind') == 'none':
        config = {**config, 'augment': {**config['augment'], 'options': {}}}
    others = [keys.defaults({**config, 'model': {'name': 'rnn'}}, path)] * ('models' not in neutral)
    model = f"model.name '{config.get('model', {}).get('name', '')}'"
    found = _fill(config, neutral, others, path, model)
    ranges.check(found, path)
    return found


def _union(kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for own in kinds.values() for key, value in own.items()}


def _fill(
    given: Mapping[str, Any],
    neutral: Mapping[str, Any],
    others: Sequence[Mapping[str, Any]],
    path: str,
    kind: str,
) -> dict[str, Any]:
    """Puts the given values among the neutral ones.

    Args:
      others: neutral values of the keys that other kinds have here.
      kind: which it is, for the message.
    """
    out = {}
    for key, value in neutral.items():
        place = f'{path}.{key}'
        theirs = [own[key] for own in others if key in own]
        if key not in given:
            out[key] = value
        elif isinstance(value, dict) and 'runner' in value:  # a config in a config
            out[key] = filled(given[key], place)
        elif isinstance(value, dict) and (value or any(theirs)):
            said = kind
            if key in keys.KINDS and 'runner' in neutral:
                name, kinds = keys.KINDS[key]
                theirs = list(kinds.values())
                said = f"{key}.{name} '{given[key].get(name, value.get(name))}'"
            out[key] = _fill(given[key], value, theirs, place, said)
        else:
            out[key] = _typed(given[key], value, place)
    for key in given:
        if key not in neutral:
            theirs = [own[key] for own in others if key in own]
            _check_left_out(given[key], theirs, f'{path}.{key}', kind, neutral)
    return out


def _check_left_out(
    value: Any, others: Sequence[Any], place: str, kind: str, neutral: Mapping[str, Any]
) -> None:
    """Refuses a key that its section does not have, unless other kinds have it with that value."""
    if not others:
        section, _, key = place.rpartition('.')
        raise UserError(f"{section} has an unknown key '{key}': it takes {', '.join(neutral)}")
    wrong = [found for other in others if (found := _first_at_work(value, other, place))]
    if len(wrong) == len(others):
        leaf, found, usual = wrong[0]
        raise UserError(
            f'{leaf} is {found!r}, which {kind} does not take: leave it out, or give {usual!r}'
        )


def _first_at_work(value: Any, neutral: Any, place: str) -> tuple[str, Any, Any] | None:
    """Finds the first key whose value is not the neutral one: its place and both, or None."""
    if isinstance(value, Mapping) and isinstance(neutral, Mapping):
        for key, own in value.items():
            if found := _first_at_work(own, neutral.get(key), f'{place}.{key}'):
                return found
        return None
    return None if value == neutral else (place, value, neutral)


def _typed(value: Any, neutral: Any, place: str) -> Any:
    """Gives a value the type of the neutral one: integers become floats, lists tuples."""
    if isinstance(neutral, float) and type(value) is int:
        return float(value)
    if isinstance(neutral, tuple) and isinstance(value, list | tuple):
        element = neutral[0] if neutral else ''  # what is neutral where empty is of words
        return tuple(_typed(x, element, place) for x in value)
    if type(value) is not type(neutral):
        raise UserError(f'{place} is {value!r}, which is no {type(neutral).__name__}')
    return copy.deepcopy(value)


def changed(config: ConfigDict, name: str, ablation: Ablation) -> ConfigDict:
    """Copies a config with the values of the ablation `name` in it (`with_values`)."""
    return with_values(config, ablation.changes, f"ablation '{name}'")


def with_values(config: ConfigDict, values: Mapping[str, Any], source: str) -> ConfigDict:
    """Copies a config with other values in it.

    Args:
      values: dotted key -> value; a mapping replaces a whole section.
      source: where they come from, for messages.

    Raises:
      UserError: a key that the config does not have, or a value of another type.
    """
    copy = config.copy_and_resolve_references()
    for key, value in values.items():
        section: Any = copy
        *path, last = key.split('.')
        for depth, part in enumerate([*path, last]):
            if not isinstance(section, ConfigDict) or part not in section:
                place = '.'.join(['config', *path[:depth]])
                known = ', '.join(section) if isinstance(section, ConfigDict) else 'no keys'
                raise UserError(
                    f'{source} changes config.{key}, which is not there: {place} has {known}'
                )
            if depth < len(path):
                section = section[part]
        try:
            section[last] = value
        except TypeError:
            kind = type(section[last])
            kind = 'section' if kind is ConfigDict else kind.__name__
            raise UserError(
                f'{source} sets config.{key} to {value!r}, which is no {kind}'
            ) from None
    return copy


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
