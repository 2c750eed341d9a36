"""Words against NumPy float64 and against clusters that are known."""

import numpy as np
from sklearn.metrics import adjusted_rand_score

from fer_jax.kahou2015 import words


def drawn(seed=0):
    """Vectors of eight clusters, and which each is of."""
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(8), 60)
    return (rng.uniform(0, 1, (8, 12))[which] + rng.normal(0, 0.02, (480, 12))).astype(
        np.float32
    ), which


def test_clusters_are_found_and_found_again():
    vectors, which = drawn()
    centres = words.fit(vectors, 8, seed=0)
    assert centres.shape == (8, 12) and centres.dtype == np.float32
    assert adjusted_rand_score(which, words.nearest(vectors, centres)) > 0.99
    np.testing.assert_array_equal(words.fit(vectors, 8, seed=0), centres)
    assert (words.fit(vectors, 8, seed=1) != centres).any()


def test_the_nearest_word_is_of_least_squared_distance():
    rng = np.random.default_rng(0)
    vectors, centres = rng.random((100, 7)), rng.random((30, 7))
    distance = ((vectors[:, None] - centres[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(words.nearest(vectors, centres), distance.argmin(1))


def test_a_histogram_is_weighted_and_sums_to_one():
    word, weight = np.array([2, 0, 2, 3]), np.array([0.5, 0.25, 1.0, 0.25])
    np.testing.assert_allclose(words.histogram(word, weight, 5), [0.125, 0, 0.75, 0.125, 0])
    np.testing.assert_allclose(words.histogram(word, np.zeros(4), 5), [0.25, 0, 0.5, 0.25, 0])
