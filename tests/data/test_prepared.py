"""Loading prepared datasets: order, geometry, sampling, and what is refused."""

import cv2
import numpy as np
import pytest

from fer_jax.data import clips, preparation, prepared, registration
from fer_jax.data.datasets import clip_builder
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
    expected = (0.5 + (registration.EYES_IN_BOX - 0.5) / margin) * size - 0.5
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
        ({'registration': 'ears'}, "unknown registration 'ears': one of none, eyes"),
        ({'margin': 1.7}, 'margin is 1.7: ckplus is stored 1.6 face boxes wide'),
        ({'margin': 0}, 'margin is 0'),
        ({'sampling': 'first'}, "unknown frame sampling 'first'"),
        ({'faces': 'dlib'}, 'ckplus is not prepared at .*faces-dlib'),
    ],
)
def test_what_cannot_be_served_is_refused(data_dir, change, message):
    with pytest.raises(UserError, match=message):
        prepared.load('ckplus', data_dir=data_dir, **(GEOMETRY | change))


def test_unknown_datasets_and_stills_without_landmarks(fer2013_release, tmp_path):
    with pytest.raises(UserError, match="unknown dataset 'ck': one of ckplus, fer2013"):
        prepared.load('ck', data_dir=tmp_path, **GEOMETRY)
    preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=quiet)
    for change, message in (
        ({'registration': 'eyes'}, 'fer2013 has no landmarks'),
        ({'margin': 1.2}, 'fer2013 is stored 1 face boxes wide'),
    ):
        with pytest.raises(UserError, match=message):
            prepared.load('fer2013', data_dir=tmp_path / 'data', **(GEOMETRY | change))


def test_where_prepared_datasets_lie(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv('FER_JAX_DATA', raising=False)
    assert prepared.data_root() == tmp_path / '.local/share/fer_jax'
    monkeypatch.setenv('FER_JAX_DATA', '~/faces')
    assert prepared.data_root() == tmp_path / 'faces'
    assert prepared.data_root(tmp_path / 'here') == tmp_path / 'here'
    expected = tmp_path / 'faces/ckplus/faces-release/1.0.0'
    assert prepared.location('ckplus') == expected
