"""kahou2015: activity in whole scenes of AFEW (sec. 4; Table 1, row Activity; Figure 2).

Command:
    python -m fer_jax.prepare --dataset=afew --release=DIR            # faces, for the report
    python -m fer_jax.prepare --dataset=afew --release=DIR --scene    # what is learned from
    python -m fer_jax.main --config=configs/afew_activity.py
    python -m fer_jax.main --config=configs/afew_activity.py:simulated     # no licensed data

Scenes are cut into blocks of 16x16 pixels and 10 frames. A synchrony autoencoder learns filters of
motion from those of the training clips, k-means words of its activations; a clip is the histogram
of its words, and an SVM with chi-squared kernel learns these. What was fitted, and the histograms,
are kept beside the prepared data. The report shows filters.

Hardware and time: published size: not run, it needs the licensed release; fitting takes up to 5 GB
of memory. `:simulated` has 60 drawn people and fewer blocks and words: 76 CPU seconds.

Paper: 26.6 % on the validation part, 98.3 % on the training part. Ours: needs the licensed release;
`:simulated` 24.68 % of 77 clips (15.6 to 35.1), majority class 16.88 %, simulated scenes; 100 % on
the training part.

Deviations: the paper names the three steps and the blocks' size. From the authors' code, as far as
that is public: 300 factors, the normalisation of blocks, whitening that keeps 99.999 % of the
variance (`:simulated`: 99 %), weighted histograms, chi-squared kernel, C 100. The number of words
is that of Le et al. 2011. The loss is the sequence form of Konda et al., arXiv:1306.3162, with tied
weights. Ours alone: scenes shrunk to 320 pixels at most, the weight of the contraction, Adam and
its settings, filters of one norm, how many blocks, the kernel's gamma, probabilities by one
temperature from inner folds (the authors: libsvm's). A block's contrast is measured against the
training blocks' mean, not against the batch at hand. The inner folds learn from words fitted on all
training clips.
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
        {'name': 'afew_activity', 'activity': {}, 'model': {'name': 'chi2_svm'}},
    )
    if options.simulated:
        config.simulated = {'subjects': kahou2015.SUBJECTS}
        config.activity = {'blocks': 20_000, 'variance': 0.99, 'words': 300}
    return complete(config)


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what kahou2015 leaves open of its activity model, against the config as it stands."""
    ablations = {
        'unweighted': Ablation(
            'A histogram counts each block once: the paper says k-means; that blocks are weighted '
            "by their activation is in the authors' code only.",
            {'activity.weighted': False},
        ),
        'rbf': Ablation(
            'An SVM with RBF kernel, C and gamma from a grid, as for sound: the paper says SVM; '
            "the chi-squared kernel is in the authors' code only.",
            {'model': {'name': 'svm', 'bins': 1}},
        ),
        'contraction_10': Ablation(
            'A third of the contraction: the paper gives no weight.', {'activity.contraction': 10.0}
        ),
    }
    for share in (3, 10):
        words = config.activity.words // share
        ablations[f'words_{words}'] = Ablation(
            f'{words} words: the paper gives no number; 3000 are those of Le et al. 2011.',
            {'activity.words': words},
        )
    return ablations
