"""Shared values of kahou2015's configs: AFEW's clips and its official parts."""

from ml_collections import ConfigDict

from fer_jax.config import Ablation

# Every model of clips: AFEW's own aligned faces, the parts that its owners give.
CLIPS = {
    'paper': 'kahou2015',
    'data': {'name': 'afew', 'faces': 'release', 'frames': 16, 'sampling': 'uniform'},
    'protocol': {'name': 'official'},
}
# Those that see faces: whole clips, of which those without a face are left out (Table 2's counts).
FACES = {'data': {'frames': 96, 'drop_faceless': True}}
# People of a simulated AFEW.
SUBJECTS = 60
# What an SVM may learn from sound in place of the config's principal components.
SOUND = {
    'whitened': Ablation(
        'Whitened components: section 6.2 whitens them for the fusion network, section 3 does not '
        'for the SVM.',
        {'sound.whiten': True},
    ),
    'linear': Ablation(
        'A linear SVM on all features, scaled: no components and no RBF kernel, which the paper '
        'has.',
        {'sound.components': 0, 'model.kernel': 'linear'},
    ),
}
# The same where speakers are known.
BY_SPEAKER = {
    'by_speaker': Ablation(
        "Features scaled by each speaker's own clips first, without labels: the clips that judge "
        'are then looked at all at once.',
        {'sound.scale_speakers': True},
    ),
    'linear_by_speaker': Ablation(
        "A linear SVM on all features, scaled by each speaker's own clips, without labels.",
        {**SOUND['linear'].changes, 'sound.scale_speakers': True},
    ),
}


def heard_otherwise(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what may be heard otherwise where speakers are known; nothing of what hears nothing."""
    return {**SOUND, **BY_SPEAKER} if 'sound' in config else {}
