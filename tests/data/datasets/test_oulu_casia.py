"""The Oulu-CASIA builder on a simulated release and on files written by hand."""

import re
import shutil

import cv2
import numpy as np
import pytest

from fer_jax import simulation
from fer_jax.data import preparation, prepared
from fer_jax.data.datasets.oulu_casia import builder as oulu
from fer_jax.errors import UserError
from fer_jax.simulation.releases import oulu_casia as drawn

GEOMETRY = {'frames': 3, 'sampling': 'last', 'size': 40}


def quiet(_line):
    """Takes the lines of a summary."""


def builder(tmp_path, faces='release'):
    return oulu.Builder(data_dir=tmp_path / 'unused', config=f'faces-{faces}')


@pytest.fixture(scope='module')
def drawn_release(tmp_path_factory):
    """One person with six sequences, drawn."""
    out = tmp_path_factory.mktemp('drawn') / 'oulu'
    return simulation.write_release('oulu_casia', out, subjects=1, seed=2, workers=1)


@pytest.fixture
def release(tmp_path):
    """Two subjects in two conditions, two emotions of two frames each, by hand."""
    for condition in ('VL/Strong', 'NI/Dark'):
        for top in ('OriginalImg', 'PreProcess_Img'):
            inside = condition if top == 'OriginalImg' else condition.replace('/', '_Acropped/')
            for subject in ('P001', 'P012'):
                for emotion in ('Anger', 'Surprise'):
                    folder = tmp_path / 'oulu' / top / inside / subject / emotion
                    folder.mkdir(parents=True)
                    for number in (0, 1):
                        level = 60 + 80 * number + 20 * (top == 'OriginalImg')
                        picture = np.full((24, 30, 3), level, np.uint8)
                        cv2.imwrite(str(folder / f'{number:03d}.jpeg'), picture)
    return tmp_path / 'oulu'


@pytest.mark.parametrize(
    'faces, inside', [('release', 'PreProcess_Img/VL_Acropped'), ('dlib', 'OriginalImg/VL')]
)
def test_the_full_size_has_the_published_counts(tmp_path, faces, inside):
    for sequence in drawn.plan(None, 0):
        folder = tmp_path / 'oulu' / inside / 'Strong' / sequence.folder
        folder.mkdir(parents=True)
        (folder / '000.jpeg').touch()
    reader = builder(tmp_path, faces)
    found = reader._description(reader.open(tmp_path / 'oulu').clips, [])
    assert set(found['class_counts']['oulu_casia'].values()) == {80}
    assert found['clips'] == 480 and found['subjects'] == 80 and found['differences'] == []


def test_conditions_are_chosen_and_are_other_releases(tmp_path, release):
    reader = builder(tmp_path)
    first = reader.open(release)
    assert [clip.clip_id for clip in first.clips] == [
        f'VL_Strong_{subject}_{emotion}'
        for subject in ('P001', 'P012')
        for emotion in ('Anger', 'Surprise')
    ]
    assert {clip.label for clip in first.clips} == {'anger', 'surprise'}
    dark = reader.open(release, camera='NI', light='Dark')
    assert dark.clips[0].path == 'PreProcess_Img/NI_Acropped/Dark/P001/Anger'
    assert dark.clips[0].clip_id == 'NI_Dark_P001_Anger' and len(dark.clips) == 4
    assert dark.fingerprint != first.fingerprint
    with pytest.raises(UserError, match='VL_Acropped/Weak: no such folder; .* --light'):
        reader.open(release, light='Weak')
    with pytest.raises(UserError, match='--light=Bright: one of Strong, Weak, Dark'):
        reader.open(release, light='Bright')
    with pytest.raises(UserError, match='--camera=UV: one of VL, NI'):
        reader.open(release, camera='UV')


def test_cut_pictures_are_all_face_and_whole_ones_go_to_a_detector(release, tmp_path):
    found = preparation.prepare('oulu_casia', release, tmp_path / 'data', report=quiet)
    assert found['clips'] == 4 and found['frames'] == 8 and found['faceless'] == []
    assert 'class fear: 0 of 80 published' in found['differences']
    assert 'subjects: 2 of 80 published' in found['differences']
    clips = prepared.load('oulu_casia', data_dir=tmp_path / 'data', **GEOMETRY)
    middle = clips.frames[0, :, 20, 20, 0].astype(int)
    assert np.abs(middle - [60, 140, 140]).max() <= 2 and clips.length.tolist() == [2] * 4
    whole = preparation.prepare(
        'oulu_casia', release, tmp_path / 'data', faces='haar', report=quiet
    )
    assert len(whole['faceless']) == 4
    clips = prepared.load('oulu_casia', data_dir=tmp_path / 'data', faces='haar', **GEOMETRY)
    assert np.abs(clips.frames[0, 0, 20, 20, 0].astype(int) - 80) <= 2


def test_a_folder_without_pictures_is_dropped(release, tmp_path):
    folder = release / 'PreProcess_Img/VL_Acropped/Strong/P012/Anger'
    for path in folder.iterdir():
        path.unlink()
    scanned = builder(tmp_path).open(release)
    assert len(scanned.clips) == 3
    assert [(clip['clip_id'], clip['reason']) for clip in scanned.dropped] == [
        ('VL_Strong_P012_Anger', 'no frames')
    ]


CLIP = 'PreProcess_Img/VL_Acropped/Strong/P001/Anger'


@pytest.mark.parametrize(
    'old, new, message',
    [
        (CLIP, f'{CLIP}ry', "'Angerry' is none of Anger, Disgust"),
        (
            'PreProcess_Img/VL_Acropped/Strong/P001',
            'PreProcess_Img/VL_Acropped/Strong/Q1',
            "'Q1' is no subject of Oulu-CASIA",
        ),
        (f'{CLIP}/001.jpeg', f'{CLIP}/last.jpeg', 'no name of a frame'),
    ],
)
def test_foreign_names_and_wrong_labels_are_named(release, tmp_path, old, new, message):
    path = (release / old).rename(release / new)
    with pytest.raises(UserError, match=f'{re.escape(str(path))}: .*{message}'):
        builder(tmp_path).open(release)


def test_a_truncated_picture_is_named_and_may_be_left_out(release, tmp_path):
    path = release / CLIP / '001.jpeg'
    path.write_bytes(path.read_bytes()[:-40])
    fault = f'{re.escape(str(path))}: unreadable image .truncated, damaged or no JPEG'
    with pytest.raises(UserError, match=fault) as caught:
        preparation.prepare('oulu_casia', release, tmp_path / 'data', report=quiet)
    assert '\n' not in str(caught.value)
    with pytest.raises(UserError, match='is not prepared'):
        prepared.describe('oulu_casia', tmp_path / 'data')
    found = preparation.prepare(
        'oulu_casia', release, tmp_path / 'data', skip_unreadable=True, report=quiet
    )
    assert found['clips'] == 3
    assert [clip['clip_id'] for clip in found['dropped']] == ['VL_Strong_P001_Anger']


def test_a_missing_part_is_named(release, tmp_path):
    with pytest.raises(UserError, match='nowhere: no such folder'):
        builder(tmp_path).open(tmp_path / 'nowhere')
    shutil.rmtree(release / 'PreProcess_Img')
    with pytest.raises(
        UserError, match=r'no PreProcess_Img \(the pictures cut to the face; --faces=dlib'
    ):
        builder(tmp_path).open(release)
    assert len(builder(tmp_path, 'dlib').open(release).clips) == 4
    with pytest.raises(UserError, match=f'pass --release={release}$'):
        builder(tmp_path, 'dlib').open(release / 'OriginalImg/VL')


def test_a_drawn_release_is_prepared_in_both_ways(drawn_release, tmp_path):
    found = preparation.prepare('oulu_casia', drawn_release, tmp_path, report=quiet)
    assert found['clips'] == 6 and found['subjects'] == 1 and found['faceless'] == []
    clips = prepared.load('oulu_casia', data_dir=tmp_path, **GEOMETRY)
    assert clips.simulated and sorted(clips.label) == [0, 1, 2, 3, 4, 5]
    assert clips.frames.std((2, 3, 4)).min() > 15
    seen = preparation.prepare('oulu_casia', drawn_release, tmp_path, faces='haar', report=quiet)
    assert seen['frames'] == found['frames'] and not seen['faceless']
    assert sum(seen['faceless_frames'].values()) < 0.05 * seen['frames']
