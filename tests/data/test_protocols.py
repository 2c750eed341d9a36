"""Protocols against their published fold sizes, scikit-learn and a plain reading of their rules."""

import itertools
import re

import numpy as np
import pytest
import sklearn.model_selection

from fer_jax.data import leaks, protocols
from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError

# Labelled CK+ sequences of each of the 118 subjects, counted in the public list of ids
# data/txt/CK+_10-fold_sample_IDascendorder_step10.txt of github.com/Open-Debin/Emotion-FAN.
CKPLUS_SEQUENCES = """
5:1 10:3 11:6 14:4 22:3 26:4 28:1 29:1 32:5 34:3 35:3 37:3 42:4 44:3 45:2 46:4 50:4 51:2 52:3 53:2
54:3 55:5 56:3 57:3 58:3 59:2 60:3 61:3 62:4 63:2 64:3 65:4 66:4 67:4 68:4 69:3 70:3 71:5 72:2 73:2
74:4 75:4 76:3 77:2 78:3 79:3 80:3 81:3 82:3 83:1 84:2 85:3 86:2 87:4 88:2 89:3 90:3 91:2 92:3 93:2
94:2 95:4 96:3 97:3 98:2 99:3 100:3 101:1 102:3 105:1 106:3 107:2 108:3 109:3 110:1 111:3 112:1
113:3 114:2 115:3 116:3 117:3 119:3 122:1 124:4 125:5 126:2 127:3 128:2 129:4 130:5 131:4 132:5
133:3 134:3 135:2 136:4 137:3 138:5 139:1 147:1 148:1 149:1 151:1 154:1 155:1 156:1 157:1 158:1
160:1 501:3 502:3 503:3 504:4 505:2 506:4 895:1 999:2
"""


def clip_set(subject, label=None, split=None, classes=7):
    """A ClipSet without pictures worth seeing, in the given order."""
    n = len(subject)
    label = np.arange(n) % classes if label is None else np.asarray(label)
    return ClipSet(
        name='some',
        classes=tuple(f'class{k}' for k in range(classes)),
        simulated=True,
        frames=np.zeros((n, 1, 2, 2, 1), np.uint8),
        length=np.ones(n, np.int32),
        label=label.astype(np.int32),
        subject=np.array(subject),
        clip_id=np.array([f'c{i:04}' for i in range(n)]),
        split=np.array([''] * n if split is None else split),
    )


@pytest.fixture(scope='module')
def ckplus():
    """327 clips with CK+'s subjects, shuffled."""
    pairs = (entry.split(':') for entry in CKPLUS_SEQUENCES.split())
    subject = [f'S{int(number):03}' for number, count in pairs for _ in range(int(count))]
    return clip_set(np.random.default_rng(0).permutation(subject))


@pytest.fixture(scope='module')
def stills():
    """480 clips of 4 subjects, 7 classes of unequal size (as SAVEE has them), no official parts."""
    label = np.repeat(np.arange(7), [60, 60, 60, 60, 60, 60, 120])
    return clip_set(
        np.repeat(['DC', 'JE', 'JK', 'KL'], 120), np.random.default_rng(1).permutation(label)
    )


def test_the_fact_table_is_ckplus():
    counts = [int(entry.split(':')[1]) for entry in CKPLUS_SEQUENCES.split()]
    assert len(counts) == 118 and sum(counts) == 327


def test_idstep10_gives_the_published_fold_sizes(ckplus):
    protocol = protocols.make_protocol(ckplus, name='idstep', k=10)
    assert protocol.name == 'idstep10' and protocol.subject_disjoint
    sizes = [len(fold.test) for fold in protocol.folds]
    assert sizes == [33, 39, 40, 35, 30, 37, 29, 29, 33, 22]
    subjects = sorted(set(ckplus.subject))
    for i, fold in enumerate(protocol.folds):
        assert set(ckplus.subject[fold.test]) == set(subjects[i::10])
        assert set(ckplus.subject[fold.train]) == set(subjects) - set(subjects[i::10])


def test_balanced10_gives_the_sizes_that_haddads_table_4_fits(ckplus):
    protocol = protocols.make_protocol(ckplus, name='balanced', k=10)
    assert protocol.name == 'balanced10' and protocol.subject_disjoint
    assert sorted(len(fold.test) for fold in protocol.folds) == [32] * 3 + [33] * 7


def test_balanced_equals_group_k_fold(ckplus):
    rng = np.random.default_rng(5)
    others = [clip_set([f's{i:02}' for i in rng.geometric(0.1, 200)]) for _ in range(5)]
    for clips in (ckplus, *others):
        for k in (2, 5, 10):
            got = protocols.make_protocol(clips, name='balanced', k=k)
            oracle = sklearn.model_selection.GroupKFold(k)
            expected = oracle.split(clips.label, groups=clips.subject)
            for fold, (train, test) in zip(got.folds, expected, strict=True):
                np.testing.assert_array_equal(fold.train, train)
                np.testing.assert_array_equal(fold.test, test)


def test_loso_judges_each_subject_once(ckplus):
    protocol = protocols.make_protocol(ckplus, name='loso')
    assert protocol.name == 'loso' and len(protocol.folds) == 118
    assert [set(ckplus.subject[fold.test]) for fold in protocol.folds] == [
        {subject} for subject in sorted(set(ckplus.subject))
    ]
    judged = np.concatenate([fold.test for fold in protocol.folds])
    np.testing.assert_array_equal(np.sort(judged), np.arange(327))


def test_subjects_ascend_by_number_and_not_by_letter():
    clips = clip_set(['P10', 'P9', 'P2', 'P1', 'P1'], classes=2)
    protocol = protocols.make_protocol(clips, name='loso')
    assert [clips.subject[fold.test][0] for fold in protocol.folds] == ['P1', 'P2', 'P9', 'P10']


def test_official_parts():
    split = ['train', 'test', 'validation', 'train', 'test']
    protocol = protocols.make_protocol(clip_set([''] * 5, split=split), name='official')
    (fold,) = protocol.folds
    assert not protocol.subject_disjoint
    assert [fold.train.tolist(), fold.validation.tolist(), fold.test.tolist()] == [
        [0, 3],
        [2],
        [1, 4],
    ]


def test_without_an_official_test_part_the_validation_part_judges():
    clips = clip_set(
        [''] * 4, [0, 1, 1, 0], ['train', 'train', 'validation', 'validation'], classes=2
    )
    (fold,) = protocols.make_protocol(clips, name='official').folds
    assert [fold.train.tolist(), fold.validation.tolist(), fold.test.tolist()] == [
        [0, 1],
        [],
        [2, 3],
    ]


def test_clips_in_no_official_part_are_refused():
    clips = clip_set([''] * 4, [0, 1, 1, 0], ['train', 'train', 'test', ''], classes=2)
    with pytest.raises(UserError, match='no official training and test parts for all clips'):
        protocols.make_protocol(clips, name='official')


@pytest.mark.parametrize(
    'name, options',
    [('official', {}), ('random', {'validation': 0.1}), ('idstep', {'k': 2, 'validation': 0.3})],
)
def test_clips_without_a_label_are_in_no_part(name, options):
    subject = [f'S{i}' for i in np.arange(40) % 8]
    label = np.arange(40) % 2
    split = np.repeat(['train', 'validation', 'test'], [20, 10, 10])
    hidden = split == 'test'
    clips = clip_set(subject, np.where(hidden, -1, label), split, classes=2)
    known = clip_set(subject[:30], label[:30], split[:30], classes=2)
    found = protocols.make_protocol(clips, name=name, **options)
    for fold, same in zip(
        found.folds, protocols.make_protocol(known, name=name, **options).folds, strict=True
    ):
        for part in protocols.PARTS:
            np.testing.assert_array_equal(getattr(fold, part), getattr(same, part))
    # Wherever they stand, folds have the indices of the others.
    turned = clips.take(np.arange(40)[::-1])
    for fold in protocols.make_protocol(turned, name=name, **options).folds:
        used = np.concatenate([getattr(fold, part) for part in protocols.PARTS])
        np.testing.assert_array_equal(np.sort(used), np.arange(10, 40))


def test_official_without_a_validation_part_can_hold_out_clips():
    clips = clip_set([''] * 100, np.arange(100) % 2, ['train'] * 80 + ['test'] * 20, classes=2)
    (fold,) = protocols.make_protocol(clips, name='official', validation=0.1).folds
    assert len(fold.train) == 72 and len(fold.validation) == 8 and len(fold.test) == 20
    assert fold.validation.max() < 80
    np.testing.assert_array_equal(np.bincount(clips.label[fold.validation]), [4, 4])


def test_random_keeps_the_class_proportions(stills):
    protocol = protocols.make_protocol(
        stills, name='random', repeats=5, train_fraction=0.7, validation=0.1
    )
    assert (
        protocol.name == 'random70+10x5' and protocol.repeats == 5 and not protocol.subject_disjoint
    )
    for fold in protocol.folds:
        for part, fraction in (('train', 0.7), ('validation', 0.1), ('test', 0.2)):
            counts = np.bincount(stills.label[getattr(fold, part)])
            np.testing.assert_array_equal(counts, np.rint(fraction * np.bincount(stills.label)))
    tests = {tuple(fold.test) for fold in protocol.folds}
    assert len(tests) == 5
    again = protocols.make_protocol(
        stills, name='random', repeats=5, train_fraction=0.7, validation=0.1
    )
    assert {tuple(fold.test) for fold in again.folds} == tests
    other = protocols.make_protocol(
        stills, name='random', repeats=5, train_fraction=0.7, validation=0.1, seed=1
    )
    assert tests.isdisjoint({tuple(fold.test) for fold in other.folds})


def test_random_shares_remainders_out_to_the_exact_total():
    label = np.repeat(np.arange(3), [7, 11, 5])
    clips = clip_set([''] * 23, label, classes=3)
    for seed in range(5):
        (fold,) = protocols.make_protocol(clips, name='random', train_fraction=0.7, seed=seed).folds
        counts = np.bincount(label[fold.test], minlength=3)
        assert counts.sum() == 7  # round(0.3 * 23)
        np.testing.assert_array_equal(counts, [2, 3, 2])  # 2.13, 3.35, 1.52


def test_equal_remainders_are_shared_out_by_chance():
    clips = clip_set([''] * 30, np.arange(30) % 3, classes=3)
    most = set()
    for seed in range(20):
        (fold,) = protocols.make_protocol(
            clips, name='random', train_fraction=23 / 30, seed=seed
        ).folds
        counts = np.bincount(clips.label[fold.test])
        assert sorted(counts) == [2, 2, 3]
        most.add(counts.argmax())
    assert most == {0, 1, 2}


def test_equal_test_parts_are_those_that_minaee2019_states():
    jaffe = np.repeat(np.arange(7), [30, 29, 32, 31, 30, 31, 30])
    clips = clip_set([''] * 213, np.random.default_rng(2).permutation(jaffe))
    options = {'train_fraction': 120 / 213, 'validation': 23 / 213, 'equal_test': True}
    for seed in range(3):
        (fold,) = protocols.make_protocol(clips, name='random', seed=seed, **options).folds
        assert [len(fold.train), len(fold.validation), len(fold.test)] == [120, 23, 70]
        np.testing.assert_array_equal(np.bincount(clips.label[fold.test]), [10] * 7)
        assert len({*fold.train, *fold.validation, *fold.test}) == 213
    few = clip_set([''] * 12, [0, 0] + [1] * 10, classes=2)
    with pytest.raises(UserError, match='4 test clips of each class, of which the smallest has 2'):
        protocols.make_protocol(few, name='random', train_fraction=0.34, equal_test=True)


@pytest.mark.parametrize('name', ['idstep', 'balanced', 'loso'])
def test_validation_holds_out_subjects_near_the_class_proportions(ckplus, name):
    options = {'name': name, 'k': 10, 'validation': 0.15}
    protocol = protocols.make_protocol(ckplus, **options)
    assert leaks.check_folds(protocol, ckplus) == ()
    plain = protocols.make_protocol(ckplus, **{**options, 'validation': 0})
    again = protocols.make_protocol(ckplus, **options)
    other = protocols.make_protocol(ckplus, **options, seed=1)
    for fold, whole, same in zip(protocol.folds, plain.folds, again.folds, strict=True):
        np.testing.assert_array_equal(fold.test, whole.test)
        np.testing.assert_array_equal(np.union1d(fold.train, fold.validation), whole.train)
        np.testing.assert_array_equal(fold.validation, same.validation)
        subjects = len(set(ckplus.subject[whole.train]))
        assert len(set(ckplus.subject[fold.validation])) == round(0.15 * subjects)
        counts = np.bincount(ckplus.label[whole.train], minlength=7)
        held_out = np.bincount(ckplus.label[fold.validation], minlength=7)
        assert np.abs(held_out - 0.15 * counts).max() < 3
    pairs = zip(protocol.folds, other.folds, strict=True)
    assert any(a.validation.tolist() != b.validation.tolist() for a, b in pairs)


def test_the_held_out_subjects_are_the_nearest_by_pearsons_statistic():
    """Two of five are so few that all pairs are drawn; classes are of CK+'s unequal sizes."""
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(7), [45, 18, 59, 25, 69, 28, 83])
    clips = clip_set([f'S{i}' for i in rng.integers(6, size=327)], label)
    protocol = protocols.make_protocol(clips, name='loso', validation=0.4)
    for fold in protocol.folds:
        train = np.concatenate([fold.train, fold.validation])
        expected = np.bincount(label[train]) * 2 / 5

        def misfit(subjects, train=train, expected=expected):
            held_out = label[train[np.isin(clips.subject[train], list(subjects))]]
            return ((np.bincount(held_out, minlength=7) - expected) ** 2 / expected).sum()

        pairs = itertools.combinations(sorted(set(clips.subject[train])), 2)
        found = misfit(set(clips.subject[fold.validation]))
        assert found == pytest.approx(min(map(misfit, pairs)))


def test_each_fold_draws_its_own_held_out_subjects():
    """All subjects have the same labels, so that none of the draws is nearer than another."""
    clips = clip_set([f'S{i:02}' for i in np.arange(40) // 2], np.arange(40) % 2, classes=2)
    places = set()
    for fold in protocols.make_protocol(clips, name='loso', validation=0.15).folds:
        train = np.unique(clips.subject[np.concatenate([fold.train, fold.validation])])
        places.add(tuple(np.flatnonzero(np.isin(train, clips.subject[fold.validation]))))
    assert len(places) > 10


@pytest.mark.parametrize(
    'subject, label, options, message',
    [
        (
            ['a', 'b', 'c'],
            [0, 1, 0],
            {'name': 'idstep', 'k': 4},
            '3 subjects, idstep needs at least 4',
        ),
        (['a', 'a'], [0, 1], {'name': 'loso'}, '1 subjects, loso needs at least 2$'),
        (['a', 'b'], [0, 1], {'name': 'balanced', 'k': 1}, 'protocol.k is 1: balanced needs'),
        (['a', 'b'], [1, 1], {'name': 'loso'}, '2 clips of one class cannot train a classifier'),
        (['a', '', 'b'], [0, 1, 1], {'name': 'loso'}, '1 clips name no subject'),
        (['a', 'b'], [0, 1], {'name': 'official'}, 'no official training and test parts'),
        (['a', 'b'], [0, 1], {'name': 'loso', 'validation': 0.5}, 'hold out 1 of 1 training'),
        (['a', 'b'], [0, 1], {'name': 'random', 'repeats': 0}, 'protocol.repeats is 0'),
        (['a', 'b'], [0, 1], {'name': 'random', 'train_fraction': 1.0}, 'which is the rest'),
        (['a', 'b'], [0, 1], {'name': 'random', 'train_fraction': 0.9}, 'a part of 0 of 2 clips'),
    ],
)
def test_mistakes(subject, label, options, message):
    with pytest.raises(UserError, match=message):
        protocols.make_protocol(clip_set(subject, label, classes=2), **options)


def test_official_validation_cannot_be_held_out_twice():
    clips = clip_set([''] * 3, [0, 1, 1], ['train', 'validation', 'test'], classes=2)
    with pytest.raises(UserError, match='official validation part: leave it 0'):
        protocols.make_protocol(clips, name='official', validation=0.1)


def test_names_are_parsed_to_what_gives_them(ckplus):
    for name in ('idstep10', 'balanced3', 'loso', 'random80x5', 'random62.5x2', 'random70+12.5x2'):
        options = protocols.parse_name(name)
        assert protocols.make_protocol(ckplus, **options).name == name
    assert protocols.parse_name('official') == {'name': 'official'}
    for name in ('idstep', 'loso10', 'random80', 'random80+x5', 'random', 'kfold10', ''):
        said = f"unknown protocol '{re.escape(name)}': idstep10, balanced10"
        with pytest.raises(UserError, match=said):
            protocols.parse_name(name)
