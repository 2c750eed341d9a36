"""The whole system on a small release made by hand, with films that some models cannot judge."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax import config as configs
from fer_jax.data import datasets, preparation
from fer_jax.kahou2015 import outcome, system
from fer_jax.simulation.people import movie

CONFIG = Path(__file__).parents[2] / 'configs' / 'afew_emotiw.py'
CLASSES = ('Angry', 'Disgust', 'Fear', 'Happy', 'Neutral', 'Sad', 'Surprise')
FACES = {
    'Train_AFEW': 'AlignedFaces_LBPTOP_Points/Faces',
    'Val_AFEW': 'AlignedFaces_LBPTOP_Points_Val/Faces',
    'Test_AFEW': 'Test_2017_Faces_Distribute',
}
FPS, RATE = 10, 8000
# Of the validation part: films without a face, without sound, of one frame; of the test part: long.
FACELESS, SOUNDLESS, SHORT, LONG = '000900001', '000900002', '000900003', '000900004'

pytestmark = pytest.mark.slow
pytest.importorskip('opensmile', reason='features of sound need the extra audio')


def write_clip(release, part, folder, name, label, frames=12, faces=True, sound=True):
    """A film whose brightness, pitch and motion tell its class, and its aligned faces."""
    rng = np.random.default_rng(int(name))
    path = release / part / folder / f'{name}.avi'
    path.parent.mkdir(parents=True, exist_ok=True)
    texture = rng.integers(0, 60, (64, 96, 3))
    images = [
        np.uint8(np.roll(texture, t * label, axis=1) + 25 * label + rng.integers(0, 9))
        for t in range(frames)
    ]
    times = np.arange(max(frames * RATE // FPS, 1)) / RATE
    tone = np.int16(4000 * np.sin(2 * np.pi * (150 + 60 * label) * times) + rng.normal(0, 200))
    movie.write_movie(path, images, FPS, sound=tone if sound else None, rate=RATE if sound else 0)
    if faces:
        place = release / part / FACES[part] / name
        place.mkdir(parents=True)
        for t in range(frames):
            cv2.imwrite(str(place / f'I_{1001 + t}.jpg'), cv2.resize(images[t], (64, 64)))


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
    """AFEW of 35 ordinary films and four others, faces and scenes prepared."""
    release, out = tmp_path_factory.mktemp('films') / 'AFEW', tmp_path_factory.mktemp('data')
    number = 0
    for part, count in (('Train_AFEW', 3), ('Val_AFEW', 2)):
        for label, folder in enumerate(CLASSES):
            for _ in range(count):
                number += 1
                write_clip(release, part, folder, f'{number:09}', label)
    write_clip(release, 'Val_AFEW', 'Fear', FACELESS, 2, faces=False)
    write_clip(release, 'Val_AFEW', 'Sad', SOUNDLESS, 5, sound=False)
    write_clip(release, 'Val_AFEW', 'Happy', SHORT, 3, frames=1)
    write_clip(release, 'Test_AFEW', 'Test_vid_Distribute', LONG, 1, frames=300)
    for faces in ('', datasets.SCENE):
        preparation.prepare('afew', release, out, faces=faces, report=lambda line: None)
    return out


@pytest.fixture(scope='module')
def finished(data_dir, tmp_path_factory):
    """A run of everything, each part as small as it goes; frames learn from AFEW's own faces."""
    config = configs.load_config(CONFIG, 'simulated')
    config.simulated.subjects = 0
    frames = config.frames.training
    frames.simulated.subjects = 0
    frames.data.update({'name': 'afew', 'faces': '', 'frames': 2, 'drop_faceless': True})
    frames.data.stills = True
    frames.protocol = {'name': 'official', 'fold': -1, 'file': ''}
    frames.model.width = 0.1
    frames.train.update({'epochs': 1, 'batch_size': 8})
    own = config.models
    own.activity.activity.update({'blocks': 500, 'factors': 12, 'epochs': 1, 'words': 20})
    own.audio.sound.components = 4
    own.rnn.model.units = 8
    own.rnn.train.update({'epochs': 3, 'batch_size': 8, 'checkpoint_every': 3})
    config.fusion.update({'units': (6, 3, 4), 'common': 5, 'components': 3, 'batch_size': 8})
    config.fusion.epochs.update({'stated': 4, 'stable': 4})
    config.search.update({'draws': 100, 'stop': 0.3, 'subsets': False})
    folder = tmp_path_factory.mktemp('runs') / 'emotiw'
    system.run(config, workdir=str(folder), data_dir=data_dir)
    return folder


def test_models_that_can_speak_do_and_the_others_are_named(finished):
    found = outcome.load(finished)
    row = {clip: index for index, clip in enumerate(found.table.clip_id.tolist())}
    silent = {
        f'validation/{FACELESS}': {'aggregated', 'rnn', 'fusion'},
        f'validation/{SOUNDLESS}': {'audio', 'fusion'},
        f'validation/{SHORT}': set(),
        f'test/{LONG}': set(),
    }
    for number in range(1, 7):
        said = found.said(number)
        assert list(said) == list(outcome.MODELS)
        for model, probabilities in said.items():
            for clip, mute in silent.items():
                own = probabilities[row[clip]]
                assert np.isnan(own).all() == (model in mute), (number, model, clip)
                if model not in mute:
                    assert own.sum() == pytest.approx(1, abs=1e-3) and (own >= 0).all()
        others = np.setdiff1d(found.table.clip_id, list(silent))
        for probabilities in said.values():
            assert np.isfinite(probabilities[[row[clip] for clip in others]]).all()
    for made in found.entries.values():
        assert np.isfinite(made.probabilities).all()
    with (finished / 'figures' / 'silent.csv').open() as file:
        listed = {line['clip_id']: line['silent'] for line in csv.DictReader(file)}
    assert listed == {
        f'validation/{FACELESS}': 'Aggregated CNN, RNN, Fusion network',
        f'validation/{SOUNDLESS}': 'Audio, Fusion network',
    }


def test_a_release_without_test_labels_is_not_judged_on_them(finished):
    values = json.loads((finished / 'results.json').read_text())
    assert values['stamps'] == ['subjects unknown']  # films made by hand are no simulation
    assert values['clips'] == {'train': 21, 'validation': 17, 'test': 1}
    assert all(entry['test'] is None for entry in values['submissions'].values())
    assert values['models']['rnn']['validation']['n'] == 16
    assert values['submissions']['2']['validation']['n'] == 17
    assert 'The owners keep the labels' in (finished / 'report.html').read_text()


def test_models_learned_from_their_own_part_only(finished):
    """Swapped parts give other models; trained on both, the recurrent network kept its epochs."""
    found = outcome.load(finished)
    rnn = found.models['rnn']
    assert rnn['epochs'][2] == rnn['epochs'][0] and rnn['epochs'][3] == rnn['epochs'][1]
    for model in found.models.values():
        first, swapped, both, _ = model['probabilities']
        assert not np.allclose(np.nan_to_num(first), np.nan_to_num(swapped))
        assert not np.allclose(np.nan_to_num(first), np.nan_to_num(both))
