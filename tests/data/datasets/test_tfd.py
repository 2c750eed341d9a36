"""The TFD builder on a simulated release and on files written by hand."""

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat

from fer_jax import simulation
from fer_jax.data import preparation, prepared
from fer_jax.data.datasets.tfd import builder as tfd
from fer_jax.errors import UserError
from fer_jax.simulation.releases import tfd as drawn

GEOMETRY = {'frames': 1, 'sampling': 'last', 'size': 48}


def quiet(_line):
    """Takes the lines of a summary."""


@pytest.fixture
def builder(tmp_path):
    return tfd.Builder(data_dir=tmp_path / 'unused', config='faces-release')


def tables(rows=12):
    """Every third row has no label; two labelled rows of a class; the last person is unknown."""
    images = np.random.default_rng(0).integers(0, 256, (rows, 48, 48)).astype(np.uint8)
    expression = np.array([-1 if row % 3 == 0 else 1 + row % 7 for row in range(rows)])
    folds = np.array([[(row // 2 + fold) % 3 + 1 for fold in range(5)] for row in range(rows)])
    person = np.arange(rows) // 2 + 10
    person[-1] = -1
    return {
        'images': images,
        'labs_ex': expression[:, None].astype(np.int8),
        'labs_id': person[:, None].astype(np.int16),
        'folds': np.where(expression[:, None] == -1, 0, folds).astype(np.uint8),
    }


def write(folder, changed=None):
    folder.mkdir(exist_ok=True)
    savemat(folder / 'TFD_48x48.mat', tables() | (changed or {}), do_compression=True)
    return folder


@pytest.fixture
def release(tmp_path):
    return write(tmp_path / 'tfd')


def test_the_full_size_has_the_published_counts(builder, tmp_path):
    plan = drawn.plan(None, 0)

    def black(tasks):  # lays out the file without drawing
        for _, (people, _) in tasks:
            yield np.zeros((sum(len(person.labels) for person in people), 48, 48), np.uint8)

    drawn.write(tmp_path, plan, 0, black)
    scanned = builder.open(tmp_path)
    found = builder._description(scanned.clips, [])
    assert found['clips'] == 4178 and found['differences'] == []
    assert found['subjects'] == 900
    assert found['class_counts']['tfd'] == dict(zip(drawn.CLASSES, drawn.COUNTS, strict=True))
    (dropped,) = scanned.dropped
    assert dropped['reason'] == '108,056 of 112,234 rows have no expression label'
    assert {clip.split for clip in scanned.clips} == {'train', 'validation', 'test'}
    parts = {}
    for clip in scanned.clips:
        parts.setdefault(clip.subject, set()).add(clip.split)
    assert max(map(len, parts.values())) == 1, 'no person in two parts'


def test_labels_persons_and_pictures_are_the_rows(builder, release):
    clips = builder.open(release).clips
    assert [clip.clip_id for clip in clips] == [
        f'tfd/{row:06d}' for row in (1, 2, 4, 5, 7, 8, 10, 11)
    ]
    # 1 anger, 2 disgust, 3 fear, 4 happiness, 5 sadness, 6 surprise, 7 neutral
    assert [clip.label for clip in clips] == [
        'disgust',
        'fear',
        'sadness',
        'surprise',
        'anger',
        'disgust',
        'happiness',
        'sadness',
    ]
    assert [clip.subject for clip in clips] == ['10', '11', '12', '12', '13', '14', '15', '']
    np.testing.assert_array_equal(clips[1].payload[..., 0], tables()['images'][2])


def test_each_fold_is_a_split_of_its_own(builder, release):
    names = {1: 'train', 2: 'validation', 3: 'test'}
    rows = [1, 2, 4, 5, 7, 8, 10, 11]
    found = {}
    for fold in (1, 2, '5'):
        scanned = builder.open(release, fold=fold)
        wanted = [names[code] for code in tables()['folds'][rows, int(fold) - 1]]
        assert [clip.split for clip in scanned.clips] == wanted
        found[fold] = scanned.fingerprint
    assert len(set(found.values())) == 3
    for fold in (0, 6, 'first'):
        with pytest.raises(UserError, match=f'--fold={fold}: TFD has the folds 1 to 5'):
            builder.open(release, fold=fold)


def test_another_fold_does_not_pass_for_the_prepared_one(release, tmp_path):
    found = preparation.prepare('tfd', release, tmp_path / 'data', report=quiet)
    assert found['splits'] == {'train': 2, 'validation': 2, 'test': 4}
    assert 'labelled pictures: 8 of 4,178 published' in found['differences']
    with pytest.raises(UserError, match='another release'):
        preparation.prepare('tfd', release, tmp_path / 'data', fold=2, report=quiet)
    clips = prepared.load('tfd', data_dir=tmp_path / 'data', **GEOMETRY)
    np.testing.assert_array_equal(clips.frames[0, 0, :, :, 0], tables()['images'][1])
    assert clips.split.tolist().count('test') == 4


def _with(name, row, value, kind=int):
    table = tables()[name].astype(kind)
    table[row, 0] = value
    return {name: table}


@pytest.mark.parametrize(
    'changed, message',
    [
        (_with('labs_ex', 4, 9), 'row 4: labs_ex is 9, not one of -1, 1, 2'),
        (_with('labs_ex', 0, 0), 'row 0: labs_ex is 0'),
        (_with('labs_ex', 1, 1.5, float), 'row 1: labs_ex is 1.5, no whole number'),
        (_with('labs_id', 1, np.nan, float), 'row 1: labs_id is nan, no whole number'),
        (_with('folds', 1, np.inf, float), 'row 1: folds is inf, no whole number'),
        (_with('labs_ex', 1, 1j, complex), 'labs_ex is no full array of real numbers'),
        ({'labs_ex': sparse.csc_array(np.ones((12, 1)))}, 'labs_ex is no full array of real'),
        ({'labs_id': np.full((12, 1), 'a', object)}, 'labs_id is no full array of real numbers'),
        (_with('folds', 7, 4), 'row 7: folds is 4, not one of 0, 1, 2, 3'),
        ({'folds': np.zeros((12, 4))}, 'folds is 12 x 4 instead of N x 5'),
        ({'labs_id': np.zeros((11, 1))}, 'labs_id is 11 x 1 instead of N x 1'),
        ({'images': np.zeros((12, 96, 96), np.uint8)}, 'images is 12 x 96 x 96 instead of N x 48'),
        ({'images': np.zeros((12, 48, 48))}, 'float64 pixels instead of uint8'),
    ],
)
def test_wrong_tables_are_named(builder, tmp_path, changed, message):
    path = write(tmp_path / 'tfd', changed) / 'TFD_48x48.mat'
    with pytest.raises(UserError, match=f'{path}[:,] {message}') as caught:
        builder.open(path.parent)
    assert '\n' not in str(caught.value)


def test_truncated_foreign_and_missing_files_are_named(builder, release, tmp_path):
    path = release / 'TFD_48x48.mat'
    whole = path.read_bytes()
    for length in (0, 90, 128, 2000, len(whole) - 20):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=f"{path}: .*; take the owners' file again"):
            builder.open(release)
    path.write_bytes(b'images of faces' * 100)
    with pytest.raises(UserError, match=f'{path}: truncated, damaged or no MATLAB file'):
        builder.open(release)
    path.rename(release / 'TFD_96x96.mat')
    with pytest.raises(UserError, match='it has no TFD_48x48.mat'):
        builder.open(release)
    with pytest.raises(UserError, match='nowhere: no such folder'):
        builder.open(tmp_path / 'nowhere')


def test_a_drawn_release_is_prepared_and_loaded(tmp_path):
    release = simulation.write_release('tfd', tmp_path / 'tfd', subjects=10, seed=1, workers=1)
    found = preparation.prepare('tfd', release, tmp_path / 'data', fold=3, report=quiet)
    assert found['simulated']['subjects'] == 10 and found['subjects'] == 10
    assert set(found['splits']) == {'train', 'validation', 'test'} and not found['faceless']
    clips = prepared.load('tfd', data_dir=tmp_path / 'data', **GEOMETRY)
    drawn_pictures = sum(len(person.labels) for person in drawn.plan(10, 1))
    assert len(clips) == found['clips'] == drawn_pictures
    assert clips.frames.std((2, 3, 4)).min() > 10
    again = simulation.write_release('tfd', tmp_path / 'again', subjects=10, seed=1, workers=1)
    first, second = ((folder / 'TFD_48x48.mat').read_bytes() for folder in (release, again))
    assert first == second


def test_a_file_of_matlab_7_3_is_named(builder, tmp_path):
    path = tmp_path / 'TFD_48x48.mat'
    path.write_bytes(b'MATLAB 7.3 MAT-file'.ljust(124) + b'\x00\x02IM' + bytes(512))
    with pytest.raises(UserError, match=f'{path}: a MATLAB 7.3 file .HDF5.; save it once more'):
        builder.open(tmp_path)
