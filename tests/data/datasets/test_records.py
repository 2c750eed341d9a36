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
