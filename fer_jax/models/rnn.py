"""The clip classifier of kahou2015: an IRNN over features of frames, classified at the end."""

from math import prod

import jax
from flax import linen as nn

from fer_jax.models import layers
from fer_jax.models.recurrent import SimpleRecurrent


class RNN(nn.Module):
    """IRNN over a clip's frames (kahou2015, sec. 2.2, eq. 1 and 2).

    Its frames are features that another network's run made of faces; pixels do as well. A frame's
    map is flattened in the order height, width, channel. Parameters: 'rnn' (see
    `fer_jax.models.recurrent`) and the classifier 'fc1', Glorot's uniform at the start. Maps of
    10 x 10 x 32, after the second pooling of a 40 x 40 face, give with 200 units and 7 classes
    681,607 parameters.

    Attributes:
      num_classes: K.
      units: hidden units.
      activation: 'relu' (the IRNN) or 'tanh'.
      identity_scale: of the IRNN's recurrent weights at the start.
      dropout_rate: of the last state; the paper has none.
      dtype: of the products with the frames, 'float32' or 'bfloat16'; the state is float32.
    """

    num_classes: int
    units: int = 200
    activation: str = 'relu'
    identity_scale: float = 1.0
    dropout_rate: float = 0.0
    dtype: str = 'float32'

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
          frames: float [B, T, H, W, C], or features of any shape [B, T, ...].
          mask: bool [B]; not used, there are no batch statistics.
          length: int32 [B], true number of frames; what follows them changes nothing.
          train: dropout (rng 'dropout').
          dropout_rate: in [0, 1], may be traced; None for the field.

        Returns:
          Logits float32 [B, K]. The last state, float32 [B, units], is sown as 'state' in the
          collection 'intermediates'.

        Raises:
          UserError: unknown activation.
        """
        rate = self.dropout_rate if dropout_rate is None else dropout_rate
        b, t, *shape = frames.shape
        x = frames.reshape(b, t, prod(shape)).astype(self.dtype)
        recurrent = SimpleRecurrent(self.units, self.activation, self.identity_scale, name='rnn')
        state = recurrent(x, length=length)
        self.sow('intermediates', 'state', state)
        state = layers.Dropout(name='dropout1')(state, rate=rate, train=train)
        return nn.Dense(
            self.num_classes,
            kernel_init=nn.initializers.glorot_uniform(),
            dtype=state.dtype,
            name='fc1',
        )(state)
