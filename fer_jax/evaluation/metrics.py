"""Accuracy in its several meanings, all from confusion matrices and counts of groups.

A confusion matrix is [..., K, K]: true class, then predicted class. Leading axes (bootstrap draws,
seeds) pass through, so that an interval is the same formula as its point value.
"""

import numpy as np

Array = np.ndarray


def confusion_matrix(label: Array, predicted: Array, classes: int) -> Array:
    """Counts float64 [K,K] of (true, predicted) pairs, from int [R] each."""
    counts = np.bincount(label.astype(np.int64) * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.float64)


def share(part: Array, total: Array) -> Array:
    """Part over total, NaN where the total is 0."""
    return np.divide(part, total, out=np.full(np.shape(part), np.nan), where=total > 0)


def _diagonal(confusion: Array) -> Array:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def accuracy(confusion: Array) -> Array:
    """Share of correct predictions, [...] in 0..1; NaN where there are none."""
    return share(_diagonal(confusion).sum(-1), confusion.sum((-2, -1)))


def recall(confusion: Array) -> Array:
    """Per true class [..., K]; NaN for a class that does not occur."""
    return share(_diagonal(confusion), confusion.sum(-1))


def precision(confusion: Array) -> Array:
    """Per predicted class [..., K]; NaN for a class that is never predicted."""
    return share(_diagonal(confusion), confusion.sum(-2))


def f1(confusion: Array) -> Array:
    """Per class [..., K]: 2 tp / (true + predicted); NaN for a class in neither."""
    return share(2 * _diagonal(confusion), confusion.sum(-1) + confusion.sum(-2))


def mean_of_present(values: Array) -> Array:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    present = ~np.isnan(values)
    return share(np.where(present, values, 0.0).sum(-1), present.sum(-1))


def mean_class_accuracy(confusion: Array) -> Array:
    """Mean recall over the classes that occur among the labels (balanced accuracy)."""
    return mean_of_present(recall(confusion))


def macro_f1(confusion: Array) -> Array:
    """Mean F1 over the classes that occur among the labels or the predictions."""
    return mean_of_present(f1(confusion))


def group_accuracies(correct: Array, group: Array) -> tuple[Array, Array, Array]:
    """Accuracy within each group (a subject, a fold): sorted groups, accuracies, counts, [G]."""
    groups, index, counts = np.unique(group, return_inverse=True, return_counts=True)
    return groups, np.bincount(index, weights=correct) / counts, counts


def mean_group_accuracy(correct: Array, total: Array) -> Array:
    """Mean over groups of their accuracies, from counts [..., G]; empty groups do not count."""
    return mean_of_present(share(correct, total))


def majority_predictions(train_counts: Array) -> Array:
    """The commonest class of each member's training clips, int [M]; the first of equals.

    Args:
      train_counts: int [M,K].
    """
    return train_counts.argmax(axis=-1)
