"""The simulated TFD, FERG-DB and MMI: plans, and what action units do to a drawn character."""

from collections import Counter

import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.simulation.people import cartoon, units
from fer_jax.simulation.releases import ferg, mmi, tfd


@pytest.mark.parametrize('seed', [0, 1])
def test_tfd_people_stand_in_one_part_of_each_fold(seed):
    people = tfd.plan(None, seed)
    sizes = np.array([len(person.labels) for person in people])
    assert len(people) == tfd.PEOPLE and sizes.sum() == tfd.LABELLED == 4178
    assert Counter(label for person in people for label in person.labels) == dict(
        enumerate(tfd.COUNTS)
    )
    parts = np.array([person.parts for person in people])
    for fold in range(tfd.FOLDS):
        shares = [sizes[parts[:, fold] == code].sum() / sizes.sum() for code in (1, 2, 3)]
        np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.002)
    assert len({tuple(parts[:, fold]) for fold in range(tfd.FOLDS)}) == 5


def test_ferg_pieces_cover_every_picture_once():
    paths = [path for piece in ferg.plan(None, 0) for path in piece.paths]
    assert len(paths) == len(set(paths)) == 55767
    assert str(paths[0]) == 'FERG_DB_256/aia/aia_anger/aia_anger_1.png'
    assert {path.parts[1] for path in paths} == set(cartoon.CHARACTERS)
    few = [path for piece in ferg.plan(2, 0) for path in piece.paths]
    assert len(few) == 2 * 7 * ferg.FEW and {path.parts[1] for path in few} == {'aia', 'bonnie'}


def test_mmi_everybody_shows_each_emotion_once():
    plan = mmi.plan(None, 0)
    assert len(plan) == 2900 and [session.number for session in plan] == list(range(1, 2901))
    assert len({session.name for session in plan}) == 2900
    shown = Counter((session.index, session.emotion) for session in plan if session.emotion)
    assert len(shown) == 75 * 6 and set(shown.values()) == {1}
    assert {session.media[-4:] for session in plan if not session.emotion} == {'.jpg'}
    takes = [session.take for session in plan if session.index == 0]
    assert takes == list(range(1, 40))


@pytest.mark.parametrize('module, subjects', [(tfd, 9), (tfd, 901), (ferg, 0), (ferg, 7), (mmi, 0)])
def test_a_number_out_of_range_is_refused(module, subjects):
    with pytest.raises(UserError, match=f'--subjects={subjects}: '):
        module.plan(subjects, 0)


@pytest.mark.parametrize('name', cartoon.CHARACTERS)
def test_a_character_moves_where_its_muscles_are(name):
    character = cartoon.CHARACTERS[name]
    rest = cartoon.draw(character, units.intensities({}), cartoon.View()).astype(int)
    assert rest.shape == (256, 256, 3) and rest.std() > 30

    def changed(actions):
        drawn = cartoon.draw(character, units.intensities(actions), cartoon.View())
        return np.abs(drawn - rest).max(2) > 30

    brows = changed({1: 0.8, 2: 0.8})
    assert brows[:130].sum() > 100 and not brows[185:].any()
    mouth = changed({12: 0.9, 25: 0.8})
    assert mouth[170:].sum() > 100 and mouth[:110].sum() == 0
    shut = changed({45: 1.0})
    assert shut[110:160].sum() > 200 and not shut[190:].any()
