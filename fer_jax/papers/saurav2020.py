"""Shared parts of saurav2020's configs: network, recipe, a laptop's size, and what is left open."""

from ml_collections import ConfigDict

from fer_jax.config import Ablation

RECIPE = {
    'paper': 'saurav2020',
    'data': {'frames': 8, 'sampling': 'linspace', 'size': 64},
    'augment': {'kind': 'fixed', 'options': {'mirrored': True}},
    'model': {'name': 'convlstm'},
    'optimizer': {'learning_rate': 1e-4, 'epsilon': 1e-7},  # Keras's epsilon
    'train': {'batch_size': 16, 'epochs': 80, 'evaluate_batch': 64},
}
SMALL = {
    'data': {'frames': 4, 'size': 32},
    'inputs': {'normalize': 'mean_std'},
    'model': {'width': 0.5},
    'optimizer': {'learning_rate': 1e-3, 'schedule': 'cosine'},
}
# Sec. IV-B, of SAVEE and AFEW: four angles in degrees; with the original, each mirrored besides,
# 10 views of a clip.
ANGLES = (-10.0, -5.0, 5.0, 10.0)

ONE_POOLING = {
    'one_pooling': Ablation(
        'One max-pooling, after the last convolution: the text has "one 3D max-pooling layer" '
        'and, as the ConvLSTM\'s input, "the second max-pool layer".',
        {'model.pool_after': (3,)},
    )
}
NORMALIZED = {
    'normalized': Ablation(
        'Frames less the mean image and over the deviation image of the training clips; the '
        'paper names no normalisation.',
        {'inputs.normalize': 'mean_std'},
    )
}
ABLATIONS = {
    'all_states': Ablation(
        "The states of all frames flattened, not the last one's: the text flattens 'the "
        "output' of the ConvLSTM.",
        {'model.states': 'all'},
    ),
    'hard_sigmoid': Ablation(
        "The piecewise linear sigmoid that was Keras's default for the gates in 2020; the "
        'equations only name sigma.',
        {'model.gate': 'hard_sigmoid'},
    ),
    'no_unit_forget_bias': Ablation(
        'A forget gate whose bias starts at 0; Keras starts it at 1, the paper does not say.',
        {'model.unit_forget_bias': False},
    ),
    'dropout': Ablation(
        'Dropout of 0.5 after the fully connected layer; the paper names none.',
        {'model.dropout_rate': 0.5},
    ),
    'batch_32': Ablation(
        "Batches of 32, Keras's default; the paper gives no size.", {'train.batch_size': 32}
    ),
}


def views8(config: ConfigDict) -> dict[str, Ablation]:
    """Makes the ablation without the original among the views, where the config has it."""
    if 0.0 not in config.augment.options.angles:
        return {}
    return {
        'views8': Ablation(
            'The rotated views and their mirror images only, 8 of a clip as the text says; its '
            'angles with the original make 10.',
            {'augment.options.angles': ANGLES},
        )
    }
