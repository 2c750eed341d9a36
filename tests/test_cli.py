"""Exit status and messages of commands, as a shell sees them."""

import subprocess
import sys

import pytest


def command(*arguments, module='fer_jax.main'):
    return subprocess.run(
        [sys.executable, '-m', module, *arguments], capture_output=True, text=True, timeout=120
    )


def test_help_is_status_0_and_lists_the_flags():
    done = command('--help')
    assert done.returncode == 0
    for flag in ('--config', '--workdir', '--data_dir'):
        assert flag in done.stdout
    assert not done.stderr


def test_an_unknown_flag_is_status_2():
    done = command('--confg=x')
    assert done.returncode == 2
    assert 'confg' in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.parametrize(
    'arguments,words',
    [
        ([], ['--config=configs/ckplus_c3d.py']),
        (['--config=configs/nowhere.py'], ['configs/nowhere.py']),
        (['--config=configs/ckplus_c3d.py:simulted'], ['simulted', 'loso']),
        (['--config=configs/ckplus_c3d.py', '--config.trian.epochs=3'], ['trian']),
        (['--config=configs/ckplus_c3d.py', '--config.train.epochs=many'], ['epochs', 'many']),
        (['--config=configs/ckplus_c3d.py', '--config.train.epochs=1.5'], ['epochs', '1.5']),
        (
            ['--config=configs/ckplus_c3d.py', '--data_dir=/nonexistent/data'],
            ['fer_jax.prepare --dataset=ckplus'],
        ),
    ],
)
def test_a_users_mistake_is_one_line_and_status_1(arguments, words, tmp_path):
    done = command(*arguments, f'--workdir={tmp_path / "run"}')
    assert done.returncode == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('error: ')
    for word in words:
        assert word in lines[0]
