"""The MMI builder on a simulated release and on files written by hand."""

import concurrent.futures
import re

import cv2
import numpy as np
import pytest

from fer_jax import simulation
from fer_jax.data import preparation, prepared
from fer_jax.data.datasets.mmi import builder as mmi
from fer_jax.errors import UserError
from fer_jax.simulation.people import movie
from fer_jax.simulation.releases import mmi as drawn


def quiet(_line):
    """Takes the lines of a summary."""


@pytest.fixture
def builder(tmp_path):
    return mmi.Builder(data_dir=tmp_path / 'unused', config='faces-haar')


def write_session(root, number, name, emotion, view='0', size=(48, 64), coded=False):
    """A film of three frames, bright above and dark below, with its metadata; returns its path."""
    folder = root / 'Sessions' / str(number)
    folder.mkdir(parents=True)
    (folder / 'session.xml').write_text(f'<session><track view="{view}"/></session>')
    tag = '' if emotion is None else f'<Metatag Name="Emotion" Value="{emotion}"/>'
    metadata = f'<Metadata xmlns="urn:mmi"><Metatag Name="AU" Value="2"/>{tag}</Metadata>'
    (folder / f'{name}.xml').write_text(metadata)
    if coded:
        (folder / f'{name}-oao_aucs.xml').write_text('<ActionUnits/>')
    frame = np.full((*size, 3), 40, np.uint8)
    frame[: size[0] // 2] = 200
    movie.write_movie(folder / f'{name}.avi', [frame] * 3, 25)
    return folder / f'{name}.avi'


@pytest.fixture
def release(tmp_path):
    """Six films, three stills and a clip of loose frames."""
    root = tmp_path / 'mmi'
    write_session(root, 2, 'S001-002', 1)
    write_session(root, 10, 'S001-010', 6, view='2')
    write_session(root, 11, 'S002-001', None)
    write_session(root, 12, 'S002-002', 9)
    write_session(root, 13, 'S002-003', 4, view='1')
    write_session(root, 14, 'S003-001', 4)
    for number, name, frames in ((20, 'S004-001', ['']), (21, 'S004-002', ['_2', '_10', '_1'])):
        folder = root / 'Sessions' / str(number)
        folder.mkdir()
        (folder / f'{name}.xml').write_text(
            '<Metadata><Metatag Name="Emotion" Value="5"/></Metadata>'
        )
        for frame in frames:
            level = 20 * int(frame[1:] or 1)
            cv2.imwrite(str(folder / f'{name}{frame}.png'), np.full((48, 64), level, np.uint8))
    return root


def read(builder, clip):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return builder.read(clip, pool)


def test_the_full_size_has_the_published_counts(builder, tmp_path):
    for session in drawn.plan(None, 0):
        drawn.write_metadata(tmp_path, session)
        (tmp_path / session.folder / session.media).touch()
    scanned = builder.open(tmp_path)
    found = builder._description(scanned.clips, [])
    assert len(scanned.clips) + len(scanned.dropped) == 2900
    assert found['differences'] == [] and found['subjects'] == 75
    assert set(found['class_counts']['mmi'].values()) == {75}
    assert {clip['reason'] for clip in scanned.dropped} == {'no emotion'}


def test_scenes_are_of_the_same_clips_films_and_stills(builder, release, tmp_path):
    write_session(release, 15, 'S003-002', 4, size=(576, 720))  # a camera on its side
    scenes = mmi.Builder(data_dir=tmp_path / 'unused', config='scene')
    clips = scenes.open(release).clips
    assert clips == builder.open(release).clips
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = {clip.clip_id: scenes._arrays(clip, pool)['frames'] for clip in clips}
    assert found['0002_S001-002'].shape == (3, 48, 64, 1)
    assert found['0015_S003-002'].shape == (3, 320, 256, 1)
    assert (found['0020_S004-001'] == 20).all() and len(found['0020_S004-001']) == 1
    assert found['0021_S004-002'][:, 0, 0, 0].tolist() == [20, 40, 200]  # _1, _2, _10


def test_metadata_and_names_are_read(builder, release):
    scanned = builder.open(release)
    assert [(clip.clip_id, clip.label, clip.subject) for clip in scanned.clips] == [
        ('0002_S001-002', 'anger', 'S001'),
        ('0010_S001-010', 'surprise', 'S001'),
        ('0014_S003-001', 'happiness', 'S003'),
        ('0020_S004-001', 'sadness', 'S004'),
        ('0021_S004-002', 'sadness', 'S004'),
    ]
    assert scanned.clips[1].path == 'Sessions/10'
    assert [(clip['clip_id'], clip['reason']) for clip in scanned.dropped] == [
        ('0011_S002-001', 'no emotion'),
        ('0012_S002-002', 'an emotion other than the six'),
        ('0013_S002-003', 'in profile only'),
    ]
    lines = builder._description(scanned.clips, [])['differences']
    assert lines == ['videos and stills: 8 of over 2,900 published', 'subjects: 4 of 75 published']


@pytest.mark.parametrize('number', ['', '0'])
def test_a_tag_without_an_emotion_drops_its_clip_alone(builder, release, number):
    write_session(release, 30, 'S005-001', number)
    scanned = builder.open(release)
    assert {clip['clip_id']: clip['reason'] for clip in scanned.dropped}['0030_S005-001'] == (
        'no emotion'
    )
    assert len(scanned.clips) == 5


@pytest.mark.parametrize('views', [('1', '0'), ('0', '1')])
def test_each_film_of_a_session_has_its_own_view(builder, tmp_path, views):
    names = ('S001-007', 'S001-008')
    for number, name in enumerate(names):
        write_session(tmp_path, number, name, 4)
    folder = tmp_path / 'Sessions' / '0'
    for path in (tmp_path / 'Sessions' / '1').glob('S001-008.*'):
        path.rename(folder / path.name)
    tracks = (
        f'<track filename="{name.lower()}.avi" view="{view}"/>'
        for name, view in zip(names, views, strict=True)
    )
    (folder / 'session.xml').write_text(f'<session>{"".join(tracks)}</session>')
    scanned = builder.open(tmp_path)
    front = names[views.index('0')]
    assert [clip.clip_id for clip in scanned.clips] == [f'0000_{front}']
    assert [clip['reason'] for clip in scanned.dropped] == ['in profile only']


def test_films_stills_and_frames_become_clips(builder, release):
    (release / SESSION / 'S001-002.jpg').write_bytes(b'preview')
    clips = {clip.path: clip for clip in builder.open(release).clips}
    film, faces = read(builder, clips['Sessions/2'])
    assert faces is None and len(film) == 3 and film[0].shape == (48, 64, 3)
    still, _ = read(builder, clips['Sessions/20'])
    assert len(still) == 1 and still[0].shape == (48, 64, 1)
    frames, _ = read(builder, clips['Sessions/21'])
    assert [int(frame.mean()) for frame in frames] == [20, 40, 200]


@pytest.mark.parametrize(
    'view, size, coded, turned',
    [
        ('0', (576, 720), False, True),
        ('0', (576, 720), True, False),
        ('0', (480, 640), False, False),
        ('2', (576, 720), False, False),
    ],
)
def test_films_of_a_turned_camera_are_turned(builder, tmp_path, view, size, coded, turned):
    write_session(tmp_path, 1, 'S001-001', 3, view, size, coded)
    (clip,) = builder.open(tmp_path).clips
    frames, _ = read(builder, clip)
    height, width, _ = frames[0].shape
    assert (height, width) == (size[::-1] if turned else size)
    # What was above lies on the right after a turn clockwise.
    bright = frames[0][:, width * 3 // 4] if turned else frames[0][height // 4]
    assert bright.mean() > 150 and frames[0].mean() < 140


SESSION = 'Sessions/2'


@pytest.mark.parametrize(
    'file, content, message',
    [
        ('S001-002.xml', '<Metadata><Metatag Name="Emotion"', 'truncated or no XML'),
        ('S001-002.xml', '<M><Metatag Name="Emotion" Value="happy"/></M>', "emotion 'happy' is no"),
        ('session.xml', '', 'truncated or no XML'),
        ('session.xml', '<?xml version="1.0" encoding="nowhere"?><a/>', 'truncated or no XML'),
        ('holiday.avi', '', "no name of a video or picture of MMI, which is like 'S001-002.avi'"),
    ],
)
def test_bad_files_are_named(builder, release, file, content, message):
    path = release / SESSION / file
    path.write_text(content)
    with pytest.raises(UserError, match=f'{re.escape(str(path))}: .*{message}') as caught:
        builder.open(release)
    assert '\n' not in str(caught.value)


def test_foreign_and_wrong_folders_are_named(builder, release, tmp_path):
    (release / SESSION).rename(release / 'Sessions/copy')
    with pytest.raises(UserError, match="'copy' is no session of MMI, which is a number"):
        builder.open(release)
    with pytest.raises(UserError, match='nowhere: no such folder'):
        builder.open(tmp_path / 'nowhere')
    with pytest.raises(UserError, match=f'pass --release={release}$'):
        builder.open(release / 'Sessions')


def test_a_truncated_film_is_named_and_may_be_left_out(release, tmp_path):
    path = release / SESSION / 'S001-002.avi'
    path.write_bytes(path.read_bytes()[:-300])
    options = {'faces': 'haar', 'report': quiet}
    with pytest.raises(UserError, match=f'{path}: unreadable video'):
        preparation.prepare('mmi', release, tmp_path / 'data', **options)
    with pytest.raises(UserError, match='is not prepared'):
        prepared.describe('mmi', tmp_path / 'data', 'haar')
    found = preparation.prepare('mmi', release, tmp_path / 'data', skip_unreadable=True, **options)
    assert found['clips'] == 4 and found['faceless'] == [
        '0010_S001-010',
        '0014_S003-001',
        '0020_S004-001',
        '0021_S004-002',
    ]


def test_a_drawn_release_is_prepared_and_loaded(tmp_path):
    plan = [session for session in drawn.plan(1, 3) if session.emotion][:2]
    plan += [session for session in drawn.plan(1, 3) if not session.emotion][:2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn, 'plan', lambda *_: plan)
        release = simulation.write_release('mmi', tmp_path / 'mmi', subjects=1, seed=3, workers=1)
    found = preparation.prepare('mmi', release, tmp_path / 'data', faces='haar', report=quiet)
    assert found['simulated']['dataset'] == 'mmi' and found['clips'] == 2
    assert found['dropped'][0]['reason'] == 'no emotion' and len(found['dropped']) == 2
    assert not found['faceless'] and not found['faceless_frames']
    clips = prepared.load(
        'mmi', data_dir=tmp_path / 'data', faces='haar', frames=30, sampling='last', size=40
    )
    for frames, length in zip(clips.frames.astype(float), clips.length, strict=True):
        assert length >= 18
        apart = np.abs(frames[:length] - frames[0]).mean((1, 2, 3))
        assert apart[length // 2] > 2 * apart[length - 1], 'from rest over the apex to rest'
