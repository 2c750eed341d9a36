"""Layers that the architectures share: convolution, batch normalisation, dropout, activations.

All of them can be mapped over members (`jax.vmap`), and under a jit over a mesh they see the global
batch: batch statistics are those of all devices together.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from fer_jax.errors import UserError
from fer_jax.models.convolution import conv2d, conv3d

Initializer = nn.initializers.Initializer

# PyTorch's default for weights, kaiming_uniform with a = sqrt(5): uniform in +-1 / sqrt(fan_in).
pytorch_uniform: Initializer = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')

# For networks of ReLUs whose paper names no initialiser (He et al. 2015, arXiv 1502.01852).
he_normal: Initializer = nn.initializers.he_normal()

# haddad2020, Table 1 and, for 'none' (what the framework does by itself), Table 3.
KERNEL_INITIALIZERS: dict[str, Initializer] = {
    'none': pytorch_uniform,
    'xavier_uniform': nn.initializers.xavier_uniform(),
    'xavier_normal': nn.initializers.xavier_normal(),
}


def at_least_float32(x: jax.Array) -> jax.Array:
    """Converts a bfloat16 array to float32; keeps float32 (and float64, in parity tests)."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def scaled(units: int, width: float) -> int:
    """Multiplies a layer's units by a network's width multiplier; returns at least one."""
    return max(1, round(units * width))


def valid_frames(length: jax.Array | None, b: int, t: int) -> jax.Array:
    """Marks a clip's frames that are no padding: bool [B, T].

    Args:
      length: int32 [B], true number of frames; None where all T are.
      b, t: the clips' B and T.
    """
    if length is None:
        return jnp.ones((b, t), bool)
    return jnp.arange(t)[None] < length[:, None]


def average_frames(logits: jax.Array, valid: jax.Array) -> jax.Array:
    """Computes logits whose softmax is the mean of the frames' class probabilities.

    Args:
      logits: float [B, T, K] of frames.
      valid: bool [B, T], at least one in each row; the other frames count for nothing.

    Returns:
      float [B, K]; of a single frame its logits as they are.
    """
    if logits.shape[1] == 1:
        return logits[:, 0]
    weight = valid[..., None] / valid.sum(1)[:, None, None]
    log_probability = jax.nn.log_softmax(logits)
    return jax.nn.logsumexp(log_probability, 1, b=weight.astype(logits.dtype))


def uniform_by_fan_in(fan_in: int) -> Initializer:
    """Draws biases as PyTorch does: uniform in +-1 / sqrt(fan_in) of the layer's weights."""
    bound = fan_in**-0.5

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def per_channel(values: jax.Array, x: jax.Array) -> jax.Array:
    """Reshapes values [C] to the rank and the type of x [..., C], to be combined with it."""
    return values.astype(x.dtype).reshape(*(1,) * (x.ndim - 1), -1)


def mish(x: jax.Array) -> jax.Array:
    """Applies Mish, x tanh(softplus(x)) (Misra 2019), one of haddad2020, Table 1."""
    return x * jnp.tanh(jax.nn.softplus(x))


# Without learned parameters; slopes and scales as PyTorch's defaults (0.01 and 1).
_FIXED_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'relu': nn.relu,
    'elu': nn.elu,
    'leaky_relu': nn.leaky_relu,
    'mish': mish,
}
ACTIVATIONS = ('relu', 'elu', 'prelu', 'leaky_relu', 'mish')


class Activation(nn.Module):
    """One of ACTIVATIONS; 'prelu' learns one slope for the layer, from 0.25 (PyTorch's PReLU)."""

    kind: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the activation to x of any shape.

        Raises:
          UserError: `kind` is none of ACTIVATIONS.
        """
        if self.kind not in ACTIVATIONS:
            raise UserError(f'activation {self.kind!r} is none of {", ".join(ACTIVATIONS)}')
        if self.kind != 'prelu':
            return _FIXED_ACTIVATIONS[self.kind](x)
        slope = self.param('slope', nn.initializers.constant(0.25), (), jnp.float32)
        return jnp.where(x >= 0, x, slope.astype(x.dtype) * x)


class Conv(nn.Module):
    """Convolution with stride 1 over two or three spatial axes, by the length of `window`.

    Attributes:
      features: number of filters.
      window: (kh, kw) or (kt, kh, kw), odd where padding is 'SAME'.
      kernel_init: initialiser of the kernel [*window, C, features].
      bias_init: initialiser of the bias; None for no bias.
      padding: 'SAME' or 'VALID'; three axes know 'SAME' only.
      form: see `fer_jax.models.convolution`.
    """

    features: int
    window: tuple[int, ...]
    kernel_init: Initializer
    bias_init: Initializer | None = None
    padding: str = 'SAME'
    form: str = 'auto'

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps float [B, *space, C] to [B, *space', features], in x's dtype."""
        shape = (*self.window, x.shape[-1], self.features)
        kernel = self.param('kernel', self.kernel_init, shape, jnp.float32).astype(x.dtype)
        bias = None
        if self.bias_init is not None:
            bias = self.param('bias', self.bias_init, (self.features,), jnp.float32)
            bias = bias.astype(x.dtype)
        if len(self.window) == 2:
            return conv2d(x, kernel, bias, padding=self.padding, form=self.form)
        if self.padding != 'SAME':
            raise ValueError('a convolution over three axes has padding SAME')
        return conv3d(x, kernel, bias, form=self.form)


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, without the batch's padded rows.

    As PyTorch's: epsilon 1e-5, running averages that keep 0.9 and take 0.1 of the new value (its
    'momentum 0.1', haddad2020, sec. 3.1), biased variance to normalise with and unbiased variance
    in the running average (flax.linen.BatchNorm keeps the biased one). Statistics are float32.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, *, mask: jax.Array | None, train: bool) -> jax.Array:
        """Normalises x.

        Args:
          x: float [B, ..., C].
          mask: bool [B], False for rows that are padding; None where no row is.
          train: use the batch's statistics and update the running ones ('batch_stats').

        Returns:
          float [B, ..., C] in x's dtype; padded rows are transformed like the others.
        """
        features = x.shape[-1]
        scale = self.param('scale', nn.initializers.ones, (features,), jnp.float32)
        bias = self.param('bias', nn.initializers.zeros, (features,), jnp.float32)
        running_mean = self.variable('batch_stats', 'mean', jnp.zeros, (features,), jnp.float32)
        running_var = self.variable('batch_stats', 'var', jnp.ones, (features,), jnp.float32)
        if train:
            mean, var, count = _moments(x, mask)
            if not self.is_initializing():
                unbiased = var * (count / jnp.maximum(count - 1, 1))
                running_mean.value += (1 - self.momentum) * (mean - running_mean.value)
                running_var.value += (1 - self.momentum) * (unbiased - running_var.value)
        else:
            mean, var = running_mean.value, running_var.value
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        return x * per_channel(factor, x) + per_channel(bias - mean * factor, x)


def _moments(
    x: jax.Array, mask: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array | float]:
    """Computes mean [C], biased variance [C] and number of unmasked values of x [B, ..., C]."""
    x = at_least_float32(x)
    axes = tuple(range(x.ndim - 1))
    row = x[0, ..., 0].size
    if mask is None:
        weight, count = 1.0, float(len(x) * row)
    else:
        weight = mask.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
        count = jnp.maximum(mask.sum(), 1) * float(row)
    mean = jnp.sum(x * weight, axes) / count
    # The deviations' squares, not the squares' mean minus the mean's square, which cancels.
    var = jnp.sum(jnp.square(x - per_channel(mean, x)) * weight, axes) / count
    return mean, var, count


class Dropout(nn.Module):
    """Dropout whose rate may be a traced number in [0, 1]; at 1 nothing is left.

    flax.linen.Dropout compares its rate with 0 and so takes no traced one.
    """

    @nn.compact
    def __call__(self, x: jax.Array, *, rate: float | jax.Array, train: bool) -> jax.Array:
        """Zeroes elements of x with probability `rate` and divides the others by 1 - rate."""
        if not train:
            return x
        keep = 1.0 - jnp.asarray(rate, jnp.float32)
        kept = jax.random.uniform(self.make_rng('dropout'), x.shape) < keep
        # At rate 1 none is kept, and the divisor must not be 0 in either branch.
        divisor = jnp.where(keep > 0, keep, 1.0).astype(x.dtype)
        return jnp.where(kept, x / divisor, jnp.zeros((), x.dtype))
