"""Bags of visual words (kahou2015, sec. 4; Le et al. 2011): k-means, weighted histograms."""

import numpy as np
import tqdm
from sklearn.cluster import MiniBatchKMeans

_PASSES = 10  # over all vectors
_DRAWN = 3  # vectors of a step for each word


def fit(vectors: np.ndarray, words: int, seed: int) -> np.ndarray:
    """Fits centres float32 [word, value] to float32 [vector, value], by k-means in minibatches.

    Args:
      words: at most as many as there are vectors.
      seed: of the first centres and of the order.
    """
    means = MiniBatchKMeans(words, random_state=seed, n_init=1)
    rng, size = np.random.default_rng(seed), min(len(vectors), max(1024, _DRAWN * words))
    steps = _PASSES * (len(vectors) // size)
    for _ in tqdm.trange(steps, desc='words', unit=' steps', disable=None):
        means.partial_fit(vectors[rng.choice(len(vectors), size, replace=False)])
    return means.cluster_centers_.astype(np.float32)


def nearest(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Finds the word of least squared distance: int [vector]; the first of several."""
    return (np.square(centres).sum(1) - 2 * vectors @ centres.T).argmin(1)


def histogram(word: np.ndarray, weight: np.ndarray, words: int) -> np.ndarray:
    """Computes the share of each word in a clip, float64 [word] of sum 1.

    Args:
      word: int [block], at least one.
      weight: float [block], at least 0; where all are 0 each counts the same.
    """
    counts = np.bincount(word, weight if weight.any() else None, words)
    return counts / counts.sum()
