"""The SAVEE builder on films written by hand, and on a simulated release."""

import collections
import shutil
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data.datasets import records
from fer_jax.data.datasets.savee import builder as savee
from fer_jax.errors import UserError
from fer_jax.simulation.people import movie
from fer_jax.simulation.releases import savee as simulated

RATE = 8000


def write_film(path: Path, frames=3, sound=True) -> Path:
    """A film that brightens, with noise for sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [np.full((48, 64, 3), 40 + 30 * t, np.uint8) for t in range(frames)]
    noise = np.random.default_rng(0).integers(-999, 999, RATE // 4).astype(np.int16)
    movie.write_movie(path, images, 12, sound=noise if sound else None, rate=RATE if sound else 0)
    return path


@pytest.fixture
def release(tmp_path) -> Path:
    """Six films of two speakers, and a file that every Mac leaves behind."""
    folder = tmp_path / 'SAVEE'
    for name in ('DC/a01', 'DC/sa02', 'DC/su03', 'DC/n30', 'KL/d15', 'KL/h04'):
        write_film(folder / 'AudioVisualClip' / f'{name}.avi')
    (folder / 'AudioVisualClip' / 'KL' / '.DS_Store').write_bytes(b'\0')
    return folder


@pytest.fixture
def builder(tmp_path):
    return savee.Builder(data_dir=tmp_path / 'unused', config='faces-haar')


class Finder:
    """A detector that finds the same box in every frame."""

    def quarter_turns(self, frames):
        return 0

    def find(self, frames):
        faces = records.Faces.nowhere(len(frames))
        faces.box[:] = (10, 5, 40, 35)
        return faces


def test_scan_reads_names(builder, release):
    scanned = builder.open(release)
    assert [(clip.clip_id, clip.label, clip.subject) for clip in scanned.clips] == [
        ('DC_a01', 'anger', 'DC'),
        ('DC_n30', 'neutral', 'DC'),
        ('DC_sa02', 'sadness', 'DC'),
        ('DC_su03', 'surprise', 'DC'),
        ('KL_d15', 'disgust', 'KL'),
        ('KL_h04', 'happiness', 'KL'),
    ]
    assert scanned.clips[0].path == 'AudioVisualClip/DC/a01.avi'
    assert not scanned.dropped and {clip.split for clip in scanned.clips} == {''}


def test_a_number_without_its_zero_is_the_same_clip(builder, release):
    before = [(clip.clip_id, clip.label) for clip in builder.open(release).clips]
    for path in list((release / 'AudioVisualClip').glob('*/*0[1-9].avi')):
        path.rename(path.with_name(path.name.replace('0', '')))
    scanned = builder.open(release)
    assert [(clip.clip_id, clip.label) for clip in scanned.clips] == before
    assert scanned.clips[0].path == 'AudioVisualClip/DC/a1.avi' and not scanned.dropped
    write_film(release / 'AudioVisualClip' / 'DC' / 'a01.avi')
    with pytest.raises(UserError, match='a1.avi: the clip of a01.avi once more'):
        builder.open(release)


def test_scenes_are_the_films_of_the_same_clips(builder, release, tmp_path):
    scenes = savee.Builder(data_dir=tmp_path / 'unused', config='scene')
    clips = scenes.open(release).clips
    assert clips == builder.open(release).clips
    record = scenes._arrays(clips[0], pool=None)
    assert set(record) == {'clip_id', 'label', 'subject', 'split', 'path', 'frames'}
    assert record['frames'].shape == (3, 48, 64, 1)
    assert record['frames'].mean((1, 2, 3)).tolist() == pytest.approx([40, 70, 100], abs=4)


def test_full_size_has_the_published_counts(builder, tmp_path):
    folder = tmp_path / 'full'
    for clip in simulated.plan(None, seed=1):
        path = folder / 'AudioVisualClip' / simulated.SPEAKERS[clip.speaker] / f'{clip.name}.avi'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    scanned = builder.open(folder)
    found = builder._description(scanned.clips, [])
    assert found['clips'] == 480 and found['subjects'] == 4 and found['differences'] == []
    assert found['class_counts']['savee'] == {
        'anger': 60,
        'disgust': 60,
        'fear': 60,
        'happiness': 60,
        'sadness': 60,
        'surprise': 60,
        'neutral': 120,
    }


def test_half_the_speakers_are_a_difference_in_words(builder, release):
    scanned = builder.open(release)
    differences = builder._description(scanned.clips, [])['differences']
    assert 'class anger: 1 of 60 published' in differences
    assert 'subjects: 2 of 4 published' in differences


def test_a_clip_is_stored_with_its_sound(builder, release):
    scanned = builder.open(release)
    builder.detector = Finder()
    record = builder._arrays(scanned.clips[0], pool=None)
    assert record['frames'].shape == (3, 48, 48, 3) and record['frames'].dtype == np.uint8
    assert record['has_face'].all() and record['sample_rate'] == RATE
    assert record['audio'].shape == (RATE // 4,) and record['audio'].dtype == np.int16
    middle = record['frames'][:, 20:28, 20:28].mean((1, 2, 3))
    np.testing.assert_allclose(middle, (40, 70, 100), atol=4)


def test_a_clip_without_sound_has_none(builder, release):
    write_film(release / 'AudioVisualClip' / 'DC' / 'f01.avi', frames=1, sound=False)
    clips = {clip.clip_id: clip for clip in builder.open(release).clips}
    builder.detector = Finder()
    record = builder._arrays(clips['DC_f01'], pool=None)
    assert len(record['frames']) == 1  # a clip of one frame
    assert record['audio'].shape == (0,) and record['sample_rate'] == 0


@pytest.mark.parametrize(
    'path, reason',
    [
        ('DC/x01.avi', 'foreign name'),
        ('DC/a001.avi', 'foreign name'),
        ('DC/notes.txt', 'foreign name'),
        ('ZZ/a01.avi', 'folder is no speaker of SAVEE'),
    ],
)
def test_what_is_no_clip_is_dropped_by_name(builder, release, path, reason):
    write_film(release / 'AudioVisualClip' / path.replace('.txt', '.avi')).rename(
        release / 'AudioVisualClip' / path
    )
    scanned = builder.open(release)
    assert len(scanned.clips) == 6
    (dropped,) = scanned.dropped
    assert dropped['path'] == f'AudioVisualClip/{path}' and dropped['reason'].startswith(reason)


def test_a_truncated_film_is_named(builder, release):
    path = release / 'AudioVisualClip' / 'DC' / 'a01.avi'
    path.write_bytes(path.read_bytes()[:-50])
    source = builder.open(release).clips[0]
    for read in (lambda: builder.read(source, None), lambda: builder.sound(source)):
        with pytest.raises(UserError, match=rf'{path}: unreadable video \(truncated\)'):
            read()


def test_a_missing_folder_and_a_wrong_level_are_named(builder, release, tmp_path):
    with pytest.raises(UserError, match='no such folder'):
        builder.open(tmp_path / 'nowhere')
    with pytest.raises(UserError, match=f'--release={release}$'):
        builder.open(release / 'AudioVisualClip' / 'DC')
    shutil.rmtree(release / 'AudioVisualClip')
    with pytest.raises(UserError, match="no AudioVisualClip \\(the owners' audio-visual clips\\)"):
        builder.open(release)


def test_a_changed_release_has_another_fingerprint(builder, release):
    before = builder.open(release).fingerprint
    assert builder.open(release).fingerprint == before
    write_film(release / 'AudioVisualClip' / 'DC' / 'a01.avi', frames=5)
    assert builder.open(release).fingerprint != before


def test_a_simulated_release_is_read_like_the_owners(builder, tmp_path):
    plan = [clip for clip in simulated.plan(2, seed=3) if clip.name in ('a02', 'sa01')]
    simulated.write(tmp_path / 'drawn', plan, 3, run=lambda tasks: (f(*a) for f, a in tasks))
    scanned = builder.open(tmp_path / 'drawn')
    assert collections.Counter((clip.subject, clip.label) for clip in scanned.clips) == {
        (speaker, emotion): 1 for speaker in ('DC', 'JE') for emotion in ('anger', 'sadness')
    }
    loud = {}
    for source in scanned.clips:
        frames, faces = builder.read(source, None)
        sound, rate = builder.sound(source)
        assert faces is None and 18 <= len(frames) <= 30
        assert frames[0].shape == (simulated.HEIGHT, simulated.WIDTH, 3)
        assert rate == 16000 and len(sound) / rate == pytest.approx(
            len(frames) / simulated.FPS, abs=0.01
        )
        assert np.abs(np.diff(np.stack(frames).astype(int), axis=0)).mean() > 0.3  # it moves
        loud[source.clip_id] = sound.std()
    assert loud['DC_a02'] > loud['DC_sa01'] and loud['JE_a02'] > loud['JE_sa01']


@pytest.mark.parametrize('subjects', [0, 5])
def test_a_simulated_savee_has_at_most_its_speakers(subjects):
    with pytest.raises(UserError, match=f'--subjects={subjects}: a simulated SAVEE has 1 to 4'):
        simulated.plan(subjects, seed=0)


def test_a_clip_in_two_spellings_is_refused(builder, release):
    folder = release / 'AudioVisualClip' / 'DC'
    shutil.copy(folder / 'a01.avi', folder / 'A01.AVI')
    (folder / '._a01.avi').touch()
    with pytest.raises(UserError, match='a01.avi: the clip of A01.AVI once more'):
        builder.open(release)
