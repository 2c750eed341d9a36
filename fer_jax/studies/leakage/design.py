"""One small network that the laboratory trains, its settings, and the clips it is trained on."""

import dataclasses
import itertools

from fer_jax import models
from fer_jax.training.step import System

# Clips as the small network sees them: neutral to apex, eyes registered.
DATA = {
    'name': 'ckplus',
    'faces': 'release',
    'labels': '',
    'frames': 4,
    'sampling': 'uniform',
    'size': 32,
    'channels': 1,
    'registration': 'eyes',
    'margin': 1.0,
}
# The network of haddad2020 (fer_jax.models.c3d) at a sixteenth of its width.
MODEL = {
    'name': 'c3d',
    'activation': 'elu',
    'temporal_size': 3,
    'initializer': 'xavier_uniform',
    'pooling': 'max',
    'second_conv': False,
    'width': 0.0625,
}
# Of a copy: flip, angle in degrees, shift and change of size as fractions, change of contrast.
AUGMENTATION = {'flip': 0.5, 'rotation': 10.0, 'shift': 0.04, 'scale': 0.06, 'contrast': 0.2}


@dataclasses.dataclass(frozen=True)
class LeakageDesign:
    """The sizes of the measurement; the same on the leaking and on the honest side.

    Attributes:
      folds: of every division.
      copies: of each clip, the original among them.
      inner: one part in so many of the training subjects chooses (epoch, setting).
      epochs: of every network.
      batch_size: of every step.
      learning_rates, dropout_rates: their product is the grid of settings.
      reference: index into `settings` of the one under which epochs and divisions are compared.
    """

    folds: int = 5
    copies: int = 3
    inner: int = 5
    epochs: int = 10
    batch_size: int = 16
    learning_rates: tuple[float, ...] = (5e-4, 1e-3, 2e-3)
    dropout_rates: tuple[float, ...] = (0.1, 0.5)
    reference: int = 2

    @property
    def settings(self) -> list[tuple[float, float]]:
        """The grid, (learning rate, dropout rate)."""
        return list(itertools.product(self.learning_rates, self.dropout_rates))


def make_system(classes: int) -> System:
    """Makes the network, Adam at a constant rate (haddad2020, sec. 3.1), grey levels in [0, 1]."""
    options = dict(MODEL)
    model = models.build(options.pop('name'), num_classes=classes, **options)
    return System(
        model,
        optimizer={'name': 'adam', 'schedule': 'constant'},
        inputs={'normalize': 'unit', 'channels': 1},
    )
