"""The networks of jain2018: a CNN of six convolutions alone, and a recurrent network behind it."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from fer_jax.errors import UserError
from fer_jax.models import layers, recurrent
from fer_jax.models.frame_stack import FrameStack, Structure

# Figure 2: filters and hidden units.
FILTERS = (8, 16, 32, 64, 128, 256)
HIDDEN = (200, 200)
# Figure 2 has 'of size 5x5 and 3x3', section 3.1 'expanded the filter size from 3 to 5'.
KERNELS = {'mixed': (5, 5, 5, 3, 3, 3), 'all5': (5,) * 6}
# The CNN's parameters, of which both networks have the same.
CNN = ('frames', 'fc1', 'fc2')
OPTIONS = {
    'rnn': ('none', *recurrent.ACTIVATIONS),
    'depth': (4, 5, 6),
    'kernels': tuple(KERNELS),
    'features': ('fc', 'pool3'),
    'stills': ('rows', 'repeat'),
    'outputs': ('last', 'average'),
}


class CNNRNN(nn.Module):
    """Hybrid CNN-RNN and its CNN alone (jain2018, sec. 3.1 to 3.3, Figures 2 and 3).

    CNN ('frames', see `fer_jax.models.frame_stack`): convolutions that keep the size with ReLU,
    each but the last followed by a 3x3 max-pooling at strides of 2; the last map's average over the
    image; fully connected 'fc1' and 'fc2', each with ReLU and dropout. Alone (`rnn` 'none') 'fc3'
    classifies: 496,783 parameters with one channel and 7 classes. Else 'rnn' (see
    `fer_jax.models.recurrent`) runs over a sequence of feature vectors and 'classifier' classifies
    its last state: 549,083 parameters with 150 units. The CNN's parameters have the same names in
    both, for one to start from the other.

    A clip's frames are the sequence. A still has none, and the paper classifies stills: its rows
    can be the sequence, top to bottom (ReNet, the paper's reference 28), or the same image again.
    Every depth reads as many rows as six convolutions leave (`still_steps`, 3 of 96 pixels): the
    higher maps of four and five are averaged over so many bands, so that Table 3 varies the depth
    alone. A clip of one frame (`length` 1) among longer ones is a still as well.

    Sown in 'intermediates', float [B, T, ...]: 'conv1a' (after its ReLU), 'pool1', ..., 'hidden1',
    'hidden2' (after their ReLUs; of stills alone of their rows, where they are the sequence) and,
    of the CNN alone, 'logits'; of the recurrent network 'state', its last one [B, units].

    Attributes:
      num_classes: K.
      rnn: 'relu' (the IRNN), 'tanh', or 'none' for the CNN alone.
      units: hidden units of the recurrent network; Table 2 has 50, 100, 150 (the best) and 200.
      identity_scale: of the IRNN's recurrent weights at the start.
      depth: number of convolutions, 4, 5 or 6 (Table 3).
      kernels: 'mixed' (5, 5, 5, 3, 3, 3) or 'all5'.
      features: 'fc' (sec. 3.3: the 200 values of 'fc2'; of a still's row those of the last map's
        average over that band) or 'pool3' (sec. 3.1: the third convolution's map after pooling;
        the layers after it are not built).
      stills: the sequence of a still: its 'rows' or 'repeat'. With 'pool3', whose rows are not of
        a frame's size, a still among clips is repeated.
      steps: how often an image is repeated; the paper's P has no value.
      outputs: what is judged: the 'last' state's (Figure 3), or the 'average' of the probabilities
        after every step (sec. 3.3: every node returns a result).
      freeze: train the recurrent network but not the CNN, which another run has trained (sec.
        3.3), and run the CNN as in evaluation.
      dropout_rate: after 'fc1' and 'fc2'.
      width: multiplier of all filters and hidden units but the recurrent network's.
      dtype: of the CNN's computation, 'float32' or 'bfloat16'; parameters and the recurrent
        network's state are float32.
      form: of convolutions and poolings, see `fer_jax.models.convolution`.
    """

    num_classes: int
    rnn: str = 'relu'
    units: int = 150
    identity_scale: float = 1.0
    depth: int = 6
    kernels: str = 'mixed'
    features: str = 'fc'
    stills: str = 'rows'
    steps: int = 8
    outputs: str = 'last'
    freeze: bool = False
    dropout_rate: float = 0.5
    width: float = 1.0
    dtype: str = 'float32'
    form: str = 'auto'

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the parameters that training leaves as they are."""
        return CNN if self.freeze else ()

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
        """Classifies stills or clips.

        Args:
          frames: float [B, T, H, W, C], normalised as the config says.
          mask: bool [B]; not used, there are no batch statistics.
          length: int32 [B], true number of frames; what follows them changes nothing.
          train: dropout (rng 'dropout').
          dropout_rate: in [0, 1], may be traced; None for the field.

        Returns:
          Logits float32 [B, K]; of the CNN alone those of the mean of the frames' probabilities.

        Raises:
          UserError: an option outside the values above.
        """
        self._check_options()
        rate = self.dropout_rate if dropout_rate is None else dropout_rate
        b, t = frames.shape[:2]
        alone, rows = self.rnn == 'none', self.stills == 'rows'
        images = frames.reshape(b * t, *frames.shape[2:]).astype(self.dtype)
        if self.features == 'pool3' and not alone:
            rows &= t == 1
            x = self._maps(images, 3, b)['pool3']
            x = x.reshape(b, x.shape[1] if rows else t, -1)
        else:
            rows &= not alone and (t == 1 or length is not None)
            maps = self._maps(images, self.depth, b)[f'conv{self.depth}a']
            x = maps.mean((1, 2)).reshape(b, t, -1)
            if rows:
                of_first = maps.reshape(b, t, *maps.shape[1:])[:, 0].mean(2)
                of_first = in_bands(of_first, still_steps(frames.shape[2]))
                x = of_first if t == 1 else jnp.concatenate([x, of_first], 1)
            for number, units in enumerate(HIDDEN, 1):
                x = nn.relu(self._dense(layers.scaled(units, self.width), f'fc{number}', x))
                self.sow('intermediates', f'hidden{number}', x if t == 1 else x[:, :t])
                dropout = layers.Dropout(name=f'dropout{number}')
                x = dropout(x, rate=rate, train=train and not self.freeze)
        if alone:
            x = layers.at_least_float32(self._dense(self.num_classes, 'fc3', x))
            self.sow('intermediates', 'logits', x)
            return layers.average_frames(x, layers.valid_frames(length, b, t))
        if self.freeze:
            x = jax.lax.stop_gradient(x)
        clips, stills = x[:, :t], jnp.repeat(x[:, :1], self.steps, 1)
        if rows:
            stills = x if t == 1 else x[:, t:]
        if t == 1:
            x, length = stills, None
        elif length is None:
            x = clips
        else:
            x, length = _sequences(clips, stills, length)
        every = self.outputs == 'average'
        network = recurrent.SimpleRecurrent(
            self.units, self.rnn, self.identity_scale, every, name='rnn'
        )
        states = network(x, length=length)
        self.sow('intermediates', 'state', states[:, -1] if every else states)
        logits = self._dense(self.num_classes, 'classifier', states)
        if not every:
            return logits
        return layers.average_frames(logits, layers.valid_frames(length, b, x.shape[1]))

    def _maps(self, images: jax.Array, depth: int, b: int) -> dict[str, jax.Array]:
        """Computes and sows the first `depth` convolutions' maps of images [B T, H, W, C]."""
        structure = Structure(
            tuple((f,) for f in FILTERS[:depth]), KERNELS[self.kernels][:depth], 3
        )
        stack = FrameStack(
            structure.scaled(self.width), layers.he_normal, form=self.form, name='frames'
        )
        maps, _ = stack(images)
        for name, values in maps.items():
            self.sow('intermediates', name, values.reshape(b, -1, *values.shape[1:]))
        return maps

    def _dense(self, units: int, name: str, x: jax.Array) -> jax.Array:
        return nn.Dense(units, dtype=x.dtype, kernel_init=layers.he_normal, name=name)(x)

    def _check_options(self) -> None:
        for option, values in OPTIONS.items():
            if getattr(self, option) not in values:
                known = ', '.join(map(str, values))
                raise UserError(
                    f'model.{option} is {getattr(self, option)!r}; cnn_rnn knows {known}'
                )


def still_steps(height: int) -> int:
    """Returns how many steps a still's rows make: rows of six convolutions' last map.

    Args:
      height: of the image in pixels; each of the five poolings halves it, rounding up.
    """
    return -(-height // 2 ** (len(FILTERS) - 1))


def in_bands(rows: jax.Array, count: int) -> jax.Array:
    """Averages rows [B, R, D] over `count` bands, top to bottom, [B, count, D].

    Band i is of the rows from floor(i R / count) to ceil((i + 1) R / count), so that bands share a
    row where `count` does not divide R.
    """
    given = rows.shape[1]
    if given == count:
        return rows
    ends = [(i * given // count, -(-(i + 1) * given // count)) for i in range(count)]
    return jnp.stack([rows[:, start:end].mean(1) for start, end in ends], 1)


def _sequences(
    clips: jax.Array, stills: jax.Array, length: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns each clip's own sequence, of a clip of one frame a still's, and their lengths.

    Args:
      clips: float [B, T, D], one vector a frame.
      stills: float [B, S, D], the sequence of each clip's first frame as a still.
      length: int32 [B], frames of each.

    Returns:
      float [B, max(T, S), D], and int32 [B].
    """
    count = jnp.where(length == 1, stills.shape[1], length)
    steps = max(clips.shape[1], stills.shape[1])
    clips, stills = (jnp.pad(x, ((0, 0), (0, steps - x.shape[1]), (0, 0))) for x in (clips, stills))
    return jnp.where((length == 1)[:, None, None], stills, clips), count
