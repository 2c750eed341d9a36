"""Photometry against the papers' formulas in NumPy (float64) and dm_pix."""

import dm_pix
import jax
import numpy as np

from fer_jax.ops import photometry


def levels(shape=(4, 2, 6, 5, 3)):
    return (np.random.default_rng(0).random(shape) * 255).astype(np.float32)


def test_contrast_is_the_papers_formula():
    frames, factor = levels(), np.float32([0.22, 1.0, 1.7, 2.2])
    got = np.asarray(jax.jit(photometry.contrast)(frames, factor))
    for clip, a, changed in zip(frames.astype(float), factor, got, strict=True):
        np.testing.assert_allclose(changed, np.clip(127 + a * (clip - 127), 0, 255), atol=1e-4)
    assert (got[3] == 0).any() and (got[3] == 255).any()


def test_contrast_agrees_with_dm_pix_on_an_image_whose_mean_is_mid_grey():
    frames = levels((1, 1, 8, 8, 1)) / 4 + 90
    frames += 127 - frames.mean()
    got = np.asarray(photometry.contrast(frames, np.float32([1.4])))
    np.testing.assert_allclose(got[0, 0], dm_pix.adjust_contrast(frames[0, 0], 1.4), atol=1e-3)


def test_gamma_is_a_power_of_its_own_for_each_clip():
    frames, exponent = levels(), np.float32([1 / 1.5, 1.0, 1.5, 2.2])
    got = np.asarray(photometry.gamma(frames, exponent))
    for clip, g, changed in zip(frames, exponent, got, strict=True):
        expected = 255 * (clip.astype(float) / 255) ** float(g)
        np.testing.assert_allclose(changed, expected, atol=1e-3)
    assert got[0].mean() > frames[0].mean() and got[2].mean() < frames[2].mean()


def test_only_dark_clips_are_brightened():
    frames = np.random.default_rng(1).integers(0, 256, (5, 3, 6, 5, 1)).astype(np.uint8)
    frames[[0, 3]] //= 3
    frames[2] = 80  # exactly the threshold: not below it
    frames[4] = 79
    frames[0, 0] = 130  # a bright frame of a dark clip goes with the others
    assert frames[0].mean() < 80
    got = np.asarray(jax.jit(photometry.brighten_dark)(frames))
    expected = np.rint(255 * (frames / 255) ** (1 / 1.5))
    np.testing.assert_allclose(got[[0, 3, 4]], expected[[0, 3, 4]], atol=1)
    assert (got[[0, 3, 4]] == expected[[0, 3, 4]]).mean() > 0.999
    np.testing.assert_array_equal(got[[1, 2]], frames[[1, 2]])
    assert got.dtype == np.float32 and got[0, 0, 0, 0, 0] == round(255 * (130 / 255) ** (2 / 3))


def test_ranges():
    ends = np.array([0, 127.5, 255], np.float32)
    np.testing.assert_allclose(photometry.to_unit(ends), [0, 0.5, 1])
    np.testing.assert_allclose(photometry.to_symmetric(photometry.to_unit(ends)), [-1, 0, 1])
    assert photometry.to_unit(np.array([255], np.uint8)).dtype == np.float32


def test_standardise_centres_and_scales_but_does_not_blow_up_constant_pixels():
    frames = levels((50, 1, 4, 4, 1)) / 255
    frames[:, :, 0, 0] = 0.25
    mean, std = frames.mean((0, 1)), frames.std((0, 1))
    got = np.asarray(photometry.standardise(frames, mean, std))
    np.testing.assert_allclose(got.mean(0), 0, atol=1e-5)
    varying = np.ones((4, 4), bool)
    varying[0, 0] = False
    np.testing.assert_allclose(got.std(0)[0, varying], 1, atol=1e-4)
    other = np.asarray(photometry.standardise(frames + 1 / 255, mean, std))[:, 0, 0, 0]
    np.testing.assert_allclose(other, 1, atol=1e-4)  # one grey level off counts as one deviation
