"""Table 2's bookkeeping: what is searched where, what is kept, and the challenge's files."""

import zipfile

import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.kahou2015 import submissions
from fer_jax.kahou2015.decision_fusion import combine, right, search, spreads
from fer_jax.kahou2015.fusion_training import RECIPES
from fer_jax.kahou2015.submissions import SUBMISSIONS, submit, write_predictions

SEARCH = {'seed': 0, 'draws': 60, 'schedule': spreads(stop=0.3)}
EPOCHS = {'rnn': np.array([3, 5]), 'fusion': np.array([40, 20])}
CLASSES = ('anger', 'happiness', 'sadness')


@pytest.fixture
def clips():
    """Labels and partitions of 60 clips, of which the last 12, the test clips, have no label."""
    label = np.random.default_rng(0).integers(0, 3, 60)
    split = np.repeat(['train', 'validation', 'test'], [30, 18, 12])
    return np.where(split == 'test', -1, label), split


def models(seed):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(3), (2, 60))


def test_the_table_of_submissions():
    for number, row in SUBMISSIONS.items():
        assert row.number == number
        # Weights are searched where the models were not trained, but for 7, as the paper says.
        assert not set(row.fit) & set(row.searched)
        assert bool(row.searched) != bool(row.keeps)
        assert row.recipe in RECIPES or row.combines
        if row.keeps:
            kept = SUBMISSIONS[row.keeps]
            assert set(row.fit) == {*kept.fit, *kept.searched} and row.recipe == kept.recipe
    assert list(SUBMISSIONS) == [1, 2, 3, 4, 5, 6, 7]
    assert SUBMISSIONS[7].combines == (3, 6)


def test_what_is_searched_and_what_is_kept(clips):
    label, split = clips
    made = {}
    for number, row in SUBMISSIONS.items():
        given = None if row.combines else models(number)
        epochs = {} if row.combines else EPOCHS
        made[number] = submit(row, given, label, split, epochs=epochs, made=made, **SEARCH)
    for number, part in ((1, 'validation'), (2, 'validation'), (4, 'train'), (5, 'train')):
        there = split == part
        expected = search(models(number)[:, there], label[there], **SEARCH)
        np.testing.assert_array_equal(made[number].weights, expected.weights)
        probabilities = combine(expected.weights, models(number))
        np.testing.assert_array_equal(made[number].probabilities, probabilities)
        found = right(probabilities[there], label[there]).mean()
        assert found == pytest.approx(made[number].search.accuracy)
    for number, kept in ((3, 2), (6, 4)):
        np.testing.assert_array_equal(made[number].weights, made[kept].weights)
        expected = combine(made[kept].weights, models(number))
        np.testing.assert_array_equal(made[number].probabilities, expected)
        assert made[number].search is None
    seventh = made[7]
    assert seventh.search.clips == 48 and seventh.weights.shape == (2, 3)
    both = np.stack([made[3].probabilities, made[6].probabilities])
    expected = search(both[:, :48], label[:48], **SEARCH)
    np.testing.assert_array_equal(seventh.weights, expected.weights)


def test_other_epochs_than_those_kept_are_refused(clips):
    label, split = clips
    made = {2: submit(SUBMISSIONS[2], models(2), label, split, epochs=EPOCHS, made={}, **SEARCH)}
    other = EPOCHS | {'rnn': np.array([3, 6])}
    with pytest.raises(ValueError, match='submission 3 keeps the epochs of 2'):
        submit(SUBMISSIONS[3], models(3), label, split, epochs=other, made=made, **SEARCH)


def test_a_partition_without_clips_is_named(clips):
    label, split = clips
    split = np.where(split == 'validation', 'test', split)
    with pytest.raises(UserError, match="no clip of the partition 'validation'"):
        submit(SUBMISSIONS[1], models(1), label, split, epochs={}, made={}, **SEARCH)


def test_the_challenges_format(tmp_path):
    probabilities = np.array([[0.2, 0.7, 0.1], [np.nan] * 3, [0.1, 0.2, 0.7]])
    path = tmp_path / 'team.zip'
    ids = ['test/000046280', 'test/000046281', 'test/000046282']
    assert write_predictions(path, ids, probabilities, CLASSES, 'anger') == 1
    with zipfile.ZipFile(path) as archive:
        found = {name: archive.read(name).decode() for name in archive.namelist()}
    assert found == {'000046280.txt': 'Happy', '000046281.txt': 'Angry', '000046282.txt': 'Sad'}
    before = path.read_bytes()
    write_predictions(path, ids, probabilities, CLASSES, 'anger')
    assert path.read_bytes() == before
    for change, message in (
        ({'classes': ('anger', 'contempt', 'sadness')}, "no class 'contempt'"),
        ({'clip_id': ['a/1', 'b/1', 'a/2']}, 'two clips are called 1'),
        ({'clip_id': [], 'probabilities': np.zeros((0, 3))}, 'there are no clips'),
    ):
        given = {'clip_id': ids, 'probabilities': probabilities, 'classes': CLASSES,
                 'otherwise': 'anger'}  # fmt: skip
        with pytest.raises(UserError, match=message):
            write_predictions(path, **given | change)
        known = (given | change)['clip_id'], (given | change)['classes']
        assert message in submissions.obstacle(*known)
    assert submissions.obstacle(ids, CLASSES) == ''
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
