"""Fold files there and back, and every way in which one can be wrong."""

import copy
import dataclasses
import hashlib
import json

import numpy as np
import pytest

from fer_jax.data import fold_file, leaks, protocols
from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError


def clip_set(subject) -> ClipSet:
    """Clips of two classes without pictures worth seeing."""
    n = len(subject)
    return ClipSet(
        name='some',
        classes=('anger', 'fear'),
        simulated=True,
        frames=np.zeros((n, 1, 2, 2, 1), np.uint8),
        length=np.ones(n, np.int32),
        label=(np.arange(n) % 2).astype(np.int32),
        subject=np.array(subject),
        clip_id=np.array([f'c{i:02}' for i in range(n)]),
        split=np.array([''] * n),
    )


@pytest.fixture
def clips():
    """Thirteen clips; the last names no subject."""
    return clip_set([f'S{i % 4}' for i in range(12)] + [''])


@pytest.fixture
def document(clips):
    """Two random folds, as parsed JSON."""
    protocol = protocols.make_protocol(clips, name='random', repeats=2, validation=0.1)
    return json.loads(json.dumps(fold_file.to_json(protocol, clips, ['a stamp'])))


def test_there_and_back(clips, document):
    assert document['stamps'] == ['a stamp']
    assert document['subjects'] == {f'c{i:02}': f'S{i % 4}' for i in range(12)}
    protocol = protocols.make_protocol(clips, name='random', repeats=2, validation=0.1)
    back = fold_file.from_json(document, clips, 'folds.json')
    assert (back.name, back.subject_disjoint, back.repeats) == ('random80+10x2', False, 2)
    for fold, same in zip(protocol.folds, back.folds, strict=True):
        for part in protocols.PARTS:
            np.testing.assert_array_equal(getattr(fold, part), getattr(same, part))
            assert getattr(same, part).dtype.kind == 'i'


def test_what_may_be_left_out(clips, document):
    for key in ('repeats', 'stamps', 'subjects'):
        del document[key]
    del document['folds'][1]
    back = fold_file.from_json(document, clips, 'folds.json')
    assert back.repeats == 1 and len(back.folds) == 1
    unknown = clip_set([''] * 13)
    protocol = protocols.make_protocol(unknown, name='random')
    assert 'subjects' not in fold_file.to_json(protocol, unknown)


def moved(folds, number, source, target, keep=False):
    """The folds with the first clip of a part in another part of a fold as well, or instead."""
    folds = copy.deepcopy(folds)
    clip = folds[number][source][0]
    folds[number][target].append(clip)
    if not keep:
        del folds[number][source][0]
    return folds, clip


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda d: [], "f.json: 'protocol' must be there and a str"),
        (lambda d: d | {'subject_disjoint': 'no'}, "'subject_disjoint' must be there and a bool"),
        (lambda d: d | {'folds': []}, "'folds' must not be empty"),
        (lambda d: d | {'repeats': 'two'}, "'repeats' must be a whole number"),
        (lambda d: d | {'repeats': 0}, "'repeats' must be a whole number"),
        (lambda d: d | {'repeats': 7}, "'repeats' is 7, but there are"),
        (lambda d: d | {'folds': [{'train': []}]}, 'fold 0: needs lists of clip ids under train'),
        (lambda d: d | {'folds': [7]}, 'fold 0: needs lists of clip ids under train'),
        (lambda d: d | {'protocol': 'idstep10'}, 'idstep10 keeps subjects apart, but'),
        (lambda d: d | {'protocol': 'loso'}, 'loso keeps subjects apart, but'),
        (lambda d: d | {'subjects': ['S1']}, "'subjects' must map clip ids to subjects"),
        (
            lambda d: d | {'subjects': {'c01': 'S9', 'c12': 'S1', 'c02': 'S2'}},
            r'other subjects than in some .*: c01 \(there S9, here S1\), c12 \(there S1, here unkn',
        ),
    ],
)
def test_a_document_that_is_none(clips, document, change, message):
    with pytest.raises(UserError, match=message) as caught:
        fold_file.from_json(change(document), clips, 'f.json')
    assert '\n' not in str(caught.value)


def test_clips_that_are_not_where_they_must_be(clips, document):
    folds = document['folds']
    two_parts, clip = moved(folds, 1, 'train', 'test', keep=True)
    twice, _ = moved(folds, 1, 'train', 'train', keep=True)
    missing = copy.deepcopy(folds)
    del missing[0]['test'][0]
    unknown = copy.deepcopy(folds)
    unknown[1]['validation'] += ['S9/1', 'S9/0']
    for wrong, message in (
        (two_parts, f'f.json, fold 1: {clip} under train and under test; a clip may be in one'),
        (twice, f'f.json, fold 1: {clip} more than once under train'),
        (missing, f'f.json, fold 0: {folds[0]["test"][0]} of some in no part of it'),
        (unknown, 'f.json, fold 1: S9/0, S9/1 not in some as it was prepared'),
    ):
        with pytest.raises(UserError, match=message) as caught:
            fold_file.from_json(document | {'folds': wrong}, clips, 'f.json')
        assert '\n' not in str(caught.value)


def test_clips_without_a_label_are_in_no_part_of_a_file(clips):
    hidden = dataclasses.replace(clips, label=np.where(np.arange(13) < 2, -1, clips.label))
    protocol = protocols.make_protocol(hidden, name='random', repeats=2)
    document = json.loads(json.dumps(fold_file.to_json(protocol, hidden)))
    back = fold_file.from_json(document, hidden, 'f.json')
    for fold, same in zip(protocol.folds, back.folds, strict=True):
        np.testing.assert_array_equal(fold.test, same.test)
    document['folds'][0]['train'].append('c00')
    with pytest.raises(UserError, match='^f.json, fold 0: c00 of some without a label; leave'):
        fold_file.from_json(document, hidden, 'f.json')


def test_a_broken_promise_is_refused_with_its_subjects():
    clips = clip_set([f'S{i % 4}' for i in range(12)])
    good = fold_file.to_json(protocols.make_protocol(clips, name='loso'), clips)
    assert leaks.check_folds(fold_file.from_json(good, clips, 'f.json'), clips, 'f.json') == ()
    folds, _ = moved(good['folds'], 2, 'test', 'train')
    leaking = fold_file.from_json(good | {'folds': folds}, clips, 'f.json')
    message = 'f.json, fold 2: declared subject-disjoint, but train and test share S2; move the'
    with pytest.raises(UserError, match=message):
        leaks.check_folds(leaking, clips, 'f.json')


def test_files(clips, document, tmp_path):
    path = tmp_path / 'folds.json'
    with pytest.raises(UserError, match=r'folds\.json: No such file or directory; protocol\.file'):
        fold_file.read(path, clips)
    with pytest.raises(UserError, match='Is a directory'):
        fold_file.digest(tmp_path)
    for content in (b'{"protocol": ', b'\xff\xfe\x00', b''):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r'folds\.json is not JSON \(') as caught:
            fold_file.read(path, clips)
        assert '\n' not in str(caught.value)
    path.write_text(json.dumps(document))
    digest = fold_file.digest(path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert fold_file.read(path, clips, digest).name == 'random80+10x2'
    path.write_text(json.dumps(document | {'stamps': []}))
    with pytest.raises(UserError, match='its content is not that of protocol.sha256'):
        fold_file.read(path, clips, digest)


@pytest.mark.parametrize('seed', range(3))
def test_draws_that_test_no_clip_twice_are_taken_back(clips, seed):
    protocol = protocols.make_protocol(
        clips, name='random', train_fraction=0.95, repeats=2, seed=seed
    )
    back = fold_file.from_json(fold_file.to_json(protocol, clips), clips, 'folds.json')
    assert (back.name, back.repeats) == ('random95x2', 2)
