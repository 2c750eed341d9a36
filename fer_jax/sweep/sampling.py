"""Proposes settings and compares trials while they run: Optuna's parts, by name."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping
from typing import Any

SAMPLERS = ('tpe', 'random', 'grid')
PRUNERS = ('none', 'median', 'successive_halving')
# Trials trained to their end, without which there is no median to speak of.
FEWEST = 5
# Share of the members that must have ended: the first folds say little.
WARM_UP = 0.25


class MedianPruner:
    """Gives a trial up where its accuracy so far is below the median of others at the same step.

    Optuna's own compares the best value that a trial has ever reported, which suits an accuracy
    after each epoch: here one lucky first fold would keep a trial for ever.
    """

    def prune(self, study: Any, trial: Any) -> bool:
        """Returns whether to give a trial up: all that Optuna asks of a pruner."""
        step = trial.last_step
        others = [o for o in study.get_trials(deepcopy=False) if o.state.name == 'COMPLETE']
        members = max((other.last_step or 0 for other in others), default=0)
        values = [o.intermediate_values[step] for o in others if step in o.intermediate_values]
        if step is None or step < WARM_UP * members or len(values) < FEWEST:
            return False
        return trial.intermediate_values[step] < statistics.median(values)


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
        """Makes the pruner; it sees the accuracy so far after each group of folds."""
        from optuna import pruners

        return {
            'none': pruners.NopPruner,
            'median': MedianPruner,
            'successive_halving': pruners.SuccessiveHalvingPruner,
        }[self.pruner]()
