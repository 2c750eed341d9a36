"""Variants, ablations, strict sections of configs."""

from pathlib import Path

import pytest
from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax.errors import UserError


def test_variants_combine():
    options = configs.parse_variant('loso,fold=3', simulated=False, loso=False, fold=-1)
    assert options.to_dict() == {'simulated': False, 'loso': True, 'fold': 3}


@pytest.mark.parametrize(
    'variant,message',
    [
        ('simulted', "unknown config variant 'simulted': this config has simulated, fold"),
        ('fold=three', "'three' is not int"),
        ('simulated=1', "takes no value: write 'simulated'"),
        ('fold', "'' is not int"),
    ],
)
def test_wrong_variants_are_sentences(variant, message):
    with pytest.raises(UserError, match=message):
        configs.parse_variant(variant, simulated=False, fold=-1)


def test_a_config_of_the_working_directory_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('ckplus_c3d.py', 'configs/ckplus_c3d.py'):
        assert configs.find_config(name) == configs.CONFIGS / 'ckplus_c3d.py'
    own = Path('configs/ckplus_c3d.py')
    own.parent.mkdir()
    own.write_text('')
    assert configs.find_config(own) == own
    assert configs.find_config(own.resolve()) == own.resolve()


@pytest.mark.parametrize(
    'path', ['nowhere.py', '/nowhere/ckplus_c3d.py', 'a/ckplus_c3d.py', 'configs']
)
def test_a_config_that_is_not_there_is_a_sentence_that_names_the_others(
    path, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f'^{path}: no such config; there are: afew_activity.py, '):
        configs.load_config(path)


def test_a_typo_in_a_section_names_what_there_is():
    def function(given, *, epochs, patience=0):
        return given, epochs, patience

    assert configs.bind(function, {'epochs': 3}, 'train', 1) == (1, 3, 0)
    with pytest.raises(
        UserError, match="config.train has an unknown key 'epcohs': it takes epochs, patience"
    ):
        configs.bind(function, {'epcohs': 3}, 'train', 1)


def test_the_first_difference_is_named():
    one, other = {'a': 1, 'b': {'c': [1, 2]}}, {'b': {'c': [1, 3]}, 'a': 1}
    assert configs.first_difference(one, other) == 'config.b.c is [1, 2], there [1, 3]'
    assert configs.first_difference({'a': 1}, {}) == 'config.a is 1, there (absent)'
    assert configs.first_difference({'a': 1}, {'a': 1}) is None


def some_config():
    return ConfigDict({'name': 'x', 'train': {'epochs': 3, 'rate': 0.1}, 'layers': (1, 2)})


def test_a_readings_values_stand_in_a_copy():
    config = some_config().lock()
    changes = {'name': 'y', 'train.rate': 1, 'layers': [3], 'train.epochs': 4}
    changed = configs.changed(config, 'other', configs.Ablation('Why.', changes))
    assert changed.to_dict() == {
        'name': 'y', 'train': {'epochs': 4, 'rate': 1.0}, 'layers': (3,)
    }  # fmt: skip
    assert config.to_dict() == some_config().to_dict()


def test_a_mapping_replaces_a_section():
    changes = {'train': {'steps': 7}}
    changed = configs.changed(some_config(), 'other', configs.Ablation('Why.', changes))
    assert changed.train.to_dict() == {'steps': 7}


@pytest.mark.parametrize(
    'changes,message',
    [
        ({'train.epcohs': 3}, 'config.train.epcohs, which is not there: config.train has epochs'),
        ({'trian.epochs': 3}, 'config.trian.epochs, which is not there: config has layers, name'),
        ({'name.epochs': 3}, 'config.name.epochs, which is not there: config.name has no keys'),
        ({'train.epochs': 'many'}, "config.train.epochs to 'many', which is no int"),
        ({'train.epochs': 1.5}, 'to 1.5, which is no int'),
        ({'train': 3}, 'config.train to 3, which is no section'),
        ({'name': {'first': 1}}, "config.name to {'first': 1}, which is no str"),
    ],
)
def test_a_reading_that_does_not_fit_is_a_sentence(changes, message):
    with pytest.raises(UserError, match=message) as error:
        configs.changed(some_config(), 'other', configs.Ablation('Why.', changes))
    assert str(error.value).startswith("ablation 'other' ") and '\n' not in str(error.value)


def test_a_file_declares_its_readings(tmp_path):
    file = tmp_path / 'file.py'
    file.write_text(
        'from fer_jax.config import Ablation\n'
        'def get_ablations(config):\n'
        "    return {'more': Ablation('More.', {'train.epochs': config.n})}\n"
    )
    found = configs.load_ablations(str(file), ConfigDict({'n': 9}))
    assert found == {'more': configs.Ablation('More.', {'train.epochs': 9})}
    file.write_text('')
    with pytest.raises(UserError, match='declares no ablations: write get_ablations'):
        configs.load_ablations(str(file), some_config())
