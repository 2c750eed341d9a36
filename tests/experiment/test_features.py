"""Two stages on drawn squares: a frame network, and what learns from its layers."""

import contextlib
import dataclasses
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from fer_jax import config as configs
from fer_jax import models
from fer_jax.benchmark import measure as benchmark
from fer_jax.data import fitted, registration
from fer_jax.data.clips import ClipSet
from fer_jax.data.fitted import TARGET_SHAPE
from fer_jax.errors import UserError
from fer_jax.evaluation import predictions
from fer_jax.experiment import distillation, first_stage, fits
from fer_jax.experiment import run as experiment
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.first_stage import FirstStage
from fer_jax.experiment.sections import Sections
from fer_jax.experiment.trained import TrainedNetwork
from fer_jax.training.checkpoint import MemberCheckpoints

ROOT = Path(__file__).parents[2]
SIZE, FRAMES = 16, 4
CLASSES = ('anger', 'fear', 'happiness')
ORDERS = {'stills': (0, 1, 2), 'films': (2, 0, 1)}  # each numbers the classes in its own way
PARTS = {'stills': ('train', 'validation', 'test'), 'films': ('train', 'validation')}
COUNTS = {'stills': 90, 'films': 48}
SMALL = {
    'data.size': SIZE, 'simulated.subjects': 0, 'train.epochs': 2, 'train.batch_size': 8,
    'train.seeds': 2, 'train.evaluate_batch': 16, 'train.checkpoint_every': 1,
}  # fmt: skip


def drawn(name):
    """Clips with a bar that lies the lower the higher its class, on noise."""
    rng = np.random.default_rng(len(name))
    n, frames = COUNTS[name], 1 if name == 'stills' else FRAMES
    kind = np.arange(n) % 3
    pictures = rng.integers(0, 60, (n, frames, SIZE, SIZE, 1))
    for clip, k in enumerate(kind):
        pictures[clip, :, 2 + 5 * k : 5 + 5 * k] += 150
    length = np.ones(n, int) if name == 'stills' else 1 + np.arange(n) % FRAMES
    for clip, real in enumerate(length):
        pictures[clip, real:] = pictures[clip, real - 1]
    order = ORDERS[name]
    return ClipSet(
        name=name,
        classes=tuple(CLASSES[k] for k in order),
        simulated=True,
        frames=pictures.astype(np.uint8),
        length=length.astype(np.int32),
        label=np.array([order.index(k) for k in kind], np.int32),
        subject=np.full(n, ''),
        clip_id=np.array([f'{name}{i:03}' for i in range(n)]),
        split=np.array(PARTS[name])[np.arange(n) // 3 % len(PARTS[name])],
    )


def said_of(source, clips, folder):
    return {
        'name': clips.name, 'simulated': True, 'clips': len(clips), 'classes': list(clips.classes),
        'class_counts': clips.class_counts, 'subjects': 0, 'faces': 'drawn', 'fingerprint': 'f',
        'registration': 'none', 'dropped': [], 'faceless': [], 'differences': [],
    }  # fmt: skip


@pytest.fixture(scope='module', autouse=True)
def _data():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClipSource, 'ensure_prepared', lambda source, data_dir: data_dir)
        patch.setattr(ClipSource, 'load', lambda source, folder, fit=None: drawn(source.name))
        patch.setattr(ClipSource, 'about', said_of)
        yield


def config_of(file, variant='', **changes):
    spec = importlib.util.spec_from_file_location(file, ROOT / 'configs' / f'{file}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(variant)
    known = {
        key: value
        for key, value in SMALL.items()
        if not key.startswith('train') or 'train' in config
    }
    config.update_from_flattened_dict(known | changes)
    return config


def run(folder, file, variant='', **changes):
    config = config_of(file, variant, **changes)
    return experiment.run(config, workdir=str(folder), data_dir=folder.parent)


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    """A finished run of a frame network on stills."""
    folder = tmp_path_factory.mktemp('runs') / 'network'
    changes = {
        'data.name': 'stills', 'inputs.crop': 12, 'model.width': 0.125, 'train.epochs': 4,
        'augment.options.shift': 1 / SIZE, 'optimizer.learning_rate': 0.01,
    }  # fmt: skip
    values = run(folder, 'fer2013_cnn', **changes)
    assert values['val_best']['pooled_accuracy'] > 0.6
    return folder


def on_films(network, **changes):
    return {'data.name': 'films', 'features.run': str(network), **changes}


def network_of(run, member):
    checkpoints = MemberCheckpoints(run / 'checkpoints' / f'{member:03}')
    try:
        return checkpoints.restore_best()[1]
    finally:
        checkpoints.close()


def test_features_are_what_the_layer_makes_of_prepared_frames(network):
    """Equalised by OpenCV, normalised and cropped by NumPy."""
    stills, films = drawn('stills'), drawn('films')
    equal = np.stack([cv2.equalizeHist(f) for f in stills.frames[:, 0, :, :, 0]]) / 255
    train = equal[stills.split == 'train']
    mean, std = train.mean(0), np.maximum(train.std(0), 1 / 255)
    frames = films.frames[:5, :3, :, :, 0].reshape(15, SIZE, SIZE)
    seen = (np.stack([cv2.equalizeHist(f) for f in frames]) / 255 - mean) / std
    seen = seen[:, 2:14, 2:14].reshape(5, 3, 12, 12, 1).astype(np.float32)
    model = models.build('frame_cnn', num_classes=3, width=0.125)
    for member in (0, 1):
        given = network_of(network, member)
        _, state = model.apply({'params': given['params']}, seen, mutable=['intermediates'])
        for layer in ('pool2', 'logits'):
            stage = FirstStage.of_run(run=str(network), layer=layer)
            found = stage.clips(member, films).frames
            assert found.dtype == np.float32 and found.shape[:2] == (48, FRAMES)
            assert stage.shape(FRAMES) == found.shape[1:]
            (expected,) = state['intermediates'][layer]
            if layer == 'logits':
                expected = expected[..., ORDERS['films']]
            np.testing.assert_allclose(found[:5, :3], expected, rtol=2e-4, atol=2e-4)


def test_averaging_gives_back_what_the_network_said(network, tmp_path):
    run(tmp_path / 'again', 'afew_svm', 'averaging',
        **on_films(network, **{'data.name': 'stills'}))  # fmt: skip
    before = predictions.load(network / 'probabilities.npz')
    after = predictions.load(tmp_path / 'again' / 'probabilities.npz')
    assert after.fold.tolist() == [0]
    epoch = json.loads((network / 'results.json').read_text())['val_best']['epochs'][0]
    own = before.part[0] == predictions.TEST
    judged = np.isin(after.clip_id, before.clip_id[own])
    np.testing.assert_allclose(
        after.probabilities[0, 0, judged], before.probabilities[0, epoch - 1, own], atol=2e-3
    )


def test_an_irnn_learns_from_the_features_and_names_the_chain(network, tmp_path, capsys):
    changes = on_films(network, **{'model.units': 8, 'optimizer.learning_rate': 0.05})
    values = run(tmp_path / 'rnn', 'afew_rnn', **changes)
    assert 'nested' in values
    assert "learns from 'pool2' of the networks of network (fer2013_cnn" in capsys.readouterr().out
    chain = json.loads((tmp_path / 'rnn' / 'dataset.json').read_text())['features_from']
    assert chain['dataset'] == 'stills' and chain['layer'] == 'pool2' and chain['simulated']
    # Each seed learns from the network of its own, before it is trained again and then.
    assert chain['networks'] == [0, 1, 0, 1]
    assert 'fer2013_cnn on stills' in (tmp_path / 'rnn' / 'report.html').read_text()

    # What the IRNN makes of clips is a layer too, two networks up the chain.
    stage = FirstStage.of_run(run=str(tmp_path / 'rnn'), layer='state')
    films = drawn('films')
    found = stage.clips(1, films)
    assert found.frames.shape == (48, *stage.shape(FRAMES)) == (48, 1, 8)
    assert (found.length == 1).all()
    config = config_of('afew_rnn', **on_films(network))
    assert benchmark.clip_of_features(Sections.open(config)) == (config.data.frames, 3, 3, 4)
    below = FirstStage.of_run(run=str(network), layer='pool2').clips(1, films)
    given = network_of(tmp_path / 'rnn', 1)['params']
    weights = {name: np.asarray(leaf, np.float64) for name, leaf in given['rnn']['input'].items()}
    recurrent = np.asarray(given['rnn']['recurrent']['kernel'], np.float64)
    for clip in (0, 1, 3):
        state = np.zeros(8)
        for frame in below.frames[clip, : films.length[clip]].reshape(
            -1, weights['kernel'].shape[0]
        ):
            state = frame @ weights['kernel'] + weights['bias'] + state @ recurrent
            state = np.maximum(state, 0)
        np.testing.assert_allclose(found.frames[clip, 0], state, rtol=1e-3, atol=1e-4)


def test_an_svm_is_fitted_on_the_training_clips_and_leaves_a_run(network, tmp_path, monkeypatch):
    monkeypatch.setattr('fer_jax.kahou2015.svm.PENALTIES', (1.0, 8.0))
    folder = tmp_path / 'svm'
    values = run(folder, 'afew_svm', **on_films(network))
    assert list(values) == ['last', 'test_best_fold', 'test_best_common']
    assert values['last']['n'] == 24 and values['last']['pooled_accuracy'] > 0.6
    for name in ('report.html', 'predictions.csv', 'metrics.csv', 'DONE'):
        assert (folder / name).exists(), name
    row = (folder / 'metrics.csv').read_text().splitlines()[1].split(',')
    assert row[:4] == ['0', '0', '0', '1'] and float(row[6]) > 0.6

    # Labels of the clips that judge change nothing of what is said of them.
    films = drawn('films')
    other = dataclasses.replace(
        films, label=np.where(films.split == 'train', films.label, (films.label + 1) % 3)
    )
    monkeypatch.setattr(ClipSource, 'load', lambda source, folder, fit=None: (
        other if source.name == 'films' else drawn('stills')))  # fmt: skip
    run(tmp_path / 'other', 'afew_svm', **on_films(network))
    one, two = (
        predictions.load(tmp_path / name / 'probabilities.npz') for name in ('svm', 'other')
    )
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    assert (one.label != two.label).all()


@pytest.mark.parametrize(
    'file, changes, message',
    [
        ('afew_rnn', {'features.run': ''}, 'features.run names no run'),
        ('afew_rnn', {'features.run': 'nowhere'}, 'features.run: there is no run at nowhere'),
        ('afew_rnn', {'features.layer': 'pool9'}, "no features 'pool9'; it has conv1a"),
        ('afew_rnn', {'augment.kind': 'random'}, 'features cannot be warped'),
        ('afew_rnn', {'data.name': 'stills', 'protocol.name': 'random', 'protocol.seed': 3},
         'features.run: every network of .* was trained on test clips of fold 0, e.g. stills'),
        ('afew_svm', {'model.bins': 0}, 'model.bins is 0'),
        ('afew_svm', {'model.name': 'tree'}, "model.name is 'tree': one of c3d, .*averaging, svm"),
        ('afew_svm:averaging', {'features.layer': 'pool2'}, 'features.layer=logits'),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(network, tmp_path, file, changes, message):
    file, _, variant = file.partition(':')
    with pytest.raises(UserError, match=message) as caught:
        run(tmp_path / 'run', file, variant, **on_films(network, **changes))
    assert '\n' not in str(caught.value)


def test_a_run_that_learns_from_features_judges_by_no_mirror_images():
    learner = Sections.open(config_of('afew_rnn', **{'inputs.mirrored': True})).learner
    with pytest.raises(UserError, match='features have no mirror image, give False'):
        learner.check_source(object(), drawn('films'))


@pytest.mark.parametrize(
    'key, value, said',
    [
        ('inputs.normalize', 'unit', "inputs.normalize is 'unit': features .*, give none"),
        ('inputs.normalize', 'mean_std', 'features are taken as they are, give none'),
        ('inputs.equalize', 'clahe', 'features are taken as they are, give none'),
        ('inputs.crop', 12, 'inputs.crop is 12: features are taken as they are, give 0'),
        ('inputs.channels', 3, 'inputs.channels is 3: features are taken as they are, give 1'),
        ('distill.runs', 'runs/a', '^distill.runs: its networks see pictures'),
    ],
)
def test_keys_of_pictures_are_refused_for_features(key, value, said):
    config = config_of('afew_rnn')
    Sections.open(config).learner.check_source(object(), drawn('films'))
    config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError, match=said):
        Sections.open(config).learner.check_source(object(), drawn('films'))


def test_pictures_that_would_be_neither_warped_nor_cropped_are_refused():
    changes = {'inputs.normalize': 'none', 'inputs.crop': 12}
    learner = Sections.open(config_of('fer2013_cnn', **changes)).learner
    with pytest.raises(UserError, match="^inputs.normalize is 'none', which is for features.*unit"):
        learner.check_source(None, drawn('stills'))
    Sections.open(config_of('fer2013_cnn')).learner.check_source(None, drawn('stills'))


def test_frames_of_another_size_are_refused(network):
    stage, films = FirstStage.of_run(run=str(network), layer='pool2'), drawn('films')
    smaller = dataclasses.replace(films, frames=films.frames[:, :, ::2, ::2])
    with pytest.raises(UserError, match='give --config.data.size=16 --config.data.channels=1'):
        stage.clips(0, smaller)


def test_a_student_learns_what_the_network_says_of_its_views(network, tmp_path, capsys):
    changes = {
        'data.name': 'stills', 'inputs.crop': 10, 'model.width': 0.0625, 'train.epochs': 1,
        'augment.options.shift': 1 / SIZE,
    }  # fmt: skip
    taught = {'distill': {'runs': f'{network}, {network}', 'share': 0.75}}
    config = config_of('fer2013_cnn', **changes)
    config.update(taught)
    experiment.run(config, workdir=str(tmp_path / 'student'), data_dir=tmp_path)
    said = json.loads((tmp_path / 'student' / 'dataset.json').read_text())['taught_by']
    assert [chain['networks'] for chain in said] == [[0, 1], [0, 1]]
    assert said[0]['run'] == network.name and said[0]['share'] == 0.75
    assert 'share of a target: 0.75' in capsys.readouterr().out
    # A teacher sees the view, with its own crop, as its own run's networks see a frame.
    built = experiment.build(config, tmp_path)
    (member, _), clips = built.members, built.groups[0].clips
    view = np.tile(np.eye(2, 3, dtype=np.float32), (5, 1, 1)), np.ones(5, np.float32)
    system = built.learner.system(len(clips.classes))
    found = system.teachers[0].probabilities(
        member.teachers[0], clips.frames[:5], view, clips.length[:5]
    )
    expected = TrainedNetwork.open(network, 0).probabilities(drawn('stills').frames[:5])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert system.teachers_share == 0.75


@pytest.mark.parametrize(
    ('changes', 'share', 'message'),
    [
        ({}, 0.0, 'distill.share is 0: give above 0 to 1'),
        ({'inputs.equalize': 'none'}, 0.5, "inputs.equalize of .* is 'histogram', here 'none'"),
        ({'data.margin': 1.2}, 0.5, 'data.margin of .* is 1.0, here it is 1.2: train both on'),
        (
            {'protocol': {'name': 'random', 'train_fraction': 0.5, 'validation': 0.25}},
            0.5,
            'distill.runs: every network of .* was trained on test clips of fold 0',
        ),
    ],
    ids=['share', 'photometry', 'geometry', 'leak'],
)  # fmt: skip
def test_teachers_that_do_not_fit_are_the_users(network, tmp_path, changes, share, message):
    config = config_of('fer2013_cnn', **{'data.name': 'stills', 'inputs.crop': 12})
    if 'protocol' in changes:
        config = configs.merged(config, changes)
    else:
        config.update_from_flattened_dict(changes)
    config.distill.update({'runs': str(network), 'share': share})
    with pytest.raises(UserError, match=message):
        experiment.build(config, tmp_path)


@pytest.mark.parametrize(
    ('student', 'teacher', 'message'),
    [
        ({'frames': 8}, {'frames': 8, 'stills': True}, 'data.frames of runs/t is 1, here it is 8'),
        ({'frames': 8}, {'frames': 2, 'neutral': True}, 'data.frames of runs/t is 1, here it is 8'),
        ({}, {'frames': 8, 'stills': True, 'sampling': 'uniform'}, ''),
        ({'frames': 8, 'sampling': 'uniform'}, {'frames': 8}, 'data.sampling of runs/t is last'),
        (
            {'registration': 'mean_shape', 'points': 51},
            {'registration': 'mean_shape', 'points': 5},
            'data.points of runs/t is 5, here it is 51',
        ),
        ({'points': 51}, {'points': 5}, ''),
    ],
)
def test_teachers_and_students_see_the_same_frames(monkeypatch, student, teacher, message):
    def opened(data):
        return Sections.open(
            config_of('fer2013_plain', **{f'data.{k}': v for k, v in data.items()})
        )

    monkeypatch.setattr(distillation, 'sections_of', lambda path: opened(teacher))
    own = opened(student)
    refused = pytest.raises(UserError, match=message) if message else contextlib.nullcontext()
    with refused:
        distillation._check(SimpleNamespace(path='runs/t'), own.network, own.clips)


@pytest.mark.parametrize(
    ('network', 'clips', 'refused'),
    [
        ('mean_shape', 'none', True), ('none', 'none', False), ('mean_shape', 'mean_shape', False),
    ],
)  # fmt: skip
def test_a_network_of_registered_faces_makes_no_features_of_others(
    monkeypatch, tmp_path, network, clips, refused
):
    def sources(name, registration):
        return Sections.open(
            config_of(name, **{'data.faces': 'yunet', 'data.registration': registration})
        ).clips

    there = SimpleNamespace(clips=sources('fer2013_cnn', network))
    monkeypatch.setattr(first_stage, 'sections_of', lambda path: there)
    source = SimpleNamespace(path=Path('R'), classes=())
    monkeypatch.setattr(first_stage.transfer.Source, 'open', lambda *given: source)
    section = {'run': 'R', 'layer': 'pool2'}
    message = "R was trained on faces registered .* 'none': give --config.data.faces=yunet --config"
    with pytest.raises(UserError, match=message) if refused else contextlib.nullcontext():
        FirstStage.open(section, sources('afew_rnn', clips), tmp_path)


SHAPES = {
    'stills': np.array([[5, 5], [10, 5], [7.5, 8], [5.5, 11], [9.5, 11]]),
    'films': np.array([[4, 6], [12, 6], [8, 10], [5, 14], [11, 14]]),
}


def landmarked(source, folder, fit=None):
    """Drawn clips whose points lie around their set's shape; of films that judge, elsewhere."""
    clips, rng = drawn(source.name), np.random.default_rng(7)
    count, frames = clips.frames.shape[:2]
    points = SHAPES[source.name] + rng.normal(0, 0.3, (count, frames, 5, 2))
    points[clips.split != 'train'] += 5
    points[np.arange(frames) >= clips.length[:, None]] = np.nan
    if fit is not None:
        loaded_with.append(fit)
        return clips
    return dataclasses.replace(clips, landmarks=points.astype(np.float32))


loaded_with = []


def test_films_are_mapped_onto_the_mean_shape_of_the_network_s_stills(
    network, tmp_path, monkeypatch
):
    """kahou2015, sec. 2.1.2: one similarity, from the training part onto the other run's shape."""
    monkeypatch.setattr(ClipSource, 'load', landmarked)
    shaped = {'data.registration': 'mean_shape'}
    small = {'data.name': 'stills', 'model.width': 0.125, 'train.epochs': 1, 'inputs.crop': 12}
    run(tmp_path / 'stills', 'fer2013_cnn', **small, **shaped, **{'train.seeds': 1})
    target = fits.MemberFits.load(fits.path_of(tmp_path / 'stills', 0)).values[TARGET_SHAPE][0]
    assert np.abs(target - SHAPES['stills']).max() < 0.3
    loaded_with.clear()
    config = config_of('afew_rnn', **on_films(tmp_path / 'stills', **shaped))
    built = experiment.build(config, tmp_path)
    assert len(loaded_with) == 2  # one fold, and its training and validation clips together
    for fit, member in zip(loaded_with, (built.members[0], built.again[0].members[0]), strict=True):
        films = landmarked(ClipSource.open(config), tmp_path)
        np.testing.assert_array_equal(fit.clips, member.fold.train)
        mean = fitted.mean_shapes(films, member.fold.train, 5)[0]
        np.testing.assert_allclose(fit.value[0], registration.similarity(target, mean), atol=1e-9)
        assert not np.allclose(fit.value[0], np.eye(3)[:2], atol=0.1)  # not onto itself
        (kept,) = (each.value for each in member.fits if each.name == TARGET_SHAPE)
        np.testing.assert_array_equal(kept, target)
    with pytest.raises(UserError, match='were not registered so: there is no shape to map onto'):
        experiment.build(config_of('afew_rnn', **on_films(network, **shaped)), tmp_path)
    more = {**shaped, 'data.points': 51}
    with pytest.raises(UserError, match='data.points is 51, .* registered to 5 points'):
        experiment.build(config_of('afew_rnn', **on_films(tmp_path / 'stills', **more)), tmp_path)
