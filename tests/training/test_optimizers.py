"""Optimizers against PyTorch's over ten steps, Lookahead against its definition."""

import jax
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


def tree_of(optimizer, steps, params, gradients):
    """Parameters after some steps of an optimizer of ours."""
    make = lambda: optimizers.make_optimizer(  # noqa: E731
        jnp.float32(0.05), jnp.float32(steps), **optimizer
    )
    params = jax.tree.map(jnp.asarray, params)
    state = make().init(params)
    for _ in range(steps):
        updates, state = make().update(gradients(params), state, params)
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.parametrize('clip', [0.0, 1.0])
def test_clipping_and_weight_decay_of_kernels_are_pytorchs(clip):
    rng = np.random.default_rng(0)
    start = {name: {'kernel': rng.normal(size=(3, 4)), 'bias': rng.normal(size=4)} for name in 'ab'}
    start = jax.tree.map(np.float32, start)
    gradients = lambda params: jax.tree.map(gradient, params)  # noqa: E731
    options = {'name': 'momentum', 'weight_decay': 0.1, 'clip': clip}
    found = tree_of(options, 10, start, gradients)

    leaves = jax.tree.map(lambda x: torch.tensor(x, requires_grad=True), start)
    kernels, biases = ([leaves[name][kind] for name in 'ab'] for kind in ('kernel', 'bias'))
    groups = [{'params': kernels, 'weight_decay': 0.1}, {'params': biases}]
    optimizer = torch.optim.SGD(groups, 0.05, momentum=0.9)
    for _ in range(10):
        for leaf in kernels + biases:
            leaf.grad = gradient(leaf.detach())
        if clip:
            assert torch.nn.utils.clip_grad_norm_(kernels + biases, clip) > clip
        optimizer.step()
    expected = jax.tree.map(lambda leaf: leaf.detach().numpy(), leaves)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4), found, expected)


def as_torch(optimizer, steps, start):
    """Kernels and biases after some steps of a PyTorch optimizer that decays kernels only."""
    leaves = jax.tree.map(lambda x: torch.tensor(x, requires_grad=True), start)
    kernels, biases = ([leaves[name][kind] for name in start] for kind in ('kernel', 'bias'))
    groups = [{'params': kernels, 'weight_decay': 0.1}, {'params': biases, 'weight_decay': 0.0}]
    steps_of = optimizer(groups, 0.05)
    for _ in range(steps):
        for leaf in kernels + biases:
            leaf.grad = gradient(leaf.detach())
        steps_of.step()
    return jax.tree.map(lambda leaf: leaf.detach().numpy(), leaves)


@pytest.mark.parametrize('name, twin', [('adam', 'Adam'), ('adamw', 'AdamW')])
def test_weight_decay_of_adam_and_decoupled_from_it_are_pytorchs(name, twin):
    rng = np.random.default_rng(0)
    start = {name: {'kernel': rng.normal(size=(3, 4)), 'bias': rng.normal(size=4)} for name in 'ab'}
    start = jax.tree.map(np.float32, start)
    gradients = lambda params: jax.tree.map(gradient, params)  # noqa: E731
    found = tree_of({'name': name, 'weight_decay': 0.1}, 10, start, gradients)
    expected = as_torch(getattr(torch.optim, twin), 10, start)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5), found, expected
    )
    other = tree_of({'name': name}, 10, start, gradients)
    assert np.abs(found['a']['kernel'] - other['a']['kernel']).max() > 5e-5


def test_plain_adam_is_jains_equation_3():
    x, m, v = START.astype(np.float64), np.zeros(3), np.zeros(3)
    for _ in range(10):
        g = gradient(x)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - 0.05 * m / np.sqrt(v + 0.01)
    found = ours(10, name='plain_adam', epsilon=0.01)
    np.testing.assert_allclose(found, x, rtol=1e-5)
    assert not np.allclose(found, ours(10, name='adam', epsilon=0.01), rtol=1e-2)


def test_frozen_groups_do_not_decay():
    start = {name: {'kernel': np.ones((2, 2), np.float32)} for name in ('frames', 'rnn')}
    zeros = lambda params: jax.tree.map(jnp.zeros_like, params)  # noqa: E731
    for name in ('momentum', 'adamw'):
        options = {'name': name, 'weight_decay': 0.1, 'frozen': ('frames',)}
        after = tree_of(options, 3, start, zeros)
        np.testing.assert_array_equal(after['frames']['kernel'], 1)
        assert (np.asarray(after['rnn']['kernel']) < 1).all()


def test_lookahead_interpolates_every_fifth_step():
    slow = START.copy()
    for _ in range(2):
        fast = slow.copy()
        for _ in range(5):
            fast = fast - 0.05 * gradient(fast)
        slow = slow + 0.5 * (fast - slow)
    params = ours(10, name='sgd', lookahead=True)
    np.testing.assert_allclose(optimizers.evaluated_weights(params), slow, rtol=1e-5)
    np.testing.assert_allclose(optimizers.trained(params), slow, rtol=1e-5)
    # Between two synchronisations the slow weights stand still, and they are the ones that are
    # judged.
    between = ours(7, name='sgd', lookahead=True)
    np.testing.assert_allclose(
        optimizers.evaluated_weights(between),
        optimizers.evaluated_weights(ours(5, name='sgd', lookahead=True)),
    )
    assert not np.allclose(optimizers.evaluated_weights(between), optimizers.trained(between))


@pytest.mark.parametrize(
    'schedule, factor, expected',
    [
        ('step', 0.01, lambda epoch: 5e-3 * 0.01 ** (epoch // 20)),
        ('step', 0.99, lambda epoch: 5e-3 * 0.99 ** (epoch // 20)),
        ('inverse', 0.01, lambda epoch: 5e-3 / (1 + 0.01 * (epoch // 20))),
    ],
)
def test_schedules_by_epoch_change_with_the_first_step_of_an_epoch(schedule, factor, expected):
    steps = 7  # 60 epochs of 7 steps
    rates = jax.jit(
        lambda count, total: optimizers.make_schedule(
            jnp.float32(5e-3), total, schedule, epochs=60, every=20, factor=factor
        )(count)
    )
    for count in (0, 139, 140, 279, 280, 419):
        found = rates(jnp.int32(count), jnp.float32(60 * steps))
        np.testing.assert_allclose(found, expected(count // steps), rtol=1e-6)


def test_cosine_falls_to_zero():
    schedule = optimizers.make_schedule(jnp.float32(0.1), jnp.float32(100), 'cosine')
    np.testing.assert_allclose(
        [schedule(s) for s in (0, 50, 100, 120)], [0.1, 0.05, 0, 0], atol=1e-8
    )


@pytest.mark.parametrize(
    'options, message',
    [
        ({'name': 'lion'}, "unknown optimizer.name 'lion': one of"),
        ({'name': 'adam', 'schedule': 'stairs'}, "unknown optimizer.schedule 'stairs': one of"),
    ],
)
def test_unknown_names_are_the_users(options, message):
    with pytest.raises(UserError, match=message):
        optimizers.make_optimizer(jnp.float32(0.1), jnp.float32(1), **options)


def test_nesterov_is_pytorchs():
    leaf = torch.tensor(START, requires_grad=True)
    optimizer = torch.optim.SGD([leaf], 0.05, momentum=0.9, nesterov=True)
    for _ in range(10):
        leaf.grad = gradient(leaf.detach())
        optimizer.step()
    found = ours(10, name='momentum', nesterov=True)
    np.testing.assert_allclose(found, leaf.detach().numpy(), rtol=1e-5)
    assert np.abs(found - ours(10, name='momentum')).max() > 1e-3


@pytest.mark.parametrize('steps', [100, 73])
def test_one_cycle_rises_and_falls_as_pytorchs(steps):
    rising = 0.2 * steps
    schedule = optimizers.make_schedule(
        jnp.float32(0.5), jnp.float32(steps), 'cosine', warmup=rising / steps
    )
    found = np.array([schedule(step) for step in range(steps)])
    up = int(rising)
    np.testing.assert_allclose(found[:up], 0.5 * np.arange(1, up + 1) / rising, rtol=1e-5)
    down = torch.optim.lr_scheduler.CosineAnnealingLR(
        torch.optim.SGD([torch.zeros(1)], 0.5), T_max=steps - rising
    )
    expected = []
    for _ in range(steps - up):
        expected.append(down.get_last_lr()[0])
        down.optimizer.step()
        down.step()
    late = np.ceil(rising) - rising  # steps that the fall begins after a whole one
    if late == 0:
        np.testing.assert_allclose(found[up:], expected, rtol=1e-4, atol=1e-6)
    assert found.argmax() in (up - 1, up) and found[-1] < 0.01
    # A warm-up leaves other schedules as they are afterwards.
    options = {'epochs': 10, 'every': 2, 'factor': 0.5}
    plain = optimizers.make_schedule(jnp.float32(0.5), jnp.float32(100), 'step', **options)
    warm = optimizers.make_schedule(
        jnp.float32(0.5), jnp.float32(100), 'step', **options, warmup=0.1
    )
    assert [warm(step) for step in range(10, 100)] == [plain(step) for step in range(10, 100)]
    assert warm(4) == pytest.approx(0.25) and plain(4) == 0.5
