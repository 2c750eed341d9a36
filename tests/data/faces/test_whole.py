"""Landmarks of pictures that are all face: where they lie, and in which pictures there are none."""

import numpy as np
import pytest

from fer_jax import simulation
from fer_jax.data import preparation, prepared
from fer_jax.data.datasets import records
from fer_jax.data.faces import whole


class Brightest:
    """Says that all five points lie at the brightest pixel of an enlarged picture."""

    identity, package, PARALLEL = {}, '', True

    def find(self, frames):
        (frame,) = frames
        y, x = np.unravel_index(frame[..., 0].argmax(), frame.shape[:2])
        points = np.full((1, 5, 2), (x, y), np.float32)
        return records.Faces(np.zeros((1, 4), np.float32), points)


def test_points_lie_in_pixels_of_the_picture():
    """A blob of 3 x 3 pixels is brightest in its middle, whatever the picture was enlarged by."""
    frames = np.zeros((3, 48, 48, 1), np.uint8)
    for frame, (x, y) in zip(frames, [(10, 20), (30, 7), (24, 24)], strict=True):
        frame[y - 1 : y + 2, x - 1 : x + 2] = 100
        frame[y, x] = 200
    box = np.tile(np.array([-0.5, -0.5, 47.5, 47.5], np.float32), (3, 1))
    box[2] = np.nan  # a black row of FER2013 has no face
    found = whole.with_landmarks(frames, records.Faces(box, np.zeros((3, 68, 2))), Brightest())
    np.testing.assert_array_equal(found.box, box)
    assert found.landmarks.shape == (3, 5, 2) and found.landmarks.dtype == np.float32
    assert np.abs(found.landmarks[:2] - [[[10, 20]], [[30, 7]]]).max() < 0.4
    assert np.isnan(found.landmarks[2]).all()


@pytest.mark.parametrize('name, subjects', [('fer2013', 40), ('tfd', 10)])
def test_a_detector_adds_points_and_moves_nothing(name, subjects, tmp_path):
    release = simulation.write_release(
        name, tmp_path / 'release', subjects=subjects, seed=1, workers=1
    )
    sets = {}
    for faces in ('release', 'yunet'):
        preparation.prepare(name, release, tmp_path / 'data', faces=faces, report=lambda line: None)
        found = prepared.records(name, tmp_path / 'data', faces)
        sets[faces] = {record['clip_id']: record for record in found}
    assert sets['release'].keys() == sets['yunet'].keys()
    points = []
    for key, record in sets['yunet'].items():
        before = sets['release'][key]
        assert 'landmarks' not in before
        for field in ('frames', 'box', 'has_face', 'shift'):
            np.testing.assert_array_equal(record[field], before[field])
        points.append(record['landmarks'][0])
    points = np.stack(points)
    known = points[np.isfinite(points).all((1, 2))]
    assert len(known) > 0.8 * len(points)
    left, right, nose, *mouth = np.median(known, axis=0)
    assert 5 < right[0] - left[0] < 40 and abs(right[1] - left[1]) < 3
    assert left[1] < nose[1] < mouth[0][1] < 48 and mouth[0][0] < nose[0] < mouth[1][0]
