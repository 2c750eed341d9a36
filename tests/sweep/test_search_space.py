"""Search spaces against the config that they vary."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax.config import Range, Space
from fer_jax.errors import UserError
from fer_jax.sweep import space

ROOT = Path(__file__).parents[2]
CONFIG = ConfigDict(
    {
        'train': {'epochs': 3, 'batch_size': 8},
        'model': {'name': 'c3d', 'rate': 0.5, 'second': False},
    }
)


@pytest.mark.parametrize(
    'choices,message',
    [
        (
            {'model.nmae': ('a', 'b')},
            'config.model.nmae, which is not there: config.model has name',
        ),
        ({'modle.name': ('a',)}, 'config.modle.name, which is not there: config has model, train'),
        ({'model.name.x': ('a',)}, 'config.model.name.x, .* config.model.name has no keys'),
        ({'train.epochs': (3, 'many')}, "config.train.epochs to 'many', which is no int"),
        ({'train.epochs': (3, 4.5)}, 'config.train.epochs to 4.5, which is no int'),
        ({'train.epochs': (3, True)}, 'config.train.epochs to True, which is no int'),
        ({'model.second': (0, 1)}, 'config.model.second to 0, which is no bool'),
        ({'model.rate': Range(0.5, 0.1)}, 'for config.model.rate: low must be below high'),
        ({'model.rate': Range(0.0, 0.1, log=True)}, 'above 0 with log'),
        ({'model.name': Range(0, 1)}, 'config.model.name to 0, which is no str'),
        ({'model.second': Range(0, 1)}, 'config.model.second to 0, which is no bool'),
        ({'train.epochs': Range(0.5, 1.5)}, 'config.train.epochs to 0.5, which is no int'),
        ({'model.name': ()}, 'give values or a Range'),
        ({'model.name': 'c3d'}, 'give values or a Range'),
        ({'model.name': ('a', 'a')}, 'a value twice'),
        ({'model': ({'name': 'b'},)}, 'config.model'),
        ({}, 'is empty'),
    ],
)
def test_what_does_not_fit_the_config_is_one_sentence_that_names_it(choices, message):
    with pytest.raises(UserError, match=message) as error:
        space.check(CONFIG, Space(choices))
    assert '\n' not in str(error.value)


def test_how_it_judges_is_checked():
    with pytest.raises(UserError, match='pooled_accuracy, subject_accuracy'):
        space.check(CONFIG, Space({'model.rate': (0.1,)}, accuracy='accuracy'))
    with pytest.raises(UserError, match='the threshold is 96.5'):
        space.check(CONFIG, Space({'model.rate': (0.1,)}, threshold=96.5))


def test_distributions_have_the_types_of_the_config():
    searched = Space(
        {
            'train.epochs': Range(2, 10, step=2),
            'train.batch_size': Range(8, 64, log=True),
            'model.rate': Range(0, 1),
            'model.second': (False, True),
        }
    )
    space.check(CONFIG, searched)
    found = space.distributions(CONFIG, searched)
    kinds = [type(kind).__name__ for kind in found.values()]
    expected = [f'{kind}Distribution' for kind in ('Int', 'Int', 'Float', 'Categorical')]
    assert kinds == expected
    assert found['train.epochs'].step == 2 and found['train.batch_size'].log
    with pytest.raises(UserError, match='config.train.batch_size has a range'):
        space.grid(found)
    del found['train.batch_size'], found['model.rate']
    assert space.grid(found) == {
        'train.epochs': [2, 4, 6, 8, 10], 'model.second': [False, True],
    }  # fmt: skip


def test_a_grid_of_fractions_ends_where_it_should():
    searched = Space({'model.rate': Range(0.1, 0.7, step=0.1)})
    values = space.grid(space.distributions(CONFIG, searched))['model.rate']
    np.testing.assert_allclose(values, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


# haddad2020, Table 1, and the initialiser "none" of its Table 3.
TABLE_1 = {
    'activation': {'relu', 'elu', 'prelu', 'leaky_relu', 'mish'},
    'temporal_size': {1, 3, 5, 7, 9},
    'initializer': {'none', 'xavier_uniform', 'xavier_normal'},
    'pooling': {'avg', 'max'},
    'second_conv': {False, True},
}


@pytest.mark.parametrize('name', ['ckplus_c3d', 'oulu_casia_c3d'])
@pytest.mark.parametrize('variant', ['', 'simulated'])
def test_the_published_search_fits_its_config(name, variant):
    path = ROOT / 'configs' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(variant)
    searched = configs.load_space(str(path), config)
    space.check(config, searched)
    for key, values in TABLE_1.items():
        assert set(searched.choices[f'model.{key}']) == values
    assert searched.choices['model.dropout_rate'] == Range(0.0, 1.0)
    assert len(searched.choices) == 10
    assert searched.threshold == 0


def test_ckplus_prunes_loso_below_the_papers_threshold():
    path = ROOT / 'configs' / 'ckplus_c3d.py'
    spec = importlib.util.spec_from_file_location('ckplus_c3d', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    searched = module.get_space(module.get_config('loso'))
    assert (searched.threshold, searched.accuracy) == (0.965, 'subject_accuracy')
    assert not module.get_space(module.get_config('loso,simulated')).threshold
    # What two workers compare is JSON and holds everything.
    changed = dataclasses.replace(searched, threshold=0.9)
    assert configs.first_difference(space.as_json(searched), space.as_json(changed), 'space')


@pytest.mark.parametrize('name', ['fer2013_stn', 'ferg_stn', 'jaffe_stn', 'ckplus_stn'])
def test_minaee_s_weight_of_the_l2_term_is_searched(name):
    path = str(ROOT / 'configs' / f'{name}.py')
    config = configs.load_config(path)
    searched = configs.load_space(path, config)
    space.check(config, searched)
    assert config.protocol.get('validation', 0) or name == 'fer2013_stn'  # official parts have one
    ends = searched.choices['loss.l2']
    assert set(searched.choices) == {'loss.l2'} and ends.log and ends.low <= config.loss.l2
