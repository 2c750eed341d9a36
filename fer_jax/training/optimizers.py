"""Optimizers by name, with a learning rate that may differ between members.

The rate is a traced scalar, so the transformation is built inside the step; only its state is
carried.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from fer_jax.errors import UserError

NAMES = ('sgd', 'momentum', 'adam', 'plain_adam')
SCHEDULES = ('constant', 'cosine', 'step', 'inverse')
# Those of `make_optimizer` that `make_schedule` takes.
SCHEDULE_OPTIONS = ('schedule', 'epochs', 'every', 'factor')


def make_schedule(
    learning_rate: jax.Array,
    total_steps: jax.Array,
    schedule: str = 'constant',
    *,
    epochs: int = 1,
    every: int = 1,
    factor: float = 1.0,
) -> optax.Schedule:
    """Steps taken -> learning rate.

    - 'constant'.
    - 'cosine': from `learning_rate` to 0 over `total_steps`.
    - 'step': times `factor` after every `every` epochs.
    - 'inverse': over 1 + `factor` n, n counting how often `every` epochs have passed.

    Args:
      learning_rate: float32 [], may be traced.
      total_steps: float32 [], those of all `epochs`; may be traced.
      schedule: its name.
      epochs: of the whole run; epochs have equally many steps.
      every: epochs between changes, of 'step' and 'inverse'.
      factor: of 'step' and 'inverse'.

    Raises:
      UserError: an unknown name, or `every` below 1.
    """
    if every < 1:
        raise UserError(f'optimizer.every is {every}: give at least 1 epoch')

    def changes(count):
        steps = jnp.round(total_steps / epochs).astype(jnp.int32)  # of an epoch
        return count // (steps * every)

    if schedule == 'constant':
        return lambda count: learning_rate
    if schedule == 'step':
        return lambda count: learning_rate * factor ** changes(count)
    if schedule == 'inverse':
        return lambda count: learning_rate / (1 + factor * changes(count))
    if schedule == 'cosine':
        return lambda count: (
            learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(count / total_steps, 1.0)))
        )
    raise UserError(f"unknown optimizer.schedule '{schedule}': one of {', '.join(SCHEDULES)}")


def make_optimizer(
    learning_rate: jax.Array,
    total_steps: jax.Array,
    *,
    name: str,
    schedule: str = 'constant',
    epochs: int = 1,
    every: int = 1,
    factor: float = 1.0,
    momentum: float = 0.9,
    epsilon: float = 1e-8,
    clip: float = 0.0,
    weight_decay: float = 0.0,
    frozen: Sequence[str] = (),
    lookahead: bool = False,
) -> optax.GradientTransformation:
    """The optimizer of one member.

    Args:
      learning_rate: float32 [], may be traced.
      total_steps: float32 [], the member's steps in all, for the schedule; may be traced.
      name: 'sgd', 'momentum', 'adam', or 'plain_adam': without bias correction, and with epsilon
        under the root (jain2018, eq. 3).
      schedule, epochs, every, factor: see `make_schedule`.
      momentum: of 'momentum'.
      epsilon: of 'adam' and 'plain_adam'.
      clip: largest norm of all gradients together, 0 for any (kahou2015 and jain2018: 1.0).
      weight_decay: times each kernel (biases and scales are left), added to its clipped gradient.
      frozen: names of the parameters' first level that do not decay; their gradients are zeros.
      lookahead: k = 5, alpha = 0.5 around the optimizer (haddad2020, sec. 3.3); its parameters are
        then optax.LookaheadParams, of which `trained` is stepped and `slow_weights` predict.
    """
    rate = make_schedule(
        learning_rate, total_steps, schedule, epochs=epochs, every=every, factor=factor
    )
    if name == 'sgd':
        optimizer = optax.sgd(rate)
    elif name == 'momentum':
        optimizer = optax.sgd(rate, momentum=momentum)
    elif name == 'adam':
        optimizer = optax.adam(rate, eps=epsilon)
    elif name == 'plain_adam':
        optimizer = optax.chain(_plain_adam(epsilon), optax.scale_by_learning_rate(rate))
    else:
        raise UserError(f"unknown optimizer.name '{name}': one of {', '.join(NAMES)}")
    if weight_decay:

        def kernels(params):
            return jax.tree.map_with_path(
                lambda path, x: x.ndim > 1 and path[0].key not in frozen, params
            )

        optimizer = optax.chain(optax.add_decayed_weights(weight_decay, kernels), optimizer)
    if clip:
        optimizer = optax.chain(optax.clip_by_global_norm(clip), optimizer)
    return optax.lookahead(optimizer, sync_period=5, slow_step_size=0.5) if lookahead else optimizer


def _plain_adam(epsilon: float) -> optax.GradientTransformation:
    """Adam's direction as jain2018's eq. 3 has it: m / sqrt(v + epsilon), both from 0."""

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), zeros, zeros)

    def update(gradients, state, params=None):
        del params
        m = optax.tree.update_moment(gradients, state.mu, 0.9, 1)
        v = optax.tree.update_moment(gradients, state.nu, 0.999, 2)
        direction = jax.tree.map(lambda m, v: m / jnp.sqrt(v + epsilon), m, v)
        return direction, optax.ScaleByAdamState(state.count + 1, m, v)

    return optax.GradientTransformation(init, update)


def wrap(params, lookahead: bool):
    """Fresh parameters in the form that the optimizer carries."""
    return optax.LookaheadParams.init_synced(params) if lookahead else params


def trained(params):
    """The parameters that gradients are taken of (Lookahead's fast ones)."""
    return params.fast if isinstance(params, optax.LookaheadParams) else params


def slow_weights(params):
    """The parameters that predict: Lookahead's slow ones, else all there are."""
    return params.slow if isinstance(params, optax.LookaheadParams) else params
