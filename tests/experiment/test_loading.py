"""The data of a config: simulated and prepared where they are not there yet."""

import dataclasses
import functools
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from fer_jax import simulation
from fer_jax.config import keys, load_config
from fer_jax.data import datasets, preparation, prepared
from fer_jax.errors import UserError
from fer_jax.experiment.clips import ClipSource, Simulated
from fer_jax.experiment.members import Data
from fer_jax.experiment.sections import Sections
from fer_jax.simulation.releases import afew
from tests.data.datasets.test_own import film, quiet


@pytest.fixture
def done(monkeypatch) -> list[str]:
    """Lists what was drawn and prepared, in turn; AFEW's films are laid out only."""
    monkeypatch.setattr(afew, 'plan', functools.partial(afew.plan, rendered=0))
    calls = []
    write, prepare = simulation.write_release, preparation.prepare

    def noted_write(name, *arguments, **options):
        calls.append(f'draw {name}')
        return write(name, *arguments, **options)

    def noted_prepare(name, *arguments, faces, **options):
        calls.append(f'prepare {faces}')
        return prepare(name, *arguments, faces=faces, **options)

    monkeypatch.setattr(simulation, 'write_release', noted_write)
    monkeypatch.setattr(preparation, 'prepare', noted_prepare)
    return calls


def source_of(subjects=6, **more):
    simulated = Simulated(subjects=subjects, seed=1)
    data = keys.EXPERIMENT['data'] | {'name': 'afew', 'frames': 2, 'size': 8}
    return ClipSource(**data, simulated=simulated, **more)


def test_one_release_is_drawn_for_the_faces_and_the_scenes(tmp_path, done, capsys):
    folder = source_of().ensure_prepared(tmp_path)
    assert done == ['draw afew', 'prepare ']
    assert not prepared.location('afew', folder, datasets.SCENE).exists()
    assert source_of(scenes=True).ensure_prepared(tmp_path) == folder
    assert done == ['draw afew', 'prepare ', 'prepare scene']
    source_of(scenes=True).ensure_prepared(tmp_path)
    assert len(done) == 3
    scenes = {clip_id for clip_id, _ in prepared.scenes('afew', data_dir=folder)}
    assert scenes == {record['clip_id'] for record in prepared.records('afew', folder)}
    note = prepared.describe('afew', folder, datasets.SCENE)['simulated']
    assert note == prepared.describe('afew', folder)['simulated'] and note['seed'] == 1
    assert 'drawing a simulated afew of 6 people' in capsys.readouterr().out


def test_runs_that_begin_together_draw_their_data_once(tmp_path, monkeypatch):
    calls = []

    def draw(name, release, **_):
        calls.append(f'draw {name}')
        time.sleep(0.5)  # long enough for the other run to come
        release.mkdir(parents=True)
        (release / simulation.STAMP).touch()

    def prepare(name, release, folder, *, faces, **_):
        calls.append(f'prepare {name}')
        prepared.location(name, folder, faces).mkdir(parents=True)

    monkeypatch.setattr(simulation, 'write_release', draw)
    monkeypatch.setattr(preparation, 'prepare', prepare)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(source_of().ensure_prepared, tmp_path) for _ in range(2)]
        assert len({run.result() for run in runs}) == 1
    assert calls == ['draw afew', 'prepare afew']


@pytest.mark.parametrize(
    ('key', 'value'),
    [('frames', 3), ('sampling', 'uniform'), ('order', 'shuffled'), ('stills', True)],
)
def test_what_would_do_nothing_beside_neutral_faces_is_refused(tmp_path, key, value):
    config = load_config('ckplus_stn.py')
    config.data.update({'neutral': True, key: value})
    with pytest.raises(UserError, match=f'data.{key} is .*, and data.neutral takes the first'):
        Data.load(Sections.open(config), tmp_path)


def test_licensed_data_are_left_where_they_are(tmp_path, done):
    assert source_of(subjects=0, scenes=True).ensure_prepared(tmp_path) == tmp_path
    assert not done and not any(tmp_path.iterdir())


@pytest.mark.parametrize('faces', ['none', 'haar'])
def test_networks_of_pictures_leave_sounds_out_and_audio_models_take_them(tmp_path, capsys, faces):
    black = np.zeros((16, 16), np.uint8)
    for label in ('joy', 'anger'):
        film(tmp_path / 'clinic' / label / 'film.avi')
        film(tmp_path / 'clinic' / label / 'v.avi').rename(tmp_path / 'clinic' / label / 'v.wav')
        cv2.imwrite(str(tmp_path / 'clinic' / label / 'night.png'), black + (faces == 'haar'))
    preparation.prepare('own:a', tmp_path / 'clinic', tmp_path, faces=faces, report=quiet)
    base = {'protocol': {'name': 'loso'}, 'data': {'name': 'own:a', 'faces': faces}}
    source = Sections.open(ConfigDict(base | {'model': {'name': 'plain_cnn'}})).clips
    seen = source.load(tmp_path)
    said = 'own:a: 2 clips of sound alone are left out: anger/v.wav, joy/v.wav\n'
    assert capsys.readouterr().out == said
    assert [name.split('/')[1] for name in seen.clip_id] == ['film.avi', 'night.png'] * 2
    config = ConfigDict(base | {'sound': {}, 'model': {'name': 'svm'}})
    heard = Sections.open(config).clips.load(tmp_path)
    assert len(heard) == 6 and not capsys.readouterr().out
    for path in (tmp_path / 'clinic').rglob('*.*'):
        if path.suffix != '.wav':
            path.unlink()
    preparation.prepare('own:b', tmp_path / 'clinic', tmp_path, faces=faces, report=quiet)
    with pytest.raises(UserError, match='own:b: its clips are sounds alone, without a picture'):
        dataclasses.replace(source, name='own:b').load(tmp_path)
