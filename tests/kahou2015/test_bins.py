"""Bins of frames and averaged probabilities against loops and SciPy."""

import numpy as np
import pytest
from scipy import special

from fer_jax.kahou2015 import bins

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(3, 40, 7)).astype(np.float32)


@pytest.mark.parametrize('frames', [15, 16, 29, 30, 31, 40])
def test_a_long_clip_is_divided_among_the_bins(frames):
    (found,) = bins.aggregate(VALUES[:1], np.array([frames])).reshape(1, 15, 7)
    first = [int(np.floor(b * frames / 15)) for b in range(15)] + [frames]
    for b in range(15):
        expected = VALUES[0, first[b] : first[b + 1]].astype(np.float64).mean(0)
        np.testing.assert_allclose(found[b], expected, rtol=1e-12)


def test_a_short_clip_repeats_its_frames_locally():
    # Three frames fill 15 bins, five each; 8 frames fill them in order, once or twice each.
    found = bins.aggregate(VALUES, np.array([1, 3, 8])).reshape(3, 15, 7)
    np.testing.assert_array_equal(found[0], np.repeat(VALUES[0, :1], 15, 0))
    np.testing.assert_array_equal(found[1], np.repeat(VALUES[1, :3], 5, 0))
    which = np.abs(found[2][:, None] - VALUES[2, None, :8]).sum(-1).argmin(1)
    assert (np.diff(which) >= 0).all() and set(which) == set(range(8))
    np.testing.assert_array_equal(found[2], VALUES[2][which])


def test_the_size_is_the_papers():
    assert bins.aggregate(VALUES, np.array([40, 15, 2])).shape == (3, 105)
    maps = RNG.normal(size=(2, 4, 5, 5, 3)).astype(np.float32)
    assert bins.aggregate(maps, np.array([4, 2]), 2).shape == (2, 150)


def test_probabilities_are_averaged_over_true_frames():
    found = bins.average_probabilities(50 * VALUES, np.array([40, 7, 1]))
    for row, values, n in zip(found, VALUES, (40, 7, 1), strict=True):
        expected = special.softmax(50 * values[:n].astype(np.float64), -1).mean(0)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-9)
