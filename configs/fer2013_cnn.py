"""kahou2015: the frame CNNs on FER2013, and TFD beside it (sec. 2.1.3 and 6.1; Table 1).

Command:
    python -m fer_jax.main --config=configs/fer2013_cnn.py             # 9x9, 32-32-64: the paper's
    python -m fer_jax.main --config=configs/fer2013_cnn.py:three5      # 5x5, 64-64-128
    python -m fer_jax.main --config=configs/fer2013_cnn.py:very_deep   # 3x3
    python -m fer_jax.main --config=configs/fer2013_cnn.py:slim        # our own variation
    python -m fer_jax.main --config=configs/fer2013_cnn.py:tfd         # and TFD, official parts
    python -m fer_jax.main --config=configs/fer2013_cnn.py:all         # both whole, but 2,000
    python -m fer_jax.main --config=configs/fer2013_cnn.py:afew        # both whole; AFEW chooses
    python -m fer_jax.main --config=configs/fer2013_cnn.py:afew,registered  # onto one mean shape
    python -m fer_jax.main --config=configs/fer2013_cnn.py:simulated   # a laptop, no download
    python -m fer_jax.ablate --config=configs/fer2013_cnn.py           # what the paper leaves open

What trains: by default FER2013's training part, chosen on PublicTest and judged on PrivateTest.
`all` trains on FER2013 and TFD, PrivateTest and all, as the paper's networks do: 1,000 held-out
images choose, and 1,000 others, which the paper does not hold out, judge. `afew` holds nothing out:
eight frames of each of AFEW's training clips, each a still with the clip's label, choose the epoch,
and those of its validation clips judge; FER2013's 12 black pictures of 35,887 have no face and are
left out, as AFEW's clips without one. The variants of structure combine with those of data:
`:afew,three5`. A run of any is the first stage of configs/afew_rnn.py and configs/afew_svm.py. With
`registered` (alone as `tfd`, or with `all` or `afew`) one similarity for each dataset takes its
mean shape onto FER2013's (sec. 2.1.2): five points that YuNet finds, TFD's fitted on its training
images, AFEW's on its training part; `registered` of what is built on it maps AFEW likewise.

Hardware and time: docs/results.md has the runs on FER2013. `tfd`, `all` and `afew`: not
run, they need the licensed releases; `afew` holds 1.5 GB while it loads. `:simulated` has FER2013
and TFD of 800 drawn people each (120 with `afew`), half the width, batch normalisation, dropout of
0.1, Adam at 0.002 with cosine decay, batches of 32 and 10 epochs: 122 CPU seconds, drawing
not counted.

Paper: no figure for these networks themselves; what is built on them is in configs/afew_rnn.py and
configs/afew_svm.py. Ours: docs/results.md; `:simulated` 68.58 % (66.0 to 71.1; majority class 21.82
%), simulated faces.

Deviations: no dataset is registered onto FER2013's mean shape but with `registered`, as neither
FER2013 nor TFD ships landmarks, and YuNet finds none in 3 % of FER2013's pictures, which move with
the others. The mean and deviation image comes from the training images, not from all. The best
variant of the paper stops by AFEW's training and validation clips together; here the validation
clips only judge, because they are the test of what is built on these networks. The paper names no
optimiser, rate, schedule or batch: Adam at 0.0003 with cosine decay and batches of 32 are ours.
With SGD at 0.01, momentum of 0.9 and batches of 128 the second convolution was dead on FER2013 when
looked at (`three9` after four epochs, `three5` after two; 256 PublicTest images), and such networks
can only say the majority class. What else is left open: docs/papers/kahou2015.md.
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, complete, merged, parse_variant

# Images of FER2013 and TFD (sec. 2.1.1), and those that are left out of training (sec. 2.1.3).
IMAGES, HELD_OUT = 35_887 + 4_178, 1_000
# Our own variation: 3x3 kernels, few filters, more views.
SLIM = {
    'inputs': {'equalize': 'none', 'mirrored': True},
    'augment': {
        'options': {'rotation': 10.0, 'scale': 0.1, 'contrast': 0.3, 'whole_pixels': False}
    },
    'model': {'structure': 'very_deep', 'batch_norm': True, 'width': 0.375, 'dropout_rate': 0.1},
    'loss': {'label_smoothing': 0.1},
    'optimizer': {'learning_rate': 1e-3},
    'train': {'batch_size': 64, 'epochs': 26},
}


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, three5, very_deep, slim, tfd, all, afew, registered."""
    names = ('simulated', 'three5', 'very_deep', 'slim', 'tfd', 'all', 'afew', 'registered')
    options = parse_variant(variant, **dict.fromkeys(names, False))
    structure = 'three5' if options.three5 else 'very_deep' if options.very_deep else 'three9'
    config = ConfigDict(
        {
            'name': 'fer2013_cnn',
            'paper': 'kahou2015',
            'data': {'name': 'fer2013', 'faces': 'release', 'labels': 'fer2013'},
            'protocol': {'name': 'official'},
            'inputs': {'equalize': 'histogram', 'normalize': 'mean_std', 'crop': 40},
            'augment': {
                'kind': 'random',
                'options': {'flip': 0.5, 'shift': 4 / 48, 'whole_pixels': True},
            },
            'model': {'name': 'frame_cnn', 'structure': structure, 'dropout_rate': 0.25},
            'optimizer': {'learning_rate': 3e-4, 'schedule': 'cosine'},
            'train': {'seeds': 3, 'evaluate_batch': 512},
        }
    )
    several = options.tfd or options.all or options.afew or options.registered
    if several or options.simulated:
        config.data.update({'name': 'fer2013+tfd', 'labels': ''})
    if options.all:
        held_out = 0.1 if options.simulated else HELD_OUT / IMAGES
        fractions = {'train_fraction': 1 - 2 * held_out, 'validation': held_out}
        config.protocol = {'name': 'random', **fractions}
    if options.afew:
        config.data.update({'name': 'fer2013+tfd+afew', 'frames': 8, 'sampling': 'uniform'})
        config.data.update({'stills': True, 'drop_faceless': True})
        config.protocol = {'name': 'across', 'target': 'afew'}
    if options.registered:
        config.data.update({'faces': 'yunet', 'registration': 'mean_shape'})
    if options.slim:
        config = merged(config, SLIM)
    if options.simulated:
        width = 0.5 * config.model.get('width', 1.0)
        small = {
            'simulated': {'subjects': 120 if options.afew else 800},
            'model': {'width': width, 'batch_norm': True, 'dropout_rate': 0.1},
            'optimizer': {'learning_rate': 2e-3},
            'train': {'batch_size': 32, 'epochs': 10, 'seeds': 1, 'checkpoint_every': 5},
        }
        config = merged(config, small)
    return complete(config)


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what kahou2015 leaves open of its frame networks, against the config as it stands."""
    ablations = {
        'whole_face': Ablation(
            'The whole face of 48 x 48, shifted by up to 4 pixels: the size of crops is not given.',
            {'inputs.crop': 0},
        ),
        'sgd': Ablation(
            'SGD at 0.001 with momentum 0.9: the paper names no optimiser for these networks.',
            {'optimizer.name': 'momentum', 'optimizer.learning_rate': 1e-3},
        ),
    }
    if config.augment.options.whole_pixels:
        ablations['interpolated_crops'] = Ablation(
            'Crops between pixels, which are interpolated and so smoother than test images.',
            {'augment.options.whole_pixels': False},
        )
    if config.model.structure != 'very_deep':
        ablations['pooling_2'] = Ablation(
            'Pooling over 2 x 2 pixels instead of overlapping 3 x 3: neither is stated.',
            {'model.pool': 2},
        )
    if not config.model.batch_norm:
        ablations['batch_norm'] = Ablation(
            'Batch normalisation before each ReLU: the paper, of its year, has none; the learning '
            'rate is 0.001.',
            {'model.batch_norm': True, 'optimizer.learning_rate': 1e-3},
        )
    if config.inputs.equalize != 'none':
        ablations['no_equalisation'] = Ablation(
            'Without histogram equalisation: what the stated photometry is worth.',
            {'inputs.equalize': 'none'},
        )
    return ablations
