"""The simulated Oulu-CASIA: structure and pictures."""

import cv2
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.simulation.releases import oulu_casia


def test_the_plan_has_the_published_structure():
    plan = oulu_casia.plan(None, 0)
    assert len(plan) == 480 and len({(s.index, s.emotion) for s in plan}) == 480
    frames = np.array([s.frames for s in plan])
    assert 12 < frames.mean() < 14.5 and frames.min() == 10 and frames.max() <= 20
    assert str(plan[-1].folder) == 'P080/Surprise'
    assert len(oulu_casia.plan(3, 0)) == 18
    assert oulu_casia.plan(3, 0) == plan[:18]


@pytest.mark.parametrize('subjects', [0, 1000])
def test_a_number_out_of_range_is_refused(subjects):
    with pytest.raises(UserError, match=f'--subjects={subjects}: .* 1 to 999'):
        oulu_casia.plan(subjects, 0)


def test_a_sequence_goes_from_rest_to_apex_in_both_folders(tmp_path):
    surprise = [s for s in oulu_casia.plan(1, 4) if s.emotion == 'surprise']
    oulu_casia.write_subject(tmp_path, surprise, 4)
    tops = ('OriginalImg/VL/Strong', 'PreProcess_Img/VL_Acropped/Strong')
    whole, cut = (sorted((tmp_path / top / 'P001/Surprise').iterdir()) for top in tops)
    names = [f'{t:03d}.jpeg' for t in range(surprise[0].frames)]
    assert [path.name for path in whole] == [path.name for path in cut] == names
    assert cv2.imread(str(whole[0])).shape == (240, 320, 3)
    faces = np.stack([cv2.imread(str(path)) for path in cut]).astype(float)
    assert faces.shape[1:] == (oulu_casia.CUT, oulu_casia.CUT, 3)
    assert np.ptp(faces[0], axis=2).mean() > 10, 'in colour'
    early, late = (np.abs(faces[t] - faces[0]).mean() for t in (1, -1))
    assert late > 2 * early, 'the face changes towards the apex'
