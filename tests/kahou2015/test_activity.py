"""Activity: the chain of its parts against NumPy, leaks, what is kept, a run on moving edges."""

import dataclasses
import functools
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data import datasets, prepared
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Fold, Protocol
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import run as experiment
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.sections import Sections
from fer_jax.kahou2015 import activity, blocks
from fer_jax.training.members import make_members

CONFIG = Path(__file__).parents[2] / 'configs' / 'afew_activity.py'
SIZES = {'blocks': 300, 'factors': 12, 'epochs': 2, 'batch_size': 50, 'words': 8}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of 8x8x5: all goes as with the published ones, in a hundredth of the time."""
    monkeypatch.setattr(blocks, 'SIDE', 8)
    monkeypatch.setattr(blocks, 'FRAMES', 5)
    monkeypatch.setattr(blocks, 'VALUES', 320)


def film(seed, moving):
    """Stripes over a scene, uint8 [11, 24, 32]; some stand, some run."""
    rng = np.random.default_rng(seed)
    t, y, x = np.meshgrid(np.arange(11), np.arange(24), np.arange(32), indexing='ij')
    angle, phase = rng.integers(2) * np.pi / 2, rng.uniform(0, 2 * np.pi)
    place = x * np.cos(angle) + y * np.sin(angle) + phase - 1.5 * moving * t
    return np.uint8(128 + 50 * np.tanh(3 * np.sin(place / 1.5)) + rng.normal(0, 2, place.shape))


def drawn(n=24):
    """Clips of two classes; the faces say nothing."""
    rng = np.random.default_rng(1)
    return ClipSet(
        name='films',
        classes=('anger', 'fear'),
        simulated=True,
        frames=rng.integers(0, 255, (n, 1, 4, 4, 1)).astype(np.uint8),
        length=np.ones(n, np.int32),
        label=(np.arange(n) % 2).astype(np.int32),
        subject=np.full(n, ''),
        clip_id=np.array([f'train/{i:03}' for i in range(n)]),
        split=np.array(['train', 'validation'])[np.arange(n) // 2 % 2],
    )


def stored(monkeypatch, films, fingerprint='f'):
    """Lets these be the prepared scenes; counts how often they are read."""
    reads = []

    def scenes(name, *, data_dir=None):
        reads.append(name)
        return iter(films.items())

    described = prepared.describe
    monkeypatch.setattr(prepared, 'scenes', scenes)
    monkeypatch.setattr(
        prepared,
        'describe',
        lambda name, data_dir=None, faces='': (
            {'fingerprint': fingerprint}
            if faces == datasets.SCENE
            else described(name, data_dir, faces)
        ),
    )
    return reads


def films_of(clips):
    films = {
        c: film(i, label)
        for i, (c, label) in enumerate(zip(clips.clip_id, clips.label, strict=True))
    }
    return {str(c): f for c, f in reversed(films.items())} | {'test/000': film(99, 1)}


def members_of(clips):
    """Two folds with two seeds each."""
    half = np.arange(len(clips)) % 4 < 2
    train, test = np.flatnonzero(half), np.flatnonzero(~half)
    folds = (Fold(train, train[:0], test), Fold(test, test[:0], train))
    return make_members(
        Protocol('halves', False, folds), clips, seeds=[0, 1], fold=-1, learning_rate=0.0,
        dropout_rate=0.0, class_weights=False, mean_std=False,
    )  # fmt: skip


def stage_of(folder, **changes):
    rest = {'contraction': 10.0, 'learning_rate': 5e-3, 'weighted': True, 'seed': 0}
    options = SIZES | {'variance': 0.99} | rest
    return activity.Activity(folder, 'films', **(options | changes))


def test_a_histogram_is_the_authors_chain():
    """The forward pass in NumPy float64: whole matrices, h, distances between all pairs."""
    rng = np.random.default_rng(0)
    frames = film(3, 1)
    vocabulary = activity.Vocabulary(
        np.array(0.1),
        rng.normal(0, 0.1, 320).astype(np.float32),
        rng.normal(0, 0.05, (320, 12)).astype(np.float32),
        (0.3 + 0.7 * np.eye(6, 12)).astype(np.float32),  # which of six factors is active
        np.zeros((12, 320), np.float32),
    )
    counts = {True: np.zeros(6), False: np.zeros(6)}
    for t in range(0, 10, 5):
        for y in range(0, 24, 8):
            for x in range(0, 32, 8):
                block = frames[t : t + 5, y : y + 8, x : x + 8].ravel() / 255
                block = block - block.mean()
                block /= block.std() + 0.1 + 0.001
                factors = (block - vocabulary.mean) @ vocabulary.matrix
                h = 1 / (1 + np.exp(-(factors**2)))
                seen = (h - 0.5) / 0.5
                word = ((seen - vocabulary.words) ** 2).sum(1).argmin()
                counts[True][word] += seen.mean()
                counts[False][word] += 1
    for weighted, count in counts.items():
        got = vocabulary.histogram(frames, weighted)
        np.testing.assert_allclose(got, count / count.sum(), atol=1e-5)
    assert (counts[True] > 0).sum() > 1


def test_each_fold_learns_from_its_training_clips_alone(monkeypatch, tmp_path):
    clips = drawn()
    films = films_of(clips)
    stored(monkeypatch, films)
    stage = stage_of(tmp_path / 'a')
    groups = stage.groups(members_of(clips), clips)
    assert [[m.seed for m in members] for members, _ in groups] == [[0, 1], [0, 1]]
    for members, seen in groups:
        assert seen.frames.shape == (24, 1, 8) and seen.frames.dtype == np.float32
        np.testing.assert_allclose(seen.frames.sum((1, 2)), 1, rtol=1e-5)
        for member in members:
            fit = member.fits[-1]
            np.testing.assert_array_equal(fit.clips, member.fold.train)
            assert stage.filters(member).shape == (12, 5, 8, 8)
            row = activity.Vocabulary(*fit.value).histogram(films['train/005'], True)
            np.testing.assert_allclose(seen.frames[5, 0], row, atol=1e-6)
    # Other test clips, in another order: training clips, and those that stayed, look the same.
    train = groups[0][0][0].fold.train
    kept = [*clips.clip_id[train].tolist(), 'train/002']
    others = {c: films[c] if c in kept else film(500 + i, 1) for i, c in enumerate(sorted(films))}
    stored(monkeypatch, others)
    again = stage_of(tmp_path / 'b').groups(members_of(clips)[:2], clips)[0][1]
    same = np.append(train, 2)
    np.testing.assert_array_equal(again.frames[same], groups[0][1].frames[same])
    assert (again.frames != groups[0][1].frames).any()


def test_what_saw_test_clips_is_refused(monkeypatch, tmp_path):
    clips = drawn()
    stored(monkeypatch, films_of(clips))
    stage, members = stage_of(tmp_path), members_of(clips)[:1]
    stage.groups(members, clips)
    path = next((tmp_path / 'films').iterdir())
    with np.load(path) as kept:
        content = dict(kept)
    content['train'] = np.append(content['train'], 'train/002')
    np.savez(path, **content)
    with pytest.raises(UserError, match='leak: the activity made from clips outside'):
        stage.groups(members, clips)


def test_it_is_fitted_once(monkeypatch, tmp_path):
    clips = drawn()
    reads = stored(monkeypatch, films_of(clips))
    stage, members = stage_of(tmp_path), members_of(clips)[:1]
    first = stage.groups(members, clips)[0][1]
    assert len(reads) == 2
    # Fewer clips, and the unlabelled one beside them: from the same file.
    unlabelled = dataclasses.replace(
        clips,
        clip_id=np.append(clips.clip_id[:-1], 'test/000'),
        label=np.append(clips.label[:-1], -1),
    )
    again = stage.groups(members, unlabelled)[0][1]
    assert len(reads) == 2
    np.testing.assert_array_equal(again.frames[:-1], first.frames[:-1])
    assert again.frames[-1].sum() == pytest.approx(1)
    strange = dataclasses.replace(clips, clip_id=np.append(clips.clip_id[:-1], 'train/999'))
    with pytest.raises(UserError, match='1 clips have no scene: train/999'):
        stage.groups(members, strange)
    for other in (stage_of(tmp_path, seed=1), stage_of(tmp_path, weighted=False)):
        assert (other.groups(members, clips)[0][1].frames != first.frames).any()
    stored(monkeypatch, films_of(clips), fingerprint='another release')
    stage.groups(members, clips)
    assert len(list((tmp_path / 'films').glob('activity-*.npz'))) == 4


def test_odd_options_and_scenes_are_refused(monkeypatch, tmp_path):
    with pytest.raises(UserError, match='activity.words is 301, activity.blocks 300'):
        stage_of(tmp_path, words=301)
    clips = drawn()
    films = films_of(clips)
    stored(monkeypatch, {c: f[:5, :8, :16] for c, f in films.items()})
    with pytest.raises(UserError, match='the 12 training clips give 24 blocks; give fewer words'):
        stage_of(tmp_path, words=30).groups(members_of(clips)[:1], clips)
    stored(monkeypatch, films | {'train/003': films['train/003'][:, :7]})
    with pytest.raises(UserError, match='scene of train/003 has 32x7 pixels: a block needs 8x8'):
        stage_of(tmp_path).groups(members_of(clips)[:1], clips)
    assert not list(tmp_path.rglob('*.npz'))
    config = config_of(**{'data.name': 'afew'})
    with config.unlocked():
        config.sound = {'file': '', 'components': 1}
    with pytest.raises(UserError, match='the config has both sound and activity'):
        Sections.open(config)


def config_of(**changes):
    spec = importlib.util.spec_from_file_location('afew_activity', CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    small = {f'activity.{key}': value for key, value in SIZES.items()}
    config.update_from_flattened_dict({'data.name': 'films', **small} | changes)
    return config


def test_a_run_learns_from_activity(monkeypatch, tmp_path):
    """Stripes that stand or run, the faces noise: what tells them is motion; filters are drawn."""
    clips = drawn(48)
    stored(monkeypatch, films_of(clips))
    loaded = functools.wraps(prepared.load)(lambda name, **given: clips)
    monkeypatch.setattr(prepared, 'load', loaded)
    monkeypatch.setattr(
        ClipSource,
        'about',
        lambda source, clips, folder: {
            'name': clips.name, 'simulated': True, 'clips': len(clips), 'registration': 'none',
            'classes': list(clips.classes), 'class_counts': clips.class_counts, 'subjects': 0,
            'faces': 'drawn', 'fingerprint': 'f', 'dropped': [], 'faceless': [], 'differences': [],
        },
    )  # fmt: skip
    run = tmp_path / 'run'
    more = {'epochs': 20, 'batch_size': 20, 'blocks': 600, 'words': 30, 'variance': 0.99}
    config = config_of(**{f'activity.{key}': value for key, value in more.items()})
    values = experiment.run(config, workdir=str(run), data_dir=tmp_path)
    assert values['last']['pooled_accuracy'] > 0.8
    said = rundir.read_json(run / 'dataset.json')['activity']
    assert said == {'features': '30 words of 12 factors, blocks of 8x8x5', 'fingerprint': 'f'}
    assert rundir.load(run).filters.shape == (12, 5, 8, 8)
    assert (run / 'figures' / 'filters.svg').exists()
    assert 'Filters of space and time' in (run / 'report.html').read_text()
    assert '30 words of 12 factors' in (run / 'report.html').read_text()
