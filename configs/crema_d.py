"""fer_jax's own: CREMA-D, 91 actors in six emotions, acted or as raters saw them.

Command:
    python -m fer_jax.prepare --dataset=crema_d --release=DIR
    python -m fer_jax.main --config=configs/crema_d.py             # 3D CNN + ConvLSTM
    python -m fer_jax.main --config=configs/crema_d.py:c3d
    python -m fer_jax.main --config=configs/crema_d.py:cnn_rnn     # CNN + IRNN
    python -m fer_jax.main --config=configs/crema_d.py:audio       # SVM on openSMILE's features
    python -m fer_jax.main --config=configs/crema_d.py:rated       # trained on raters' votes
    python -m fer_jax.main --config=configs/crema_d.py:simulated   # a laptop, nothing downloaded

The class is the emotion that was acted; with `rated` it is the one that most raters perceived, and
a network's targets are the shares of their votes. Of seen and heard clips, that is: for a network
of faces the release may be prepared with --ratings=face, for a voice with --ratings=voice. The
protocol is five folds by actor, `loso` leaves each out; `fold=N` trains one. Variants combine.

Hardware and time: not run on the release (7,442 films, 7.6 GB). `:simulated` has 4 drawn actors
(328 films), 4 frames of 32 x 32 pixels, two folds and 20 epochs in place of 40.

Paper: none; the networks are those of saurav2020, haddad2020, jain2018 and kahou2015, made smaller.

Ours: needs the release, which is free (docs/data.md).

Deviations: none, as there is no paper. Clips on which raters are divided have no class with `rated`
and are left out. The CNN in front of the IRNN is trained with it, not before.
"""

from ml_collections import ConfigDict

from fer_jax.config import parse_variant, recipes
from fer_jax.papers import kahou2015

get_ablations = kahou2015.heard_otherwise


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: c3d, cnn_rnn, audio, rated, loso, simulated, fold=N."""
    options = parse_variant(variant, **recipes.ACTORS, rated=False)
    labels = 'crema_d_rated' if options.rated else 'crema_d'
    config = recipes.actors('crema_d', labels, options, drawn=4)
    if options.rated and not options.audio:
        config.loss.targets = 'votes'
    return config
