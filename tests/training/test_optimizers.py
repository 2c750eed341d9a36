"""Optimizers against PyTorch's over ten steps, Lookahead against its definition."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fer_jax.errors import UserError
from fer_jax.training import optimizers

torch = pytest.importorskip('torch', reason='the dev extra has PyTorch')

START = np.array([1.0, -2.0, 3.0], np.float32)


def gradient(x):
    return 2 * x + 0.3 * x**2


def ours(steps, rate=0.05, lookahead=False, **options):
    params = optimizers.wrap(jnp.array(START), lookahead)
    make = lambda: optimizers.make_optimizer(  # noqa: E731
        jnp.float32(rate), jnp.float32(steps), lookahead=lookahead, **options
    )
    state = make().init(params)
    for _ in range(steps):
        updates, state = make().update(gradient(optimizers.trained(params)), state, params)
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.parametrize(
    'name,twin',
    [
        ('sgd', lambda p: torch.optim.SGD(p, 0.05)),
        ('momentum', lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
        ('adam', lambda p: torch.optim.Adam(p, 0.05)),
    ],
)
def test_ten_steps_are_pytorchs(name, twin):
    leaf = torch.tensor(START, requires_grad=True)
    optimizer = twin([leaf])
    for _ in range(10):
        leaf.grad = gradient(leaf.detach())
        optimizer.step()
    np.testing.assert_allclose(ours(10, name=name), leaf.detach().numpy(), rtol=1e-5)


def test_lookahead_interpolates_every_fifth_step():
    slow = START.copy()
    for _ in range(2):
        fast = slow.copy()
        for _ in range(5):
            fast = fast - 0.05 * gradient(fast)
        slow = slow + 0.5 * (fast - slow)
    params = ours(10, name='sgd', lookahead=True)
    np.testing.assert_allclose(optimizers.judged(params), slow, rtol=1e-5)
    np.testing.assert_allclose(optimizers.trained(params), slow, rtol=1e-5)
    # Between two synchronisations the slow weights stand still, and they are the ones that are
    # judged.
    between = ours(7, name='sgd', lookahead=True)
    np.testing.assert_allclose(
        optimizers.judged(between), optimizers.judged(ours(5, name='sgd', lookahead=True))
    )
    assert not np.allclose(optimizers.judged(between), optimizers.trained(between))


def test_cosine_falls_to_zero():
    schedule = optimizers.make_schedule(jnp.float32(0.1), jnp.float32(100), 'cosine')
    np.testing.assert_allclose(
        [schedule(s) for s in (0, 50, 100, 120)], [0.1, 0.05, 0, 0], atol=1e-8
    )


@pytest.mark.parametrize('options', [{'name': 'lion'}, {'name': 'adam', 'schedule': 'stairs'}])
def test_unknown_names_are_the_users(options):
    with pytest.raises(UserError, match='one of'):
        optimizers.make_optimizer(jnp.float32(0.1), jnp.float32(1), **options)
