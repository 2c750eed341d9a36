"""The plain network in PyTorch, layer for layer as `fer_jax.models.plain_cnn`."""

import string
from collections.abc import Sequence
from math import log

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """A convolution with what normalises it, and its branches."""

    def __init__(self, inputs: int, outputs: int, branches: bool):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.point = nn.Conv2d(inputs, outputs, 1, bias=False) if branches else None
        self.norm_point = nn.BatchNorm2d(outputs) if branches else None
        self.norm_skip = nn.BatchNorm2d(outputs) if branches and inputs == outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [N, inputs, h, w] to [N, outputs, h, w], after the ReLU."""
        total = self.norm(self.conv(x))
        if self.point is not None and self.norm_point is not None:
            total = total + self.norm_point(self.point(x))
        if self.norm_skip is not None:
            total = total + self.norm_skip(x)
        return F.relu(total)


class PlainCNN(nn.Module):
    """The twin. Every frame counts: it knows no length.

    Args:
        input_shape: (T, H, W, C) of the clips.
        num_classes, filters, convolutions, branches, dropout_rate: as there.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        num_classes: int,
        filters: Sequence[int] = (24, 48, 96, 160),
        convolutions: Sequence[int] = (1, 2, 2, 2),
        branches: bool = False,
        dropout_rate: float = 0.3,
    ):
        super().__init__()
        inputs = input_shape[-1]
        self.groups = nn.ModuleList()
        for features, n in zip(filters, convolutions, strict=True):
            group = nn.ModuleDict()
            for letter in string.ascii_lowercase[:n]:
                group[letter] = Block(inputs, features, branches)
                inputs = features
            self.groups.append(group)
        self.dropout = nn.Dropout(dropout_rate)
        self.classifier = nn.Linear(inputs, num_classes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] of clips [B, C, T, H, W]."""
        b, _, t = frames.shape[:3]
        x = frames.transpose(1, 2).flatten(0, 1)
        for number, group in enumerate(self.groups):
            if number:
                x = F.max_pool2d(x, [min(2, side) for side in x.shape[2:]])
            for block in group.children():
                x = block(x)
        logits = self.classifier(self.dropout(x.mean((2, 3)))).unflatten(0, (b, t))
        if t == 1:
            return logits[:, 0]
        return logits.log_softmax(-1).logsumexp(1) - log(t)
