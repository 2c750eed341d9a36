"""Own landmarks: frames without a face, and corrected files."""

import numpy as np
import pytest

from fer_jax.data import preparation, prepared
from fer_jax.errors import UserError
from tests.data.datasets.test_own import film, manifest, picture, quiet


@pytest.mark.parametrize('count', [5, 68])
def test_a_frame_whose_landmarks_lie_in_one_place_has_no_face(tmp_path, count):
    film(tmp_path / 'a.avi', 3)
    picture(tmp_path / 'b.png', shape=(48, 64))
    points = np.random.default_rng(0).uniform(10, 40, (3, count, 2))
    points[1] = 0
    np.save(tmp_path / 'a.npy', points)
    np.save(tmp_path / 'b.npy', np.zeros((1, count, 2)))
    path = manifest(tmp_path, 'path,label,landmarks\na.avi,x,a.npy\nb.png,y,b.npy\n')
    found = preparation.prepare('own:x', path, tmp_path / 'out', faces='release', report=quiet)
    assert found['landmarked'] == 2 and found['faceless'] == ['b.png']
    moving, still = prepared.records('own:x', tmp_path / 'out', 'release')
    if moving['clip_id'] == 'b.png':
        moving, still = still, moving
    assert moving['has_face'].tolist() == [True, False, True]
    assert np.isnan(moving['landmarks'][1]).all() and np.isnan(still['landmarks']).all()
    assert still['frames'].shape[1:3] == (48, 48)  # the central square


def test_corrected_landmarks_are_no_earlier_preparation(tmp_path):
    picture(tmp_path / 'a.png')
    points = np.array([[[12, 15], [28, 15], [20, 22], [14, 28], [26, 28]]], float)
    np.save(tmp_path / 'a.npy', points)
    path = manifest(tmp_path, 'path,label,landmarks\na.png,x,a.npy\n')
    place = ('own:x', path, tmp_path / 'out')
    preparation.prepare(*place, faces='release', report=quiet)
    preparation.prepare(*place, faces='release', report=quiet)  # the same: nothing to be done
    np.save(tmp_path / 'a.npy', points + 1)
    with pytest.raises(UserError, match='replace it with --overwrite'):
        preparation.prepare(*place, faces='release', report=quiet)
