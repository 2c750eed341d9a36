"""minaee2019: the spatial-transformer network on JAFFE (sec. IV-B, Table III, Figure 10).

Command:
    python -m fer_jax.main --config=configs/jaffe_stn.py            # 120 / 23 / 70 at random
    python -m fer_jax.main --config=configs/jaffe_stn.py:loso       # each woman by all others
    python -m fer_jax.main --config=configs/jaffe_stn.py:simulated  # a laptop, no licensed data
    python -m fer_jax.ablate --config=configs/jaffe_stn.py          # what the paper leaves open

Hardware and time: published size (500 epochs of 120 images): not run, it needs the licensed
release. `:simulated` has the published width, 150 epochs and one seed: 55 CPU seconds.

Paper: 92.8 % (65 of 70). Ours: needs the licensed release; simulated 61.43 % of 70 images (43.2 to
78.7; majority class 14.29 %).

Deviations: the division is drawn anew (the paper's is not published), with the stated sizes and ten
test images of each class; women are on both sides of it, and the report says so. The stated
initialiser and learning rate are ablations (BUILD_NOTES.md). Batches have 16 images and faces are
found by OpenCV's cascade; the paper states neither.
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, parse_variant

# minaee2019, sec. IV-B; the other 70 of 213 images judge, 10 of each class.
TRAIN, VALIDATION, IMAGES = 120, 23, 213
# One of the nine training subjects chooses the epoch.
LOSO = {'name': 'loso', 'validation': 0.12, 'fold': -1, 'seed': 0, 'file': ''}


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, loso, fold=N."""
    options = parse_variant(variant, simulated=False, loso=False, fold=-1)
    config = ConfigDict()
    config.name = 'jaffe_stn'
    config.paper = 'minaee2019'
    config.seed = 0
    config.init = ConfigDict({'run': ''})
    config.simulated = ConfigDict({'subjects': 0, 'seed': 0})
    config.data = ConfigDict(
        {
            'name': 'jaffe',
            'faces': 'haar',
            'labels': '',
            'frames': 1,
            'sampling': 'last',
            'size': 48,
            'channels': 1,
            'registration': 'none',
            'margin': 1.0,
        }
    )
    config.protocol = ConfigDict(
        {
            'name': 'random',
            'train_fraction': TRAIN / IMAGES,
            'validation': VALIDATION / IMAGES,
            'equal_test': True,
            'repeats': 1,
            'fold': options.fold,
            'seed': 0,
            'file': '',
        }
    )
    if options.loso:
        config.protocol = ConfigDict(LOSO | {'fold': options.fold})
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
    config.train = ConfigDict(
        {
            'batch_size': 16,
            'epochs': 500,
            'seeds': 3,
            'patience': 0,
            'retrain': False,
            'checkpoint_every': 25,
            'evaluate_batch': 128,
            'members_at_once': 0,
            'steps_per_call': 0,
        }
    )
    if options.simulated:
        config.simulated.subjects = 10
        config.model.dropout_rate = 0.2
        config.train.update({'epochs': 150, 'seeds': 1})
    return config


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """What minaee2019 contradicts or leaves open, against the config as it stands."""
    initializer = {'model.initializer': 'normal'}
    rate = {'optimizer.learning_rate': 5e-3, 'optimizer.schedule': 'constant'}
    ablations = {
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
        'grid_on_features': Ablation(
            'The grid acts on the features after dropout, as the figure has it; by the text it '
            'acts on the input.',
            {'model.transform': 'features'},
        ),
        'no_transformer': Ablation(
            'Without a spatial transformer: what it is worth.', {'model.transform': 'none'}
        ),
    }
    if config.protocol.name == 'random':
        ablations['loso'] = Ablation(
            'Each subject judged by a network of all others; in the paper subjects are shared.',
            {'protocol': LOSO},
        )
    return ablations
