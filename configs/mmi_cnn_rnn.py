"""jain2018: CNN, CNN-RNN and CNN-IRNN on MMI's videos (Table 4).

Command:
    python -m fer_jax.main --config=configs/mmi_cnn_rnn.py:cnn        # the CNN alone
    python -m fer_jax.main --config=configs/mmi_cnn_rnn.py:stated,cnn # the rate as it stands
    python -m fer_jax.main --config=configs/mmi_cnn_rnn.py:tanh --config.init.run=RUN_OF_CNN
    python -m fer_jax.main --config=configs/mmi_cnn_rnn.py --config.init.run=RUN_OF_CNN  # IRNN
    python -m fer_jax.ablate --config=configs/mmi_cnn_rnn.py:cnn      # what the paper leaves open
    python -m fer_jax.ablate --config=configs/mmi_cnn_rnn.py --config.init.run=RUN_OF_CNN

`stated` multiplies the rate by 0.01 every 20 epochs, the number as it stands; by default a
hundredth is taken off it, as in configs/jaffe_cnn_rnn.py: 70 % of the 450 videos of a simulated MMI
of 75 people make ten steps an epoch, and 200 before the rate is gone under `stated`, fewer than
JAFFE's loss needs to leave its plateau. With `balanced` ten folds (`:simulated`: five) keep people
apart (`:cnn,balanced`, then `:balanced`); with `simulated` a laptop trains all. Both runs of a
chain take the same of these. JAFFE + MMI in one set, and its mean and deviation image, are the
variant `combined` of configs/jaffe_cnn_rnn.py.

Hardware and time: published size, 496,582 parameters alone (548,932 with the IRNN), simulated MMI
of 75 people, one seed, 2,000 of 2,000 steps: `--config.simulated.subjects=75
--config.train.seeds=1`, some two hours of one core. `:simulated` has half the width, 180 clips of
30 people, 8 frames of 48 x 48 pixels, and 160 epochs for the CNN, 80 for each network behind it:
105 and 37 CPU seconds, and two minutes once to draw the clips.

Paper: CNN-IRNN 92.07 %. Ours: needs the licensed release; simulated at published size, 135 clips,
majority class 16.30 %: CNN 49.63 % (40.0 to 59.1); small, 54 clips, majority class 16.67 %: CNN
38.89 % (25.0 to 52.7), CNN-RNN 64.81 (48.1 to 80.7), CNN-IRNN 57.41 (42.3 to 72.1).

Deviations: the paper's contradictions are ablations, and what is a default here stands in
docs/papers/jain2018.md. MMI labels six emotions and no neutral: six classes. A clip is 8 equally
spaced frames of the whole video (P has no value); the CNN alone learns from the mean of its frames'
probabilities. Mean and deviation image are of the training part only. Faces are found by OpenCV's
cascade, not by a cascade of CNNs. `:simulated` cuts them closer, and learns by Adam at 1e-3 with
cosine decay, little dropout and other views.
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, complete, merged, parse_variant
from fer_jax.papers import jain2018


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, stated, cnn, tanh, balanced, fold=N."""
    names = ('simulated', 'stated', 'cnn', 'tanh', 'balanced')
    options = parse_variant(variant, **dict.fromkeys(names, False), fold=-1)
    config = merged(
        jain2018.RECIPE,
        jain2018.part(cnn=options.cnn, tanh=options.tanh),
        {
            'name': 'mmi_cnn_rnn',
            'data': {'name': 'mmi', 'frames': 8},
            'train': {'evaluate_batch': 32},
        },
    )
    if options.stated:
        config = merged(config, jain2018.STATED)
    if options.balanced:
        config.protocol = {'name': 'balanced', 'k': 5 if options.simulated else 10}
    config.protocol.update({'fold': options.fold})
    if options.simulated:
        views = {'flip': 0.5, 'rotation': 8.0, 'shift': 0.06, 'scale': 0.08, 'contrast': 0.3}
        config = merged(config, jain2018.SMALL, {'augment': {'options': views}})
        config.simulated = {'subjects': 30}
        config.data.margin = 0.8
        config.train.epochs = 160 if options.cnn else 80
    return complete(config)


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what jain2018 contradicts or leaves open, against the config as it stands.

    Those of the CNN are ablations of `:cnn`, those of the sequence of the networks behind it.
    """
    return jain2018.ablations(config)
