"""SMILExtract's files, written here line by line."""

import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.kahou2015 import audio, audio_files

IDS = ['train/001', 'train/002', 'validation/003']
NAMES = ['F0final_sma_amean', 'mfcc_sma[0]_maxPos', 'pcm_loudness_sma_amean']
VALUES = np.array([[1.5, -2e-3, 3], [4, 5, 6e10], [0, 8.25, -9]], np.float32)


def arff(path, names, values, clips, kind='numeric'):
    lines = ['@relation SMILEfeatures', '', '@attribute name string', '@attribute frameTime real']
    lines += [f'@attribute {name} {kind}' for name in names]
    lines += ['@attribute class {a, b}', '', '@data', '']
    for clip, row in zip(clips, values, strict=True):
        lines.append(f"'{clip}',0.0,{','.join(f'{v:.9e}' for v in row)},?")
    path.write_text('\n'.join(lines) + '\n')
    return path


def test_arff_in_any_order_gives_the_same_matrix(tmp_path):
    turned = [2, 0, 1]
    path = arff(
        tmp_path / 'x.arff',
        [NAMES[k] for k in turned],
        VALUES[::-1, turned],
        ['sound/003.wav', 'train/002', r'C:\films\001.wav'],
    )
    names, values = audio_files.read(path, IDS)
    assert names == NAMES
    np.testing.assert_array_equal(values, VALUES)
    assert audio_files.read(path, IDS[1:])[1].tolist() == VALUES[1:].tolist()


def test_the_folders_of_the_release_tell_parts_apart(tmp_path):
    rows = ['Val_AFEW/Happy/001.wav', r'D:\Train_AFEW\Angry\001.wav', 'Test_AFEW/001.wav']
    path = arff(tmp_path / 'x.arff', NAMES, VALUES, rows)
    _, values = audio_files.read(path, ['test/001', 'train/001', 'validation/001'])
    np.testing.assert_array_equal(values, VALUES[[2, 1, 0]])


@pytest.mark.parametrize('mark', [';', ','])
def test_csv_gives_the_same_matrix(tmp_path, mark):
    lines = [mark.join(['name', 'frameTime', *NAMES])]
    for clip, row in zip(IDS, VALUES, strict=True):
        lines.append(mark.join([f"'{clip}'", '0.0', *(f'{v:.9e}' for v in row)]))
    path = tmp_path / 'x.csv'
    path.write_text('\n'.join(lines))
    names, values = audio_files.read(path, IDS)
    assert names == NAMES
    np.testing.assert_array_equal(values, VALUES)


def test_opensmiles_own_features_come_back(tmp_path):
    pytest.importorskip('opensmile', reason='the extra `audio`, for research only')
    rng = np.random.default_rng(0)
    sound = {name: (rng.integers(-9000, 9000, 8000).astype(np.int16), 16000) for name in IDS}
    names, values = audio.extract(sound)
    path = arff(tmp_path / 'x.arff', names[::-1], values[:, ::-1], IDS)
    again = audio_files.read(path, IDS)
    assert again[0] == names
    np.testing.assert_array_equal(again[1], values)


def test_ids_that_end_alike_need_their_whole_name(tmp_path):
    ids = ['train/001', 'validation/001']
    path = arff(tmp_path / 'x.arff', NAMES, VALUES[:2], ids)
    np.testing.assert_array_equal(audio_files.read(path, ids)[1], VALUES[:2])
    path = arff(tmp_path / 'x.arff', NAMES, VALUES[:1], ['001.wav'])
    with pytest.raises(UserError, match='no row for 2 clips: train/001, validation/001'):
        audio_files.read(path, ids)


@pytest.mark.parametrize(
    ('names', 'ids'),
    [
        (['wav/03a01Fa.wav', '03a01Wa'], ['03a01Fa.wav', '03a01Wa.wav']),
        (['wav/joy/01.wav', 'wav/anger/01.wav'], ['joy/01.wav', 'anger/01.wav']),
        (['joy/01.wav', 'anger/01.wav'], ['joy/01.mp4']),
        (['z.wav', 'x/01.wav', 'y/01.wav'], ['z']),
        (['001.a.wav', '001.b.wav'], ['001.a', '001.b']),
        (['test/000046280.wav', 'sound/000046280.wav'][::-1], ['train/000046280']),
    ],
)
@pytest.mark.parametrize('mark', ['', '\ufeff'])
def test_a_row_is_of_the_clip_that_its_name_ends_like(tmp_path, names, ids, mark):
    path = tmp_path / 'x.csv'
    rows = [f'{name},{row}' for row, name in enumerate(names)]
    path.write_text(mark + '\n'.join(['name,a', *rows]), encoding='utf-8')
    _, values = audio_files.read(path, ids)
    assert values[:, 0].tolist() == list(range(len(ids)))


def test_a_row_of_another_part_is_of_another_clip(tmp_path):
    path = arff(tmp_path / 'x.arff', NAMES, VALUES[:1], ['test/000046280.wav'])
    with pytest.raises(UserError, match='no row for 1 clips: train/000046280'):
        audio_files.read(path, ['train/000046280'])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ("name;a\n'001';1", r'no row for 2 clips: train/002, validation/003'),
        ("name;a\n'001';1\n'001';2", "lines 2 and 3: both are of 'train/001'"),
        ("name;a\n'001';1;2", 'line 2: 3 values, but 2 columns are named'),
        ("name;a;b\n'001';1;x", "line 2: b is 'x', which is no number"),
        ('a;b\n1;2', "has no column 'name'"),
        ('', "has no column 'name'"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path, text, message):
    path = tmp_path / 'x.csv'
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        audio_files.read(path, IDS)
    assert '\n' not in str(error.value)


def test_no_file_and_no_arff(tmp_path):
    with pytest.raises(UserError, match='there is no'):
        audio_files.read(tmp_path / 'none.arff', IDS)
    path = tmp_path / 'x.arff'
    path.write_text('@relation x\n')
    with pytest.raises(UserError, match="it has no line '@data'"):
        audio_files.read(path, IDS)
