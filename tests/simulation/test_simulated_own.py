"""Simulated data of one's own: they are prepared as anyone's, by subject, and repeat themselves."""

import csv

import numpy as np
import pytest

from fer_jax import config as configs
from fer_jax import simulation
from fer_jax.data import prepared
from fer_jax.data.datasets import pictures, video
from fer_jax.errors import UserError
from fer_jax.experiment.clips import ClipSource
from fer_jax.simulation.people import voice
from fer_jax.simulation.releases import own_films, own_pictures

CLASSES = tuple(sorted(own_pictures.CLASSES.values()))


def test_pictures_lie_in_folders_named_in_another_script(tmp_path):
    release = simulation.write_release('own_pictures', tmp_path / 'a', subjects=2, workers=1)
    names = sorted(path.relative_to(release).as_posix() for path in release.glob('*/*'))
    assert names == sorted(f'{name}/{person}.png' for name in CLASSES for person in ('01', '02'))
    again = simulation.write_release('own_pictures', tmp_path / 'b', subjects=2, workers=2)
    for name in names:
        assert (release / name).read_bytes() == (again / name).read_bytes()
    shown = [pictures.read_picture(release / name).astype(int) for name in names]
    assert {image.shape for image in shown} == {(own_pictures.HEIGHT, own_pictures.WIDTH, 3)}
    assert all(np.abs(shown[0] - image).mean() > 3 for image in shown[1:])
    with pytest.raises(UserError, match='--subjects=0: simulated pictures of your own have 1 to'):
        simulation.write_release('own_pictures', tmp_path / 'c', subjects=0)


def test_films_have_sound_and_a_manifest(tmp_path):
    release = simulation.write_release('own_films', tmp_path / 'a', subjects=1, workers=1)
    with open(release / 'manifest.csv', encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == own_films.TAKES * 3 and {row['label'] for row in rows} == set(CLASSES)
    assert {row['subject'] for row in rows} == {'01'}
    frames = video.read_video(release / rows[0]['path'])
    sound, rate = video.read_sound(release / rows[0]['path'])
    assert len(frames) == own_films.FRAMES and rate == voice.RATE
    assert abs(len(sound) / rate - own_films.FRAMES / own_films.FPS) < 0.1
    assert np.ptp(sound) > 1000


@pytest.mark.parametrize('variant', ['simulated', 'c3d,simulated'])
def test_a_config_draws_and_prepares_what_it_needs(tmp_path, variant, capsys):
    config = configs.load_config('configs/own.py', variant)
    config.simulated.subjects = 2
    source = ClipSource.open(config)
    folder = source.ensure_prepared(tmp_path)
    clips = source.load(folder)
    assert clips.simulated and clips.classes == CLASSES and clips.name == config.data.name
    assert sorted(set(clips.subject.tolist())) == ['01', '02']
    assert clips.registration == 'eyes' and clips.frames.shape[1] == config.data.frames
    assert folder.name.startswith(config.data.name.replace(':', '-'))
    found = prepared.describe(config.data.name, folder)
    assert found['landmarked'] == found['frames'] and found['dropped'] == []
    assert 'SIMULATED faces' in capsys.readouterr().out
    source.ensure_prepared(tmp_path)
    assert capsys.readouterr().out == ''
