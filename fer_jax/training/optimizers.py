"""Optimizers by name, with a learning rate that may differ between members.

The rate is a traced scalar, so the transformation is built inside the step; only its state is
carried.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from fer_jax.errors import UserError

NAMES = ('sgd', 'momentum', 'adam')
SCHEDULES = ('constant', 'cosine')


def make_schedule(learning_rate: jax.Array, total_steps: jax.Array, name: str) -> optax.Schedule:
    """Steps taken -> rate: 'constant', or 'cosine' from `learning_rate` to 0 over `total_steps`."""
    if name == 'constant':
        return lambda count: learning_rate
    if name == 'cosine':
        return lambda count: (
            learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(count / total_steps, 1.0)))
        )
    raise UserError(f"unknown optimizer.schedule '{name}': one of {', '.join(SCHEDULES)}")


def make_optimizer(
    learning_rate: jax.Array,
    total_steps: jax.Array,
    *,
    name: str,
    schedule: str = 'constant',
    momentum: float = 0.9,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    lookahead: bool = False,
) -> optax.GradientTransformation:
    """The optimizer of one member.

    Args:
      learning_rate: float32 [], may be traced.
      total_steps: float32 [], the member's steps in all, for the schedule; may be traced.
      name: 'sgd', 'momentum' or 'adam'.
      schedule: see `make_schedule`.
      momentum: of 'momentum'.
      epsilon: of 'adam'.
      weight_decay: times each kernel (biases and scales are left), added to its gradient.
      lookahead: k = 5, alpha = 0.5 around the optimizer (haddad2020, sec. 3.3); its parameters are
        then optax.LookaheadParams, of which `trained` is stepped and `judged` is evaluated.
    """
    rate = make_schedule(learning_rate, total_steps, schedule)
    if name == 'sgd':
        optimizer = optax.sgd(rate)
    elif name == 'momentum':
        optimizer = optax.sgd(rate, momentum=momentum)
    elif name == 'adam':
        optimizer = optax.adam(rate, eps=epsilon)
    else:
        raise UserError(f"unknown optimizer.name '{name}': one of {', '.join(NAMES)}")
    if weight_decay:
        kernels = functools.partial(jax.tree.map, lambda x: x.ndim > 1)
        optimizer = optax.chain(optax.add_decayed_weights(weight_decay, kernels), optimizer)
    return optax.lookahead(optimizer, sync_period=5, slow_step_size=0.5) if lookahead else optimizer


def wrap(params, lookahead: bool):
    """Fresh parameters in the form that the optimizer carries."""
    return optax.LookaheadParams.init_synced(params) if lookahead else params


def trained(params):
    """The parameters that gradients are taken of (Lookahead's fast ones)."""
    return params.fast if isinstance(params, optax.LookaheadParams) else params


def judged(params):
    """The parameters that a member is evaluated with (Lookahead's slow ones)."""
    return params.slow if isinstance(params, optax.LookaheadParams) else params
