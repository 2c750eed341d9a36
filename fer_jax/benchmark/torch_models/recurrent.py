"""The recurrent layer that two twins have."""

from torch import nn


def recurrent(inputs: int, units: int, activation: str) -> nn.RNN:
    """PyTorch's simple recurrent network, batch first, with one bias: its second stays at zero."""
    layer = nn.RNN(inputs, units, nonlinearity=activation, batch_first=True)
    second = layer.get_parameter('bias_hh_l0')
    nn.init.zeros_(second).requires_grad_(False)
    return layer
