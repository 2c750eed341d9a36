"""kahou2015: the frame CNNs on FER2013, and TFD beside it (sec. 2.1.3 and 6.1; Table 1).

Command:
    python -m fer_jax.main --config=configs/fer2013_cnn.py             # 9x9, 32-32-64: the paper's
    python -m fer_jax.main --config=configs/fer2013_cnn.py:three5      # 5x5, 64-64-128
    python -m fer_jax.main --config=configs/fer2013_cnn.py:very_deep   # 3x3
    python -m fer_jax.main --config=configs/fer2013_cnn.py:slim        # our own variation
"""

from ml_collections import ConfigDict

from fer_jax.config import parse_variant


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, three5, very_deep, slim."""
    options = parse_variant(variant, simulated=False, three5=False, very_deep=False, slim=False)
    config = ConfigDict()
    config.name = 'fer2013_cnn'
    config.paper = 'kahou2015'
    config.seed = 0
    config.init = ConfigDict({'run': ''})
    config.simulated = ConfigDict({'subjects': 0, 'seed': 0})
    config.data = ConfigDict(
        {
            'name': 'fer2013',
            'faces': 'release',
            'labels': 'fer2013',
            'frames': 1,
            'sampling': 'last',
            'size': 48,
            'channels': 1,
            'registration': 'none',
            'margin': 1.0,
        }
    )
    config.protocol = ConfigDict({'name': 'official', 'fold': -1, 'file': ''})
    config.inputs = ConfigDict(
        {
            'equalize': 'histogram',
            'normalize': 'mean_std',
            'channels': 1,
            'crop': 40,
            'mirrored': False,
        }
    )
    config.augment = ConfigDict(
        {
            'kind': 'random',
            'options': {
                'flip': 0.5,
                'rotation': 0.0,
                'shift': 4 / 48,
                'scale': 0.0,
                'contrast': 0.0,
            },
        }
    )
    structure = 'three5' if options.three5 else 'very_deep' if options.very_deep else 'three9'
    config.model = ConfigDict(
        {
            'name': 'frame_cnn',
            'structure': structure,
            'batch_norm': False,
            'dropout_rate': 0.25,
            'width': 1.0,
        }
    )
    config.loss = ConfigDict(
        {'class_weights': False, 'label_smoothing': 0.0, 'l2': 0.0, 'l2_layers': ()}
    )
    config.optimizer = ConfigDict(
        {
            'name': 'momentum',
            'learning_rate': 0.01,
            'momentum': 0.9,
            'weight_decay': 0.0,
            'schedule': 'constant',
            'lookahead': False,
        }
    )
    config.train = ConfigDict(
        {
            'batch_size': 128,
            'epochs': 100,
            'seeds': 3,
            'patience': 0,
            'retrain': False,
            'checkpoint_every': 1,
            'evaluate_batch': 512,
            'wave': 0,
            'chunk': 0,
        }
    )
    if options.slim:
        config.inputs.update({'equalize': 'none', 'mirrored': True})
        config.augment.options.update({'rotation': 10.0, 'scale': 0.1, 'contrast': 0.3})
        config.model.update({'structure': 'very_deep', 'batch_norm': True, 'width': 0.375})
        config.model.dropout_rate = 0.1
        config.loss.label_smoothing = 0.1
        config.optimizer = ConfigDict(
            {'name': 'adam', 'learning_rate': 1e-3, 'schedule': 'cosine', 'lookahead': False}
        )
        config.train.update({'batch_size': 64, 'epochs': 26})
    return config
