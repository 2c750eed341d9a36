"""haddad2020's network in PyTorch, layer for layer as `fer_jax.models.c3d`."""

from collections.abc import Sequence

import torch
from torch import nn

from fer_jax.models.c3d import HIDDEN, POOLINGS, group_filters
from fer_jax.models.layers import scaled
from fer_jax.models.pooling import skip_short_axes

ACTIVATIONS = {
    'relu': nn.ReLU,
    'elu': nn.ELU,
    'prelu': nn.PReLU,
    'leaky_relu': nn.LeakyReLU,
    'mish': nn.Mish,
}


class C3D(nn.Module):
    """The twin.

    Args:
        input_shape: (T, H, W, C) of the clips.
        num_classes, activation, temporal_size, pooling, second_conv, dropout_rate, width: as there.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        num_classes: int,
        activation: str = 'relu',
        temporal_size: int = 3,
        pooling: str = 'avg',
        second_conv: bool = False,
        dropout_rate: float = 0.2511,
        width: float = 1.0,
    ):
        super().__init__()
        *space, channels = input_shape
        window, margins = (temporal_size, 3, 3), (temporal_size // 2, 1, 1)
        pool = {'avg': nn.AvgPool3d, 'max': nn.MaxPool3d}[pooling]
        self.blocks = nn.ModuleDict()
        stages = []
        for number, filters in enumerate(group_filters(second_conv), 1):
            for letter, features in zip('ab', filters, strict=False):
                features = scaled(features, width)
                block = nn.Sequential(
                    nn.Conv3d(channels, features, window, padding=margins, bias=False),
                    nn.BatchNorm3d(features),
                    ACTIVATIONS[activation](),
                )
                self.blocks[f'{number}{letter}'] = block
                stages.append(block)
                channels = features
            geometry = skip_short_axes(space, *POOLINGS[number - 1])
            stages.append(pool(*geometry))
            space = [(n + 2 * p - w) // s + 1 for n, w, s, p in zip(space, *geometry, strict=True)]
        self.last_map = (*space, channels)
        self.dense = nn.ModuleList()
        units = channels * space[0] * space[1] * space[2]
        stages.append(nn.Flatten())
        for hidden in HIDDEN:
            block = nn.Sequential(
                nn.Linear(units, scaled(hidden, width)),
                ACTIVATIONS[activation](),
                nn.Dropout(dropout_rate),
            )
            self.dense.append(block)
            stages.append(block)
            units = scaled(hidden, width)
        self.classifier = nn.Linear(units, num_classes)
        self._stages = tuple(stages)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] of clips [B, C, T, H, W]."""
        x = frames
        for stage in self._stages:
            x = stage(x)
        return self.classifier(x)
