"""saurav2020: 3D CNN and ConvLSTM on AFEW (Table III, Figures 7 and 8; sec. IV-C for 80:20).

Command:
    python -m fer_jax.main --config=configs/afew_convlstm.py            # one branch, official parts
    python -m fer_jax.main --config=configs/afew_convlstm.py:random     # 80:20, five times
    python -m fer_jax.main --config=configs/afew_convlstm.py:simulated  # a laptop
    python -m fer_jax.ablate --config=configs/afew_convlstm.py          # what the paper leaves open

The paper's system has a second branch, whose CNN was trained on FER2013 and stays as it is; on
simulated faces `:simulated` and `:two_branch,simulated`:
    python -m fer_jax.main --config=configs/fer2013_two3.py --workdir=RUN
    python -m fer_jax.main --config=configs/afew_convlstm.py:two_branch --config.init.run=RUN

Hardware and time: published size (738,375 parameters, 2,953,500 bytes of float32; with the second
branch 840,263 and 3,361,052; 10 views of each clip, 80 epochs): not run, it needs the licensed
release. `:simulated` has half the width and 4 frames of 32 x 32 pixels: with one branch 150 people
and 10 epochs, 4 minutes on one core; with two 60 people and 4 epochs, 34 seconds of CPU.

Paper: 43.86 % (168 of the 383 validation clips), and 83.12 % on training and validation clips
together, 80:20, mean of five draws. Ours: needs the licensed release. Simulated, last epoch, one
seed: two branches 36.36 % of 77 validation clips (26.0 to 46.8; majority class 16.88 %); one branch
36.84 % of 190 (30.0 to 43.7; majority 16.32 %), and with the people and epochs of two branches not
clear of the majority class, 22.08 % of 77 (13.0 to 31.2).

Deviations: filters, kernels and hidden units of both branches are ours
(fer_jax/models/convlstm.py, configs/fer2013_two3.py). The paper says that it uses no external
emotion data, and then a CNN trained on FER2013: without it one branch is the default here, with it
`two_branch`. Faces are the aligned ones that ship with AFEW, not dlib's (for those prepare with
--faces=dlib --weights=PATH and give --config.data.faces=dlib --config.data.registration=eyes). A
dark clip has a mean level below 80 and becomes brighter, v^(1 / 1.5): threshold and direction are
not stated. The text's four angles, the original and mirror images are 10 views of a clip, while it
says 8: those without the original are the variant `views8`. The film that a clip is of is not
stated, so `random` may have its people on both sides. `:simulated` subtracts the mean image and
divides by the deviation image, has a dropout of 0.5 and learns at 1e-3 with cosine decay.
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, parse_variant

# saurav2020, sec. IV-B: four angles in degrees; with the original, each mirrored besides, 10 views.
ANGLES = (-10.0, -5.0, 5.0, 10.0)


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, random, two_branch, views8, fold=N."""
    options = parse_variant(
        variant, simulated=False, random=False, two_branch=False, views8=False, fold=-1
    )
    config = ConfigDict()
    config.name = 'afew_convlstm'
    config.paper = 'saurav2020'
    config.seed = 0
    config.init = ConfigDict({'run': ''})
    config.simulated = ConfigDict({'subjects': 0, 'seed': 0})
    config.data = ConfigDict(
        {
            'name': 'afew',
            'faces': 'release',
            'labels': '',
            'frames': 8,
            'sampling': 'uniform',
            'size': 64,
            'channels': 1,
            'registration': 'none',
            'margin': 1.0,
        }
    )
    config.protocol = ConfigDict(
        {'name': 'official', 'fold': options.fold, 'validation': 0.0, 'seed': 0, 'file': ''}
    )
    if options.random:
        config.protocol.name = 'random'
        config.protocol.update({'train_fraction': 0.8, 'repeats': 5})
    config.inputs = ConfigDict({'equalize': 'gamma_dark', 'normalize': 'unit', 'channels': 1})
    angles = ANGLES if options.views8 else (0.0, *ANGLES)
    config.augment = ConfigDict(
        {'kind': 'fixed', 'options': {'angles': angles, 'mirrored': True}},
    )
    config.model = ConfigDict(
        {
            'name': 'convlstm',
            'pool_after': (1, 3),
            'units': 16,
            'gate': 'sigmoid',
            'unit_forget_bias': True,
            'states': 'last',
            'hidden': 128,
            'second_branch': options.two_branch,
            'freeze': options.two_branch,
            'dropout_rate': 0.0,
            'width': 1.0,
        }
    )
    config.loss = ConfigDict({'class_weights': False, 'l2': 0.0, 'l2_layers': ()})
    config.optimizer = ConfigDict(
        {
            'name': 'adam',
            'learning_rate': 1e-4,
            'schedule': 'constant',
            'epsilon': 1e-7,  # Keras's
            'lookahead': False,
        }
    )
    config.train = ConfigDict(
        {
            'batch_size': 16,
            'epochs': 80,
            'seeds': 1,
            'patience': 0,
            'retrain': False,
            'checkpoint_every': 1,
            'evaluate_batch': 64,
            'members_at_once': 0,
            'steps_per_call': 0,
        }
    )
    if options.simulated:
        config.simulated.subjects = 60 if options.two_branch else 150
        config.data.update({'frames': 4, 'size': 32})
        config.inputs.normalize = 'mean_std'
        config.model.update({'width': 0.5, 'dropout_rate': 0.5})
        config.optimizer.update({'learning_rate': 1e-3, 'schedule': 'cosine'})
        config.train.epochs = 4 if options.two_branch else 10
        if options.random:
            config.protocol.repeats = 2
    return config


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """What saurav2020 contradicts or leaves open, against the config as it stands."""
    ablations = {
        'all_states': Ablation(
            "The states of all frames flattened, not the last one's: the text flattens 'the "
            "output' of the ConvLSTM.",
            {'model.states': 'all'},
        ),
        'hard_sigmoid': Ablation(
            "The piecewise linear sigmoid that was Keras's default for the gates in 2020; the "
            'equations only name sigma.',
            {'model.gate': 'hard_sigmoid'},
        ),
        'no_unit_forget_bias': Ablation(
            'A forget gate whose bias starts at 0; Keras starts it at 1, the paper does not say.',
            {'model.unit_forget_bias': False},
        ),
        'dropout': Ablation(
            'Dropout of 0.5 after the fully connected layer; the paper names none.',
            {'model.dropout_rate': 0.5},
        ),
        'batch_32': Ablation(
            "Batches of 32, Keras's default; the paper gives no size.", {'train.batch_size': 32}
        ),
        'no_gamma': Ablation(
            'Without the gamma correction of dark clips, whose threshold and direction are not '
            'stated.',
            {'inputs.equalize': 'none'},
        ),
    }
    if config.model.second_branch:  # whose CNN has learnt on frames as they are normalised here
        ablations['fine_tuned'] = Ablation(
            'The CNN of the second branch trained further with the rest; the paper only says that '
            'it extracts features.',
            {'model.freeze': False},
        )
    else:
        ablations['normalized'] = Ablation(
            'Frames less the mean image and over the deviation image of the training clips; the '
            'paper names no normalisation.',
            {'inputs.normalize': 'mean_std'},
        )
        # Only with two poolings have the maps of both branches one size.
        ablations['one_pooling'] = Ablation(
            'One max-pooling, after the last convolution: the text has "one 3D max-pooling layer" '
            'and, as the ConvLSTM\'s input, "the second max-pool layer".',
            {'model.pool_after': (3,)},
        )
    if 0.0 in config.augment.options.angles:
        ablations['views8'] = Ablation(
            'The rotated views and their mirror images only, 8 of a clip as the text says; its '
            'angles with the original make 10.',
            {'augment.options.angles': ANGLES},
        )
    return ablations
