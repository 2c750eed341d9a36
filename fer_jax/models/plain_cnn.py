"""A plain network of 3x3 convolutions for single faces: small, and fast on a CPU.

Nothing but convolution, batch normalisation, ReLU and pooling, so that a trained network is a chain
of convolutions with a bias (`fold`), which any runtime computes fast. Of no paper: the layout is
VGG's (Simonyan and Zisserman 2014, arXiv 1409.1556), the extra branches in training are RepVGG's
(Ding et al. 2021, arXiv 2101.03697).
"""

import string
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from fer_jax.errors import UserError
from fer_jax.models import layers
from fer_jax.models.pooling import max_pool, skip_short_axes

_POOLING = ((2, 2), (2, 2), (0, 0))


class PlainCNN(nn.Module):
    """Groups of 3x3 convolutions, each with batch normalisation and ReLU; then their mean.

    Between groups a max-pooling halves the image. The last group's maps are averaged over
    positions, and one fully connected layer classifies. Of clips the probabilities of the frames
    are averaged.

    Parameters: 'conv1a', 'norm1a', ... (number of the group, letter of the convolution), with
    `branches` also 'point1a' and 'norm_point1a' (the 1x1 convolution) and, where a convolution has
    as many inputs as outputs, 'norm_skip1a'; 'classifier'. Filters 24-48-96-160 with 1, 2, 2 and 2
    convolutions and 8 classes are 526,928 parameters.

    Features, sown in the collection 'intermediates', float [B, T, ...]: 'map1a' (after its ReLU),
    'pool1', ..., 'mean' (what the classifier sees) and 'logits'.

    Attributes:
        num_classes: K.
        filters: of each group's convolutions.
        convolutions: how many each group has, at most 26.
        branches: train each convolution as the sum of a 3x3, a 1x1 and, where shapes agree, no
            convolution, each with a batch normalisation of its own.
        dropout_rate: before the classifier.
        folded: with biases in place of batch normalisation and branches; the parameters come from
            `fold`. Not for training.
        dtype: of the computation, 'float32' or 'bfloat16'; parameters and statistics are float32.
        form: of convolutions and poolings, see `fer_jax.models.convolution`.
    """

    num_classes: int
    filters: Sequence[int] = (24, 48, 96, 160)
    convolutions: Sequence[int] = (1, 2, 2, 2)
    branches: bool = False
    dropout_rate: float = 0.3
    folded: bool = False
    dtype: str = 'float32'
    form: str = 'auto'

    @nn.compact
    def __call__(
        self,
        frames: jax.Array,
        *,
        mask: jax.Array | None = None,
        length: jax.Array | None = None,
        train: bool = False,
        dropout_rate: float | jax.Array | None = None,
    ) -> jax.Array:
        """Classifies images, and clips by the mean of their frames' probabilities.

        Args:
            frames: float [B, T, H, W, C], normalised as the config says.
            mask: bool [B], False for rows that are padding, left out of batch statistics.
            length: int32 [B], true number of frames; what follows them counts for nothing.
            train: batch statistics and dropout (rng 'dropout', collection 'batch_stats' mutable).
            dropout_rate: in [0, 1], may be traced; None for the field.

        Returns:
            Logits float32 [B, K].

        Raises:
            UserError: unequal numbers of groups, or a group without a convolution.
        """
        if len(self.filters) != len(self.convolutions) or not all(
            0 < n <= len(string.ascii_lowercase) for n in self.convolutions
        ):
            raise UserError(
                f'model.filters is {tuple(self.filters)}, model.convolutions '
                f'{tuple(self.convolutions)}: give both one number for each group, 1 to 26 '
                'convolutions'
            )
        b, t = frames.shape[:2]
        valid = layers.valid_frames(length, b, t)
        rows = (valid if mask is None else valid & mask[:, None]).reshape(-1)
        x = frames.reshape(b * t, *frames.shape[2:]).astype(self.dtype)
        found = {}
        for group, (features, n) in enumerate(zip(self.filters, self.convolutions, strict=True), 1):
            if group > 1:
                geometry = skip_short_axes(x.shape[1:-1], *_POOLING)
                found[f'pool{group - 1}'] = x = max_pool(x, *geometry, form=self.form)
            for letter in string.ascii_lowercase[:n]:
                name = f'{group}{letter}'
                found[f'map{name}'] = x = nn.relu(self._block(x, features, name, rows, train))
        found['mean'] = x = layers.at_least_float32(x).mean((1, 2))
        rate = self.dropout_rate if dropout_rate is None else dropout_rate
        x = layers.Dropout(name='dropout')(x, rate=rate, train=train)
        x = nn.Dense(self.num_classes, kernel_init=layers.he_normal, name='classifier')(x)
        found['logits'] = x
        for name, values in found.items():
            self.sow('intermediates', name, values.reshape(b, t, *values.shape[1:]))
        return layers.average_frames(x.reshape(b, t, -1), valid)

    def _block(self, x, features, name, rows, train):
        """Applies a convolution and what normalises it, before the ReLU."""

        def convolved(side, kind, bias_init=None):
            return layers.Conv(
                features, (side, side), layers.he_normal, bias_init, form=self.form,
                name=f'{kind}{name}',
            )(x)  # fmt: skip

        def normalised(values, kind):
            return layers.BatchNorm(name=f'{kind}{name}')(values, mask=rows, train=train)

        if self.folded:
            return convolved(3, 'conv', nn.initializers.zeros)
        total = normalised(convolved(3, 'conv'), 'norm')
        if self.branches:
            total += normalised(convolved(1, 'point'), 'norm_point')
            if x.shape[-1] == features:
                total += normalised(x, 'norm_skip')
        return total


def fold(variables: Mapping) -> dict:
    """Returns parameters for `PlainCNN(folded=True)` that compute what a trained network does.

    A batch normalisation multiplies and adds per channel, so that it goes into the kernel before it
    and a bias; a 1x1 convolution and the identity are 3x3 kernels with zeros around (RepVGG,
    sec. 3.3).

    Args:
        variables: 'params' and 'batch_stats' of a network that is not folded.

    Returns:
        'params' of the folded one, float32 on the host.
    """
    params, statistics = variables['params'], variables['batch_stats']

    def normaliser(name):
        own, seen = params[name], statistics[name]
        factor = own['scale'] / np.sqrt(np.asarray(seen['var']) + layers.BatchNorm.epsilon)
        return np.asarray(factor), np.asarray(own['bias'] - seen['mean'] * factor)

    folded = {'classifier': jax.tree.map(np.asarray, dict(params['classifier']))}
    for conv in (name for name in params if name.startswith('conv')):
        name = conv.removeprefix('conv')
        kernel = np.array(params[conv]['kernel'])
        factor, bias = normaliser(f'norm{name}')
        kernel *= factor
        inputs, outputs = kernel.shape[2:]
        if f'point{name}' in params:
            factor, more = normaliser(f'norm_point{name}')
            kernel[1, 1] += np.asarray(params[f'point{name}']['kernel'])[0, 0] * factor
            bias = bias + more
        if f'norm_skip{name}' in params:
            factor, more = normaliser(f'norm_skip{name}')
            kernel[1, 1] += np.eye(inputs, outputs, dtype=np.float32) * factor
            bias = bias + more
        folded[conv] = {'kernel': kernel, 'bias': bias}
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), folded)
