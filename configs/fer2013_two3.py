"""saurav2020: the CNN on FER2013 whose features feed AFEW's second branch (sec. IV-B; no table).

Command:
    python -m fer_jax.main --config=configs/fer2013_two3.py            # real FER2013
    python -m fer_jax.main --config=configs/fer2013_two3.py:simulated  # a laptop, no download
    python -m fer_jax.main --config=configs/afew_convlstm.py:two_branch --config.init.run=RUN

Hardware and time: published size (170,439 parameters, of which the second branch takes the 55,744
of the convolutions): not run. `:simulated` has 800 people, half the width, 32 x 32 pixels and 12
epochs, which take 25 seconds on one core.

Paper: gives no accuracy of it. Ours: not run. Simulated: 38.67 % (34.5 to 43.2) of 481 test images
at the epoch that the validation images choose, majority class 24.53 %, one seed.

Deviations: of the 'custom CNN' the paper says that it was trained on FER2013 and nothing else. Its
structure here is the first branch in two dimensions, so that the maps of both branches can be
added, and so is the size of its images, that of AFEW's frames; He's initialiser, batch size,
dropout, light augmentation and a rate of 1e-3 with cosine decay are ours. The epoch is the one that
PublicTest chooses. `:simulated` besides subtracts the mean image and divides by the deviation
image, as `afew_convlstm.py:simulated` does, augments less, has no dropout, and learns at 2e-3 in
batches of 32.
"""

from ml_collections import ConfigDict

from fer_jax.config import complete, merged, parse_variant
from fer_jax.papers import saurav2020


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated."""
    options = parse_variant(variant, simulated=False)
    config = ConfigDict(
        {
            'name': 'fer2013_two3',
            'paper': 'saurav2020',
            'data': {
                'name': 'fer2013',
                'faces': 'release',
                'labels': 'fer2013',
                'size': saurav2020.RECIPE['data']['size'],
            },
            'protocol': {'name': 'official'},
            'augment': {
                'kind': 'random',
                'options': {
                    'flip': 0.5,
                    'rotation': 10.0,
                    'shift': 0.05,
                    'scale': 0.05,
                    'contrast': 0.2,
                },
            },
            'model': {'name': 'frame_cnn', 'structure': 'two3', 'dropout_rate': 0.25},
            'optimizer': {'schedule': 'cosine', 'epsilon': 1e-7},  # Keras's epsilon
            'train': {'batch_size': 64, 'epochs': 40, 'evaluate_batch': 512},
        }
    )
    if options.simulated:
        views = {'rotation': 5.0, 'shift': 0.03, 'scale': 0.03, 'contrast': 0.1}
        config = merged(
            config,
            {
                'simulated': {'subjects': 800},
                'data': {'size': saurav2020.SMALL['data']['size']},
                'inputs': {'normalize': 'mean_std'},
                'augment': {'options': views},
                'model': {'width': 0.5, 'dropout_rate': 0.0},
                'optimizer': {'learning_rate': 2e-3},
                'train': {'batch_size': 32, 'epochs': 12},
            },
        )
    return complete(config)
