"""Every table and figure with results has its card, and cards name only what exists."""

import importlib.util
from pathlib import Path

import pytest

from fer_jax import cards
from fer_jax import config as configs
from fer_jax.cards import card as card_module
from fer_jax.cards import questions
from fer_jax.cards.finished import Finished
from fer_jax.data import protocols
from fer_jax.errors import UserError
from fer_jax.evaluation.results import METRIC_TITLES
from fer_jax.evaluation.rules import RULES

ROOT = Path(__file__).parents[2]
# How many tables and figures the papers have, counted in them.
PLACES = {
    'jain2018': (4, 6),
    'saurav2020': (3, 8),
    'minaee2019': (4, 13),
    'haddad2020': (8, 6),
    'kahou2015': (2, 5),
}
ALL = [cards.load(name) for name in cards.listed()]
ENTRIES = [
    pytest.param(card, ours, id=f'{card.name}-{number}')
    for card in ALL
    for number, ours in enumerate(card.ours)
    if ours.config
]


def resolved(config: str) -> dict:
    """The resolved config that 'configs/FILE.py:variant' gives, as a run's config.json holds it."""
    path, _, variant = config.partition(':')
    spec = importlib.util.spec_from_file_location('config', ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return configs.as_json(module.get_config(variant))


def answers(config: dict, ours: cards.Ours) -> bool:
    """Whether a run of that config would answer."""
    return Finished(Path('run'), config, {}, '', ()).answers(ours)


@pytest.mark.parametrize('paper', PLACES)
def test_every_table_and_figure_has_a_card_or_holds_no_result(paper):
    tables, figures = PLACES[paper]
    expected = {f'table{n}' for n in range(1, tables + 1)}
    expected |= {f'figure{n}' for n in range(1, figures + 1)}
    carded = {name.partition(':')[2] for name in cards.listed() if name.startswith(f'{paper}:')}
    without = cards.without(paper)
    assert carded - {'text'} | set(without) == expected
    assert not carded & set(without)
    assert all(without.values())


def test_papers_are_those_of_the_project():
    assert set(card_module.PAPERS) == set(PLACES)


def test_unknown_names_list_those_that_exist():
    with pytest.raises(UserError, match='haddad2020:table4, haddad2020:table5') as error:
        cards.load('haddad2020:table9')
    assert 'jain2018' not in str(error.value) and '\n' not in str(error.value)
    with pytest.raises(UserError, match="no card 'lecun1989': choose one of jain2018:table1"):
        cards.load('lecun1989')


@pytest.mark.parametrize('card', ALL, ids=lambda card: card.name)
def test_a_card_names_only_what_exists(card):
    assert card.protocol in {*protocols.NAMES, card_module.NOT_STATED}
    assert card.rule in {'', *RULES}
    assert bool(card.rows) != bool(card.drawn)
    assert len(set(card.columns)) == len(card.columns)
    for ours in card.ours:
        assert ours.row in {'', *card.rows}
        for metrics in (card.metrics, ours.metrics):
            assert set(metrics) <= set(card.columns)
            known = {name for name in metrics.values() if not name.startswith('fold:')}
            assert known <= set(METRIC_TITLES)
    if card.classes:
        assert len(card.classes) == len(card.rows) == len(card.columns)
    assert {ask['ask'] for ask in card.asks} <= set(questions.QUESTIONS)
    assert len(questions.answer(card)) >= len(card.asks)


@pytest.mark.parametrize(('card', 'ours'), ENTRIES)
def test_configs_exist_and_are_told_apart(card, ours):
    config = resolved(ours.config)
    assert answers(config, ours)
    assert config['paper'] == card.name.partition(':')[0]
    assert config['data']['name'] == card.dataset
    for other in card.ours:
        if other.config and other.config != ours.config:
            assert not answers(config, other)
    # A simulated run of the same system answers too, and is stamped where it is drawn.
    separator = ',' if ':' in ours.config else ':'
    assert answers(resolved(f'{ours.config}{separator}simulated'), ours)
    assert ours.command.endswith(ours.config)


@pytest.mark.parametrize(('card', 'ours'), ENTRIES)
def test_runs_of_one_fold_of_other_folds_or_going_on_are_not_taken(card, ours):
    for section, key, value in (
        ('protocol', 'fold', 3),
        ('protocol', 'file', 'folds.json'),
        ('init', 'run', 'runs/other'),
    ):
        config = resolved(ours.config)
        config[section] = {**config.get(section, {}), key: value}
        assert not answers(config, ours)


def test_the_protocol_meant_is_that_of_the_first_config():
    for card in ALL:
        named = [ours.config for ours in card.ours if ours.config]
        if named:
            assert resolved(named[0])['protocol']['name'] == card.protocol


def test_without_a_config_nothing_answers():
    ours = cards.Ours()
    assert not answers(resolved('configs/ckplus_c3d.py'), ours)
    assert cards.load('haddad2020:table8').state(ours) == 'no config yet'


def test_cards_hold_haddads_augmentation_as_the_config_does():
    counts = resolved('configs/ckplus_c3d.py')['augment']['options']['counts']
    for row, copies in cards.load('haddad2020:text').rows.items():
        name = {'Happy': 'happiness'}.get(row, row.lower())
        named = zip(('flip', 'rotation', 'contrast'), map(int, copies), strict=True)
        assert counts[name] == dict(named)


def test_cards_hold_haddads_best_trial_as_the_config_does():
    config = resolved('configs/ckplus_c3d.py')
    model = config['model']
    ours = [
        'Adam' if (config['optimizer']['name'], config['optimizer']['lookahead']) == ('adam', False)
        else '',
        str(config['inputs']['equalize'] == 'clahe').lower(),
        str(config['inputs']['normalize'] != 'unit').lower(),
        {'relu': 'ReLU'}.get(model['activation']),
        str(config['loss']['class_weights']).lower(),
        str(model['temporal_size']),
        {'xavier_uniform': 'Xavier uniform'}.get(model['initializer']),
        {'avg': 'AvgPooling'}.get(model['pooling']),
        str(model['second_conv']).lower(),
        str(model['dropout_rate']),
    ]  # fmt: skip
    assert [value for (value,) in cards.load('haddad2020:table2').rows.values()] == ours
