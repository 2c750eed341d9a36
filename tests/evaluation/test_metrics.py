"""Metrics against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as reference

from fer_jax.evaluation import metrics


@pytest.fixture(params=['all classes', 'one class absent', 'one class never true', 'one clip'])
def labelled(request):
    """True and predicted classes of 7, of several awkward kinds."""
    rng = np.random.default_rng(3)
    label, predicted = rng.integers(7, size=(2, 200))
    if request.param == 'one class absent':
        label, predicted = label % 6, predicted % 6
    elif request.param == 'one class never true':
        label = label % 6
    elif request.param == 'one clip':
        label, predicted = label[:1], predicted[:1]
    return label, predicted


@pytest.mark.filterwarnings('ignore:y_pred contains classes not in y_true')
@pytest.mark.filterwarnings('ignore:A single label was found')
def test_metrics_agree_with_scikit_learn(labelled):
    label, predicted = labelled
    confusion = metrics.confusion_matrix(label, predicted, 7)
    np.testing.assert_array_equal(
        confusion, reference.confusion_matrix(label, predicted, labels=range(7))
    )
    assert metrics.accuracy(confusion) == pytest.approx(reference.accuracy_score(label, predicted))
    assert metrics.mean_class_accuracy(confusion) == pytest.approx(
        reference.balanced_accuracy_score(label, predicted)
    )
    assert metrics.macro_f1(confusion) == pytest.approx(
        reference.f1_score(label, predicted, average='macro')
    )


@pytest.mark.parametrize('name', ['precision', 'recall', 'f1'])
def test_each_class_agrees_with_scikit_learn(labelled, name):
    label, predicted = labelled
    ours = getattr(metrics, name)(metrics.confusion_matrix(label, predicted, 7))
    theirs = getattr(reference, f'{name}_score')(
        label, predicted, labels=range(7), average=None, zero_division=np.nan
    )
    np.testing.assert_allclose(ours, theirs)


def test_leading_axes_are_computed_one_by_one():
    confusion = np.random.default_rng(0).integers(9, size=(3, 4, 5, 5)).astype(float)
    for name in ('accuracy', 'mean_class_accuracy', 'macro_f1', 'recall', 'precision', 'f1'):
        function = getattr(metrics, name)
        alone = [[function(inner) for inner in outer] for outer in confusion]
        np.testing.assert_array_equal(function(confusion), alone)


def test_nothing_has_no_accuracy():
    assert np.isnan(metrics.accuracy(np.zeros((7, 7))))
    assert np.isnan(metrics.macro_f1(np.zeros((7, 7))))


def test_group_accuracies():
    correct = np.array([1, 0, 1, 1, 0, 0], bool)
    group = np.array(['b', 'b', 'a', 'b', 'c', 'c'])
    groups, accuracies, counts = metrics.group_accuracies(correct, group)
    assert groups.tolist() == ['a', 'b', 'c']
    np.testing.assert_allclose(accuracies, [1, 2 / 3, 0])
    assert counts.tolist() == [1, 3, 2]


def test_empty_groups_do_not_count_in_their_mean():
    shares = metrics.share(np.array([3.0, 0, 1]), np.array([4.0, 0, 4]))
    mean = metrics.mean_of_present(shares)
    assert mean == pytest.approx((0.75 + 0.25) / 2)


def test_majority_is_the_first_of_equals():
    counts = np.array([[1, 5, 5], [7, 0, 2]])
    assert metrics.majority_predictions(counts).tolist() == [1, 0]
