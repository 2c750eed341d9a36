"""The virtual environment that launch scripts make: nothing of the user's is emptied."""

import os
import subprocess
import sys
from pathlib import Path

LAUNCH = Path(__file__).parents[2] / 'launch'


def make_environment(venv, **options):
    """Makes the virtual environment of the scripts in that folder."""
    return subprocess.run(
        ['bash', '-c', f'set -e; source {LAUNCH}/environment.sh; make_virtual_environment'],
        capture_output=True,
        text=True,
        env={**os.environ, 'FER_JAX_VENV': str(venv), 'PYTHON': sys.executable},
        **options,
    )


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path):
    (tmp_path / 'thesis.txt').write_text('mine')
    done = make_environment(tmp_path)
    assert done.returncode == 1 and [path.name for path in tmp_path.iterdir()] == ['thesis.txt']
    assert f'{tmp_path} is no virtual environment and not empty' in done.stderr


def test_an_environment_without_pip_is_given_one_and_keeps_its_packages(tmp_path):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'pyvenv.cfg').touch()
    python = tmp_path / 'bin' / 'python'
    python.write_text(
        '#!/bin/sh\ncase "$*" in\n*"import pip") exit 1 ;;\n'
        f'*ensurepip) touch {tmp_path}/pip ;;\nesac\n'
    )
    python.chmod(0o755)
    done = make_environment(tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {'bin', 'pip', 'pyvenv.cfg'}
