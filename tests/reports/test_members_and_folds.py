"""Members and folds that a run's page counts."""

import csv
import dataclasses

import numpy as np
import pytest

from fer_jax.evaluation.predictions import TEST, VALIDATION
from fer_jax.reports import run_page, tables


@pytest.mark.parametrize('folds', [10, 40])
def test_a_run_of_one_fold_of_many_says_so(make_predictions, make_run, tmp_path, folds):
    predictions = make_predictions(folds=folds, epochs=2)
    run = make_run(tmp_path / 'run', predictions, simulated=True)
    arrays = ('probabilities', 'part', 'fold', 'seed', 'epochs', 'train_counts', 'duplicate')
    own = {name: getattr(predictions, name)[3:4] for name in (*arrays, 'retrained', 'failed')}
    one = dataclasses.replace(predictions, **own)
    one.save(run / 'probabilities.npz')
    lines = (run / 'metrics.csv').read_text(encoding='utf-8').splitlines()
    kept = [line.replace('3,3,', '0,3,', 1) for line in lines if line.startswith('3,3,')]
    (run / 'metrics.csv').write_text('\n'.join([lines[0], *kept]) + '\n', encoding='utf-8')
    text = run_page.write_report(run).read_text(encoding='utf-8')
    tested = int((one.part == TEST).sum())
    assert f'<dt>Test folds</dt><dd>1 of {folds} (fold 3): {tested}</dd>' in text
    assert f'role="note">SIMULATED FACES · 1 OF {folds} FOLDS</p>' in text
    assert (run / 'figures' / 'folds.svg').is_file()


def test_classes_and_subjects_of_any_name_are_shown_as_they_are(
    make_predictions, make_run, tmp_path
):
    predictions = make_predictions(folds=2, epochs=1, subjects=2)
    subject = np.where(predictions.subject == 'S000', "O'Brien", 'R&D')
    run = make_run(
        tmp_path / 'run', dataclasses.replace(predictions, subject=subject), simulated=True
    )
    text = run_page.write_report(run).read_text(encoding='utf-8')
    assert 'O&#x27;Brien' in text and 'R&amp;D' in text and '&amp;amp;' not in text
    classes = [{'class': 'true'}, {'class': 'false'}]
    table = tables.confusion({'classes': classes, 'confusion': [[8, 2], [3, 7]]})
    assert table.csv(()) == 'true,predicted true,predicted false\ntrue,8,2\nfalse,3,7\n'


def test_members_left_out_have_no_epoch_and_those_trained_again_are_counted_once(
    make_predictions, make_run, tmp_path
):
    predictions = make_predictions(folds=2, epochs=4)
    retrained = np.arange(4) >= 2
    part = predictions.part[[0, 1, 0, 1]]
    part[2:][part[2:] == VALIDATION] = 0
    probabilities = predictions.probabilities[[0, 1, 0, 1]]
    probabilities = np.where(part[:, None, :, None] > 0, probabilities, np.float16(np.nan))
    again = dataclasses.replace(
        predictions, probabilities=probabilities, part=part, retrained=retrained,
        **{name: getattr(predictions, name)[[0, 1, 0, 1]]
           for name in ('fold', 'seed', 'epochs', 'train_counts', 'duplicate')},
        failed=np.zeros(4, np.int32),
    )  # fmt: skip
    run = make_run(tmp_path / 'run', again, simulated=True)
    text = run_page.write_report(run).read_text(encoding='utf-8')
    assert '<dd>2 (folds × seeds), each trained again on training and validation clips</dd>' in text
    with (run / 'figures' / 'rules.csv').open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert {row['rule']: row['epochs'] for row in rows}['last'] == '4'
    assert not any(row['epochs'].startswith('0') for row in rows)
    assert text.count('Of members that were trained again the first training.') == 2
    with (run / 'figures' / 'accuracy_curves.csv').open(newline='', encoding='utf-8') as file:
        assert {row['member'] for row in csv.DictReader(file)} == {'0', '1'}
