"""fer_jax's own: data of one's own (own:NAME), with one of four models.

Command:
    python -m fer_jax.prepare --dataset=own --name=clinic --release=MANIFEST.csv
    python -m fer_jax.main --config=configs/own.py --config.data.name=own:clinic           # stills
    python -m fer_jax.main --config=configs/own.py:c3d --config.data.name=own:clinic       # films
    python -m fer_jax.main --config=configs/own.py:convlstm --config.data.name=own:clinic  # films
    python -m fer_jax.main --config=configs/own.py:audio --config.data.name=own:clinic     # sound
    python -m fer_jax.main --config=configs/own.py:simulated     # a laptop, nothing of one's own

The protocol is five folds by subject. Data without subjects take `--config.protocol.name=random`
(80 % train; the report is stamped), data with splits `official`; `loso` leaves each subject out. A
way of finding faces other than at preparation's default is named, as `--config.data.faces=none`.
Networks: without a name after the colon a small 3x3 CNN on a clip's last frame; haddad2020's C3D
and saurav2020's ConvLSTM, both narrowed, on eight frames from first to last; an SVM on the principal
components of openSMILE's features (the extra `audio`).

Hardware and time: with the data. `:simulated` (60 pictures of 20 drawn people in three classes, 5
folds): 61 CPU seconds from drawing to report. `:c3d,simulated` 94 and `:convlstm,simulated` 85 CPU
seconds (120 drawn films of the same people).

Paper: none; the networks are those of kahou2015, haddad2020 and saurav2020, made smaller.

Ours: it depends on the data. `:simulated` 78.33 % (68.3 to 88.3), `:c3d,simulated` 70.83 % (65.0
to 76.7), `:convlstm,simulated` 74.17 % (66.7 to 81.7), majority class 33.33 %, simulated faces.

Deviations: none, as there is no paper. What suits a set of this size is a choice: light
augmentation drawn anew each epoch, Adam with cosine decay, no validation part; the last epoch
counts.
"""

from ml_collections import ConfigDict

from fer_jax.config import parse_variant

LIGHT = {'flip': 0.5, 'rotation': 8.0, 'shift': 0.04, 'scale': 0.06, 'contrast': 0.3}


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: c3d, convlstm, audio, simulated."""
    names = ('c3d', 'convlstm', 'audio', 'simulated')
    options = parse_variant(variant, **dict.fromkeys(names, False))
    films = options.c3d or options.convlstm
    kind = 'c3d' if options.c3d else 'convlstm' if options.convlstm else 'cnn'
    config = ConfigDict()
    config.name = 'own_audio' if options.audio else f'own_{kind}'
    config.paper = ''
    config.seed = 0
    config.simulated = ConfigDict({'subjects': 0, 'seed': 0})
    config.data = ConfigDict(
        {
            'name': 'own:data',
            'faces': '',
            'labels': '',
            'frames': 8 if films else 1,
            'sampling': 'uniform' if films else 'last',
            'size': 48,
            'channels': 1,
            'registration': 'none' if options.audio else 'eyes',
            'margin': 1.0,
        }
    )
    config.protocol = ConfigDict(
        {
            'name': 'balanced',
            'k': 5,
            'train_fraction': 0.8,
            'repeats': 1,
            'fold': -1,
            'validation': 0.0,
            'seed': 0,
            'file': '',
        }
    )
    if options.audio:
        config.sound = ConfigDict({'file': '', 'components': 50})
        config.data.update({'drop_soundless': True})
        config.model = ConfigDict({'name': 'svm', 'bins': 1})
    else:
        _train(config, kind)
    if options.simulated:
        config.simulated.subjects = 20
        config.data.name = 'own:films' if films or options.audio else 'own:pictures'
        if films:
            config.data.update({'frames': 4, 'size': 32})
    return config


def _train(config: ConfigDict, kind: str) -> None:
    """Sets what a network and its training need."""
    config.init = ConfigDict({'run': ''})
    config.inputs = ConfigDict({'equalize': 'none', 'normalize': 'mean_std', 'channels': 1})
    config.augment = ConfigDict({'kind': 'random', 'options': LIGHT})
    config.model = ConfigDict(MODELS[kind])
    config.loss = ConfigDict(
        {'class_weights': True, 'label_smoothing': 0.0, 'l2': 0.0, 'l2_layers': ()}
    )
    config.optimizer = ConfigDict(
        {'name': 'adam', 'learning_rate': 1e-3, 'schedule': 'cosine', 'lookahead': False}
    )
    config.train = ConfigDict(
        {
            'batch_size': 16,
            'epochs': 40,
            'seeds': 1,
            'patience': 0,
            'retrain': False,
            'checkpoint_every': 10,
            'evaluate_batch': 64,
            'members_at_once': 0,
            'steps_per_call': 0,
        }
    )


MODELS = {
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
        'temporal_size': 3,
        'initializer': 'xavier_uniform',
        'pooling': 'max',
        'second_conv': False,
        'dropout_rate': 0.1,
        'width': 0.125,
    },
    'convlstm': {
        'name': 'convlstm',
        'pool_after': (1, 3),
        'units': 16,
        'gate': 'sigmoid',
        'unit_forget_bias': True,
        'states': 'last',
        'hidden': 128,
        'dropout_rate': 0.2,
        'width': 0.5,
    },
}
