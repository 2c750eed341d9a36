"""Features: a trained network's layer applied to clips, as the input of another network."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from fer_jax.errors import UserError


def features(
    module: nn.Module,
    variables: Mapping,
    frames: jax.Array,
    layer: str,
    *,
    length: jax.Array | None = None,
) -> jax.Array:
    """Computes a layer's output for clips, as in evaluation.

    Args:
      module: an architecture; its docstring lists what it sows in 'intermediates'.
      variables: 'params' and, where there are any, 'batch_stats'.
      frames: float [B, T, H, W, C], as the architecture takes them.
      layer: name of the layer.
      length: int32 [B], true number of frames; None where all T are.

    Returns:
      The layer's output, float [B, T, ...] where it is one of frames.

    Raises:
      UserError: no such layer; the message lists those there are.
    """
    _, state = module.apply(variables, frames, length=length, mutable=['intermediates'])
    found = state.get('intermediates') or {}
    if layer not in found:
        raise UserError(f'the network has no features {layer!r}; it has {", ".join(found)}')
    return jnp.asarray(found[layer][0])
