"""Several processes on this host, with real sockets between them, are one run."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from fer_jax import runtime
from fer_jax.errors import UserError
from fer_jax.training import processes

WORK = Path(__file__).with_name('ten_steps.py')


def free_port():
    with socket.socket() as found:
        found.bind(('localhost', 0))
        return found.getsockname()[1]


def run(out, count, devices):
    """Ten steps by `count` processes of `devices` devices each: what the first has written.

    Several are told who they are by the variables that SLURM sets.
    """
    environment = os.environ | {'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': str(devices)}
    if count > 1:
        environment |= {
            'SLURM_JOB_ID': '1', 'SLURM_STEP_NODELIST': 'localhost', 'SLURM_NTASKS': str(count),
            'JAX_COORDINATOR_PORT': str(free_port()),
        }  # fmt: skip
    started = [
        subprocess.Popen(
            [sys.executable, str(WORK), str(out), *['auto'] * (count > 1)],
            env=environment | {'SLURM_PROCID': str(i), 'SLURM_LOCALID': str(i)},
            stderr=subprocess.PIPE, text=True,
        )
        for i in range(count)
    ]  # fmt: skip
    for process in started:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    with np.load(out) as saved:
        return dict(saved)


@pytest.fixture(scope='module')
def two_of_four(tmp_path_factory):
    return run(tmp_path_factory.mktemp('runs') / 'two.npz', 2, 4)


@pytest.mark.parametrize('devices', [8, 1])
def test_two_processes_of_four_devices_learn_what_one_does(two_of_four, tmp_path, devices):
    """Rows of one member over all devices; four members with the rows of each over two."""
    alone = run(tmp_path / 'one.npz', 1, devices)
    assert two_of_four['devices'] == 8 and alone['devices'] == devices
    assert two_of_four['1 members/mesh'].tolist() == [1, 8]
    assert two_of_four['4 members/mesh'].tolist() == [4, 2]
    assert alone.keys() == two_of_four.keys() and len(alone) > 40
    for name, value in alone.items():
        if not name.endswith(('mesh', 'devices')):
            np.testing.assert_allclose(
                two_of_four[name], value, rtol=0, atol=1e-5 * np.abs(value).max(), err_msg=name
            )


def test_alone_a_process_agrees_with_itself():
    assert processes.is_first()
    assert processes.tell({'a': [1, None]}) == {'a': [1, None]}
    assert processes.smallest(12345) == 12345
    assert processes.on_this_host() == 1
    assert processes.first_then_others(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError), processes.together():
        1 / 0  # noqa: B018


def test_processes_of_one_host_are_counted_by_its_boot(monkeypatch, tmp_path):
    """First three on one host; then one on a host, two on another."""
    gathered, booted = [], tmp_path / 'boot_id'
    monkeypatch.setattr(jax, 'process_count', lambda: 3)
    monkeypatch.setattr(processes, '_BOOT_ID', booted)

    def gather(mine):
        gathered.append(mine)
        return np.stack([gathered[0], mine, gathered[0]])

    monkeypatch.setattr(processes.multihost_utils, 'process_allgather', gather)
    counts = []
    for boot in ('one', 'other'):
        booted.write_text(boot)
        counts.append(processes.on_this_host())
    assert counts == [3, 1]


@pytest.mark.parametrize(
    'given,message',
    [
        ('node0:8476', 'give auto, or HOST:PORT,PROCESSES,NUMBER'),
        ('node0,2,0', 'give auto, or HOST:PORT,PROCESSES,NUMBER'),
        ('node0:8476,2,2', 'counts processes from 0 to 1'),
        ('auto', 'neither SLURM nor a TPU pod'),
    ],
)
def test_a_wrong_address_is_told(given, message, monkeypatch):
    for name in list(os.environ):
        if name.startswith(('SLURM', 'OMPI', 'JAX_COORDINATOR', 'KUBERNETES')):
            monkeypatch.delenv(name)
    script = f'from fer_jax import runtime\nruntime.join({given!r})'
    if given != 'auto':
        with pytest.raises(UserError, match=message):
            runtime.join(given)
        return
    # In a process of its own: this one has its devices already, and then nothing can join.
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert message in done.stderr


@pytest.mark.parametrize(
    'variables, devices',
    [
        ({'SLURM_STEP_TASKS_PER_NODE': '1(x4)', 'CUDA_VISIBLE_DEVICES': '4,5,6,7'}, [0, 1, 2, 3]),
        ({'SLURM_STEP_TASKS_PER_NODE': '1', 'SLURM_GPUS_ON_NODE': '2'}, [0, 1]),
        ({'SLURM_STEP_TASKS_PER_NODE': '1(x4)'}, None),
        ({'SLURM_STEP_TASKS_PER_NODE': '4(x2)', 'CUDA_VISIBLE_DEVICES': '0,1,2,3'}, None),
        ({'SLURM_STEP_TASKS_PER_NODE': '1', 'SLURM_GPUS_ON_NODE': '2',
          'JAX_LOCAL_DEVICE_IDS': '0'}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_a_node_s_only_process_takes_all_its_gpus(variables, devices, monkeypatch):
    for name in list(os.environ):
        if name.startswith(('SLURM', 'OMPI', 'CUDA', 'JAX_LOCAL')):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    given = {}
    monkeypatch.setattr(jax.config, 'update', lambda *setting: None)
    monkeypatch.setattr(jax.distributed, 'initialize', lambda **where: given.update(where))
    runtime.join('auto')
    assert given['local_device_ids'] == devices
