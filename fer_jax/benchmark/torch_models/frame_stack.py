"""Convolutions of single frames in PyTorch, layer for layer as `fer_jax.models.frame_stack`."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from fer_jax.models.frame_stack import POOLINGS, Structure
from fer_jax.models.pooling import skip_short_axes


class FrameStack(nn.Module):
    """The twin.

    Args:
        shape: (H, W, C) of the images.
        structure, batch_norm: as there.
        rate: of dropout after each pooling.
    """

    def __init__(
        self, shape: Sequence[int], structure: Structure, batch_norm: bool = False, rate: float = 0
    ):
        super().__init__()
        *space, channels = shape
        self.blocks = nn.ModuleDict()
        self.dropout = nn.Dropout(rate)
        self._poolings, self.map_shapes = {}, {}
        groups = zip(structure.filters, structure.sides, strict=True)
        for number, (filters, side) in enumerate(groups, 1):
            for letter, features in zip('abcd', filters, strict=False):
                conv = nn.Conv2d(channels, features, side, padding=side // 2, bias=not batch_norm)
                norm = [nn.BatchNorm2d(features)] * batch_norm
                self.blocks[f'{number}{letter}'] = nn.Sequential(conv, *norm)
                channels = features
            last = f'{number}{letter}'
            self._poolings[last] = geometry = skip_short_axes(space, *POOLINGS[structure.pool])
            self.map_shapes[f'conv{last}'] = (*space, channels)
            space = [(n + 2 * p - w) // s + 1 for n, w, s, p in zip(space, *geometry, strict=True)]
            self.map_shapes[f'pool{number}'] = (*space, channels)

    def forward(self, x: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Computes the groups' last maps [N, c, h, w], before and after pooling.

        Args:
            x: images [N, C, H, W].

        Returns:
            The maps by name, and the last of all again, after dropout.
        """
        maps = {}
        for name, block in self.blocks.items():
            x = F.relu(block(x))
            if name in self._poolings:
                maps[f'conv{name}'] = x
                maps[f'pool{name[:-1]}'] = x = F.max_pool2d(x, *self._poolings[name])
                x = self.dropout(x)
        return maps, x
