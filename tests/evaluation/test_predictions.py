"""The predictions table on disk."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fer_jax import atomic
from fer_jax.errors import UserError
from fer_jax.evaluation import predictions as file
from fer_jax.evaluation import rules, table


def test_what_is_saved_is_loaded(predictions, tmp_path):
    predictions.save(tmp_path / 'probabilities.npz')
    loaded = file.load(tmp_path / 'probabilities.npz')
    assert loaded.classes == predictions.classes
    for name in set(predictions.__dataclass_fields__) - {'classes'}:
        saved, read = getattr(predictions, name), getattr(loaded, name)
        assert read.dtype == saved.dtype
        np.testing.assert_array_equal(read, saved, err_msg=name)
    assert [path.name for path in tmp_path.iterdir()] == ['probabilities.npz']


def test_a_file_that_is_cut_off_is_an_error_that_names_it(predictions, tmp_path):
    path = tmp_path / 'probabilities.npz'
    predictions.save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match=r'probabilities\.npz is damaged'):
        file.load(path)


def test_a_missing_file_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match='is missing: delete it and DONE'):
        file.load(tmp_path / 'probabilities.npz')


@pytest.mark.parametrize(
    'field, value, message',
    [
        ('part', np.zeros((10, 3), np.int8), 'part has shape'),
        ('label', np.zeros(5, np.int32), 'label has shape'),
        ('classes', ('anger',), '1 class names for 7'),
        ('epochs', np.full(10, 13, np.int32), 'epochs run must lie in'),
        ('probabilities', np.zeros((10, 12, 327), np.float16), 'probabilities must be'),
    ],
)
def test_shapes_that_disagree_are_refused(predictions, field, value, message):
    with pytest.raises(ValueError, match=message):
        file.Predictions(**{**predictions.__dict__, field: value})


def test_rows_are_each_members_own_clips_at_its_own_epoch(predictions):
    epoch = np.arange(predictions.members) % 12
    rows = predictions.at(epoch)
    assert len(rows.clip) == len(np.unique(rows.clip)) == 327
    for row in (0, 100, 326):
        member, clip = rows.member[row], rows.clip[row]
        saved = predictions.probabilities[member, epoch[member], clip]
        np.testing.assert_array_equal(rows.probabilities[row], saved.astype(np.float32))
        assert rows.predicted[row] == saved.argmax()
        assert predictions.part[member, clip] == file.TEST


def test_rows_without_numbers_are_an_error(make_predictions):
    predictions = make_predictions(folds=3)
    predictions.probabilities[2, 5] = np.nan
    with pytest.raises(UserError, match='member 2 .* epoch 6: its training diverged'):
        predictions.at(np.full(3, 5))


def test_predictions_csv_has_every_clip_of_every_rule(predictions, tmp_path):
    chosen = rules.choose(predictions)
    file.write_csv(tmp_path / 'predictions.csv', predictions, chosen)
    with (tmp_path / 'predictions.csv').open(newline='') as text:
        rows = list(csv.DictReader(text))
    assert list(rows[0]) == [
        'member', 'fold', 'seed', 'rule', 'part', 'clip_id', 'subject', 'label', 'predicted',
        *(f'p_{name}' for name in predictions.classes),
    ]  # fmt: skip
    assert len(rows) == 4 * 2 * 327  # rules, parts, clips
    for row in rows[::97]:
        shares = {name: float(row[f'p_{name}']) for name in predictions.classes}
        assert row['predicted'] == max(shares, key=shares.get)
        assert sum(shares.values()) == pytest.approx(1, abs=4e-3)  # float16
        clip = predictions.clip_id.tolist().index(row['clip_id'])
        assert row['label'] == predictions.classes[predictions.label[clip]]
        assert row['subject'] == predictions.subject[clip]


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / 'results.json'
    atomic.write_json(path, {'a': 1})
    with pytest.raises(ValueError, match='JSON'):
        atomic.write_json(path, {'a': float('nan')})

    def fail_midway():
        with atomic.replacing(path) as temporary:
            temporary.write_text('half')
            raise RuntimeError('disk full')

    with pytest.raises(RuntimeError, match='disk full'):
        fail_midway()
    assert path.read_text() == '{\n "a": 1\n}\n'
    assert [entry.name for entry in tmp_path.iterdir()] == ['results.json']


def test_a_cell_that_a_spreadsheet_would_run_is_text(make_predictions, tmp_path):
    predictions = make_predictions(folds=2, epochs=2)
    names = predictions.clip_id.astype(object)
    names[:3] = ['=1+1', '@sum', '+a']
    odd = dataclasses.replace(predictions, clip_id=names.astype(str))
    file.write_csv(tmp_path / 'p.csv', odd, {'last': odd.epochs - 1})
    with (tmp_path / 'p.csv').open(newline='') as opened:
        kept = {row['clip_id'] for row in csv.DictReader(opened)}
    assert {"'=1+1", "'@sum", "'+a"} <= kept and '=1+1' not in kept
    said = table.csv_text(['a'], [['-x', '-0.5', '=y', 'z', -0.25]], ())
    assert said.splitlines() == ['a', "'-x", '-0.5', "'=y", 'z', '-0.25']


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_in_a_file_of_arrays_is_not_run(predictions, tmp_path):
    fields = {name: getattr(predictions, name) for name in predictions.__dataclass_fields__}
    fields['label'] = np.array([Trap(tmp_path / 'run')], object)
    np.savez(tmp_path / 'p.npz', **fields)
    with pytest.raises(UserError, match='p.npz is damaged'):
        file.load(tmp_path / 'p.npz')
    assert not (tmp_path / 'run').exists()
