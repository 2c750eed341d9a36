"""The penalty that regularises the fusion network (kahou2015, sec. 5.1, after Wu et al. 2015).

Wu et al. (arXiv 1504.01561) add to the loss

    frobenius / 2 * sum over all weights of w^2 + l21 * ||W||_{2,1} + l1 * ||W||_1

where ||W||_{2,1} sums the Euclidean norms of groups of W's weights: it empties whole groups, while
the l1 norm empties single weights and so leaves to a modality what is its own.

kahou2015 regularises the layers of the modalities "by sharing similar subsets of hidden units
between modalities", which layers of 100, 10 and 50 units cannot do literally. Three readings are
here:

- 'hidden_units': W is the layers of the modalities, and a group the weights into one hidden unit;
- 'fusion_rows': W is the matrix from the concatenated units to the common layer, and a group one of
  its rows, the weights out of one unit of one modality;
- 'across': W is the layers of the modalities, and a group the weights into the hidden units of one
  number in all of them. Ten numbers are shared by three modalities, forty by two, and fifty are the
  widest layer's own. Only here do the weights of one modality depend on another's.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from fer_jax.kahou2015.feature_fusion import COMMON, MODALITY

GROUPS = ('hidden_units', 'fusion_rows', 'across')


def penalty(
    params: Mapping,
    *,
    frobenius: float | jax.Array,
    l21: float | jax.Array,
    l1: float | jax.Array,
    groups: str,
) -> jax.Array:
    """Computes the penalty that is added to the loss; biases count for nothing.

    Args:
      params: of `FeatureFusion`.
      frobenius, l21, l1: the terms' weights, may be traced.
      groups: one of GROUPS.

    Returns:
      float32 []. Its gradient is finite everywhere: 0 from the norm of a group that is all 0, and
      from the absolute value of a weight that is 0.
    """
    if groups == 'fusion_rows':
        grouped = [params[COMMON]['kernel']]
    else:
        grouped = [params[name]['kernel'].T for name in params if name.startswith(MODALITY)]
    nothing = jnp.zeros(())
    squares = sum((jnp.sum(jnp.square(layer['kernel'])) for layer in params.values()), nothing)
    joined = [_by_number(grouped)] if groups == 'across' else grouped
    norms = sum((jnp.sum(_norms(matrix)) for matrix in joined), nothing)
    # jnp.abs alone has the gradient 1 at 0, which would push empty weights off it.
    absolute = sum((jnp.sum(jnp.where(w != 0, jnp.abs(w), 0)) for w in grouped), nothing)
    return frobenius / 2 * squares + l21 * norms + l1 * absolute


def _by_number(layers: Sequence[jax.Array]) -> jax.Array:
    """Joins layers [unit, weight] unit by unit; zeros where a layer has no unit of that number."""
    most = max(len(layer) for layer in layers)
    padded = [jnp.pad(layer, ((0, most - len(layer)), (0, 0))) for layer in layers]
    return jnp.concatenate(padded, 1)


def _norms(matrix: jax.Array) -> jax.Array:
    """Computes Euclidean norms of the rows of [group, weight], with gradient 0 where they are 0."""
    squares = jnp.sum(jnp.square(matrix), 1)
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), 0)
