"""Tests of significance against SciPy, published worked examples and counting every outcome."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from fer_jax.evaluation import significance

# haddad2020, Table 4 (CK+) and Table 5 (Oulu-CASIA): accuracies of ten folds, in per cent.
TABLE_4 = {
    'c1': [100] * 10,
    'c2': [93.9, 100, 84.8, 78.7, 87.8, 93.9, 93.9, 96.8, 87.5, 90],
    'c3': [96.8, 96.8, 84.8, 93.9, 87.8, 93.9, 78.7, 96.8, 87.5, 93.9],
}
TABLE_5 = {
    'c2': [97.5, 97.5, 80, 82.5, 82.5, 80, 72.5, 97.5, 75, 77.5],
    'c1': [81.2, 81.2, 70.8, 75, 72.9, 72.9, 83.3, 72.9, 72.9, 87.5],
    'c4': [85, 97.5, 75, 82.5, 77.5, 70, 65, 97.5, 75, 72.5],
}

# Student 1908 (The probable error of a mean, Biometrika 6): hours of sleep gained by ten patients
# with each of two drugs.
DEXTRO = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
LAEVO = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


@pytest.mark.parametrize(
    'first, second, one_sided, two_sided',
    [
        (TABLE_4['c1'], TABLE_4['c2'], 0.00057, 0.00114),  # printed 0.00057
        (TABLE_4['c1'], TABLE_4['c3'], 0.00065, 0.00130),  # printed 0.00067
        (TABLE_5['c2'], TABLE_5['c1'], 0.0362, 0.0724),  # printed 0.03650
        (TABLE_5['c2'], TABLE_5['c4'], 0.00598, 0.01195),  # printed 0.00597
    ],
)
def test_the_p_values_that_haddad2020_prints_are_one_sided(first, second, one_sided, two_sided):
    outcome = significance.paired_t(first, second)
    assert outcome.greater == pytest.approx(one_sided, abs=5e-6 if one_sided < 0.01 else 5e-5)
    assert outcome.two_sided == pytest.approx(two_sided, abs=5e-6 if two_sided < 0.01 else 5e-5)
    assert outcome.less == pytest.approx(1 - outcome.greater)


def test_table_5_does_not_separate_c2_from_c1_two_sided():
    outcome = significance.paired_t(TABLE_5['c2'], TABLE_5['c1'])
    assert outcome.greater < 0.05 < outcome.two_sided
    assert significance.wilcoxon(TABLE_5['c2'], TABLE_5['c1']).greater > 0.05


def test_paired_t_gives_students_sleep():
    outcome = significance.paired_t(LAEVO, DEXTRO)
    assert outcome.pairs == 10
    assert outcome.statistic == pytest.approx(4.062, abs=5e-4)
    assert outcome.two_sided == pytest.approx(0.00283, abs=5e-6)
    assert significance.effect_size(LAEVO, DEXTRO) == pytest.approx(1.58 / 1.23, abs=5e-3)


@pytest.mark.parametrize('count', [2, 5, 10, 118])
def test_tests_over_folds_agree_with_scipy(count):
    rng = np.random.default_rng(count)
    first = rng.uniform(0.5, 1, count)
    second = first - rng.normal(0.02, 0.05, count)
    ours = {'t': significance.paired_t, 'w': significance.wilcoxon}
    theirs = {'t': stats.ttest_rel, 'w': stats.wilcoxon}
    for name, ask in ours.items():
        outcome = ask(first, second)
        for alternative in ('two-sided', 'greater', 'less'):
            expected = theirs[name](first, second, alternative=alternative).pvalue
            found = getattr(outcome, alternative.replace('-', '_'))
            assert found == pytest.approx(expected, rel=1e-6), (name, alternative)


def test_the_corrected_t_is_the_paired_one_with_a_larger_variance():
    """Nadeau and Bengio 2003: (1/J + n2/n1) in the place of 1/J, as many degrees of freedom."""
    plain = significance.paired_t(LAEVO, DEXTRO)
    corrected = significance.corrected_t(LAEVO, DEXTRO, 1 / 9)
    assert corrected.statistic == pytest.approx(plain.statistic * math.sqrt(0.1 / (0.1 + 1 / 9)))
    assert corrected.two_sided == pytest.approx(2 * stats.t.sf(corrected.statistic, 9))
    assert corrected.two_sided > 3 * plain.two_sided


def test_the_corrected_t_gives_scikit_learns_published_example():
    """scikit-learn 1.0's page 'Statistical comparison of models using grid search'.

    Two support vector machines, 10 times 10-fold cross-validation of 100 points; printed are
    t = 0.750 and a one-sided p of 0.227, and uncorrected t = 2.611 and p = 0.005.
    """
    points, label = make_moons(noise=0.352, random_state=1, n_samples=100)
    splits = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    areas = [
        cross_val_score(SVC(kernel=kernel), points, label, scoring='roc_auc', cv=splits)
        for kernel in ('rbf', 'linear')
    ]
    corrected = significance.corrected_t(*areas, test_to_train=10 / 90)
    assert corrected.statistic == pytest.approx(0.750, abs=5e-4)
    assert corrected.greater == pytest.approx(0.227, abs=5e-4)
    plain = significance.paired_t(*areas)
    assert plain.statistic == pytest.approx(2.611, abs=5e-4)
    assert plain.greater == pytest.approx(0.005, abs=5e-4)


def test_the_corrected_t_keeps_its_level_where_splits_are_correlated():
    """Under the model that it corrects for, 5 % of equal systems are called different.

    Differences of splits with correlation n2 / (n1 + n2) are made from a part that all share and a
    part of their own; the uncorrected test then sees differences in most of them.
    """
    rng = np.random.default_rng(0)
    trials, splits, rho = 2000, 15, 0.2  # 80 % train, 20 % test
    shared = rng.normal(scale=math.sqrt(rho), size=(trials, 1))
    drawn = shared + rng.normal(scale=math.sqrt(1 - rho), size=(trials, splits))
    zeros = np.zeros(splits)
    found = {'plain': 0, 'corrected': 0}
    for row in drawn:
        found['plain'] += significance.paired_t(row, zeros).two_sided < 0.05
        found['corrected'] += significance.corrected_t(row, zeros, 0.2 / 0.8).two_sided < 0.05
    assert found['corrected'] / trials == pytest.approx(0.05, abs=0.015)
    assert found['plain'] / trials > 0.25


def test_wilcoxon_gives_darwins_maize_and_hollander_and_wolfe():
    # Wilcoxon 1945 and scipy.stats.wilcoxon: Darwin's crossed and self-fertilised maize, eighths of
    # an inch; the smaller sum of ranks is 24.
    maize = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]
    outcome = significance.wilcoxon(maize, [0] * 15)
    assert outcome.statistic == 120 - 24
    assert outcome.two_sided == pytest.approx(0.041259765625)
    # Hollander and Wolfe 1973, p. 29 (R's wilcox.test): depression before and after; V = 40.
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    outcome = significance.wilcoxon(before, after)
    assert outcome.statistic == 40
    assert outcome.greater == pytest.approx(0.01953, abs=5e-6)


def test_wilcoxon_with_ties_and_equal_folds_by_counting_every_sign():
    first = np.array([31, 29, 28, 33, 30, 27, 32, 26, 31, 30]) / 33
    second = np.array([30, 28, 29, 30, 30, 26, 29, 26, 29, 31]) / 33
    outcome = significance.wilcoxon(first, second)
    difference = np.array([1, 1, -1, 3, 1, 3, 2, -1])  # in 33rds, without the two equal folds
    rank = stats.rankdata(np.abs(difference))
    observed = rank[difference > 0].sum()
    sums = [rank[np.array(signs)].sum() for signs in itertools.product([False, True], repeat=8)]
    assert outcome.pairs == 8
    assert outcome.statistic == observed
    assert outcome.greater == pytest.approx(np.mean(np.array(sums) >= observed))
    assert outcome.less == pytest.approx(np.mean(np.array(sums) <= observed))
    assert outcome.two_sided == pytest.approx(2 * outcome.greater)


@pytest.mark.parametrize(
    'only_first, only_second, two_sided',
    [
        # Armitage and Berry 1994, p. 127: two media for tubercle bacilli, 12 and 2 of 50.
        (12, 2, 0.0129),
        # Bentur et al. 2009 in Fagerland, Lydersen and Laake 2013 (BMC Medical Research Methodology
        # 13:91): airway hyper-responsiveness before and after transplantation, 1 and 7 of 21.
        (1, 7, 0.0703),
    ],
)
def test_mcnemar_gives_published_examples(only_first, only_second, two_sided):
    outcome = significance.mcnemar(only_first, only_second)
    assert outcome.two_sided == pytest.approx(two_sided, abs=5e-5)
    assert outcome.pairs == only_first + only_second


def test_mcnemar_by_counting_every_outcome():
    for first, second in itertools.product(range(7), range(7)):
        outcome = significance.mcnemar(first, second)
        chances = [math.comb(first + second, k) / 2 ** (first + second)
                   for k in range(first + second + 1)]  # fmt: skip
        assert outcome.greater == pytest.approx(sum(chances[first:]))
        assert outcome.less == pytest.approx(sum(chances[: first + 1]))
        assert outcome.two_sided == pytest.approx(min(1, 2 * min(outcome.greater, outcome.less)))


def test_what_is_not_defined_is_none_and_what_says_nothing_is_one():
    # A constant difference, whose last bits differ, has no standard deviation.
    first, second = np.array([0.3, 0.6, 0.9]), np.array([0.1, 0.4, 0.7])
    assert np.ptp(first - second) > 0
    for outcome in (
        significance.paired_t(first, second),
        significance.paired_t([0.9], [0.8]),
        significance.corrected_t(first, second, 0.1),
    ):
        assert outcome.statistic is outcome.two_sided is outcome.greater is outcome.less is None
    assert significance.effect_size(first, second) is None
    assert significance.wilcoxon(first, first) == significance.TestResult(0, 0.0, 1.0, 1.0, 1.0)
    assert significance.mcnemar(0, 0) == significance.TestResult(0, 0.0, 1.0, 1.0, 1.0)
    for same in (significance.paired_t(first, first), significance.corrected_t(first, first, 0.1)):
        assert same == significance.TestResult(3, 0.0, 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match='not paired'):
        significance.paired_t([0.1, 0.2], [0.1])


def test_difference_interval_agrees_with_scipys_paired_bootstrap():
    rng = np.random.default_rng(3)
    total = rng.integers(1, 7, 118).astype(float)
    first, second = rng.binomial(total.astype(int), 0.8), rng.binomial(total.astype(int), 0.7)
    ours = significance.difference_interval(first, second, total)

    def difference(a, b, n, axis):
        return (a.sum(axis) - b.sum(axis)) / n.sum(axis)

    theirs = stats.bootstrap(
        (first, second, total), difference, n_resamples=4000, paired=True, method='percentile',
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose(ours, theirs, atol=0.006)
    assert ours == significance.difference_interval(first, second, total)
    assert significance.difference_interval(first, first, total) == (0, 0)
    assert significance.difference_interval(first[:1], second[:1], total[:1]) is None


def test_holm_by_hand_and_never_below_the_level():
    # Holm 1979: the smallest of four times 4, the next times 3, never below one before.
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert significance.holm([0.2]) == [0.2]
    # A comparison without a p-value was made all the same.
    assert significance.holm([0.01, None, 0.9]) == pytest.approx([0.03, None, 1.0])
    assert significance.holm([None]) == [None]
