"""The 3D convolutional network of haddad2020: C3D with batch normalisation, and its options."""

from collections.abc import Callable
from functools import partial

import jax
from flax import linen as nn

from fer_jax.errors import UserError
from fer_jax.models import layers
from fer_jax.models.pooling import avg_pool, max_pool, skip_short_axes

# Figure 1 of haddad2020: filters of each group's convolutions; fully connected units.
GROUPS = ((64,), (128,), (256, 256), (512, 512), (512, 512))
HIDDEN = (4096, 4096)
# Section 3.1: window, strides, padding of the pooling that ends each group.
POOLINGS = (
    ((1, 2, 2), (1, 2, 2), (0, 0, 0)),
    ((2, 2, 2), (2, 2, 2), (0, 0, 0)),
    ((2, 2, 2), (2, 2, 2), (0, 0, 0)),
    ((2, 2, 2), (2, 2, 2), (0, 0, 0)),
    ((1, 2, 2), (2, 2, 2), (0, 1, 1)),
)
TEMPORAL_SIZES = (1, 3, 5, 7, 9)
POOLS: dict[str, Callable[..., jax.Array]] = {'avg': avg_pool, 'max': max_pool}


class C3D(nn.Module):
    """C3D with batch normalisation (haddad2020, sec. 3; every option of its Table 1).

    Groups of convolution, batch normalisation and activation; each group ends in a pooling. Then
    two hidden fully connected layers with activation and dropout, and the classifier. Parameters:
    'conv1a', 'conv2a', 'conv3a', 'conv3b', ...; their normalisations 'norm1a', ...; the fully
    connected layers 'fc1', 'fc2', 'fc3'. Convolutions have no bias, because the normalisation that
    follows would subtract it again. The map before 'fc1' is flattened in the order time, height,
    width, channel: a clip of 10 x 112 x 112 x 3 gives 1 x 4 x 4 x 512 = 8192 values and, with 7
    classes, 78,027,207 parameters.

    Attributes:
      num_classes: K.
      activation: 'relu', 'elu', 'prelu', 'leaky_relu' or 'mish', in all hidden layers.
      temporal_size: frames under the kernels, 1, 3, 5, 7 or 9; the clip's length is kept.
      initializer: of all kernels: 'none' (PyTorch's default), 'xavier_uniform' or
        'xavier_normal'; biases of fully connected layers always have PyTorch's default.
      pooling: 'avg' (padded zeros count) or 'max'.
      second_conv: a second convolution in the first two groups.
      dropout_rate: after both hidden fully connected layers.
      width: multiplier of all filters and hidden units, for networks that fit a laptop.
      dtype: of the computation, 'float32' or 'bfloat16'; parameters and statistics are float32.
      form: of convolutions and poolings, see `fer_jax.models.convolution`.
    """

    num_classes: int
    activation: str = 'relu'
    temporal_size: int = 3
    initializer: str = 'xavier_uniform'
    pooling: str = 'avg'
    second_conv: bool = False
    dropout_rate: float = 0.2511
    width: float = 1.0
    dtype: str = 'float32'
    form: str = 'auto'

    @nn.compact
    def __call__(
        self,
        frames: jax.Array,
        *,
        mask: jax.Array | None = None,
        length: jax.Array | None = None,
        train: bool = False,
        dropout_rate: float | jax.Array | None = None,
    ) -> jax.Array:
        """Classifies clips.

        Args:
          frames: float [B, T, H, W, C], normalised as the config says; 10 x 112 x 112 x 3 in the
            paper. An axis that becomes shorter than a pooling's window is not pooled any more.
          mask: bool [B], False for rows that are padding, left out of batch statistics.
          length: int32 [B], true number of frames; not used, the paper repeats the last frame.
          train: batch statistics and dropout (rng 'dropout', collection 'batch_stats' mutable).
          dropout_rate: in [0, 1], may be traced; None for the field.

        Returns:
          Logits float32 [B, K].

        Raises:
          UserError: an option outside the values above.
        """
        self._check_options()
        init = layers.KERNEL_INITIALIZERS[self.initializer]
        rate = self.dropout_rate if dropout_rate is None else dropout_rate
        window = (self.temporal_size, 3, 3)
        conv = partial(layers.Conv, window=window, kernel_init=init, form=self.form)
        x = frames.astype(self.dtype)
        for number, filters in enumerate(group_filters(self.second_conv), 1):
            for letter, features in zip('ab', filters, strict=False):
                name = f'{number}{letter}'
                x = conv(self._scaled(features), name=f'conv{name}')(x)
                x = layers.BatchNorm(name=f'norm{name}')(x, mask=mask, train=train)
                x = layers.Activation(self.activation, name=f'act{name}')(x)
            geometry = skip_short_axes(x.shape[1:-1], *POOLINGS[number - 1])
            x = POOLS[self.pooling](x, *geometry, form=self.form)
        x = x.reshape(len(x), -1)
        for number, units in enumerate(HIDDEN, 1):
            x = self._dense(self._scaled(units), x, init, f'fc{number}')
            x = layers.Activation(self.activation, name=f'act_fc{number}')(x)
            x = layers.Dropout(name=f'dropout{number}')(x, rate=rate, train=train)
        return layers.at_least_float32(self._dense(self.num_classes, x, init, 'fc3'))

    def _dense(self, units: int, x: jax.Array, init: layers.Initializer, name: str) -> jax.Array:
        bias_init = layers.uniform_by_fan_in(x.shape[-1])
        return nn.Dense(units, dtype=x.dtype, kernel_init=init, bias_init=bias_init, name=name)(x)

    def _scaled(self, units: int) -> int:
        return layers.scaled(units, self.width)

    def _check_options(self) -> None:
        allowed = {
            'activation': layers.ACTIVATIONS,
            'temporal_size': TEMPORAL_SIZES,
            'initializer': tuple(layers.KERNEL_INITIALIZERS),
            'pooling': tuple(POOLS),
        }
        for option, values in allowed.items():
            if getattr(self, option) not in values:
                known = ', '.join(map(str, values))
                raise UserError(f'model.{option} is {getattr(self, option)!r}; c3d knows {known}')


def group_filters(second_conv: bool) -> tuple[tuple[int, ...], ...]:
    """Returns GROUPS, with the first two groups' convolution doubled where `second_conv` is set."""
    return tuple(g * 2 if second_conv and len(g) == 1 else g for g in GROUPS)
