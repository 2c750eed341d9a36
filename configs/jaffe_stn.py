"""minaee2019: the spatial-transformer network on JAFFE (sec. IV-B, Table III, Figure 10).

Command:
    python -m fer_jax.main --config=configs/jaffe_stn.py            # 120 / 23 / 70 at random
    python -m fer_jax.main --config=configs/jaffe_stn.py:loso       # each woman by all others
    python -m fer_jax.main --config=configs/jaffe_stn.py:simulated  # a laptop, no licensed data
    python -m fer_jax.ablate --config=configs/jaffe_stn.py          # what the paper leaves open

Hardware and time: published size (500 epochs of 120 images, three seeds): 328 CPU seconds.
`:simulated` has the published width, a dropout of 0.2 in place of 0.5, 150 epochs and one seed: 55
CPU seconds.

Paper: 92.8 % (65 of 70). Ours: needs the licensed release; simulated faces at published size
(`--config.simulated.subjects=10`) 72.38 % of 70 images (62.1 to 80.8; majority class 14.29 %),
`:simulated` 81.43 (69.6 to 92.2).

Deviations: the division is drawn anew (the paper's is not published), with the stated sizes and ten
test images of each class; women are on both sides of it, and the report says so. The stated
initialiser and learning rate are ablations (docs/papers/minaee2019.md). Batches have 16 images and
faces are found by OpenCV's cascade; the paper states neither.
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, Space, complete, merged, parse_variant
from fer_jax.papers import minaee2019

# minaee2019, sec. IV-B; the other 70 of 213 images judge, 10 of each class.
TRAIN, VALIDATION, IMAGES = 120, 23, 213
DRAWN = {
    'name': 'random',
    'train_fraction': TRAIN / IMAGES,
    'validation': VALIDATION / IMAGES,
    'equal_test': True,
}
# One of the nine training subjects chooses the epoch.
LOSO = {'name': 'loso', 'validation': 0.12}


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, loso, fold=N."""
    options = parse_variant(variant, simulated=False, loso=False, fold=-1)
    config = merged(
        minaee2019.RECIPE,
        {'train': minaee2019.FEW},
        {
            'name': 'jaffe_stn',
            'data': {'name': 'jaffe', 'faces': 'haar'},
            'protocol': LOSO if options.loso else DRAWN,
        },
    )
    config.protocol.fold = options.fold
    if options.simulated:
        config.simulated = {'subjects': 10}
        config.model.dropout_rate = 0.2
        config.train.update({'epochs': 150, 'seeds': 1})
    return complete(config)


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what minaee2019 contradicts or leaves open, against the config as it stands."""
    ablations = dict(minaee2019.ABLATIONS)
    if config.protocol.name == 'random':
        ablations['loso'] = Ablation(
            'Each subject judged by a network of all others; in the paper subjects are shared.',
            {'protocol': LOSO},
        )
    return ablations


def get_space(config: ConfigDict) -> Space:
    """Lists what the paper tunes on the validation set: the weight of the L2 term."""
    return Space(minaee2019.CHOICES)
