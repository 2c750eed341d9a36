"""The fusions' figures: parsed, with the numbers that they show beside them."""

import csv
import io
import itertools
import xml.etree.ElementTree as ET

import numpy as np

from fer_jax.kahou2015 import fusion_report
from fer_jax.kahou2015.decision_fusion import Search
from fer_jax.reports.figures import inline

MODELS = ('activity', 'audio', 'RNN')
CLASSES = ('anger', 'fear')
STAMPS = ('simulated',)


def found(correct, clips=20, models=3):
    rounds = len(correct)
    return Search(
        weights=np.full((models, 2), 1 / models),
        clips=clips,
        spread=np.array([np.nan, *[0.5] * (rounds - 1)]),
        correct=np.array(correct),
        improvements=np.ones(rounds, int),
    )


def checked(drawing):
    """The drawing's rows, after its SVG was found whole, stamped and without outside references."""
    ET.fromstring(drawing.svg)
    assert 'simulated' in drawing.svg and 'http' not in inline(drawing).replace('www.w3.org', '')
    return list(csv.DictReader(io.StringIO(drawing.csv)))


def test_weights():
    weights = np.array([[0.1, 0.8], [0.2, 0.2], [0.7, 0.0]])
    drawing = fusion_report.weights(MODELS, CLASSES, weights, STAMPS)
    rows = checked(drawing)
    assert [row['weight'] for row in rows] == ['0.1', '0.8', '0.2', '0.2', '0.7', '0']
    assert (rows[1]['model'], rows[1]['class']) == ('activity', 'fear')
    assert all(f'>{shown}<' in drawing.svg for shown in (80, 70, 'RNN', 'fear'))


def test_learning_curves():
    rng = np.random.default_rng(0)
    parts = ('train_accuracy', 'validation_accuracy')
    runs = {
        title: {part: rng.uniform(size=(2, epochs)) for part in parts}
        for title, epochs in (('stated', 5), ('stable', 8))
    }
    runs['stable']['validation_accuracy'][:] = np.nan
    chosen = {'stated': np.array([2, 4]), 'stable': np.array([8, 8])}
    drawing = fusion_report.learning_curves(runs, chosen, STAMPS)
    rows = checked(drawing)
    assert len(rows) == 2 * 5 + 2 * 8
    assert float(rows[7]['train_accuracy']) == float(f'{runs["stated"][parts[0]][1, 2]:.6g}')
    assert (rows[7]['run'], rows[7]['seed'], rows[7]['epoch']) == ('stated', '1', '3')
    assert rows[-1]['validation_accuracy'] == ''


def test_course_of_the_search():
    rows = checked(fusion_report.search_course(found([10, 12, 15]), STAMPS))
    assert [row['accuracy'] for row in rows] == ['0.5', '0.6', '0.75']
    assert rows[0]['spread'] == ''


def test_subsets():
    choices = [c for size in (1, 2, 3) for c in itertools.combinations(range(3), size)]
    searches = {
        choice: found([correct], models=len(choice))
        for choice, correct in zip(choices, (5, 6, 7, 9, 10, 8, 10), strict=True)
    }
    table = fusion_report.subset_table(MODELS, searches)
    # The best first; of equals the one of fewer models.
    assert [row['models'] for row in table.rows[:2]] == ['activity, RNN', 'activity, audio, RNN']
    assert table.rows[0]['accuracy'] == 0.5 and table.strong == {1}
    rows = checked(fusion_report.subsets(MODELS, searches, STAMPS))
    assert [row['models'] for row in rows] == [row['models'] for row in table.rows]


def test_silent_models_are_named():
    probabilities = np.full((3, 4, 2), 0.5)
    assert fusion_report.silent_table(MODELS, 'abcd', probabilities) is None
    probabilities[1:, 2] = np.nan
    table = fusion_report.silent_table(MODELS, 'abcd', probabilities)
    assert table.rows == [{'clip_id': 'c', 'silent': 'audio, RNN', 'speaking': 1}]
