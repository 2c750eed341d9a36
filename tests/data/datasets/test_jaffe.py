"""The JAFFE builder on a simulated release and on files written by hand."""

import concurrent.futures
import re

import numpy as np
import pytest
from PIL import Image

from fer_jax import simulation
from fer_jax.data import preparation, prepared
from fer_jax.data.datasets.jaffe import builder as jaffe
from fer_jax.errors import UserError
from fer_jax.simulation.releases import jaffe as drawn

COUNTS = {
    'anger': 30,
    'disgust': 29,
    'fear': 32,
    'happiness': 31,
    'neutral': 30,
    'sadness': 31,
    'surprise': 30,
}


def quiet(_line):
    """Takes the lines of a summary."""


@pytest.fixture
def builder(tmp_path):
    return jaffe.Builder(data_dir=tmp_path / 'unused', config='faces-haar')


@pytest.fixture(scope='module')
def drawn_release(tmp_path_factory):
    """Two people, drawn."""
    out = tmp_path_factory.mktemp('drawn') / 'jaffe'
    return simulation.write_release('jaffe', out, subjects=2, seed=1, workers=1)


@pytest.fixture
def release(tmp_path):
    """Five pictures of two subjects, grey ramps; one with a palette."""
    folder = tmp_path / 'jaffe'
    folder.mkdir()
    for name in ('KA.AN1.39', 'KA.NE2.27', 'YM.HA1.52', 'YM.SU3.60', 'YM.DI1.64'):
        drawn.write_image(folder / f'{name}.tiff', ramp(), palette=name == 'YM.SU3.60')
    (folder / 'README').write_text('ratings')
    return folder


def ramp():
    return np.add.outer(np.arange(64), 2 * np.arange(64)).astype(np.uint8)


def test_the_full_size_has_the_published_counts(builder, tmp_path):
    folder = tmp_path / 'jaffe'
    folder.mkdir()
    for shot in drawn.plan(None, 0):
        (folder / shot.name).touch()
    clips = builder.open(folder).clips
    found = builder._description(clips, [])
    assert found['class_counts']['jaffe'] == COUNTS
    assert found['clips'] == 213 and found['subjects'] == 10
    assert found['differences'] == []


def test_names_are_read(builder, release):
    scanned = builder.open(release)
    assert [(clip.clip_id, clip.label, clip.subject) for clip in scanned.clips] == [
        ('KA.AN1.39', 'anger', 'KA'),
        ('KA.NE2.27', 'neutral', 'KA'),
        ('YM.DI1.64', 'disgust', 'YM'),
        ('YM.HA1.52', 'happiness', 'YM'),
        ('YM.SU3.60', 'surprise', 'YM'),
    ]
    assert scanned.dropped == []


def test_pictures_with_and_without_palette_are_the_same_grey(builder, release):
    with Image.open(release / 'YM.SU3.60.tiff') as image:
        assert image.mode == 'P'
    for clip in builder.open(release).clips:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            frames, faces = builder.read(clip, pool)
        np.testing.assert_array_equal(frames[0], ramp()[..., None])
        assert faces is None


@pytest.mark.parametrize(
    'change, message',
    [
        ('truncated', 'truncated, damaged or no TIFF'),
        ('foreign', "no name of a JAFFE picture, which is like 'KA.AN1.39.tiff'"),
        ('label', "'XX' is none of JAFFE's expressions AN, DI"),
    ],
)
def test_bad_files_are_named(release, tmp_path, change, message):
    path = release / 'KA.AN1.39.tiff'
    if change == 'truncated':
        path.write_bytes(path.read_bytes()[:1500])
    else:
        name = {'foreign': 'anger of KA.tiff', 'label': 'KA.XX1.39.tiff'}[change]
        path = path.rename(release / name)
    with pytest.raises(UserError, match=f'{re.escape(str(path))}: .*{message}') as caught:
        preparation.prepare('jaffe', release, tmp_path / 'data', faces='haar', report=quiet)
    assert '\n' not in str(caught.value)
    with pytest.raises(UserError, match='is not prepared'):
        prepared.describe('jaffe', tmp_path / 'data', 'haar')


def test_a_missing_or_wrong_folder_is_named(builder, release, tmp_path):
    with pytest.raises(UserError, match='nowhere: no such folder'):
        builder.open(tmp_path / 'nowhere')
    with pytest.raises(UserError, match=f'pass --release={release}$'):
        builder.open(release.parent)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='no JAFFE release'):
        builder.open(tmp_path / 'empty')


def test_a_drawn_release_is_prepared_and_loaded(drawn_release, tmp_path):
    lines = []
    options = {'faces': 'haar', 'report': lines.append}
    found = preparation.prepare('jaffe', drawn_release, tmp_path, **options)
    assert found['simulated']['dataset'] == 'jaffe' and found['subjects'] == 2
    assert found['clips'] == len(drawn.plan(2, 1)) and found['frames'] == found['clips']
    assert 'subjects: 2 of 10 published' in found['differences']
    assert len(found['faceless']) <= 1
    clips = prepared.load(
        'jaffe', data_dir=tmp_path, faces='haar', frames=1, sampling='last', size=48
    )
    assert clips.frames.shape == (found['clips'], 1, 48, 48, 1)
    assert set(clips.subject) == {'KA', 'KL'} and set(clips.split) == {''}
    again = preparation.prepare('jaffe', drawn_release, tmp_path / 'b', faces='haar', report=quiet)
    assert again['class_counts'] == found['class_counts']
    shards = [
        next(prepared.location('jaffe', place, 'haar').glob('*array_record*')).read_bytes()
        for place in (tmp_path, tmp_path / 'b')
    ]
    assert shards[0] == shards[1]


def test_pictures_without_a_face_stay_marked(release, tmp_path):
    found = preparation.prepare('jaffe', release, tmp_path / 'data', faces='haar', report=quiet)
    assert found['clips'] == 5 and len(found['faceless']) == 5
