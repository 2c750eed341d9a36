"""The simple recurrent network of kahou2015 and jain2018: the IRNN, and the tanh one beside it."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from fer_jax.errors import UserError
from fer_jax.models import layers

# Of the IRNN's input weights (Le et al. 2015, arXiv 1504.00941, sec. 4).
INPUT_STD = 0.001
ACTIVATIONS = ('relu', 'tanh')


class SimpleRecurrent(nn.Module):
    """h_t = a(W_in x_t + b + W_rec h_(t-1)), h_0 = 0 (kahou2015, eq. 1; jain2018, eq. 4).

    With a = 'relu' it is the IRNN of Le et al. 2015 (kahou2015, sec. 2.2; jain2018, sec. 3.1):
    W_rec starts as `identity_scale` times the identity, W_in from N(0, 0.001), b at 0. With 'tanh'
    it starts as is usual: orthogonal W_rec, Glorot's uniform W_in, b = 0. kahou2015 prints no b.

    W_in meets all frames in one matrix product before the recurrence. The state is float32 also
    where the frames are bfloat16: an IRNN adds up over a whole clip. Parameters: 'input' (W_in
    [D, units], b) and 'recurrent' (W_rec [units, units]), D units + units + units^2 values.

    Attributes:
      units: hidden units, 200 in kahou2015.
      activation: 'relu' or 'tanh'.
      identity_scale: of the IRNN's recurrent weights; kahou2015 has 'scaled variations'.
      every: give the states after all frames, not after a clip's last one alone.
    """

    units: int
    activation: str = 'relu'
    identity_scale: float = 1.0
    every: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, *, length: jax.Array | None = None) -> jax.Array:
        """Computes the state after each clip's last frame.

        Args:
          x: float [B, T, D], features of frames.
          length: int32 [B], true number of frames; what follows them changes nothing. None where
            all T are true; 0 gives zeros.

        Returns:
          float32 [B, units]; with `every` [B, T, units], beyond a clip's length its last state.

        Raises:
          UserError: unknown activation.
        """
        if self.activation not in ACTIVATIONS:
            known = ', '.join(ACTIVATIONS)
            raise UserError(f'activation {self.activation!r} of a recurrent network: give {known}')
        if self.activation == 'relu':
            activate, input_init = nn.relu, nn.initializers.normal(INPUT_STD)
            recurrent_init = _identity(self.identity_scale)
        else:
            activate, input_init = jnp.tanh, nn.initializers.glorot_uniform()
            recurrent_init = nn.initializers.orthogonal()
        b, t, d = x.shape
        project = nn.Dense(self.units, dtype=x.dtype, kernel_init=input_init, name='input')
        # Of flat frames W_in's gradient is a plain product, which a CPU has sooner.
        from_input = project(x.reshape(b * t, d)).reshape(b, t, self.units)
        from_input = layers.at_least_float32(from_input)
        recurrent = nn.Dense(
            self.units,
            use_bias=False,
            dtype=from_input.dtype,
            kernel_init=recurrent_init,
            name='recurrent',
        )

        def step(recurrent, state, frame):
            from_input, valid = frame
            after = activate(from_input + recurrent(state))
            state = jnp.where(valid[:, None], after, state)
            return state, state if self.every else None

        scan = nn.scan(
            step, variable_broadcast='params', split_rngs={'params': False}, in_axes=1, out_axes=1
        )
        start = jnp.zeros((b, self.units), from_input.dtype)
        state, states = scan(recurrent, start, (from_input, layers.valid_frames(length, b, t)))
        return state if states is None else states


def _identity(scale: float) -> layers.Initializer:
    """Returns a multiple of the identity matrix."""

    def init(key, shape, dtype=jnp.float32):
        return scale * jnp.eye(*shape, dtype=dtype)

    return init
