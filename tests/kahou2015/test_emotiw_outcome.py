"""Accuracies of models and submissions from the stages' files, against scikit-learn."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix

from fer_jax.errors import UserError
from fer_jax.kahou2015 import outcome
from fer_jax.kahou2015.partitions import TRAININGS, training_of
from fer_jax.kahou2015.submissions import SUBMISSIONS


def test_what_the_submissions_train_on():
    for number, row in SUBMISSIONS.items():
        if row.combines:
            continue
        training = TRAININGS[training_of(number)]
        assert training.fit == row.fit
        if row.keeps:
            assert training.keeps == training_of(row.keeps) and not training.stop
        else:
            # Models are stopped by the part that their weights are searched on.
            assert training.stop == row.searched
    assert [training_of(number) for number in range(1, 7)] == [0, 0, 2, 1, 1, 3]


def test_stages_come_back_as_they_were_saved(run):
    folder, made, searches = run
    found = outcome.load(folder)
    for number, entry in made.items():
        again = found.entries[number]
        np.testing.assert_array_equal(again.weights, entry.weights)
        np.testing.assert_array_equal(again.probabilities, entry.probabilities)
        assert {k: v.tolist() for k, v in again.epochs.items()} == {
            k: v.tolist() for k, v in entry.epochs.items()
        }
        assert (again.search is None) == (entry.search is None)
        if entry.search:
            assert again.search.accuracy == entry.search.accuracy
    assert list(found.subsets) == list(searches)
    for choice, search in searches.items():
        np.testing.assert_array_equal(found.subsets[choice].weights, search.weights)
        assert found.subsets[choice].accuracy == search.accuracy


def test_models_are_judged_on_what_they_speak_of(run):
    found = outcome.load(run[0])
    table, values = found.table, found.values
    for name, said in found.said(2).items():
        for part, clips in (('train', 60), ('validation', 40), ('test', 20)):
            own = (table.split == part) & np.isfinite(said).all(-1)
            judged = values['models'][name][part]
            assert judged['n'] == own.sum() <= clips
            assert judged['accuracy'] == pytest.approx(
                accuracy_score(table.truth[own], said[own].argmax(-1))
            )
            low, high = judged['interval']
            assert 0 < low < judged['accuracy'] < high < 1
        own = (table.split == 'validation') & np.isfinite(said).all(-1)
        np.testing.assert_array_equal(
            found.confusion(said, 'validation'),
            confusion_matrix(table.truth[own], said[own].argmax(-1), labels=range(7)),
        )
    assert values['models']['aggregated']['validation']['n'] == 39
    assert values['models']['fusion']['validation']['n'] == 38


def test_submissions_are_judged_on_all_clips_and_not_where_all_was_seen(run):
    found = outcome.load(run[0])
    table, values = found.table, found.values
    for number, entry in values['submissions'].items():
        again = int(number) in (3, 6, 7)
        assert (entry['train'] is None) == (entry['validation'] is None) == again
        assert entry['test']['n'] == 20
        for part in ('test',) if again else ('train', 'validation', 'test'):
            own = table.split == part
            said = found.entries[int(number)].probabilities[own]
            assert entry[part]['accuracy'] == pytest.approx(
                accuracy_score(table.truth[own], said.argmax(-1))
            )
    difference = values['fused']['test']['rnn']['difference']
    rnn = found.said(2)['rnn'][table.split == 'test']
    own = table.truth[table.split == 'test']
    right = np.isfinite(rnn).all(-1) & (np.nan_to_num(rnn).argmax(-1) == own)
    assert difference == pytest.approx(
        values['submissions']['2']['test']['accuracy'] - right.mean()
    )


def test_without_test_labels_nothing_is_said_of_the_test_part(run, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / 'run')
    clips = outcome.read(folder, 'clips')
    np.savez(outcome.place(folder, 'clips'), **clips | {'truth': clips['label']})
    values = outcome.load(folder).values
    assert all(entry['test'] is None for entry in values['models'].values())
    assert all(entry['test'] is None for entry in values['submissions'].values())
    assert values['fused']['test'] == {} and values['majority']['test'] is None
    json.dumps(values, allow_nan=False)
    text = outcome.text(values)
    assert 'SIMULATED' in text and text.count('\n') >= 15


def test_the_terminal_says_which_accuracies_are_optimistic(run):
    text = ' '.join(outcome.text(outcome.load(run[0]).values).split())
    assert outcome.OPTIMISTIC in text and outcome.SEARCHED in text


def test_predictions_leave_out_who_is_silent(run):
    found = outcome.load(run[0])
    rows = list(csv.DictReader(io.StringIO(outcome.predictions_csv(found))))
    assert {row['model'] for row in rows} == {*outcome.MODELS, 'submission'}
    spoken = [row for row in rows if row['clip_id'] == 'validation/000000090']
    assert {row['model'] for row in spoken} == {'activity', 'audio', 'submission'}
    for row in rows[:50]:
        given = [float(row[f'p_{name}']) for name in found.table.classes]
        assert sum(given) == pytest.approx(1, abs=1e-4)
        assert row['predicted'] == found.table.classes[int(np.argmax(given))]
    assert len([row for row in rows if row['submission'] == '7']) == 120


def test_a_missing_or_damaged_stage_is_named(run, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / 'run')
    path = outcome.place(folder, 'audio')
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r'audio\.npz is damaged'):
        outcome.load(folder)
    path.unlink()
    with pytest.raises(UserError, match=r'audio\.npz is missing'):
        outcome.load(folder)
