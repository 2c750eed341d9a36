"""The bound that gives a trial up, against every outcome that is left."""

import itertools

import numpy as np
import pytest

from fer_jax.sweep.pruning import Tally


def accuracy_of(kind, subjects, correct):
    """The accuracy of a whole run, as evaluation/metrics has it: float64, by definition."""
    subjects, correct = np.concatenate(subjects), np.concatenate(correct).astype(float)
    if kind == 'pooled_accuracy':
        return correct.mean()
    return np.mean([correct[subjects == name].mean() for name in np.unique(subjects)])


@pytest.mark.parametrize('kind', ['pooled_accuracy', 'subject_accuracy'])
@pytest.mark.parametrize('seed', range(12))
def test_a_trial_is_lost_if_and_only_if_no_outcome_reaches_the_threshold(kind, seed):
    rng = np.random.default_rng(seed)
    names = np.array(['a', 'b', 'c', 'd'])
    sizes = rng.integers(1, 4, 4)
    # Members may share subjects, as the folds of a nested search do.
    subjects = [rng.choice(names[: 2 + seed % 3], size) for size in sizes]
    correct = [rng.random(size) < 0.6 for size in sizes]
    threshold = float(rng.choice([0.25, 0.5, 0.6, 0.75, 0.8, 0.965, 1.0]))
    order = rng.permutation(4)
    tally = Tally(kind, dict(enumerate(subjects)))
    assert tally.at_best() == 1
    verdicts = []
    for done in range(1, 5):
        tally.add(int(order[done - 1]), correct[order[done - 1]])
        left = order[done:]
        reached = False
        for outcome in itertools.product([False, True], repeat=int(sizes[left].sum())):
            completed = [np.array(c) for c in correct]
            cuts = np.split(np.array(outcome, bool), np.cumsum(sizes[left])[:-1])
            for member, own in zip(left, cuts if len(left) else [], strict=True):
                completed[member] = own
            reached |= accuracy_of(kind, subjects, completed) >= threshold - 1e-12
        assert tally.is_lost(threshold) == (not reached)
        verdicts.append(tally.is_lost(threshold))
    assert verdicts == sorted(verdicts)  # once lost, lost
    assert float(tally.so_far()) == pytest.approx(accuracy_of(kind, subjects, correct), abs=1e-15)
    assert tally.so_far() == tally.at_best()


def test_both_verdicts_occur():
    """The brute force above would hold for a bound that never prunes or always does."""
    lost, kept = Tally('pooled_accuracy', {0: ['a'] * 4}), Tally('pooled_accuracy', {0: ['a'] * 4})
    lost.add(0, [True, False, False, True])
    kept.add(0, [True, True, True, False])
    assert lost.is_lost(0.75) and not kept.is_lost(0.75)


def test_ckplus_is_given_up_after_twelve_errors():
    """327 clips at 96.5 %: 11 errors leave 96.64 %, 12 leave 96.33 % (haddad2020, sec. 3.3)."""
    tally = Tally('pooled_accuracy', {member: ['s'] for member in range(327)})
    for member in range(12):
        assert not tally.is_lost(0.965)
        tally.add(member, [False])
    assert tally.is_lost(0.965)


def test_subjects_are_given_up_when_their_errors_exceed_their_share():
    """118 subjects: the summed shares of errors may be up to 118 x 0.035 = 4.13."""
    groups = {member: [f'S{member}'] * 2 for member in range(118)}
    tally = Tally('subject_accuracy', groups)
    for member in range(8):  # half of each subject's clips: 4.0 in all
        tally.add(member, [True, False])
    assert not tally.is_lost(0.965)
    tally.add(8, [False, True])
    assert tally.is_lost(0.965)


def test_a_threshold_that_is_met_exactly_is_met():
    tally = Tally('subject_accuracy', {0: ['a'] * 10, 1: ['b'] * 10, 2: ['c'] * 10})
    for member in range(3):
        tally.add(member, [True] * 9 + [False])
    assert not tally.is_lost(0.9)  # in floats the mean of three 0.9 may be below 0.9
    tally.add(0, [False] * 10)  # a member that is reported again counts once
    assert tally.so_far() * 10 == 9
