"""The detectors on a real film, where one is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data import faces
from fer_jax.data.datasets import video
from fer_jax.data.faces import tracking


@pytest.mark.slow
def test_a_real_face_is_found_in_nearly_all_frames():
    """FER_JAX_REAL_DATA names a folder with .mp4 films of one person each."""
    films = sorted(Path(os.environ.get('FER_JAX_REAL_DATA', '')).glob('*.mp4'))
    if 'FER_JAX_REAL_DATA' not in os.environ or not films:
        pytest.skip('no .mp4 film at hand: FER_JAX_REAL_DATA names their folder')
    for film in films:
        frames = video.read_video(film)
        boxes = {name: faces.make_detector(name).find(frames).box for name in ('dlib', 'haar')}
        for box in boxes.values():
            assert np.isfinite(box).all(1).mean() >= 0.95
        alike = [tracking.overlap(*pair) for pair in zip(*boxes.values(), strict=True)]
        assert np.nanmean(np.array(alike) > 0.5) >= 0.95  # both see the same face
