"""Counts of the page of one judgement: all test clips, and those without copies."""

import numpy as np

from fer_jax.evaluation import judgement, results
from fer_jax.evaluation.predictions import Predictions


def test_a_copy_counts_in_its_own_fold_alone():
    """Clips 0 and 1 are twins that fold 0 tests; fold 1 trains on one and chooses by the other."""
    part = np.array([[2, 2, 1, 1], [1, 0, 2, 2]], np.int8)
    duplicate = np.array([[0, 0, 0, 0], [2, 0, 0, 0]], np.int8)
    said = np.where(part[:, None, :, None] > 0, [0.6, 0.4], np.nan).astype(np.float16)
    predictions = Predictions(
        probabilities=said,
        part=part,
        label=np.array([0, 1, 0, 1], np.int32),
        subject=np.array([''] * 4),
        clip_id=np.array(['a', 'b', 'c', 'd']),
        classes=('joy', 'rage'),
        fold=np.arange(2, dtype=np.int32),
        seed=np.zeros(2, np.int32),
        epochs=np.ones(2, np.int32),
        train_counts=np.ones((2, 2), np.int64),
        duplicate=duplicate,
    )
    assert results.compute(predictions, draws=10)['last']['duplicates'] is None
    (row,) = judgement.judge(predictions, title='', lead='', temperature=None).counted
    assert (row['n'], row['removed']) == (4, 0)
