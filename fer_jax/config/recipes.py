"""Networks of a laptop's size, and how they are trained, for data that no paper has a recipe for.

Configs of own data and of open corpora take them; the networks are those of the papers, narrowed.
"""

from typing import Any

from ml_collections import ConfigDict

from fer_jax.config.sections import complete, merged

# For every clip and epoch anew: few pictures need many views.
_LIGHT = {'flip': 0.5, 'rotation': 8.0, 'shift': 0.04, 'scale': 0.06, 'contrast': 0.3}
_TRAINED = {
    'data': {'registration': 'eyes'},
    'inputs': {'normalize': 'mean_std'},
    'augment': {'kind': 'random', 'options': _LIGHT},
    'loss': {'class_weights': True},
    'optimizer': {'learning_rate': 1e-3, 'schedule': 'cosine'},
    'train': {'batch_size': 16, 'epochs': 40, 'checkpoint_every': 10, 'evaluate_batch': 64},
}
_FILMS = {'data': {'frames': 8, 'sampling': 'uniform'}}
_MODELS = {
    'cnn': {
        'name': 'frame_cnn',
        'structure': 'very_deep',
        'batch_norm': True,
        'dropout_rate': 0.2,
        'width': 0.375,
    },
    'c3d': {
        'name': 'c3d',
        'activation': 'elu',
        'pooling': 'max',
        'dropout_rate': 0.1,
        'width': 0.125,
    },
    'convlstm': {'name': 'convlstm', 'dropout_rate': 0.2, 'width': 0.5},
    'cnn_rnn': {'name': 'cnn_rnn', 'dropout_rate': 0.1, 'width': 0.5},
}

# The variants that configs of actors' films share, and their defaults (`parse_variant`).
ACTORS = {
    'c3d': False,
    'cnn_rnn': False,
    'audio': False,
    'loso': False,
    'simulated': False,
    'fold': -1,
}


def small(config: ConfigDict, kind: str) -> ConfigDict:
    """Adds a network, or a machine that hears, and how it is trained.

    Args:
      config: whose `name` is a prefix; kept but for what is added.
      kind: 'cnn' (of a clip's last frame), 'c3d', 'convlstm' or 'cnn_rnn' (of eight frames from
        first to last), or 'audio' (an SVM on principal components of openSMILE's features).
    """
    named = {'name': f'{config.name}_{kind}'}
    if kind == 'audio':
        heard = {'sound': {}, 'model': {'name': 'svm', 'bins': 1, 'scale': False}}
        return merged(config, named, heard, {'data': {'drop_soundless': True}})
    # An IRNN's states grow without a bound: its gradients are held.
    clip = [{'optimizer': {'clip': 1.0}}] if kind == 'cnn_rnn' else []
    films = [] if kind == 'cnn' else [_FILMS]
    return merged(config, _TRAINED, named, {'model': _MODELS[kind]}, *films, *clip)


def actors(name: str, labels: str, options: Any, drawn: int) -> ConfigDict:
    """Makes the config of an open corpus: actors' films with sound, divided by actor.

    Args:
      name: of the dataset.
      labels: its label set.
      options: the variants, with those of ACTORS: c3d, cnn_rnn, audio (else ConvLSTM) on five folds
        by actor; loso leaves each out, fold trains one; simulated is smaller, on two folds.
      drawn: actors of `simulated`.
    """
    rule = {'name': 'balanced', 'k': 2 if options.simulated else 5}
    base = {
        'name': name,
        'data': {'name': name, 'labels': labels},
        'protocol': {'name': 'loso'} if options.loso else rule,
    }
    kind = next((kind for kind in ('audio', 'c3d', 'cnn_rnn') if options[kind]), 'convlstm')
    config = small(ConfigDict(base), kind)
    config.protocol.fold = options.fold
    if options.simulated:
        config.simulated = {'subjects': drawn}
        if kind != 'audio':
            config = merged(config, {'data': {'frames': 4, 'size': 32}, 'train': {'epochs': 20}})
    return complete(config)
