"""What figures draw: curves, losses, colours, faces."""

import numpy as np
import pytest
from sklearn import metrics as reference

from fer_jax.reports import figures, page, plots, samples


def test_curves_and_areas_agree_with_scikit_learn(predictions):
    rows = predictions.at(predictions.epochs - 1)
    roc, precision_recall, scores = plots.ranking(rows, predictions.classes, ())
    for index, name in enumerate(predictions.classes):
        positive, score = rows.label == index, rows.probabilities[:, index]
        assert scores[name][0] == pytest.approx(reference.roc_auc_score(positive, score))
        assert scores[name][1] == pytest.approx(reference.average_precision_score(positive, score))
    drawn = [row.split(',') for row in roc.csv.splitlines()[1:]]
    fear = np.array([row[1:] for row in drawn if row[0] == 'fear'], float)
    assert np.trapezoid(fear[:, 1], fear[:, 0]) == pytest.approx(scores['fear'][0], abs=1e-5)
    assert precision_recall.csv.startswith('class,recall,precision\n')


def test_a_class_without_test_clips_has_no_curve(predictions):
    rows = predictions.at(predictions.epochs - 1)
    rows = rows.where(rows.label != 1)
    roc, _, scores = plots.ranking(rows, predictions.classes, ())
    assert np.isnan(scores['contempt']).all()
    assert 'contempt' not in roc.csv


def test_a_fold_whose_subject_shows_one_expression_has_no_curves(predictions):
    rows = predictions.at(predictions.epochs - 1)
    roc, recalls, scores = plots.ranking(rows.where(rows.label == 1), predictions.classes, ())
    assert np.isnan(list(scores.values())).all()
    for drawing in (roc, recalls):
        assert len(drawing.csv.splitlines()) == 1
        assert 'all test clips are of one class' in drawing.svg


def test_curves_keep_a_member_that_stopped_early_in_the_mean():
    values = np.array([[1.0, 2.0, np.nan], [3.0, 4.0, 8.0], [np.nan] * 3])
    np.testing.assert_array_equal(plots._hold_last(values), [[1, 2, 2], [3, 4, 8], [np.nan] * 3])


def test_the_losses_say_that_training_minimises_something_else():
    both = ('loss', 'accuracy')
    one = {f'{part}_{what}': np.ones((1, 2)) for part in plots.PARTS for what in both}
    members = np.zeros(1, int), np.zeros(1, int), [1], ()
    loss, accuracy = (plots.curves(one, what, *members) for what in both)
    assert 'Training: what is minimised' in loss.caption and 'nats)' not in loss.svg
    assert 'minimised' not in accuracy.caption


def test_the_style_sheet_has_every_colour_in_light_and_in_dark():
    style = page._resource('page.css')
    light, dark = style.split('@media screen and (prefers-color-scheme: dark)')
    for role in figures.COLOURS:
        assert f'--{role}:' in light
        assert f'--{role}:' in dark.split('@media print')[0]


def test_colours_are_told_apart_by_their_code_alone():
    assert len(set(figures.COLOURS.values())) == len(figures.COLOURS)


def test_faces_are_right_ones_of_each_class_then_the_surest_mistakes(predictions):
    rows = predictions.at(predictions.epochs - 1)
    frames = np.zeros((len(predictions.label), 4, 4), np.uint8)
    ids = np.append(predictions.clip_id, 'not/tested')
    faces = samples.pick(rows, predictions, np.append(frames, frames[:1], 0), ids)
    right, wrong = faces[: samples.MOST], faces[samples.MOST :]
    assert all(face.right for face in right)
    assert {face.true for face in right} == set(predictions.classes)
    assert not any(face.right for face in wrong)
    chances = [face.probability for face in wrong]
    assert chances == sorted(chances, reverse=True)
    mistaken = rows.predicted != rows.label
    assert chances[0] == rows.probabilities[mistaken].max()
