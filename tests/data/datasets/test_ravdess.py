"""The RAVDESS builder on files written by hand, and on a simulated release."""

import collections

import numpy as np
import pytest

from fer_jax.data import preparation, prepared
from fer_jax.data.datasets.ravdess import builder as ravdess
from fer_jax.errors import UserError
from fer_jax.simulation.people import movie
from fer_jax.simulation.releases import ravdess as simulated

RATE = 16000
NOISE = np.random.default_rng(0).integers(-999, 999, RATE // 4).astype(np.int16)


def write_film(path, sound=True):
    """A film of three grey frames; with half as loud noise for sound as the .wav files have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [np.full((48, 64, 3), 40 + 30 * t, np.uint8) for t in range(3)]
    given = {'sound': NOISE // 2, 'rate': RATE} if sound else {}
    movie.write_movie(path, images, 12, **given)


def write_voice(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    movie.write_sound(path, NOISE, RATE)


@pytest.fixture
def release(tmp_path):
    """A clip in all three modalities, one without sound, one of sound alone, and a song."""
    folder = tmp_path / 'RAVDESS'
    write_film(folder / 'Actor_12' / '01-01-05-02-01-02-12.mp4')
    write_film(folder / 'Actor_12' / '02-01-05-02-01-02-12.mp4', sound=False)
    voices = folder / 'Audio_Speech_Actors_01-24'
    write_voice(voices / 'Actor_12' / '03-01-05-02-01-02-12.wav')
    write_film(folder / 'Video_Speech_Actor_01' / 'Actor_01' / '02-01-02-01-01-01-01.mp4', False)
    write_voice(voices / 'Actor_01' / '03-01-01-01-01-01-01.wav')
    write_film(folder / 'Actor_12' / '01-02-03-01-01-01-12.mp4')
    return folder


@pytest.fixture
def builder(tmp_path):
    return ravdess.Builder(data_dir=tmp_path / 'unused', config='faces-haar')


def test_three_files_of_a_recording_are_one_clip(builder, release):
    scanned = builder.open(release)
    found = {clip.clip_id: clip for clip in scanned.clips}
    assert [(name, clip.label, clip.subject) for name, clip in found.items()] == [
        ('01-01-01-01-01-01', 'neutral', '01'),
        ('01-02-01-01-01-01', 'calm', '01'),
        ('01-05-02-01-02-12', 'anger', '12'),
    ]
    whole = found['01-05-02-01-02-12']
    assert whole.path == 'Actor_12/01-01-05-02-01-02-12.mp4'
    assert [path.name[:2] for path in whole.payload.files] == ['01', '03']
    sound, rate = builder.sound(whole)
    np.testing.assert_array_equal(sound, NOISE)  # of the .wav, not compressed
    assert rate == RATE and len(builder.read(whole, None)[0]) == 3
    assert found['01-02-01-01-01-01'].payload.voice is None
    assert builder.sound(found['01-02-01-01-01-01'])[1] == 0
    reasons = {(clip['clip_id'], clip['label_set']): clip['reason'] for clip in scanned.dropped}
    assert reasons == {
        ('02-03-01-01-01-12', ''): 'song',
        ('01-02-01-01-01-01', 'ravdess7'): 'calm',
    }


def test_calm_is_in_one_of_two_label_sets(builder, release):
    calm = builder.open(release).clips[1]
    assert calm.label == 'calm' and calm.other_labels == {'ravdess7': ''}
    counts = builder._description(builder.scanned.clips, [])['class_counts']
    assert 'calm' not in counts['ravdess7'] and counts['ravdess8']['calm'] == 1
    assert sum(counts['ravdess7'].values()) == 2


def test_a_clip_of_sound_alone_is_stored_without_a_face(builder, release):
    clip = builder.open(release).clips[0]
    assert not builder.has_pictures(clip)
    record = builder._arrays(clip, pool=None)
    assert not record['has_face'].any() and record['frames'].shape[0] == 1
    np.testing.assert_array_equal(record['audio'], NOISE)


def test_copies_and_foreign_files_are_named(builder, release):
    write_film(release / 'again' / 'Actor_12' / '01-01-05-02-01-02-12.mp4')
    write_film(release / 'Actor_12' / 'holiday.mp4')
    write_film(release / 'Actor_12' / '01-01-09-02-01-02-12.mp4')
    dropped = {clip['path']: clip['reason'] for clip in builder.open(release).dropped}
    assert dropped['again/Actor_12/01-01-05-02-01-02-12.mp4'] == 'a copy of another file'
    assert dropped['Actor_12/holiday.mp4'].startswith('foreign name')
    assert dropped['Actor_12/01-01-09-02-01-02-12.mp4'].startswith('foreign name')


def test_a_wrong_folder_is_named(builder, release, tmp_path):
    with pytest.raises(UserError, match=f'--release={release}$'):
        builder.open(release / 'Actor_12')
    (tmp_path / 'some' / 'where' / 'empty').mkdir(parents=True)
    with pytest.raises(UserError, match='is no RAVDESS release; .* Actor_01 to Actor_24'):
        builder.open(tmp_path / 'some' / 'where' / 'empty')


def test_full_size_has_the_published_counts(builder, tmp_path):
    for clip in simulated.plan(None, seed=1):
        folder = tmp_path / 'full' / f'Actor_{clip.actor:02d}'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f'01-{clip.name}-{clip.actor:02d}.mp4').touch()
    scanned = builder.open(tmp_path / 'full')
    found = builder._description(scanned.clips, [])
    assert found['clips'] == 1440 and found['subjects'] == 24 and found['differences'] == []
    assert sum(found['class_counts']['ravdess7'].values()) == 1248


def test_folds_by_actor_test_men_and_women():
    from fer_jax.data import clips, protocols

    actor = np.repeat(np.arange(1, 25), 8)
    data = clips.ClipSet(
        name='ravdess', classes=('a', 'b'), simulated=True,
        frames=np.zeros((192, 1, 1, 1, 1), np.uint8), length=np.ones(192, np.int32),
        label=np.tile([0, 1], 96).astype(np.int32),
        subject=np.array([f'{n:02d}' for n in actor]),
        clip_id=np.arange(192).astype(str), split=np.full(192, ''),
    )  # fmt: skip
    folds = protocols.make_protocol(data, name='balanced', k=5).folds
    assert all(len(set(actor[fold.test] % 2)) == 2 for fold in folds)
    six = protocols.make_protocol(data, name='balanced', k=6).folds
    assert all(len(set(actor[fold.test] % 2)) == 1 for fold in six)  # why there are five


def test_a_simulated_release_is_prepared_like_the_owners(tmp_path):
    plan = [
        clip
        for clip in simulated.plan(2, seed=3)
        if clip.name in ('01-02-01-01-01', '01-05-02-01-01')
    ]
    (tmp_path / 'drawn').mkdir()
    simulated.write(tmp_path / 'drawn', plan, 3, run=lambda tasks: (f(*a) for f, a in tasks))
    preparation.prepare('ravdess', tmp_path / 'drawn', tmp_path / 'data')
    geometry = {'frames': 4, 'sampling': 'uniform', 'size': 32, 'registration': 'eyes'}
    clips = prepared.load('ravdess', data_dir=tmp_path / 'data', **geometry)
    assert clips.classes[-1] == 'calm' and collections.Counter(clips.subject.tolist()) == {
        '01': 2,
        '02': 2,
    }
    without = prepared.load('ravdess', data_dir=tmp_path / 'data', labels='ravdess7', **geometry)
    assert without.clip_id.tolist() == ['01-05-02-01-01-01', '01-05-02-01-01-02']
    sound = prepared.load_audio('ravdess', data_dir=tmp_path / 'data')
    levels = {name: samples.std() for name, (samples, _) in sound.items()}
    assert levels['01-05-02-01-01-01'] > levels['01-02-01-01-01-01']  # anger is louder than calm


@pytest.mark.parametrize('subjects', [0, 25])
def test_a_simulated_ravdess_has_at_most_its_actors(subjects):
    with pytest.raises(UserError, match=f'--subjects={subjects}: a simulated RAVDESS has 1 to 24'):
        simulated.plan(subjects, seed=0)
