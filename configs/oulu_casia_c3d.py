"""haddad2020: the searched 3D CNN on Oulu-CASIA (Table 3; 10-fold of Tables 5 and 8, Figure 6).

Command:
    python -m fer_jax.main --config=configs/oulu_casia_c3d.py            # 10 folds, as published
    python -m fer_jax.main --config=configs/oulu_casia_c3d.py:table2     # CK+'s network: row c1
    python -m fer_jax.main --config=configs/oulu_casia_c3d.py:simulated  # a laptop
    python -m fer_jax.ablate --config=configs/oulu_casia_c3d.py       # what the paper leaves open
    python -m fer_jax.sweep --config=configs/oulu_casia_c3d.py --study=s --trials=800 --storage=...

Row c4 of Table 5, CK+'s network trained on CK+ first (its head, of other classes, starts anew); on
simulated faces `:simulated` and `:table2,simulated`:
    python -m fer_jax.main --config=configs/ckplus_c3d.py:balanced --workdir=RUN
    python -m fer_jax.main --config=configs/oulu_casia_c3d.py:table2 --config.init.run=RUN

Hardware and time: published size (78,023,110 parameters, 4,320 views of 480 clips, 16 epochs, 10
folds): not run, it needs the licensed release. `:simulated` has 40 people, an eighth of the width,
4 frames of 48 x 48 pixels, 24 epochs and 4 folds: 50 seconds of CPU for one fold, compilation
included.

Paper: 84.17 % (404 of 480 clips; its Table 5 has 84.25 as the mean of folds), best epoch; rows c1
and c4 of Table 5: 77.08 and 79.75 %. Ours: needs the licensed release. Simulated: 78.33 % (68.3 to
88.3) of the 60 clips of fold 0 at the last epoch (`:simulated,fold=0`), majority class 16.67 %, one
seed; the other folds were not run. c4's fold 0 after four epochs: 75.00 % (63.3 to 86.7).

Deviations: faces are the cut pictures that ship with Oulu-CASIA, not those of OpenCV's DNN detector
(its weights are not ours to ship; prepare with --faces=opencv_dnn --weights=PATH and give
--config.data.faces=opencv_dnn where you have them); one augmentation draw is held over a clip's
frames. A fold of c4 starts from the network of CK+'s fold of the same number, which a tenth of CK+
did not train; how many clips pre-train is not stated. c1 and c4 have CK+'s network and optimizer
with Oulu-CASIA's preprocessing; the ablation `table2_inputs` has CK+'s (CLAHE, no normalisation).
`:simulated` besides takes frames uniformly from neutral to apex, draws light augmentation anew each
epoch, and uses a dropout of 0.1 and a learning rate of 3e-4 with cosine decay (`:table2,simulated`:
ELU and max-pooling, as `ckplus_c3d.py:simulated` and for its reason).
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, Space, complete, merged, parse_variant
from fer_jax.papers import haddad2020

CLASSES = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise')

# haddad2020, sec. 4.2: copies of each training clip besides the original, 9 views of a clip.
COPIES = {'flip': 1, 'rotation': 5, 'contrast': 2}
CLIPS, VIEWS = 480, 4320


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, table2, fold=N."""
    options = parse_variant(variant, simulated=False, table2=False, fold=-1)
    config = merged(
        haddad2020.RECIPE,
        haddad2020.TABLE_2 if options.table2 else haddad2020.TABLE_3,
        {
            'name': 'oulu_casia_c3d',
            'data': {'name': 'oulu_casia', 'channels': 3},
            'protocol': {'fold': options.fold},
            'inputs': {'normalize': 'symmetric'},
            'augment': {'options': {'counts': dict.fromkeys(CLASSES, COPIES)}},
        },
    )
    if options.simulated:
        config = merged(config, haddad2020.SMALL)
        config.simulated = {'subjects': 40}
        config.protocol.k = 4
        config.augment = haddad2020.LIGHT
        if options.table2:
            config.model.activation = 'elu'
    return complete(config)


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what haddad2020 contradicts or leaves open, against the config as it stands."""
    ablations = {
        **haddad2020.early_clahe(config),
        'balanced': Ablation(
            'Folds of equal size by subject; Table 5 has rows of 48 and rows of 40 clips a fold.',
            {'protocol.name': 'balanced'},
        ),
        'grey': Ablation(
            'Grey frames: section 3.1 has RGB ones, and 4.1 grey ones for CK+ only.',
            {'data.channels': 1},
        ),
    }
    if config.model.initializer == 'none':
        ablations['xavier'] = Ablation(
            'Xavier\'s uniform initialiser: Table 3 has the initialiser "none", which Table 1 does '
            'not list.',
            {'model.initializer': 'xavier_uniform'},
        )
    else:
        ablations['table2_inputs'] = Ablation(
            "CK+'s preprocessing with CK+'s network (grey frames, CLAHE, no normalisation); the "
            'paper does not say which of the two goes with it.',
            {'data.channels': 1, 'inputs.equalize': 'clahe', 'inputs.normalize': 'unit'},
        )
    return ablations | haddad2020.fresh_draws(config, CLIPS, VIEWS)


def get_space(config: ConfigDict) -> Space:
    """Table 1 of haddad2020: what its search varies; of Oulu-CASIA it states no threshold.

    CLAHE equalises each of the three channels by itself.
    """
    return Space(haddad2020.CHOICES)
