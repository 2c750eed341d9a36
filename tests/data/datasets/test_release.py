"""Reading what owners ship: folder levels, frames of a clip, text that is no numbers."""

import concurrent.futures
import os
import shutil

import cv2
import numpy as np
import pytest

from fer_jax.data.datasets import release
from fer_jax.errors import UserError

PARTS = {'images': 'from images.zip', 'labels': 'from labels.zip'}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / 'above' / 'release'
    for part in PARTS:
        (root / part / 'S001').mkdir(parents=True)
    return root


def test_root_is_the_folder_with_all_parts(folder):
    assert release.root(folder, 'X', PARTS) == folder
    assert release.root(str(folder), 'X', PARTS) == folder


@pytest.mark.parametrize('inside', ['images', 'labels', 'images/S001'])
def test_a_folder_inside_names_the_right_one(folder, inside):
    with pytest.raises(UserError, match=f'--release={folder}$'):
        release.root(folder / inside, 'X', PARTS)


def test_a_folder_above_names_the_right_one(folder):
    for above in (folder.parent, folder.parent.parent):
        with pytest.raises(UserError, match=f'above the X release: pass --release={folder}$'):
            release.root(above, 'X', PARTS)


def test_a_missing_folder_and_a_missing_part(folder, tmp_path):
    with pytest.raises(UserError, match='nowhere: no such folder.*images and labels'):
        release.root(tmp_path / 'nowhere', 'X', PARTS)
    shutil.rmtree(folder / 'labels')
    with pytest.raises(UserError, match=r'has no labels \(from labels.zip\)'):
        release.root(folder, 'X', PARTS)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / 'faces.csv').write_text('x')
    assert release.root(tmp_path, 'X', {'faces.csv': ''}) == tmp_path
    with pytest.raises(UserError, match=f'pass --release={tmp_path}$'):
        release.root(tmp_path / 'faces.csv', 'X', {'faces.csv': ''})
    (tmp_path / 'other.csv').write_text('x')
    with pytest.raises(UserError, match='is a file'):
        release.root(tmp_path / 'other.csv', 'X', {'images': ''})


def test_frames_of_a_clip_share_channels_and_size(tmp_path):
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    colour = np.dstack([grey, grey, grey // 2])
    for name, image in (('a', grey), ('b', colour), ('c', grey[:4])):
        cv2.imwrite(str(tmp_path / f'{name}.png'), image)
    paths = [tmp_path / f'{name}.png' for name in 'abc']
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        frames = release.read_frames(paths[:2], pool)
        np.testing.assert_array_equal(frames[0], np.dstack([grey] * 3))
        np.testing.assert_array_equal(frames[1], colour[:, :, ::-1])
        assert release.read_frames(paths[:1], pool)[0].shape == (6, 8, 1)
        with pytest.raises(UserError, match=r'c.png: 8x4 pixels, but a.png .* has 8x6'):
            release.read_frames(paths, pool)


@pytest.mark.parametrize('text', ['', 'three', '3.0 4.0', 'nan', '3,0', '\xff\xfe'])
def test_text_that_is_not_one_number(tmp_path, text):
    path = tmp_path / 'x_emotion.txt'
    path.write_text(text, encoding='latin-1')
    with pytest.raises(UserError, match=f'{path}: one emotion number expected'):
        release.read_numbers(path, (), 'one emotion number')


def test_numbers_have_their_shape(tmp_path):
    path = tmp_path / 'x.txt'
    path.write_text('   1.0000000e+00   2.5\n 3 4\n\n')
    np.testing.assert_array_equal(release.read_numbers(path, (2, 2), 'four'), [[1, 2.5], [3, 4]])
    with pytest.raises(UserError, match=r'found 4 number\(s\)'):
        release.read_numbers(path, (68, 2), '68 landmarks')


def test_a_file_that_a_release_may_lack(tmp_path):
    path = tmp_path / 'a[1].txt'
    assert release.optional(path) is None and release.optional(tmp_path / 'no' / 'b.txt') is None
    capitals = tmp_path / 'A[1].TXT'
    capitals.write_text('')
    assert release.optional(path) == capitals
    capitals.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=r'a\[1\].txt: no file, but a folder'):
        release.optional(path)


def test_the_fingerprint_follows_files_not_places(folder, tmp_path):
    picture, label = folder / 'images' / 'a.png', folder / 'labels' / 'a.txt'
    picture.write_bytes(b'12345')
    label.write_text('3')

    def mark(root):
        listed, read = [root / 'images' / 'a.png'], [root / 'labels' / 'a.txt']
        return release.fingerprint(root, listed=listed, read=read)

    first = mark(folder)
    shutil.copytree(folder, tmp_path / 'moved')
    assert mark(tmp_path / 'moved') == first
    label.write_text('4')
    second = mark(folder)
    picture.write_bytes(b'123456')
    third = mark(folder)
    (folder / release.SIMULATED_FILE).write_text('{"dataset": "x", "seed": 0}')
    assert len({first, second, third, mark(folder)}) == 4


def test_the_simulators_note(folder):
    assert release.simulated(folder) is None
    (folder / release.SIMULATED_FILE).write_text('{"dataset": "x", "seed": 3}')
    assert release.simulated(folder) == {'dataset': 'x', 'seed': 3}
    (folder / release.SIMULATED_FILE).write_text('{"seed"')
    with pytest.raises(UserError, match='not JSON'):
        release.simulated(folder)


@pytest.mark.parametrize(
    'content', ['null', '[]', '3', 'true', '"ckplus"', '{}', '{"dataset": 3}', '', '{', '[' * 10**5]
)
def test_a_damaged_note_of_the_simulator_is_refused(tmp_path, content):
    assert release.simulated(tmp_path) is None
    note = tmp_path / release.SIMULATED_FILE
    note.write_text(content)
    with pytest.raises(UserError, match='SIMULATED.json: not .*simulate the release again'):
        release.simulated(tmp_path)
    note.write_text('{"dataset": "ckplus"}')
    assert release.simulated(tmp_path) == {'dataset': 'ckplus'}


def test_a_note_of_the_simulator_that_is_no_file_is_refused(tmp_path):
    note = tmp_path / release.SIMULATED_FILE
    for make in (note.mkdir, lambda: os.mkfifo(note), lambda: note.symlink_to('nowhere')):
        make()
        with pytest.raises(UserError, match='SIMULATED.json: no file'):
            release.simulated(tmp_path)
        note.rmdir() if note.is_dir() else note.unlink()


def test_landmarks_far_outside_are_refused_beside_unknown_ones():
    points, frame = np.full((5, 2), np.nan), np.zeros((30, 40, 1), np.uint8)
    release.check_inside(points, frame, 'a.txt')
    points[0] = 59, 20
    release.check_inside(points, frame, 'a.txt')
    points[3] = 10, 500
    with pytest.raises(UserError, match='a.txt: a landmark lies 471 pixels outside of the picture'):
        release.check_inside(points, frame, 'a.txt')
