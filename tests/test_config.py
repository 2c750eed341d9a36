"""Variants, strict sections, identity of configs."""

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


def test_a_typo_in_a_section_names_what_there_is():
    def function(given, *, epochs, patience=0):
        return given, epochs, patience

    assert configs.bind(function, {'epochs': 3}, 'train', 1) == (1, 3, 0)
    with pytest.raises(
        UserError, match="config.train has an unknown key 'epcohs': it takes epochs, patience"
    ):
        configs.bind(function, {'epcohs': 3}, 'train', 1)


def test_identity_is_the_content():
    one = ConfigDict({'a': 1, 'b': {'c': (1, 2)}})
    other = ConfigDict({'b': {'c': (1, 2)}, 'a': 1})
    assert configs.identity(one) == configs.identity(other)
    other.b.c = (1, 3)
    assert configs.identity(one) != configs.identity(other)
    difference = configs.first_difference(configs.as_json(one), configs.as_json(other))
    assert difference == 'config.b.c is [1, 2], there [1, 3]'
    assert configs.first_difference({'a': 1}, {'a': 1}) is None
