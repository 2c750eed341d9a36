"""`fer_jax.load`: pictures of any size and kind, names, calibration, and what is refused."""

import dataclasses
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

import fer_jax
from fer_jax.data import cropping
from fer_jax.errors import UserError
from fer_jax.evaluation import calibration, predictions, rundir
from fer_jax.experiment import predictor as predictors
from fer_jax.experiment.predictor import Predictor
from fer_jax.experiment.trained import Layer, TrainedNetwork
from fer_jax.training import model_folder


@pytest.fixture(scope='module')
def predictor(plain_run):
    return fer_jax.load(str(plain_run))


@pytest.fixture(scope='module')
def pictures(plain_stripes):
    rng = np.random.default_rng(6)
    return np.stack([plain_stripes(k % 7, rng) for k in range(9)])


def test_importing_the_package_imports_no_jax():
    code = 'import fer_jax, sys; assert callable(fer_jax.load); print("jax" in sys.modules)'
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == 'False'


def test_a_run_says_what_training_saw_it_say(predictor, plain_run, plain_data):
    """The mean of both members on the test clips, made from what was saved after their epochs."""
    clips = predictor.clips.load(plain_data)
    table = predictions.load(plain_run / 'probabilities.npz')
    epochs = np.array(rundir.read_json(plain_run / 'results.json')['val_best']['epochs']) - 1
    rows = table.at(epochs)
    saved = rows.probabilities.reshape(2, -1, len(table.classes)).mean(0)
    tested = np.isin(clips.clip_id, table.clip_id[rows.clip])
    found = predictor.probabilities(clips.frames[tested], clips.length[tested])
    np.testing.assert_allclose(
        found, calibration.scaled(saved.astype(np.float64), predictor.temperature), atol=3e-3
    )
    # The temperature is that of the mean on the validation clips.
    validation = table.at(epochs, 1).probabilities.reshape(2, -1, len(table.classes)).mean(0)
    label = table.at(epochs, 1).label[: len(validation)]
    assert predictor.temperature == pytest.approx(
        calibration.fit_temperature(validation, label), rel=1e-3
    )
    assert predictor.validation_clips == len(validation) == 35


def test_pictures_grey_or_colour_of_any_size(predictor, pictures):
    grey = predictor.images(pictures)
    assert grey.shape == (9, 8) and grey.dtype == np.float32
    assert predictor.classes == (
        'anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral', 'contempt'
    )  # fmt: skip
    colour = predictor.images(np.repeat(pictures[..., None], 3, axis=-1))
    np.testing.assert_allclose(colour, grey, atol=0.02)
    large = [cv2.resize(p, (96 + 10 * k, 96 + 10 * k)) for k, p in enumerate(pictures)]
    unequal = predictor.images([*large[:-1], np.repeat(large[-1][..., None], 3, axis=-1)])
    assert np.abs(unequal - grey).mean() < 0.05
    # One by one, or all together: the same.
    one = np.concatenate([predictor.images(picture[None]) for picture in pictures])
    np.testing.assert_allclose(one, grey, atol=1e-5)


def test_what_is_not_square_is_centred(predictor, pictures):
    high = np.zeros((60, 48), np.uint8)
    high[6:54] = pictures[0]
    whole = np.zeros((60, 60), np.uint8)
    whole[6:54, 6:54] = pictures[0]
    first, second = predictor.images([high, whole])
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_entropy_is_of_the_raters(predictor, pictures):
    p = predictor.images(pictures)
    np.testing.assert_allclose(predictor.entropy(p), -(p * np.log2(p)).sum(1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    'images, said',
    [
        (np.zeros((0, 48, 48), np.uint8), 'there is no picture'),
        (np.zeros((2, 48, 48), np.float32), r'picture 0 is float32 \[48, 48\]: give uint8'),
        (np.zeros((2, 48, 48, 4), np.uint8), r'picture 0 is uint8 \[48, 48, 4\]'),
        ([np.zeros((4, 4), np.uint8), np.zeros((0, 4), np.uint8)], 'picture 1 is empty'),
    ],
)
def test_what_is_no_picture_is_said(predictor, images, said):
    with pytest.raises(UserError, match=said):
        predictor.images(images)


@pytest.mark.parametrize('key', ['stills', 'neutral'])
def test_networks_of_stills_of_sequences_see_single_pictures(
    predictor, plain_run, pictures, tmp_path, key
):
    run = shutil.copytree(plain_run, tmp_path / 'run')
    config = rundir.read_json(run / 'config.json')
    config['data'] |= {'frames': 3, key: True}
    (run / 'config.json').write_text(json.dumps(config))
    found = fer_jax.load(str(run))
    assert [network.shape[0] for network in found.networks] == [1, 1] and not found.sequences
    np.testing.assert_array_equal(found.images(pictures), predictor.images(pictures))


def test_folding_changes_nothing(predictor, plain_run, pictures):
    frames = np.stack([predictor.framed(picture) for picture in pictures])[:, None]
    for network in predictor.networks:
        assert network.system.model.folded and 'batch_stats' not in network.variables
        whole = TrainedNetwork.open(plain_run, network.member)
        np.testing.assert_allclose(
            network.probabilities(frames), whole.probabilities(frames), atol=1e-5
        )


@pytest.mark.parametrize('equalize', ['none', 'clahe'])
@pytest.mark.parametrize('channels', [1, 3])
def test_a_picture_becomes_the_frame_that_preparation_would_make(predictor, equalize, channels):
    noise = np.random.default_rng(0).normal(90, 12, (160, 160, channels))
    picture = np.clip(noise, 0, 255).astype(np.uint8)
    record = {'frames': picture[None], 'box': np.float32([[-0.5, -0.5, 159.5, 159.5]])}
    geometry = cropping.Geometry(1, 'last', 48, channels, 'none', 5, 1.0, equalize)
    stored = np.empty((1, 48, 48, channels), np.uint8)
    cropping.draw(stored, {**record, 'clip_id': 'x'}, geometry, None)
    clips = dataclasses.replace(predictor.clips, channels=channels, size=48, equalize=equalize)
    other = dataclasses.replace(predictor, clips=clips)
    np.testing.assert_array_equal(other.framed(picture), stored[0])


def test_names_of_the_package_come_first(plain_run, tmp_path, monkeypatch):
    with pytest.raises(UserError, match='nothing: no such network or folder; give a name'):
        fer_jax.load('nothing')
    with pytest.raises(UserError, match='has not finished'):
        fer_jax.load(str(tmp_path))
    monkeypatch.setattr(model_folder, 'SHIPPED', tmp_path / 'weights')
    with pytest.raises(UserError, match=r'small: no such .*\(none in this installation\)'):
        fer_jax.load('small')
    (tmp_path / 'weights' / 'small').mkdir(parents=True)
    (tmp_path / 'weights' / 'small' / 'config.json').write_text('{}')
    monkeypatch.chdir(tmp_path / 'weights')
    assert model_folder.shipped() == ['small']
    assert model_folder.find('small') == tmp_path / 'weights' / 'small'
    (tmp_path / 'weights' / 'other').mkdir()
    assert model_folder.find('other').resolve() == tmp_path / 'weights' / 'other'


def test_a_class_that_would_steer_a_terminal_is_refused(tmp_path):
    folder = tmp_path / 'small'
    shutil.copytree(model_folder.SHIPPED / 'small', folder)
    written = json.loads((folder / 'config.json').read_text())
    written['classes'][0] = '\x1b[31m'
    (folder / 'config.json').write_text(json.dumps(written))
    with pytest.raises(UserError, match="config.json is damaged .'classes' is ") as caught:
        fer_jax.load(str(folder))
    assert str(caught.value).isprintable()


def test_a_digest_is_of_the_arrays(predictor, plain_run):
    assert len(predictor.digest) == 64
    assert Predictor.open(plain_run).digest == predictor.digest
    assert Predictor.open(plain_run, 0).digest != predictor.digest


def test_networks_that_were_trained_again_speak_for_their_run(plain_run, tmp_path):
    run = tmp_path / 'run'
    shutil.copytree(plain_run, run)
    table = predictions.load(run / 'probabilities.npz')
    for retrained, failed, speak in (
        ([False, False], [0, 0], [0, 1]),
        ([False, True], [0, 0], [1]),
        # The second training diverged.
        ([False, True], [0, 1], [0]),
    ):
        again = dataclasses.replace(
            table, retrained=np.array(retrained), failed=np.array(failed, np.int32)
        )
        again.save(run / 'probabilities.npz')
        assert [each.member for each in Predictor.open(run).networks] == speak
        assert Predictor.open(run, 0).networks[0].member == 0
        if len(speak) == 1:
            assert Predictor.open(run).temperature == Predictor.open(run, speak[0]).temperature


def test_the_one_member_of_a_fitted_registration_has_its_own_temperature(plain_run, monkeypatch):
    sections = predictors.sections_of(plain_run)
    clips = dataclasses.replace(sections.clips, registration='mean_shape')
    monkeypatch.setattr(
        predictors, 'sections_of', lambda folder: dataclasses.replace(sections, clips=clips)
    )
    table = predictions.load(plain_run / 'probabilities.npz')
    temperature, count = predictors.temperature_of(table, 0)
    assert temperature != predictors.temperature_of(table)[0]
    one = Predictor.open(plain_run)
    assert one.notes[-1].startswith('member 0 alone')
    assert (one.temperature, one.validation_clips) == (temperature, count)


def test_a_run_without_validation_clips_notes_that_it_is_not_calibrated(plain_run, tmp_path):
    run = tmp_path / 'run'
    shutil.copytree(plain_run, run)
    table = predictions.load(run / 'probabilities.npz')
    part = np.where(table.part == 1, np.int8(0), table.part)
    dataclasses.replace(table, part=part).save(run / 'probabilities.npz')
    found = Predictor.open(run)
    assert (found.temperature, found.validation_clips) == (1.0, 0)
    said = 'not calibrated: no validation clips in training (protocol.validation)'
    assert said in found.notes and said not in Predictor.open(plain_run).notes


def test_the_shipped_network_says_what_it_said_when_it_was_written():
    network = fer_jax.load('small')
    with np.load(network.path / 'golden.npz') as golden:
        said = network.images(golden['frames'][:, 0, :, :, 0])
        np.testing.assert_allclose(said, golden['probabilities'], atol=1e-4)
    assert sum(path.stat().st_size for path in network.path.iterdir()) < 1.1e6


def test_mirror_images_count_where_asked():
    face = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    as_trained, single = fer_jax.load('small'), fer_jax.load('small', mirrored=False)
    assert np.abs(as_trained.images(face) - as_trained.images(face[:, :, ::-1])).max() < 1e-5
    assert np.abs(single.images(face) - single.images(face[:, :, ::-1])).max() > 1e-3


def test_features_have_no_mirror_images(monkeypatch):
    def on_features(network):
        return dataclasses.replace(network, earlier=Layer(network, 'logits'))

    monkeypatch.setattr(TrainedNetwork, 'folded', on_features)
    assert fer_jax.load('small', mirrored=False).networks[0].earlier
    for mirrored in (None, True):  # as trained: mirrored
        with pytest.raises(UserError, match='which have no mirror image: give mirrored=False'):
            fer_jax.load('small', mirrored=mirrored)
