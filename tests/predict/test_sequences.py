"""Networks of sequences of finished runs see a film's windows as their training saw its clips."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax import config as configs
from fer_jax.errors import UserError
from fer_jax.evaluation import predictions, rundir
from fer_jax.experiment import run as experiment
from fer_jax.predict import crops, jobs, models, networks
from fer_jax.predict.films import Film
from fer_jax.predict.following import Seen
from fer_jax.predict.jobs import Options

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CHANGES = {
    'simulated.subjects': 8, 'data.frames': 4, 'data.size': 24, 'protocol.k': 2,
    'train.epochs': 8, 'train.batch_size': 8, 'optimizer.learning_rate': 3e-3,
    'model.width': 0.25,
}  # fmt: skip


@pytest.fixture(scope='module')
def place(tmp_path_factory, drawn_data):
    """A finished ConvLSTM run on drawn people, and the folder of its data."""
    folder = tmp_path_factory.mktemp('sequences')
    config = configs.load_config(ROOT / 'configs' / 'ckplus_convlstm.py', 'simulated')
    config.update_from_flattened_dict(CHANGES)
    experiment.run(config, workdir=str(folder / 'run'), data_dir=drawn_data, pages=False)
    return folder / 'run', drawn_data


@pytest.fixture(scope='module')
def clips(place):
    """Eleven drawn clips: id, frames uint8 [H, W, 3] and landmarks float [68, 2] of each."""
    _, data = place
    (release,) = data.rglob('release-ckplus')
    found = []
    for label in sorted(release.rglob('*_emotion.txt'))[:40:2]:
        where = label.parent.relative_to(release / 'Emotion')
        images = sorted((release / 'cohn-kanade-images' / where).glob('*.png'))
        frames = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in images]
        points = [
            np.loadtxt(path) for path in sorted((release / 'Landmarks' / where).glob('*.txt'))
        ]
        found.append(('_'.join(where.parts), frames, points))
    return found


def stored_probabilities(run, clip_id):
    """Reads what training's own evaluation gave for a test clip, float [class], and its member."""
    table = predictions.load(run / 'probabilities.npz')
    (row,) = np.flatnonzero(table.clip_id == clip_id)
    (member,) = np.flatnonzero(table.part[:, row] == predictions.TEST)
    return table.probabilities[member, -1, row].astype(float), int(member), table.classes


def test_a_window_gives_what_training_said_of_the_same_clip(place, clips):
    run, _ = place
    said = []
    for clip_id, frames, points in clips:
        wanted, member, classes = stored_probabilities(run, clip_id)
        model = networks.open_model(str(run), member=member)
        assert model.classes == classes
        patches = []
        for k, (frame, shape) in enumerate(zip(frames, points, strict=True)):
            five = np.stack([shape[36:42].mean(0), shape[42:48].mean(0), *shape[[30, 48, 54]]])
            patches.append(crops.patch(frame, k / 30, seen_of(shape, five), model))
        clip, length = crops.clip(patches, model)
        found = model.probabilities(clip[None], np.array([length], np.int32))[0]
        assert found == pytest.approx(wanted, abs=2e-3), clip_id
        said.append(wanted)
    assert np.ptp(said, axis=0).max() > 0.05  # the network tells the clips apart


def seen_of(shape, five):
    """The face whose framing is the tight box around 68 landmarks."""
    low, high = shape.min(0), shape.max(0)
    framing = models.LANDMARKS
    side = (high - low).max() / framing.scale
    centre = (low + high) / 2 - (0, framing.down * side)
    return Seen(1, np.concatenate([centre - side / 2, centre + side / 2]), five, 0.9)


def test_a_film_of_a_clip_gives_the_clips_label(place, clips, write_film, tmp_path):
    run, _ = place
    apart, sure = [], 0
    for clip_id, frames, _ in clips:
        wanted, member, classes = stored_probabilities(run, clip_id)
        path = write_film(
            tmp_path / f'{clip_id.replace("/", "-")}.mkv',
            frames,
            fps=30,
            codec='ffv1',
            pixels='bgr0',
        )
        model = networks.open_model(str(run), member=member, window=len(frames) / 30)
        base = path.with_suffix('')
        jobs.predict_film(
            Film.open(path), base, model, Options(overlay=False, page=False, smooth=0.0)
        )
        lines = Path(f'{base}.csv').read_text().splitlines()
        last = dict(zip(lines[0].split(','), lines[-1].split(','), strict=True))
        assert float(last['window_start_s']) == pytest.approx(0, abs=1e-3)
        assert float(last['time_s']) == pytest.approx((len(frames) - 1) / 30, abs=1e-3)
        found = np.array([float(last[f'p_{name}']) for name in classes])
        assert last['label'] == classes[found.argmax()]
        if wanted.max() > 0.7:  # a network in two minds may fall to either side
            assert found.argmax() == wanted.argmax(), clip_id
            sure += 1
        apart.append(np.abs(found - wanted).max())
    # Eyes that are found stand a little beside those that are known.
    assert np.median(apart) < 0.1 and sure > 1


def test_a_run_says_what_it_is(place):
    run, _ = place
    both, one = networks.open_model(str(run)), networks.open_model(str(run), member=1)
    assert both.digest != one.digest and len(both.digest) == 64
    assert both.seconds == 0.6 and both.geometry.frames == 4 and both.stored
    assert both.framing == models.LANDMARKS
    assert 'SIMULATED' in ' '.join(both.notes)
    clip = np.random.default_rng(0).integers(0, 255, (3, 4, 24, 24, 1), np.uint8)
    length = np.full(3, 4, np.int32)
    each = [networks.open_model(str(run), member=k).probabilities(clip, length) for k in range(2)]
    assert both.probabilities(clip, length) == pytest.approx((each[0] + each[1]) / 2, abs=1e-6)


def test_the_length_of_own_clips_is_asked_for(place):
    run, _ = place
    predictor = networks.open_model(str(run)).predictor
    own = dataclasses.replace(predictor.clips, name='own:clinic', sampling='uniform')
    other = dataclasses.replace(predictor, clips=own)
    assert networks.NetworkClassifier.of(other).centred
    assert not networks.NetworkClassifier.of(predictor).centred  # clips of CK+ end at the apex
    asked = [note for note in networks.NetworkClassifier.of(other).notes if '--window' in note]
    assert asked == [
        'it sees windows of 1 s, and the clips of own:clinic may have been of another length: give '
        'that with --window=SECONDS'
    ]
    own = dataclasses.replace(own, sampling='last', frames=10)
    other = dataclasses.replace(predictor, clips=own)
    assert not networks.NetworkClassifier.of(other).centred
    asked = [note for note in networks.NetworkClassifier.of(other).notes if '--window' in note]
    assert asked == [
        'it sees windows of 0.4 s, and own:clinic may have other than 25 frames a second: give 10 '
        'divided by its own with --window=SECONDS'
    ]
    for known in (predictor, dataclasses.replace(predictor, clips=own)):
        given = networks.NetworkClassifier.of(known, window=2.5)
        assert given.seconds == 2.5 and not any('--window' in note for note in given.notes)


def test_what_is_no_run_is_said(place, tmp_path):
    run, _ = place
    with pytest.raises(UserError, match='has not finished'):
        networks.open_model(str(tmp_path))
    with pytest.raises(UserError, match='members 0 to 1'):
        networks.open_model(str(run), member=7)
    unfinished = tmp_path / 'unfinished'
    unfinished.mkdir()
    (unfinished / 'checkpoints').mkdir()
    (unfinished / 'config.json').write_text((run / 'config.json').read_text())
    with pytest.raises(UserError, match='has not finished'):
        networks.open_model(str(unfinished))
    assert rundir.read_json(run / 'config.json')['name'] == 'ckplus_convlstm'
