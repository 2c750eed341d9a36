"""jain2018: a CNN's features of a clip's frames, concatenated, and an SVM (sec. 2).

Command:
    python -m fer_jax.main --config=configs/mmi_cnn_rnn.py:cnn          # first the CNN
    python -m fer_jax.main --config=configs/mmi_svm.py --config.features.run=RUN
    python -m fer_jax.main --config=configs/mmi_cnn_rnn.py:cnn,simulated  # a laptop
    python -m fer_jax.main --config=configs/mmi_svm.py:simulated --config.features.run=RUN
    python -m fer_jax.ablate --config=configs/mmi_svm.py --config.features.run=RUN

RUN is the directory that the first command wrote. Its network gives 200 values for each of eight
frames, which are 1,600 of a clip; a shorter clip repeats frames in place. An SVM learns them, its C
and gamma from a grid by cross-validation inside the training clips.

Hardware and time: published size on simulated MMI (`--config.simulated.subjects=75`), data
prepared: within two minutes on two cores. `:simulated` takes the same data as
`mmi_cnn_rnn.py:simulated`.

Paper: no figure. Ours: needs the licensed release; simulated at published size, 135 clips, majority
class 16.30 %: 56.30 % (47.3 to 65.2). Its network was trained on the clips that the grid is
searched on, which are easy therefore.

Deviations: which features of which frames, and the kernel, are not stated: the second fully
connected layer, as for the recurrent network (sec. 3.3), and an RBF kernel.
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, complete, merged, parse_variant

# Frames of a clip, and so bins: each frame's features stand beside one another.
FRAMES = 8


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, balanced, fold=N."""
    options = parse_variant(variant, simulated=False, balanced=False, fold=-1)
    rule = {'name': 'random', 'train_fraction': 0.7}
    if options.balanced:
        rule = {'name': 'balanced', 'k': 5 if options.simulated else 10}
    config = merged(
        {
            'name': 'mmi_svm',
            'paper': 'jain2018',
            'data': {
                'name': 'mmi',
                'faces': 'haar',
                'sampling': 'uniform',
                'size': 96,
                'frames': FRAMES,
            },
            'protocol': rule,
            'features': {'layer': 'hidden2'},
            'model': {'name': 'svm', 'bins': FRAMES},
        }
    )
    config.protocol.fold = options.fold
    if options.simulated:
        config.simulated = {'subjects': 30}
        config.data.update({'size': 48, 'margin': 0.8})
    return complete(config)


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what jain2018 leaves open of its SVM, against the config as it stands."""
    return {
        'linear': Ablation('A linear kernel; none is stated.', {'model.kernel': 'linear'}),
        'one_vector': Ablation(
            "The mean of all frames' features in place of their concatenation.", {'model.bins': 1}
        ),
    }
