"""A study's page from its numbers alone."""

import csv
import re

import pytest

from fer_jax import atomic
from fer_jax.errors import UserError
from fer_jax.sweep import snapshot, study_page
from fer_jax.sweep.trial import INNER, ON_TEST

CHOICES = {
    'model.activation': ['relu', 'elu', 'mish'],
    'model.dropout_rate': {'low': 0.0, 'high': 1.0, 'log': False, 'step': 0},
    'optimizer.learning_rate': {'low': 1e-5, 'high': 1e-1, 'log': True, 'step': 0},
}


def make(count=12, on_test=False, threshold=0.5):
    trials = []
    for number in range(count):
        state = ['done', 'done', 'pruned', 'failed', 'running'][number % 5]
        trials.append(
            {
                'number': number,
                'state': state,
                'value': {'done': 0.6 + 0.01 * number, 'pruned': 0.3}.get(state),
                'params': {
                    'model.activation': CHOICES['model.activation'][number % 3],
                    'model.dropout_rate': number / count,
                    'optimizer.learning_rate': 1e-5 * 2**number,
                },
                'members': number % 4,
                'reason': 'cannot reach <50 %' if state == 'pruned' else None,
                'folder': f'trial-{number:04}',
                'begun': '2020-01-01T00:00:00',
                'ended': None,
                'host': 'host',
            }
        )
    return {
        'study': 's<1>',
        'storage': 'journal:x',
        'identity': 'i',
        'config': 'ckplus_c3d',
        'stamps': ['SIMULATED FACES', ON_TEST if on_test else INNER],
        'plan': {
            'space': {'choices': CHOICES, 'accuracy': 'pooled_accuracy', 'threshold': threshold},
            'sampling': {'sampler': 'tpe', 'pruner': 'none', 'seed': 0},
            'choose_on_test': on_test,
        },
        'total': 20,
        'importances': {'model.activation': 0.75, 'model.dropout_rate': 0.25},
        'trials': trials,
    }


@pytest.mark.parametrize('on_test', [False, True])
def test_the_page_needs_nothing_else_and_says_what_was_chosen_on(tmp_path, on_test):
    path = study_page.write(make(on_test=on_test), tmp_path)
    page = path.read_text(encoding='utf-8')
    assert (ON_TEST in page) == on_test and (INNER in page) != on_test
    assert 'SIMULATED FACES' in page and 's&lt;1&gt;' in page and '<1>' not in page
    assert 'Best: trial 11' in page and '71.00 %' in page
    assert 'Given up below' in page and '&lt;50 %' in page
    assert not re.findall(r'(?:src|href)="(?!#|data:|figures/)[^"]*"', page)
    figures = {path.stem for path in (tmp_path / 'figures').glob('*.svg')}
    assert figures == {'history', 'importances', 'slices', 'parallel'}
    for name in (*figures, 'trials', 'space'):
        assert (tmp_path / 'figures' / f'{name}.csv').exists()


def test_every_number_is_in_the_tables(tmp_path):
    values = make()
    study_page.write(values, tmp_path)
    with (tmp_path / 'figures' / 'trials.csv').open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert [row['state'] for row in rows] == [trial['state'] for trial in values['trials']]
    for row, trial in zip(rows, values['trials'], strict=True):
        assert float(row['value'] or -1) == pytest.approx(trial['value'] or -1)
        assert row['model.activation'] == trial['params']['model.activation']
        assert float(row['optimizer.learning_rate']) == pytest.approx(
            trial['params']['optimizer.learning_rate'], rel=1e-3
        )
        assert INNER in row['stamps']
    with (tmp_path / 'figures' / 'slices.csv').open(newline='', encoding='utf-8') as file:
        done = [int(row['trial']) for row in csv.DictReader(file)]
    assert done == [trial['number'] for trial in values['trials'] if trial['state'] == 'done']


@pytest.mark.parametrize('count', [1, 0])
def test_a_study_that_has_hardly_begun_has_a_page(tmp_path, count):
    values = make(count, threshold=0.0) | {'importances': {}}
    page = study_page.write(values, tmp_path).read_text(encoding='utf-8')
    assert f'{count} of 20' in page
    assert ('Best: trial' in page) == (count == 1)
    assert ('Best: trial 0' in page and '60.00 %' in page) == (count == 1)
    text = snapshot.text(values)
    assert ('no trial was trained to its end' in text) == (count == 0)
    assert '*** SIMULATED FACES ***' in text


@pytest.mark.parametrize('key', ['trials', 'stamps', 'total', 'importances'])
def test_a_study_without_a_key_is_refused_in_a_line(tmp_path, key):
    values = make()
    atomic.write_json(tmp_path / 'study.json', values)
    study_page.redraw(tmp_path, None)
    del values[key]
    atomic.write_json(tmp_path / 'study.json', values)
    with pytest.raises(UserError, match=f'study.json lacks {key}'):
        study_page.redraw(tmp_path, None)


def test_a_trial_without_its_value_is_refused_in_a_line(tmp_path):
    values = make()
    del values['trials'][3]['value']
    atomic.write_json(tmp_path / 'study.json', values)
    with pytest.raises(UserError, match='study.json: trial 3 lacks one of'):
        study_page.redraw(tmp_path, None)
