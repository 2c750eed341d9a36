"""Commands where the system is not as usual: they do their work, or say in a line what is wrong.

A full disk, one that is read only, no HOME, 64 open files, an ASCII locale, another user.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import plain_runs, small_disk
from tests.sweep.conftest import CONFIG as SWEEP

ROOT = Path(__file__).parents[1]
NOBODY = 65534
COMMANDS = ('main', 'prepare', 'report', 'protocol', 'simulate', 'sweep')
# Bytes that are left on the full disk: what a command begins with has room, not all of it.
ROOM = {'protocol': 0, 'report': 40_000}

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path):
    """A disk of one megabyte."""
    with small_disk.mounted(tmp_path / 'disk', '1m') as folder:
        yield folder


@pytest.fixture
def words(plain_data, plain_run, tmp_path):
    """The function that gives a command line which writes into a folder."""

    def words(command, place):
        options = {**plain_runs.CHANGES, 'train.epochs': 1}
        given = {
            'main': [
                *('--config=fer2013_plain.py', f'--workdir={place / "run"}'),
                *(f'--config.{key}={value}' for key, value in options.items()),
                f'--data_dir={plain_data}',
            ],
            'prepare': [
                *('--dataset=fer2013', f'--release={plain_data.parent / "release"}'),
                f'--data_dir={place / "data"}',
            ],
            'report': [str(plain_run), f'--out={place / "page"}'],
            'protocol': [
                *('--dataset=fer2013', '--name=official', f'--data_dir={plain_data}'),
                f'--out={place / "folds.json"}',
            ],
            'simulate': ['--dataset=ckplus', '--subjects=4', f'--out={place / "release"}'],
            'sweep': [
                *(f'--config={tmp_path / "small.py"}', '--study=s', '--trials=1'),
                *(f'--storage=journal:{place / "journal"}', f'--workdir={place / "study"}'),
                f'--data_dir={tmp_path / "data"}',
            ],
        }[command]
        (tmp_path / 'small.py').write_text(SWEEP)
        return [sys.executable, '-m', f'fer_jax.{command}', *given]

    return words


def call(words, **changes):
    """Calls a command from the folder of the package; variables that are None are taken away."""
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', **changes}
    environment = {key: value for key, value in environment.items() if value is not None}
    return subprocess.run(
        words, capture_output=True, text=True, errors='replace', timeout=600, env=environment,
        cwd=ROOT,
    )  # fmt: skip


def check_said(done, *pieces):
    """Checks that a command failed with one line, which holds one of the pieces."""
    assert done.returncode == 1, done.stderr[-3000:]
    assert 'Traceback' not in done.stderr, done.stderr[-3000:]
    (said,) = [line for line in done.stderr.splitlines() if 'error: ' in line]
    assert said.startswith('error: ') and any(piece in said for piece in pieces), said
    print(said)


@pytest.mark.parametrize('command', COMMANDS)
def test_a_full_disk_is_said_in_a_line(disk, words, command):
    free = shutil.disk_usage(disk).free
    (disk / 'others').write_bytes(bytes(free - ROOM.get(command, 100_000) // 4096 * 4096))
    check_said(call(words(command, disk)), 'No space left')


@pytest.mark.parametrize('command', COMMANDS)
def test_a_disk_that_is_read_only_is_said_in_a_line(disk, words, command):
    small_disk.remount(disk, 'ro')
    check_said(call(words(command, disk)), 'Read-only file system')


def test_a_file_as_the_place_of_a_page_is_said_in_a_line(plain_run):
    words = [sys.executable, '-m', 'fer_jax.report', str(plain_run), '--out=/etc/hostname']
    check_said(call(words), '/etc/hostname: File exists')


# Name -> what a command line begins with, and variables.
CIRCUMSTANCES = {
    'no HOME': ((), {'HOME': None, 'XDG_CACHE_HOME': None, 'JAX_COMPILATION_CACHE_DIR': None}),
    '64 files': (('sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'), {}),
    'ASCII': (
        (),
        {'LC_ALL': 'C', 'PYTHONCOERCECLOCALE': '0', 'PYTHONUTF8': '0', 'PYTHONIOENCODING': None},
    ),
}


@pytest.mark.parametrize('command', ['main', 'prepare', 'report'])
@pytest.mark.parametrize('name', CIRCUMSTANCES)
def test_it_works_or_says_a_line(words, tmp_path, name, command):
    first, changes = CIRCUMSTANCES[name]
    done = call([*first, *words(command, tmp_path)], **changes)
    if done.returncode:
        assert name == '64 files'
        check_said(done, 'Too many open files')
    else:
        assert 'Traceback' not in done.stderr
        made = {'main': 'run/DONE', 'prepare': 'data/fer2013', 'report': 'page/report.html'}
        assert (tmp_path / made[command]).exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which('setpriv'), reason='needs root, to become somebody else'
)
@pytest.mark.parametrize('command', ['main', 'prepare', 'report'])
def test_another_user_is_told_what_he_may_not_read_or_write(words, tmp_path, command):
    become = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups']
    done = call([*become, *words(command, tmp_path)])
    # What root's tests have written is root's; HOME is root's, too.
    check_said(done, 'Permission denied', 'cannot write there', 'there is no', 'is not prepared')
