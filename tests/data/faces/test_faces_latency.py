"""The time that a live camera waits for a face."""

import cv2
import numpy as np
import pytest

from fer_jax.data.faces import latency
from fer_jax.errors import UserError
from fer_jax.simulation.people import face, identity, movie, units
from fer_jax.simulation.people.pose import Pose


def test_stages_of_a_film_with_a_face(tmp_path):
    actor = face.prepare(identity.sample(np.random.default_rng(1)), 55, 320, 240, 1)
    picture = face.render(actor, units.intensities({}), Pose(x=160, y=105, scale=55), noise_seed=0)
    film = tmp_path / 'face.avi'
    movie.write_movie(film, [np.repeat(picture.image, 3, axis=2)] * 4, 25)
    found = latency.measure(film, 'haar', size=32, channels=1, margin=1.0)
    assert set(found) == {'find', 'cut'}
    # Looking for a face in a whole picture takes longer than cutting one out.
    assert 0 < found['cut'] < found['find'] < 10


def test_a_film_without_a_face_is_the_user_s(tmp_path):
    film = tmp_path / 'empty.avi'
    blur = cv2.GaussianBlur(np.random.default_rng(0).random((96, 96, 3)) * 255, (0, 0), 20)
    movie.write_movie(film, [blur.astype(np.uint8)] * 3, 25)
    with pytest.raises(UserError, match='finds no face in its first 3 frames'):
        latency.measure(film, 'haar', size=32, channels=1, margin=1.0)
