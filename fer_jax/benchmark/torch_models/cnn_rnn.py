"""jain2018's networks in PyTorch, layer for layer as `fer_jax.models.cnn_rnn`."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from fer_jax.benchmark.torch_models.frame_stack import FrameStack
from fer_jax.benchmark.torch_models.recurrent import recurrent
from fer_jax.models.cnn_rnn import FILTERS, HIDDEN, KERNELS, still_steps
from fer_jax.models.frame_stack import Structure
from fer_jax.models.layers import scaled


class CNNRNN(nn.Module):
    """The twin. Every frame counts: it knows no length.

    Args:
        input_shape: (T, H, W, C) of the clips.
        num_classes, rnn, units, depth, kernels, features, stills, steps, freeze, dropout_rate,
            width: as there.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        num_classes: int,
        rnn: str = 'relu',
        units: int = 150,
        depth: int = 6,
        kernels: str = 'mixed',
        features: str = 'fc',
        stills: str = 'rows',
        steps: int = 8,
        freeze: bool = False,
        dropout_rate: float = 0.5,
        width: float = 1.0,
    ):
        super().__init__()
        alone, still = rnn == 'none', input_shape[0] == 1
        self.by_rows = still and not alone and stills == 'rows'
        self.steps = steps if still and not self.by_rows else 1
        self.map_name = f'conv{depth}a' if alone or features == 'fc' else 'pool3'
        depth = 3 if self.map_name == 'pool3' else depth
        structure = Structure(tuple((f,) for f in FILTERS[:depth]), KERNELS[kernels][:depth], 3)
        self.frames = FrameStack(input_shape[1:], structure.scaled(width))
        self.last_map = self.frames.map_shapes[self.map_name]
        self.dense = nn.ModuleList()
        if self.map_name == 'pool3':
            height, across, channels = self.last_map
            inputs = across * channels * (1 if self.by_rows else height)
        else:
            inputs = self.last_map[-1]
            for hidden in HIDDEN:
                self.dense.append(nn.Linear(inputs, scaled(hidden, width)))
                inputs = scaled(hidden, width)
        self.dropout = nn.Dropout(0.0 if freeze else dropout_rate)
        if freeze:
            self.requires_grad_(False)
        self.rnn = None if alone else recurrent(inputs, units, rnn)
        self.classifier = nn.Linear(inputs if alone else units, num_classes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] of clips [B, C, T, H, W]."""
        b, _, t = frames.shape[:3]
        maps, _ = self.frames(frames.transpose(1, 2).flatten(0, 1))
        x = maps[self.map_name].permute(0, 2, 3, 1)
        if self.map_name == 'pool3':
            x = x.flatten(2) if self.by_rows else x.flatten(1)
        else:
            if self.by_rows:
                count = still_steps(frames.shape[3])
                x = F.adaptive_avg_pool1d(x.mean(2).transpose(1, 2), count).transpose(1, 2)
            else:
                x = x.mean((1, 2))
        for layer in self.dense:
            x = self.dropout(F.relu(layer(x)))
        x = x.reshape(b, -1, x.shape[-1])
        if self.rnn is not None:
            return self.classifier(self.rnn(x.repeat(1, self.steps, 1))[1][0])
        logits = self.classifier(x)
        if t == 1:
            return logits[:, 0]
        return logits.softmax(-1).mean(1).log()
