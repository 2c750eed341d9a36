"""From frames and faces in pixels of the release to what is stored."""

import numpy as np
import pytest

from fer_jax.data import registration
from fer_jax.data.datasets import records


def test_boxes_enclose_the_landmarks(handmade):
    landmarks = np.stack([handmade.posed_face((70, 60), 50, roll) for roll in (0, 20)])
    faces = records.Faces.from_landmarks(landmarks)
    np.testing.assert_allclose(faces.box[:, :2], landmarks.min(1), atol=1e-4)
    np.testing.assert_allclose(faces.box[:, 2:], landmarks.max(1), atol=1e-4)


@pytest.mark.parametrize('colour', [False, True])
@pytest.mark.parametrize('width', [40, 180])
def test_a_clip_is_cut_to_one_window(handmade, colour, width):
    # The large face shrinks to the stored size, the small one is cut as it is.
    landmarks = np.stack(
        [handmade.posed_face((230 + step, 200 - step), width, step) for step in (0, 3, 6)]
    )
    frames = [handmade.drawn_face(points, (420, 480), colour) for points in landmarks]
    frames = [frame if colour else frame[:, :, None] for frame in frames]
    faces = records.Faces.from_landmarks(landmarks)
    record = records.cropped(frames, faces)

    side = np.median((faces.box[:, 2:] - faces.box[:, :2]).max(1))
    size = min(160, round(1.6 * side))
    assert record['frames'].shape == (3, size, size, 3 if colour else 1)
    stored_side = np.median((record['box'][:, 2:] - record['box'][:, :2]).max(1))
    assert stored_side == pytest.approx(size / 1.6, abs=0.5)
    middle = np.median((record['box'][:, :2] + record['box'][:, 2:]) / 2, axis=0)
    assert np.abs(middle - (size - 1) / 2).max() < 1
    for frame, points in zip(record['frames'], record['landmarks'], strict=True):
        for eye in registration.eye_centres(points).round().astype(int):
            assert frame[eye[1], eye[0], 0] == 255  # the disc that is drawn there
    assert record['has_face'].all()


def walk(handmade, frames=24, width=40, grows=0.0):
    """A face that crosses a picture of 640 x 240 in one second, with a detector's jitter."""
    jitter = np.random.default_rng(0).normal(0, 0.6, (frames, 1, 2))
    at = np.linspace(0, 1, frames)
    centres = np.column_stack([60 + 520 * at, 120 + 10 * np.sin(6 * at)])
    landmarks = np.stack(
        [
            handmade.posed_face(centre, width * (1 + grows * t), 0)
            for centre, t in zip(centres, at, strict=True)
        ]
    )
    pictures = [handmade.drawn_face(points, (240, 640))[:, :, None] for points in landmarks]
    return pictures, records.Faces.from_landmarks(landmarks + jitter), landmarks


@pytest.mark.parametrize('width, grows', [(40, 0.0), (150, 0.0), (60, 0.5)])
def test_a_face_that_crosses_the_picture_is_in_every_frame(handmade, width, grows):
    pictures, faces, landmarks = walk(handmade, width=width, grows=grows)
    record = records.cropped(pictures, faces)
    size = record['frames'].shape[1]
    inside = np.clip(record['box'], -0.5, size - 0.5)
    areas = [np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (inside, record['box'])]
    assert (areas[0] >= 0.99 * areas[1]).all()
    for frame, points in zip(record['frames'], record['landmarks'], strict=True):
        for x, y in registration.eye_centres(points).round().astype(int):
            assert frame[y, x, 0] == 255  # the disc that is drawn there
    # `shift` carries the landmarks back to where they lie in the picture.
    scale = np.ptp(landmarks[0, :, 0]) / np.ptp(record['landmarks'][0, :, 0])
    back = (record['landmarks'] + record['shift'][:, None]) * scale
    np.testing.assert_allclose(back - back[:1], faces.landmarks - faces.landmarks[:1], atol=1.5)
    steps = np.abs(np.diff(record['shift'], axis=0))
    assert steps.max() * scale < 2 * 520 / len(pictures)  # it does not leap


def test_the_window_stays_as_long_as_it_holds_the_face(handmade):
    landmarks = np.stack([handmade.posed_face((100 + step, 90), 60, 0) for step in range(12)])
    frames = [handmade.drawn_face(points, (200, 220))[:, :, None] for points in landmarks]
    faces = records.Faces.from_landmarks(landmarks)
    record = records.cropped(frames, faces)
    window = registration.face_window(faces.box, 1.6)
    assert not record['shift'].any()
    expected = [registration.crop(frame, window, window[2]) for frame in frames]
    np.testing.assert_array_equal(record['frames'], expected)


def test_a_mistaken_box_does_not_make_the_window_as_wide(handmade):
    _, faces, _ = walk(handmade)
    faces.box[5] = -100, -100, 700, 700
    windows = registration.following_windows(faces.box, 1.6)
    assert windows[0, 2] <= 1.5 * registration.face_window(faces.box, 1.6)[2] + 1
    known = np.delete(np.arange(len(windows)), range(2, 9))
    assert (windows[known, 0] - 0.5 <= faces.box[known, 0]).all()


def test_frames_without_a_face_are_marked(handmade):
    landmarks = np.stack([handmade.posed_face((75, 60), 50, 0)] * 3)
    landmarks[1] = np.nan
    frames = [np.full((130, 150, 1), 9, np.uint8)] * 3
    record = records.cropped(frames, records.Faces.from_landmarks(landmarks))
    assert record['has_face'].tolist() == [True, False, True]
    assert np.isnan(record['box'][1]).all() and np.isnan(record['landmarks'][1]).all()
    assert np.isfinite(record['box'][[0, 2]]).all()


def test_a_clip_without_a_face_keeps_its_middle():
    frame = np.zeros((100, 140, 1), np.uint8)
    frame[40:60, 60:80] = 200
    nowhere = records.Faces.from_landmarks(np.full((2, 68, 2), np.nan))
    record = records.cropped([frame] * 2, nowhere)
    np.testing.assert_array_equal(record['frames'][0], frame[:, 20:120])
    assert not record['has_face'].any()


@pytest.mark.parametrize('channels', [1, 3])
def test_a_scene_is_grey_and_averages_over_areas(channels):
    frames = np.random.default_rng(0).integers(0, 256, (3, 400, 640, channels)).astype(np.uint8)
    found = records.scene(list(frames))
    assert list(found) == ['frames'] and found['frames'].dtype == np.uint8
    weights = [1.0] if channels == 1 else [0.299, 0.587, 0.114]  # ITU-R BT.601
    expected = (frames @ np.array(weights)).reshape(3, 200, 2, 320, 2, 1).mean((2, 4))
    np.testing.assert_allclose(found['frames'], expected, atol=1.1)  # rounded twice


@pytest.mark.parametrize(
    'size, stored',
    [
        ((576, 720), (256, 320)),
        ((720, 576), (320, 256)),
        ((300, 320), (300, 320)),
        ((322, 200), (320, 199)),
        ((1, 900), (1, 320)),
        ((17, 16), (17, 16)),
    ],
)
def test_a_scene_keeps_its_shape_and_is_never_enlarged(size, stored):
    found = records.scene([np.zeros((*size, 3), np.uint8)] * 2)
    assert found['frames'].shape == (2, *stored, 1)


def test_a_scene_that_changes_its_size_takes_the_first():
    found = records.scene([np.zeros((30, 40, 3), np.uint8), np.full((60, 80, 3), 9, np.uint8)])
    assert found['frames'].shape == (2, 30, 40, 1) and (found['frames'][1] == 9).all()
