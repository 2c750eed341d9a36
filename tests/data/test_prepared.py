"""Loading prepared datasets: order, geometry, sampling, and what is refused."""

import shutil

import cv2
import numpy as np
import pytest

from fer_jax.data import clips, datasets, fitted, preparation, prepared, registration
from fer_jax.data.datasets import clip_builder
from fer_jax.data.datasets.ckplus import builder as ckplus
from fer_jax.errors import UserError

GEOMETRY = {'frames': 3, 'sampling': 'last', 'size': 40}


def quiet(_line):
    """Takes the lines of a summary."""


@pytest.fixture
def data_dir(ckplus_release, tmp_path):
    folder = tmp_path / 'data'
    preparation.prepare('ckplus', ckplus_release, folder, report=quiet)
    return folder


def stored_records(data_dir):
    """The records as TFDS itself reads them, by clip id."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepared.location('ckplus', data_dir))
    source = builder.as_data_source(clip_builder.SPLIT)
    return builder, {record['clip_id'].decode(): record for record in source}


def test_decode_gives_what_tfds_gives(data_dir):
    builder, expected = stored_records(data_dir)
    raw = builder.as_data_source(clip_builder.SPLIT).data_source
    features = dict(builder.info.features.items())
    for data in raw:
        record = clip_builder.decode(data, features)
        reference = expected[record['clip_id']]
        assert set(record) == set(reference)
        for name, value in record.items():
            if isinstance(value, str):
                assert value == reference[name].decode()
            else:
                assert value.dtype == reference[name].dtype
                np.testing.assert_array_equal(value, reference[name])


def test_clips_come_in_the_order_of_their_ids(data_dir):
    found = prepared.load('ckplus', data_dir=data_dir, **GEOMETRY)
    assert isinstance(found, clips.ClipSet) and found.name == 'ckplus' and not found.simulated
    assert found.clip_id.tolist() == ['S005_001', 'S010_001', 'S010_002', 'S999_003']
    assert found.subject.tolist() == ['S005', 'S010', 'S010', 'S999']
    names = [found.classes[label] for label in found.label]
    assert names == ['disgust', 'anger', 'surprise', 'happiness']
    assert found.split.tolist() == [''] * 4
    assert found.frames.shape == (4, 3, 40, 40, 1)
    assert found.length.tolist() == [2, 3, 3, 3]
    np.testing.assert_array_equal(found.frames[0, 2], found.frames[0, 1])  # repeated


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('margin', [1.0, 1.4])
@pytest.mark.parametrize('sampling', ['last', 'uniform'])
def test_crops_are_opencvs(data_dir, channels, margin, sampling):
    found = prepared.load(
        'ckplus',
        data_dir=data_dir,
        frames=2,
        sampling=sampling,
        size=32,
        channels=channels,
        margin=margin,
    )
    _, records = stored_records(data_dir)
    for index, clip_id in enumerate(found.clip_id):
        record = records[clip_id]
        box = record['box']
        side = round(margin * float(np.median((box[:, 2:] - box[:, :2]).max(1))))
        x, y = np.median((box[:, :2] + box[:, 2:]) / 2, axis=0) - side / 2 + 0.5
        x, y = round(float(x)), round(float(y))
        last = len(box) - 1
        wanted = [last - 1, last] if sampling == 'last' else [0, last]
        for frame, chosen in zip(found.frames[index], wanted, strict=True):
            picture = record['frames'][chosen]
            if channels == 1 and picture.shape[2] == 3:
                picture = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None]
            picture = np.broadcast_to(picture, (*picture.shape[:2], channels))
            cut = np.ascontiguousarray(picture[y : y + side, x : x + side])
            assert cut.shape[:2] == (side, side)
            expected = cv2.resize(cut, (32, 32), interpolation=cv2.INTER_AREA)
            np.testing.assert_array_equal(frame, expected.reshape(32, 32, channels))


def test_eyes_registration_levels_and_fixes_the_eyes(data_dir):
    size, margin = 64, 1.2
    found = prepared.load(
        'ckplus',
        data_dir=data_dir,
        frames=5,
        sampling='uniform',
        size=size,
        registration='eyes',
        margin=margin,
    )
    assert found.registration == 'eyes' and found.landmarks is None
    expected = registration.eye_places(size, margin)
    for clip in found.frames:
        for frame in clip[:, :, :, 0].astype(float):
            for x, y in expected:
                rows, columns = np.mgrid[round(y) - 7 : round(y) + 8, round(x) - 7 : round(x) + 8]
                around = frame[rows, columns]
                weight = np.clip(around - around.min() - 0.3 * np.ptp(around), 0, None)
                centre = [(columns * weight).sum(), (rows * weight).sum()] / weight.sum()
                assert np.abs(centre - (x, y)).max() < 1


def test_one_window_keeps_the_heads_motion(data_dir):
    """The head of S010_002 moves by 2 pixels a frame; only the eyes' registration removes that."""
    common = {'data_dir': data_dir, 'frames': 3, 'sampling': 'last', 'size': 50, 'margin': 1.2}
    moving = prepared.load('ckplus', **common)
    still = prepared.load('ckplus', registration='eyes', **common)
    row = moving.clip_id.tolist().index('S010_002')
    change = [
        np.abs(np.diff(found.frames[row].astype(float), axis=0)).mean() for found in (moving, still)
    ]
    assert change[1] < 0.3 * change[0]


@pytest.fixture
def both_dir(data_dir, fer2013_release):
    preparation.prepare('fer2013', fer2013_release, data_dir, report=quiet)
    return data_dir


def test_datasets_join_under_their_names(both_dir):
    alone = {
        name: prepared.load(name, data_dir=both_dir, **GEOMETRY) for name in ('fer2013', 'ckplus')
    }
    joined = prepared.load('fer2013+ckplus', data_dir=both_dir, **GEOMETRY)
    assert joined.name == 'fer2013+ckplus' and len(joined) == 7 + 4
    assert joined.classes == (*alone['fer2013'].classes, 'contempt')
    for number, found in enumerate(alone.values()):
        rows = np.flatnonzero(joined.dataset_number == number)
        np.testing.assert_array_equal(joined.frames[rows], found.frames)
        np.testing.assert_array_equal(joined.length[rows], found.length)
        names = [found.classes[label] for label in found.label]
        assert [joined.classes[label] for label in joined.label[rows]] == names
        assert joined.clip_id[rows].tolist() == [f'{found.name}/{c}' for c in found.clip_id]
        subjects = [f'{found.name}/{name}' if name else '' for name in found.subject]
        assert joined.subject[rows].tolist() == subjects
        assert joined.split[rows].tolist() == found.split.tolist()
    with pytest.raises(UserError, match="'ckplus.ckplus' names a dataset twice"):
        prepared.load('ckplus+ckplus', data_dir=both_dir, **GEOMETRY)


def test_each_of_joined_datasets_has_its_labels_and_faces(both_dir):
    joined = prepared.load('fer2013+ckplus', data_dir=both_dir, labels='ferplus8+', **GEOMETRY)
    seven = prepared.load('fer2013', data_dir=both_dir, labels='ferplus8', **GEOMETRY)
    assert np.sum(joined.dataset_number == 0) == len(seven) == 5
    assert joined.classes == seven.classes  # contempt is among them
    options = {'data_dir': both_dir, 'labels': 'ferplus8+'}
    said = prepared.about(joined, **options)
    each = [prepared.describe(name, both_dir) for name in ('fer2013', 'ckplus')]
    assert said['name'] == 'fer2013+ckplus' and said['clips'] == 9 and said['subjects'] == 3
    assert said['fingerprint'] == '+'.join(found['fingerprint'] for found in each)
    assert said['faces'] == 'faces-release+faces-release'
    assert said['class_counts'] == joined.class_counts
    dropped = {clip['clip_id']: clip['reason'] for clip in said['dropped']}
    assert dropped['ckplus/S011_001'] == 'unlabelled' and len(dropped) == 3
    assert dropped['fer2013/fer2013/00000003'].startswith('ferplus8: ')
    assert said['faceless'] == ['fer2013/fer2013/00000006']
    assert 'fer2013: split train: 3 of 28,709 published' in said['differences']
    with pytest.raises(UserError, match="data.labels '.*' has 3 parts, fer2013.ckplus has 2"):
        prepared.load('fer2013+ckplus', data_dir=both_dir, labels='a+b+c', **GEOMETRY)
    alone = prepared.load('ckplus', data_dir=both_dir, **GEOMETRY)
    said = prepared.about(alone, data_dir=both_dir)
    assert said['fingerprint'] == each[1]['fingerprint'] and said['registration'] == 'none'
    assert [clip['clip_id'] for clip in said['dropped']] == ['S011_001']
    assert said['differences'] == each[1]['differences']


def test_the_mean_image_of_joined_datasets_is_that_of_all_their_frames(both_dir):
    """kahou2015 has one mean and deviation image of two datasets; here of training clips only."""
    joined = prepared.load('fer2013+ckplus', data_dir=both_dir, **GEOMETRY)
    train = np.array([0, 2, 5, 7, 8])
    fit = fitted.fit_mean_std(joined.frames, joined.length, train)
    levels = np.concatenate([joined.frames[i, : joined.length[i]] for i in train]) / 255
    np.testing.assert_allclose(fit.value[0], levels.mean(0), atol=1e-6)
    np.testing.assert_allclose(fit.value[1], levels.std(0), atol=1e-5)
    assert fit.clips.tolist() == train.tolist()


@pytest.mark.parametrize('kind, points', [('procrustes', 51), ('mean_shape', 5)])
def test_a_fold_fits_on_its_training_clips_and_loads_again(data_dir, kind, points):
    options = {'data_dir': data_dir, 'registration': kind, 'points': points, **GEOMETRY}
    loose = prepared.load('ckplus', **options)
    plain = prepared.load('ckplus', data_dir=data_dir, **GEOMETRY)
    np.testing.assert_array_equal(loose.frames, plain.frames)
    assert loose.registration == 'none' and loose.landmarks.shape == (4, 3, 68, 2)
    fit = fitted.fit_registration(loose, np.array([0, 2, 3]), kind=kind, points=points)
    registered = prepared.load('ckplus', fitted=fit, **options)
    assert registered.clip_id.tolist() == loose.clip_id.tolist() and registered.landmarks is None
    assert registered.registration == f'{kind} of {points} points'
    if kind == 'mean_shape':  # of one dataset onto its own mean shape: where it is
        centre = np.s_[:, :, 8:-8, 8:-8]
        change = registered.frames[centre].astype(int) - plain.frames[centre]
        assert np.abs(change).mean() < 2
    else:
        row = loose.clip_id.tolist().index('S010_002')  # its head moves by 2 pixels a frame
        change = [
            np.abs(np.diff(found.frames[row].astype(float), axis=0)).mean()
            for found in (loose, registered)
        ]
        assert change[1] < 0.3 * change[0]


def test_datasets_without_landmarks_go_by_the_box_and_say_so(both_dir):
    options = {'data_dir': both_dir, **GEOMETRY}
    plain = prepared.load('fer2013', **options)
    eyes = prepared.load('fer2013', registration='eyes', **options)
    np.testing.assert_array_equal(eyes.frames, plain.frames)
    assert eyes.registration == 'eyes; all clips by the face box: no landmarks'
    joined = prepared.load('fer2013+ckplus', registration='mean_shape', **options)
    fit = fitted.fit_registration(joined, np.arange(11), kind='mean_shape', points=5)
    assert np.isnan(fit.value).all()  # nothing to map onto
    joined = prepared.load('fer2013+ckplus', registration='mean_shape', fitted=fit, **options)
    assert joined.registration.endswith('all clips by the face box: no landmarks')
    joined = prepared.load('ckplus+fer2013', registration='mean_shape', **options)
    fit = fitted.fit_registration(joined, np.arange(11), kind='mean_shape', points=5)
    joined = prepared.load('ckplus+fer2013', registration='mean_shape', fitted=fit, **options)
    ckplus, fer2013 = joined.registration.split('; fer2013: ')
    assert ckplus == 'ckplus: mean_shape of 5 points'
    assert fer2013 == 'mean_shape of 5 points; all clips by the face box: no landmarks'
    np.testing.assert_array_equal(joined.frames[joined.dataset_number == 1], plain.frames)


def test_clips_without_a_label_are_left_out_unless_asked_for(both_dir):
    options = {'data_dir': both_dir, 'labels': 'ferplus8', **GEOMETRY}
    labelled = prepared.load('fer2013', **options)
    everything = prepared.load('fer2013', unlabelled=True, **options)
    assert len(labelled) == 5 and (labelled.label >= 0).all()
    assert len(everything) == 7 and everything.classes == labelled.classes
    without = everything.label < 0
    assert everything.clip_id[without].tolist() == ['fer2013/00000003', 'fer2013/00000006']
    assert everything.clip_id[~without].tolist() == labelled.clip_id.tolist()
    np.testing.assert_array_equal(everything.frames[~without], labelled.frames)
    assert everything.class_counts == labelled.class_counts
    plain = {'data_dir': both_dir, **GEOMETRY}
    other = prepared.load('ckplus', unlabelled=True, **plain)  # all of it has labels
    assert other.clip_id.tolist() == prepared.load('ckplus', **plain).clip_id.tolist()
    joined = clips.combine([everything, other])
    assert ((joined.label < 0) == np.r_[without, [False] * len(other)]).all()


def test_sound_is_loaded_by_itself(both_dir, ckplus_release, monkeypatch):
    """A dataset laid out as CK+ in which all clips but one have sound, at two rates."""
    sounds = {
        clip: (np.arange(-3, 500 * (k % 3), dtype=np.int16), 16_000 + 8_000 * (k % 2))
        for k, clip in enumerate(['S005_001', 'S010_001', 'S010_002', 'S999_003'])
    }
    sounds['S010_002'] = np.empty(0, np.int16), 0

    class Talkies(ckplus.Builder):
        def sound(self, source):
            return sounds[source.clip_id]

    silent = datasets.builder_class
    monkeypatch.setattr(
        datasets, 'builder_class', lambda name: Talkies if name == 'talkies' else silent(name)
    )
    preparation.prepare('talkies', ckplus_release, both_dir, report=quiet)
    found = prepared.load_audio('talkies', data_dir=both_dir)
    assert set(found) == set(sounds)
    for clip_id, (samples, rate) in sounds.items():
        assert found[clip_id][0].dtype == np.int16 and found[clip_id][1] == rate
        np.testing.assert_array_equal(found[clip_id][0], samples)
    assert len(prepared.load('talkies', data_dir=both_dir, **GEOMETRY)) == 4
    with pytest.raises(UserError, match='fer2013 has no sound'):
        prepared.load_audio('talkies+fer2013', data_dir=both_dir)


def test_a_missing_dataset_names_the_command(tmp_path, monkeypatch):
    with pytest.raises(UserError) as caught:
        prepared.load('ckplus', data_dir=tmp_path, **GEOMETRY)
    command = f'python -m fer_jax.prepare --dataset=ckplus --release=DIR --data_dir={tmp_path}'
    assert str(caught.value).endswith(command)
    monkeypatch.setenv('FER_JAX_DATA', str(tmp_path / 'elsewhere'))
    with pytest.raises(UserError, match='elsewhere.*--release=DIR$'):
        prepared.load('fer2013', **GEOMETRY)


@pytest.mark.parametrize(
    'change, message',
    [
        ({'labels': 'ferplus7'}, "ckplus has no labels 'ferplus7': one of ckplus"),
        ({'channels': 2}, 'channels is 2'),
        ({'registration': 'ears'}, "unknown registration 'ears': one of none, box, eyes"),
        ({'margin': 1.7}, 'margin is 1.7: ckplus is stored 1.6 face boxes wide'),
        ({'margin': 0}, 'margin is 0'),
        ({'sampling': 'first'}, "unknown frame sampling 'first'"),
        ({'faces': 'dlib'}, 'ckplus is not prepared at .*faces-dlib.* --faces=dlib$'),
        ({'faces': 'ears'}, "ckplus offers no faces 'ears': one of release, yunet"),
    ],
)
def test_what_cannot_be_served_is_refused(data_dir, change, message):
    with pytest.raises(UserError, match=message):
        prepared.load('ckplus', data_dir=data_dir, **(GEOMETRY | change))


def test_unknown_datasets_and_margins(fer2013_release, tmp_path):
    with pytest.raises(UserError, match="unknown dataset 'ck': one of ckplus, jaffe, .*fer2013"):
        prepared.load('ck', data_dir=tmp_path, **GEOMETRY)
    preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=quiet)
    with pytest.raises(UserError, match='fer2013 is stored 1 face boxes wide'):
        prepared.load('fer2013', data_dir=tmp_path / 'data', **(GEOMETRY | {'margin': 1.2}))


def test_where_prepared_datasets_lie(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv('FER_JAX_DATA', raising=False)
    assert prepared.data_root() == tmp_path / '.local/share/fer_jax'
    monkeypatch.setenv('FER_JAX_DATA', '~/faces')
    assert prepared.data_root() == tmp_path / 'faces'
    assert prepared.data_root(tmp_path / 'here') == tmp_path / 'here'
    expected = tmp_path / 'faces/ckplus/faces-release/1.3.0'
    assert prepared.location('ckplus') == expected


def flipped(data):
    """Another bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]


DAMAGE = {
    'flipped': flipped,
    'cut off': lambda data: data[: len(data) * 2 // 3],
    'empty': lambda data: b'',
    'other': lambda data: b'{}',
    'null': lambda data: b'null',
    'deep': lambda data: b'[' * 100_000,
    'missing': None,
}


@pytest.mark.parametrize('with_checksums', [True, False])
@pytest.mark.parametrize('damage', DAMAGE)
def test_damaged_prepared_data_name_the_folder_and_the_way_out(
    data_dir, tmp_path, damage, with_checksums
):
    wanted = prepared.load('ckplus', data_dir=data_dir, **GEOMETRY)
    names = [path.name for path in prepared.location('ckplus', data_dir).iterdir()]
    assert 'checksums.json' in names and len(names) == 5
    for name in names:
        shutil.copytree(data_dir, tmp_path / name)
        folder = prepared.location('ckplus', tmp_path / name)
        if not with_checksums:
            (folder / 'checksums.json').unlink()
            if name == 'checksums.json':
                continue
        if DAMAGE[damage] is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(DAMAGE[damage]((folder / name).read_bytes()))
        # Without a checksum a flip in a text may be one in words that nobody reads.
        harmless = name == 'checksums.json' and damage in ('missing', 'other', 'flipped')
        harmless |= not with_checksums and damage == 'flipped' and name.endswith('.json')
        said, found = '', None
        try:
            found = prepared.load('ckplus', data_dir=tmp_path / name, **GEOMETRY)
        except UserError as error:
            said = str(error)
        if found is not None:
            assert harmless, f'{name} {damage}: accepted'
            np.testing.assert_array_equal(found.frames, wanted.frames)
            continue
        assert f'{folder} is damaged (' in said and '--overwrite' in said and '\n' not in said
        assert 'fer_jax.prepare --dataset=ckplus' in said


def test_data_in_a_bucket_are_refused(monkeypatch):
    monkeypatch.setenv(prepared.DATA_DIR_VARIABLE, 'gs://bucket/data')
    with pytest.raises(UserError, match=r"\$FER_JAX_DATA is 'gs://bucket/data': give a folder"):
        prepared.data_root()
    assert str(prepared.data_root('data')) == 'data'
