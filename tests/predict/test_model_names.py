"""Names that --model takes: a run, or a model folder that was written from it."""

from types import SimpleNamespace

import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.experiment.predictor import Predictor
from fer_jax.export import folder as exported
from fer_jax.predict import models, networks


def test_a_run_and_its_folder_cut_faces_alike_and_say_the_same(plain_run, plain_stripes, tmp_path):
    predictor = Predictor.open(plain_run)
    exported.write(predictor, tmp_path / 'model', '')
    run, folder = (networks.open_model(str(path)) for path in (plain_run, tmp_path / 'model'))
    assert run.geometry == folder.geometry and run.geometry.size == 24
    assert run.framing == folder.framing == models.FER2013 and not folder.stored
    assert run.seconds == folder.seconds == 0 and run.threshold == folder.threshold
    assert run.digest != folder.digest  # kernels have two bytes
    rng = np.random.default_rng(0)
    clips = np.stack([predictor.framed(plain_stripes(k, rng)) for k in range(7)])[:, None]
    one, other = (each.probabilities(clips, np.ones(7, np.int32)) for each in (run, folder))
    np.testing.assert_allclose(one, other, atol=5e-3)
    alone = networks.open_model(str(tmp_path / 'model'), member=1)
    assert np.abs(alone.probabilities(clips, np.ones(7, np.int32)) - other).max() > 1e-3
    (tmp_path / 'model' / 'model.safetensors').write_bytes(b'')
    with pytest.raises(UserError, match='damaged or another one'):
        networks.open_model(str(tmp_path / 'model'))


@pytest.mark.parametrize(
    'name, faces, framing',
    [
        ('own:clinic', '', models.YUNET),
        ('own:clinic', 'yunet', models.YUNET),
        ('own:clinic', 'haar', models.LANDMARKS),
        ('ravdess', '', models.YUNET),
        ('mmi', '', models.YUNET),
        ('ckplus', '', models.LANDMARKS),
        ('fer2013+tfd', '', models.FER2013),
        ('of another installation', '', models.LANDMARKS),
    ],
)
def test_faces_are_cut_as_the_dataset_finds_them_by_default(name, faces, framing):
    clips = SimpleNamespace(name=name, faces=faces)
    assert networks.framing_of(clips) == framing
