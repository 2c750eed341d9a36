"""A SLURM of one node, which the test starts, runs arrays: of sweep workers, and of films."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from fer_jax.evaluation import rundir
from fer_jax.simulation.people import face, identity, movie, surroundings
from fer_jax.simulation.people.lighting import Light
from fer_jax.simulation.people.pose import Pose

ROOT = Path(__file__).parents[2]
PROGRAMS = ('slurmctld', 'slurmd', 'sbatch', 'munged', 'mungekey')
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, PROGRAMS)),
        reason='needs root and SLURM: apt-get install -y slurm-wlm munge',
    ),
]
# Small clips, two folds, one epoch: a trial takes seconds.
CONFIG = f"""
import importlib.util
from fer_jax.config import Range, Space
spec = importlib.util.spec_from_file_location('published', {str(ROOT / 'configs/ckplus_c3d.py')!r})
published = importlib.util.module_from_spec(spec)
spec.loader.exec_module(published)

def get_config(variant=''):
    config = published.get_config('simulated')
    config.update_from_flattened_dict({{
        'simulated.subjects': 8, 'data.frames': 2, 'data.size': 32, 'protocol.k': 2,
        'model.width': 0.03125, 'train.epochs': 2, 'train.batch_size': 16,
    }})
    return config

def get_space(config):
    return Space({{'model.dropout_rate': Range(0.0, 1.0)}})
"""
TRIALS, WORKERS = 4, 3


def free_port():
    with socket.socket() as port:
        port.bind(('127.0.0.1', 0))
        return port.getsockname()[1]


def wait_until(true, seconds, what):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(1)


class Slurm:
    """One node with as many processors as workers, whatever the machine has."""

    def __init__(self, folder, munge):
        self.folder, self.munge, host = folder, munge, socket.gethostname()
        settings = {
            'ClusterName': 'test',
            'SlurmctldHost': f'{host}(127.0.0.1)',
            'SlurmUser': 'root',
            'SlurmdUser': 'root',
            'AuthType': 'auth/munge',
            'AuthInfo': f'socket={munge}/socket',
            'CredType': 'cred/munge',
            'ProctrackType': 'proctrack/linuxproc',
            'TaskPlugin': 'task/none',
            'JobAcctGatherType': 'jobacct_gather/none',
            'SelectType': 'select/cons_tres',
            'SlurmdParameters': 'config_overrides',
            'ReturnToService': 2,
            'StateSaveLocation': f'{folder}/state',
            'SlurmdSpoolDir': f'{folder}/spool',
            'SlurmctldPort': free_port(),
            'SlurmdPort': free_port(),
            'SlurmctldPidFile': f'{folder}/slurmctld.pid',
            'SlurmdPidFile': f'{folder}/slurmd.pid',
            'SlurmctldLogFile': f'{folder}/slurmctld.log',
            'SlurmdLogFile': f'{folder}/slurmd.log',
        }
        lines = [f'{key}={value}' for key, value in settings.items()]
        lines += [
            f'NodeName={host} NodeAddr=127.0.0.1 CPUs={WORKERS} State=UNKNOWN',
            'PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP',
        ]
        (folder / 'slurm.conf').write_text('\n'.join(lines) + '\n')
        self.environment = {**os.environ, 'SLURM_CONF': str(folder / 'slurm.conf')}
        self.daemons = []

    def start(self):
        munge = self.munge
        shutil.chown(munge, 'munge', 'munge')
        as_munge = {'user': 'munge', 'group': 'munge', 'extra_groups': ()}
        subprocess.run(['mungekey', '--create', f'--keyfile={munge}/key'], check=True, **as_munge)
        places = {
            'socket': 'socket', 'key-file': 'key', 'pid-file': 'pid', 'log-file': 'log',
            'seed-file': 'seed',
        }  # fmt: skip
        self._start(
            ['munged', '--foreground', '--force']
            + [f'--{option}={munge}/{name}' for option, name in places.items()],
            **as_munge,
        )
        wait_until((munge / 'socket').exists, 30, lambda: 'munged has no socket')
        self._start(['slurmctld', '-D'])
        self._start(['slurmd', '-D', '-N', socket.gethostname()])
        wait_until(lambda: 'idle' in self.call('sinfo', '-h', '-o', '%t'), 60, self.logs)

    def stop(self):
        self.call('scancel', '--user=root')
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            daemon.wait(30)

    def _start(self, words, **options):
        quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
        self.daemons.append(subprocess.Popen(words, env=self.environment, **quiet, **options))

    def call(self, *words):
        return subprocess.run(words, env=self.environment, capture_output=True, text=True).stdout

    def logs(self):
        """Reads what daemons and jobs say of themselves, for a failure's message."""
        return '\n'.join(f'{path}:\n{path.read_text()}' for path in self.folder.glob('*.log'))


@pytest.fixture
def slurm(tmp_path):
    # Munge's user cannot enter the folders of a test.
    with tempfile.TemporaryDirectory() as munge, contextlib.ExitStack() as stack:
        started = Slurm(tmp_path, Path(munge))
        stack.callback(started.stop)
        try:
            started.start()
        except (AssertionError, subprocess.CalledProcessError) as error:
            pytest.skip(f'SLURM itself does not start here: {error}')
        yield started


def test_an_array_shares_films_and_the_whole_reads_them(slurm, tmp_path):
    who = identity.sample(np.random.default_rng(3))
    place = Pose(x=80.0, y=76.0, scale=34.0)
    actor = face.prepare(who, place.scale, 160, 176, 3)
    scene = surroundings.build(who, place, Light(), actor.size, 3)
    (tmp_path / 'films').mkdir()
    for number in range(3):
        actions = np.zeros_like(who.rest) + 0.2 * number
        shown = face.render(actor, actions, place, scene=scene, noise_seed=number).image
        movie.write_movie(tmp_path / 'films' / f'{number}.avi', [shown] * 20, 10)
    words = [str(tmp_path / 'films'), '--nopage', '--nooverlay']
    venv = {**slurm.environment, 'FER_JAX_VENV': sys.prefix}
    script = ['bash', ROOT / 'launch' / 'slurm.sh', 'predict', '--workers=2']
    submit = [*script, f'--output={tmp_path}/job-%a.log', '--', *words, f'--out={tmp_path / "out"}']
    done = subprocess.run(submit, env=venv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    job = done.stdout.split()[-1]
    wait_until(lambda: not slurm.call('squeue', '-h', f'--job={job}').strip(), 900, slurm.logs)
    assert '0 of 2 films failed' in (tmp_path / 'job-0.log').read_text(), slurm.logs()
    assert '0 of 1 films failed' in (tmp_path / 'job-1.log').read_text(), slurm.logs()
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / 'out').iterdir()}
    assert {f'{number}.csv' for number in range(3)} <= set(written)
    assert 'films.csv' not in written
    for out in ('out', 'alone'):  # what the tasks wrote is only read
        command = [sys.executable, '-m', 'fer_jax.predict', *words, f'--out={tmp_path / out}']
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / 'out' / 'films.csv').read_text().count('done') == 3
    assert all(
        (tmp_path / 'out' / name).stat().st_mtime_ns == time for name, time in written.items()
    )
    for number in range(3):
        one, other = (tmp_path / out / f'{number}.csv' for out in ('out', 'alone'))
        assert one.read_bytes() == other.read_bytes() and b',face,' in one.read_bytes()


def test_an_array_of_workers_finishes_a_study(slurm, drawn_data, tmp_path):
    config = tmp_path / 'small.py'
    config.write_text(CONFIG)
    words = [
        f'--config={config}', '--study=study', f'--trials={TRIALS}', '--sampler=random',
        f'--storage=journal:{tmp_path / "journal"}', f'--workdir={tmp_path / "study"}',
        f'--data_dir={drawn_data}',
    ]  # fmt: skip
    venv = {**slurm.environment, 'FER_JAX_VENV': sys.prefix}
    logs = f'--output={tmp_path}/job-%a.log'
    script = ['bash', ROOT / 'launch' / 'slurm.sh', 'sweep', f'--workers={WORKERS}', logs]
    submit = [*script, '--', *words]
    done = subprocess.run(submit, env=venv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    job = done.stdout.split()[-1]

    def started():
        return [
            path for path in (tmp_path / 'study').glob('trial-*') if (path / 'config.json').exists()
        ]

    wait_until(started, 300, slurm.logs)
    # One worker is taken away in the middle of a trial; the others go on with it.
    slurm.call('scancel', f'{job}_0')
    wait_until(lambda: not slurm.call('squeue', '-h', f'--job={job}').strip(), 900, slurm.logs)
    trials = rundir.read_json(tmp_path / 'study' / 'study.json')['trials']
    assert [trial['number'] for trial in trials] == list(range(TRIALS)), json.dumps(trials)
    assert {trial['state'] for trial in trials} == {'done'}
    assert len(list((tmp_path / 'study').glob('trial-*/DONE'))) == TRIALS
    assert re.search(r'trial \d+, from where another worker left it', slurm.logs())
