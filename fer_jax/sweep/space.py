"""Search spaces: checked against the config that they vary, in the form that Optuna takes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax.config import Range, Space
from fer_jax.errors import UserError

SOURCE = 'the search space'
ACCURACIES = ('pooled_accuracy', 'subject_accuracy')
SCALARS = bool | int | float | str


def check(config: ConfigDict, space: Space) -> None:
    """Holds a space to the config that it varies, before anything starts.

    Raises:
      UserError: a key that the config does not have, a value of another type, an empty or senseless
        choice; the message names the key.
    """
    if not space.choices:
        raise UserError(f'{SOURCE} is empty: name a key of the config and its values')
    if space.accuracy not in ACCURACIES:
        raise UserError(
            f"{SOURCE} judges by '{space.accuracy}': give one of {', '.join(ACCURACIES)}"
        )
    if not 0 <= space.threshold <= 1:
        raise UserError(f'the threshold is {space.threshold}: give an accuracy from 0 to 1')
    for key, choice in space.choices.items():
        if isinstance(choice, Range):
            _check_range(key, choice)
            values: Sequence[Any] = (choice.low, choice.high)
        elif isinstance(choice, Sequence) and not isinstance(choice, str) and len(choice):
            values = choice
        else:
            raise UserError(f'{SOURCE} gives config.{key} {choice!r}: give values or a Range')
        for value in values:
            configs.with_values(config, {key: value}, SOURCE)
            now = _value(config, key)
            # True is a number to Python.
            if isinstance(value, bool) != isinstance(now, bool) or not isinstance(value, SCALARS):
                kind = type(now).__name__
                raise UserError(f'{SOURCE} sets config.{key} to {value!r}, which is no {kind}')
        if len(set(values)) < len(values) and not isinstance(choice, Range):
            raise UserError(f'{SOURCE} gives config.{key} a value twice: {tuple(values)}')


def _check_range(key: str, choice: Range) -> None:
    wrong = not choice.low < choice.high or choice.step < 0
    if choice.log:
        wrong |= choice.low <= 0 or choice.step > 0
    if wrong or not all(map(math.isfinite, (choice.low, choice.high, choice.step))):
        raise UserError(
            f'{SOURCE} has {choice} for config.{key}: low must be below high, above 0 with log, '
            'and log has no step'
        )


def _value(config: ConfigDict, key: str) -> Any:
    """Reads the value at a dotted key."""
    for part in key.split('.'):
        config = config[part]
    return config


def distributions(config: ConfigDict, space: Space) -> dict[str, Any]:
    """Turns the space into Optuna's distributions, by dotted key; `check` found nothing wrong."""
    from optuna import distributions as kinds

    found: dict[str, Any] = {}
    for key, choice in space.choices.items():
        if not isinstance(choice, Range):
            found[key] = kinds.CategoricalDistribution(tuple(choice))
        elif isinstance(_value(config, key), int):
            step = int(choice.step) or 1
            found[key] = kinds.IntDistribution(int(choice.low), int(choice.high), choice.log, step)
        else:
            found[key] = kinds.FloatDistribution(
                choice.low, choice.high, choice.log, choice.step or None
            )
    return found


def grid(given: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Lists every value of each of the distributions.

    Raises:
      UserError: a range of numbers without a step has no end of them.
    """
    values: dict[str, list[Any]] = {}
    for key, kind in given.items():
        if hasattr(kind, 'choices'):
            values[key] = list(kind.choices)
        elif kind.step is None or kind.log:
            raise UserError(
                f'--sampler=grid tries every value, and config.{key} has a range: give values or a '
                'step, or take --sampler=tpe or random'
            )
        else:
            count = math.floor((kind.high - kind.low) / kind.step + 1e-9) + 1
            values[key] = [kind.low + i * kind.step for i in range(count)]
    return values


def as_json(space: Space) -> dict[str, Any]:
    """Turns the space into JSON, which two workers of one study compare."""
    return {
        'choices': {
            key: vars(choice) if isinstance(choice, Range) else list(choice)
            for key, choice in space.choices.items()
        },
        'accuracy': space.accuracy,
        'threshold': space.threshold,
    }
