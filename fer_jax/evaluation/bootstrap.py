"""Percentile intervals by bootstrap over subjects, or over recordings where they are unknown."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping

import numpy as np

from fer_jax.data.clips import without_frame
from fer_jax.evaluation import metrics
from fer_jax.evaluation.predictions import Predictions, Rows

DRAWS = 2000
# With fewer units than this (subjects, or recordings) a percentile interval says little more than
# the smallest and the largest of them: none is given, and the units themselves are shown.
FEWEST_UNITS = 8
LEVEL = 0.95
SEED = 0

METRICS = (
    'pooled_accuracy', 'subject_accuracy', 'fold_accuracy', 'mean_class_accuracy', 'macro_f1'
)  # fmt: skip

# Weights of one block of draws, in numbers: 32 MB of float32.
BLOCK = 8_000_000


@dataclasses.dataclass(frozen=True)
class Counts:
    """Counts of each unit of resampling (a subject, or a recording), from which metrics follow.

    confusion float32 [C,S,K,K] by unit and seed; correct, total float32 [C,M] by unit and member
    (whole numbers, which float32 adds up exactly to 16 million);
    seeds int [S]; member_seed int [M], an index into seeds; unit: what the units are, as
    `units` names them.
    """

    confusion: np.ndarray
    correct: np.ndarray
    total: np.ndarray
    seeds: np.ndarray
    member_seed: np.ndarray
    unit: str

    def metrics(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Computes each metric of each draw and seed, [D,S], and 'recall' [D,S,K].

        subject_accuracy is there only where the units are subjects.

        Args:
          weights: float32 [D,C], how often each draw has each unit.
        """
        units, seeds, classes, _ = self.confusion.shape
        confusion = (weights @ self.confusion.reshape(units, -1)).astype(np.float64)
        confusion = confusion.reshape(len(weights), seeds, classes, classes)
        # Shares of each member's test clips, [D,M]: of a fold drawn twice they add up to 2.
        all_clips = self.total.sum(0)
        correct, drawn = (
            metrics.share((weights @ counted).astype(np.float64), all_clips)
            for counted in (self.correct, self.total)
        )
        values = {
            'pooled_accuracy': metrics.accuracy(confusion),
            'fold_accuracy': np.stack(
                [
                    metrics.share(np.nansum(correct[:, mine], -1), np.nansum(drawn[:, mine], -1))
                    for mine in (self.member_seed == seed for seed in range(seeds))
                ],
                axis=-1,
            ),
            'mean_class_accuracy': metrics.mean_class_accuracy(confusion),
            'macro_f1': metrics.macro_f1(confusion),
            'recall': metrics.recall(confusion),
        }
        if self.unit == 'subjects':
            # [C,S], NaN where a seed has none of a subject's clips.
            own = metrics.accuracy(self.confusion.astype(np.float64))
            present = (~np.isnan(own)).astype(np.float64)
            # A subject drawn twice counts twice.
            summed = weights @ np.nan_to_num(own)
            values['subject_accuracy'] = metrics.share(summed, weights @ present)
        return values

    def estimates(self) -> dict[str, np.ndarray]:
        """Computes each metric of the sample itself, [S], and 'recall' [S,K]."""
        values = self.metrics(np.ones((1, len(self.confusion)), np.float32))
        return {name: value[0] for name, value in values.items()}

    def drawn(self, draws: int = DRAWS, seed: int = SEED) -> dict[str, np.ndarray]:
        """Computes each metric's mean over seeds in every draw: [D], and 'recall' [D,K].

        A draw resamples the units once and keeps all that belongs to each: its clips under every
        seed and repeat. Counts of the same units with the same `seed` see the same draws, so that
        differences between them are paired. Empty where there are fewer than FEWEST_UNITS.
        """
        units = len(self.confusion)
        if units < FEWEST_UNITS:
            return {}
        parts = [self.metrics(weights) for weights in resampled(units, draws, seed)]
        return {
            name: metrics.mean_of_present(
                np.moveaxis(np.concatenate([part[name] for part in parts]), 1, -1)
            )
            for name in parts[0]
        }

    def intervals(
        self, draws: int = DRAWS, level: float = LEVEL, seed: int = SEED
    ) -> dict[str, np.ndarray]:
        """Computes percentile intervals of each metric's mean over seeds: [2], 'recall' [2,K]."""
        return intervals(self.drawn(draws, seed), level)


def resampled(units: int, draws: int = DRAWS, seed: int = SEED) -> Iterator[np.ndarray]:
    """Draws how often each draw has each unit: blocks float32 [d,C] whose d add up to `draws`."""
    rng = np.random.default_rng(seed)
    block = max(1, min(draws, BLOCK // units))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        picked = rng.integers(units, size=(size, units), dtype=np.int32)
        picked += np.arange(size, dtype=np.int32)[:, None] * units
        weights = np.bincount(picked.ravel(), minlength=size * units).reshape(size, units)
        yield weights.astype(np.float32)


def intervals(drawn: Mapping[str, np.ndarray], level: float = LEVEL) -> dict[str, np.ndarray]:
    """Computes percentile intervals [2,...] of values [D,...] by name."""
    return {name: interval(values, level) for name, values in drawn.items()}


def interval(values: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Computes the percentile interval [2,...] of drawn values [D,...]."""
    tail = 50.0 * (1.0 - level)
    with warnings.catch_warnings():  # NaN, the recall of a class not drawn, may be all there is
        warnings.simplefilter('ignore', RuntimeWarning)
        return np.nanpercentile(values.astype(np.float64), [tail, 100.0 - tail], axis=0)


def units(subject: np.ndarray, clip_id: np.ndarray) -> tuple[np.ndarray, str]:
    """Numbers the units of rows, int [R], and names them.

    'subjects' where every row's is known; else 'recordings' where several clips are frames of one
    (`data.clips.stills`), else 'clips'.

    Args:
      subject, clip_id: of each row, str [R].
    """
    if (subject != '').all():
        return np.unique(subject, return_inverse=True)[1], 'subjects'
    names, clip = np.unique(clip_id, return_inverse=True)
    films, film = np.unique([without_frame(name) for name in names.tolist()], return_inverse=True)
    return film[clip], 'recordings' if len(films) < len(names) else 'clips'


def count(rows: Rows, predictions: Predictions) -> Counts:
    """Counts test rows by the units of `units`."""
    unit, name = units(predictions.subject[rows.clip], predictions.clip_id[rows.clip])
    seeds = np.unique(rows.seed)
    # A seed all of whose members are left out is none; where they point then does not matter.
    member_seed = np.minimum(np.searchsorted(seeds, predictions.seed), len(seeds) - 1)
    number, classes, members = unit.max() + 1, len(predictions.classes), predictions.members

    seed = member_seed[rows.member]
    cell = ((unit * len(seeds) + seed) * classes + rows.label) * classes + rows.predicted
    shape = (number, len(seeds), classes, classes)
    confusion = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)
    at, cells = unit * members + rows.member, number * members
    right = rows.predicted == rows.label
    return Counts(
        confusion=confusion.astype(np.float32),
        correct=np.bincount(at[right], minlength=cells).reshape(number, members).astype(np.float32),
        total=np.bincount(at, minlength=cells).reshape(number, members).astype(np.float32),
        seeds=seeds,
        member_seed=member_seed,
        unit=name,
    )
