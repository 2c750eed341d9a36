"""Copies parameters of the networks into their twins in PyTorch (`benchmark.torch_models`)."""

import numpy as np
import torch
from torch import nn


def copy_conv(layer, params):
    """Copies a convolution's kernel [*window, C, O] to [O, C, *window], and any bias."""
    fill(layer.weight, np.moveaxis(np.asarray(params['kernel']), (-1, -2), (0, 1)))
    if layer.bias is not None:
        fill(layer.bias, params['bias'])


def copy_dense(layer, params, channels_last=None):
    """Copies a linear layer's kernel [inputs, units] to [units, inputs], and the bias.

    Args:
        channels_last: shape (*space, C) of the map that Flax flattens before this layer; PyTorch
            flattens (C, *space).
    """
    kernel = np.asarray(params['kernel'])
    if channels_last is not None:
        kernel = np.moveaxis(kernel.reshape(*channels_last, -1), -2, 0)
    fill(layer.weight, kernel.reshape(-1, kernel.shape[-1]).T)
    fill(layer.bias, params['bias'])


def copy_norm(layer, params, batch_stats):
    """Copies scale, bias and running statistics of a batch normalisation."""
    fill(layer.weight, params['scale'])
    fill(layer.bias, params['bias'])
    fill(layer.running_mean, batch_stats['mean'])
    fill(layer.running_var, batch_stats['var'])


def copy_recurrent(layer, params):
    """Copies the parameters of `fer_jax.models.recurrent.SimpleRecurrent`."""
    fill(layer.weight_ih_l0, np.asarray(params['input']['kernel']).T)
    fill(layer.bias_ih_l0, params['input']['bias'])
    fill(layer.weight_hh_l0, np.asarray(params['recurrent']['kernel']).T)


def copy_slope(layer, params):
    """Copies the slope of a PReLU."""
    fill(layer.weight, np.asarray(params['slope'])[None])


def fill(target, source):
    """Fills a parameter or a buffer; the shapes must be equal."""
    source = torch.tensor(np.ascontiguousarray(source))
    assert source.shape == target.shape
    with torch.no_grad():
        target.copy_(source)


def load_stack(module, params, stats):
    """Copies 'params' and 'batch_stats' of the Flax stack into the twin."""
    for name, block in module.blocks.items():
        conv, *norms = block.children()
        copy_conv(conv, params[f'conv{name}'])
        for norm in norms:
            copy_norm(norm, params[f'norm{name}'], stats[f'norm{name}'])


def load_c3d(module, variables):
    """Copies 'params' and 'batch_stats' of the Flax model into the twin."""
    params, stats = variables['params'], variables['batch_stats']
    for name, block in module.blocks.items():
        conv, norm, act = block.children()
        copy_conv(conv, params[f'conv{name}'])
        copy_norm(norm, params[f'norm{name}'], stats[f'norm{name}'])
        if isinstance(act, nn.PReLU):
            copy_slope(act, params[f'act{name}'])
    for number, block in enumerate(module.dense, 1):
        linear, act, _ = block.children()
        copy_dense(linear, params[f'fc{number}'], module.last_map if number == 1 else None)
        if isinstance(act, nn.PReLU):
            copy_slope(act, params[f'act_fc{number}'])
    copy_dense(module.classifier, params['fc3'])


def load_stn(module, variables):
    """Copies 'params' of the Flax model into the twin."""
    params = variables['params']
    for name, layer in module.named_children():
        if isinstance(layer, nn.Conv2d):
            copy_conv(layer, params[name])
        elif isinstance(layer, nn.Linear):
            flattened = {'fc1': module.last_map}
            if module.transform != 'none':
                flattened['localiser_fc'] = module.localiser_map
            copy_dense(layer, params[name], flattened.get(name))


def load_convlstm(module, variables):
    """Copies 'params' of the Flax model into the twin."""
    params = variables['params']
    for name, conv in module.convs.items():
        copy_conv(conv, params[name])
    copy_convlstm(module.convlstm, params['convlstm'])
    if module.frames is not None:
        load_stack(module.frames, params['frames'], {})
        copy_convlstm(module.frames_convlstm, params['frames_convlstm'])
    copy_dense(module.fc1, params['fc1'], module.last_map)
    copy_dense(module.fc2, params['fc2'])


def copy_convlstm(layer, params):
    kernels = [np.asarray(params[name]['kernel']) for name in ('input', 'recurrent')]
    bias = params['input']['bias']
    copy_conv(layer.conv, {'kernel': np.concatenate(kernels, -2), 'bias': bias})


def load_frame_cnn(module, variables):
    """Copies 'params' and 'batch_stats' of the Flax model into the twin."""
    params, stats = variables['params'], variables.get('batch_stats', {})
    load_stack(module.frames, params['frames'], stats.get('frames', {}))
    for number, layer in enumerate(module.dense, 1):
        copy_dense(layer, params[f'fc{number}'], module.last_map if number == 1 else None)
    for number, layer in enumerate(module.norms, 1):
        copy_norm(layer, params[f'norm_fc{number}'], stats[f'norm_fc{number}'])


def load_plain_cnn(module, variables):
    """Copies 'params' and 'batch_stats' of the Flax model into the twin."""
    params, stats = variables['params'], variables['batch_stats']
    for number, group in enumerate(module.groups, 1):
        for letter, block in group.named_children():
            name = f'{number}{letter}'
            for kind, layer in block.named_children():
                if isinstance(layer, nn.Conv2d):
                    copy_conv(layer, params[f'{kind}{name}'])
                elif isinstance(layer, nn.BatchNorm2d):
                    copy_norm(layer, params[f'{kind}{name}'], stats[f'{kind}{name}'])
    copy_dense(module.classifier, params['classifier'])


def load_rnn(module, variables):
    """Copies 'params' of the Flax model into the twin."""
    params = variables['params']
    copy_recurrent(module.rnn, params['rnn'])
    copy_dense(module.fc1, params['fc1'])


def load_cnn_rnn(module, variables):
    """Copies 'params' of the Flax model into the twin."""
    params = variables['params']
    load_stack(module.frames, params['frames'], {})
    for number, layer in enumerate(module.dense, 1):
        copy_dense(layer, params[f'fc{number}'])
    if module.rnn is None:
        copy_dense(module.classifier, params['fc3'])
    else:
        copy_recurrent(module.rnn, params['rnn'])
        copy_dense(module.classifier, params['classifier'])


LOADERS = {
    'c3d': load_c3d,
    'stn': load_stn,
    'convlstm': load_convlstm,
    'frame_cnn': load_frame_cnn,
    'plain_cnn': load_plain_cnn,
    'rnn': load_rnn,
    'cnn_rnn': load_cnn_rnn,
}
