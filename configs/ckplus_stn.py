"""minaee2019: the spatial-transformer network on CK+'s last frames (sec. IV-B, Table IV).

Command:
    python -m fer_jax.main --config=configs/ckplus_stn.py            # 70 / 10 / 20 % at random
    python -m fer_jax.main --config=configs/ckplus_stn.py:balanced   # the same sizes by subject
    python -m fer_jax.main --config=configs/ckplus_stn.py:simulated  # a laptop, no licensed data
    python -m fer_jax.ablate --config=configs/ckplus_stn.py          # what the paper leaves open

Hardware and time: published size (500 epochs of 229 images): not run, it needs the licensed
release. `:simulated` has the published width, 80 epochs and one seed: 41 CPU seconds.

Paper: 98.0 %. Ours: needs the licensed release; simulated 60.00 % of 65 images (46.8 to 71.8;
majority class 24.62 %).

Deviations: the division is drawn anew (the paper's is not published); people are on both sides of
it, and the report says so. `balanced` has five folds of equal size by subject, each with 70 / 10 /
20 % of the people. The classes are the seven emotions of the labelled sequences; with the ablation
`neutral` their first frames are an eighth. The stated initialiser and learning rate are ablations
too (BUILD_NOTES.md). Batches have 16 images, which the paper does not state.
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, parse_variant

# By subject, as many of each part: an eighth of the training people chooses the epoch.
BY_SUBJECT = {'name': 'balanced', 'k': 5, 'validation': 0.125, 'fold': -1, 'seed': 0, 'file': ''}


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, balanced, fold=N."""
    options = parse_variant(variant, simulated=False, balanced=False, fold=-1)
    config = ConfigDict()
    config.name = 'ckplus_stn'
    config.paper = 'minaee2019'
    config.seed = 0
    config.init = ConfigDict({'run': ''})
    config.simulated = ConfigDict({'subjects': 0, 'seed': 0})
    config.data = ConfigDict(
        {
            'name': 'ckplus',
            'faces': 'release',
            'labels': '',
            'frames': 1,
            'sampling': 'last',
            'size': 48,
            'channels': 1,
            'registration': 'none',
            'margin': 1.0,
            'neutral': False,
        }
    )
    config.protocol = ConfigDict(
        {
            'name': 'random',
            'train_fraction': 0.7,
            'validation': 0.1,
            'repeats': 1,
            'fold': options.fold,
            'seed': 0,
            'file': '',
        }
    )
    if options.balanced:
        config.protocol = ConfigDict(BY_SUBJECT | {'fold': options.fold})
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
        config.simulated.subjects = 118
        config.model.dropout_rate = 0.2
        config.train.update({'epochs': 80, 'seeds': 1})
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
        'neutral': Ablation(
            "Neutral as an eighth class, of the same sequences' first frames; the classes are not "
            'stated.',
            {'data.neutral': True},
        ),
        'no_transformer': Ablation(
            'Without a spatial transformer: what it is worth.', {'model.transform': 'none'}
        ),
    }
    if config.protocol.name == 'random':
        ablations['balanced'] = Ablation(
            'Folds of equal size by subject; whether subjects are kept apart is not stated.',
            {'protocol': BY_SUBJECT},
        )
    return ablations
