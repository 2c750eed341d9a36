"""Commands that are killed at random moments and started again end as if nobody had disturbed them.

Moments are seeded shares of the time that the command takes; every third lies in its first second.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests import plain_runs

ROOT = Path(__file__).parents[2]
SEED = 18
TIMES = {'main': 10, 'prepare': 5, 'report': 5}
CONFIG = {**plain_runs.CHANGES, 'train.epochs': 3}

pytestmark = pytest.mark.slow


def words_of(command, place, given):
    """The command line that writes into `place`."""
    if command == 'main':
        options = [f'--config.{key}={value}' for key, value in CONFIG.items()]
        words = ['--config=fer2013_plain.py', *options]
        words += [f'--workdir={place}', f'--data_dir={given["data"]}']
    elif command == 'prepare':
        words = ['--dataset=fer2013', f'--release={given["release"]}', f'--data_dir={place}']
    else:
        words = [str(place)]
    return [sys.executable, '-m', f'fer_jax.{command}', *words]


def start(command, place, given):
    return subprocess.Popen(
        words_of(command, place, given), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=os.environ | {'PYTHONPATH': str(ROOT), 'JAX_PLATFORMS': 'cpu'},
    )  # fmt: skip


def finish(command, place, given):
    process = start(command, place, given)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said


def left(command, place):
    """What must be equal: the content of a command's files, by their names."""
    wanted = {
        'main': ('probabilities.npz', 'predictions.csv', 'results.json', 'metrics.csv'),
        'prepare': ('**/*',),
        'report': ('report.html', 'figures/*', 'probabilities.npz'),
    }[command]
    paths = {path for pattern in wanted for path in place.glob(pattern) if path.is_file()}
    return {str(path.relative_to(place)): path.read_bytes() for path in paths}


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    """What commands read: a release, prepared data, a finished run."""
    folder = tmp_path_factory.mktemp('given')
    places = {'release': plain_runs.write_release(folder / 'release'), 'data': folder / 'data'}
    places['run'] = folder / 'run'
    finish('prepare', places['data'], places)
    finish('main', places['run'], places)
    return places


@pytest.fixture(scope='module')
def undisturbed(given, tmp_path_factory):
    """For each command what it leaves, and the seconds that it took."""
    found = {}
    for command in TIMES:
        place = tmp_path_factory.mktemp('undisturbed') / command
        if command == 'report':
            shutil.copytree(given['run'], place)
        begun = time.monotonic()
        finish(command, place, given)
        found[command] = left(command, place), time.monotonic() - begun
    return found


CASES = [(command, number) for command, times in TIMES.items() for number in range(times)]


@pytest.mark.parametrize(('command', 'number'), CASES)
def test_killed_at_a_random_moment_and_started_again(given, undisturbed, tmp_path, command, number):
    wanted, seconds = undisturbed[command]
    rng = np.random.default_rng([SEED, list(TIMES).index(command), number])
    moment = rng.uniform(0, 1.0 if number % 3 == 0 else seconds)
    place = tmp_path / 'place'
    if command == 'report':
        shutil.copytree(given['run'], place)
    process = start(command, place, given)
    try:
        process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    print(f'{command} {number}: {moment:.2f} of {seconds:.2f} s, status {process.returncode}')
    finish(command, place, given)
    now = left(command, place)
    assert len(wanted) > 2 and now.keys() == wanted.keys()
    assert not [name for name in wanted if now[name] != wanted[name]]
