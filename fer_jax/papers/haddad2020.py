"""Shared parts of haddad2020's configs: networks, recipe, search space, and what is left open."""

from typing import Any

from ml_collections import ConfigDict

from fer_jax.config import Ablation, Range

RECIPE = {
    'paper': 'haddad2020',
    'data': {'faces': 'release', 'frames': 10, 'size': 112},
    'protocol': {'name': 'idstep', 'k': 10},
    'inputs': {'channels': 3},
    'augment': {
        'kind': 'class_counts',
        'options': {'rotation': 30.0, 'contrast': (0.22, 2.2)},
    },
    'model': {'name': 'c3d'},
    'optimizer': {'learning_rate': 1e-4},
    'train': {'batch_size': 30, 'epochs': 16, 'evaluate_batch': 30},
}
# The best trials of the two searches: CK+'s (Table 2) and Oulu-CASIA's (Table 3).
TABLE_2 = {'model': {'dropout_rate': 0.2511}}
TABLE_3 = {
    'model': {
        'activation': 'leaky_relu',
        'initializer': 'none',
        'pooling': 'max',
        'dropout_rate': 0.4233,
    },
    'optimizer': {'lookahead': True},
}
# A laptop's size. A fresh draw for every clip and epoch costs no more views than one for all.
SMALL = {
    'data': {'frames': 4, 'sampling': 'uniform', 'size': 48},
    'model': {'width': 0.125, 'pooling': 'max', 'dropout_rate': 0.1},
    'optimizer': {'learning_rate': 3e-4, 'schedule': 'cosine'},
    'train': {'batch_size': 8, 'epochs': 24, 'checkpoint_every': 5, 'evaluate_batch': 64},
}
LIGHT = {
    'kind': 'random',
    'options': {'flip': 0.5, 'rotation': 6.0, 'shift': 0.03, 'scale': 0.04, 'contrast': 0.2},
}
# Table 1: what its searches vary.
CHOICES: dict[str, Any] = {
    'optimizer.lookahead': (False, True),
    'inputs.equalize': ('none', 'clahe'),
    'inputs.normalize': ('unit', 'symmetric'),
    'model.activation': ('relu', 'elu', 'prelu', 'leaky_relu', 'mish'),
    'loss.class_weights': (False, True),
    'model.temporal_size': (1, 3, 5, 7, 9),
    # Table 1 has the two others; "none" is the best one of Table 3.
    'model.initializer': ('none', 'xavier_uniform', 'xavier_normal'),
    'model.pooling': ('avg', 'max'),
    'model.second_conv': (False, True),
    'model.dropout_rate': Range(0.0, 1.0),
}


# What is open of the loss and of CLAHE, of either dataset.
ABLATIONS = {
    'class_weights': Ablation(
        'Loss weights by inverse class frequency: searched in Table 1, false in Table 2, how '
        'they are computed is not said.',
        {'loss.class_weights': True},
    ),
    'view_weights': Ablation(
        'The same by the frequency of views: the copies already make the classes all but equal, '
        'so that weights by clips give the rarest class most of the loss.',
        {'loss.class_weights': True, 'loss.weigh_views': True},
    ),
}


def early_clahe(config: ConfigDict) -> dict[str, Ablation]:
    """Makes the ablation whose CLAHE comes before frames are resized, where there is CLAHE."""
    if config.inputs.equalize != 'clahe':
        return {}
    return {
        'early_clahe': Ablation(
            'CLAHE of the face as it was cut from the picture, before it is resized; the order is '
            'not said.',
            {'inputs.equalize': 'none', 'data.equalize': 'clahe'},
        )
    }


def fresh_draws(config: ConfigDict, clips: int, views: int) -> dict[str, Ablation]:
    """Makes the ablation that draws views anew, where the config's are drawn once.

    Args:
      clips: of the dataset.
      views: that they and their copies are.
    """
    if config.augment.kind != 'class_counts':
        return {}
    fresh = {'flip': 0.5, 'rotation': 30.0, 'contrast': 0.78}  # 0.22 to 1.78: they lie about 1
    return {
        'fresh_draws': Ablation(
            'One view of each clip, drawn anew each epoch, for as many views in all: whether the '
            'copies are drawn once is not said.',
            {
                'augment': {'kind': 'random', 'options': fresh},
                'train.epochs': round(config.train.epochs * views / clips),
            },
        )
    }
