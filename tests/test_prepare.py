"""The prepare command as it is typed."""

import os
import re
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from fer_jax import cli, prepare
from fer_jax.data import prepared
from fer_jax.data.datasets import clip_builder
from fer_jax.errors import UserError
from fer_jax.simulation.people import movie

VERSION = str(clip_builder.ClipBuilder.VERSION)


def write_release(folder, rows):
    """A fer2013.csv of flat grey pictures, all of one part."""
    folder.mkdir()
    greys = np.arange(rows) % 255 + 1
    lines = [f'{grey % 7},{" ".join([str(grey)] * 2304)},Training' for grey in greys]
    (folder / 'fer2013.csv').write_text('emotion,pixels,Usage\n' + '\n'.join(lines) + '\n')
    return folder


def command(*arguments):
    return [sys.executable, '-m', 'fer_jax.prepare', *arguments]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120)


def test_it_prepares_and_prints(tmp_path, capsys):
    release = write_release(tmp_path / 'fer', 8)
    flags = [f'--release={release}', f'--data_dir={tmp_path / "data"}']
    cli.call(prepare.main, prepare.define, ['--dataset=fer2013', *flags])
    out = capsys.readouterr().out
    assert out.startswith('fer2013: 8 clips, 8 frames\n')
    assert 'warning: split train: 8 of 28,709 published' in out
    assert f'prepared at {tmp_path}' in out
    assert prepared.describe('fer2013', tmp_path / 'data')['clips'] == 8


def test_a_prepared_dataset_is_drawn(tmp_path, capsys):
    release, data = write_release(tmp_path / 'fer', 8), f'--data_dir={tmp_path / "data"}'
    flags = ['--dataset=fer2013', data]
    cli.call(prepare.main, prepare.define, [*flags, f'--release={release}', '--report'])
    page = prepared.location('fer2013', tmp_path / 'data') / 'report.html'
    assert capsys.readouterr().out.splitlines()[-1] == f'report: {page}'
    cli.call(prepare.main, prepare.define, [*flags, '--report', f'--out={tmp_path / "sheet"}'])
    assert (tmp_path / 'sheet' / 'report.html').read_bytes() == page.read_bytes()


def test_flags_for_faces_and_damaged_clips_reach_the_preparation(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(prepare.preparation, 'prepare', lambda *_, **options: given.update(options))
    flags = ['--faces=dlib', '--weights=points.dat', '--skip_unreadable', '--overwrite']
    release = ['--dataset=ckplus', f'--release={tmp_path}']
    cli.call(prepare.main, prepare.define, [*release, *flags])
    assert given == {
        'faces': 'dlib',
        'weights': 'points.dat',
        'skip_unreadable': True,
        'overwrite': True,
    }
    cli.call(prepare.main, prepare.define, release)
    assert given == {'faces': '', 'weights': None, 'skip_unreadable': False, 'overwrite': False}
    cli.call(prepare.main, prepare.define, ['--dataset=afew', f'--release={tmp_path}', '--scene'])
    assert given['faces'] == 'scene'


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--dataset=afew', '--scene', '--faces=dlib'], 'give --scene without --faces'),
        (['--dataset=afew', '--faces=scene'], 'give --scene without --faces'),
        (['--dataset=afew', '--scene', '--report'], '--report shows faces, --scene stores none'),
        (['--dataset=ferg', '--scene'], 'ferg has no scenes: choose a dataset of films'),
    ],
)
def test_scenes_are_of_films_and_have_no_faces(tmp_path, flags, message):
    places = [f'--release={tmp_path}', f'--data_dir={tmp_path / "data"}']
    with pytest.raises(UserError, match=message) as error:
        cli.call(prepare.main, prepare.define, [*flags, *places])
    assert '\n' not in str(error.value) and not (tmp_path / 'data').exists()


@pytest.mark.parametrize('given', [[], ['--dataset=ckplus'], ['--release=x']])
def test_missing_flags_are_the_users_mistake(given):
    with pytest.raises(UserError, match='is missing'):
        cli.call(prepare.main, prepare.define, given)


def test_exit_statuses(tmp_path):
    shown = run('--help')
    assert shown.returncode == 0
    for flag in ('ferplus', 'faces', 'weights', 'skip_unreadable'):
        assert f'--{flag}' in shown.stdout
    wrong = run('--dataset=ckplus', f'--release={tmp_path / "nowhere"}', f'--data_dir={tmp_path}')
    assert wrong.returncode == 1 and not wrong.stdout
    assert wrong.stderr.startswith(f'error: {tmp_path}/nowhere: no such folder')
    assert wrong.stderr.count('\n') == 1
    assert run('--dataset=ckplus', '--relese=x').returncode == 2


def test_killed_it_leaves_nothing_that_passes_for_whole(tmp_path):
    release, data = write_release(tmp_path / 'fer', 4000), tmp_path / 'data'
    flags = ('--dataset=fer2013', f'--release={release}', f'--data_dir={data}')
    process = subprocess.Popen(
        command(*flags), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not list(data.glob('fer2013/*/.preparing/**/incomplete.*')):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(UserError, match='is not prepared'):
        prepared.describe('fer2013', data)

    again = run(*flags)  # needs no --overwrite, and clears what was left
    assert again.returncode == 0, again.stderr
    folder = prepared.location('fer2013', data)
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]
    found = prepared.load('fer2013', data_dir=data, frames=1, sampling='last', size=48)
    assert len(found) == 4000


def test_killed_over_films_it_leaves_no_scenes(tmp_path):
    release, data = tmp_path / 'AFEW', tmp_path / 'data'
    noise = np.random.default_rng(0).integers(0, 256, (20, 288, 360, 3)).astype(np.uint8)
    for folder, clips in (('Train_AFEW/Angry', 40), ('Val_AFEW/Sad', 1)):
        (release / folder).mkdir(parents=True)
        for clip in range(clips):
            path = release / folder / f'{clip:09d}.avi'
            if clip:
                path.hardlink_to(release / folder / '000000000.avi')
            else:
                movie.write_movie(path, noise, 25)
    flags = ('--dataset=afew', f'--release={release}', f'--data_dir={data}', '--scene')
    process = subprocess.Popen(
        command(*flags), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not list(data.glob('afew/scene/.preparing/**/incomplete.*')):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(UserError, match='is not prepared at .* --scene$'):
        prepared.scenes('afew', data_dir=data)

    again = run(*flags)  # needs no --overwrite, and clears what was left
    assert again.returncode == 0, again.stderr
    assert [path.name for path in (data / 'afew' / 'scene').iterdir()] == [VERSION]
    assert sum(len(clip) for _, clip in prepared.scenes('afew', data_dir=data)) == 41 * 20


def test_killed_while_it_looks_for_faces_it_takes_up_what_it_found(tmp_path):
    """Pictures of noise, in which dlib looks twice at each frame and finds nobody."""
    release, rng = tmp_path / 'ck', np.random.default_rng(0)
    for part in ('cohn-kanade-images', 'Emotion', 'Landmarks'):
        for number in range(1, 31):
            folder = release / part / 'S001' / f'{number:03d}'
            folder.mkdir(parents=True)
            stem = f'S001_{number:03d}_'
            if part == 'Emotion':
                (folder / f'{stem}00000004_emotion.txt').write_text('3.0000000e+00')
            elif part == 'cohn-kanade-images':
                for frame in range(1, 5):
                    noise = rng.integers(0, 256, (120, 160)).astype(np.uint8)
                    cv2.imwrite(str(folder / f'{stem}{frame:08d}.png'), noise)
    data = tmp_path / 'data'
    flags = ('--dataset=ckplus', f'--release={release}', '--faces=dlib', f'--data_dir={data}')
    process = subprocess.Popen(
        command(*flags), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    folder = prepared.location('ckplus', data, 'dlib').parent
    try:
        deadline = time.monotonic() + 60
        while len(list(folder.glob('.detections/*.npz'))) < 3:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(UserError, match='is not prepared'):
        prepared.describe('ckplus', data, 'dlib')

    again = run(*flags)
    assert again.returncode == 0, again.stderr
    assert re.search(r'ckplus: goes on with the faces of \d+ clips found before', again.stdout)
    assert 'kept, without a face in any frame: 30:' in again.stdout
    assert sorted(path.name for path in folder.iterdir()) == [VERSION]
