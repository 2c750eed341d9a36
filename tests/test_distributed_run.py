"""fer_jax.main by two processes on this host: one run, stopped, killed and taken up again."""

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fer_jax import runtime
from fer_jax.training.loop import EPOCH

pytestmark = pytest.mark.slow
CONFIG = Path(__file__).parents[1] / 'configs' / 'ckplus_c3d.py'
SMALL = {
    'simulated.subjects': 8, 'data.frames': 4, 'data.size': 32, 'protocol.k': 2,
    'model.width': 0.03125, 'train.epochs': 12, 'train.checkpoint_every': 1, 'train.batch_size': 16,
}  # fmt: skip
# Seconds that the death of one takes to end the others: a heartbeat missed, a goodbye awaited.
BOUND = 100 + runtime.SHUTDOWN
# Seconds for two processes to start, compile and train, on a machine that has other work.
PATIENCE = 600
COMMAND = [
    sys.executable, '-m', 'fer_jax.main', f'--config={CONFIG}:simulated',
    *(f'--config.{key}={value}' for key, value in SMALL.items()),
]  # fmt: skip


# What gloo's threads say of themselves, over one another.
GLOO = re.compile(
    r'\[Gloo\]|Rank|is connected to|peer ranks\.|'
    r'Expected number of connected peer ranks is :|[\d\s]'
)


@pytest.fixture(scope='module')
def data_dir(drawn_data):
    return drawn_data


def start(folder, data_dir, count, devices):
    """`count` processes of one run; all but the first get a folder that they must not need."""
    with socket.socket() as found:
        found.bind(('localhost', 0))
        port = found.getsockname()[1]
    environment = os.environ | {'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': str(devices)}
    started = []
    for number in range(count):
        own = f'{folder}-of-another' if number else folder
        words = [*COMMAND, f'--workdir={own}', f'--data_dir={data_dir}']
        if count > 1:
            words.append(f'--distributed=localhost:{port},{count},{number}')
        pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
        started.append(subprocess.Popen(words, env=environment, **pipes))
    return started


def end(processes, timeout=PATIENCE):
    """Output, errors and exit status of each; none is left running."""
    try:
        return [
            (*process.communicate(timeout=timeout), process.returncode) for process in processes
        ]
    finally:
        for process in processes:
            process.kill()


def finish(folder, data_dir, count, devices):
    """Runs to the end: the rows of predictions.csv."""
    ended = end(start(folder, data_dir, count, devices))
    for _, errors, status in ended:
        assert status == 0, errors
    assert 'report:' in ended[0][0]
    for output, _, _ in ended[1:]:  # the first alone speaks, besides the collectives
        assert not GLOO.sub('', output)
    assert not folder.with_name(f'{folder.name}-of-another').exists()
    assert (folder / 'DONE').exists()
    with (folder / 'predictions.csv').open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def whole(data_dir, tmp_path_factory):
    """Trains by two processes of four devices, undisturbed; returns what they predict."""
    folder = tmp_path_factory.mktemp('whole') / 'run'
    return finish(folder, data_dir, 2, 4)


def test_two_processes_predict_what_one_does(whole, data_dir, tmp_path):
    alone = finish(tmp_path / 'one', data_dir, 1, 1)
    keys = ('member', 'rule', 'part', 'clip_id', 'predicted')
    last = [
        sorted(tuple(row[key] for key in keys) for row in rows if row['rule'] == 'last')
        for rows in (whole, alone)
    ]
    assert last[0] == last[1] and len(last[0]) > 10


def start_and_wait(folder, data_dir, epoch):
    """Two processes that have saved both members after `epoch`."""
    processes = start(folder, data_dir, 2, 4)
    deadline = time.monotonic() + PATIENCE
    while not all(
        max((int(p.name) for p in latest.glob('*') if p.name.isdigit()), default=0) > epoch * EPOCH
        for latest in (folder / 'checkpoints' / member / 'latest' for member in ('000', '001'))
    ):
        if time.monotonic() > deadline or any(p.poll() is not None for p in processes):
            for process in processes:
                process.kill()
            pytest.fail(f'epoch {epoch} was not saved: {end(processes)}')
        time.sleep(0.02)
    return processes


@pytest.mark.parametrize('number', [0, 1])
def test_stopped_and_killed_it_goes_on_to_the_same_end(whole, data_dir, tmp_path, number):
    folder = tmp_path / 'cut'
    processes = start_and_wait(folder, data_dir, 1)
    processes[number].send_signal(signal.SIGTERM)  # to one of them: all of them stop
    ended = end(processes)
    assert [status for _, _, status in ended] == [143, 143], ended
    assert all('everything is saved' in errors for _, errors, _ in ended), ended

    processes = start_and_wait(folder, data_dir, 4)
    processes[number].kill()
    begun = time.monotonic()
    ended = end(processes, BOUND + 30)
    print(f'\nthe other ended {time.monotonic() - begun:.0f} s after process {number} was killed')
    _, errors, status = ended[1 - number]
    assert status != 0 and errors and ended[number][2] == -signal.SIGKILL, ended
    assert not (folder / 'DONE').exists() and not (folder / 'predictions.csv').exists()
    assert finish(folder, data_dir, 2, 4) == whole
