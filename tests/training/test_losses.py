"""Losses against PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.training import losses

torch = pytest.importorskip('torch', reason='the dev extra has PyTorch')


@pytest.mark.parametrize('weight', [(1.0, 1.0, 1.0), (0.5, 2.0, 0.1)])
def test_weighted_cross_entropy_is_pytorchs(weight):
    rng = np.random.default_rng(0)
    logits, label = rng.normal(size=(6, 3)).astype(np.float32), np.array([0, 2, 1, 1, 0, 2])
    mask = np.array([True, True, False, True, True, False])
    criterion = torch.nn.CrossEntropyLoss(weight=torch.tensor(weight))
    leaf = torch.tensor(logits, requires_grad=True)
    expected = criterion(leaf[mask], torch.tensor(label)[mask])
    expected.backward()

    def function(x):
        return losses.cross_entropy(x, jnp.array(label), jnp.array(mask), jnp.array(weight))

    value, gradient = jax.value_and_grad(function)(jnp.array(logits))
    np.testing.assert_allclose(value, expected.item(), rtol=1e-6)
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), atol=1e-7)


def test_label_smoothing_is_pytorchs():
    rng = np.random.default_rng(1)
    logits, label = rng.normal(size=(5, 7)).astype(np.float32), np.array([0, 6, 3, 3, 1])
    mask = np.array([True, True, True, False, True])
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    expected = criterion(torch.tensor(logits)[mask], torch.tensor(label)[mask])
    value = losses.cross_entropy(
        jnp.array(logits), jnp.array(label), jnp.array(mask), jnp.ones(7), 0.1
    )
    np.testing.assert_allclose(value, expected.item(), rtol=1e-6)
    assert not np.isclose(value, torch.nn.CrossEntropyLoss()(*map(torch.tensor, (logits, label))))


def test_with_smoothing_a_clip_s_own_weight_counts_for_all_of_its_loss():
    rng = np.random.default_rng(3)
    logits, label = rng.normal(size=(5, 3)).astype(np.float32), np.array([0, 2, 1, 1, 2])
    weight = np.array([0.2, 1.0, 1.8], np.float32)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1, reduction='none')
    each = criterion(torch.tensor(logits), torch.tensor(label)).numpy()
    mask = np.ones(5, bool)
    value = losses.cross_entropy(*map(jnp.array, (logits, label, mask, weight)), 0.1)
    np.testing.assert_allclose(value, np.average(each, weights=weight[label]), rtol=1e-6)


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_squared_error_is_pytorchs_of_the_probabilities(smoothing):
    rng = np.random.default_rng(2)
    logits, label = rng.normal(size=(6, 4)).astype(np.float32), np.array([0, 3, 1, 1, 0, 2])
    mask = np.array([True, False, True, True, True, True])
    leaf = torch.tensor(logits, requires_grad=True)
    target = torch.nn.functional.one_hot(torch.tensor(label), 4) * (1 - smoothing) + smoothing / 4
    expected = torch.nn.MSELoss()(leaf.softmax(-1)[mask], target[mask])
    expected.backward()

    def function(x):
        kind = losses.loss_of_kind('squared_error')
        return kind(x, jnp.array(label), jnp.array(mask), jnp.ones(4), smoothing)

    value, gradient = jax.value_and_grad(function)(jnp.array(logits))
    np.testing.assert_allclose(value, expected.item(), rtol=1e-6)
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), atol=1e-7)


def test_an_unknown_loss_is_the_users():
    with pytest.raises(UserError, match="unknown loss.kind 'hinge': one of cross_entropy, squared"):
        losses.loss_of_kind('hinge')


def test_nothing_to_learn_from_is_zero_not_nan():
    value = losses.cross_entropy(
        jnp.ones((2, 3)), jnp.zeros(2, jnp.int32), jnp.zeros(2, bool), jnp.ones(3)
    )
    assert value == 0


def test_l2_takes_kernels_of_the_named_layers_only():
    layer = lambda k: {'kernel': jnp.full((2, 2), k), 'bias': jnp.full(2, 100.0)}  # noqa: E731
    params = {'fc1': layer(1.0), 'fc2': layer(2.0), 'conv': layer(50.0)}
    assert losses.l2_penalty(params, ('fc1', 'fc2')) == 4 * 1 + 4 * 4


@pytest.mark.parametrize('weight', [(1.0, 1.0, 1.0), (0.5, 2.0, 0.1)])
def test_distributions_are_pytorchs_class_probabilities(weight):
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(6, 3)).astype(np.float32)
    target = rng.dirichlet((1, 1, 1), 6).astype(np.float32)
    mask = np.array([True, True, False, True, True, True])
    # PyTorch divides by the clips, and weighs each class of a clip; here a clip weighs as a whole.
    each = -(target * torch.log_softmax(torch.tensor(logits), -1).numpy()).sum(1)
    own = target @ np.float32(weight) * mask
    value = losses.cross_entropy(logits, jnp.array(target), mask, jnp.array(weight))
    np.testing.assert_allclose(value, (each * own).sum() / own.sum(), rtol=1e-6)
    if len(set(weight)) == 1:
        criterion = torch.nn.CrossEntropyLoss()
        expected = criterion(torch.tensor(logits[mask]), torch.tensor(target[mask]))
        np.testing.assert_allclose(value, expected.item(), rtol=1e-6)


@pytest.mark.parametrize('kind', losses.KINDS)
def test_certain_distributions_are_labels(kind):
    logits = np.random.default_rng(4).normal(size=(4, 3)).astype(np.float32)
    label, mask, weight = jnp.array([2, 0, 1, 1]), jnp.array([True] * 3 + [False]), jnp.arange(1, 4)
    found = [
        losses.loss_of_kind(kind)(logits, target, mask, weight / 2, 0.1)
        for target in (label, jax.nn.one_hot(label, 3))
    ]
    np.testing.assert_allclose(*found, rtol=1e-7)
