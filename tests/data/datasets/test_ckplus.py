"""The CK+ builder on sequences written by hand."""

import dataclasses
import shutil

import numpy as np
import pytest

from fer_jax.data import preparation, prepared
from fer_jax.data.datasets.ckplus import builder as ckplus
from fer_jax.errors import UserError


@pytest.fixture
def builder(tmp_path):
    return ckplus.Builder(data_dir=tmp_path / 'unused', config='faces-release')


def quiet(_line):
    """Takes the lines of a summary."""


def test_scan_lists_labelled_sequences_and_drops_the_others(builder, ckplus_release):
    scanned = builder.open(ckplus_release)
    assert [(clip.clip_id, clip.label, clip.subject) for clip in scanned.clips] == [
        ('S005_001', 'disgust', 'S005'),
        ('S010_001', 'anger', 'S010'),
        ('S010_002', 'surprise', 'S010'),
        ('S999_003', 'happiness', 'S999'),
    ]
    assert scanned.clips[0].path == 'cohn-kanade-images/S005/001'
    assert scanned.dropped == [
        {
            'clip_id': 'S011_001',
            'path': 'cohn-kanade-images/S011/001',
            'reason': 'unlabelled',
            'label_set': '',
        }
    ]


def test_a_label_without_pictures_is_dropped(builder, ckplus_release):
    shutil.rmtree(ckplus_release / 'cohn-kanade-images' / 'S999')
    scanned = builder.open(ckplus_release)
    assert [clip.clip_id for clip in scanned.clips] == ['S005_001', 'S010_001', 'S010_002']
    assert ('S999_003', 'no frames') in {
        (clip['clip_id'], clip['reason']) for clip in scanned.dropped
    }


def test_what_is_stored(ckplus_release, tmp_path):
    lines = []
    found = preparation.prepare('ckplus', ckplus_release, tmp_path / 'data', report=lines.append)
    assert found == prepared.describe('ckplus', tmp_path / 'data')
    assert found['clips'] == 4 and found['frames'] == 14 and found['subjects'] == 3
    assert found['simulated'] is None and found['faceless'] == []
    assert found['class_counts']['ckplus'] == {
        'anger': 1,
        'contempt': 0,
        'disgust': 1,
        'fear': 0,
        'happiness': 1,
        'sadness': 0,
        'surprise': 1,
    }
    assert 'class surprise: 1 of 83 published' in found['differences']
    assert 'subjects: 3 of 118 published' in found['differences']
    text = '\n'.join(lines)
    assert '4 clips of 3 subjects, 14 frames' in text
    assert 'dropped, unlabelled: 1: S011_001' in text
    assert 'warning: class fear: 0 of 25 published' in text


def test_records_keep_order_channels_and_landmarks(ckplus_release, tmp_path, handmade):
    import tensorflow_datasets as tfds

    preparation.prepare('ckplus', ckplus_release, tmp_path, report=quiet)
    source = tfds.builder_from_directory(prepared.location('ckplus', tmp_path)).as_data_source()
    records = {record['clip_id'].decode(): record for record in source['clips']}
    assert set(records) == {'S005_001', 'S010_001', 'S010_002', 'S999_003'}
    assert records['S010_001']['frames'].shape[3] == 3  # in colour as shipped
    assert records['S010_002']['frames'].shape[3] == 1
    assert records['S999_003']['label'] == b'happiness'
    for sequence in handmade.SEQUENCES:
        if sequence.emotion is None:
            continue
        record = records[f'{sequence.subject}_{sequence.number}']
        assert len(record['frames']) == len(sequence.poses)
        for frame, points in zip(record['frames'], record['landmarks'], strict=True):
            for eye in (points[36:42].mean(0), points[42:48].mean(0)):
                column, row = eye.round().astype(int)
                # The disc is white before OpenCV's BGR becomes RGB.
                assert frame[row, column].max() == 255


def test_two_preparations_are_identical_to_the_byte(ckplus_release, tmp_path):
    shards = []
    for name in ('a', 'b'):
        preparation.prepare('ckplus', ckplus_release, tmp_path / name, report=quiet)
        folder = prepared.location('ckplus', tmp_path / name)
        shards.append([path.read_bytes() for path in sorted(folder.glob('*array_record*'))])
    assert shards[0] == shards[1] and len(shards[0]) == 1


def test_frames_and_clips_without_landmarks_are_marked(ckplus_release, tmp_path):
    landmarks = ckplus_release / 'Landmarks'
    shutil.rmtree(landmarks / 'S005')
    (landmarks / 'S010' / '002' / 'S010_002_00000002_landmarks.txt').unlink()
    found = preparation.prepare('ckplus', ckplus_release, tmp_path, report=quiet)
    assert found['faceless'] == ['S005_001'] and found['clips'] == 4
    kept = prepared.load('ckplus', data_dir=tmp_path, frames=2, sampling='last', size=32)
    assert 'S005_001' in kept.clip_id
    left = prepared.load(
        'ckplus', data_dir=tmp_path, frames=2, sampling='last', size=32, drop_faceless=True
    )
    assert left.clip_id.tolist() == ['S010_001', 'S010_002', 'S999_003']
    eyes = prepared.load(
        'ckplus', data_dir=tmp_path, frames=3, sampling='last', size=32, registration='eyes'
    )
    assert len(eyes) == 4 and np.ptp(eyes.frames[0]) > 0


LABEL = 'Emotion/S005/001/S005_001_00000002_emotion.txt'
POINTS = 'Landmarks/S005/001/S005_001_00000001_landmarks.txt'
PICTURE = 'cohn-kanade-images/S005/001/S005_001_00000002.png'


@pytest.mark.parametrize(
    'file, content, message',
    [
        (LABEL, b'happy', 'one emotion number expected'),
        (LABEL, b'', 'one emotion number expected'),
        (LABEL, b'8.0000000e+00', 'emotion 8 is not one of 1 to 7'),
        (LABEL, b'0.0000000e+00', 'emotion 0 is not one of 1 to 7'),
        (LABEL, b'2.5', 'emotion 2.5 is not one of 1 to 7'),
        (POINTS, b'1.0 2.0\n', r'68 landmarks, x and y expected, found 2 number\(s\)'),
        (POINTS, b'x y\n', '68 landmarks, x and y expected'),
        (PICTURE, b'\x89PNG\r\n\x1a\n', r'unreadable image \(truncated\)'),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_left(ckplus_release, tmp_path, file, content, message):
    (ckplus_release / file).write_bytes(content)
    with pytest.raises(UserError, match=f'{ckplus_release / file}: {message}') as caught:
        preparation.prepare('ckplus', ckplus_release, tmp_path / 'data', report=quiet)
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'data').exists()
    with pytest.raises(UserError, match='is not prepared'):
        prepared.describe('ckplus', tmp_path / 'data')


FRAME = 'cohn-kanade-images/S005/001/S005_001_0000000{}.png'


@pytest.mark.parametrize(
    'source, copy, message',
    [
        (FRAME.format(2), 'cohn-kanade-images/S005/001/S005_001_00000002 (1).png', 'by its name'),
        (FRAME.format(2), 'cohn-kanade-images/S005/001/S010_002_00000001.png', 'by its name'),
        (FRAME.format(2), FRAME.format(2).replace('.png', '.PNG'), 'the frame of .* once more'),
        (LABEL, 'Emotion/S005/001/S010_002_00000002_emotion.txt', 'by its name'),
    ],
)
def test_a_file_of_another_sequence_or_a_copy_is_named(
    builder, ckplus_release, source, copy, message
):
    shutil.copy(ckplus_release / source, ckplus_release / copy)
    with pytest.raises(UserError, match=message):
        builder.open(ckplus_release)


def test_two_emotion_files_must_agree(builder, ckplus_release):
    other = ckplus_release / LABEL.replace('00000002', '00000001')
    shutil.copy(ckplus_release / LABEL, other)
    assert len(builder.open(ckplus_release).clips) == 4
    other.write_text('5.0')
    with pytest.raises(UserError, match='00000001_emotion.txt says happiness, .* says '):
        builder.open(ckplus_release)


def test_names_in_capitals_count_and_those_of_macos_do_not(builder, ckplus_release):
    before = builder.open(ckplus_release)
    first = ckplus_release / FRAME.format(1)
    first.rename(first.with_suffix('.PNG'))
    for file in (LABEL, FRAME.format(2), POINTS):
        path = ckplus_release / file
        path.with_name(f'._{path.name}').write_bytes(b'\0\5\x16\7')
    (ckplus_release / 'Emotion' / 'S011' / '001').mkdir(parents=True, exist_ok=True)
    (ckplus_release / 'Emotion' / 'S011' / '001' / '._S011_001_00000002_emotion.txt').touch()
    label = ckplus_release / LABEL
    label.write_bytes(b'\xef\xbb\xbf' + label.read_bytes())
    after = builder.open(ckplus_release)
    assert [(c.clip_id, c.label) for c in after.clips] == [
        (c.clip_id, c.label) for c in before.clips
    ]
    assert [len(c.payload[0]) for c in after.clips] == [len(c.payload[0]) for c in before.clips]


def test_landmarks_far_outside_are_refused(ckplus_release, tmp_path):
    path = ckplus_release / POINTS
    numbers = path.read_text().split()
    path.write_text(' '.join(['-9000', *numbers[1:]]))
    with pytest.raises(UserError, match=f'{path}: a landmark lies 9000 pixels outside'):
        preparation.prepare('ckplus', ckplus_release, tmp_path / 'data', report=quiet)


@pytest.mark.parametrize('wrong', ['..', 'cohn-kanade-images', 'Emotion/S005'])
def test_a_wrong_folder_level_names_the_right_one(builder, ckplus_release, wrong):
    with pytest.raises(UserError, match=f'--release={ckplus_release}$'):
        builder.open((ckplus_release / wrong).resolve())


def test_a_missing_part_names_its_archive(builder, ckplus_release):
    shutil.rmtree(ckplus_release / 'Landmarks')
    with pytest.raises(UserError, match=r'no Landmarks \(from Landmarks.zip\)'):
        builder.open(ckplus_release)


def test_landmarks_are_asked_for_where_they_find_the_faces_alone(ckplus_release, tmp_path):
    shutil.rmtree(ckplus_release / 'Landmarks')
    searching = ckplus.Builder(data_dir=tmp_path / 'unused', config='faces-haar')
    assert [clip.clip_id for clip in searching.open(ckplus_release).clips][0] == 'S005_001'


def test_a_release_without_any_label(builder, ckplus_release):
    shutil.rmtree(ckplus_release / 'Emotion')
    (ckplus_release / 'Emotion').mkdir()
    with pytest.raises(UserError, match='no labelled clip'):
        builder.open(ckplus_release)


def test_links_that_lead_nowhere_and_names_that_are_no_text(builder, ckplus_release):
    frame = ckplus_release / FRAME.format(1)
    frame.rename(frame.with_suffix('.kept'))
    frame.symlink_to('nowhere')
    with pytest.raises(UserError, match=f'{frame}: No such file'):
        builder.open(ckplus_release)
    frame.unlink()
    frame.symlink_to(frame.name)
    with pytest.raises(UserError, match=f'{frame}: Too many levels of symbolic links'):
        builder.open(ckplus_release)


def test_a_clip_that_is_there_twice_is_named(builder, ckplus_release, monkeypatch):
    scanned = builder.open(ckplus_release)
    twice = [*scanned.clips, dataclasses.replace(scanned.clips[0], path='elsewhere')]
    changed = dataclasses.replace(scanned, clips=twice)
    monkeypatch.setattr(builder, 'scan', lambda release: changed)
    with pytest.raises(UserError, match='and elsewhere are both the clip S005_001'):
        builder.open(ckplus_release)
    odd = dataclasses.replace(scanned.clips[0], path='a\udcff')
    changed = dataclasses.replace(scanned, clips=[odd])
    with pytest.raises(UserError, match='is no text in UTF-8; rename it'):
        builder.open(ckplus_release)
