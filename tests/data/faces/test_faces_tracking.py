"""The face that is followed, also where the detector does not see it."""

import numpy as np
import pytest

from fer_jax.data.faces import tracking

EVERY = 4


def box(x, y=50, side=40):
    return np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])


class Scene:
    """Faces by frame; the 'pictures' are frame numbers. Counts where the detector looks."""

    def __init__(self, *faces, blind=()):
        self.faces, self.blind, self.looked = faces, blind, []

    def detect(self, frame):
        self.looked.append(frame)
        seen = [face[frame] for face in self.faces if frame in face and frame not in self.blind]
        return np.array(seen).reshape(-1, 4)

    def follow(self, length, tracker=None):
        return tracking.follow(range(length), self.detect, EVERY, tracker)


class Tracker:
    """Sees the box of a moving face whatever the detector says, from frame to frame."""

    def __init__(self, face):
        self.face, self.started = face, None

    def start(self, image, start):
        np.testing.assert_allclose(start, self.face[image])
        self.started = image

    def update(self, image):
        assert abs(image - self.started) == 1  # in steps of one, from where it stands
        self.started = image
        return self.face.get(image)


def test_the_detector_looks_at_every_nth_frame_and_a_line_joins_them():
    face = {t: box(60 + 3 * t) for t in range(11)}
    scene = Scene(face)
    found = scene.follow(11)
    assert scene.looked == [0, 4, 8, 10]
    np.testing.assert_allclose(found, [face[t] for t in range(11)], atol=1e-4)
    assert found.dtype == np.float32


def test_a_still_is_looked_at_once():
    scene = Scene({0: box(30)})
    np.testing.assert_allclose(scene.follow(1), [box(30)])
    assert scene.looked == [0]


def test_a_tracker_carries_the_box_where_a_line_would_not():
    face = {t: box(60 + 12 * (t % 2)) for t in range(9)}  # shakes between detections
    found = Scene(face).follow(9, lambda: Tracker(face))
    np.testing.assert_allclose(found, [face[t] for t in range(9)])
    straight = Scene(face).follow(9)
    np.testing.assert_allclose(straight, [face[0]] * 9)


def test_frames_that_the_detector_misses_are_bridged():
    face = {t: box(60 + t) for t in range(17)}
    scene = Scene(face, blind={7, 8, 9})
    found = scene.follow(17)
    assert set(range(4, 13)) <= set(scene.looked)  # around the miss it looks at each
    np.testing.assert_allclose(found, [face[t] for t in range(17)], atol=1e-4)


def test_no_box_is_far_from_a_detection():
    face = {t: box(60) for t in range(40)}
    known = Scene(face, blind=set(range(9, 32))).follow(40)
    gone = np.flatnonzero(np.isnan(known[:, 0]))
    np.testing.assert_array_equal(gone, np.arange(8 + EVERY + 1, 32 - EVERY))
    tracked = Scene(face, blind=set(range(9, 32))).follow(40, lambda: Tracker(face))
    np.testing.assert_array_equal(np.isnan(tracked[:, 0]), np.isnan(known[:, 0]))


@pytest.mark.parametrize('tracked', [False, True])
def test_a_face_that_leaves_and_one_that_comes(tracked):
    leaves = {t: box(100) for t in range(6)}
    scene = Scene(leaves)
    found = scene.follow(13, (lambda: Tracker(leaves)) if tracked else None)
    assert np.isfinite(found[:6]).all() and np.isnan(found[6:]).all()
    comes = {t: box(100) for t in range(7, 13)}
    found = Scene(comes).follow(13, (lambda: Tracker(comes)) if tracked else None)
    assert np.isnan(found[:7]).all() and np.isfinite(found[7:]).all()


def test_a_tracker_bridges_both_ends():
    face = {t: box(100 + t) for t in range(13)}
    found = Scene(face, blind={0, 1, 11, 12}).follow(13, lambda: Tracker(face))
    np.testing.assert_allclose(found, [face[t] for t in range(13)])
    without = Scene(face, blind={0, 1, 11, 12}).follow(13)
    assert np.isnan(without[[0, 1, 11, 12]]).all() and np.isfinite(without[2:11]).all()


def test_no_face_at_all_is_looked_for_everywhere():
    scene = Scene()
    assert np.isnan(scene.follow(9)).all()
    assert sorted(scene.looked) == list(range(9))


def test_of_two_faces_the_larger_is_followed_throughout():
    small = {t: box(40, side=30) for t in range(13)}
    large = {t: box(140 - t, side=60) for t in range(13)}
    for order in ((small, large), (large, small)):
        found = Scene(*order).follow(13)
        np.testing.assert_allclose(found, [large[t] for t in range(13)], atol=1e-4)


def test_a_large_face_that_passes_by_is_not_taken_for_the_clips():
    stays = {t: box(40, side=40) for t in range(41)}
    passes = {t: box(140, side=100) for t in range(18, 26)}
    found = Scene(passes, stays).follow(41)
    np.testing.assert_allclose(found, [stays[t] for t in range(41)], atol=1e-4)


def test_looking_closer_does_not_change_who_is_followed():
    """The detector looks at each frame where the followed face is missing, and sees the other."""
    longer = {t: box(40) for t in (*range(15), *range(26, 41))}
    other = {t: box(140) for t in range(14, 27)}
    found = Scene(longer, other).follow(41)
    here = np.isfinite(found[:, 0])
    assert here[[*range(15), *range(26, 41)]].all() and not here[19:22].any()
    np.testing.assert_allclose(found[here], np.tile(box(40), (here.sum(), 1)), atol=1e-4)


def test_overlap_is_that_of_areas():
    assert tracking.overlap(box(0), box(0)) == 1
    assert tracking.overlap(box(0), box(20)) == pytest.approx(1 / 3)
    assert tracking.overlap(box(0), box(50)) == 0
    assert tracking.overlap(box(0, side=40), box(0, side=20)) == pytest.approx(1 / 4)
