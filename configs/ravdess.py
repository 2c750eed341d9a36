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
(312 films), 4 frames of 32 x 32 pixels and two folds.

Paper: none; the networks are those of saurav2020, haddad2020, jain2018 and kahou2015, made smaller.

Ours: needs the release, which is free (docs/data.md).

Deviations: none, as there is no paper. The folds are five because odd actors are men and even ones
women: of six or eight folds each would test one sex. Calm is left out by default: its owners added
it as a second neutral. The CNN in front of the IRNN is trained with it, not before.
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, complete, merged, parse_variant
from fer_jax.config.recipes import small
from fer_jax.papers import kahou2015


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: c3d, cnn_rnn, audio, calm, loso, simulated, fold=N."""
    names = ('c3d', 'cnn_rnn', 'audio', 'calm', 'loso', 'simulated')
    options = parse_variant(variant, **dict.fromkeys(names, False), fold=-1)
    labels = 'ravdess8' if options.calm else 'ravdess7'
    rule = {'name': 'balanced', 'k': 2 if options.simulated else 5}
    base = {
        'name': 'ravdess',
        'data': {'name': 'ravdess', 'labels': labels},
        'protocol': {'name': 'loso'} if options.loso else rule,
    }
    kind = next((name for name in ('audio', 'c3d', 'cnn_rnn') if options[name]), 'convlstm')
    config = small(ConfigDict(base), kind)
    config.protocol.fold = options.fold
    if options.simulated:
        config.simulated = {'subjects': 6}
        if not options.audio:
            config = merged(config, {'data': {'frames': 4, 'size': 32}, 'train': {'epochs': 20}})
    return complete(config)


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what may be heard otherwise, of the variant `audio`."""
    return {**kahou2015.SOUND, **kahou2015.BY_SPEAKER} if 'sound' in config else {}
