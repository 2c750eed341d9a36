"""Whole frames of films: prepared like faces, without faces, and read one clip after another."""

import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fer_jax.data import datasets, preparation, prepared
from fer_jax.data.datasets import clip_builder, video
from fer_jax.errors import UserError
from fer_jax.simulation.people import movie

VERSION = str(clip_builder.ClipBuilder.VERSION)

# Film -> frames, height and width; clip -> height and width that are stored.
FILMS = {
    'Train_AFEW/Angry/000000040': (3, 360, 480),
    'Train_AFEW/Happy/000000080': (2, 400, 300),
    'Train_AFEW/Neutral/000000120': (1, 48, 64),
    'Val_AFEW/Fear/000000040': (2, 576, 720),
    'Test_AFEW/Test_vid_Distribute/000000200': (300, 24, 32),
}
STORED = {
    'train/000000040': (240, 320),
    'train/000000080': (320, 240),
    'train/000000120': (48, 64),
    'validation/000000040': (256, 320),
    'validation/000000240': (50, 66),
    'test/000000200': (24, 32),
}
GREY = 'Val_AFEW/Sad/000000240'


def quiet(_line):
    """Takes the lines of a summary."""


def write_grey_film(path: Path) -> None:
    """Two frames without any colour, without loss; 66x50."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w', format='avi') as film:
        pictures = film.add_stream('ffv1', rate=10, width=66, height=50)
        pictures.pix_fmt = 'gray'
        for level in (3, 250):
            frame = np.full((50, 66), level, np.uint8)
            frame[:20] = 77
            film.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format='gray')))
        film.mux(pictures.encode())


@pytest.fixture(scope='module')
def films(tmp_path_factory) -> Path:
    """Six films of coloured noise in three parts, wide, tall, small, grey and long; no faces."""
    folder, rng = tmp_path_factory.mktemp('films') / 'AFEW', np.random.default_rng(0)
    for name, (frames, height, width) in FILMS.items():
        blocks = rng.integers(0, 256, (frames, height // 4, width // 4, 3)).astype(np.uint8)
        path = folder / f'{name}.avi'
        path.parent.mkdir(parents=True, exist_ok=True)
        movie.write_movie(path, list(blocks.repeat(4, 1).repeat(4, 2)), 10)
    write_grey_film(folder / f'{GREY}.avi')
    shutil.copy(folder / f'{GREY}.avi', folder / 'Val_AFEW' / 'Sad' / 'copy of 000000240.avi')
    return folder


@pytest.fixture
def release(films, tmp_path) -> Path:
    """A copy of the films to spoil."""
    return shutil.copytree(films, tmp_path / 'AFEW')


@pytest.fixture(scope='module')
def data_dir(films, tmp_path_factory) -> Path:
    """The films' scenes, prepared."""
    folder = tmp_path_factory.mktemp('scenes')
    preparation.prepare('afew', films, folder, faces=datasets.SCENE, report=quiet)
    return folder


def prepare(release, data, **options):
    options = {'faces': datasets.SCENE, 'report': quiet} | options
    return preparation.prepare('afew', release, data, **options)


def test_frames_are_opencvs_grey_and_area_means_of_the_films(films, data_dir):
    found = dict(prepared.scenes('afew', data_dir=data_dir))
    assert {clip_id: clip.shape[1:] for clip_id, clip in found.items()} == STORED
    paths = {
        record['clip_id']: record['path']
        for record in prepared.records('afew', data_dir, datasets.SCENE)
    }
    for clip_id, clip in found.items():
        height, width = STORED[clip_id]
        expected = [
            cv2.resize(
                cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY),
                (width, height),
                interpolation=cv2.INTER_AREA,
            )
            for frame in video.read_video(films / paths[clip_id])
        ]
        assert clip.dtype == np.uint8
        np.testing.assert_array_equal(clip, expected)
    assert len(found['test/000000200']) == 300 and len(found['train/000000120']) == 1
    grey = found['validation/000000240']
    assert grey[:, 40, 30].tolist() == [3, 250] and (grey[:, :20] == 77).all()


def test_a_record_has_no_faces_and_no_sound(films, data_dir):
    records = list(prepared.records('afew', data_dir, datasets.SCENE))
    text = {'clip_id', 'label', 'subject', 'split', 'path'}
    assert all(set(record) == text | {'frames'} for record in records)
    labels = {record['clip_id']: (record['label'], record['split']) for record in records}
    assert labels['validation/000000040'] == ('fear', 'validation')
    assert labels['test/000000200'] == ('', 'test')
    found = prepared.describe('afew', data_dir, datasets.SCENE)
    assert found['faces'] == 'scene' and found['detector'] is found['stored_margin'] is None
    assert found['clips'] == 6 and found['frames'] == 310 and found['unlabelled'] == 1
    assert not found['faceless'] and not found['faceless_frames'] and not found['landmarked']
    assert (data_dir / 'afew' / 'scene' / VERSION / 'metadata.json').exists()


@pytest.mark.parametrize('faces', ['release', 'haar'])
def test_clips_and_drops_are_those_of_the_faces(release, data_dir, tmp_path, faces):
    data = shutil.copytree(data_dir, tmp_path / 'data')  # beside one another
    if faces == 'release':
        with pytest.raises(UserError, match='has no aligned faces'):
            prepare(release, data, faces=faces)
        for part in ('Train', 'Val'):
            (release / f'{part}_AFEW' / 'AlignedFaces' / 'Faces').mkdir(parents=True)
    found = prepare(release, data, faces=faces)
    scene = prepared.describe('afew', data, datasets.SCENE)
    for key in ('clips', 'splits', 'class_counts', 'dropped', 'edition', 'differences'):
        assert scene[key] == found[key], key
    (dropped,) = scene['dropped']
    assert dropped['path'] == 'Val_AFEW/Sad/copy of 000000240.avi'
    ids = [record['clip_id'] for record in prepared.records('afew', data, faces)]
    assert ids == [clip_id for clip_id, _ in prepared.scenes('afew', data_dir=data)]
    folders = sorted(path.name for path in (data / 'afew').iterdir())
    assert folders == [f'faces-{faces}', 'scene']


def test_preparing_again_and_from_elsewhere(films, release, data_dir):
    lines = []
    prepare(films, data_dir, report=lines.append)
    assert len(lines) == 1 and 'already prepared from this release' in lines[0]
    (release / f'{GREY}.avi').unlink()
    with pytest.raises(UserError, match=r'afew.scene.1.3.0 was prepared from another release'):
        prepare(release, data_dir)


def test_a_truncated_film_is_refused_by_name_or_kept_as_far_as_it_goes(release, tmp_path):
    film = release / 'Train_AFEW' / 'Angry' / '000000040.avi'
    film.write_bytes(film.read_bytes()[:-1000])
    data, lines = tmp_path / 'data', []
    with pytest.raises(UserError, match=rf'^{film}: unreadable video \(truncated\).*--skip_unread'):
        prepare(release, data)
    assert not data.exists()
    found = prepare(release, data, skip_unreadable=True, report=lines.append)
    assert found['clips'] == 6 and list(found['incomplete']) == ['train/000000040']
    scenes = dict(prepared.scenes('afew', data_dir=data))
    kept = len(scenes['train/000000040'])
    assert any(f'{film}: truncated; {kept} of ' in line for line in lines)
    film.write_bytes(film.read_bytes()[:40])  # nothing of it can be read
    lines.clear()
    found = prepare(release, data, skip_unreadable=True, overwrite=True, report=lines.append)
    assert found['clips'] == 5 and found['class_counts']['afew']['anger'] == 0
    assert lines[-1].endswith('WITHOUT 1 unreadable clip(s)')
    assert set(dict(prepared.scenes('afew', data_dir=data))) == set(STORED) - {'train/000000040'}


def test_a_missing_folder_is_named(release, tmp_path):
    shutil.rmtree(release / 'Val_AFEW')
    with pytest.raises(UserError, match=r'no Val_AFEW \(what Val_AFEW.zip holds\)'):
        prepare(release, tmp_path / 'data')
    with pytest.raises(UserError, match='nowhere: no such folder'):
        prepare(tmp_path / 'nowhere', tmp_path / 'data')
    assert not (tmp_path / 'data').exists()


def test_clips_are_read_as_they_are_asked_for(data_dir, monkeypatch):
    decoded = []
    decode = clip_builder.decode

    def noted(data, features):
        decoded.append(len(data))
        return decode(data, features)

    monkeypatch.setattr(clip_builder, 'decode', noted)
    found = prepared.scenes('afew', data_dir=data_dir)
    assert not decoded
    next(found)
    assert len(decoded) == 1
    assert len(list(found)) == 5


@pytest.mark.parametrize('batch, reads', [(1, [1] * 6), (2**40, [1, 2, 3])])
def test_so_many_are_read_at_once_as_have_a_size(data_dir, monkeypatch, batch, reads):
    from array_record.python import array_record_data_source

    source = array_record_data_source.ArrayRecordDataSource
    asked, read = [], source.__getitems__

    def noted(self, keys):
        asked.append(len(keys))
        return read(self, keys)

    expected = list(prepared.scenes('afew', data_dir=data_dir))
    monkeypatch.setattr(source, '__getitems__', noted)
    monkeypatch.setattr(prepared, '_BATCH', batch)
    found = list(prepared.scenes('afew', data_dir=data_dir))
    assert asked == reads
    assert [clip_id for clip_id, _ in found] == [clip_id for clip_id, _ in expected]
    for (_, clip), (_, other) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(clip, other)


def test_what_is_not_there_is_refused_at_once(fer2013_release, data_dir, tmp_path):
    with pytest.raises(UserError, match=r'afew is not prepared at .*scene/1.3.0: .* --scene$'):
        prepared.scenes('afew', data_dir=tmp_path)
    with pytest.raises(UserError, match='fer2013 has no scenes: choose a dataset of films'):
        prepared.scenes('fer2013', data_dir=tmp_path)
    with pytest.raises(UserError, match='fer2013 has no scenes: choose a dataset of films'):
        preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', faces=datasets.SCENE)
    with pytest.raises(UserError, match='--weights is for detectors'):
        prepare(tmp_path, tmp_path / 'data', weights='points.dat')
    geometry = {'frames': 1, 'sampling': 'last', 'size': 48}
    message = "afew: data.faces is 'scene', whole frames without faces; leave it '' or name a way"
    with pytest.raises(UserError, match=message):
        prepared.load('afew', data_dir=data_dir, faces=datasets.SCENE, **geometry)
    with pytest.raises(UserError, match=message):
        prepared.load_audio('afew', data_dir=data_dir, faces=datasets.SCENE)


@pytest.mark.parametrize('name', list(datasets.DATASETS))
def test_datasets_of_films_have_scenes(name):
    builder = datasets.builder_class('own:films' if name == 'own' else name)
    names = [config.name for config in builder.BUILDER_CONFIGS]
    films = name in ('afew', 'mmi', 'savee', 'ravdess', 'crema_d', 'own')
    assert ('scene' in names) == films and names[0] == f'faces-{builder.FACES[0]}'
    assert len(names) == len(builder.FACES) + films


def test_a_film_that_is_too_long_for_a_clip_is_refused_in_a_line(films, tmp_path, monkeypatch):
    # The limit, 2 GiB, is a minute and a half of 640x360 pixels; here it is one frame and a half.
    monkeypatch.setattr(video, '_MOST_BYTES', 576 * 720 * 3 * 3 // 2)
    with pytest.raises(
        UserError, match=r'0000040.avi: \d seconds of 720x576 pixels are too much'
    ) as e:
        prepare(films, tmp_path / 'data')
    assert '\n' not in str(e.value)
    assert not (tmp_path / 'data').exists()
