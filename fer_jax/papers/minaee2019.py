"""What the configs of minaee2019 share: its network and recipe (sec. III and IV), and its gaps."""

from fer_jax.config import Ablation

RECIPE = {
    'paper': 'minaee2019',
    'data': {'faces': 'release'},
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
    'stated_initializer': Ablation(
        "Weights from N(0, 0.05) as stated, but for the transformer's last layer, which starts "
        'at the identity.',
        _INITIALIZER,
    ),
    'stated_rate': Ablation('Adam at 0.005 from the first epoch to the last, as stated.', _RATE),
    'stated_both': Ablation('The stated initialiser and the stated rate.', _INITIALIZER | _RATE),
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
