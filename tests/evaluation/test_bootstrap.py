"""Intervals against scikit-learn draw by draw, and against SciPy's bootstrap."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from fer_jax.evaluation import bootstrap, results

pytestmark = pytest.mark.filterwarnings('ignore:y_pred contains classes not in y_true')


def last_rows(predictions):
    """Test rows at the last epoch."""
    return predictions.at(predictions.epochs - 1)


def scikit_learn_metrics(rows, subject):
    """Every metric of one seed's rows, computed by scikit-learn and loops."""
    correct = rows.predicted == rows.label
    return {
        'pooled_accuracy': reference.accuracy_score(rows.label, rows.predicted),
        'subject_accuracy': np.mean([correct[subject == s].mean() for s in np.unique(subject)]),
        'fold_accuracy': np.mean([correct[rows.fold == f].mean() for f in np.unique(rows.fold)]),
        'mean_class_accuracy': reference.balanced_accuracy_score(rows.label, rows.predicted),
        'macro_f1': reference.f1_score(rows.label, rows.predicted, average='macro'),
    }


@pytest.mark.parametrize('seeds', [1, 3])
def test_estimates_agree_with_scikit_learn(make_predictions, seeds):
    predictions = make_predictions(seeds=seeds, folds=5)
    rows = last_rows(predictions)
    estimates = bootstrap.count(rows, predictions).estimates()
    for seed in range(seeds):
        mine = rows.where(rows.seed == seed)
        expected = scikit_learn_metrics(mine, predictions.subject[mine.clip])
        for name, value in expected.items():
            assert estimates[name][seed] == pytest.approx(value), name


def test_intervals_agree_with_resampling_by_hand(predictions):
    draws = 60
    rows = last_rows(predictions)
    counts = bootstrap.count(rows, predictions)
    intervals = counts.intervals(draws=draws, seed=7)

    subject = predictions.subject[rows.clip]
    names = np.unique(subject)
    picked = np.random.default_rng(7).integers(len(names), size=(draws, len(names)), dtype=np.int32)
    by_hand = {name: [] for name in bootstrap.METRICS}
    for draw in picked:
        drawn = [np.flatnonzero(subject == names[index]) for index in draw]
        # Each drawing of a subject is a subject of its own.
        owner = np.repeat(np.arange(len(drawn)), [len(part) for part in drawn])
        some = rows.where(np.concatenate(drawn))
        values = scikit_learn_metrics(some, owner)
        # A fold counts as often as its clips are drawn, of as many as it has.
        size = np.bincount(rows.fold)[some.fold]
        values['fold_accuracy'] = np.average(some.predicted == some.label, weights=1 / size)
        for name, value in values.items():
            by_hand[name].append(value)
    for name, values in by_hand.items():
        np.testing.assert_allclose(
            intervals[name], np.percentile(values, [2.5, 97.5]), rtol=1e-6, err_msg=name
        )


def test_clip_intervals_agree_with_scipy(make_predictions):
    predictions = make_predictions(known_subjects=False)
    rows = last_rows(predictions)
    ours = bootstrap.count(rows, predictions).intervals()['pooled_accuracy']
    correct = (rows.predicted == rows.label).astype(float)
    theirs = stats.bootstrap(
        (correct,), np.mean, n_resamples=2000, method='percentile', rng=np.random.default_rng(1)
    ).confidence_interval
    np.testing.assert_allclose(ours, theirs, atol=0.006)


def test_one_unknown_subject_makes_clips_the_units(make_predictions):
    predictions = make_predictions(folds=4, epochs=2)
    rows = last_rows(predictions)
    assert len(bootstrap.count(rows, predictions).confusion) == 118
    predictions.subject[0] = ''
    assert len(bootstrap.count(rows, predictions).confusion) == 327


def test_clips_that_hang_together_widen_the_interval(predictions):
    rows = last_rows(predictions)
    # All clips of a subject right or all wrong: the sample is one of subjects, not of clips.
    number = np.unique(predictions.subject[rows.clip], return_inverse=True)[1]
    predicted = np.where(number % 3 == 0, (rows.label + 1) % 7, rows.label)
    together = rows.where(np.ones(len(number), bool))
    object.__setattr__(together, 'predicted', predicted)
    by_subject = bootstrap.count(together, predictions).intervals()['pooled_accuracy']
    nobody = predictions.__class__(
        **{**predictions.__dict__, 'subject': np.full(len(predictions.label), '')}
    )
    by_clip = bootstrap.count(together, nobody).intervals()['pooled_accuracy']
    assert np.diff(by_subject) > 1.3 * np.diff(by_clip)


def test_an_interval_is_of_the_mean_over_seeds(make_predictions):
    predictions = make_predictions(seeds=2, folds=4, epochs=2)
    wrong = predictions.seed == 1
    predictions.probabilities[wrong] = np.eye(7)[(predictions.label + 1) % 7]
    counts = bootstrap.count(last_rows(predictions), predictions)
    low, high = counts.intervals(draws=50)['pooled_accuracy']
    first, second = counts.estimates()['pooled_accuracy']
    assert second == 0 and low < first / 2 < high < first


def test_intervals_repeat_and_follow_the_seed(predictions):
    counts = bootstrap.count(last_rows(predictions), predictions)
    first, again, other = (counts.intervals(draws=200, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first['macro_f1'], again['macro_f1'])
    assert (first['macro_f1'] != other['macro_f1']).any()


def test_blocks_of_draws_are_one_bootstrap(predictions, monkeypatch):
    counts = bootstrap.count(last_rows(predictions), predictions)
    whole = counts.intervals()['pooled_accuracy']
    monkeypatch.setattr(bootstrap, 'BLOCK', 118 * 300)
    np.testing.assert_array_equal(counts.intervals()['pooled_accuracy'], whole)


def test_one_subject_has_no_interval(make_predictions):
    predictions = make_predictions()
    predictions.subject[:] = 'S1'
    assert bootstrap.count(last_rows(predictions), predictions).intervals() == {}


@pytest.mark.parametrize('subjects, given', [(7, False), (8, True)])
def test_few_units_have_no_interval_and_are_shown_themselves(make_predictions, subjects, given):
    predictions = make_predictions(folds=2, epochs=1, subjects=subjects)
    found = results.compute(predictions)
    best = found[results.headline(found)]
    assert (best['intervals']['pooled_accuracy'] is not None) == given
    said = results.summary_text(found)
    first = best['per_subject'][0]
    alone = f'{first["subject"]} {100 * first["accuracy"]:.1f} %'
    assert ('No interval: fewer than 8 subjects' in said) == (alone in said) == (not given)


def test_a_fold_that_is_drawn_twice_counts_twice(make_predictions):
    """With one subject a fold both means are the same number, and so are their intervals."""
    predictions = make_predictions(folds=20, subjects=20, epochs=2)
    found = results.compute(predictions, draws=200)['last']
    assert found['fold_accuracy'] == pytest.approx(found['subject_accuracy'])
    np.testing.assert_allclose(
        found['intervals']['fold_accuracy'], found['intervals']['subject_accuracy'], atol=1e-9
    )


def test_frames_of_one_film_are_drawn_together_where_subjects_are_unknown(make_predictions):
    table = make_predictions(seeds=1, folds=5)
    clips = len(table.clip_id)
    ids = np.array([f'train/{i // 10:03}@{i % 10}' for i in range(clips)])
    films = dataclasses.replace(table, subject=np.full(clips, ''), clip_id=ids)
    people = dataclasses.replace(table, subject=np.array([name[:9] for name in ids.tolist()]))
    drawn, expected = (bootstrap.count(last_rows(each), each) for each in (films, people))
    assert drawn.unit == 'recordings'
    name = 'pooled_accuracy'
    np.testing.assert_array_equal(drawn.intervals()[name], expected.intervals()[name])
    assert results.compute(films, draws=9)['last']['interval']['unit'] == 'recordings'
