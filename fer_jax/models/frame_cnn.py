"""The networks that kahou2015 trains on still faces and applies to the frames of clips."""

import jax
from flax import linen as nn

from fer_jax.errors import UserError
from fer_jax.models import layers
from fer_jax.models.frame_stack import POOLINGS, TWO3, FrameStack, Structure

# Section 2.1.3. Of the very deep one the paper says 'small 3x3 filter size [26, 29]': this is the
# network of reference 26, with its hidden fully connected layers.
STRUCTURES = {
    'very_deep': Structure(((64, 64), (128, 128), (256,) * 4), (3, 3, 3), 2),
    'three5': Structure(((64,), (64,), (128,)), (5, 5, 5), 3),
    'three9': Structure(((32,), (32,), (64,)), (9, 9, 9), 3),
    'two3': TWO3,
}
HIDDEN = {'very_deep': (1024, 1024)}


class FrameCNN(nn.Module):
    """Convolutions, poolings and a softmax for every frame (kahou2015, sec. 2.1.3).

    Structures: 'very_deep' (eight 3x3 convolutions, two hidden fully connected layers), 'three5'
    (5x5, filters 64-64-128), 'three9' (9x9, 32-32-64, the paper's choice), and 'two3', saurav2020's
    network for FER2013. The paper leaves open all but kernels and filters: here convolutions keep
    the size, each group of them ends in a max-pooling that halves it, and only 'very_deep' has
    hidden fully connected layers. Parameters: 'frames' (see `fer_jax.models.frame_stack`) and the
    fully connected layers 'fc1', ..., of which the last is the classifier; the last map is
    flattened in the order height, width, channel. 48 x 48 x 1 and 7 classes give 12,819,399,
    341,319, 267,687 and 120,263 parameters.

    Features: every layer's output is sown under its name in the collection 'intermediates', float
    [B, T, ...]: 'conv1a' (after its ReLU), 'pool1', 'conv2a', ..., 'hidden1' ('fc1' of 'very_deep',
    after its ReLU), 'hidden2' and 'logits' (before the softmax). The paper's RNN takes 'pool2', its
    aggregated SVM 'logits'.

    Attributes:
      num_classes: K.
      structure: one of the names above.
      pool: side of the pooling's windows, 2 or 3; 0 for the structure's.
      batch_norm: batch normalisation before each ReLU, which the paper has not; of hidden fully
        connected layers, too ('norm_fc1', ...), whose biases stay.
      dropout_rate: after each pooling (as in reference 26) and hidden fully connected layer.
      width: multiplier of all filters and hidden units.
      dtype: of the computation, 'float32' or 'bfloat16'; parameters and statistics are float32.
      form: of convolutions and poolings, see `fer_jax.models.convolution`.
    """

    num_classes: int
    structure: str = 'three9'
    pool: int = 0
    batch_norm: bool = False
    dropout_rate: float = 0.25
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
        """Classifies images, and clips by the mean of their frames' probabilities (sec. 2.3).

        Args:
          frames: float [B, T, H, W, C], normalised as the config says; one frame of 48 x 48 x 1,
            or a crop of it, in the paper's training.
          mask: bool [B], False for rows that are padding, left out of batch statistics.
          length: int32 [B], true number of frames; what follows them counts for nothing.
          train: batch statistics and dropout (rng 'dropout', collection 'batch_stats' mutable).
          dropout_rate: in [0, 1], may be traced; None for the field.

        Returns:
          Logits float32 [B, K].

        Raises:
          UserError: unknown structure, or a pooling window other than 2 or 3.
        """
        if self.structure not in STRUCTURES:
            known = ', '.join(STRUCTURES)
            raise UserError(f'model.structure is {self.structure!r}; frame_cnn knows {known}')
        structure = STRUCTURES[self.structure].scaled(self.width)
        if self.pool:
            structure = structure._replace(pool=self.pool)
        if structure.pool not in POOLINGS:
            known = ' or '.join(map(str, POOLINGS))
            raise UserError(f'model.pool is {self.pool}: give {known}, or 0')
        rate = self.dropout_rate if dropout_rate is None else dropout_rate
        b, t = frames.shape[:2]
        valid = layers.valid_frames(length, b, t)
        rows = valid if mask is None else valid & mask[:, None]
        stack = FrameStack(
            structure,
            layers.he_normal,
            self.batch_norm,
            self.form,
            name='frames',
        )
        images = frames.reshape(b * t, *frames.shape[2:]).astype(self.dtype)
        found, x = stack(images, mask=rows.reshape(-1), train=train, rate=rate)
        x = x.reshape(b * t, -1)
        hidden = HIDDEN.get(self.structure, ())
        for number, units in enumerate(hidden, 1):
            units = layers.scaled(units, self.width)
            x = self._dense(units, f'fc{number}', x)
            if self.batch_norm:
                x = layers.BatchNorm(name=f'norm_fc{number}')(x, mask=rows.reshape(-1), train=train)
            x = nn.relu(x)
            found[f'hidden{number}'] = x
            x = layers.Dropout(name=f'dropout_fc{number}')(x, rate=rate, train=train)
        x = layers.at_least_float32(self._dense(self.num_classes, f'fc{len(hidden) + 1}', x))
        found['logits'] = x
        for name, values in found.items():
            self.sow('intermediates', name, values.reshape(b, t, *values.shape[1:]))
        return layers.average_frames(x.reshape(b, t, -1), valid)

    def _dense(self, units: int, name: str, x: jax.Array) -> jax.Array:
        return nn.Dense(units, dtype=x.dtype, kernel_init=layers.he_normal, name=name)(x)
