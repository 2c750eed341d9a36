"""The FERG-DB builder on a simulated release and on files written by hand."""

import re

import cv2
import numpy as np
import pytest

from fer_jax import simulation
from fer_jax.data import preparation, prepared
from fer_jax.data.datasets.ferg import builder as ferg
from fer_jax.errors import UserError
from fer_jax.simulation.releases import ferg as drawn

WORDS = ('anger', 'disgust', 'fear', 'joy', 'neutral', 'sadness', 'surprise')
GEOMETRY = {'frames': 1, 'sampling': 'last', 'size': 48}


def quiet(_line):
    """Takes the lines of a summary."""


@pytest.fixture
def builder(tmp_path):
    return ferg.Builder(data_dir=tmp_path / 'unused', config='faces-release')


@pytest.fixture
def release(tmp_path):
    """Two characters, seven expressions, two pictures each, by hand."""
    for character in ('aia', 'ray'):
        for k, word in enumerate(WORDS):
            folder = tmp_path / 'ferg/FERG_DB_256' / character / f'{character}_{word}'
            folder.mkdir(parents=True)
            for number in (2, 10):
                picture = np.full((256, 256, 3), (10 * k, 20 * k, 100 + number), np.uint8)
                cv2.imwrite(str(folder / f'{character}_{word}_{number}.png'), picture)
    (tmp_path / 'ferg/FERG_DB_256/readme.txt').write_text('licence')
    return tmp_path / 'ferg'


def test_the_full_size_has_the_published_counts(builder, tmp_path):
    paths = [path for piece in drawn.plan(None, 0) for path in piece.paths]
    for folder in {path.parent for path in paths}:
        (tmp_path / folder).mkdir(parents=True)
    for path in paths:
        (tmp_path / path).touch()
    found = builder._description(builder.open(tmp_path).clips, [])
    assert found['clips'] == 55767 and found['subjects'] == 6 and found['differences'] == []
    counts = found['class_counts']['ferg']
    assert len(counts) == 7 and max(counts.values()) - min(counts.values()) <= 6


def test_names_are_read(builder, release):
    scanned = builder.open(release)
    assert len(scanned.clips) == 28
    first = scanned.clips[0]
    assert (first.clip_id, first.label, first.subject) == ('aia_anger_00002', 'anger', 'aia')
    assert first.path == 'FERG_DB_256/aia/aia_anger/aia_anger_2.png'
    joy = [clip for clip in scanned.clips if '_joy_' in clip.clip_id]
    assert {clip.label for clip in joy} == {'happiness'} and len(joy) == 4
    inside = builder.open(release / 'FERG_DB_256')
    assert [clip.clip_id for clip in inside.clips] == [clip.clip_id for clip in scanned.clips]


def test_pictures_are_stored_small_and_whole(release, tmp_path):
    found = preparation.prepare('ferg', release, tmp_path / 'data', report=quiet)
    assert found['clips'] == 28 and found['subjects'] == 2 and not found['faceless']
    assert 'subjects: 2 of 6 published' in found['differences']
    assert 'pictures: 28 of 55,767 published' in found['differences']
    clips = prepared.load('ferg', data_dir=tmp_path / 'data', channels=3, **GEOMETRY)
    assert clips.frames.shape == (28, 1, 48, 48, 3)
    at = clips.clip_id.tolist().index('ray_surprise_00010')
    np.testing.assert_array_equal(clips.frames[at, 0], np.full((48, 48, 3), (110, 120, 60)))


def test_a_truncated_picture_is_named_and_may_be_left_out(release, tmp_path):
    path = release / 'FERG_DB_256/aia/aia_joy/aia_joy_10.png'
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=f'{path}: unreadable image .truncated'):
        preparation.prepare('ferg', release, tmp_path / 'data', report=quiet)
    assert not (tmp_path / 'data').exists()
    found = preparation.prepare(
        'ferg', release, tmp_path / 'data', skip_unreadable=True, report=quiet
    )
    assert found['clips'] == 27 and found['dropped'][0]['clip_id'] == 'aia_joy_00010'


@pytest.mark.parametrize(
    'old, new, message',
    [
        ('aia', 'eve', "'eve' is none of FERG's characters aia, bonnie"),
        ('aia/aia_joy', 'aia/aia_happy', "'aia_happy' is not aia_ with one of anger"),
        ('aia/aia_joy', 'aia/joy', "'joy' is not aia_ with one of anger"),
        ('aia/aia_joy/aia_joy_2.png', 'aia/aia_joy/aia_fear_2.png', 'no name of a picture in'),
    ],
)
def test_foreign_names_and_wrong_labels_are_named(builder, release, old, new, message):
    path = (release / 'FERG_DB_256' / old).rename(release / 'FERG_DB_256' / new)
    with pytest.raises(UserError, match=f'{re.escape(str(path))}: .*{message}'):
        builder.open(release)


def test_a_missing_or_wrong_folder_is_named(builder, release, tmp_path):
    with pytest.raises(UserError, match='nowhere: no such folder'):
        builder.open(tmp_path / 'nowhere')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='empty is no FERG-DB release'):
        builder.open(tmp_path / 'empty')
    with pytest.raises(UserError, match=f'pass --release={release}/FERG_DB_256$'):
        builder.open(release / 'FERG_DB_256/aia/aia_joy')


def test_a_drawn_release_is_prepared_and_loaded(tmp_path):
    release = simulation.write_release('ferg', tmp_path / 'ferg', subjects=1, workers=1)
    lines = []
    found = preparation.prepare('ferg', release, tmp_path / 'data', report=lines.append)
    assert found['clips'] == 7 * drawn.FEW and found['subjects'] == 1
    assert 'SIMULATED faces' in lines[0]
    clips = prepared.load('ferg', data_dir=tmp_path / 'data', **GEOMETRY)
    assert clips.simulated and np.bincount(clips.label).tolist() == [drawn.FEW] * 7
    assert clips.frames.std((2, 3, 4)).min() > 20
