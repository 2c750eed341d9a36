"""kahou2015: the sound of AFEW's clips (sec. 3; Table 1, row Audio).

Command:
    python -m fer_jax.main --config=configs/afew_audio.py
    python -m fer_jax.main --config=configs/afew_audio.py --config.sound.file=FEATURES.arff
    python -m fer_jax.main --config=configs/afew_audio.py:simulated     # a laptop, no licensed data

openSMILE (the extra `audio`; its licence allows research only) makes 1582 values of a clip's sound,
or they are read from the .arff or .csv that SMILExtract wrote. They are scaled and turned to
principal components, both fitted on the training clips; an SVM with RBF kernel learns these, its C
and gamma from a grid by cross-validation inside the training clips. Features are computed once and
kept beside the prepared data.

Hardware and time: published size: not run, it needs the licensed release. `:simulated` has 60 drawn
people: 17 CPU seconds, features included.

Paper: 33.2 % on the validation part. Ours: needs the licensed release; `:simulated`
31.17 % of 77 clips (20.8 to 41.6), majority class 16.88 %, simulated voices; whitened components
33.77, a linear machine on all features 38.96. On real speech (EmoDB, docs/data.md): 77.57 %.

Deviations: the paper names no list of features, its 1,582 are as many as emobase2010 has;
openSMILE's package carries IS10_paraling_compat, also 1,582 values of the same kinds, not compared
with it one by one: give a file of SMILExtract for another. The paper does not give the number of
components (for the SVM) nor the grid: both are ours. The inner folds choose C and gamma on
components fitted on all training clips. Clips without sound are left out; sound under 0.1 s is
followed by silence.
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, complete, merged, parse_variant
from fer_jax.papers import kahou2015


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated."""
    options = parse_variant(variant, simulated=False)
    # Frames are for the report's pictures: nothing learns from them.
    config = merged(
        kahou2015.CLIPS,
        {
            'name': 'afew_audio',
            'data': {'drop_soundless': True},
            'sound': {},
            'model': {'name': 'svm', 'bins': 1, 'scale': False},
        },
    )
    if options.simulated:
        config.simulated = {'subjects': kahou2015.SUBJECTS}
    return complete(config)


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what kahou2015 leaves open of its sound, against the config as it stands."""
    return {
        **{
            f'components_{count}': Ablation(
                f'{count} principal components: their number is not given for the SVM; the fusion '
                'network takes 10.',
                {'sound.components': count},
            )
            for count in (10, 100)
        },
        **kahou2015.SOUND,
    }
