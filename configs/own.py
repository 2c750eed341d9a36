"""fer_jax's own: data of one's own (own:NAME), with one of four models.

Command:
    python -m fer_jax.prepare --dataset=own --name=clinic --release=MANIFEST.csv
    python -m fer_jax.main --config=configs/own.py --config.data.name=own:clinic           # stills
    python -m fer_jax.main --config=configs/own.py:c3d --config.data.name=own:clinic       # films
    python -m fer_jax.main --config=configs/own.py:convlstm --config.data.name=own:clinic  # films
    python -m fer_jax.main --config=configs/own.py:audio --config.data.name=own:clinic     # sound
    python -m fer_jax.main --config=configs/own.py:simulated     # a laptop, nothing of one's own

The protocol is five folds by subject. Data without subjects take the variant `random` (80 % train;
the report is stamped), data with splits `official`; `loso` leaves each subject out. Variants
combine with commas. Where faces were not found in the default way, `--config.data.faces=none` or
another names it. Networks: without a name after the colon a small 3x3 CNN on a clip's last frame;
haddad2020's C3D and saurav2020's ConvLSTM, both narrowed, on eight frames from first to last; an
SVM on the principal components of openSMILE's features (the extra `audio`).

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

from fer_jax.config import complete, merged, parse_variant

# For every clip and epoch anew: few pictures need many views.
LIGHT = {'flip': 0.5, 'rotation': 8.0, 'shift': 0.04, 'scale': 0.06, 'contrast': 0.3}
TRAINED = {
    'inputs': {'normalize': 'mean_std'},
    'augment': {'kind': 'random', 'options': LIGHT},
    'loss': {'class_weights': True},
    'optimizer': {'learning_rate': 1e-3, 'schedule': 'cosine'},
    'train': {'batch_size': 16, 'epochs': 40, 'checkpoint_every': 10, 'evaluate_batch': 64},
}
FILMS = {'data': {'frames': 8, 'sampling': 'uniform'}}
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
        'pooling': 'max',
        'dropout_rate': 0.1,
        'width': 0.125,
    },
    'convlstm': {'name': 'convlstm', 'dropout_rate': 0.2, 'width': 0.5},
}


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: c3d, convlstm, audio, random, official, loso, simulated."""
    names = ('c3d', 'convlstm', 'audio', 'random', 'official', 'loso', 'simulated')
    options = parse_variant(variant, **dict.fromkeys(names, False))
    films = options.c3d or options.convlstm
    config = ConfigDict({'data': {'name': 'own:data'}, 'protocol': {'name': 'balanced', 'k': 5}})
    for name in ('random', 'official', 'loso'):
        if options[name]:
            config.protocol = {'name': name}
    if options.audio:
        sound = {'sound': {}, 'model': {'name': 'svm', 'bins': 1}, 'name': 'own_audio'}
        config = merged(config, {**sound, 'data': {'drop_soundless': True}})
    else:
        kind = 'c3d' if options.c3d else 'convlstm' if options.convlstm else 'cnn'
        named = {'name': f'own_{kind}', 'model': MODELS[kind], 'data': {'registration': 'eyes'}}
        config = merged(config, TRAINED, named, *([FILMS] if films else []))
    if options.simulated:
        drawn = 'own:films' if films or options.audio else 'own:pictures'
        config = merged(config, {'simulated': {'subjects': 20}, 'data': {'name': drawn}})
        if films:
            config = merged(config, {'data': {'frames': 4, 'size': 32}})
    return complete(config)
