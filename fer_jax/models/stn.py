"""The attentional convolutional network of minaee2019: a small CNN behind a spatial transformer."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from fer_jax.errors import UserError
from fer_jax.models import layers
from fer_jax.models.pooling import max_pool
from fer_jax.ops.warp import sample_grid

TRANSFORMS = ('input', 'features', 'none')
INITIALIZERS = ('default', 'normal')
FILTERS = 10
HIDDEN = 50
LOCALISER_FILTERS = (8, 10)
LOCALISER_HIDDEN = 32


class SpatialTransformerNet(nn.Module):
    """Deep-Emotion (minaee2019, sec. 3 and Figure 3).

    Main branch: twice conv 3x3x10, ReLU, conv 3x3x10, max-pool 2x2, ReLU (no padding); dropout;
    fully connected 'fc1' (50 units, ReLU) and 'fc2' (K), the two layers whose weights the paper's
    L2 term names. Localiser ('localiser_conv1', ...): conv x8, max-pool, ReLU, conv x10, max-pool,
    ReLU, fully connected 32, ReLU, 'localiser_theta'. A 48 x 48 face gives 'fc1' 9 x 9 x 10 = 810
    inputs (flattened by height, width, channel) and the localiser's fully connected layer
    10 x 10 x 10 = 1000 with 3x3 kernels, 640 with (7, 5); the figure's 90 belongs to another input
    size. With 7 classes: 76,777 parameters.

    Attributes:
      num_classes: K.
      transform: what the grid acts on: 'input' (the text), 'features' (the figure: the map after
        dropout) or 'none' (no transformer).
      localiser_kernels: sides of the localiser's two kernels.
      initializer: 'normal' (zero mean, deviation `init_std`, biases 0) or 'default' (PyTorch's).
        In both the layer 'localiser_theta' starts at the identity: zero weights.
      init_std: 0.05 in the paper.
      dropout_rate: before 'fc1'.
      dtype: of the computation, 'float32' or 'bfloat16'; the grid is always float32.
      form: of convolutions and poolings, see `fer_jax.models.convolution`.
    """

    num_classes: int
    transform: str = 'input'
    localiser_kernels: tuple[int, int] = (3, 3)
    initializer: str = 'normal'
    init_std: float = 0.05
    dropout_rate: float = 0.5
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
        """Classifies images.

        Args:
          frames: float [B, 1, H, W, C], normalised as the config says; 48 x 48 x 1 in the paper.
          mask: bool [B]; not used, there are no batch statistics.
          length: int32 [B]; not used.
          train: dropout (rng 'dropout').
          dropout_rate: in [0, 1], may be traced; None for the field.

        Returns:
          Logits float32 [B, K]. The sampled map's theta, float32 [B, 2, 3], normalised output to
          input coordinates, is sown as 'theta' in the collection 'intermediates'.

        Raises:
          UserError: clips of more than one frame, images too small, an unknown option.
        """
        self._check(frames.shape)
        rate = self.dropout_rate if dropout_rate is None else dropout_rate
        images = frames[:, 0].astype(self.dtype)
        x = images
        if self.transform != 'none':
            theta = self._localise(images)
            self.sow('intermediates', 'theta', theta)
        if self.transform == 'input':
            x = sample_grid(layers.at_least_float32(frames[:, 0]), theta, stop_image_gradient=True)
            x = x.astype(self.dtype)
        for first, second in (('conv1', 'conv2'), ('conv3', 'conv4')):
            x = nn.relu(self._conv(FILTERS, 3, first, x))
            x = nn.relu(max_pool(self._conv(FILTERS, 3, second, x), (2, 2), form=self.form))
        x = layers.Dropout(name='dropout1')(x, rate=rate, train=train)
        if self.transform == 'features':
            x = sample_grid(layers.at_least_float32(x), theta).astype(self.dtype)
        x = nn.relu(self._dense(HIDDEN, 'fc1', x.reshape(len(x), -1)))
        return layers.at_least_float32(self._dense(self.num_classes, 'fc2', x))

    def _localise(self, images: jax.Array) -> jax.Array:
        """Regresses theta, float32 [B, 2, 3], from images [B, H, W, C]."""
        x = images
        for number, (features, side) in enumerate(
            zip(LOCALISER_FILTERS, self.localiser_kernels, strict=True), 1
        ):
            x = self._conv(features, side, f'localiser_conv{number}', x)
            x = nn.relu(max_pool(x, (2, 2), form=self.form))
        x = nn.relu(self._dense(LOCALISER_HIDDEN, 'localiser_fc', x.reshape(len(x), -1)))
        identity = jnp.array([1, 0, 0, 0, 1, 0], jnp.float32)
        theta = nn.Dense(
            6,
            kernel_init=nn.initializers.zeros,
            bias_init=lambda key, shape, dtype=jnp.float32: identity.astype(dtype),
            name='localiser_theta',
        )(layers.at_least_float32(x))
        return theta.reshape(-1, 2, 3)

    def _conv(self, features: int, side: int, name: str, x: jax.Array) -> jax.Array:
        kernel_init, bias_init = self._initializers(side * side * x.shape[-1])
        return layers.Conv(
            features, (side, side), kernel_init, bias_init, 'VALID', self.form, name=name
        )(x)

    def _dense(self, units: int, name: str, x: jax.Array) -> jax.Array:
        kernel_init, bias_init = self._initializers(x.shape[-1])
        return nn.Dense(
            units, dtype=x.dtype, kernel_init=kernel_init, bias_init=bias_init, name=name
        )(x)

    def _initializers(self, fan_in: int) -> tuple[layers.Initializer, layers.Initializer]:
        if self.initializer == 'normal':
            return nn.initializers.normal(self.init_std), nn.initializers.zeros
        return layers.pytorch_uniform, layers.uniform_by_fan_in(fan_in)

    def _check(self, shape: tuple[int, ...]) -> None:
        for option, values in (('transform', TRANSFORMS), ('initializer', INITIALIZERS)):
            if getattr(self, option) not in values:
                raise UserError(
                    f'model.{option} is {getattr(self, option)!r}; stn knows {", ".join(values)}'
                )
        if len(self.localiser_kernels) != len(LOCALISER_FILTERS):
            raise UserError(
                f'model.localiser_kernels is {self.localiser_kernels}: give two sides, as (3, 3)'
            )
        _, t, h, w, _ = shape
        if t != 1:
            raise UserError(f'stn classifies images, not clips of {t} frames: set data.frames to 1')
        smallest = max(16, self._smallest()) if self.transform != 'none' else 16
        if min(h, w) < smallest:
            raise UserError(
                f'stn needs images of at least {smallest} x {smallest}, not {h} x {w}: give a '
                'larger data.size or smaller model.localiser_kernels'
            )

    def _smallest(self) -> int:
        """Returns the side of the smallest image that the localiser's layers leave a pixel of."""
        side = 1
        for kernel in reversed(self.localiser_kernels):
            side = 2 * side + kernel - 1
        return side
