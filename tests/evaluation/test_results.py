"""results.json: what stands in it, recomputed by other means."""

import csv
import json

import numpy as np
import pytest
from sklearn import metrics as reference

from fer_jax.errors import UserError
from fer_jax.evaluation import results
from fer_jax.evaluation.predictions import TEST
from fer_jax.evaluation.rules import choose
from fer_jax.reports import tables


@pytest.fixture(scope='module')
def values(finished_run):
    """results.json of the simulated run."""
    return json.loads((finished_run / 'results.json').read_text())


def test_every_key_is_a_rule_and_says_all_that_the_contract_names(values):
    assert list(values) == ['val_best', 'last', 'test_best_fold', 'test_best_common']
    for entry in values.values():
        assert {
            'pooled_accuracy', 'subject_accuracy', 'fold_accuracy', 'mean_class_accuracy',
            'macro_f1', 'majority_accuracy', 'n', 'intervals',
        } <= set(entry)  # fmt: skip
        for name in ('pooled_accuracy', 'subject_accuracy', 'macro_f1'):
            low, high = entry['intervals'][name]
            assert low < entry[name] < high
    assert [rule for rule, entry in values.items() if entry['headline']] == ['val_best']


def test_numbers_recomputed_from_predictions_csv(finished_run, values):
    with (finished_run / 'predictions.csv').open(newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['part'] == 'test']
    for rule, entry in values.items():
        mine = [row for row in rows if row['rule'] == rule]
        label, predicted, subject, fold = (
            np.array([row[key] for row in mine])
            for key in ('label', 'predicted', 'subject', 'fold')
        )
        right = label == predicted
        assert entry['n'] == len(mine) == 327
        assert entry['pooled_accuracy'] == pytest.approx(reference.accuracy_score(label, predicted))
        assert entry['mean_class_accuracy'] == pytest.approx(
            reference.balanced_accuracy_score(label, predicted)
        )
        assert entry['macro_f1'] == pytest.approx(
            reference.f1_score(label, predicted, average='macro')
        )
        for key, group in (('subject_accuracy', subject), ('fold_accuracy', fold)):
            shares = [right[group == name].mean() for name in np.unique(group)]
            assert entry[key] == pytest.approx(np.mean(shares))
        table = {row['subject']: row for row in entry['per_subject']}
        assert len(table) == entry['subjects'] == 118
        assert table[subject[5]]['accuracy'] == pytest.approx(right[subject == subject[5]].mean())
        names = [row['class'] for row in entry['classes']]
        np.testing.assert_array_equal(
            entry['confusion'], reference.confusion_matrix(label, predicted, labels=names)
        )


def test_the_majority_is_of_each_members_own_training(predictions, values):
    right = 0
    for member in range(predictions.members):
        commonest = np.argmax(predictions.train_counts[member])
        test = predictions.label[predictions.part[member] == TEST]
        right += (test == commonest).sum()
    assert values['last']['majority_accuracy'] == pytest.approx(right / 327)


def test_optimism_is_the_difference_to_the_honest_rule(values):
    honest = values['val_best']['pooled_accuracy']
    assert values['val_best']['optimism'] is None
    assert values['last']['optimism'] is None
    for rule in ('test_best_fold', 'test_best_common'):
        assert values[rule]['optimism'] == values[rule]['pooled_accuracy'] - honest
        low, high = values[rule]['optimism_interval']
        assert low < values[rule]['optimism'] < high
    assert values['test_best_fold']['optimism'] > 0


def test_optimism_beside_nested_is_of_the_networks_that_chose(predictions):
    best, late = choose(predictions)['val_best'], predictions.epochs - 1
    chosen = {'nested': late, 'val_best': best, 'test_best_fold': best}
    found = results.compute(predictions, draws=50, chosen=chosen)
    assert found['nested']['headline']
    assert found['nested']['pooled_accuracy'] != found['val_best']['pooled_accuracy']
    assert found['test_best_fold']['optimism'] == 0
    assert found['test_best_fold']['optimism_interval'] == [0, 0]
    (row,) = tables.optimism(found).rows
    assert row['honest_accuracy'] == found['val_best']['pooled_accuracy']


def test_the_interval_of_optimism_pairs_the_subjects(predictions, values):
    chosen = {rule: np.array(values[rule]['epochs']) - 1 for rule in ('val_best', 'test_best_fold')}
    rows = {rule: predictions.at(epoch) for rule, epoch in chosen.items()}
    more, honest = (
        rows[rule].predicted == rows[rule].label for rule in ('test_best_fold', 'val_best')
    )
    number = np.unique(predictions.subject[rows['val_best'].clip], return_inverse=True)[1]
    gained, total = np.bincount(number, weights=more * 1.0 - honest), np.bincount(number)
    picked = np.random.default_rng(3).integers(118, size=(2000, 118))
    drawn = gained[picked].sum(1) / total[picked].sum(1)
    np.testing.assert_allclose(
        values['test_best_fold']['optimism_interval'], np.percentile(drawn, [2.5, 97.5]), atol=0.006
    )


def test_the_headline_is_the_last_epoch_without_validation(make_predictions):
    found = results.compute(make_predictions(validation=False), draws=50)
    assert results.headline(found) == 'last'
    assert 'val_best' not in found
    assert {row['validation_accuracy'] for row in found['last']['folds']} == {None}


def test_several_seeds_have_a_mean_and_a_standard_deviation(make_predictions):
    found = results.compute(make_predictions(seeds=3, folds=4), draws=50)['val_best']
    alone = [row['pooled_accuracy'] for row in found['seeds']]
    assert [row['seed'] for row in found['seeds']] == [0, 1, 2]
    assert len(set(alone)) > 1
    assert found['pooled_accuracy'] == pytest.approx(np.mean(alone))
    assert found['standard_deviation']['pooled_accuracy'] == pytest.approx(np.std(alone, ddof=1))
    # A clip counts once in each seed.
    assert found['n'] == found['clips'] == 327
    assert not found['repeated']
    assert np.sum(found['confusion']) == 3 * 327


def test_repeated_random_splits_count_a_clip_once_in_each_repeat(make_predictions):
    predictions = make_predictions(folds=2)
    predictions.part[1] = predictions.part[0]
    predictions.probabilities[1] = predictions.probabilities[0]
    found = results.compute(predictions, draws=50)['val_best']
    assert found['repeated']
    assert found['n'] == 2 * found['clips']
    assert 'counted once in each repeat' in results.summary_text({'val_best': found})


def test_unknown_subjects_have_no_accuracy_and_clips_are_resampled(make_predictions):
    found = results.compute(make_predictions(known_subjects=False), draws=50)['val_best']
    assert found['subject_accuracy'] is found['intervals']['subject_accuracy'] is None
    assert found['subjects'] is None
    assert found['per_subject'] == []
    assert found['interval']['unit'] == 'clips'


def test_accuracy_without_duplicates(make_predictions):
    predictions = make_predictions(duplicates=True)
    found = results.compute(predictions, draws=50)['last']['duplicates']
    rows = predictions.at(predictions.epochs - 1)
    right = rows.predicted == rows.label
    assert found['all']['removed'] == 0
    assert found['all']['pooled_accuracy'] == pytest.approx(right.mean())
    for name, keep in (
        ('without_training', rows.duplicate != 2),
        ('without_training_or_validation', rows.duplicate == 0),
    ):
        assert found[name]['n'] == keep.sum() < 327
        assert found[name]['removed'] == 327 - keep.sum()
        assert found[name]['pooled_accuracy'] == pytest.approx(right[keep].mean())
    assert results.compute(make_predictions(), draws=50)['last']['duplicates'] is None


def test_a_test_set_of_nothing_but_copies_has_no_number(make_predictions):
    predictions = make_predictions(folds=2)
    predictions.duplicate[predictions.part == TEST] = 2
    found = results.compute(predictions, draws=50)['last']['duplicates']
    assert found['without_training']['pooled_accuracy'] is None
    assert found['without_training']['n'] == 0


def test_the_text_has_the_stamps_and_the_headline(values):
    text = results.summary_text(values)
    assert text.startswith('*** SIMULATED FACES ***\n')
    assert f'{100 * values["val_best"]["pooled_accuracy"]:.2f}%' in text
    assert text.count('(optimistic)') == 2
    assert f'{100 * values["test_best_fold"]["optimism"]:+.2f}' in text
    assert max(map(len, text.splitlines())) <= 80


def test_networks_that_name_one_class_are_named(make_predictions):
    predictions = make_predictions(folds=3)
    sound = results.compute(predictions, draws=50)
    assert all(found['collapsed'] == [] for found in sound.values())
    assert 'Collapsed' not in results.summary_text(sound)
    predictions.probabilities[1] = np.eye(7, dtype=np.float16)[4]  # happiness, in every epoch
    found = results.compute(predictions, draws=50)
    n = int((predictions.part[1] == TEST).sum())
    expected = {'fold': 1, 'seed': 0, 'class': 'happiness', 'n': n}
    assert found['val_best']['collapsed'] == [expected]
    text = results.summary_text(found)
    assert 'Collapsed: 1 of 3 networks name one class for every test clip (fold 1' in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize('content', ['{}', '{"last": 3}', '{"last": {}}', '[]', '', 'null'])
def test_damaged_results_name_a_way_out(tmp_path, content):
    (tmp_path / 'results.json').write_text(content)
    with pytest.raises(UserError, match='results.json .*delete it and DONE'):
        results.read(tmp_path)
