"""Accuracy in its several meanings, all from confusion matrices and counts of groups.

A confusion matrix is [..., K, K]: true class, then predicted class. Leading axes (bootstrap draws,
seeds) pass through, so that an interval is the same formula as its point value.
"""

import numpy as np

Array = np.ndarray


def confusion_matrix(label: Array, predicted: Array, classes: int) -> Array:
    """Counts pairs of true and predicted class, float64 [K,K], from int [R] each."""
    counts = np.bincount(label.astype(np.int64) * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.float64)


def share(part: Array, total: Array) -> Array:
    """Divides part by total; NaN where the total is 0."""
    return np.divide(part, total, out=np.full(np.shape(part), np.nan), where=total > 0)


def _diagonal(confusion: Array) -> Array:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def accuracy(confusion: Array) -> Array:
    """Computes accuracy (WAR, weighted average recall), [...] in 0..1; NaN without predictions."""
    return share(_diagonal(confusion).sum(-1), confusion.sum((-2, -1)))


def recall(confusion: Array) -> Array:
    """Computes each true class's recall, [..., K]; NaN for a class that does not occur."""
    return share(_diagonal(confusion), confusion.sum(-1))


def precision(confusion: Array) -> Array:
    """Computes each class's precision, [..., K]; NaN for a class that is never predicted."""
    return share(_diagonal(confusion), confusion.sum(-2))


def f1(confusion: Array) -> Array:
    """Computes each class's F1, [..., K]: 2 tp / (true + predicted); NaN for a class in neither."""
    return share(2 * _diagonal(confusion), confusion.sum(-1) + confusion.sum(-2))


def mean_of_present(values: Array) -> Array:
    """Averages over the last axis what is not NaN; NaN where nothing is."""
    present = ~np.isnan(values)
    return share(np.where(present, values, 0.0).sum(-1), present.sum(-1))


def mean_class_accuracy(confusion: Array) -> Array:
    """Averages recall over the classes that occur: mean class accuracy (UAR, balanced accuracy)."""
    return mean_of_present(recall(confusion))


def macro_f1(confusion: Array) -> Array:
    """Averages F1 over the classes that occur among the labels or the predictions."""
    return mean_of_present(f1(confusion))


def group_accuracies(correct: Array, group: Array) -> tuple[Array, Array, Array]:
    """Computes the accuracy of each group (subject, fold): sorted groups, accuracies, counts.

    Args:
      correct: bool [R].
      group: [R], names or numbers.

    Returns:
      Three arrays [G].
    """
    groups, index, counts = np.unique(group, return_inverse=True, return_counts=True)
    return groups, np.bincount(index, weights=correct) / counts, counts


def majority_predictions(train_counts: Array) -> Array:
    """Predicts for each member its commonest training class, int [M]; the first of equals.

    Args:
      train_counts: int [M,K].
    """
    return train_counts.argmax(axis=-1)
