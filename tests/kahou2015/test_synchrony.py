"""The autoencoder against NumPy float64, exact Jacobians and differences; what it learns to see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kurtosis

from fer_jax.errors import UserError
from fer_jax.kahou2015 import blocks, synchrony

FRAMES, SIDE = 5, 8  # smaller than the published block


def drawn(seed=0, rows=6, factors=4, components=9):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.5, (factors, components)), rng.normal(0, 1, (rows, components))


def test_the_loss_is_the_papers_formula():
    """Konda et al.: the sequence form with tied weights, in NumPy, one block and factor a time."""
    filters, values = drawn()
    want = 0.0
    for x in values:
        back, contracted = np.zeros_like(x), 0.0
        for w in filters:
            f = w @ x
            h = 1 / (1 + np.exp(-(f**2)))
            back += w * h * f
            contracted += (h * (1 - h)) ** 2 * (2 * f) ** 2 * (w**2).sum()
        want += (((x - back) ** 2).sum() + 0.7 * contracted) / len(values)
    got = synchrony.loss(jnp.asarray(filters), jnp.asarray(values), 0.7)
    assert float(got) == pytest.approx(want, rel=1e-5)


def test_the_contraction_is_the_exact_jacobians_norm():
    filters, values = map(jnp.asarray, drawn(1))
    jacobian = jax.vmap(jax.jacobian(lambda x: synchrony.synchrony(x[None], filters)[1][0]))(values)
    exact = jnp.square(jacobian).sum((1, 2)).mean()
    without, only = (synchrony.loss(filters, values, weight) for weight in (0.0, 1.0))
    assert float(exact) > 0.05
    np.testing.assert_allclose(only - without, exact, rtol=1e-4)


def test_gradients_are_differences_in_float64():
    filters, values = drawn(2)
    with jax.enable_x64(True):
        gradient = np.asarray(jax.grad(synchrony.loss)(jnp.asarray(filters), values, 3.0))
        assert gradient.dtype == np.float64
        for place in np.ndindex(filters.shape):
            step = np.zeros_like(filters)
            step[place] = 1e-6
            high, low = (float(synchrony.loss(filters + s, values, 3.0)) for s in (step, -step))
            assert gradient[place] == pytest.approx((high - low) / 2e-6, rel=1e-6, abs=1e-7)


def short_edges(n, seed):
    """Blocks uint8 in which three short edges move, each of its own place, direction and speed."""
    rng = np.random.default_rng(seed)
    axes = (np.arange(size) - (size - 1) / 2 for size in (FRAMES, SIDE, SIDE))
    t, y, x = np.meshgrid(*axes, indexing='ij')
    total = 128 + rng.normal(0, 1, (n, FRAMES, SIDE, SIDE))
    for _ in range(3):
        spans = ((0, 2 * np.pi), (-4, 4), (-4, 4), (-1, 1))
        angle, left, down, speed = (rng.uniform(*span, (n, 1, 1, 1)) for span in spans)
        across = (x - left) * np.cos(angle) + (y - down) * np.sin(angle) - speed * t
        along = (y - down) * np.cos(angle) - (x - left) * np.sin(angle)
        edge = across * np.exp((1 - across**2 - (along / 2) ** 2) / 2)
        total += rng.laplace(0, 40, (n, 1, 1, 1)) * edge
    return np.clip(np.rint(total), 0, 255).astype(np.uint8).reshape(n, -1)


@pytest.fixture(scope='module')
def learned():
    """Whitening, filters learned from short edges, and filters of the same norm, not learned."""
    cut = short_edges(6000, 0)
    whitening = blocks.Whitening.fit(cut, 0.99999)
    filters, losses = synchrony.train(
        whitening(cut), factors=40, contraction=12.0, epochs=15, batch_size=100,
        learning_rate=5e-3, seed=0,
    )  # fmt: skip
    other = np.random.default_rng(0).standard_normal(filters.shape).astype(np.float32)
    other *= np.linalg.norm(filters[0]) / np.linalg.norm(other, axis=1, keepdims=True)
    return whitening, filters, other, losses


def selective(patterns):
    """The largest share of one space-time frequency in each filter's power, below its mean."""
    patterns = patterns.reshape(-1, FRAMES, SIDE, SIDE)
    patterns = patterns - patterns.mean((1, 2, 3), keepdims=True)
    power = np.square(np.abs(np.fft.fftn(patterns, axes=(1, 2, 3)))).reshape(len(patterns), -1)
    return 2 * power.max(1) / power.sum(1)


def local(patterns):
    """The share of each filter's energy in 12 of the 64 pixels, the strongest."""
    energy = np.square(patterns.reshape(-1, FRAMES, SIDE * SIDE)).sum(1)
    return np.sort(energy, 1)[:, -12:].sum(1) / energy.sum(1)


def test_filters_of_moving_edges_are_local_and_selective(learned):
    """Gabor-like: of one place and one frequency of space and time; and seldom driven."""
    whitening, filters, other, losses = learned
    assert losses[-1] < losses[0]
    own, untrained = filters @ whitening.inverse, other @ whitening.inverse
    assert np.median(local(own)) > 0.58 > 0.5 > np.median(local(untrained))
    assert np.median(selective(own)) > 1.15 * np.median(selective(untrained))
    held = whitening(short_edges(2000, 1))
    sparse, dense = (np.median(kurtosis(held @ f.T)) for f in (filters, other))
    assert sparse > 3 * dense


def test_learning_generalises_and_keeps_one_norm(learned):
    whitening, filters, other, _ = learned
    held = jnp.asarray(whitening(short_edges(1000, 1)))
    assert synchrony.loss(filters, held, 12.0) < 0.96 * synchrony.loss(other, held, 12.0)
    norms = np.linalg.norm(filters, axis=1)
    np.testing.assert_allclose(norms, norms[0], rtol=1e-4)
    assert 0.5 < norms[0] < 2


def test_a_seed_is_a_result():
    given = {'factors': 5, 'contraction': 1.0, 'epochs': 2, 'batch_size': 16, 'learning_rate': 1e-3}
    values = drawn(3, rows=70)[1].astype(np.float32)
    first, losses = synchrony.train(values, seed=0, **given)
    again, _ = synchrony.train(values, seed=0, **given)
    np.testing.assert_array_equal(first, again)
    assert losses.shape == (2,) and first.shape == (5, 9)
    assert (synchrony.train(values, seed=1, **given)[0] != first).any()
    few, _ = synchrony.train(values[:7], seed=0, **given)  # fewer than a batch
    assert np.isfinite(few).all()


def test_divergence_is_said():
    values = np.full((8, 3), 1e20, np.float32)
    with pytest.raises(UserError, match='diverged in epoch 1: lower --config.activity.learning'):
        synchrony.train(
            values, factors=2, contraction=0.0, epochs=3, batch_size=4, learning_rate=1.0, seed=0
        )
