"""Shared layers against PyTorch's, and what PyTorch's do not have: masks and traced rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fer_jax.errors import UserError
from fer_jax.models import layers

FRAMES = np.random.default_rng(0).normal(3.0, 2.0, (5, 2, 3, 4, 6)).astype(np.float32)


@pytest.mark.parametrize('kind', layers.ACTIVATIONS)
def test_activations_equal_pytorch(kind):
    module = {
        'relu': torch.nn.ReLU(),
        'elu': torch.nn.ELU(),
        'prelu': torch.nn.PReLU(),
        'leaky_relu': torch.nn.LeakyReLU(),
        'mish': torch.nn.Mish(),
    }[kind]
    x = np.linspace(-30, 30, 601, dtype=np.float32)
    y, variables = layers.Activation(kind).init_with_output(jax.random.key(0), x)
    np.testing.assert_allclose(y, module(torch.tensor(x)).detach(), rtol=1e-5, atol=1e-6)
    assert bool(variables) == (kind == 'prelu')
    (slope,) = jax.grad(lambda x: layers.Activation(kind).apply(variables, x).sum(), argnums=(0,))(
        x
    )
    inputs = torch.tensor(x, requires_grad=True)
    module(inputs).sum().backward()
    away = np.abs(x) > 1e-3  # at 0 the derivative is a convention
    np.testing.assert_allclose(slope[away], inputs.grad[away], rtol=1e-4, atol=1e-6)


def test_unknown_activation_is_refused():
    with pytest.raises(UserError, match='leaky_relu'):
        layers.Activation('swish').init(jax.random.key(0), jnp.zeros(1))


def apply_norm(x, mask):
    """One training step of a BatchNorm: output and updated statistics."""
    module = layers.BatchNorm()
    variables = module.init(jax.random.key(0), x, mask=None, train=False)
    return module.apply(variables, x, mask=mask, train=True, mutable=['batch_stats'])


def test_batch_norm_equals_pytorch():
    twin = torch.nn.BatchNorm3d(FRAMES.shape[-1])
    expected = twin(torch.tensor(FRAMES).permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)
    y, updated = apply_norm(FRAMES, None)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-5, atol=1e-5)
    stats = updated['batch_stats']
    np.testing.assert_allclose(stats['mean'], twin.running_mean, rtol=1e-5)
    np.testing.assert_allclose(stats['var'], twin.running_var, rtol=1e-5)
    twin.eval()
    variables = {'params': {'scale': jnp.ones(6), 'bias': jnp.zeros(6)}, **updated}
    y = layers.BatchNorm().apply(variables, FRAMES, mask=None, train=False)
    expected = twin(torch.tensor(FRAMES).permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-5, atol=1e-5)


def test_padded_rows_do_not_enter_batch_norm():
    padded = np.concatenate([FRAMES, np.full_like(FRAMES[:2], 1e3)])
    mask = np.arange(len(padded)) < len(FRAMES)
    y, stats = apply_norm(FRAMES, None)
    padded_y, padded_stats = apply_norm(padded, jnp.asarray(mask))
    np.testing.assert_allclose(padded_y[: len(y)], y, rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), padded_stats, stats)


def test_batch_norm_survives_a_batch_of_padding():
    y, stats = apply_norm(FRAMES, jnp.zeros(len(FRAMES), bool))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((y, stats)))


def drop(x, rate):
    rngs = {'dropout': jax.random.key(1)}
    return layers.Dropout().apply({}, x, rate=rate, train=True, rngs=rngs)


def test_dropout_keeps_the_expectation_at_a_traced_rate():
    x = jnp.ones((200, 200))
    y = jax.jit(drop)(x, 0.3)
    kept = np.asarray(y != 0)
    assert abs(kept.mean() - 0.7) < 0.01
    np.testing.assert_allclose(y[kept], 1 / 0.7, rtol=1e-6)


@pytest.mark.parametrize('rate', [0.0, 1.0])
def test_dropout_is_defined_at_its_ends(rate):
    x = jnp.asarray(FRAMES)
    y, slope = jax.jit(jax.value_and_grad(lambda x, rate: drop(x, rate).sum()))(x, rate)
    assert np.isclose(y, (1 - rate) * x.sum(), rtol=1e-6)
    np.testing.assert_array_equal(slope, np.full(x.shape, 1 - rate))


def test_dropout_with_one_rate_for_each_member():
    y = jax.vmap(drop, in_axes=(None, 0))(jnp.ones(1000), jnp.array([0.0, 0.5, 1.0]))
    left = np.asarray((y != 0).mean(axis=1))
    assert left[0] == 1 and 0.4 < left[1] < 0.6 and left[2] == 0


def test_dropout_evaluates_to_the_identity_without_a_key():
    np.testing.assert_array_equal(layers.Dropout().apply({}, FRAMES, rate=0.9, train=False), FRAMES)


def test_initialisers_have_pytorch_s_ranges():
    """Deviations of uniform and normal draws against torch.nn.init's formulas."""
    shape, fans = (3, 3, 3, 20, 40), (27 * 20, 27 * 40)
    expected = {
        'none': (1 / np.sqrt(fans[0])) / np.sqrt(3),
        'xavier_uniform': np.sqrt(6 / sum(fans)) / np.sqrt(3),
        'xavier_normal': np.sqrt(2 / sum(fans)),
    }
    assert set(expected) == set(layers.KERNEL_INITIALIZERS)
    for name, deviation in expected.items():
        kernel = layers.KERNEL_INITIALIZERS[name](jax.random.key(0), shape, jnp.float32)
        assert np.isclose(kernel.std(), deviation, rtol=0.02), name
    weight = torch.empty(40, 20, 3, 3, 3)
    torch.nn.init.kaiming_uniform_(weight, a=5**0.5)
    kernel = layers.pytorch_uniform(jax.random.key(0), shape, jnp.float32)
    assert np.isclose(np.abs(kernel).max(), weight.abs().max(), rtol=0.01)
    bias = layers.uniform_by_fan_in(100)(jax.random.key(0), (1000,))
    assert 0.099 < np.abs(bias).max() <= 0.1


def test_convolutions_over_time_have_same_padding_only():
    module = layers.Conv(2, (3, 3, 3), layers.pytorch_uniform, padding='VALID')
    with pytest.raises(ValueError, match='padding SAME'):
        module.init(jax.random.key(0), jnp.zeros((1, 3, 3, 3, 1)))
