"""Proposes settings and compares trials while they run: Optuna's parts, by name."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

SAMPLERS = ('tpe', 'random', 'grid')
PRUNERS = ('none', 'median', 'successive_halving')


@dataclasses.dataclass(frozen=True)
class Sampling:
    """The way settings are proposed and trials compared: names, and the seed of the proposals."""

    sampler: str = 'tpe'
    pruner: str = 'none'
    seed: int = 0

    def make_sampler(self, number: int, grid: Callable[[], Mapping]) -> Any:
        """Optuna's sampler for the trial `number`.

        Every trial has a generator of its own: workers with the same seed would propose the same.
        """
        from optuna import samplers

        seed = (self.seed * 1_000_003 + number) % 2**31
        if self.sampler == 'tpe':
            # The constant liar keeps workers off what others are trying.
            return samplers.TPESampler(seed=seed, constant_liar=True)
        if self.sampler == 'random':
            return samplers.RandomSampler(seed=seed)
        return samplers.GridSampler(grid(), seed=self.seed)

    def make_pruner(self) -> Any:
        """Optuna's pruner; it sees the accuracy so far after each group of folds."""
        from optuna import pruners

        return {
            'none': pruners.NopPruner,
            'median': pruners.MedianPruner,
            'successive_halving': pruners.SuccessiveHalvingPruner,
        }[self.pruner]()
