"""The rules of choosing an epoch, side by side, each computed from the saved probabilities.

Choosing an epoch by the test clips (haddad2020 and saurav2020 report the best one) is optimistic:
those rules are here to compare with printed numbers, and are marked.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from fer_jax.errors import UserError
from fer_jax.evaluation.predictions import TEST, VALIDATION, Predictions

# The smallest positive float16: a probability that was saved as 0 counts as this in a loss.
SMALLEST = float(np.finfo(np.float16).smallest_subnormal)


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule's name in files, its title for people, what it does, and whether it saw the test."""

    name: str
    title: str
    meaning: str
    optimistic: bool


# In order of preference: the first that a run has is its headline.
RULES = {
    rule.name: rule
    for rule in (
        Rule('nested', 'Nested',
             'each member trained again on its training and validation clips together, for as many '
             'epochs as the validation clips chose', False),
        Rule('val_best', 'Best on validation',
             'each member at its epoch of highest validation accuracy', False),
        Rule('last', 'Last epoch', 'each member at its last epoch', False),
        Rule('test_best_fold', 'Best test epoch of each fold',
             'each member at its epoch of highest test accuracy', True),
        Rule('test_best_common', 'Best common test epoch',
             'all members of a seed at the one epoch of highest test accuracy', True),
    )
}  # fmt: skip


def preferred(chosen: Mapping[str, Any]) -> str:
    """Returns the headline of a run that has these rules."""
    return next(rule for rule in RULES if rule in chosen)


def scores(probabilities: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes correct predictions [E] and summed cross-entropy [E] (nats) after each epoch.

    Both are NaN in an epoch in which a clip was not evaluated.

    Args:
      probabilities: float32 [E,n,K] in 0..1.
      label: int [n].
    """
    evaluated = ~np.isnan(probabilities).any(axis=(1, 2))
    correct = (probabilities.argmax(-1) == label).sum(-1).astype(np.float64)
    true = probabilities[:, np.arange(len(label)), label]
    loss = -np.log(np.maximum(true, SMALLEST).astype(np.float64)).sum(-1)
    return np.where(evaluated, correct, np.nan), np.where(evaluated, loss, np.nan)


def best_epoch(correct: np.ndarray, loss: np.ndarray) -> int:
    """Returns the epoch with most correct; of equals that of lowest loss, then the earliest.

    Args:
      correct, loss: float64 [E], NaN where an epoch was not evaluated; at least one was.
    """
    order = np.lexsort((np.arange(len(correct)), loss, -correct))  # NaN sorts last
    return int(order[0])


def choose(predictions: Predictions) -> dict[str, np.ndarray]:
    """Chooses the epoch (int32 [M], from 0) of each member under each rule that the run allows.

    -1 leaves a member out. 'nested' counts those that were trained again, at their last epoch, and
    is absent where none was; the other rules count those that were not. Where members diverged,
    `Predictions.counted` says who is left, so that all rules and all seeds count the same clips.

    'val_best' is absent where a member has no validation clips. The two rules that look at the test
    clips are absent where the test was not saved after every epoch: their best could not be found.
    A member that stopped before a common epoch counts with its last: its state no longer changed.

    Raises:
      UserError: nothing is left; a member has no test clips, or no numbers where a rule needs them.
    """
    sound = predictions.counted
    if not sound.any():
        raise UserError(
            'under every seed some fold diverged, and every fold under some seed: nothing is left '
            'to judge; lower the learning rate and run it again'
        )
    members = np.flatnonzero(sound & ~predictions.retrained).tolist()
    validation = [scores(*predictions.course(m, VALIDATION)) for m in members]
    test = [scores(*predictions.course(m, TEST)) for m in members]
    for member in np.flatnonzero(sound).tolist():
        if not (predictions.part[member] == TEST).any():
            raise UserError(f'member {member} (fold {predictions.fold[member]}) has no test clips')

    chosen = {}
    if (predictions.part[members] == VALIDATION).any(axis=1).all():
        for member, (correct, _) in zip(members, validation, strict=True):
            if np.isnan(correct).all():
                raise UserError(
                    f'member {member} (fold {predictions.fold[member]}, seed '
                    f'{predictions.seed[member]}) has no validation probabilities: its training '
                    'diverged; lower the learning rate and run it again'
                )
        chosen['val_best'] = [best_epoch(*score) for score in validation]
    chosen['last'] = predictions.epochs[members] - 1
    if not any(np.isnan(correct).any() for correct, _ in test):
        chosen['test_best_fold'] = [best_epoch(*score) for score in test]
        chosen['test_best_common'] = _common(
            predictions.epochs[members], predictions.seed[members], test
        )
    found = {}
    again = sound & predictions.retrained
    if again.any():
        found['nested'] = np.where(again, predictions.epochs - 1, -1)
    for rule, epoch in chosen.items():
        found[rule] = np.full(predictions.members, -1)
        found[rule][members] = epoch
    return {rule: epoch.astype(np.int32) for rule, epoch in found.items()}


def _common(
    epochs: np.ndarray, seeds: np.ndarray, test: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Chooses one epoch for all members of a seed; those that ended earlier stay at their last."""
    chosen = np.zeros(len(epochs), np.int32)
    for seed in np.unique(seeds):
        members = np.flatnonzero(seeds == seed)
        longest = epochs[members].max()
        at = [np.minimum(np.arange(longest), epochs[m] - 1) for m in members]
        of_all = [[score[a] for score in test[m]] for m, a in zip(members, at, strict=True)]
        correct, loss = (sum(score, np.zeros(longest)) for score in zip(*of_all, strict=True))
        common = best_epoch(correct, loss)
        chosen[members] = np.minimum(common, epochs[members] - 1)
    return chosen
