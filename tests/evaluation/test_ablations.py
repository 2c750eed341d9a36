"""Ablations: paired with the base alone, one table of all, and those on other folds beside it."""

import csv
import dataclasses

import numpy as np
import pytest
from scipy import stats

from fer_jax.evaluation import ablations, rundir
from fer_jax.reports import comparison_page

FEW = 50
ABOUT = {
    'base': ('The config as it stands.', {}),
    'worse': ('A worse one.', {'model.activation': 'elu', 'augment': {'kind': 'none'}}),
    'other': ('Another one.', {'train.epochs': 3}),
    'folds': ('On other folds.', {'protocol.name': 'balanced'}),
}


@pytest.fixture(scope='module')
def runs(make_predictions, make_other, make_run, tmp_path_factory):
    """Runs of a base and of three ablations, the last on other folds."""
    folder = tmp_path_factory.mktemp('ablations')
    base = make_predictions(folds=5, epochs=4)
    tables = {
        'base': base,
        'worse': make_other(base, noise=2.0, seed=1),
        'other': make_other(base, noise=0.5, seed=2),
        'folds': make_predictions(folds=4, epochs=4),
    }
    stamps = {'folds': ('subjects shared',)}
    return {
        name: rundir.load(
            make_run(folder / name, table, simulated=True, stamps=stamps.get(name, ()))
        )
        for name, table in tables.items()
    }


@pytest.fixture(scope='module')
def values(runs):
    return ablations.compute(runs, ABOUT, draws=FEW)


def accuracies(run):
    """Each fold's accuracy and the pooled one, from predictions.csv."""
    with (run.path / 'predictions.csv').open(newline='') as file:
        rows = [r for r in csv.DictReader(file) if (r['part'], r['rule']) == ('test', 'val_best')]
    right = np.array([row['label'] == row['predicted'] for row in rows])
    fold = np.array([int(row['fold']) for row in rows])
    return [right[fold == f].mean() for f in np.unique(fold)], right.mean()


def test_each_reading_is_the_reading_minus_the_base(values, runs):
    rows = {row['name']: row for row in values['ablations']}
    assert list(rows) == ['base', 'worse', 'other', 'folds']
    assert [row['run'] for row in rows.values()] == ['A', 'B', 'C', None]
    for name, row in rows.items():
        assert row['accuracy'] == pytest.approx(accuracies(runs[name])[1])
        assert row['interval'][0] < row['accuracy'] < row['interval'][1]
    for name in ('worse', 'other'):
        expected = accuracies(runs[name])[1] - accuracies(runs['base'])[1]
        assert rows[name]['difference'] == pytest.approx(expected)
        low, high = rows[name]['difference_interval']
        assert low <= expected <= high
    assert rows['base']['difference'] is None
    assert rows['worse']['changes'] == 'model.activation = elu; augment.kind = none'


def test_the_validation_clips_choose_and_not_the_test_clips(values, runs):
    for row in values['ablations']:
        with (runs[row['name']].path / 'predictions.csv').open(newline='') as file:
            rows = list(csv.DictReader(file))
        rows = [r for r in rows if (r['part'], r['rule']) == ('validation', 'val_best')]
        right = [r['label'] == r['predicted'] for r in rows]
        assert rows and row['validation'] == pytest.approx(np.mean(right))
    shares = {row['name']: row['validation'] for row in values['ablations'][:-1]}
    best = max(shares, key=shares.get)
    assert f'validation clips choose {best} ({100 * shares[best]:.2f} %)' in ablations.text(values)
    # Another run may have the higher test accuracy: the sentence stays.
    rows = [dict(row, accuracy=row['name'] != best) for row in values['ablations']]
    assert f'choose {best} ' in ablations.chosen({'ablations': rows})
    # The clips of other folds are other ones, however many a network gets right.
    rows[-1]['validation'] = 1.0
    assert f'Of the runs on the same folds the validation clips choose {best} ' in ablations.chosen(
        {'ablations': rows}
    )
    rows[-1]['refusal'] = None
    assert 'The validation clips choose folds (100.00 %)' in ablations.chosen({'ablations': rows})


def test_only_pairs_with_the_base_are_tested_and_corrected_for(values, runs):
    assert [(pair['first'], pair['second']) for pair in values['pairs']] == [('B', 'A'), ('C', 'A')]
    p = []
    for name, pair in zip(('worse', 'other'), values['pairs'], strict=True):
        of_folds = [accuracies(runs[which])[0] for which in (name, 'base')]
        expected = stats.ttest_rel(*of_folds)
        assert pair['tests']['t']['statistic'] == pytest.approx(expected.statistic)
        p.append((expected.pvalue, pair['tests']['t']['holm']))
    # Two pairs, not the three of all against all.
    (small, corrected), (large, other) = sorted(p)
    assert corrected == pytest.approx(min(1, 2 * small))
    assert other == pytest.approx(max(corrected, large))


def test_a_reading_on_other_folds_stands_in_the_table_and_says_why(values, tmp_path):
    row = values['ablations'][-1]
    assert row['difference'] is None and 'not in the same fold of both' in row['refusal']
    assert 'subjects shared' in values['stamps'] and 'SIMULATED FACES' in values['stamps']
    text = comparison_page.write(values, tmp_path).read_text(encoding='utf-8')
    assert '3 ablations compared' in text and 'B − A' in text and 'B − C' not in text
    assert row['refusal'].split(':')[0] in text
    for name, (why, _) in ABOUT.items():
        assert name in text and why in text
    with (tmp_path / 'figures' / 'ablations.csv').open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert [float(row['accuracy']) for row in rows] == pytest.approx(
        [row['accuracy'] for row in values['ablations']], abs=1e-5
    )
    assert [bool(row['difference']) for row in rows] == [False, True, True, False]


def test_the_terminals_table_has_every_reading(values):
    lines = ablations.text(values).splitlines()
    assert lines[0].startswith('*** ')
    for row in values['ablations']:
        (line,) = [line for line in lines if line[3:].split(' ')[0] == row['name']]
        assert f'{100 * row["accuracy"]:.2f}' in line and len(line) <= 79
        if row['difference'] is not None:
            assert f'{100 * row["difference"]:+.2f}'.replace('-', '−') in line
        assert f'   {row["why"]}' in lines


def test_where_no_reading_can_be_paired_the_table_is_all(runs, tmp_path):
    found = ablations.compute({k: runs[k] for k in ('base', 'folds')}, ABOUT, draws=FEW)
    assert found['pairs'] == [] and len(found['ablations']) == 2
    text = comparison_page.write(found, tmp_path).read_text(encoding='utf-8')
    assert 'id="differences"' not in text and 'No test applies' not in text
    assert not (tmp_path / 'figures' / 'intervals.svg').exists()


def test_a_reading_without_the_rule_has_no_accuracy(runs):
    bare = runs['folds']
    part = np.where(bare.predictions.part == 1, 0, bare.predictions.part)
    table = dataclasses.replace(bare.predictions, part=part.astype(np.int8))
    runs = {'base': runs['base'], 'folds': dataclasses.replace(bare, predictions=table)}
    row = ablations.compute(runs, ABOUT, draws=FEW)['ablations'][1]
    assert row['accuracy'] is None and row['interval'] is None and row['validation'] is None
    assert ablations.text(ablations.compute(runs, ABOUT, draws=FEW))
