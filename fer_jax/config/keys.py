"""Lists all that a config may set: each key once, with its neutral value.

At its neutral value a key does nothing. One that cannot do nothing, such as a number of epochs, has
a usual value, and a name that has to be given is ''. Configs state what differs from this list, and
runs are known by what differs from it: a key that is added later renames and refuses no run, and a
value that stands here stays.
"""

import copy
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from fer_jax.errors import UserError

ALWAYS = {
    'name': '',  # of the run's folder, and in reports
    'paper': '',  # that it follows, as in fer_jax.papers
    'runner': 'experiment',  # what trains it; 'kahou2015': several models (SYSTEM)
    'seed': 0,  # of the first network; others follow (train.seeds)
    'stamps': (),  # what must be known before a number of the run is believed
    'simulated': {
        'subjects': 0,  # people to draw in place of a release; 0: the release
        'seed': 0,  # of the drawing
    },
}
EXPERIMENT = {
    'data': {  # see data.prepared.load
        'name': '',  # a dataset, or several joined by '+'
        'faces': '',  # how they were found; '' is the dataset's default
        'labels': '',  # label set; '' is the dataset's first
        'frames': 1,  # of a clip
        'sampling': 'last',  # which frames; or 'uniform', 'linspace', 'rising'
        'order': 'kept',  # of a clip's frames; or 'shuffled', 'apex'
        'size': 48,  # side of a frame in pixels
        'channels': 1,  # 3: colours
        'registration': 'none',  # or 'box', 'eyes', 'procrustes', 'mean_shape'
        'points': 5,  # landmarks of a shape, for the last two; or 51, 68
        'margin': 1.0,  # side of a frame over that of the face box
        'equalize': 'none',  # or 'clahe': of pictures before they are resized
        'stills': False,  # each frame is a clip
        'neutral': False,  # sequences' first frames are a class besides
        'drop_faceless': False,  # clips without a face in any frame are left out
        'drop_soundless': False,  # clips without sound are left out
        'unlabelled': False,  # clips without a label are loaded too, in no fold
    },
    'protocol': {
        'name': '',  # how clips are divided (KINDS)
        'fold': -1,  # the only one to train; -1: all
        'inner': False,  # what chooses is judged, test clips are left out (searches)
        'file': '',  # folds from this file in place of the rule
    },
    'model': {'name': ''},  # a network or a classifier (KINDS)
}
# What a network that is trained by steps has besides.
TRAINED = {
    'init': {'run': ''},  # a finished run whose networks these start from
    'distill': {
        'runs': '',  # finished ones whose networks teach these, separated by commas
        'share': 0.7,  # of the teachers in a training target; above 0, to 1
    },
    'inputs': {  # see training.inputs
        'equalize': 'none',  # or 'histogram', 'clahe', 'gamma_dark'
        'normalize': 'unit',  # or 'symmetric', 'mean_std', 'each'; 'none': features, as they are
        'channels': 1,  # 3: grey repeated
        'crop': 0,  # side of the central square that is left; 0: the whole frame
        'mirrored': False,  # judge by frames and their mirror images
    },
    'augment': {  # of training clips
        'kind': 'none',  # of views (KINDS)
        'options': {},
        'erase': 0.0,  # probability that a view loses a rectangle
        'mixup': 0.0,  # alpha; 0: views are not mixed
    },
    'loss': {
        'kind': 'cross_entropy',  # or 'squared_error'
        'targets': 'labels',  # or 'votes', the shares of raters' votes
        'class_weights': False,  # by inverse class frequency
        'weigh_views': False,  # the frequency is that of views, not of clips
        'label_smoothing': 0.0,  # what is taken from the true class
        'l2': 0.0,  # weight of the squared kernels of the layers that follow
        'l2_layers': (),
    },
    'optimizer': {
        'name': 'adam',  # or 'sgd', 'momentum', 'adamw', 'plain_adam'
        'learning_rate': 1e-3,
        'schedule': 'constant',  # or 'cosine', 'step', 'inverse'
        'every': 1,  # epochs between changes, of 'step' and 'inverse'
        'factor': 1.0,  # of 'step' and 'inverse'
        'warmup': 0.0,  # share of all steps in which the rate rises first
        'clip': 0.0,  # largest norm of all gradients together; 0: any
        'weight_decay': 0.0,  # of kernels
        'lookahead': False,
        'average': 0.0,  # what a step keeps of the weights' running average; 0: none
    },
    'train': {  # see training.loop.Schedule
        'batch_size': 32,
        'epochs': 100,
        'seeds': 1,  # networks of each fold
        'patience': 0,  # epochs that validation clips find no better; then a network ends; 0: never
        'retrain': False,  # again on training and validation clips, for the epochs chosen
        'checkpoint_every': 1,  # epochs
        'evaluate_batch': 128,  # clips in an evaluation step; a multiple of 8 is taken
        'members_at_once': 0,  # networks that train side by side; 0: what fits
        'steps_per_call': 0,  # of the device; 0: chosen
        'keep_states': False,  # optimizer states of finished networks, which --extend goes on from
    },
}
# What clips are learned from in place of their frames: at most one of these sections.
SOURCES = {
    'features': {
        'run': '',  # a finished run whose networks make them
        'layer': 'logits',  # of these networks
    },
    'sound': {
        'file': '',  # SMILExtract's; '': openSMILE hears the prepared sound
        'components': 50,  # principal ones; 0: the features themselves, scaled
        'whiten': False,  # components have deviation 1
        'scale_speakers': False,  # by each speaker's clips, tested ones too, without labels
    },
    'activity': {  # see kahou2015.activity
        'blocks': 200_000,  # of all training scenes, at most
        'variance': 0.99999,  # share that the whitening of blocks keeps
        'factors': 300,  # of the autoencoder
        'contraction': 30.0,  # weight of its Jacobian
        'epochs': 20,
        'batch_size': 100,
        'learning_rate': 3e-3,
        'words': 3000,  # of the vocabulary
        'weighted': True,  # blocks count by how active they are
        'seed': 0,  # of blocks, filters and words
    },
}
_CHOICE = {'validation': 0.0, 'seed': 0}  # share that chooses the epoch, and of its drawing
_FORM = {'dtype': 'float32', 'form': 'auto'}  # or 'bfloat16'; see models.convolution
_RANDOM = {
    'flip': 0.0,  # probability of a mirror image
    'vertical': 0.0,  # probability of an image upside down
    'rotation': 0.0,  # largest angle in degrees
    'turned': 1.0,  # probability of a rotation
    'shift': 0.0,  # largest, as a share of the side
    'scale': 0.0,  # largest change of size, as a share
    'contrast': 0.0,  # largest change, as a share
    'whole_pixels': False,  # shifts are of whole pixels
}
NETWORKS = {
    'c3d': {
        'activation': 'relu',  # or 'elu', 'prelu', 'leaky_relu', 'mish'
        'temporal_size': 3,  # frames under a kernel
        'initializer': 'xavier_uniform',  # or 'xavier_normal', 'none'
        'pooling': 'avg',  # or 'max'
        'second_conv': False,  # in the first two groups
        'dropout_rate': 0.0,
        'width': 1.0,  # multiplier of filters and hidden units
        **_FORM,
    },
    'stn': {
        'transform': 'input',  # what the grid acts on; or 'features', 'none'
        'localiser_kernels': (3, 3),  # sides
        'initializer': 'normal',  # or 'default'
        'init_std': 0.05,  # of 'normal'
        'dropout_rate': 0.0,
        **_FORM,
    },
    'convlstm': {
        'filters': (32, 64, 64),  # of the 3D convolutions
        'pool_after': (1, 3),  # numbers of convolutions
        'units': 16,  # filters of the ConvLSTM
        'gate': 'sigmoid',  # or 'hard_sigmoid'
        'unit_forget_bias': True,  # forget gates start at 1
        'states': 'last',  # what is classified; or 'all'
        'hidden': 128,  # units
        'second_branch': False,  # the CNN of fer2013_two3 besides
        'freeze': False,  # that CNN is not trained further
        'dropout_rate': 0.0,
        'width': 1.0,
        **_FORM,
    },
    'frame_cnn': {
        'structure': 'three9',  # or 'three5', 'very_deep', 'two3'
        'pool': 0,  # side of a pooling's window; 0: the structure's
        'batch_norm': False,
        'dropout_rate': 0.0,
        'width': 1.0,
        **_FORM,
    },
    'plain_cnn': {
        'filters': (24, 48, 96, 160),  # of each group's convolutions
        'convolutions': (1, 2, 2, 2),  # of each group
        'branches': False,  # 1x1 convolutions and none besides, in training
        'folded': False,  # biases in place of batch normalisation; not for training
        'dropout_rate': 0.0,
        **_FORM,
    },
    'rnn': {
        'units': 200,
        'activation': 'relu',  # or 'tanh'
        'identity_scale': 1.0,  # of recurrent weights at the start
        'dropout_rate': 0.0,
        'dtype': 'float32',
    },
    'cnn_rnn': {
        'rnn': 'relu',  # or 'tanh'; 'none': the CNN alone
        'units': 150,  # of the recurrent network
        'identity_scale': 1.0,
        'depth': 6,  # convolutions; or 4, 5
        'kernels': 'mixed',  # or 'all5'
        'features': 'fc',  # what the sequence is made of; or 'pool3'
        'stills': 'rows',  # what a still's sequence is; or 'repeat'
        'steps': 8,  # of a repeated still
        'outputs': 'last',  # or 'average', over all steps
        'freeze': False,  # the CNN is not trained further
        'dropout_rate': 0.0,
        'width': 1.0,
        **_FORM,
    },
}
# Fitted at once, without steps: such a config has no sections TRAINED.
CLASSIFIERS = {
    'averaging': {},
    'svm': {
        'bins': 15,  # of a clip's frames
        'kernel': 'rbf',  # or 'linear'
        'scale': True,  # each value to mean 0 and deviation 1
    },
    'chi2_svm': {'penalty': 100.0},  # C
}
# The key that says of which kind a section is, and what each kind has besides.
KINDS = {
    'protocol': (
        'name',
        {  # see data.protocols.make_protocol
            'official': _CHOICE,
            'random': {
                'train_fraction': 0.8,
                'repeats': 1,
                'equal_test': False,  # as many test clips of each class
                **_CHOICE,
            },
            'idstep': {'k': 0, **_CHOICE},  # folds
            'balanced': {'k': 0, **_CHOICE},
            'loso': _CHOICE,
            'across': {'target': ''},  # the dataset that does not train
        },
    ),
    'model': ('name', NETWORKS | CLASSIFIERS),
    'augment': (
        'kind',
        {  # see data.views
            'none': {},
            'random': {'options': _RANDOM},
            'fixed': {'options': {'angles': (0.0,), 'mirrored': False}},
            'class_counts': {'options': {'counts': {}, 'rotation': 0.0, 'contrast': (1.0, 1.0)}},
        },
    ),
    'optimizer': (
        'name',
        {
            'sgd': {},
            'momentum': {'momentum': 0.9, 'nesterov': False},
            'adam': {'epsilon': 1e-8},
            'adamw': {'epsilon': 1e-8},  # weight decay is decoupled from the gradient
            'plain_adam': {'epsilon': 1e-8},
        },
    ),
}
# Folds that a file gives in place of a rule.
FOLD_FILE = {'file': '', 'sha256': '', 'fold': -1, 'inner': False}
# kahou2015's system of several models: `models` has the config of each of MODELS, `frames.training`
# that of the network for frames.
MODELS = ('activity', 'audio', 'aggregated', 'rnn')
SYSTEM = {
    'frames': {'run': ''},  # a finished run of the network for frames; '': it is trained
    'models': {},
    'fusion': {
        'units': (100, 10, 50),  # for aggregated CNN, sound and RNN (sec. 5.1)
        'common': 70,  # units behind them
        'activation': 'sigmoid',  # or 'relu', 'rectified_tanh'
        'components': 10,  # of the sound (sec. 6.2)
        'batch_size': 64,
        'epochs': {'stated': 200, 'stable': 1000},
        'dropout_rate': 0.0,
        'scaled': False,  # each input value less its mean and over its deviation in training
        'penalty': {
            'frobenius': 1e-4,
            'l21': 1e-4,
            'l1': 1e-5,
            'groups': 'hidden_units',  # or 'fusion_rows', 'across'
        },
    },
    'search': {  # of weights of decisions
        'draws': 100_000,  # a round
        'local': 'gaussian',  # or 'uniform'
        'start': 0.5,  # spread of the first local round
        'factor': 0.9,
        'stop': 1e-4,
        'subsets': True,  # a search for each choice of models too
    },
}


def defaults(config: Mapping[str, Any], path: str = 'config') -> dict[str, Any]:
    """Returns every key that a config of its kinds may have, with its neutral value.

    Args:
      config: whose kinds count ('runner', 'model.name', 'protocol.name', 'augment.kind',
        'optimizer.name', and which of the sections SOURCES it has), whatever else it holds or
        lacks. A kind that it does not name is the neutral one.
      path: where it stands, for the message.

    Raises:
      UserError: a kind that there is not, or a value where a section belongs.
    """
    for section in ('simulated', *EXPERIMENT, *TRAINED, *SOURCES, *SYSTEM):
        if not isinstance(config.get(section, {}), Mapping | ConfigDict):
            raise UserError(f'{path}.{section} is {config[section]!r}: it is a section with keys')
    runner = config.get('runner', ALWAYS['runner'])
    if runner == 'kahou2015':
        found = ALWAYS | SYSTEM
        models = config.get('models', {})
        found['models'] = {
            name: defaults(models.get(name, {}), f'{path}.models.{name}') for name in MODELS
        }
        training = config.get('frames', {}).get('training', {})
        training = defaults(training, f'{path}.frames.training')
        found['frames'] = SYSTEM['frames'] | {'training': training}
        return copy.deepcopy(found)
    if runner != 'experiment':
        raise UserError(f"{path}.runner is '{runner}': give experiment or kahou2015")
    found = ALWAYS | EXPERIMENT
    if config.get('model', {}).get('name') not in CLASSIFIERS:
        found |= TRAINED
    found |= {section: keys for section, keys in SOURCES.items() if section in config}
    for section, (key, kinds) in KINDS.items():
        if section not in found:
            continue
        given = config.get(section, {})
        if section == 'protocol' and given.get('file'):
            found[section] = FOLD_FILE
            continue
        kind = given.get(key, found[section][key])
        if kind not in kinds:
            raise UserError(f"{path}.{section}.{key} is '{kind}': one of {', '.join(kinds)}")
        found[section] = found[section] | kinds[kind]
    return copy.deepcopy(found)
