"""Shared parts of jain2018's configs: networks, recipe, a laptop's size, and what is left open."""

from typing import Any

from ml_collections import ConfigDict

from fer_jax.config import Ablation

RECIPE = {
    'paper': 'jain2018',
    'data': {'faces': 'haar', 'sampling': 'uniform', 'size': 96},
    'protocol': {'name': 'random', 'train_fraction': 0.7},
    'inputs': {'equalize': 'histogram', 'normalize': 'mean_std'},
    'augment': {
        'kind': 'random',
        'options': {'flip': 0.25, 'vertical': 0.25, 'rotation': 15.0, 'turned': 0.25},
    },
    'model': {'name': 'cnn_rnn', 'dropout_rate': 0.5},
    'optimizer': {
        'name': 'momentum',
        'learning_rate': 5e-3,
        'weight_decay': 1e-4,
        'schedule': 'step',
        'factor': 0.99,
        'every': 20,
    },
    'train': {'epochs': 200, 'seeds': 3, 'checkpoint_every': 10},
}
# The rate times the number as it stands: after 20 epochs of five steps nothing is learned.
STATED = {'optimizer': {'factor': 0.01}, 'train': {'epochs': 100}}
SMALL = {
    'data': {'size': 48},
    'augment': {'options': {'vertical': 0.0, 'turned': 1.0}},
    'model': {'width': 0.5, 'dropout_rate': 0.1},
    'optimizer': {'name': 'adam', 'learning_rate': 1e-3, 'schedule': 'cosine'},
    'train': {'batch_size': 8, 'seeds': 1},
}


def part(*, cnn: bool, tanh: bool) -> dict[str, Any]:
    """Sets what a network of the chain has of its own: the CNN, or CNN-RNN or CNN-IRNN behind it.

    Args:
      cnn: the CNN alone.
      tanh: the recurrent network is tanh's, not an IRNN.
    """
    if cnn:
        return {'model': {'rnn': 'none'}}
    return {
        'model': {'rnn': 'tanh' if tanh else 'relu', 'freeze': True},
        'optimizer': {'clip': 1.0},
    }


def ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what jain2018 contradicts or leaves open, of the CNN or of a network behind it."""
    if config.model.rnn != 'none':
        return _OF_BOTH | _of_the_sequence(config)
    return _OF_BOTH | _OF_THE_CNN | (_OF_CLIPS if config.data.frames > 1 else {})


_OF_BOTH = {
    'squared_error': Ablation(
        'Mean squared error of the probabilities: sections 3.2 and 3.3 have that cost, section '
        '3.1 a softmax.',
        {'loss.kind': 'squared_error'},
    ),
    'adam': Ablation(
        'Adam as equation 3 has it, without bias correction and with epsilon under the root; '
        'section 3.2 has stochastic gradient descent.',
        {'optimizer.name': 'plain_adam'},
    ),
    'step_tenth': Ablation(
        'The rate falls tenfold every 20 epochs. Taken away as stated, 0.01 would leave a '
        'negative one.',
        {'optimizer.schedule': 'step', 'optimizer.factor': 0.1},
    ),
    'step_hundredth': Ablation(
        'The rate falls a hundredfold every 20 epochs, the number as it stands.',
        {'optimizer.schedule': 'step', 'optimizer.factor': 0.01},
    ),
    'inverse': Ablation(
        'The rate is divided by 1 + 0.01 n after n epochs.',
        {'optimizer.schedule': 'inverse', 'optimizer.factor': 0.01, 'optimizer.every': 1},
    ),
}
_OF_THE_CNN = {
    'all5': Ablation(
        'All kernels 5 x 5: section 3.1 has filters enlarged from 3 to 5, Figure 2 both sizes.',
        {'model.kernels': 'all5'},
    ),
    'depth4': Ablation(
        'Four convolutions, as the "hidden layers" of Table 3 are read.', {'model.depth': 4}
    ),
    'depth5': Ablation('Five convolutions (Table 3).', {'model.depth': 5}),
    'no_equalisation': Ablation(
        'Mean and deviation image without histogram equalisation, as section 4 can be read; '
        'section 3 equalises.',
        {'inputs.equalize': 'none'},
    ),
    'contrast_normalised': Ablation(
        'Each image less its own mean and over its own deviation, without equalisation (section '
        '4); section 3 equalises and takes the mean and deviation image.',
        {'inputs.equalize': 'none', 'inputs.normalize': 'each'},
    ),
    'no_decay': Ablation(
        'Without weight decay: equation 1 regularises every weight matrix, its weight stands '
        'in section 3.2, for stochastic gradient descent.',
        {'optimizer.weight_decay': 0.0},
    ),
}
_OF_CLIPS = {
    'to_the_apex': Ablation(
        "Frames of a film's first half: MMI's films go back to neutral, so that equally spaced "
        'frames of the whole teach neutral faces under an emotion and end on one.',
        {'data.sampling': 'rising'},
    )
}


def _of_the_sequence(config: ConfigDict) -> dict[str, Ablation]:
    ablations = {
        f'units{units}': Ablation(
            f'{units} hidden units (Table 2); 150 are its best, Figure 2 has 200.',
            {'model.units': units},
        )
        for units in (50, 100, 200)
    }
    ablations['pool3'] = Ablation(
        'The third convolution after max-pooling is the input, as section 3.1 can be read; section '
        '3.3 has the 200 values of the fully connected layer.',
        {'model.features': 'pool3'},
    )
    ablations['every_output'] = Ablation(
        'The mean of the outputs after every step: in section 3.3 every node returns a result, in '
        'Figure 3 the last one does.',
        {'model.outputs': 'average'},
    )
    if config.data.frames > 1:
        ablations |= _OF_CLIPS
    if config.data.frames == 1:
        ablations['repeated'] = Ablation(
            'The same image again is the sequence of a still, which the paper does not define; '
            'its number P of frames has no value.',
            {'model.stills': 'repeat'},
        )
    if config.model.rnn == 'relu':
        ablations['scaled_identity'] = Ablation(
            'The recurrent weights start at a tenth of the identity: "scaled", by an unknown '
            'factor.',
            {'model.identity_scale': 0.1},
        )
    ablations['joint'] = Ablation(
        'CNN and recurrent network trained together from the start; section 3.3 keeps the CNN.',
        {'model.freeze': False, 'init.run': ''},
    )
    return ablations
