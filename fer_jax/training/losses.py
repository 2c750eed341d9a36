"""Losses of one member on one batch, and the penalty on chosen layers."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import optax

from fer_jax.errors import UserError


def cross_entropy(
    logits: jax.Array,
    target: jax.Array,
    mask: jax.Array,
    class_weight: jax.Array,
    label_smoothing: float = 0.0,
) -> jax.Array:
    """Computes the mean softmax cross-entropy, weighted as torch.nn.CrossEntropyLoss has it.

    With smoothing a clip's own weight counts for all of its loss, where PyTorch's weighs what every
    class has of the target by that class's weight.

    Args:
      logits: float32 [clip, class].
      target: labels int32 [clip], or distributions float32 [clip, class]; a clip then weighs what
        its classes weigh on average.
      mask: bool [clip]; rows that are False count for nothing.
      class_weight: float32 [class]; ones where classes weigh the same.
      label_smoothing: what is taken from the true class and shared by all, 0 to below 1.

    Returns:
      float32 [], 0 when every row is masked.
    """
    smooth = optax.smooth_labels(distribution(target, logits.shape[-1]), label_smoothing)
    loss = optax.softmax_cross_entropy(logits, smooth)
    return _weighted_mean(loss, target, mask, class_weight)


def squared_error(
    logits: jax.Array,
    target: jax.Array,
    mask: jax.Array,
    class_weight: jax.Array,
    label_smoothing: float = 0.0,
) -> jax.Array:
    """Computes the weighted mean squared error of probabilities (jain2018, sec. 3.2 and 3.3).

    A clip's error is the mean over classes of (probability - target)^2, as torch.nn.MSELoss has it,
    with the target 1 for its class and 0 for the others. The paper's cost is the mean squared error
    and its output a softmax.

    Args and returns: as of `cross_entropy`.
    """
    smooth = optax.smooth_labels(distribution(target, logits.shape[-1]), label_smoothing)
    loss = jnp.mean(jnp.square(jax.nn.softmax(logits) - smooth), -1)
    return _weighted_mean(loss, target, mask, class_weight)


def distribution(target: jax.Array, classes: int) -> jax.Array:
    """Turns targets into float32 [clip, class]: labels int32 [clip] become 1 for their class."""
    return jax.nn.one_hot(target, classes) if target.ndim == 1 else target


def loss_of_kind(kind: str) -> Callable[..., jax.Array]:
    """Looks up the loss that `loss.kind` of a config names; UserError where there is none."""
    if kind not in KINDS:
        raise UserError(f"unknown loss.kind '{kind}': one of {', '.join(KINDS)}")
    return KINDS[kind]


def _weighted_mean(loss, target, mask, class_weight):
    weight = class_weight[target] if target.ndim == 1 else target @ class_weight
    weight = weight * mask
    return jnp.sum(loss * weight) / jnp.maximum(jnp.sum(weight), 1e-12)


KINDS = {'cross_entropy': cross_entropy, 'squared_error': squared_error}


def l2_penalty(params, layers: Sequence[str]) -> jax.Array:
    """Sums the squared weights (kernels, not biases) of the named layers (minaee2019, eq. 1).

    Args:
      params: the model's parameters; `layers` are names of their first level.

    Raises:
      UserError: a layer that the network does not have.
    """
    for name in layers:
        if 'kernel' not in params.get(name, ()):
            known = ', '.join(layer for layer in params if 'kernel' in params[layer])
            raise UserError(f"loss.l2_layers has '{name}'; this network has {known}")
    squares = (jnp.sum(jnp.square(params[name]['kernel'])) for name in layers)
    return sum(squares, jnp.zeros(()))
