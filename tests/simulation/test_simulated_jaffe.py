"""The simulated JAFFE: names, palettes, pictures."""

import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from fer_jax.errors import UserError
from fer_jax.simulation.releases import jaffe


@pytest.mark.parametrize('seed', [0, 1])
def test_the_plan_has_the_published_counts(seed):
    shots = jaffe.plan(None, seed)
    assert len(shots) == 213 and sum(shot.palette for shot in shots) == 23
    assert Counter(shot.emotion for shot in shots) == jaffe.COUNTS
    assert all(re.fullmatch(r'[A-Z]{2}\.[A-Z]{2}\d\.\d+\.tiff', shot.name) for shot in shots)
    assert len({shot.name for shot in shots}) == 213
    takes = Counter((shot.index, shot.emotion) for shot in shots)
    assert len(takes) == 70 and set(takes.values()) == {2, 3, 4}


@pytest.mark.parametrize('subjects', [0, 11])
def test_a_number_out_of_range_is_refused(subjects):
    with pytest.raises(UserError, match=f'--subjects={subjects}: .* 1 to 10'):
        jaffe.plan(subjects, 0)


def test_pictures_are_grey_and_differ(tmp_path):
    shots = [shot for shot in jaffe.plan(1, 0) if shot.take == 1]
    jaffe.write_subject(tmp_path, shots, 0)
    pictures = {}
    for shot in shots:
        with Image.open(tmp_path / shot.name) as image:
            assert image.format == 'TIFF' and image.size == (256, 256)
            assert image.mode == ('P' if shot.palette else 'L')
            pictures[shot.emotion] = np.array(image.convert('L')).astype(int)
    assert len(pictures) == 7
    happy, sad = pictures['happiness'], pictures['sadness']
    assert np.abs(happy - sad).mean() > 2 and happy.std() > 20
