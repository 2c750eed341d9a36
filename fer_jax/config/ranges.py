"""The values that a key of a config may have: the only list of ranges.

A number that is not here may be any finite one.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from fer_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Numbers from `low` to `high`, both included unless `above` or `below`."""

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        low = self.low < value if self.above else self.low <= value
        high = value < self.high if self.below else value <= self.high
        return bool(low and high)

    def __str__(self) -> str:
        low = f'above {self.low:g}' if self.above else f'{self.low:g}'
        if math.isfinite(self.high):
            return f'{low} to {"below " * self.below}{self.high:,}'
        return low if self.above else f'{low} or more'


COUNT = Bounds(1)
NONE_OR_MORE = Bounds(0)
POSITIVE = Bounds(0, above=True)
SHARE = Bounds(0, 1)
BELOW_ONE = Bounds(0, 1, below=True)
PART = Bounds(0, 1, above=True)
SEED = Bounds(0, 2**30)  # seeds are counted up from it, in 32 bits
ANGLE = Bounds(0, 180)

_PENALTIES = ('frobenius', 'l21', 'l1')
_OF_MODELS = {
    'dropout_rate': BELOW_ONE,
    'width': Bounds(0, 64, above=True),
    'temporal_size': COUNT,
    'localiser_kernels': Bounds(1, 99),
    'init_std': NONE_OR_MORE,
    'filters': COUNT,
    'pool_after': COUNT,
    'units': COUNT,
    'hidden': COUNT,
    'pool': NONE_OR_MORE,
    'convolutions': COUNT,
    'steps': Bounds(1, 10_000),
    'bins': COUNT,
    'penalty': POSITIVE,
}
RANGES = {
    'seed': SEED,
    'simulated.subjects': NONE_OR_MORE,
    'simulated.seed': SEED,
    'data.frames': Bounds(1, 10_000),
    'data.size': Bounds(4, 1024),
    'data.margin': Bounds(0.1, 10),
    'protocol.fold': Bounds(-1),
    'protocol.k': NONE_OR_MORE,
    'protocol.repeats': Bounds(1, 10_000),
    'protocol.train_fraction': Bounds(0, 1, above=True, below=True),
    'protocol.validation': BELOW_ONE,
    'protocol.seed': SEED,
    'distill.share': PART,
    'inputs.crop': NONE_OR_MORE,
    'augment.erase': SHARE,
    'augment.mixup': NONE_OR_MORE,
    'augment.options.flip': SHARE,
    'augment.options.vertical': SHARE,
    'augment.options.rotation': ANGLE,
    'augment.options.turned': SHARE,
    'augment.options.shift': SHARE,
    'augment.options.scale': BELOW_ONE,
    'augment.options.contrast': Bounds(0, 10),
    'augment.options.angles': Bounds(-360, 360),
    'loss.label_smoothing': BELOW_ONE,
    'loss.l2': NONE_OR_MORE,
    'optimizer.learning_rate': NONE_OR_MORE,  # 0 keeps parameters; batch statistics move
    'optimizer.every': COUNT,
    'optimizer.factor': NONE_OR_MORE,
    'optimizer.warmup': BELOW_ONE,
    'optimizer.clip': NONE_OR_MORE,
    'optimizer.weight_decay': NONE_OR_MORE,
    'optimizer.average': BELOW_ONE,
    'optimizer.momentum': BELOW_ONE,
    'optimizer.epsilon': POSITIVE,
    'train.batch_size': Bounds(1, 1_000_000),
    'train.epochs': Bounds(1, 100_000),
    'train.seeds': Bounds(1, 10_000),
    'train.patience': NONE_OR_MORE,
    'train.checkpoint_every': COUNT,
    'train.evaluate_batch': Bounds(1, 1_000_000),
    'train.members_at_once': NONE_OR_MORE,
    'train.steps_per_call': NONE_OR_MORE,
    'sound.components': NONE_OR_MORE,
    'activity.blocks': COUNT,
    'activity.variance': PART,
    'activity.factors': COUNT,
    'activity.contraction': NONE_OR_MORE,
    'activity.epochs': COUNT,
    'activity.batch_size': COUNT,
    'activity.learning_rate': POSITIVE,
    'activity.words': COUNT,
    'activity.seed': SEED,
    'fusion.units': COUNT,
    'fusion.common': COUNT,
    'fusion.components': COUNT,
    'fusion.batch_size': COUNT,
    'fusion.epochs.stated': COUNT,
    'fusion.epochs.stable': COUNT,
    'fusion.dropout_rate': BELOW_ONE,
    **{f'fusion.penalty.{name}': NONE_OR_MORE for name in _PENALTIES},
    'search.draws': COUNT,
    'search.start': POSITIVE,
    'search.factor': Bounds(0, 1, above=True, below=True),
    'search.stop': POSITIVE,
    **{f'model.{key}': bounds for key, bounds in _OF_MODELS.items()},
}


# A run's folder is named after `name`, so that it must not lead elsewhere.
NAME = re.compile(r'[\w .+-]{0,100}')


def check(config: Mapping[str, Any], path: str = 'config') -> None:
    """Checks every number of a complete config, and its name.

    Args:
      path: where it stands, for the message.

    Raises:
      UserError: a number out of its range, or NaN or infinite, or a name that names no folder.
    """
    name = str(config.get('name', ''))
    if not NAME.fullmatch(name):
        raise UserError(
            f"{path}.name is {name!r}, and the run's folder is named after it: give up to 100 "
            'letters, digits, spaces and . _ + -'
        )
    _check(config, '', path)


def _check(value: Any, key: str, path: str) -> None:
    if isinstance(value, Mapping):
        if 'runner' in value and key:  # a config in a config, which is checked by itself
            return
        for name, own in value.items():
            _check(own, f'{key}.{name}' if key else name, path)
    elif isinstance(value, tuple | list):
        for own in value:
            _check(own, key, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise UserError(f'{path}.{key} is {value}: give a finite number')
        if key in RANGES and value not in RANGES[key]:
            raise UserError(f'{path}.{key} is {value:.15g}: give {RANGES[key]}')
