"""Finds the pictures that raters agree on, by the rule of FER+'s authors."""

from collections.abc import Sequence

import numpy as np


def majority(votes: np.ndarray, choices: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Finds the class that a majority of raters chose.

    As barsoum2016's program counts: choices of a single rater are removed; then one choice must
    have more than half of the votes that remain, and be one of the classes ('unknown' and 'no face'
    are none). A picture of which nothing remains has no majority.

    Args:
      votes: int [n, choice].
      choices: what they are of.

    Returns:
      int [n], an index into `classes`; -1 where there is no majority.
    """
    remaining = np.where(votes > 1, votes, 0)
    best = remaining.argmax(1)
    most = remaining.max(1)
    index = np.array([classes.index(name) if name in classes else -1 for name in choices])
    return np.where((most > 0) & (2 * most > remaining.sum(1)), index[best], -1)
