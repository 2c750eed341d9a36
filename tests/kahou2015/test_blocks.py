"""Blocks against slices, normalisation and whitening against NumPy float64 and scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from fer_jax.kahou2015 import blocks


def scene(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_blocks_are_slices_of_the_scene():
    frames = scene((25, 40, 55))
    cut = blocks.cut(frames)
    assert cut.shape == (2 * 2 * 3, 2560) and cut.dtype == np.uint8
    index = 0
    for t in range(0, 20, 10):
        for y in range(0, 32, 16):
            for x in range(0, 48, 16):
                want = frames[t : t + 10, y : y + 16, x : x + 16]
                np.testing.assert_array_equal(cut[index].reshape(10, 16, 16), want)
                index += 1


@pytest.mark.parametrize('length', [1, 4, 9])
def test_a_short_scene_is_played_again(length):
    frames = scene((length, 16, 32))
    cut = blocks.cut(frames)
    assert len(cut) == 2 * (-(-10 // length) * length // 10)
    shown = cut[0].reshape(10, 16, 16)
    for t in range(10):
        np.testing.assert_array_equal(shown[t], frames[t % length, :, :16])


def smooth(n, seed=0):
    """Blocks uint8 whose values go together, of very different contrast."""
    rng = np.random.default_rng(seed)
    waves = rng.standard_normal((40, 400)).cumsum(1)
    waves *= 1 / np.arange(1, 41)[:, None] ** 2
    size = 10 ** rng.uniform(-0.5, 1, (n, 1))
    return np.clip(128 + size * (rng.standard_normal((n, 40)) @ waves), 0, 255).astype(np.uint8)


def reference(cut, contrast):
    values = cut.astype(np.float64) / 255
    values -= values.mean(1, keepdims=True)
    return values / (values.std(1, keepdims=True) + contrast + 0.001)


def test_contrast_is_evened_out():
    cut = smooth(50)
    cut[7] = 90  # a still and even block
    got = blocks.normalise(cut, 0.05)
    np.testing.assert_allclose(got, reference(cut, 0.05), atol=2e-5)
    assert got.dtype == np.float32 and np.abs(got[7]).max() < 1e-5
    # Whoever stands beside a block, it looks the same.
    np.testing.assert_array_equal(blocks.normalise(cut[3:5], 0.05), got[3:5])


def test_whitening_is_that_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(blocks, '_CHUNK', 64)
    cut = smooth(300)
    cut[:, 5] = cut[:, 4]
    fit = blocks.Whitening.fit(cut, 0.99999)
    deviation = (cut / 255.0).std(1)
    assert fit.contrast == pytest.approx(deviation.mean(), rel=1e-6)
    values = reference(cut, deviation.mean())
    scaler = StandardScaler().fit(values)
    pca = PCA(svd_solver='full').fit(scaler.transform(values))
    kept = np.searchsorted(np.cumsum(pca.explained_variance_ratio_), 0.99999) + 1
    assert fit.matrix.shape == (400, kept) and 40 < kept < 300
    got = fit(cut)
    want = (
        scaler.transform(values)
        @ pca.components_[:kept].T
        / np.sqrt(pca.explained_variance_[:kept] * 299 / 300)
    )
    strong = pca.explained_variance_ratio_[:kept] > 1e-4
    sign = np.sign((want * got).sum(0))
    np.testing.assert_allclose(got[:, strong], (want * sign)[:, strong], atol=5e-3)
    np.testing.assert_allclose(got.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(got.T, bias=True), np.eye(kept), atol=5e-3)
    # And back: what is lost is the share of variance that was left out.
    back = got @ fit.inverse + fit.mean
    lost = np.square((back - values) / scaler.scale_).mean()
    assert lost < 1.5e-5
