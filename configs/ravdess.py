"""fer_jax's own: RAVDESS's speech, 24 actors in seven or eight emotions, with one of four models.

Command:
    python -m fer_jax.prepare --dataset=ravdess --release=DIR
    python -m fer_jax.main --config=configs/ravdess.py             # 3D CNN + ConvLSTM
    python -m fer_jax.main --config=configs/ravdess.py:c3d
    python -m fer_jax.main --config=configs/ravdess.py:cnn_rnn     # CNN + IRNN
    python -m fer_jax.main --config=configs/ravdess.py:audio       # SVM on openSMILE's features
    python -m fer_jax.main --config=configs/ravdess.py:simulated   # a laptop, nothing downloaded

`calm` takes the eighth class. The protocol is five folds by actor, `loso` leaves each out; `fold=N`
trains one. Variants combine with commas.

Hardware and time: not run on the release (1,440 films, several GB). `:simulated` has 6 drawn actors
(360 films, 312 of them with one of the seven labels), 4 frames of 32 x 32 pixels, two folds and 20
epochs in place of 40.

Paper: none; the networks are those of saurav2020, haddad2020, jain2018 and kahou2015, made smaller.

Ours: needs the release, which is free (docs/data.md).

Deviations: none, as there is no paper. The folds are five because odd actors are men and even ones
women: of six or eight folds each would test one sex. Calm is left out by default: its owners added
it as a second neutral. The CNN in front of the IRNN is trained with it, not before.
"""

from ml_collections import ConfigDict

from fer_jax.config import parse_variant, recipes
from fer_jax.papers import kahou2015

get_ablations = kahou2015.heard_otherwise


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: c3d, cnn_rnn, audio, calm, loso, simulated, fold=N."""
    options = parse_variant(variant, **recipes.ACTORS, calm=False)
    labels = 'ravdess8' if options.calm else 'ravdess7'
    return recipes.actors('ravdess', labels, options, drawn=6)
