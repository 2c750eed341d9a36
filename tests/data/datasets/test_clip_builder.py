"""Checks what builders share: finding faces, sound, unreadable clips, order and repetition."""

import dataclasses
import threading

import numpy as np
import pytest

from fer_jax.data import datasets, preparation, prepared
from fer_jax.data.datasets import clip_builder, records, storing
from fer_jax.data.faces import detector
from fer_jax.errors import UserError

VERSION = str(clip_builder.ClipBuilder.VERSION)

FRAMES = {'a': 3, 'b': 7, 'c': 1, 'd': 12}  # clip -> how many


def quiet(_line):
    """Takes the lines of a summary."""


def pictures(name) -> list[np.ndarray]:
    """Frames uint8 [40, 50, 3] of a clip."""
    rng = np.random.default_rng(ord(name))
    return list(rng.integers(0, 256, (FRAMES[name], 40, 50, 3)).astype(np.uint8))


class Films(clip_builder.ClipBuilder, skip_registration=True):
    """Four clips of noise; faces ship with 'a' and 'd', sound with all but 'c'."""

    DESCRIPTION = HOMEPAGE = CITATION = 'films'
    LABEL_SETS = {'films': ('happiness', 'sadness')}
    PUBLISHED_CLASSES = {}
    FACES = ('release', 'haar', 'dlib')
    LANDMARKS = False
    damaged = ()

    def scan(self, release):
        return records.ScanResult(
            clips=[
                records.FoundClip(
                    name, '' if name == 'd' else 'sadness', 's', 'train', f'{name}.avi'
                )
                for name in FRAMES
            ],
            label_sets=tuple(self.LABEL_SETS),
            dropped=[],
            fingerprint='films',
            simulated=None,
        )

    def read(self, source, pool):
        if source.clip_id in self.damaged:
            raise UserError(f'{source.path}: unreadable video (truncated); copy it again')
        frames = pictures(source.clip_id)
        if source.clip_id in 'bc':
            return frames, None
        box = np.tile(np.float32([10, 10, 29, 29]), (len(frames), 1))
        box[1::2] = np.nan if source.clip_id == 'd' else box[1::2]
        landmarks = np.full((len(frames), 68, 2), np.nan, np.float32)
        return frames, records.Faces(box, landmarks)

    def sound(self, source):
        samples = np.arange(0 if source.clip_id == 'c' else 50000, dtype=np.int16)
        return samples, 0 if source.clip_id == 'c' else 44100


class Corner(detector.Detector):
    """Finds a face in the corner of every clip but 'c', with landmarks."""

    NAME = 'haar'
    landmarks = True

    def __init__(self, weights=None):
        super().__init__('corner 1', weights=0)

    def boxes(self, image):
        nobody = np.array_equal(image, pictures('c')[0])
        return np.zeros((0, 4)) if nobody else np.array([[1.0, 2, 21, 22]])

    def points(self, image, box):
        return np.linspace(box[:2], box[2:], 68)


@pytest.fixture(autouse=True)
def _films(monkeypatch):
    monkeypatch.setattr(datasets, 'builder_class', lambda name: Films)
    monkeypatch.setattr(preparation, 'make_detector', lambda name, weights: Corner(weights))


def prepare(tmp_path, **options):
    return preparation.prepare('films', tmp_path, tmp_path / 'data', report=quiet, **options)


def stored(tmp_path, faces=''):
    """Clip id -> its stored record."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepared.location('films', tmp_path / 'data', faces))
    source = builder.as_data_source(clip_builder.SPLIT).data_source
    features = dict(builder.info.features.items())
    found = (clip_builder.decode(data, features) for data in source)
    return {record['clip_id']: record for record in found}


def test_a_config_for_each_way_the_default_first():
    names = [config.name for config in Films.BUILDER_CONFIGS]
    assert names == ['faces-release', 'faces-haar', 'faces-dlib']
    from fer_jax.data.datasets.fer2013 import builder as fer2013

    names = [config.name for config in fer2013.Builder.BUILDER_CONFIGS]
    assert names == ['faces-release', 'faces-yunet', 'faces-dlib', 'faces-face_alignment']


def test_faces_of_the_release_and_clips_without_any(tmp_path):
    found = prepare(tmp_path)
    assert found['faces'] == 'faces-release' and found['detector'] is None
    assert found['faceless'] == ['b', 'c'] and found['faceless_frames'] == {'d': 6}
    assert found['frames'] == 23 and found['landmarked'] == 0
    assert found['unlabelled'] == 1 and found['class_counts']['films']['sadness'] == 3
    clips = stored(tmp_path)
    assert list(clips['d']['has_face']) == [True, False] * 6 and clips['d']['label'] == ''
    assert not clips['b']['has_face'].any() and 'landmarks' not in clips['b']
    assert clips['b']['frames'].shape == (7, 40, 40, 3)  # the middle


def test_clips_are_read_while_a_detector_of_one_at_a_time_looks(tmp_path, monkeypatch):
    together = threading.Barrier(2, timeout=20)  # broken where clips are read one by one
    looking, most = [], []

    class Serial(Corner):
        PARALLEL = False

        def find(self, frames):
            looking.append(None)
            most.append(len(looking))
            found = super().find(frames)
            looking.pop()
            return found

    read = Films.read

    def read_together(self, source, pool):
        together.wait()
        return read(self, source, pool)

    monkeypatch.setattr(preparation, 'make_detector', lambda name, weights: Serial(weights))
    monkeypatch.setattr(clip_builder, 'cores', lambda: 2)
    monkeypatch.setattr(Films, 'read', read_together)
    found = prepare(tmp_path, faces='haar')
    assert found['faceless'] == ['c'] and most == [1] * 4


def test_a_detector_is_asked_for_all_clips_and_lies_elsewhere(tmp_path):
    prepare(tmp_path)
    lines = []
    found = preparation.prepare(
        'films', tmp_path, tmp_path / 'data', faces='haar', report=lines.append
    )
    assert found['faces'] == 'faces-haar' and found['faceless'] == ['c']
    assert found['detector']['identity'] == Corner().identity
    assert found['landmarked'] == 22
    assert '  faces found by haar (corner 1), landmarks in 22 frames' in lines
    clips = stored(tmp_path, 'haar')
    np.testing.assert_allclose(clips['a']['landmarks'][0, [0, 67]].ravel(), clips['a']['box'][0])
    assert np.isnan(clips['c']['landmarks']).all()
    assert stored(tmp_path)['a']['box'][0, 2] != clips['a']['box'][0, 2]
    folders = sorted(path.name for path in (tmp_path / 'data' / 'films').iterdir())
    assert folders == ['faces-haar', 'faces-release']


def test_sound_is_kept_at_its_own_rate(tmp_path):
    prepare(tmp_path)
    clips = stored(tmp_path)
    np.testing.assert_array_equal(clips['b']['audio'], np.arange(50000).astype(np.int16))
    assert clips['b']['audio'].dtype == np.int16 and clips['b']['sample_rate'] == 44100
    assert clips['c']['audio'].shape == (0,) and clips['c']['sample_rate'] == 0


def test_clips_that_lie_on_their_side_are_turned_and_listed(tmp_path, monkeypatch):
    def turns(self, frames):
        return 3 if np.array_equal(frames[0], pictures('b')[0]) else 0

    monkeypatch.setattr(Corner, 'quarter_turns', turns)
    lines = []
    found = preparation.prepare(
        'films', tmp_path, tmp_path / 'data', faces='haar', report=lines.append
    )
    assert found['turned'] == {'b': 270}
    (said,) = [line for line in lines if 'turned against the clock' in line]
    assert said.endswith('(1 by 270 degrees): 1: b')
    turned = [np.ascontiguousarray(np.rot90(frame, 3)) for frame in pictures('b')]
    wanted = records.cropped(turned, Corner().find(turned))
    np.testing.assert_array_equal(stored(tmp_path, 'haar')['b']['frames'], wanted['frames'])


@pytest.mark.parametrize('faces', ['release', 'haar'])
def test_two_preparations_are_identical_whatever_the_number_of_threads(
    tmp_path, monkeypatch, faces
):
    shards = []
    for at_once in (1, 4):
        monkeypatch.setattr(clip_builder, '_CLIPS_AT_ONCE', at_once)
        prepare(tmp_path, faces=faces, overwrite=True)
        folder = prepared.location('films', tmp_path / 'data', faces)
        shards.append([path.read_bytes() for path in sorted(folder.glob('*array_record*'))])
    assert shards[0] == shards[1] and len(shards[0]) == 1


def test_pictures_and_sound_do_not_wait_in_memory(tmp_path, monkeypatch):
    """TFDS holds little of each record until it writes, and it writes all of it."""
    from tensorflow_datasets.core import shuffle

    held = []
    add = shuffle.Shuffler.add

    def noted(self, key, data):
        held.append(len(data))
        return add(self, key, data)

    monkeypatch.setattr(shuffle.Shuffler, 'add', noted)
    prepare(tmp_path)
    assert len(held) == 4 and max(held) < 1000
    for name, record in stored(tmp_path).items():
        whole = [frame[:, 5:45] for frame in pictures(name)]
        if name in 'bc':
            np.testing.assert_array_equal(record['frames'], whole)
        assert record['audio'].nbytes == (0 if name == 'c' else 100000)


def test_an_unreadable_clip_ends_the_preparation_and_names_the_flag(tmp_path, monkeypatch):
    monkeypatch.setattr(Films, 'damaged', ('b',))
    message = 'b.avi: unreadable video .truncated.; copy it again, or leave such clips out with'
    with pytest.raises(UserError, match=f'^{message} --skip_unreadable$'):
        prepare(tmp_path)
    assert not (tmp_path / 'data').exists()


def test_unreadable_clips_are_left_out_and_listed_where_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(Films, 'damaged', ('b', 'd'))
    lines = []
    found = preparation.prepare(
        'films', tmp_path, tmp_path / 'data', skip_unreadable=True, report=lines.append
    )
    assert found['clips'] == 2 and set(stored(tmp_path)) == {'a', 'c'}
    assert found['class_counts']['films'] == {'happiness': 0, 'sadness': 2}
    assert [(clip['clip_id'], clip['path'], clip['reason']) for clip in found['dropped']] == [
        ('b', 'b.avi', 'unreadable'),
        ('d', 'd.avi', 'unreadable'),
    ]
    assert '  dropped, unreadable: 2: b, d' in lines
    assert '    b.avi: unreadable video (truncated); copy it again' in lines
    assert lines[-1].endswith('WITHOUT 2 unreadable clip(s)')
    preparation.prepare('films', tmp_path, tmp_path / 'data', report=lines.append)
    assert 'already prepared' in lines[-1] and lines[-1].endswith('WITHOUT 2 unreadable clip(s)')


def test_too_many_unreadable_clips_are_not_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(Films, 'damaged', ('a', 'b', 'c', 'd'))
    with pytest.raises(UserError, match='with it 4 of 4 clips are unreadable, too many'):
        prepare(tmp_path, skip_unreadable=True)
    # Of a hundred clips five may be damaged, not six.
    builder = Films(data_dir=tmp_path / 'unused', config='faces-release')
    (clip, *_), builder.skip_unreadable = builder.scan(tmp_path).clips, True
    builder.scanned = dataclasses.replace(builder.scan(tmp_path), clips=[clip] * 100)
    assert builder._unreadable(clip, UserError('damaged'), 5)['fault'] == 'damaged'
    with pytest.raises(UserError, match='6 of 100'):
        builder._unreadable(clip, UserError('damaged'), 6)


def test_an_interrupted_preparation_goes_on_with_the_faces_it_found(tmp_path, monkeypatch):
    class Interrupted(Corner):
        clips = 0

        def find(self, frames):
            type(self).clips += 1
            if self.clips == 3:
                raise KeyboardInterrupt
            return super().find(frames)

    monkeypatch.setattr(clip_builder, '_CLIPS_AT_ONCE', 1)
    monkeypatch.setattr(preparation, 'make_detector', lambda name, weights: Interrupted())
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, faces='haar')
    folder = prepared.location('films', tmp_path / 'data', 'haar').parent
    assert [path.name for path in folder.iterdir()] == ['.detections']
    with pytest.raises(UserError, match='is not prepared'):
        prepared.describe('films', tmp_path / 'data', 'haar')

    known, lines = len(list((folder / '.detections').iterdir())), []
    assert known >= 2
    Interrupted.clips = 10
    preparation.prepare('films', tmp_path, tmp_path / 'data', faces='haar', report=lines.append)
    assert Interrupted.clips == 10 + 4 - known  # the others are not looked for again
    assert lines[0] == f'films: goes on with the faces of {known} clips found before it stopped'
    assert [path.name for path in folder.iterdir()] == [VERSION]
    kept = stored(tmp_path, 'haar')
    monkeypatch.setattr(preparation, 'make_detector', lambda name, weights: Corner())
    prepare(tmp_path, faces='haar', overwrite=True)
    for name, record in stored(tmp_path, 'haar').items():
        for field, value in record.items():
            np.testing.assert_array_equal(value, kept[name][field])


def test_other_weights_are_no_silent_mix(tmp_path, monkeypatch):
    class Learnt(Corner):
        def __init__(self, path):
            detector.Detector.__init__(self, 'corner 1', path)

    prepare(tmp_path, faces='haar')
    (tmp_path / 'points.dat').write_bytes(b'learnt')
    monkeypatch.setattr(preparation, 'make_detector', lambda name, weights: Learnt(weights))
    with pytest.raises(UserError, match=r'prepared with haar \(.*, not with haar \(points.dat'):
        prepare(tmp_path, faces='haar', weights=tmp_path / 'points.dat')
    with pytest.raises(UserError, match='--weights is for detectors'):
        prepare(tmp_path, weights=tmp_path / 'points.dat')
    with pytest.raises(UserError, match="films offers no faces 'yolo': one of release, haar"):
        prepare(tmp_path, faces='yolo')


def test_the_spool_gives_back_what_it_was_given(tmp_path):
    with storing.spool(tmp_path) as spool:
        light = spool.put('x', {'clip_id': 'x', 'frames': np.ones((2, 3, 3, 1), np.uint8)})
        assert light['clip_id'] == 'x' and light['frames'].shape == (0, 0, 0, 0)
        assert not list(tmp_path.iterdir())  # the file has no name
