"""saurav2020's network in PyTorch, layer for layer as `fer_jax.models.convlstm`."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from fer_jax.benchmark.torch_models.frame_stack import FrameStack
from fer_jax.models.frame_stack import TWO3
from fer_jax.models.layers import scaled
from fer_jax.models.pooling import skip_short_axes

GATES = {'sigmoid': torch.sigmoid, 'hard_sigmoid': lambda x: (0.2 * x + 0.5).clamp(0, 1)}


class ConvLSTM(nn.Module):
    """The twin of the layer: one convolution of each frame beside the state before."""

    def __init__(self, channels: int, features: int, gate: str):
        super().__init__()
        self.conv = nn.Conv2d(channels + features, 4 * features, 3, padding=1)
        self.features, self.gate = features, GATES[gate]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes every frame's state [B, F, T, H, W] of maps [B, C, T, H, W]."""
        hidden = cell = x.new_zeros(len(x), self.features, *x.shape[3:])
        states = []
        for frame in x.unbind(2):
            i, f, g, o = self.conv(torch.cat([frame, hidden], 1)).chunk(4, 1)
            cell = self.gate(f) * cell + self.gate(i) * torch.tanh(g)
            hidden = self.gate(o) * torch.tanh(cell)
            states.append(hidden)
        return torch.stack(states, 2)


class ConvLSTMNet(nn.Module):
    """The twin.

    Args:
        input_shape: (T, H, W, C) of the clips.
        num_classes, filters, pool_after, units, gate, states, hidden, second_branch, freeze,
            dropout_rate, width: as there.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        num_classes: int,
        filters: Sequence[int] = (32, 64, 64),
        pool_after: Sequence[int] = (1, 3),
        units: int = 16,
        gate: str = 'sigmoid',
        states: str = 'last',
        hidden: int = 128,
        second_branch: bool = False,
        freeze: bool = False,
        dropout_rate: float = 0.0,
        width: float = 1.0,
    ):
        super().__init__()
        t, *space, channels = input_shape
        self.last_only = states == 'last'
        self.convs = nn.ModuleDict()
        self._poolings = {}
        features = channels
        for number, units_of in enumerate(filters, 1):
            self.convs[f'conv{number}'] = nn.Conv3d(features, scaled(units_of, width), 3, padding=1)
            features = scaled(units_of, width)
            if number in pool_after:
                window, _, _ = skip_short_axes(space, (2, 2), (2, 2), (0, 0))
                self._poolings[f'conv{number}'] = (1, *window)
                space = [n // w for n, w in zip(space, window, strict=True)]
        units = scaled(units, width)
        self.convlstm = ConvLSTM(features, units, gate)
        self.frames = None
        if second_branch:
            self.frames = FrameStack(input_shape[1:], TWO3.scaled(width)).requires_grad_(not freeze)
            last = list(self.frames.map_shapes.values())[-1]
            self.frames_convlstm = ConvLSTM(last[-1], units, gate)
        self.last_map = ((1,) if self.last_only else (t,)) + (*space, units)
        self.fc1 = nn.Linear(int(np.prod(self.last_map)), scaled(hidden, width))
        self.dropout = nn.Dropout(dropout_rate)
        self.fc2 = nn.Linear(scaled(hidden, width), num_classes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] of clips [B, C, T, H, W]."""
        x = frames
        for name, conv in self.convs.items():
            x = F.relu(conv(x))
            if name in self._poolings:
                x = F.max_pool3d(x, self._poolings[name])
        states = self.convlstm(x)
        if self.frames is not None:
            b, _, t = frames.shape[:3]
            _, maps = self.frames(frames.transpose(1, 2).flatten(0, 1))
            states = states + self.frames_convlstm(maps.unflatten(0, (b, t)).transpose(1, 2))
        x = states[:, :, -1:] if self.last_only else states
        return self.fc2(self.dropout(F.relu(self.fc1(x.flatten(1)))))
