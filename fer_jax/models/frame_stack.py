"""Convolutions of single frames, in groups that end in a max-pooling: what several papers share."""

from typing import NamedTuple

import jax
from flax import linen as nn

from fer_jax.models import layers
from fer_jax.models.pooling import max_pool, skip_short_axes

# Window, strides and padding by the window's side. Windows of 3 overlap, as in the networks of
# cuda-convnet that kahou2015 cites; both halve an image's sides, 3 rounding up and 2 down.
POOLINGS = {2: ((2, 2), (2, 2), (0, 0)), 3: ((3, 3), (2, 2), (1, 1))}


class Structure(NamedTuple):
    """Of a stack: the filters of each group's convolutions, its kernels' side, the pooling's."""

    filters: tuple[tuple[int, ...], ...]
    sides: tuple[int, ...]
    pool: int

    def scaled(self, width: float) -> 'Structure':
        """Returns the structure with a multiple of the filters."""
        filters = (tuple(layers.scaled(f, width) for f in group) for group in self.filters)
        return self._replace(filters=tuple(filters))


# The network that saw FER2013 for saurav2020's second branch (sec. IV-B gives no more): its first
# branch in two dimensions, so that the maps of both have one size and can be added.
TWO3 = Structure(((32,), (64, 64)), (3, 3), 2)


class FrameStack(nn.Module):
    """Groups of convolution and ReLU, padded to keep the size; each group ends in a max-pooling.

    Parameters: 'conv1a', 'conv1b', 'conv2a', ...: number of the group, letter of the convolution;
    with batch normalisation their convolutions have no bias and 'norm1a', ... follow.

    Attributes:
      structure: filters, kernels and the side of the pooling's windows, 2 or 3.
      kernel_init: of all kernels; biases start at 0.
      batch_norm: batch normalisation before each ReLU.
      form: of convolutions and poolings, see `fer_jax.models.convolution`.
    """

    structure: Structure
    kernel_init: layers.Initializer
    batch_norm: bool = False
    form: str = 'auto'

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        train: bool = False,
        rate: float | jax.Array = 0.0,
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Computes the maps of images.

        Args:
          x: float [N, H, W, C].
          mask: bool [N], False for images that are left out of batch statistics; None for none.
          train: batch statistics and dropout.
          rate: of dropout after each pooling, in [0, 1], may be traced.

        Returns:
          Every layer's map, float [N, h, w, c]: 'conv1a' (after its ReLU), ..., 'pool1' (before
          dropout), 'conv2a', ...; and the last one, after dropout.
        """
        maps, pool = {}, POOLINGS[self.structure.pool]
        groups = zip(self.structure.filters, self.structure.sides, strict=True)
        for number, (filters, side) in enumerate(groups, 1):
            for letter, features in zip('abcd', filters, strict=False):
                name = f'{number}{letter}'
                bias_init = None if self.batch_norm else nn.initializers.zeros
                x = layers.Conv(
                    features,
                    (side, side),
                    self.kernel_init,
                    bias_init,
                    form=self.form,
                    name=f'conv{name}',
                )(x)
                if self.batch_norm:
                    x = layers.BatchNorm(name=f'norm{name}')(x, mask=mask, train=train)
                maps[f'conv{name}'] = x = nn.relu(x)
            geometry = skip_short_axes(x.shape[1:-1], *pool)
            maps[f'pool{number}'] = x = max_pool(x, *geometry, form=self.form)
            x = layers.Dropout(name=f'dropout{number}')(x, rate=rate, train=train)
        return maps, x
