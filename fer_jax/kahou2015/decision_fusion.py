"""Decision fusion: a weight for each model and class, by random search (kahou2015, sec. 5.2).

A class's score is the weighted sum of the probabilities that the models give it; a clip's class is
the one of the highest score, the first of equals. Where a model says nothing of a clip (a row of
NaN: no face, no sound), the weights of each class are rescaled over the models that speak, and are
equal among them where all the class's weight lies on silent ones.

Weights are to be searched on clips that the models were not trained on: the search would reward
the model that has learned its training clips by heart.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tqdm

from fer_jax.errors import UserError

# kahou2015, sec. 5.2: draws a round, and the spread's start, factor and end. 81 rounds.
DRAWS = 100_000
START, FACTOR, STOP = 0.5, 0.9, 1e-4
LOCAL = ('gaussian', 'uniform')

# Draws judged at once: their weights and one class's scores stay in a core's cache.
_BLOCK = 2048


@dataclasses.dataclass(frozen=True)
class Search:
    """The result of a search, and its course.

    Attributes:
      weights: float64 [model, class], 0 to 1, of sum 1 in each class.
      clips: how many it was searched on.
      spread: float64 [round], the standard deviation or half-width of each round's draws; NaN of
        the first round, which draws everywhere.
      correct: int64 [round], clips that the best weights so far have right; it never falls.
      improvements: int64 [round], how often the round found better ones.
    """

    weights: np.ndarray
    clips: int
    spread: np.ndarray
    correct: np.ndarray
    improvements: np.ndarray

    @property
    def accuracy(self) -> float:
        """On the clips searched on, 0 to 1: optimistic, the weights were chosen by it."""
        return float(self.correct[-1]) / self.clips


def spreads(start: float = START, factor: float = FACTOR, stop: float = STOP) -> np.ndarray:
    """Lists the spread of each local round, float64 [round]: `start`, times `factor`, to `stop`.

    Raises:
      UserError: a schedule that never ends.
    """
    if not 0 < factor < 1 or not stop > 0:
        raise UserError(
            f'a decision search whose spread is multiplied by {factor} until it is below {stop} '
            'never ends: give a factor between 0 and 1 and an end above 0'
        )
    values = []
    while start >= stop:
        values.append(start)
        start *= factor
    return np.array(values)


def spoken(probabilities: np.ndarray) -> np.ndarray:
    """Tells which models predict which clips: bool [model, clip], False for a row of NaN.

    Args:
      probabilities: float [model, clip, class], 0 to 1, rows of sum 1 or of NaN.

    Raises:
      ValueError: another shape, or a row that is NaN in part.
    """
    if probabilities.ndim != 3 or 0 in (len(probabilities), probabilities.shape[2]):
        raise ValueError(f'probabilities must be [model, clip, class], not {probabilities.shape}')
    number = np.isfinite(probabilities)
    if (number.any(-1) != number.all(-1)).any():
        raise ValueError('a row of probabilities is NaN in part')
    return np.all(number, -1)


def combine(weights: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Combines the models' probabilities by the weights.

    Args:
      weights: float [model, class], not negative, of sum 1 in each class.
      probabilities: float [model, clip, class], 0 to 1, NaN rows where a model is silent.

    Returns:
      float64 [clip, class]: the scores, divided by their sum (a clip's order of classes is as the
      paper's scores have it). NaN where no model speaks.
    """
    speaks = spoken(probabilities)[..., None]
    share = weights[:, None] * speaks
    total, speakers = share.sum(0), speaks.sum(0)
    equal = speaks / np.maximum(speakers, 1)
    share = np.where(total > 0, share / np.where(total > 0, total, 1), equal)
    score = (share * np.where(speaks, probabilities, 0)).sum(0, dtype=np.float64)
    # All scores are 0 where each model's probability lies on classes that it has no weight for.
    total = score.sum(-1, keepdims=True)
    score = np.where(total > 0, score / np.where(total > 0, total, 1), 1 / score.shape[1])
    return np.where(speakers > 0, score, np.nan)


def right(probabilities: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Marks the clips that are recognised: bool [clip]; a clip of NaN is not.

    Args:
      probabilities: float [clip, class].
      label: int [clip].
    """
    known = ~np.any(np.isnan(probabilities), -1)
    return known & (np.where(known[:, None], probabilities, 0).argmax(-1) == label)


def search(
    probabilities: np.ndarray,
    label: np.ndarray,
    *,
    seed: int,
    chosen: Sequence[int] | None = None,
    local: str = 'gaussian',
    draws: int = DRAWS,
    schedule: np.ndarray | None = None,
) -> Search:
    """Searches weights by the accuracy that they give.

    One round draws all weights from U[0, 1]. Each local round draws around the best so far, which
    moves as soon as better weights are found: with Gaussian noise of the round's spread, negative
    weights set to 0, or from [w - spread, w + spread], likewise. Drawn weights are rescaled to sum
    1 in each class, and equal where all are 0. Only a higher number of clips replaces the best, so
    the earliest of equals stays. With one model there is nothing to search: its weights are 1.

    Args:
      probabilities: float [model, clip, class], 0 to 1, NaN rows where a model is silent; a clip of
        which no model speaks counts as an error.
      label: int [clip], 0 to class - 1.
      seed: of all draws; the same seed gives the same weights.
      chosen: the models that are combined, ascending; None for all. The others are silent, and the
        weights have no row of theirs: all choices of as many models share one compiled program.
      local: 'gaussian' or 'uniform'.
      draws: a round.
      schedule: float [round], the spread of each local round; None for `spreads()`, the paper's.

    Raises:
      UserError: no clips, clips without a label, or clips of one class only.
    """
    models, clips, classes = probabilities.shape
    speaks = spoken(probabilities)
    _check(label, clips, classes)
    combined = np.arange(models) if chosen is None else np.asarray(chosen)
    among = np.isin(np.arange(models), combined)
    groups = []
    # Clips with the same silent models are judged with the same rescaled weights.
    patterns, group = np.unique(speaks, axis=1, return_inverse=True)
    for number, present in enumerate(patterns.T):
        some = group == number
        if present.any():
            given = np.where(present[:, None, None], probabilities[:, some], 0)
            given = np.moveaxis(given, 1, 2).astype(np.float32)
            groups.append(_Clips(present & among, given, label[some].astype(np.int32)))
    schedule = spreads() if schedule is None else np.asarray(schedule, np.float64)
    weights, correct, improvements = _search(
        jax.random.key(seed),
        tuple(groups),
        among,
        jnp.asarray(schedule, jnp.float32),
        shape=(models, classes),
        local=local,
        draws=1 if len(combined) == 1 else draws,
    )
    weights = np.asarray(weights, np.float64)[combined]
    return Search(
        weights=weights / weights.sum(0),
        clips=clips,
        spread=np.concatenate([[np.nan], schedule]),
        correct=np.asarray(correct, np.int64),
        improvements=np.asarray(improvements, np.int64),
    )


def search_subsets(
    probabilities: np.ndarray, label: np.ndarray, **options
) -> dict[tuple[int, ...], Search]:
    """Searches the weights of every choice of models, as the paper did; smallest choices first.

    Args:
      probabilities, label: of `search`.
      **options: keywords of `search`.

    Returns:
      For each choice (indices of models), its search.
    """
    models = range(len(probabilities))
    choices = [choice for n in models for choice in itertools.combinations(models, n + 1)]
    bar = tqdm.tqdm(choices, desc='choices of models', unit=' searches', disable=None)
    return {choice: search(probabilities, label, chosen=choice, **options) for choice in bar}


def _check(label: np.ndarray, clips: int, classes: int) -> None:
    if not clips:
        raise UserError(
            'no clips to search the decision weights on: give a partition that the models were '
            'not trained on'
        )
    if label.shape != (clips,) or label.max() >= classes:
        raise ValueError(f'labels {label.shape} do not fit {clips} clips of {classes} classes')
    unlabelled = int((label < 0).sum())
    if unlabelled:
        raise UserError(
            f'{unlabelled} of the {clips} clips to search the decision weights on have no label: '
            'search on the training or the validation partition'
        )
    if len(np.unique(label)) == 1 and clips > 1:
        raise UserError(
            f'all {clips} clips to search the decision weights on are of one class, which any '
            'weights would fit: give clips of two classes or more'
        )


class _Clips(NamedTuple):
    """Clips with the same silent models.

    present bool [model]; probabilities float32 [model, class, clip]; label int32 [clip].
    """

    present: np.ndarray
    probabilities: np.ndarray
    label: np.ndarray


class _Best(NamedTuple):
    """The best weights so far, float32 [model, class], and the clips that they have right."""

    weights: jax.Array
    correct: jax.Array


def _rescaled(weights: jax.Array, present: jax.Array | np.ndarray) -> jax.Array:
    """Rescales weights [model, class, draw] of the present models to sum 1 in each class."""
    present = present[:, None, None].astype(weights.dtype)
    weights = weights * present
    total = weights.sum(0, keepdims=True)
    equal = present / jnp.maximum(present.sum(), 1)
    return jnp.where(total > 0, weights / jnp.where(total > 0, total, 1), equal)


def _correct(weights: jax.Array, groups: Sequence[_Clips]) -> jax.Array:
    """Counts the clips that each draw's weights [model, class, draw] have right: int32 [draw].

    Written out by model and class, because XLA makes of this one loop without intermediate arrays.
    Per class and clip a product is only as deep as there are models, too little for a library's
    matrix product, whose scores would have to pass through memory besides.
    """
    total = jnp.zeros(weights.shape[2], jnp.int32)
    for present, probabilities, label in groups:
        ours = _rescaled(weights, present)[..., None]
        given = jnp.asarray(probabilities)[:, :, None]
        highest, correct = _scored(ours, given, label, 0)
        for k in range(1, ours.shape[1]):
            score, is_label = _scored(ours, given, label, k)
            correct = jnp.where(score > highest, is_label, correct)
            highest = jnp.maximum(score, highest)
        # Where no model speaks all scores are equal, and nothing is right.
        total += jnp.where(present.any(), correct.sum(1, dtype=jnp.int32), 0)
    return total


def _scored(
    ours: jax.Array, given: jax.Array, label: np.ndarray, k: int
) -> tuple[jax.Array, jax.Array]:
    """Scores class k in each clip and draw, and marks the clips that are of it."""
    score = sum((ours[m, k] * given[m, k] for m in range(len(ours))), jnp.float32(0))
    return score, jnp.broadcast_to(label[None] == k, score.shape)


@functools.partial(jax.jit, static_argnames=('shape', 'local', 'draws'))
def _search(key, groups, among, schedule, *, shape, local, draws):
    """Finds weights [model, class], and counts each round's right clips and improvements.

    Models that are not `among` (bool [model]) those combined get the weight 0.
    """
    block = min(_BLOCK, draws)

    def one_round(number, best, propose):
        own = jax.random.fold_in(key, number)

        def step(state):
            at, start, best, found = state
            drawn = propose(jax.random.fold_in(own, at), best.weights[..., None])
            weights = _rescaled(drawn, among)
            correct = _correct(weights, groups)
            index = jnp.arange(block)
            unseen = (index >= start) & (at * block + index < draws)
            better = unseen & (correct > best.correct)
            first, any_better = better.argmax(), better.any()
            new = _Best(weights[..., first], correct[first])
            best = jax.tree.map(lambda a, b: jnp.where(any_better, a, b), new, best)
            # After an improvement the rest of the block is drawn again, around the new best.
            start = jnp.where(any_better, first + 1, 0)
            return jnp.where(any_better, at, at + 1), start, best, found + any_better

        state = (jnp.int32(0), jnp.int32(0), best, jnp.int32(0))
        _, _, best, found = jax.lax.while_loop(lambda state: state[0] * block < draws, step, state)
        return best, found

    def anywhere(key, _):
        return jax.random.uniform(key, (*shape, block))

    def local_round(best, inputs):
        number, spread = inputs

        def around(key, centre):
            if local == 'gaussian':
                noise = jax.random.normal(key, (*shape, block))
            else:
                noise = jax.random.uniform(key, (*shape, block), minval=-1.0)
            return jnp.maximum(centre + spread * noise, 0)

        best, found = one_round(number, best, around)
        return best, (best.correct, found)

    nothing = _Best(jnp.zeros(shape, jnp.float32), jnp.int32(-1))
    best, found = one_round(0, nothing, anywhere)
    rounds = jnp.arange(1, len(schedule) + 1)
    first = best.correct, found
    best, course = jax.lax.scan(local_round, best, (rounds, schedule))
    course = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, course)
    return best.weights, *course
