"""kahou2015: a frame CNN's outputs on AFEW, aggregated (sec. 2.3; Table 1, row Aggregated CNN).

Command:
    python -m fer_jax.main --config=configs/fer2013_cnn.py:afew         # first a network for frames
    python -m fer_jax.main --config=configs/afew_svm.py --config.features.run=RUN
    python -m fer_jax.main --config=configs/afew_svm.py:averaging --config.features.run=RUN
    python -m fer_jax.main --config=configs/fer2013_cnn.py:simulated    # a laptop, no licensed data
    python -m fer_jax.main --config=configs/afew_svm.py:simulated --config.features.run=RUN

RUN is the directory that the first command wrote. Its network gives seven values before the softmax
for each frame; 15 bins of a clip's frames are averaged to 105 values, and an SVM with RBF kernel
learns them, its C and gamma from a grid by cross-validation inside the training clips. `averaging`
takes the mean of the frames' probabilities instead and learns nothing. `registered` is for a RUN of
`fer2013_cnn.py:afew,registered`, as in configs/afew_rnn.py.

Hardware and time: published size: not run, it needs the licensed release. `:simulated` has 60 drawn
people and 16 frames a clip: 12 CPU seconds, averaging 11, features included.

Paper: 35.0 % on the validation part, and 23.7 % for averaging. Ours: needs the licensed release;
`:simulated` 61.33 % of 75 clips (50.7 to 72.0), averaging 56.00 % (45.3 to 66.7), majority class
16.00 %, simulated faces.

Deviations: clips of more than 96 frames are sampled uniformly; AFEW's own aligned faces are taken
as they are; clips without a face are left out (configs/afew_rnn.py). The grid is ours, the paper
gives none. Probabilities are decision values under one fitted temperature, so what decides stays
first.
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, complete, merged, parse_variant
from fer_jax.papers import kahou2015


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, averaging, registered."""
    options = parse_variant(variant, simulated=False, averaging=False, registered=False)
    config = merged(
        kahou2015.CLIPS,
        kahou2015.FACES,
        {
            'name': 'afew_averaging' if options.averaging else 'afew_svm',
            'features': {'layer': 'logits'},
            'model': {'name': 'averaging'} if options.averaging else {'name': 'svm', 'bins': 15},
        },
    )
    if options.registered:
        config.data.update({'faces': 'yunet', 'registration': 'mean_shape'})
    if options.simulated:
        config.simulated = {'subjects': kahou2015.SUBJECTS}
        config.data.frames = 16
    return complete(config)


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what kahou2015 leaves open of its aggregation, against the config as it stands."""
    if config.model.name == 'averaging':
        return {}
    return {
        f'bins_{bins}': Ablation(
            f'{bins} bins instead of 15, which were chosen "heuristically".', {'model.bins': bins}
        )
        for bins in (1, 5, 30)
    }
