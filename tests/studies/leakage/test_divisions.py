"""Each leak really is one, the honest side has none, and the sides are of one size."""

import dataclasses

import numpy as np
import pytest

from fer_jax.data import leaks
from fer_jax.errors import UserError
from fer_jax.studies.leakage import divisions
from fer_jax.studies.leakage.divisions import CLIPS, COPIES, SUBJECTS, UNITS


@pytest.fixture(scope='module', params=[0, 1])
def protocols(request, copies, design):
    return {
        what: divisions.make_protocol(what, copies, design.folds, request.param) for what in UNITS
    }


def shared(fold, of):
    return np.intersect1d(of[fold.train], of[fold.test])


def test_copies_keep_what_the_clip_is(people, copies, design):
    assert len(copies.clips) == design.copies * len(people)
    np.testing.assert_array_equal(copies.clips.frames[copies.original], people.frames)
    np.testing.assert_array_equal(copies.source[copies.original], np.arange(len(people)))
    for field in ('label', 'subject', 'length'):
        np.testing.assert_array_equal(
            getattr(copies.clips, field), getattr(people, field)[copies.source]
        )
    augmented = copies.clips.frames[~copies.original].astype(int)
    originals = people.frames[copies.source[~copies.original]].astype(int)
    assert (np.abs(augmented - originals).mean((1, 2, 3, 4)) > 1).all()


def test_every_copy_is_judged_once(protocols, copies):
    for protocol in protocols.values():
        judged = np.concatenate([fold.test for fold in protocol.folds])
        np.testing.assert_array_equal(np.sort(judged), np.arange(len(copies.source)))


def test_dividing_copies_trains_on_copies_of_what_it_judges(protocols, copies):
    assert all(len(shared(fold, copies.source)) for fold in protocols[COPIES].folds)
    assert divisions.seen(protocols[COPIES], copies)['clip'] > 0.8


def test_dividing_clips_trains_on_people_that_it_judges_and_on_no_copy(protocols, copies):
    for fold in protocols[CLIPS].folds:
        assert not len(shared(fold, copies.source)) and len(shared(fold, copies.subject))
    seen = divisions.seen(protocols[CLIPS], copies)
    assert seen['clip'] == 0 and seen['subject'] > 0.5


def test_dividing_subjects_shares_nothing(protocols, copies):
    for fold in protocols[SUBJECTS].folds:
        assert not len(shared(fold, copies.source)) and not len(shared(fold, copies.subject))
    assert divisions.seen(protocols[SUBJECTS], copies) == {'clip': 0.0, 'subject': 0.0}


@pytest.mark.parametrize('what', [COPIES, CLIPS])
def test_a_run_would_refuse_what_leaks(what, protocols, copies):
    promising = dataclasses.replace(protocols[what], subject_disjoint=True)
    with pytest.raises(UserError, match='train and test share S0'):
        leaks.check_folds(promising, copies.clips)


def test_the_sides_differ_in_nothing_else(protocols, copies):
    for label in range(3):
        counts = [
            [np.sum(copies.clips.label[fold.train] == label) for fold in protocol.folds]
            for protocol in protocols.values()
        ]
        assert np.ptp(counts) <= 9  # a subject's or a clip's copies: 6 of one class, 3


def test_inner_validation_keeps_subjects_apart_and_judges_originals(protocols, copies, design):
    grid = divisions.with_validation(protocols[SUBJECTS], copies, design.inner, 0)
    assert leaks.check_folds(grid, copies.clips) == () and grid.subject_disjoint
    for fold, whole in zip(grid.folds, protocols[SUBJECTS].folds, strict=True):
        assert copies.original[fold.validation].all() and copies.original[fold.test].all()
        assert set(fold.test) == set(whole.test[copies.original[whole.test]])
        held_out = set(copies.subject[fold.validation])
        assert 0 < len(held_out) < len(set(copies.subject[whole.train]))
        left = whole.train[~np.isin(copies.subject[whole.train], list(held_out))]
        assert set(fold.train) == set(left)
