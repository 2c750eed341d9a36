"""The synchrony autoencoder (kahou2015, sec. 4; Konda et al., arXiv:1306.3162).

A factor multiplies what its filter says of each frame with what it says of the others: over frames
put end to end that is the square of one product (the paper's sequence form), and it is large only
where the block moves as the filter does.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tqdm

from fer_jax.errors import UserError


def synchrony(blocks: jax.Array, filters: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Computes F = W x and synchrony h = sigmoid(F^2), both [block, factor]; h in 0.5..1.

    Args:
      blocks: [block, component], whitened.
      filters: W [factor, component].
    """
    factors = blocks @ filters.T
    return factors, jax.nn.sigmoid(factors**2)


def loss(filters: jax.Array, blocks: jax.Array, contraction: float) -> jax.Array:
    """Computes |x - W^T (h F)|^2 + contraction * |dh/dx|^2, mean over the blocks.

    The second is the squared norm of the Jacobian: (h (1 - h) 2 F)^2 |W_j|^2, summed over factors.
    """
    factors, h = synchrony(blocks, filters)
    error = jnp.sum((blocks - (h * factors) @ filters) ** 2, 1)
    slope = h * (1 - h) * 2 * factors
    return jnp.mean(error + contraction * (slope**2 @ jnp.sum(filters**2, 1)))


def train(
    blocks: np.ndarray,
    *,
    factors: int,
    contraction: float,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Learns filters by Adam over shuffled minibatches.

    After each step all filters have the same norm, the mean of theirs: none dies, none takes over.

    Args:
      blocks: float32 [block, component], whitened.
      batch_size: blocks of a step, at most all; what is left over waits for another epoch.

    Returns:
      Filters float32 [factor, component], and the mean loss of each epoch, float32 [epoch].

    Raises:
      UserError: the loss is no number any more.
    """
    optimizer = optax.adam(learning_rate)
    batch_size = min(batch_size, len(blocks))
    steps = len(blocks) // batch_size

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(state, key, blocks):
        order = jax.random.permutation(key, len(blocks))[: steps * batch_size]

        def step(state, rows):
            filters, moments = state
            value, slope = jax.value_and_grad(loss)(filters, blocks[rows], contraction)
            change, moments = optimizer.update(slope, moments)
            filters = filters + change
            norm = jnp.linalg.norm(filters, axis=1, keepdims=True)
            return (filters / norm * norm.mean(), moments), value

        state, values = jax.lax.scan(step, state, order.reshape(steps, batch_size))
        return state, values.mean()

    first, *keys = jax.random.split(jax.random.key(seed), epochs + 1)
    filters = jax.random.normal(first, (factors, blocks.shape[1])) / np.sqrt(blocks.shape[1])
    state, given, losses = (filters, optimizer.init(filters)), jnp.asarray(blocks), []
    bar = tqdm.tqdm(keys, desc='synchrony autoencoder', unit=' epochs', disable=None)
    for number, key in enumerate(bar, 1):
        state, value = epoch(state, key, given)
        losses.append(float(value))
        bar.set_postfix(loss=f'{losses[-1]:.4g}')
        if not np.isfinite(losses[-1]):
            raise UserError(
                f'activity: the autoencoder diverged in epoch {number}: lower '
                '--config.activity.learning_rate'
            )
    return np.asarray(state[0]), np.array(losses, np.float32)
