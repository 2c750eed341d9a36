"""Every table and figure with results has its card, and cards name only what exists."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from absl import flags

from fer_jax import config as configs
from fer_jax import papers
from fer_jax.data import protocols
from fer_jax.errors import UserError
from fer_jax.evaluation.results import METRIC_TITLES
from fer_jax.evaluation.rules import RULES
from fer_jax.papers import card as card_module
from fer_jax.papers import questions
from fer_jax.papers.finished import Finished
from tests.data.test_protocols import clip_set
from tests.papers.conftest import ROOT, resolved

# How many tables and figures the papers have, counted in them.
PLACES = {
    'jain2018': (4, 6),
    'saurav2020': (3, 8),
    'minaee2019': (4, 13),
    'haddad2020': (8, 6),
    'kahou2015': (2, 5),
}
ALL = [papers.load(name) for name in papers.listed()]
ENTRIES = [
    pytest.param(card, ours, id=f'{card.name}-{number}')
    for card in ALL
    for number, ours in enumerate(card.ours)
    if ours.config and ours.by != 'sweep'
]


def answers(config: dict, ours: papers.Ours, starts: str | None = None, learns='') -> bool:
    """Tells whether a run of that config, of networks and features of these configs, would answer.

    With neither, of those that the entry names.
    """
    if starts is None:
        starts, learns = ours.starts, ours.learns
    return Finished(Path('run'), config, {}, '', (), starts, learns).answers(ours)


@pytest.mark.parametrize('paper', PLACES)
def test_every_table_and_figure_has_a_card_or_holds_no_result(paper):
    tables, figures = PLACES[paper]
    expected = {f'table{n}' for n in range(1, tables + 1)}
    expected |= {f'figure{n}' for n in range(1, figures + 1)}
    carded = {name.partition(':')[2] for name in papers.listed() if name.startswith(f'{paper}:')}
    without = papers.without(paper)
    assert carded - {'text'} | set(without) == expected
    assert not carded & set(without)
    assert all(without.values())


def test_papers_are_those_of_the_project():
    assert set(card_module.PAPERS) == set(PLACES)


def test_unknown_names_list_those_that_exist():
    with pytest.raises(UserError, match='haddad2020:table4, haddad2020:table5') as error:
        papers.load('haddad2020:table9')
    assert 'jain2018' not in str(error.value) and '\n' not in str(error.value)
    with pytest.raises(UserError, match="no card 'lecun1989': choose one of jain2018:table1"):
        papers.load('lecun1989')


@pytest.mark.parametrize('card', ALL, ids=lambda card: card.name)
def test_a_card_names_only_what_exists(card):
    assert card.protocol in {*protocols.NAMES, 'not stated'}
    assert card.rule in {'', *RULES}
    assert bool(card.rows) != bool(card.drawn)
    assert len(set(card.columns)) == len(card.columns)
    for ours in card.ours:
        assert ours.row in {'', *card.rows}
        for metrics in (card.metrics, ours.metrics):
            assert set(metrics) <= set(card.columns)
            known = {name for name in metrics.values() if ':' not in name}
            assert {name.split(':')[1] for name in metrics.values() if name[:2] == 'p:'} <= {
                *card.rows
            }
            assert known <= {*METRIC_TITLES, 'squared_error', 'train_accuracy'}
    if card.classes:
        assert len(card.classes) == len(card.rows) == len(card.columns)
    assert {ask['ask'] for ask in card.asks} <= set(questions.QUESTIONS)
    assert len(questions.answer(card)) >= len(card.asks)


@pytest.mark.parametrize(('card', 'ours'), ENTRIES)
def test_configs_exist_and_are_told_apart(card, ours):
    config = resolved(ours.config)
    assert answers(config, ours)
    assert not answers(config, ours, 'another', ours.learns)
    assert not answers(config, ours, ours.starts, 'another')
    assert config['paper'] == card.name.partition(':')[0]
    # What is made of several models says of each what it learns from.
    for own in config.get('models', {'': config}).values():
        assert own['data']['name'] == (ours.dataset or card.dataset)
    for other in card.ours:
        if other.holds and (other.config, other.starts) != (ours.config, ours.starts):
            assert not answers(config, other, ours.starts, ours.learns)
    # A simulated run of the same system answers too, and is stamped where it is drawn.
    separator = ',' if ':' in ours.config else ':'
    assert answers(resolved(f'{ours.config}{separator}simulated'), ours)
    assert f'--config={ours.config}' in ours.commands[0]
    if ours.starts:
        assert resolved(f'configs/{ours.starts}.py')['name'] == ours.starts
        assert ours.commands[0].endswith(f'--config.init.run=RUN_OF_{ours.starts}')


@pytest.mark.parametrize(('card', 'ours'), ENTRIES)
def test_runs_of_one_fold_and_of_other_folds_are_not_taken(card, ours):
    for key, value in (('fold', 3), ('file', 'folds.json')):
        config = resolved(ours.config)
        config['protocol'] = {**config.get('protocol', {}), key: value}
        assert not answers(config, ours)


def test_a_run_says_what_it_starts_from(make_run):
    config = {**resolved('configs/ckplus_c3d.py:balanced,table3'), 'init': {'run': 'runs/oulu'}}
    run = make_run(config)
    (run / 'dataset.json').write_text('{"starts_from": {"config": "oulu_casia_c3d"}}')
    answered = [
        ours for ours in papers.load('haddad2020:table4').ours if papers.read(run).answers(ours)
    ]
    assert [ours.row for ours in answered] == ['c3']


def test_a_run_says_whose_features_it_learns_from(make_run):
    run = make_run({**resolved('configs/afew_rnn.py'), 'features': {'run': 'a', 'layer': 'pool2'}})
    rows = {}
    for name in ('fer2013_cnn', 'fer2013_plain'):
        (run / 'dataset.json').write_text(json.dumps({'features_from': {'config': name}}))
        entries = papers.load('kahou2015:table1').ours
        rows[name] = [ours.row for ours in entries if papers.read(run).answers(ours)]
    assert rows == {'fer2013_cnn': ['RNN'], 'fer2013_plain': []}


def test_the_protocol_meant_is_that_of_the_first_config():
    for card in ALL:
        named = [ours.config for ours in card.ours if ours.config]
        if named and card.protocol != 'not stated':
            config = resolved(named[0])
            for own in config.get('models', {'': config}).values():
                assert own['protocol']['name'] == card.protocol


@pytest.mark.parametrize('name', ['table2', 'table3', 'figure2'])
def test_the_search_is_answered_by_the_search_of_a_config_that_declares_one(name):
    (ours,) = papers.load(f'haddad2020:{name}').ours
    (command,) = ours.commands
    assert command.startswith(f'python -m fer_jax.sweep --config={ours.config} --study=')
    path, _, variant = ours.config.partition(':')
    config = configs.load_config(ROOT / path, *filter(None, [variant]))
    found = configs.load_space(ROOT / path, config)
    # sec. 4.3: LOSO with a threshold on CK+; ten folds of Oulu-CASIA.
    assert bool(found.threshold) == (variant == 'loso') == ('ckplus' in path)
    assert papers.load(f'haddad2020:{name}').state(ours) != 'no config yet'
    known = flags.FlagValues()
    importlib.import_module('fer_jax.sweep.__main__').define(known)
    assert {word[2:].split('=')[0] for word in command.split()[3:]} <= {*known}


@pytest.mark.parametrize('name', ['figure11', 'figure12', 'figure13'])
def test_saliency_is_answered_by_explain(name):
    (ours,) = papers.load(f'minaee2019:{name}').ours
    assert [command.split()[2] for command in ours.commands] == ['fer_jax.main', 'fer_jax.explain']
    assert ours.commands[0].endswith(' --workdir=RUN') and ours.commands[1].endswith(' RUN')


def test_without_a_config_nothing_answers():
    ours = papers.Ours()
    assert not answers(resolved('configs/ckplus_c3d.py'), ours)
    assert papers.load('haddad2020:table8').state(ours) == 'no config yet'


def test_cards_hold_haddads_augmentation_as_the_config_does():
    counts = resolved('configs/ckplus_c3d.py')['augment']['options']['counts']
    for row, copies in papers.load('haddad2020:text').rows.items():
        name = {'Happy': 'happiness'}.get(row, row.lower())
        named = zip(('flip', 'rotation', 'contrast'), map(int, copies), strict=True)
        assert counts[name] == dict(named)


@pytest.mark.parametrize(
    'table, path',
    [
        ('table2', 'configs/ckplus_c3d.py'),
        ('table2', 'configs/oulu_casia_c3d.py:table2'),
        ('table3', 'configs/oulu_casia_c3d.py'),
        ('table3', 'configs/ckplus_c3d.py:table3'),
    ],
)
def test_cards_hold_haddads_best_trials_as_the_configs_do(table, path):
    config = resolved(path)
    model = config['model']
    network_only = ('CLAHE', 'Normalization')  # the preprocessing stays the dataset's
    moved = ':' in path
    ours = [
        'Lookahead + Adam' * config['optimizer']['lookahead'] or 'Adam',
        str(config['inputs']['equalize'] == 'clahe').lower(),
        str(config['inputs']['normalize'] != 'unit').lower(),
        {'relu': 'ReLU', 'leaky_relu': 'Leaky ReLU'}.get(model['activation']),
        str(config['loss']['class_weights']).lower(),
        str(model['temporal_size']),
        {'xavier_uniform': 'Xavier uniform', 'none': 'none'}.get(model['initializer']),
        {'avg': 'AvgPooling', 'max': 'MaxPooling'}.get(model['pooling']),
        str(model['second_conv']).lower(),
        str(model['dropout_rate']),
    ]  # fmt: skip
    printed = {name: value for name, (value,) in papers.load(f'haddad2020:{table}').rows.items()}
    differ = {
        name for (name, value), own in zip(printed.items(), ours, strict=True) if value != own
    }
    assert config['optimizer']['name'] == 'adam'
    assert differ == (set(network_only) if moved else set())


def test_cards_hold_oulu_s_views_as_the_config_does():
    counts = resolved('configs/oulu_casia_c3d.py')['augment']['options']['counts']
    assert len(counts) == 6
    assert all(copies == {'flip': 1, 'rotation': 5, 'contrast': 2} for copies in counts.values())


def test_jains_curves_are_of_a_run_with_validation_clips_and_the_same_test_clips():
    (ours,) = papers.load('jain2018:figure4').ours
    label = np.repeat(range(7), (30, 29, 32, 31, 30, 31, 30))  # JAFFE
    clips = clip_set([''] * len(label), label)
    folds = []
    for config in ('configs/jaffe_cnn_rnn.py', ours.config):
        declared = configs.load_config(ROOT / config.partition(':')[0], config.partition(':')[2])
        options = {'train_fraction': declared.protocol.train_fraction}
        options['validation'] = declared.protocol.get('validation', 0.0)
        folds.append(protocols.make_protocol(clips, name='random', **options).folds[0])
    assert [len(fold.validation) for fold in folds] == [0, 21]
    assert folds[0].test.tolist() == folds[1].test.tolist()
    assert {*folds[1].train, *folds[1].validation} == {*folds[0].train}


def test_jains_mmi_column_is_of_runs_on_mmi():
    card = papers.load('jain2018:table4')
    of = {ours.dataset or card.dataset: {*(ours.metrics or card.metrics)} for ours in card.ours}
    assert of == {'jaffe': {'Accuracy of JAFFE'}, 'mmi': {'Accuracy of MMI'}}
