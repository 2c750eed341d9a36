"""fer_jax.main by two processes on this host: one run."""

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CONFIG = Path(__file__).parents[1] / 'configs' / 'ckplus_c3d.py'
SMALL = {
    'simulated.subjects': 8, 'data.frames': 4, 'data.size': 32, 'protocol.k': 2,
    'model.width': 0.03125, 'train.epochs': 6, 'train.checkpoint_every': 1, 'train.batch_size': 16,
}  # fmt: skip
COMMAND = [
    sys.executable, '-m', 'fer_jax.main', f'--config={CONFIG}:simulated',
    *(f'--config.{key}={value}' for key, value in SMALL.items()),
]  # fmt: skip


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp('data')


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


def end(processes, timeout=240):
    """Exit status, output and errors of each."""
    return [(*process.communicate(timeout=timeout), process.returncode) for process in processes]


def finish(folder, data_dir, count, devices):
    """Runs to the end: the rows of predictions.csv."""
    ended = end(start(folder, data_dir, count, devices))
    for _, errors, status in ended:
        assert status == 0, errors
    assert 'report:' in ended[0][0]
    for output, _, _ in ended[1:]:  # the first alone speaks, besides the collectives
        assert all(line.startswith('[Gloo]') for line in output.splitlines())
    assert not folder.with_name(f'{folder.name}-of-another').exists()
    assert (folder / 'DONE').exists()
    with (folder / 'predictions.csv').open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def whole(data_dir, tmp_path_factory):
    """What two processes of four devices predict when nobody disturbs them."""
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
