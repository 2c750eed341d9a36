"""kahou2015's frame networks in PyTorch, layer for layer as `fer_jax.models.frame_cnn`."""

from collections.abc import Sequence
from math import log, prod

import torch
import torch.nn.functional as F
from torch import nn

from fer_jax.benchmark.torch_models.frame_stack import FrameStack
from fer_jax.models.frame_cnn import HIDDEN, STRUCTURES
from fer_jax.models.layers import scaled


class FrameCNN(nn.Module):
    """The twin. Every frame counts: it knows no length.

    Args:
        input_shape: (T, H, W, C) of the clips.
        num_classes, structure, pool, batch_norm, dropout_rate, width: as there.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        num_classes: int,
        structure: str = 'three9',
        pool: int = 0,
        batch_norm: bool = False,
        dropout_rate: float = 0.25,
        width: float = 1.0,
    ):
        super().__init__()
        layout = STRUCTURES[structure].scaled(width)
        if pool:
            layout = layout._replace(pool=pool)
        self.frames = FrameStack(input_shape[1:], layout, batch_norm, dropout_rate)
        self.last_map = list(self.frames.map_shapes.values())[-1]
        units = [scaled(units, width) for units in HIDDEN.get(structure, ())]
        sizes = [prod(self.last_map), *units, num_classes]
        self.dense = nn.ModuleList(map(nn.Linear, sizes, sizes[1:]))
        self.norms = nn.ModuleList(map(nn.BatchNorm1d, units * batch_norm))
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] of clips [B, C, T, H, W]."""
        b, _, t = frames.shape[:3]
        _, x = self.frames(frames.transpose(1, 2).flatten(0, 1))
        x = x.flatten(1)
        for number, layer in enumerate(self.dense[:-1]):
            x = layer(x)
            if self.norms:
                x = self.norms[number](x)
            x = self.dropout(F.relu(x))
        logits = self.dense[-1](x).unflatten(0, (b, t))
        if t == 1:
            return logits[:, 0]
        return logits.log_softmax(-1).logsumexp(1) - log(t)
