"""The majority rule of FER+'s authors, on votes counted by hand."""

import numpy as np
import pytest

from fer_jax.evaluation import votes

CLASSES = ('anger', 'happiness', 'neutral')
CHOICES = ('neutral', 'happiness', 'anger', 'unknown', 'no face')


@pytest.mark.parametrize(
    'counts, chosen',
    [
        ((8, 1, 1, 0, 0), 'neutral'),
        ((5, 5, 0, 0, 0), None),  # no more than half
        ((5, 4, 1, 0, 0), 'neutral'),  # 5 of 9, since the single vote goes
        ((4, 3, 3, 0, 0), None),
        ((2, 1, 1, 1, 1), 'neutral'),  # all that remains
        ((0, 3, 1, 6, 0), None),  # unknown
        ((1, 1, 0, 0, 8), None),  # no face
        ((1, 1, 1, 1, 1), None),  # nothing remains
        ((0, 0, 6, 4, 0), 'anger'),
        ((0, 0, 4, 4, 2), None),
    ],
)
def test_a_majority_of_what_remains_decides(counts, chosen):
    (found,) = votes.majority(np.array([counts]), CHOICES, CLASSES)
    assert (CLASSES[found] if found >= 0 else None) == chosen
