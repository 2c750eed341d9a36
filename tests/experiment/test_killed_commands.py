"""Commands that are killed at random moments and started again end as if nobody had disturbed them.

Moments are seeded shares of the time that the command takes; every third lies in its first second.
A command that had ended by then is started anew and killed after half the time, so that each case
is a kill. FER_JAX_KILL_LOG=FILE keeps a line of each.
"""

import json
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
TIMES = {'prepare': 14, 'report': 12, 'sweep': 12, 'main': 14}
CONFIG = {**plain_runs.CHANGES, 'train.epochs': 3}
SWEEP = f"""
from fer_jax.config import Range, Space, load_config

def get_config(variant=''):
    config = load_config({str(ROOT / 'configs/fer2013_plain.py')!r})
    config.update_from_flattened_dict({ {**CONFIG, 'train.epochs': 2, 'train.seeds': 1}!r})
    return config

def get_space(config):
    return Space({{'model.dropout_rate': Range(0.0, 1.0)}})
"""

pytestmark = pytest.mark.slow


def words_of(command, place, given):
    """The command line that writes into `place`."""
    if command == 'main':
        options = [f'--config.{key}={value}' for key, value in CONFIG.items()]
        words = ['--config=fer2013_plain.py', *options]
        words += [f'--workdir={place}', f'--data_dir={given["data"]}']
    elif command == 'prepare':
        words = ['--dataset=fer2013', f'--release={given["release"]}', f'--data_dir={place}']
    elif command == 'sweep':
        words = [f'--config={given["small.py"]}', '--study=small', '--trials=2']
        words += [f'--storage=journal:{place.parent / "journal"}', f'--workdir={place}']
        words += [f'--data_dir={given["data"]}']
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
    """Reads what must be equal: the content of a command's files, by their names."""
    run = ('probabilities.npz', 'predictions.csv', 'results.json', 'metrics.csv')
    wanted = {
        'main': run,
        'prepare': ('**/*',),
        'report': ('report.html', 'figures/*', 'probabilities.npz'),
        'sweep': [f'trial-*/{name}' for name in run],
    }[command]
    paths = {path for pattern in wanted for path in place.glob(pattern) if path.is_file()}
    found = {str(path.relative_to(place)): path.read_bytes() for path in paths}
    if command == 'sweep':  # the study but for its times and the number of its worker
        trials = json.loads((place / 'study.json').read_text())['trials']
        keys = ('number', 'state', 'value', 'params', 'members', 'reason', 'folder')
        found['trials'] = json.dumps([[trial[key] for key in keys] for trial in trials]).encode()
    return found


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    """Makes what commands read: a release, prepared data, a finished run, a config with a space."""
    folder = tmp_path_factory.mktemp('given')
    places = {'release': plain_runs.write_release(folder / 'release'), 'data': folder / 'data'}
    places |= {'run': folder / 'run', 'small.py': folder / 'small.py'}
    places['small.py'].write_text(SWEEP)
    finish('prepare', places['data'], places)
    finish('main', places['run'], places)
    return places


def begin(command, folder, given):
    """The place that a command is to write into, in a folder of its own."""
    place = folder / command
    folder.mkdir(parents=True)
    if command == 'report':
        shutil.copytree(given['run'], place)
    return place


@pytest.fixture(scope='module')
def undisturbed(given, tmp_path_factory):
    """For each command what it leaves, and the seconds that it took, when first asked for."""
    found = {}

    def of(command):
        if command not in found:
            place = begin(command, tmp_path_factory.mktemp('undisturbed') / 'of', given)
            begun = time.monotonic()
            finish(command, place, given)
            found[command] = left(command, place), time.monotonic() - begun
        return found[command]

    return of


def kill(command, place, given, moment):
    """Starts a command and kills it at a moment; whether it still ran."""
    process = start(command, place, given)
    try:
        process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode == -9


def note(line):
    print(line)
    if 'FER_JAX_KILL_LOG' in os.environ:
        with open(os.environ['FER_JAX_KILL_LOG'], 'a') as log:
            log.write(f'{line}\n')


CASES = [(command, number) for command, times in TIMES.items() for number in range(times)]


@pytest.mark.parametrize(('command', 'number'), CASES)
def test_killed_at_a_random_moment_and_started_again(given, undisturbed, tmp_path, command, number):
    wanted, seconds = undisturbed(command)
    rng = np.random.default_rng([SEED, list(TIMES).index(command), number])
    moment = rng.uniform(0, 1.0 if number % 3 == 0 else seconds)
    tries = 0
    while True:
        place = begin(command, tmp_path / f'{tries}', given)
        if kill(command, place, given, moment):
            break
        tries, moment = tries + 1, moment / 2
    finish(command, place, given)
    now = left(command, place)
    same = [name for name in wanted if now.get(name) == wanted[name]]
    note(
        f'{command} {number}: killed after {moment:.2f} of {seconds:.2f} s, '
        f'{len(same)} of {len(wanted)} files equal'
    )
    assert len(wanted) > 2 and now.keys() == wanted.keys()
    assert len(same) == len(wanted)
