"""The one list of keys against the code that takes them; completing; by what a run is known."""

import dataclasses
import importlib.util
import inspect
import json
import pkgutil
from pathlib import Path

import pytest

from fer_jax import cli, main
from fer_jax import config as configs
from fer_jax.config import keys
from fer_jax.data import prepared, protocols
from fer_jax.errors import UserError
from fer_jax.experiment import network_sections, run_files
from fer_jax.experiment import run as experiment
from fer_jax.experiment.classifiers import CLASSIFIERS
from fer_jax.experiment.clips import ClipSource, Simulated
from fer_jax.experiment.first_stage import FirstStage
from fer_jax.kahou2015 import activity, audio, regularisers
from fer_jax.kahou2015.system import FusionOptions, SearchOptions
from fer_jax.models import MODELS
from fer_jax.training import inputs, loop, optimizers
from fer_jax.training.members import AUGMENTATIONS
from fer_jax.training.step import System

# ml_collections loads config files with it on Python 3.11.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')

ROOT = Path(__file__).parents[1]
NEEDED = inspect.Parameter.empty


def taken(function, *without: str) -> dict:
    """The keywords that a function takes, with their defaults, but some."""
    parameters = inspect.signature(function).parameters.values()
    words = [p for p in parameters if p.kind == p.KEYWORD_ONLY and p.name not in without]
    return {p.name: p.default for p in words}


def fields(kind, *without: str) -> dict:
    """The fields of a dataclass, with their defaults, but some."""
    found = {f.name: f.default for f in dataclasses.fields(kind) if f.name not in without}
    return {n: NEEDED if d is dataclasses.MISSING else d for n, d in found.items()}


def options_of(section: str, key: str) -> dict:
    """Lists what all kinds of a section have besides its own keys."""
    kinds = keys.KINDS[section][1].values()
    return {k: v for kind in kinds for k, v in (kind.get(key, {}) if key else kind).items()}


def own(section: str, *without: str) -> dict:
    """A section's keys in the list, but some."""
    found = {**keys.EXPERIMENT, **keys.TRAINED}[section]
    return {key: value for key, value in found.items() if key not in without}


# Keys of the list (with neutral values) and what takes them (with its defaults).
PAIRS = {
    # Those that `experiment.clips.load` sees to itself are not of prepared.load.
    'data': (
        own('data', 'name', 'order', 'stills', 'neutral', 'drop_soundless'),
        taken(prepared.load, 'data_dir', 'sounds', 'fitted'),
    ),
    'protocol': (
        options_of('protocol', ''),
        taken(protocols.make_protocol, 'name'),
    ),
    'inputs': (own('inputs', 'equalize', 'mirrored'), taken(inputs.model_inputs)),
    'loss': (
        {
            'loss': keys.TRAINED['loss']['kind'],
            **own('loss', 'kind', 'class_weights', 'weigh_views'),
            **own('augment', 'kind', 'options'),
        },
        fields(System, 'model', 'optimizer', 'inputs', 'mirrored', 'teachers', 'teachers_share'),
    ),
    'optimizer': (
        {**own('optimizer', 'learning_rate'), **options_of('optimizer', '')},
        taken(optimizers.make_optimizer, 'epochs', 'frozen'),
    ),
    'train': (own('train', 'batch_size', 'seeds', 'retrain'), fields(loop.Schedule)),
    'sound': (keys.SOURCES['sound'], fields(audio.Sound, 'folder', 'name', 'faces', '_')),
    'activity': (keys.SOURCES['activity'], fields(activity.Activity, 'folder', 'name', '_')),
    'fusion.penalty': (
        keys.SYSTEM['fusion']['penalty'],
        dict.fromkeys(taken(regularisers.penalty), NEEDED),
    ),
    **{
        f'augment {kind}': (keys.KINDS['augment'][1][kind]['options'], taken(function))
        for kind, function in AUGMENTATIONS.items()
        if kind != 'none'
    },
    **{
        f'model {name}': (keys.NETWORKS[name], fields(model, 'num_classes', 'parent', 'name'))
        for name, model in MODELS.items()
    },
    **{
        f'model {name}': (keys.CLASSIFIERS[name], fields(pkgutil.resolve_name(classifier)))
        for name, classifier in CLASSIFIERS.items()
    },
}
# Sections and what they are opened into.
OPENED = {
    'simulated': (keys.ALWAYS['simulated'], Simulated),
    'data': (own('data'), ClipSource, 'simulated', 'sounds', 'scenes'),
    'inputs': (own('inputs'), network_sections.Inputs),
    'augment': (own('augment'), network_sections.Augment),
    'loss': (own('loss'), network_sections.Loss),
    'train': (own('train'), network_sections.Training),
    'init': (own('init'), network_sections.Init),
    'distill': (own('distill'), network_sections.Distill),
    'features': (keys.SOURCES['features'], FirstStage.of_run),
    'fusion': (keys.SYSTEM['fusion'], FusionOptions),
    'search': (keys.SYSTEM['search'], SearchOptions),
}


@pytest.mark.parametrize('what', PAIRS)
def test_the_list_has_what_the_code_takes_and_no_more(what):
    listed, taken = PAIRS[what]
    assert set(listed) == set(taken)
    usual = {'frames', 'sampling', 'size', 'normalize', 'channels', 'epochs', 'name'}
    for key, value in listed.items():
        # A network's dropout is its member's own, and the list has the neutral one.
        if taken[key] is not NEEDED and key != 'dropout_rate':
            assert value == taken[key], key
        elif what.split()[0] in ('data', 'inputs', 'optimizer', 'train'):
            assert key in usual


@pytest.mark.parametrize('section', OPENED)
def test_a_section_is_opened_into_what_has_its_keys_and_no_values(section):
    listed, opened, *without = OPENED[section]
    found = taken(opened, *without)
    assert set(listed) == set(found)
    given = {key for key, value in found.items() if value is not NEEDED}
    # What trains is called by more than configs, and has usual values of its own.
    assert not given - ({*fields(loop.Schedule)} if section == 'train' else set())


def test_every_kind_of_the_code_is_listed():
    assert set(keys.NETWORKS) == set(MODELS)
    assert set(keys.CLASSIFIERS) == set(CLASSIFIERS)
    assert set(keys.KINDS['augment'][1]) == {'none', *AUGMENTATIONS}
    assert set(keys.KINDS['protocol'][1]) == set(protocols.NAMES)
    assert set(keys.KINDS['optimizer'][1]) == set(optimizers.NAMES)


def small(**changes):
    """A config that states little."""
    stated = {
        'name': 'small',
        'data': {'name': 'ckplus'},
        'protocol': {'name': 'idstep', 'k': 10},
        'model': {'name': 'c3d'},
        'augment': {'kind': 'random', 'options': {'flip': 0.5}},
    }
    return configs.merged(stated, changes)


def test_a_complete_config_has_every_key_of_its_kinds():
    config = configs.complete(small(train={'epochs': 3}, loss={'l2': 1}))
    assert config.train.epochs == 3 and config.train.patience == 0
    assert config.augment.options.to_dict() == {**keys._RANDOM, 'flip': 0.5}
    assert config.loss.l2 == 1.0 and isinstance(config.loss.l2, float)
    assert 'momentum' not in config.optimizer and config.optimizer.epsilon == 1e-8
    assert 'features' not in config and 'target' not in config.protocol
    assert configs.complete(config).to_dict() == config.to_dict()
    classifier = configs.complete(small(model={'name': 'svm'}, augment={'kind': 'none'}))
    assert not set(keys.TRAINED) & set(classifier) and classifier.model.bins == 15


def test_stating_what_is_neutral_changes_nothing():
    assert configs.differences(small(seed=0, train={'patience': 0})) == small().to_dict()
    opened = configs.complete(small(sound={}))
    assert opened.sound.components == 50
    assert configs.differences(opened) == {**small().to_dict(), 'sound': {}}
    assert configs.identity(opened) != configs.identity(small())


def test_another_kind_needs_no_more_than_its_name():
    adam = configs.complete(small())
    sgd = configs.complete(configs.merged(adam, {'optimizer': {'name': 'sgd'}}))
    assert sgd.optimizer.name == 'sgd' and 'epsilon' not in sgd.optimizer
    still = configs.complete(configs.merged(adam, {'augment': {'kind': 'none'}}))
    assert still.augment.kind == 'none' and not still.augment.options
    of_file = configs.complete(configs.merged(adam, {'protocol': {'file': 'f.json'}}))
    assert of_file.protocol.to_dict() == {**keys.FOLD_FILE, 'file': 'f.json'}


@pytest.mark.parametrize(
    'changes,message',
    [
        ({'trian': {}}, "config has an unknown key 'trian': it takes name, paper"),
        ({'train': {'epcohs': 3}}, "config.train has an unknown key 'epcohs': it takes batch_size"),
        ({'train': {'epochs': 'many'}}, "config.train.epochs is 'many', which is no int"),
        ({'train': {'retrain': 1}}, 'config.train.retrain is 1, which is no bool'),
        ({'train': 3}, 'config.train is 3: it is a section with keys'),
        ({'stamps': (2024,)}, 'config.stamps is 2024, which is no str'),
        ({'loss': {'l2_layers': [1]}}, 'config.loss.l2_layers is 1, which is no str'),
        ({'model': {'name': 'c4d'}}, "config.model.name is 'c4d': one of c3d, stn"),
        ({'runner': 'walker'}, "config.runner is 'walker': give experiment or kahou2015"),
        (
            {'protocol': {'name': 'loso'}},
            "k is 10, which protocol.name 'loso' does not take: leave",
        ),
        (
            {'optimizer': {'name': 'sgd', 'epsilon': 1e-7}},
            "config.optimizer.epsilon is 1e-07, which optimizer.name 'sgd' does not take: leave it "
            'out, or give 1e-08',
        ),
        (
            {'augment': {'kind': 'fixed'}},
            "config.augment.options.flip is 0.5, which augment.kind 'fixed' does not take",
        ),
        (
            {'model': {'name': 'svm'}, 'augment': {'kind': 'none'}, 'train': {'epochs': 3}},
            "config.train.epochs is 3, which model.name 'svm' does not take",
        ),
    ],
)
def test_what_cannot_be_set_is_one_sentence(changes, message):
    with pytest.raises(UserError) as error:
        configs.complete(small(**changes))
    assert message in str(error.value) and '\n' not in str(error.value)


@pytest.fixture
def new_key(monkeypatch):
    """A key that the list has gained after runs were made."""
    later = {**keys.TRAINED, 'train': {**keys.TRAINED['train'], 'warmup': 0}}
    monkeypatch.setattr(keys, 'TRAINED', later)


def test_a_new_key_renames_and_refuses_no_run(tmp_path, request):
    config = experiment.resolve(configs.complete(small()))
    folder, name = tmp_path / 'run', run_files.folder_of(config, None)
    folder.mkdir()
    (folder / 'config.json').write_text(json.dumps(configs.as_json(config)))
    request.getfixturevalue('new_key')
    config = experiment.resolve(configs.complete(small()))
    assert config.train.warmup == 0
    assert run_files.folder_of(config, None) == name
    assert run_files.folder_of(config, str(folder)) == folder
    other = experiment.resolve(configs.complete(small(train={'warmup': 5})))
    assert run_files.folder_of(other, None) != name
    with pytest.raises(UserError, match='another config: config.train.warmup is 5, there 0'):
        run_files.folder_of(other, str(folder))


def test_a_run_with_a_key_that_is_gone_is_another(tmp_path):
    config = experiment.resolve(small())
    known = configs.as_json(config)
    known['train']['chunk'] = 0
    assert configs.difference(config, known) == 'config.train.chunk is (absent), there 0'
    known['runner'] = 'walker'
    assert configs.difference(config, known)


def test_a_name_follows_from_what_differs():
    one = configs.identity(small(train={'epochs': 3}, seed=1))
    assert one == configs.identity(configs.complete(small(seed=1, train={'epochs': 3})))
    assert one != configs.identity(small(train={'epochs': 4}, seed=1))


def leaves(values, path=''):
    """Dotted keys of a config as dicts."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f'{path}{key}.')
        else:
            yield f'{path}{key}'


@pytest.mark.parametrize('file', ['ckplus_c3d.py:simulated', 'afew_emotiw.py'])
def test_the_whole_config_is_printed_and_nothing_trained(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path, _, variant = file.partition(':')
    spec = importlib.util.spec_from_file_location('printed', ROOT / 'configs' / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(variant)
    words = [f'--config={ROOT / "configs" / file}', '--config.seed=3', '--print_config']
    cli.call(main.main, main.define, words)
    config.seed = 3
    lines, run = capsys.readouterr().out.strip().split('\n\n')
    assert run == f'run: runs/{config.name}-{configs.identity(config)}'
    lines = lines.splitlines()
    assert '* seed = 3' in lines and '  simulated.seed = 0' in lines
    marked = {line.split()[1] for line in lines if line.startswith('* ')}
    assert marked == set(leaves(configs.differences(config)))
    assert {line[2:].split(' = ')[0] for line in lines} == set(leaves(config.to_dict()))
    cli.call(main.main, main.define, [*words, '--workdir=/elsewhere/run'])
    assert capsys.readouterr().out.endswith('\n\nrun: /elsewhere/run\n')
    assert not any(tmp_path.iterdir())
