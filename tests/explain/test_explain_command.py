"""The page of a small simulated run, from the command to the page; what is refused."""

import csv
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from fer_jax import cli
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import run as experiment
from fer_jax.experiment.clips import ClipSource
from fer_jax.explain import __main__ as command
from fer_jax.explain import saliency
from fer_jax.explain.network import Trained
from fer_jax.explain.occlusion import Windows

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')

ROOT = Path(__file__).parents[2]
# A cropped network on standardised, equalised faces in more clips than one length.
CHANGES = (
    'simulated.subjects=8', 'data.frames=3', 'data.sampling=last', 'data.size=32',
    'protocol.k=2', 'inputs.equalize=histogram', 'inputs.normalize=mean_std',
    'train.epochs=12', 'train.batch_size=8', 'optimizer.learning_rate=3e-3',
)  # fmt: skip


@pytest.fixture(scope='module')
def place(tmp_path_factory, drawn_data):
    """A folder with a finished run and a link to its data."""
    folder = tmp_path_factory.mktemp('explain')
    (folder / 'data').symlink_to(drawn_data)
    words = [f'--config={ROOT / "configs/ckplus_c3d.py"}:simulated']
    config = cli.parse(cli.define_config, [*words, *(f'--config.{c}' for c in CHANGES)]).config
    with config.unlocked():
        config.inputs.crop = 28
        config.inputs.mirrored = True
        config.model = {
            'name': 'frame_cnn',
            'structure': 'two3',
            'width': 0.25,
            'dropout_rate': 0.0,
        }
    experiment.run(config, workdir=str(folder / 'run'), data_dir=folder / 'data')
    return folder


def call(place, *words, run='run'):
    """The command, with errors left to the test."""
    given = [str(place / run), f'--data_dir={place / "data"}', *words]
    cli.call(command.main, command.define, given)


@pytest.fixture(scope='module')
def drawn(place):
    """The page's folder, and what the command said."""
    said = []
    before = (place / 'run' / 'report.html').read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('builtins.print', lambda *words, **options: said.append(str(words[0])))
        call(place, '--member=1', '--window=7', '--clips=3', '--kind=fall')
    assert (place / 'run' / 'report.html').read_bytes() == before
    return place / 'run' / 'explain', '\n'.join(said)


@pytest.fixture(scope='module')
def trained(place):
    return Trained.open(str(place / 'run'), 1, place / 'data')


def test_the_network_says_what_the_run_saved(trained):
    clip, saved = trained.tested
    assert 0 < len(clip) < len(trained.clips) and set(trained.clips.length[clip]) <= {1, 2, 3}
    predict = jax.jit(trained.network.system.probabilities)
    found = predict(trained.network.variables, trained.seen(clip), trained.clips.length[clip])
    np.testing.assert_allclose(found, saved, atol=2e-3)
    trained.check(clip, saved)
    wrong = np.roll(saved, 1, axis=1)
    with pytest.raises(UserError, match='does not say of .* what the run saved'):
        trained.check(clip, wrong)


def test_pictures_are_what_the_network_sees_with_the_normalisation_undone(trained):
    clip = trained.tested[0][:4]
    pictures = trained.pictures(trained.seen(clip))
    assert pictures.shape == (4, 3, 28, 28, 3)
    expected = trained.clips.frames[clip, :, 2:-2, 2:-2] / 255
    np.testing.assert_allclose(pictures, np.broadcast_to(expected, pictures.shape), atol=1e-5)
    # A zero is the mean face of the member's own training clips.
    train = trained.member.fold.train
    real = np.arange(3) < trained.clips.length[train, None]
    mean = trained.clips.frames[train][real].mean(0)[2:-2, 2:-2] / 255
    zero = trained.pictures(np.zeros((28, 28, 3), np.float32))
    np.testing.assert_allclose(zero, np.broadcast_to(mean, zero.shape), atol=1e-5)


def test_only_rightly_classified_test_clips_of_the_member_are_taken(trained):
    clip, saved = trained.tested
    label = trained.clips.label[clip]
    chosen = saliency.choose(trained, 0)
    assert sorted(chosen) == sorted(clip[saved.argmax(1) == label])
    few = saliency.choose(trained, 2)
    assert set(few) <= set(chosen)
    counts = np.bincount(trained.clips.label[chosen], minlength=7)
    np.testing.assert_array_equal(
        np.bincount(trained.clips.label[few], minlength=7), np.minimum(counts, 2)
    )
    row = {index: i for i, index in enumerate(clip.tolist())}
    sure = [saved[row[i], trained.clips.label[i]] for i in chosen.tolist()]
    for k in np.unique(trained.clips.label[chosen]):
        own = [p for p, i in zip(sure, chosen, strict=True) if trained.clips.label[i] == k]
        assert own == sorted(own)


def test_the_page_is_whole_and_stamped(drawn, trained):
    folder, said = drawn
    assert sorted(path.name for path in folder.iterdir()) == ['explain.html', 'figures']
    page = (folder / 'explain.html').read_text(encoding='utf-8')
    assert 'SIMULATED FACES' in page and 'SIMULATED FACES' in said and 'SIMULATED faces' in said
    assert 'Zero, after normalisation, is the mean face of the training clips' in page
    assert 'do not publish' not in page
    assert '49 windows of 7 x 7' in said and str(folder / 'explain.html') in said
    named = saliency.choose(trained, 3)
    classes = [trained.clips.classes[k] for k in np.unique(trained.clips.label[named])]
    drawings = {path.stem for path in (folder / 'figures').glob('*.svg')}
    assert drawings >= {
        'saliency_faces',
        'saliency_trio',
        'saliency_means',
        'filters_frames_conv1a',
    }
    numbers = [trained.clips.classes.index(name) for name in classes]
    times = {f'time_{k}_{name}' for k, name in zip(numbers, classes, strict=True)}
    assert drawings >= times and 'warps' not in drawings
    assert len([name for name in drawings if name.startswith('occluded_')]) == min(2, len(classes))
    missing = set(trained.clips.classes) - set(classes)
    assert ('gets no test clip of' in page) == bool(missing)
    for path in (folder / 'figures').glob('*.csv'):
        with path.open(encoding='utf-8', newline='') as file:
            rows = list(csv.DictReader(file))
        assert rows and {row['stamps'] for row in rows} == {'SIMULATED FACES'}, path.name


def test_the_figures_are_of_the_saved_arrays(drawn, trained):
    folder, _ = drawn
    with np.load(folder / 'figures' / 'explain.npz') as saved:
        arrays = dict(saved)
    windows = Windows.over((28, 28), 7, 4)
    assert arrays['probabilities'].shape == (len(arrays['label']), 1 + len(windows), 7)
    true = np.take_along_axis(arrays['probabilities'], arrays['label'][:, None, None], 2)[..., 0]
    falls = true[:, :1] - true[:, 1:]
    np.testing.assert_allclose(arrays['fall_maps'], windows.spread(falls), atol=1e-6)
    with (folder / 'figures' / 'saliency_means.csv').open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    for k in np.unique(arrays['label']):
        own = arrays['label'] == k
        of_class = [row for row in rows if row['class'] == trained.clips.classes[k]]
        assert {int(row['clips']) for row in of_class} == {own.sum()}
        means = [float(row['fall']) for row in of_class]
        np.testing.assert_allclose(means, falls[own].mean(0), atol=1e-5)
    with (folder / 'figures' / 'saliency.csv').open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert [row['class'] for row in rows] == [*trained.clips.classes]
    clip, said = trained.tested
    label = trained.clips.label[clip]
    counted = {
        'tested': label, 'correct': label[said.argmax(1) == label], 'mapped': arrays['label']
    }  # fmt: skip
    for key, labels in counted.items():
        expected = np.bincount(labels, minlength=7)
        np.testing.assert_array_equal([int(row[key]) for row in rows], expected, key)
    flips = arrays['probabilities'][:, 1:].argmax(2) != arrays['label'][:, None]
    for key, values in (('flip', flips), ('fall', falls)):
        for k, row in enumerate(rows):
            own = values[arrays['label'] == k]
            assert (row[key] == '') == (not own.size)
            if own.size:
                assert float(row[key]) == pytest.approx(own.mean(), abs=1e-5)
    kernel = trained.network.variables['params']['frames']['conv1a']['kernel']
    np.testing.assert_allclose(
        arrays['filters_frames_conv1a'][:, 0], np.moveaxis(kernel.mean(-2), -1, 0), atol=1e-7
    )
    assert arrays['over_time'].shape[1] <= 3


def test_another_kind_replaces_the_page_as_a_whole(place, drawn):
    out = place / 'elsewhere'
    call(place, '--clips=1', '--window=14', '--stride=14', f'--out={out}')
    first = (out / 'explain.html').read_text(encoding='utf-8')
    assert 'in 4 places of each face of 28 x 28' in first
    with pytest.MonkeyPatch.context() as patch:

        def fail(*args, **options):
            raise OSError('disk full')

        patch.setattr('os.replace', fail)
        with pytest.raises(OSError, match='disk full'):
            call(place, '--clips=1', '--window=7', '--stride=7', f'--out={out}')
    assert (out / 'explain.html').read_text(encoding='utf-8') == first
    assert sorted(path.name for path in out.iterdir()) == ['explain.html', 'figures']


@pytest.mark.parametrize(
    'words, message',
    [
        (['--member=2'], '--member is 2: .*run has members 0 to 1'),
        (['--member=-1'], '--member is -1'),
        (['--window=29'], '--window is 29, the network sees faces of 28 x 28 pixels: give 1 to 28'),
        (['--stride=9'], '--stride is 9, --window 8'),
        (['--clips=-1'], '--clips is -1'),
        (['--kind=drop'], 'kind'),
        (['another'], 'name one run'),
    ],
)
def test_a_mistake_is_one_sentence(place, words, message):
    with pytest.raises(UserError, match=message) as error:
        call(place, *words, f'--out={place / "never"}')
    assert '\n' not in str(error.value)
    assert not (place / 'never').exists()


def test_a_run_is_not_drawn_over(place):
    with pytest.raises(UserError, match='is a run, a study or a model folder, whose own report'):
        call(place, f'--out={place / "run"}')


def test_what_is_no_finished_run_is_refused(place, tmp_path):
    with pytest.raises(UserError, match='there is no run at .*nowhere'):
        call(place, run='nowhere')
    copy = tmp_path / 'copy'
    shutil.copytree(place / 'run', copy, ignore=shutil.ignore_patterns('DONE', 'explain'))
    with pytest.raises(UserError, match='copy has not finished .no DONE'):
        call(place, run=copy)


def test_other_data_are_refused(place, tmp_path, monkeypatch):
    copy = tmp_path / 'copy'
    shutil.copytree(place / 'run', copy, ignore=shutil.ignore_patterns('explain'))
    dataset = rundir.read_json(copy / 'dataset.json')
    (copy / 'dataset.json').write_text(json.dumps(dataset | {'fingerprint': 'another'}))
    with pytest.raises(UserError, match='is not what .*copy was trained on'):
        call(place, run=copy)
    (copy / 'dataset.json').write_text(json.dumps(dataset))
    monkeypatch.setattr(ClipSource, 'ensure_prepared', lambda *given: tmp_path / 'empty')
    with pytest.raises(UserError, match=r'python -m fer_jax\.prepare'):
        call(place, run=copy)


def test_what_cannot_be_shown_is_said(place, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(place / 'run', copy, ignore=shutil.ignore_patterns('explain'))
    config = rundir.read_json(copy / 'config.json')
    config['features'] = {'run': 'runs/first', 'layer': 'pool2'}
    (copy / 'config.json').write_text(json.dumps(config))
    with pytest.raises(UserError, match='learns from features of runs/first, not from faces'):
        call(place, run=copy)
