"""Exit status and messages of commands, as a shell sees them."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from fer_jax import cli

ROOT = Path(__file__).parents[1]
SCRIPT = ['-c', 'from fer_jax.cli import console; console()']  # what fer-jax runs


def command(*arguments, start=('-m', 'fer_jax.main'), cwd=ROOT):
    return subprocess.run(
        [sys.executable, *start, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    )


def one_line(done):
    """The line that a command says when it was given something wrong."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('error: '), done.stderr
    return lines[0]


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
        (['--config=configs/nowhere.py'], ['configs/nowhere.py: no such', 'afew_rnn.py, afew_svm']),
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
    for word in words:
        assert word in one_line(done)


@pytest.mark.parametrize('config', ['configs/ckplus_c3d.py:loso', 'ckplus_c3d.py:loso'])
def test_a_config_is_found_from_any_directory(config, tmp_path):
    done = command(f'--config={config}', '--data_dir=nowhere', cwd=tmp_path)
    assert 'ckplus is not prepared' in one_line(done)


def test_the_script_starts_every_command_and_lists_them(tmp_path):
    listed = command('--help', start=SCRIPT, cwd=tmp_path)
    assert listed.returncode == 0
    for name in cli.COMMANDS:
        assert f'\n  {name} ' in listed.stdout
    done = command('report', 'nowhere', start=SCRIPT, cwd=tmp_path)
    assert done.returncode == 1 and 'no run at nowhere' in one_line(done)
    usage = command('studies', '--help', start=SCRIPT, cwd=tmp_path)
    assert usage.returncode == 0 and '--subjects' in usage.stdout


def test_the_script_knows_no_other_command():
    done = command('train', start=SCRIPT)
    assert done.returncode == 2 and "'train'" in one_line(done)


def test_the_script_imports_nothing_of_other_commands():
    program = "import sys; from fer_jax.cli import console; console(); print('jax' in sys.modules)"
    done = command(start=('-c', program))
    assert done.stdout.splitlines()[-1] == 'False', done.stderr


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_help_fits_a_screen_and_says_where_more_is(name):
    module = importlib.import_module(
        f'fer_jax.{name}' if (ROOT / f'fer_jax/{name}.py').is_file() else f'fer_jax.{name}.__main__'
    )
    known = flags.FlagValues()
    module.define(known)
    doc = (module.__doc__ or '').strip()
    assert len(doc.splitlines()) + len(known) + 3 <= 46  # lines of --help
    assert f'\n    python -m fer_jax.{name} ' in doc
    assert '\nFirst flags: --' in doc
    pages = re.findall(r'docs/[\w/]+\.md', doc.split('Documented in')[1])
    assert pages and all((ROOT / page).is_file() for page in pages)
