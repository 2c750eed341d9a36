"""minaee2019's network in PyTorch, layer for layer as `fer_jax.models.stn`."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from fer_jax.models.stn import FILTERS, HIDDEN, LOCALISER_FILTERS, LOCALISER_HIDDEN


class SpatialTransformerNet(nn.Module):
    """The twin.

    Args:
        input_shape: (1, H, W, C) of the images.
        num_classes, transform, localiser_kernels, dropout_rate: as there.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        num_classes: int,
        transform: str = 'input',
        localiser_kernels: Sequence[int] = (3, 3),
        dropout_rate: float = 0.5,
    ):
        super().__init__()
        _, height, width, channels = input_shape
        self.transform = transform
        if transform != 'none':
            first, second = localiser_kernels
            self.localiser_conv1 = nn.Conv2d(channels, LOCALISER_FILTERS[0], first)
            self.localiser_conv2 = nn.Conv2d(*LOCALISER_FILTERS, second)
            h, w = (((n - first + 1) // 2 - second + 1) // 2 for n in (height, width))
            self.localiser_map = (h, w, LOCALISER_FILTERS[1])
            self.localiser_fc = nn.Linear(h * w * LOCALISER_FILTERS[1], LOCALISER_HIDDEN)
            self.localiser_theta = nn.Linear(LOCALISER_HIDDEN, 6)
        self.conv1 = nn.Conv2d(channels, FILTERS, 3)
        self.conv2 = nn.Conv2d(FILTERS, FILTERS, 3)
        self.conv3 = nn.Conv2d(FILTERS, FILTERS, 3)
        self.conv4 = nn.Conv2d(FILTERS, FILTERS, 3)
        h, w = (((n - 4) // 2 - 4) // 2 for n in (height, width))
        self.last_map = (h, w, FILTERS)
        self.dropout = nn.Dropout(dropout_rate)
        self.fc1 = nn.Linear(h * w * FILTERS, HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, num_classes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] of images [B, C, 1, H, W]."""
        images = frames[:, :, 0]
        x = images
        if self.transform != 'none':
            theta = self._localise(images)
        if self.transform == 'input':
            x = _sample(x, theta)
        x = F.relu(F.max_pool2d(self.conv2(F.relu(self.conv1(x))), 2))
        x = F.relu(F.max_pool2d(self.conv4(F.relu(self.conv3(x))), 2))
        x = self.dropout(x)
        if self.transform == 'features':
            x = _sample(x, theta)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))

    def _localise(self, images: torch.Tensor) -> torch.Tensor:
        x = F.relu(F.max_pool2d(self.localiser_conv1(images), 2))
        x = F.relu(F.max_pool2d(self.localiser_conv2(x), 2))
        return self.localiser_theta(F.relu(self.localiser_fc(x.flatten(1)))).view(-1, 2, 3)


def _sample(images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
