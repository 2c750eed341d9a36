"""minaee2019: the spatial-transformer network on FER2013 (sec. IV-B, Table I, Figure 8).

Command:
    python -m fer_jax.main --config=configs/fer2013_stn.py              # labels of FER2013
    python -m fer_jax.main --config=configs/fer2013_stn.py:ferplus7     # labels of FER+, 7 classes
    python -m fer_jax.main --config=configs/fer2013_stn.py:simulated    # a laptop, no download
    python -m fer_jax.ablate --config=configs/fer2013_stn.py:ferplus7   # what the paper leaves open

Hardware and time, results: README.md.

Paper: 70.02 %, which its Figure 8 shows to be on FER+ labels (BUILD_NOTES.md). Ours: README.md.

Deviations: see BUILD_NOTES.md (the stated N(0, 0.05) initialisation and learning rate of 0.005 are
the variant `stated`; the default is the ablation under which the recipe trains).
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, parse_variant


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, ferplus7, ferplus8, stated."""
    options = parse_variant(variant, simulated=False, ferplus7=False, ferplus8=False, stated=False)
    config = ConfigDict()
    config.name = 'fer2013_stn'
    config.paper = 'minaee2019'
    config.seed = 0
    config.init = ConfigDict({'run': ''})
    config.simulated = ConfigDict({'subjects': 0, 'seed': 0})
    labels = 'ferplus7' if options.ferplus7 else 'ferplus8' if options.ferplus8 else 'fer2013'
    config.data = ConfigDict(
        {
            'name': 'fer2013',
            'faces': 'release',
            'labels': labels,
            'frames': 1,
            'sampling': 'last',
            'size': 48,
            'channels': 1,
            'registration': 'none',
            'margin': 1.0,
        }
    )
    config.protocol = ConfigDict({'name': 'official', 'fold': -1, 'file': ''})
    config.inputs = ConfigDict({'equalize': 'none', 'normalize': 'unit', 'channels': 1})
    config.augment = ConfigDict(
        {
            'kind': 'random',
            'options': {
                'flip': 0.5,
                'rotation': 10.0,
                'shift': 0.05,
                'scale': 0.05,
                'contrast': 0.0,
            },
        }
    )
    config.model = ConfigDict(
        {
            'name': 'stn',
            'transform': 'input',
            'localiser_kernels': (3, 3),
            'initializer': 'default',
            'dropout_rate': 0.5,
        }
    )
    config.loss = ConfigDict({'class_weights': False, 'l2': 1e-3, 'l2_layers': ('fc1', 'fc2')})
    config.optimizer = ConfigDict(
        {
            'name': 'adam',
            'learning_rate': 1e-3,
            'schedule': 'cosine',
            'epsilon': 1e-8,
            'lookahead': False,
        }
    )
    if options.stated:
        config.model.initializer = 'normal'
        config.optimizer.learning_rate, config.optimizer.schedule = 5e-3, 'constant'
    config.train = ConfigDict(
        {
            'batch_size': 128,
            'epochs': 500,
            'seeds': 3,
            'patience': 0,
            'retrain': False,
            'checkpoint_every': 5,
            'evaluate_batch': 512,
            'members_at_once': 0,
            'steps_per_call': 0,
        }
    )
    if options.simulated:
        config.simulated.subjects = 400
        config.train.update({'epochs': 20, 'seeds': 1})
    return config


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """What minaee2019 contradicts or leaves open, against the config as it stands."""
    initializer = {'model.initializer': 'normal'}
    rate = {'optimizer.learning_rate': 5e-3, 'optimizer.schedule': 'constant'}
    return {
        'stated_initializer': Ablation(
            "Weights from N(0, 0.05) as stated, but for the transformer's last layer, which starts "
            'at the identity.',
            initializer,
        ),
        'stated_rate': Ablation('Adam at 0.005 from the first epoch to the last, as stated.', rate),
        'stated_both': Ablation('The stated initialiser and the stated rate.', initializer | rate),
        'no_l2': Ablation(
            'Without the L2 term on the last two layers, whose weight the paper does not give.',
            {'loss.l2': 0.0},
        ),
        'l2_tenth': Ablation('An L2 term of 1e-4 instead of 1e-3.', {'loss.l2': 1e-4}),
        'l2_tenfold': Ablation('An L2 term of 1e-2 instead of 1e-3.', {'loss.l2': 1e-2}),
        'grid_on_features': Ablation(
            'The grid acts on the features after dropout, as the figure has it; by the text it '
            'acts on the input.',
            {'model.transform': 'features'},
        ),
        'no_transformer': Ablation(
            'Without a spatial transformer: what it is worth.', {'model.transform': 'none'}
        ),
        'kernels_7_5': Ablation(
            'Localiser kernels of 7 and 5 with 640 outputs. The figure has kernels of 3 and 90 '
            'outputs, which no 48 x 48 image gives.',
            {'model.localiser_kernels': (7, 5)},
        ),
    }
