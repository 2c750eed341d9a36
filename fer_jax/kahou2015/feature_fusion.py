"""The feature fusion network: hidden layers of each modality, then one of all (kahou2015, 5.1)."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from fer_jax.errors import UserError
from fer_jax.models import layers

# Names of the layers in the parameters: 'modality1', 'modality2', ..., 'common', 'output'.
MODALITY, COMMON, OUTPUT = 'modality', 'common', 'output'


def rectified_tanh(x: jax.Array) -> jax.Array:
    """Computes RectTanh, max(0, tanh(x)) (kahou2015, sec. 6.2)."""
    return jnp.maximum(0, jnp.tanh(x))


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'sigmoid': nn.sigmoid,
    'relu': nn.relu,
    'rectified_tanh': rectified_tanh,
}


class FeatureFusion(nn.Module):
    """A hidden layer for each modality, concatenated into a common one, then classes (figure 3).

    The paper's inputs are the aggregated CNN's 105 values, the first 10 whitened components of the
    sound, and the RNN's 200 last hidden values, whose layers have 100, 10 and 50 units: 160 enter
    the common layer of 70. With 7 classes that makes 32,527 parameters. Weights start from Glorot's
    uniform distribution and biases from 0 (missing in the paper).

    Attributes:
        num_classes: K.
        units: of each modality's layer, in the order of the features.
        common: units of the common layer.
        activation: of all hidden layers, one of ACTIVATIONS.
    """

    num_classes: int
    units: tuple[int, ...] = (100, 10, 50)
    common: int = 70
    activation: str = 'sigmoid'

    @nn.compact
    def __call__(
        self,
        features: Sequence[jax.Array],
        *,
        train: bool = False,
        dropout_rate: float | jax.Array = 0.0,
    ) -> jax.Array:
        """Classifies clips.

        Args:
            features: of each modality, float32 [clip, feature].
            train: dropout (rng 'dropout').
            dropout_rate: of every hidden layer's output, in [0, 1], may be traced.

        Returns:
            Logits float32 [clip, K].

        Raises:
            UserError: as many features as there are no layers for.
        """
        if len(features) != len(self.units):
            raise UserError(
                f'the fusion network has layers for {len(self.units)} modalities and is given '
                f'{len(features)}: name the units of one layer for each'
            )

        def hidden(name: str, units: int, x: jax.Array) -> jax.Array:
            x = ACTIVATIONS[self.activation](self._dense(name, units)(x))
            dropout = layers.Dropout(name=f'dropout_{name}')
            return dropout(x, rate=dropout_rate, train=train)

        own = [
            hidden(f'{MODALITY}{number}', units, x)
            for number, (units, x) in enumerate(zip(self.units, features, strict=True), 1)
        ]
        x = hidden(COMMON, self.common, jnp.concatenate(own, -1))
        return self._dense(OUTPUT, self.num_classes)(x)

    def _dense(self, name: str, units: int) -> nn.Dense:
        return nn.Dense(units, kernel_init=nn.initializers.glorot_uniform(), name=name)
