"""Optimizers by name, with a learning rate that may differ between members.

The rate is a traced scalar, so the transformation is built inside the step; only its state is
carried.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax
from flax import struct

from fer_jax.errors import UserError

NAMES = ('sgd', 'momentum', 'adam', 'adamw', 'plain_adam')
SCHEDULES = ('constant', 'cosine', 'step', 'inverse')
# Those of `make_optimizer` that `make_schedule` takes.
SCHEDULE_OPTIONS = ('schedule', 'epochs', 'every', 'factor', 'warmup')


def make_schedule(
    learning_rate: jax.Array,
    total_steps: jax.Array,
    schedule: str = 'constant',
    *,
    epochs: int = 1,
    every: int = 1,
    factor: float = 1.0,
    warmup: float = 0.0,
) -> optax.Schedule:
    """Makes the function from steps taken to the learning rate.

    - 'constant'.
    - 'cosine': from `learning_rate` to 0 over `total_steps`.
    - 'step': times `factor` after every `every` epochs.
    - 'inverse': over 1 + `factor` n, n counting how often `every` epochs have passed.

    With `warmup` the rate first rises in a straight line to `learning_rate`; the cosine then falls
    over what is left of the steps (one cycle, Smith and Topin 2017, arXiv 1708.07120).

    Args:
      learning_rate: float32 [], may be traced.
      total_steps: float32 [], those of all `epochs`; may be traced.
      schedule: its name.
      epochs: of the whole run; epochs have equally many steps.
      every: epochs between changes, of 'step' and 'inverse'.
      factor: of 'step' and 'inverse'.
      warmup: share of all steps in which the rate rises, 0 to below 1.

    Raises:
      UserError: an unknown name.
    """
    if warmup:
        rising = warmup * total_steps
        left = total_steps - rising if schedule == 'cosine' else total_steps
        then = make_schedule(
            learning_rate, left, schedule, epochs=epochs, every=every, factor=factor
        )

        def rate(count):
            share = jnp.minimum((count + 1) / rising, 1.0)
            return share * then(jnp.maximum(count - (total_steps - left), 0))

        return rate

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
    nesterov: bool = False,
    warmup: float = 0.0,
    epsilon: float = 1e-8,
    clip: float = 0.0,
    weight_decay: float = 0.0,
    frozen: Sequence[str] = (),
    lookahead: bool = False,
    average: float = 0.0,
) -> optax.GradientTransformation:
    """Makes the optimizer of one member.

    Args:
      learning_rate: float32 [], may be traced.
      total_steps: float32 [], the member's steps in all, for the schedule; may be traced.
      name: 'sgd', 'momentum', 'adam', 'adamw': Adam whose weight decay is decoupled (Loshchilov and
        Hutter 2019, arXiv 1711.05101), or 'plain_adam': without bias correction, and with epsilon
        under the root (jain2018, eq. 3).
      schedule, epochs, every, factor, warmup: see `make_schedule`.
      momentum: of 'momentum'.
      nesterov: of 'momentum', Nesterov's form of it.
      epsilon: of 'adam', 'adamw' and 'plain_adam'.
      clip: largest norm of all gradients together, 0 for any (kahou2015 and jain2018: 1.0).
      weight_decay: times each kernel (biases and scales are left), added to its clipped gradient;
        of 'adamw' times the rate taken from the kernel itself, so that no moment sees it.
      frozen: names of the parameters' first level that do not decay; their gradients are zeros.
      lookahead: k = 5, alpha = 0.5 around the optimizer (haddad2020, sec. 3.3); its parameters are
        then optax.LookaheadParams, of which `trained` is stepped and `evaluated_weights` predict.
      average: share of the running average of all parameters (and batch statistics) that each step
        keeps, 0 for no average; they are then `Averaged`, see there. The optimizer does not see it.

    Raises:
      UserError: an unknown name or schedule, or both an average and Lookahead.
    """
    if average and lookahead:
        raise UserError('optimizer.average and optimizer.lookahead are both set: give one of them')
    rate = make_schedule(
        learning_rate,
        total_steps,
        schedule,
        epochs=epochs,
        every=every,
        factor=factor,
        warmup=warmup,
    )

    def kernels(params):
        return jax.tree.map_with_path(
            lambda path, x: x.ndim > 1 and path[0].key not in frozen, params
        )

    if name == 'sgd':
        optimizer = optax.sgd(rate)
    elif name == 'momentum':
        optimizer = optax.sgd(rate, momentum=momentum, nesterov=nesterov)
    elif name == 'adam':
        optimizer = optax.adam(rate, eps=epsilon)
    elif name == 'adamw':
        optimizer = optax.adamw(rate, eps=epsilon, weight_decay=weight_decay, mask=kernels)
    elif name == 'plain_adam':
        optimizer = optax.chain(_plain_adam(epsilon), optax.scale_by_learning_rate(rate))
    else:
        raise UserError(f"unknown optimizer.name '{name}': one of {', '.join(NAMES)}")
    if weight_decay and name != 'adamw':
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


@struct.dataclass
class Averaged:
    """Parameters, or batch statistics, with their exponential running average over steps.

    Attributes:
      own: what steps change.
      average: what a member is evaluated with.
    """

    own: dict
    average: dict

    def after(self, own: dict, steps: jax.Array, keep: float) -> 'Averaged':
        """Updates the average when a step has changed `own`.

        Args:
          steps: int32 [], taken before this one. At first less is kept, (1 + steps) / (10 + steps),
            so that the average is not one of initial values.
          keep: share of the average that stays, 0 to 1.
        """
        new = 1 - jnp.minimum(keep, (1.0 + steps) / (10.0 + steps))
        average = jax.tree.map(lambda kept, x: kept + new * (x - kept), self.average, own)
        return Averaged(own, average)


def wrap(params, lookahead: bool, average: bool = False):
    """Gives fresh parameters the form that the optimizer carries."""
    if average:
        return Averaged(params, params)
    return optax.LookaheadParams.init_synced(params) if lookahead else params


def wrap_like(params, other):
    """Gives parameters the form that `other` has."""
    return wrap(params, isinstance(other, optax.LookaheadParams), isinstance(other, Averaged))


def trained(params):
    """Takes out the parameters that gradients are taken of (Lookahead's fast ones)."""
    if isinstance(params, Averaged):
        return params.own
    return params.fast if isinstance(params, optax.LookaheadParams) else params


def evaluated_weights(params):
    """Takes out the parameters that predict: Lookahead's slow ones, the average, else all."""
    if isinstance(params, Averaged):
        return params.average
    return params.slow if isinstance(params, optax.LookaheadParams) else params
