"""Tests, effect sizes and intervals of the difference between two systems, on paired results.

Both systems were tested on the same folds or the same clips. Every test gives three p-values, of
the alternatives 'the first and the second differ' (two-sided), 'the first is better' (greater) and
'the second is better' (less). A one-sided value answers a question that was asked before the
results were seen; the p-values that haddad2020 prints (Tables 4 and 5) are one-sided.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from fer_jax.evaluation import bootstrap

# Differences of shares such as 2/33 - 1/33 and 3/33 - 2/33 are ties, whatever their last bits.
DIGITS = 9


@dataclasses.dataclass(frozen=True)
class TestResult:
    """A test's result; None where it is undefined (too few pairs, or differences all equal
    and not 0; where all are 0, p is 1).

    pairs: how many entered; statistic: t, the sum of positive ranks, or the count that only the
    first got right; two_sided, greater, less: p-values in 0..1.
    """

    pairs: int
    statistic: float | None
    two_sided: float | None
    greater: float | None
    less: float | None


def _differences(first: Sequence[float], second: Sequence[float]) -> np.ndarray:
    """Subtracts second from first, [N]; ValueError where they are not paired."""
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f'not paired: shapes {one.shape} and {other.shape}')
    return np.round(one - other, DIGITS)


def paired_t(first: Sequence[float], second: Sequence[float]) -> TestResult:
    """Runs Student's paired t-test on the accuracies of folds, [F] each (haddad2020, Tables 4, 5).

    It takes the folds' differences as independent and normal. Training parts of folds overlap, so
    its p-values are too small; `corrected_t` allows for that.
    """
    return corrected_t(first, second, 0.0)


def corrected_t(
    first: Sequence[float], second: Sequence[float], test_to_train: float
) -> TestResult:
    """Runs the corrected resampled t-test on the accuracies of splits, [F] each.

    Nadeau and Bengio 2003 (Inference for the generalization error, Machine Learning 52, sec. 4.2):
    t = mean / sqrt((1/F + n_test/n_train) var) with F - 1 degrees of freedom, because splits that
    share training clips are correlated.

    Args:
      test_to_train: n_test / n_train; 0 gives the uncorrected test.
    """
    difference = _differences(first, second)
    pairs = len(difference)
    if pairs < 2 or (np.ptp(difference) == 0 and difference[0] != 0):
        return TestResult(pairs, None, None, None, None)
    if not difference.any():
        return TestResult(pairs, 0.0, 1.0, 1.0, 1.0)
    error = np.sqrt((1 / pairs + test_to_train) * difference.var(ddof=1))
    statistic = difference.mean() / error
    less, greater = scipy.stats.t.cdf(statistic, pairs - 1), scipy.stats.t.sf(statistic, pairs - 1)
    return TestResult(
        pairs, float(statistic), float(2 * min(less, greater)), float(greater), float(less)
    )


def wilcoxon(first: Sequence[float], second: Sequence[float]) -> TestResult:
    """Runs Wilcoxon's signed-rank test on the accuracies of folds, [F] each.

    It takes the differences as symmetric about their median. Equal pairs are left out (Wilcoxon
    1945) and do not count as pairs. Exact to 50 pairs without ties and to 13 with, beyond them
    normal with the ties' correction.
    """
    difference = _differences(first, second)
    difference = difference[difference != 0]
    if not len(difference):
        return TestResult(0, 0.0, 1.0, 1.0, 1.0)
    tests: list[Any] = [
        scipy.stats.wilcoxon(difference, alternative=alternative)
        for alternative in ('two-sided', 'greater', 'less')
    ]
    two_sided, greater, less = tests
    return TestResult(
        len(difference),
        float(greater.statistic),
        float(two_sided.pvalue),
        float(greater.pvalue),
        float(less.pvalue),
    )


def mcnemar(only_first: int, only_second: int) -> TestResult:
    """Runs McNemar's exact test on clips that only one of the two systems got right.

    A binomial test of `only_first` among both with probability 1/2 (McNemar 1947). It takes clips
    as independent, which clips of one subject and frames of one
    recording are not.
    """
    pairs = only_first + only_second
    if pairs == 0:
        return TestResult(0, 0.0, 1.0, 1.0, 1.0)
    two_sided, greater, less = (
        float(scipy.stats.binomtest(only_first, pairs, alternative=alternative).pvalue)
        for alternative in ('two-sided', 'greater', 'less')
    )
    return TestResult(pairs, float(only_first), two_sided, greater, less)


def effect_size(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Computes Cohen's d_z: the mean of paired differences over their standard deviation (n - 1).

    t is d_z times the root of the number of pairs. None where the differences do not vary.
    """
    difference = _differences(first, second)
    if len(difference) < 2 or np.ptp(difference) == 0:
        return None
    return float(difference.mean() / difference.std(ddof=1))


def difference_interval(
    first: np.ndarray,
    second: np.ndarray,
    total: np.ndarray,
    *,
    draws: int = bootstrap.DRAWS,
    seed: int = bootstrap.SEED,
) -> tuple[float, float] | None:
    """Computes the percentile interval of the difference of two pooled accuracies by bootstrap.

    A draw resamples the units (subjects, or recordings) once for both. None with fewer
    than bootstrap.FEWEST_UNITS.

    Args:
      first, second: correct predictions of each unit, [C]; fractions where seeds are averaged.
      total: predictions of each unit, [C].
    """
    if len(total) < bootstrap.FEWEST_UNITS:
        return None
    drawn = np.concatenate(
        [
            weights @ (first - second) / (weights @ total)
            for weights in bootstrap.resampled(len(total), draws, seed)
        ]
    )
    low, high = bootstrap.interval(drawn)
    return float(low), float(high)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusts p-values of several comparisons (Holm 1979); None stays None but counts as one."""
    adjusted: list[float | None] = [None] * len(p_values)
    known = {index: p for index, p in enumerate(p_values) if p is not None}
    largest = 0.0
    for rank, index in enumerate(sorted(known, key=known.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * known[index]))
        adjusted[index] = largest
    return adjusted
