"""The convolutional LSTM and the network of saurav2020 that is built on it."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from fer_jax.errors import UserError
from fer_jax.models import layers
from fer_jax.models.convolution import chosen_form
from fer_jax.models.frame_stack import TWO3, FrameStack
from fer_jax.models.pooling import max_pool, skip_short_axes

STATES = ('last', 'all')

glorot: layers.Initializer = nn.initializers.glorot_uniform()


def hard_sigmoid(x: jax.Array) -> jax.Array:
    """Applies Keras's piecewise linear sigmoid, 0.2 x + 0.5 cut to [0, 1] (jax.nn: slope 1/6)."""
    return jnp.clip(0.2 * x + 0.5, 0.0, 1.0)


GATES = {'sigmoid': nn.sigmoid, 'hard_sigmoid': hard_sigmoid}


class ConvLSTM(nn.Module):
    """A convolutional LSTM without peepholes (saurav2020, eq. 1 to 6).

    F = s(Wxf * X + Whf * H + bf), I and O alike, G = tanh(Wxg * X + Whg * H + bg),
    C = C_before . F + G . I, H = tanh(C) . O, where * is a convolution that keeps the size, H is
    the state before and both states start at 0. (Equation 5 prints no * between Who and H.)

    The input's convolutions of all gates and frames are one convolution before the recurrence. C
    is float32 also where the computation is bfloat16. Parameters, in the order of gates I, F, G, O:
    'input' (kernel [k, k, C, 4 features], bias) and 'recurrent' (kernel [k, k, features,
    4 features]), with Keras's starts: Glorot's uniform, orthogonal, biases 0.

    Attributes:
      features: filters of each gate.
      side: k, of all kernels.
      gate: s, 'sigmoid' or 'hard_sigmoid' (Keras's default in 2020).
      unit_forget_bias: whether bf starts at 1 (Keras's default).
      form: of convolutions, see `fer_jax.models.convolution`.
    """

    features: int
    side: int = 3
    gate: str = 'sigmoid'
    unit_forget_bias: bool = True
    form: str = 'auto'

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Computes every frame's H, float [B, T, H, W, features], of maps [B, T, H, W, C]."""
        b, t, *space, _ = x.shape
        conv = partial(layers.Conv, 4 * self.features, (self.side, self.side), form=self.form)
        from_input = conv(glorot, self._bias, name='input')(x.reshape(b * t, *x.shape[2:]))
        from_input = from_input.reshape(b, t, *from_input.shape[1:])
        recurrent = conv(nn.initializers.orthogonal(), name='recurrent')
        gate = GATES[self.gate]

        def step(recurrent, states, from_input):
            hidden, cell = states
            z = layers.at_least_float32(from_input + recurrent(hidden))
            i, f, g, o = jnp.split(z, 4, -1)
            cell = cell * gate(f) + jnp.tanh(g) * gate(i)
            hidden = (jnp.tanh(cell) * gate(o)).astype(hidden.dtype)
            return (hidden, cell), hidden

        # On a CPU the gradient of a convolution inside a loop is many times slower than outside.
        unroll = t if chosen_form(self.form) == 'taps' else 1
        scan = nn.scan(
            step,
            variable_broadcast='params',
            split_rngs={'params': False},
            in_axes=1,
            out_axes=1,
            unroll=unroll,
        )
        start = jnp.zeros((b, *space, self.features), x.dtype)
        _, states = scan(recurrent, (start, layers.at_least_float32(start)), from_input)
        return states

    def _bias(self, key, shape, dtype=jnp.float32):
        forget = (jnp.arange(shape[0]) // self.features == 1).astype(dtype)
        return forget if self.unit_forget_bias else jnp.zeros(shape, dtype)


class ConvLSTMNet(nn.Module):
    """3D CNN and ConvLSTM (saurav2020, sec. III-B and Figure 3).

    Convolutions 3x3x3 with ReLU ('conv1', 'conv2', 'conv3') and max-poolings 1x2x2, a ConvLSTM
    ('convlstm'), its state flattened (height, width, channel), fully connected 'fc1' with ReLU and
    dropout, and the classifier 'fc2'. The figure that would give filters, kernels and the hidden
    units is missing: those here are a reading. 8 x 64 x 64 x 1 gives 16 x 16 x 16 = 4096 inputs of
    'fc1' and, with 7 classes, 738,375 parameters. Kernels start as Keras's do.

    With `second_branch` (sec. IV-B, AFEW) a frame CNN trained on FER2013 ('frames', see
    `fer_jax.models.frame_stack`) feeds a ConvLSTM of its own ('frames_convlstm'), and the states of
    both are added before the fully connected layers: 840,263 parameters. The layer 'frames' is
    that of the model 'frame_cnn' with the structure 'two3'.

    Attributes:
      num_classes: K.
      filters: of the 3D convolutions.
      pool_after: numbers of the convolutions that a pooling follows. The text has 'one 3D
        max-pooling layer' and 'the second max-pool layer', the ConvLSTM's input.
      units: the ConvLSTM's filters.
      gate, unit_forget_bias: see `ConvLSTM`.
      states: what is flattened: the 'last' frame's state or those of 'all' frames.
      hidden: units of 'fc1'.
      second_branch: whether there is one.
      freeze: train the second branch's ConvLSTM but not its CNN (which another run has trained).
      dropout_rate: after 'fc1'; the paper names none.
      width: multiplier of all filters and hidden units, for networks that fit a laptop.
      dtype: of the computation, 'float32' or 'bfloat16'; parameters are float32.
      form: of convolutions and poolings, see `fer_jax.models.convolution`.
    """

    num_classes: int
    filters: tuple[int, ...] = (32, 64, 64)
    pool_after: tuple[int, ...] = (1, 3)
    units: int = 16
    gate: str = 'sigmoid'
    unit_forget_bias: bool = True
    states: str = 'last'
    hidden: int = 128
    second_branch: bool = False
    freeze: bool = False
    dropout_rate: float = 0.0
    width: float = 1.0
    dtype: str = 'float32'
    form: str = 'auto'

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the parameters that training leaves as they are."""
        return ('frames',) if self.second_branch and self.freeze else ()

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
          frames: float [B, T, H, W, C], normalised as the config says; 8 x 64 x 64 x 1 in the
            paper. Maps that have become smaller than a pooling's window are not pooled.
          mask: bool [B]; not used, there are no batch statistics.
          length: int32 [B]; not used, the paper takes 8 equally spaced frames of any clip.
          train: dropout (rng 'dropout').
          dropout_rate: in [0, 1], may be traced; None for the field.

        Returns:
          Logits float32 [B, K].

        Raises:
          UserError: an option outside the values above, or branches whose maps differ in size.
        """
        self._check_options()
        rate = self.dropout_rate if dropout_rate is None else dropout_rate
        scaled = partial(layers.scaled, width=self.width)
        frames = x = frames.astype(self.dtype)
        for number, filters in enumerate(self.filters, 1):
            conv = layers.Conv(
                scaled(filters),
                (3, 3, 3),
                glorot,
                nn.initializers.zeros,
                form=self.form,
                name=f'conv{number}',
            )
            x = nn.relu(conv(x))
            if number in self.pool_after:
                geometry = skip_short_axes(x.shape[1:-1], (1, 2, 2), (1, 2, 2), (0, 0, 0))
                x = max_pool(x, *geometry, form=self.form)
        lstm = partial(
            ConvLSTM,
            scaled(self.units),
            gate=self.gate,
            unit_forget_bias=self.unit_forget_bias,
            form=self.form,
        )
        states = lstm(name='convlstm')(x)
        if self.second_branch:
            others = self._frame_maps(frames)
            if others.shape[2:4] != x.shape[2:4]:
                raise UserError(
                    f'convlstm adds maps of {x.shape[2]} x {x.shape[3]} and, in its second branch, '
                    f'{others.shape[2]} x {others.shape[3]}: give model.pool_after two poolings '
                    'and data.size a multiple of 4'
                )
            states += lstm(name='frames_convlstm')(others)
        x = states[:, -1] if self.states == 'last' else states
        dense = partial(nn.Dense, dtype=x.dtype, kernel_init=glorot)
        x = nn.relu(dense(scaled(self.hidden), name='fc1')(x.reshape(len(x), -1)))
        x = layers.Dropout(name='dropout1')(x, rate=rate, train=train)
        return layers.at_least_float32(dense(self.num_classes, name='fc2')(x))

    def _frame_maps(self, frames: jax.Array) -> jax.Array:
        """Computes the FER2013 network's last maps, float [B, T, h, w, c]."""
        stack = FrameStack(TWO3.scaled(self.width), glorot, form=self.form, name='frames')
        b, t = frames.shape[:2]
        _, x = stack(frames.reshape(b * t, *frames.shape[2:]))
        x = x.reshape(b, t, *x.shape[1:])
        return jax.lax.stop_gradient(x) if self.freeze else x

    def _check_options(self) -> None:
        for option, values in (('gate', tuple(GATES)), ('states', STATES)):
            if getattr(self, option) not in values:
                raise UserError(
                    f'model.{option} is {getattr(self, option)!r}; convlstm knows '
                    f'{", ".join(values)}'
                )
        if not set(self.pool_after) <= set(range(1, len(self.filters) + 1)):
            raise UserError(
                f'model.pool_after is {self.pool_after}: the convolutions are numbered 1 to '
                f'{len(self.filters)}'
            )
