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
seconds (120 drawn films of the same people, seen as 4 frames of 32 x 32 pixels).

Paper: none; the networks are those of kahou2015, haddad2020 and saurav2020, made smaller.

Ours: it depends on the data. `:simulated` 78.33 % (68.3 to 88.3), `:c3d,simulated` 70.83 % (65.0
to 76.7), `:convlstm,simulated` 74.17 % (66.7 to 81.7), majority class 33.33 %, simulated faces.

`:audio,loso` on EmoDB (real speech, docs/data.md): 77.57 % (73.0 to 82.5) of 535 sounds of ten
unknown speakers, unweighted 76.23, majority class 23.74 %, 40 CPU seconds; ablations: docs/data.md.

Deviations: none, as there is no paper. What suits a set of this size is a choice: light
augmentation drawn anew each epoch, Adam with cosine decay, no validation part; the last epoch
counts.
"""

from ml_collections import ConfigDict

from fer_jax.config import complete, merged, parse_variant
from fer_jax.config.recipes import small
from fer_jax.papers import kahou2015

get_ablations = kahou2015.heard_otherwise


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: c3d, convlstm, audio, random, official, loso, simulated."""
    names = ('c3d', 'convlstm', 'audio', 'random', 'official', 'loso', 'simulated')
    options = parse_variant(variant, **dict.fromkeys(names, False))
    films = options.c3d or options.convlstm
    base = {'name': 'own', 'data': {'name': 'own:data'}, 'protocol': {'name': 'balanced', 'k': 5}}
    kind = next((name for name in ('audio', 'c3d', 'convlstm') if options[name]), 'cnn')
    config = small(ConfigDict(base), kind)
    for name in ('random', 'official', 'loso'):
        if options[name]:
            config.protocol = {'name': name}
    if options.simulated:
        drawn = 'own:films' if films or options.audio else 'own:pictures'
        config = merged(config, {'simulated': {'subjects': 20}, 'data': {'name': drawn}})
        if films:
            config = merged(config, {'data': {'frames': 4, 'size': 32}})
    return complete(config)
