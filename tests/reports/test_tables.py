"""Tables and learning curves of a report: every column is that of the run's own files."""

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from fer_jax.evaluation.results import METRIC_TITLES
from fer_jax.reports import plots, run_page
from tests.reports.test_report import read_csv


@pytest.fixture(scope='module')
def folder(finished_run, tmp_path_factory):
    """The figures of the simulated run's report."""
    return run_page.write_report(finished_run, tmp_path_factory.mktemp('out')).parent / 'figures'


def assert_says(path, expected, *columns):
    """Checks that a CSV has these columns of the rows expected, None as an empty cell."""
    for row, wanted in zip(read_csv(path), expected, strict=True):
        for key in columns:
            value = wanted[key]
            if isinstance(value, list):
                ends = [float(row[f'{key}_{end}']) for end in ('low', 'high')]
                assert ends == pytest.approx(value, rel=1e-5), key
            elif value is None or isinstance(value, str):
                assert row[key] == (value or ''), key
            else:
                assert float(row[key]) == pytest.approx(value, rel=1e-5), key


def test_every_table_is_that_of_results_json(folder, finished_run, predictions):
    values = json.loads((finished_run / 'results.json').read_text())
    best = values['val_best']
    assert_says(folder / 'rules.csv', values.values(), 'title', *METRIC_TITLES, 'n')
    judged = predictions.at(np.array(best['epochs']) - 1)
    classes = []
    for k, row in enumerate(best['classes']):
        given = judged.label == k, judged.probabilities[:, k]
        areas = {
            'roc_area': reference.roc_auc_score(*given),
            'average_precision': reference.average_precision_score(*given),
        }
        classes.append(row | areas)
    keys = ('class', 'n', 'recall', 'recall_interval', 'precision', 'f1', *areas)
    assert_says(folder / 'classes.csv', classes, *keys)
    names = [f'predicted {name}' for name in predictions.classes]
    counts = [dict(zip(names, row, strict=True)) for row in best['confusion']]
    assert_says(folder / 'confusion.csv', counts, *names)
    found = best['calibration']
    scaled = {**found['scaled'], 'temperature': found['temperature']}
    calibrated = [{**found['raw'], 'temperature': 1}, scaled]
    assert scaled['error'] != found['raw']['error']
    keys = ('temperature', 'error', 'confidence', 'loss')
    assert_says(folder / 'calibration.csv', calibrated, *keys)
    assert_says(folder / 'subjects.csv', best['per_subject'], 'subject', 'n', 'accuracy')
    parts = json.loads((finished_run / 'folds.json').read_text())['folds']
    folds = [
        row | {f'{part}_clips': len(clips) for part, clips in parts[row['fold']].items()}
        for row in best['folds']
    ]
    keys = ('member', 'fold', 'train_clips', 'validation_clips', 'test_clips', 'epoch')
    keys += ('validation_accuracy', 'accuracy', 'majority_accuracy')
    assert_says(folder / 'folds.csv', folds, *keys)


def test_seeds_and_copies_are_those_of_results_json(make_predictions, make_run, tmp_path):
    predictions = make_predictions(folds=3, epochs=3, seeds=2, duplicates=True)
    run = make_run(tmp_path / 'run', predictions, simulated=True)
    run_page.write_report(run)
    best = json.loads((run / 'results.json').read_text())['val_best']
    expected = [*best['seeds'], {'seed': 'mean', **best}]
    expected.append({'seed': 's.d.', **best['standard_deviation'], 'n': None})
    expected = [{**row, 'seed': str(row['seed'])} for row in expected]
    assert_says(run / 'figures' / 'seeds.csv', expected, 'seed', *METRIC_TITLES, 'n')
    copies = best['duplicates'].values()
    keys = ('n', 'removed', 'pooled_accuracy', 'interval')
    assert_says(run / 'figures' / 'duplicates.csv', copies, *keys)


@pytest.mark.parametrize('what', ['loss', 'accuracy'])
def test_learning_curves_are_those_of_metrics_csv(folder, finished_run, what):
    known = read_csv(finished_run / 'metrics.csv')
    parts = [f'{part}_{what}' for part in plots.PARTS]
    keys = ('member', 'fold', 'seed', 'epoch')
    expected = [
        {key: row[key] for key in keys} | {part: float(row[part]) for part in parts}
        for row in known
    ]
    assert_says(folder / f'{what}_curves.csv', expected, *keys, *parts)
