"""Shared parts of minaee2019's configs: its network and recipe (sec. III and IV), and its gaps."""

from typing import Any

from fer_jax.config import Ablation, Range

RECIPE = {
    'paper': 'minaee2019',
    'data': {'faces': 'release'},
    'inputs': {'normalize': 'mean_std'},
    'augment': {
        'kind': 'random',
        'options': {'flip': 0.5, 'rotation': 10.0, 'shift': 0.05, 'scale': 0.05},
    },
    'model': {'name': 'stn', 'initializer': 'default', 'dropout_rate': 0.5},
    'loss': {'l2': 1e-3, 'l2_layers': ('fc1', 'fc2')},
    'optimizer': {'schedule': 'cosine'},
    'train': {'batch_size': 128, 'epochs': 500, 'seeds': 3},
}
# Of few images: more steps in an epoch, and fewer checkpoints; of many the other way round.
FEW = {'batch_size': 16, 'checkpoint_every': 25}
MANY = {'checkpoint_every': 5, 'evaluate_batch': 512}

_INITIALIZER = {'model.initializer': 'normal'}
_RATE = {'optimizer.learning_rate': 5e-3, 'optimizer.schedule': 'constant'}
ABLATIONS = {
    'unit': Ablation(
        'Grey levels in [0, 1]; the scaling of the input is not stated, and validation on FER2013 '
        'chose mean and deviation image.',
        {'inputs.normalize': 'unit'},
    ),
    'symmetric': Ablation('Grey levels in [-1, 1].', {'inputs.normalize': 'symmetric'}),
    'stated_initializer': Ablation(
        "Weights from N(0, 0.05) as stated, but for the transformer's last layer, which starts "
        'at the identity.',
        _INITIALIZER,
    ),
    'stated_rate': Ablation('Adam at 0.005 from the first epoch to the last, as stated.', _RATE),
    'stated_both': Ablation('The stated initialiser and the stated rate.', _INITIALIZER | _RATE),
    'stated_no_l2': Ablation(
        'The stated initialiser and the stated rate without the L2 term, which is then most of the '
        'first gradients: the reading with N(0, 0.05) that leaves the majority class.',
        {**_INITIALIZER, **_RATE, 'loss.l2': 0.0},
    ),
    'weight_decay': Ablation(
        "Adam's own weight decay, of all kernels and by way of the gradient, in place of the L2 "
        'term; the paper names both and gives neither weight.',
        {'loss.l2': 0.0, 'optimizer.weight_decay': 1e-3},
    ),
    'adamw': Ablation(
        'Weight decay of all kernels decoupled from Adam, in place of the L2 term.',
        {'loss.l2': 0.0, 'optimizer.name': 'adamw', 'optimizer.weight_decay': 1e-2},
    ),
    'sgd': Ablation(
        'Stochastic gradient descent with momentum, which the paper tried and found slightly '
        'worse; its rate is not stated.',
        {'optimizer': {'name': 'momentum', 'learning_rate': 1e-2, 'schedule': 'cosine'}},
    ),
    'no_l2': Ablation(
        'Without the L2 term on the last two layers, whose weight the paper does not give.',
        {'loss.l2': 0.0},
    ),
    'grid_on_features': Ablation(
        'The grid acts on the features after dropout, as the figure has it; by the text it '
        'acts on the input.',
        {'model.transform': 'features'},
    ),
    'no_transformer': Ablation(
        'Without a spatial transformer: what it is worth.', {'model.transform': 'none'}
    ),
}

# Sec. III: the weight of the L2 term "is tuned on the validation set"; on which values it is not
# stated.
CHOICES: dict[str, Any] = {'loss.l2': Range(1e-5, 1e-1, log=True)}
