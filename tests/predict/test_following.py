"""People followed through drawn films, and what lies between two looks."""

import copy

import numpy as np
import pytest

from fer_jax.predict import following, tracking
from fer_jax.predict.detection import FaceFinder, Faces
from fer_jax.predict.films import OK, UNREADABLE, Frame
from fer_jax.predict.tracking import Tracker


@pytest.fixture(scope='module')
def finder():
    return FaceFinder()


def as_frames(images, fps=25):
    return [
        Frame(k, k / fps, UNREADABLE if image is None else OK, image)
        for k, image in enumerate(images)
    ]


def followed(images, finder, fps=25, every=following.EVERY):
    """The faces of each frame, [{track: Seen}]."""
    spans = following.follow(as_frames(images, fps), finder.find, Tracker(), every=every)
    return [{face.track: face for face in faces} for span in spans for _, faces in span]


def centre(face):
    return (face.box[:2] + face.box[2:]) / 2


@pytest.mark.parametrize('who', [(0, 1), (1, 0), (0, 2), (2, 1)])
def test_two_people_who_cross_keep_their_numbers(people, scene, finder, who):
    one, other = (people[k] for k in who)
    images = []
    for k in range(60):
        x = round(-10 + 330 * k / 59)
        # The one who goes to the right passes before the other.
        images.append(scene((other[k // 20], 310 - x, 20), (one[k // 20], x, 40)))
    seen = followed(images, finder)
    assert sorted({track for faces in seen for track in faces}) == [1, 2]
    assert centre(seen[0][1])[0] < centre(seen[0][2])[0]
    assert centre(seen[-1][1])[0] > centre(seen[-1][2])[0]
    # In front nobody is ever lost, behind only while hidden.
    assert all(1 in faces for faces in seen)
    assert sum(2 in faces for faces in seen) > 40


def test_who_leaves_for_a_second_keeps_the_number(people, scene, finder):
    images = []
    for k in range(75):
        away = 25 <= k < 50
        parts = [(people[2][0], 300, 40)]
        if not away:
            parts.append((people[0][k // 25], 30, 40))
        images.append(scene(*parts))
    seen = followed(images, finder)
    assert set(seen[0]) == {1, 2} and set(seen[30]) == {2} and set(seen[-1]) == {1, 2}
    assert {track for faces in seen for track in faces} == {1, 2}


def test_another_person_at_the_same_place_is_another_person(people, scene, finder):
    images = [scene((people[0][0], 60, 40))] * 20
    images += [scene()] * 10
    images += [scene((people[2][0], 60, 40))] * 20
    seen = followed(images, finder)
    assert set(seen[0]) == {1} and not seen[25] and set(seen[-1]) == {2}


def test_who_was_away_too_long_is_a_new_person(people, scene, finder):
    shown, empty = scene((people[0][0], 60, 40)), scene()
    images = [shown] * 5 + [empty] * 14 + [shown] * 5
    assert set(followed(images, finder, fps=5)[-1]) == {2}


def test_between_two_looks_nothing_is_looked_at_and_the_line_is_drawn(people, scene, finder):
    images = [scene((people[0][0], 20 + 4 * k, 30)) for k in range(25)]
    looks = []

    class Counting:
        def find(self, image):
            looks.append(1)
            return finder.find(image)

    seen = followed(images, Counting())
    every = followed(images, finder, every=0.0)
    assert len(looks) <= 10
    for between, looked in zip(seen, every, strict=True):
        assert np.abs(between[1].box - looked[1].box).max() < 6
        assert np.abs(between[1].points - looked[1].points).max() < 4


def test_first_and_last_frames_of_a_visit_are_not_lost(people, scene, finder):
    shown, empty = scene((people[0][0], 60, 40)), scene()
    images = [empty] * 7 + [shown] * 11 + [empty] * 7
    seen = followed(images, finder, every=0.2)
    assert [k for k, faces in enumerate(seen) if faces] == list(range(7, 18))


def test_unreadable_frames_keep_their_rows_and_break_nothing(people, scene, finder):
    shown = scene((people[0][0], 60, 40))
    images = [shown] * 6 + [None] * 30 + [shown] * 6 + [None]
    seen = followed(images, finder)
    assert len(seen) == len(images)
    assert [bool(faces) for faces in seen] == [image is not None for image in images]
    assert {track for faces in seen for track in faces} == {1}


def test_a_film_may_begin_with_unreadable_frames_and_nobody(people, scene, finder):
    shown, empty = scene((people[0][0], 60, 40)), scene()
    seen = followed([None, None, empty, shown, shown], finder)
    assert [sorted(faces) for faces in seen] == [[], [], [], [1], [1]]


def test_spans_do_not_depend_on_where_they_are_gone_on_from(people, scene, finder):
    images = [scene((people[0][k // 10], 20 + 3 * k, 30)) for k in range(40)]
    images[17:29] = [scene()] * 12
    frames = as_frames(images)
    tracker = Tracker()
    whole, states = [], []
    for span in following.follow(frames, finder.find, tracker):
        whole.append(span)
        states.append((tracker.state(), span[-1]))
    for k in (0, 4, 6, 9):
        state, (last, faces) = copy.deepcopy(states[k])
        again = following.follow(
            frames[last.index + 1 :], finder.find, Tracker.restored(state), (last.time, faces)
        )
        for one, other in zip(again, whole[k + 1 :], strict=True):
            for (frame, mine), (same, theirs) in zip(one, other, strict=True):
                assert frame is same
                assert [face.track for face in mine] == [face.track for face in theirs]
                assert all(
                    (a.box == b.box).all() and (a.points == b.points).all() and a.score == b.score
                    for a, b in zip(mine, theirs, strict=True)
                )


def test_a_weak_face_continues_a_person_and_begins_none(people, scene):
    image = scene((people[0][0], 60, 40))
    box = np.array([[100.0, 60, 160, 140]])

    def face(score):
        return Faces(box, np.zeros((1, 5, 2)), np.array([score]))

    tracker = Tracker()
    assert tracker.update(0.0, face(0.7), image) == {}
    assert tracker.update(0.1, face(0.9), image) == {1: 0}
    assert tracker.update(0.2, face(0.7), image) == {1: 0}


def test_a_person_keeps_the_number_where_a_film_is_seldom_looked_at(people, scene):
    image = scene((people[0][0], 60, 40))
    face = Faces(np.array([[100.0, 60, 160, 140]]), np.zeros((1, 5, 2)), np.array([0.9]))
    seldom, often = Tracker(4.0), Tracker(0.04)
    assert [seldom.update(time, face, image) for time in (0.0, 4.0, 8.0)] == [{1: 0}] * 3
    assert Tracker.restored(seldom.state(), 4.0).update(12.0, face, image) == {1: 0}
    assert [often.update(time, face, image) for time in (0.0, 4.0)] == [{1: 0}, {2: 0}]


def test_looks_differ_between_people_more_than_within_one(people, scene, finder):
    looks = []
    for person in people:
        own = []
        for picture, x in zip(person, (10, 60, 200, 300), strict=True):
            image = scene((picture, x, 30))
            own.append(tracking.describe(image, finder.find(image).box[0]))
        looks.append(own)
    within = [tracking.difference(own[0], other) for own in looks for other in own[1:]]
    between = [
        tracking.difference(looks[i][k], looks[j][k])
        for i, j in ((0, 1), (0, 2), (1, 2))
        for k in range(4)
    ]
    assert max(within) < min(between)
    # A darker picture of the same person is still the same person.
    image = scene((people[0][0], 60, 30))
    box = finder.find(image).box[0]
    darker = (image * 0.8).astype(np.uint8)
    dimmed = tracking.difference(tracking.describe(image, box), tracking.describe(darker, box))
    assert dimmed < min(between)


GREY = np.full((200, 800, 3), 128, np.uint8)


def face_at(x, side=80):
    """A face whose middle is x pixels from the left and 100 from the top."""
    box = np.array([[x - side / 2, 100 - side / 2, x + side / 2, 100 + side / 2]])
    return Faces(box, np.zeros((1, 5, 2)), np.array([0.9]))


@pytest.mark.parametrize('speed, track', [(300, 1), (0, 2)])
def test_who_was_hidden_is_expected_where_the_way_leads(speed, track):
    tracker = Tracker()
    for time in np.arange(11) / 10:
        assert tracker.update(time, face_at(100 + speed * (time - 1)), GREY) == {1: 0}
    # 0.6 s later at a place that only a runner can have reached.
    assert tracker.update(1.6, face_at(280), GREY) == {track: 0}


@pytest.mark.parametrize('side, track', [(112, 1), (160, 2)])
def test_a_face_of_another_size_is_another_person(side, track):
    tracker = Tracker()
    assert tracker.update(0.0, face_at(300), GREY) == {1: 0}
    assert tracker.update(0.1, face_at(300, side), GREY) == {track: 0}


def test_looks_may_change_slowly_but_not_at_once():
    tracker, red = Tracker(), np.array([1.5, 0, 0])
    for k in range(41):
        assert tracker.update(k / 25, face_at(300), (GREY + k * red).astype(np.uint8)) == {1: 0}
    assert tracker.update(1.68, face_at(300), GREY) == {2: 0}


def test_looks_do_not_differ_by_lightness():
    looks = np.random.default_rng(0).normal(size=(30, 3))
    assert tracking.difference(looks, looks + (0.5, 0, 0)) == pytest.approx(0)
    assert tracking.difference(looks, looks + (0, 0.5, 0)) > 0.2


def test_a_face_at_the_border_is_described_by_what_is_seen():
    image = np.full((100, 100, 3), 200, np.uint8)
    looks = tracking.describe(image, np.array([-60.0, 20, 20, 100]))
    assert np.isnan(looks[:, 0]).any() and np.isfinite(looks[:, 0]).any()
    outside = tracking.describe(image, np.array([-300.0, 20, -220, 100]))
    assert np.isnan(outside).all()
    assert tracking.difference(looks, outside) > 0


@pytest.mark.parametrize('size', [(20, 480), (480, 20), (5, 5), (32, 300), (33, 300), (1, 1)])
def test_narrow_pictures_have_no_faces_out_of_nowhere(finder, size):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    for _ in range(4):
        assert len(finder.find(image)) == 0
