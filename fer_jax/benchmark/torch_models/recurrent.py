"""The layout that parameters of Flax layers have in the PyTorch layers of the twins."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn


def copy_conv(layer: nn.Module, params: Mapping) -> None:
    """Copies a convolution's kernel [*window, C, O] to [O, C, *window], and any bias."""
    _copy(layer.weight, np.moveaxis(np.asarray(params['kernel']), (-1, -2), (0, 1)))
    if layer.bias is not None:
        _copy(layer.bias, params['bias'])


def copy_dense(
    layer: nn.Module, params: Mapping, channels_last: Sequence[int] | None = None
) -> None:
    """Copies a linear layer's kernel [inputs, units] to [units, inputs], and the bias.

    Args:
        layer: takes them over.
        params: 'kernel' and 'bias'.
        channels_last: shape (*space, C) of the map that Flax flattens before this layer; PyTorch
            flattens (C, *space).
    """
    kernel = np.asarray(params['kernel'])
    if channels_last is not None:
        kernel = np.moveaxis(kernel.reshape(*channels_last, -1), -2, 0)
    _copy(layer.weight, kernel.reshape(-1, kernel.shape[-1]).T)
    _copy(layer.bias, params['bias'])


def copy_norm(layer: nn.Module, params: Mapping, batch_stats: Mapping) -> None:
    """Copies scale, bias and running statistics of a batch normalisation."""
    _copy(layer.weight, params['scale'])
    _copy(layer.bias, params['bias'])
    _copy(layer.running_mean, batch_stats['mean'])
    _copy(layer.running_var, batch_stats['var'])


def recurrent(inputs: int, units: int, activation: str) -> nn.RNN:
    """PyTorch's simple recurrent network, batch first, with one bias: its second stays at zero."""
    layer = nn.RNN(inputs, units, nonlinearity=activation, batch_first=True)
    second = layer.get_parameter('bias_hh_l0')
    nn.init.zeros_(second).requires_grad_(False)
    return layer


def copy_recurrent(layer: nn.RNN, params: Mapping) -> None:
    """Copies the parameters of `fer_jax.models.recurrent.SimpleRecurrent`."""
    _copy(layer.weight_ih_l0, np.asarray(params['input']['kernel']).T)
    _copy(layer.bias_ih_l0, params['input']['bias'])
    _copy(layer.weight_hh_l0, np.asarray(params['recurrent']['kernel']).T)


def copy_slope(layer: nn.Module, params: Mapping) -> None:
    """Copies the slope of a PReLU."""
    _copy(layer.weight, np.asarray(params['slope'])[None])


def _copy(target: torch.Tensor | nn.Module | None, source) -> None:
    """Fills a parameter or a buffer; the shapes must be equal."""
    if not isinstance(target, torch.Tensor):
        raise TypeError(f'{target} is no tensor')
    source = torch.tensor(np.ascontiguousarray(source))
    if source.shape != target.shape:
        raise ValueError(f'parameters of shape {tuple(source.shape)} for {tuple(target.shape)}')
    with torch.no_grad():
        target.copy_(source)
