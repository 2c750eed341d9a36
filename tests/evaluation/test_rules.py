"""Rules of choosing an epoch, on cases small enough to see through."""

import dataclasses

import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.evaluation import rules
from fer_jax.evaluation.predictions import TEST, VALIDATION, Predictions


def tiny(validation, test, epochs=None, seed=None):
    """Members with one validation and one test clip of class 0.

    Args:
      validation, test: probabilities of class 0, [M][E]; None for no validation clips.
    """
    test = np.array(test, float)
    members, length = test.shape
    true = np.full((members, length, 2), np.nan)
    part = np.zeros((members, 2), np.int8)
    part[:, 1], true[:, :, 1] = TEST, test
    if validation is not None:
        part[:, 0], true[:, :, 0] = VALIDATION, validation
    return Predictions(
        probabilities=np.stack([true, 1 - true], axis=-1).astype(np.float16),
        part=part,
        label=np.zeros(2, np.int32),
        subject=np.array(['a', 'b']),
        clip_id=np.array(['x', 'y']),
        classes=('zero', 'one'),
        fold=np.arange(members, dtype=np.int32),
        seed=np.zeros(members, np.int32) if seed is None else np.array(seed, np.int32),
        epochs=np.full(members, length, np.int32) if epochs is None else np.array(epochs, np.int32),
        train_counts=np.ones((members, 2), np.int64),
        duplicate=np.zeros((members, 2), np.int8),
    )


def test_val_best_looks_at_validation_only():
    chosen = rules.choose(tiny([[0.2, 0.9, 0.1]], [[0.9, 0.1, 0.9]]))
    assert chosen['val_best'].tolist() == [1]
    assert chosen['last'].tolist() == [2]


def test_equal_accuracy_goes_to_the_lower_loss_then_to_the_earliest():
    assert rules.choose(tiny([[0.6, 0.9, 0.8]], [[0.5] * 3]))['val_best'].tolist() == [1]
    assert rules.choose(tiny([[0.6, 0.9, 0.9]], [[0.5] * 3]))['val_best'].tolist() == [1]


def test_accuracy_comes_before_loss():
    correct, loss = np.array([3.0, 4.0]), np.array([0.1, 9.0])
    assert rules.best_epoch(correct, loss) == 1


def test_nested_counts_the_members_that_were_trained_again():
    predictions = tiny([[0.2, 0.9, 0.1]] * 2, [[0.9, 0.1, 0.9], [0.1, 0.9, np.nan]], epochs=[3, 2])
    part = predictions.part.copy()
    part[1, 0] = 0  # its validation clip is a training clip now
    again = dataclasses.replace(predictions, part=part, retrained=np.array([False, True]))
    chosen = {rule: epoch.tolist() for rule, epoch in rules.choose(again).items()}
    assert chosen == {
        'nested': [-1, 1], 'val_best': [1, -1], 'last': [2, -1], 'test_best_fold': [0, -1],
        'test_best_common': [0, -1],
    }  # fmt: skip
    assert next(iter(rules.RULES)) == 'nested' and not rules.RULES['nested'].optimistic
    rows = again.at(np.array(chosen['nested']))
    assert rows.member.tolist() == [1] and rows.probabilities[0, 0] == np.float16(0.9)


def test_without_validation_there_is_no_val_best():
    assert list(rules.choose(tiny(None, [[0.1, 0.9]]))) == [
        'last', 'test_best_fold', 'test_best_common'
    ]  # fmt: skip


def test_one_member_without_validation_leaves_no_val_best():
    predictions = tiny([[0.2, 0.9], [0.2, 0.9]], [[0.9, 0.1], [0.1, 0.9]])
    predictions.part[1, 0] = 0
    assert 'val_best' not in rules.choose(predictions)


def test_best_test_epoch_of_each_fold_and_in_common():
    # Member 0 is best at epoch 0, member 1 at 1; over both, epoch 2 has two right.
    test = [[0.9, 0.1, 0.6], [0.1, 0.9, 0.6]]
    chosen = rules.choose(tiny(None, test))
    assert chosen['test_best_fold'].tolist() == [0, 1]
    assert chosen['test_best_common'].tolist() == [2, 2]


def test_a_common_epoch_is_common_within_a_seed():
    test = [[0.9, 0.1], [0.8, 0.1], [0.1, 0.9], [0.1, 0.8]]
    chosen = rules.choose(tiny(None, test, seed=[0, 0, 1, 1]))
    assert chosen['test_best_common'].tolist() == [0, 0, 1, 1]


def test_a_member_that_stopped_early_counts_with_its_last_epoch():
    test = [[0.1, 0.9, np.nan], [0.1, 0.2, 0.9]]
    chosen = rules.choose(tiny(None, test, epochs=[2, 3]))
    assert chosen['last'].tolist() == [1, 2]
    assert chosen['test_best_common'].tolist() == [1, 2]


def test_rules_that_need_every_test_epoch_are_absent_where_some_were_not_saved():
    chosen = rules.choose(tiny([[0.9, 0.8, 0.7]], [[0.9, np.nan, 0.9]]))
    assert list(chosen) == ['val_best', 'last']


def test_epochs_without_validation_numbers_are_not_chosen():
    chosen = rules.choose(tiny([[np.nan, 0.4, 0.3]], [[0.9] * 3]))
    assert chosen['val_best'].tolist() == [1]


def test_a_member_without_test_clips_is_an_error():
    predictions = tiny([[0.9]], [[0.9]])
    predictions.part[0, 1] = 0
    with pytest.raises(UserError, match='member 0 .* no test clips'):
        rules.choose(predictions)


def test_a_diverged_member_is_an_error_that_says_so():
    with pytest.raises(UserError, match='member 1 .fold 1, seed 0.*diverged'):
        rules.choose(tiny([[0.9], [np.nan]], [[0.9], [np.nan]]))


def test_scores_are_counts_and_summed_cross_entropy():
    probabilities = np.array([[[0.75, 0.25], [0.0, 1.0]], [[0.25, 0.75], [np.nan, np.nan]]])
    correct, loss = rules.scores(probabilities.astype(np.float32), np.array([0, 0]))
    np.testing.assert_array_equal(correct, [1, np.nan])
    # A probability that float16 holds as 0 still has a finite loss.
    np.testing.assert_allclose(loss, [-np.log(0.75) - np.log(rules.SMALLEST), np.nan])


def test_only_the_rules_that_see_the_test_are_optimistic():
    assert {name for name, rule in rules.RULES.items() if rule.optimistic} == {
        'test_best_fold', 'test_best_common'
    }  # fmt: skip
