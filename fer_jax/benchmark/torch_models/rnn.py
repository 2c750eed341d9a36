"""kahou2015's clip classifier in PyTorch, layer for layer as `fer_jax.models.rnn`."""

from collections.abc import Sequence
from math import prod

import torch
from torch import nn

from fer_jax.benchmark.torch_models.recurrent import recurrent


class RNN(nn.Module):
    """The twin. Every frame counts: it knows no length.

    Args:
        input_shape: (T, H, W, C) of the clips.
        num_classes, units, activation, dropout_rate: as there.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        num_classes: int,
        units: int = 200,
        activation: str = 'relu',
        dropout_rate: float = 0.0,
    ):
        super().__init__()
        self.rnn = recurrent(prod(input_shape[1:]), units, activation)
        self.dropout = nn.Dropout(dropout_rate)
        self.fc1 = nn.Linear(units, num_classes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] of clips [B, C, T, H, W]."""
        x = frames.permute(0, 2, 3, 4, 1).flatten(2)
        return self.fc1(self.dropout(self.rnn(x)[1][0]))
