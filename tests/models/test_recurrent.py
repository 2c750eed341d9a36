"""The simple recurrent network against PyTorch's, its start, and clips of unequal length."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fer_jax.errors import UserError
from fer_jax.models.recurrent import SimpleRecurrent

T, D, UNITS = 5, 4, 3


def values(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def initialised(activation, units=UNITS, inputs=D, **options):
    module = SimpleRecurrent(units, activation, **options)
    return module, jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 2, inputs)))['params']


@pytest.mark.parametrize('activation', ['relu', 'tanh'])
def test_equals_pytorch(activation):
    """torch.nn.RNN in float64, each clip cut to its own length: states and every gradient."""
    with jax.enable_x64(True):
        module = SimpleRecurrent(UNITS, activation)
        params = {
            'input': {'kernel': values((D, UNITS), 1), 'bias': values(UNITS, 2)},
            'recurrent': {'kernel': values((UNITS, UNITS), 3)},
        }
        frames, length, upstream = values((4, T, D)), np.array([5, 1, 3, 4]), values((4, UNITS), 4)

        def weighed(params, frames):
            state = module.apply({'params': params}, frames, length=length)
            return jnp.sum(state * upstream), state

        gradient = jax.jit(jax.grad(weighed, (0, 1), has_aux=True))
        (gradients, slope), state = gradient(params, frames)

        twin = torch.nn.RNN(D, UNITS, nonlinearity=activation, batch_first=True).double()
        with torch.no_grad():
            twin.weight_ih_l0.copy_(torch.tensor(params['input']['kernel'].T))
            twin.bias_ih_l0.copy_(torch.tensor(params['input']['bias']))
            twin.weight_hh_l0.copy_(torch.tensor(params['recurrent']['kernel'].T))
            twin.bias_hh_l0.zero_()
        clips = torch.tensor(frames, requires_grad=True)
        expected = torch.cat([
            twin(clips[i : i + 1, :n])[1][0] for i, n in enumerate(length.tolist())
        ])  # fmt: skip
        (expected * torch.tensor(upstream)).sum().backward()

    np.testing.assert_allclose(state, expected.detach(), rtol=1e-10, atol=1e-12)
    for ours, theirs in (
        (gradients['input']['kernel'], twin.weight_ih_l0.grad.T),
        (gradients['input']['bias'], twin.bias_ih_l0.grad),
        (gradients['recurrent']['kernel'], twin.weight_hh_l0.grad.T),
        (slope, clips.grad),
    ):
        assert theirs.abs().max() > 0
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
    assert not slope[1, 1:].any() and not slope[2, 3:].any()  # padded frames receive nothing


def test_padded_frames_change_nothing():
    module, params = initialised('tanh')
    frames, length = values((3, T, D)).astype(np.float32), jnp.array([2, 5, 0])
    other = frames.copy()
    other[0, 2:], other[2] = 1e6, -1e6
    apply = jax.jit(functools.partial(module.apply, {'params': params}))
    state = apply(frames, length=length)
    np.testing.assert_array_equal(apply(other, length=length), state)
    np.testing.assert_allclose(state[:1], apply(frames[:1, :2]), rtol=1e-6)
    assert not state[2].any() and not np.array_equal(apply(other), state)


def test_irnn_starts_at_a_multiple_of_the_identity():
    _, params = initialised('relu', units=100, inputs=90, identity_scale=0.1)
    np.testing.assert_array_equal(
        params['recurrent']['kernel'], np.float32(0.1) * np.eye(100, dtype=np.float32)
    )
    assert not params['input']['bias'].any() and 'bias' not in params['recurrent']
    kernel = np.asarray(params['input']['kernel'])
    assert np.isclose(kernel.std(), 1e-3, rtol=0.03) and abs(kernel.mean()) < 1e-4


def test_irnn_at_its_start_adds_up_its_inputs():
    """Le et al. 2015, sec. 4: with the identity, without an input the state stays as it is."""
    module, params = initialised('relu')
    frames = np.abs(values((2, T, D))).astype(np.float32)
    params['input']['kernel'] = jnp.abs(params['input']['kernel'])
    state = jax.jit(module.apply)({'params': params}, frames)
    np.testing.assert_allclose(state, frames.sum(1) @ params['input']['kernel'], rtol=1e-5)


def test_tanh_network_starts_orthogonal():
    _, params = initialised('tanh', units=8)
    kernel = np.asarray(params['recurrent']['kernel'])
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(8), atol=1e-5)
    assert 0.5 < np.abs(params['input']['kernel']).max() / (6 / (8 + D)) ** 0.5 <= 1


def test_mapped_over_members_equals_one_after_another():
    module, params = initialised('tanh')
    frames, length = values((2, 3, T, D)).astype(np.float32), jnp.array([5, 2, 3])
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, 1.5 * leaf]), params)

    def slope(params, frames):
        state = functools.partial(module.apply, length=length)
        return jax.grad(lambda p: jnp.sum(state({'params': p}, frames) ** 2))(params)

    together, alone = jax.jit(jax.vmap(slope))(both, frames), jax.jit(slope)
    for member in range(2):
        own = jax.tree.map(lambda leaf, m=member: leaf[m], (both, frames))
        for left, right in zip(
            jax.tree.leaves(together), jax.tree.leaves(alone(*own)), strict=True
        ):
            np.testing.assert_allclose(left[member], right, rtol=1e-4, atol=1e-6)


def test_state_is_float32_for_bfloat16_frames():
    module, params = initialised('relu', units=8)
    frames = np.abs(values((2, T, D)))
    apply = jax.jit(module.apply)
    state = apply({'params': params}, jnp.asarray(frames, jnp.bfloat16))
    exact = apply({'params': params}, jnp.asarray(frames, jnp.float32))
    assert state.dtype == jnp.float32
    np.testing.assert_allclose(state, exact, atol=0.02 * np.abs(exact).max())


def test_unknown_activation_is_the_user_s():
    with pytest.raises(UserError, match="activation 'elu' of a recurrent network: give relu, tanh"):
        initialised('elu')
