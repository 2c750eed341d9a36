"""Many workers on a real PostgreSQL, which the tests start: killed, replaced, without storage."""

import contextlib
import getpass
import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import optuna
import psycopg
import pytest

from fer_jax.errors import Away, UserError
from fer_jax.evaluation import predictions
from fer_jax.sweep import storage, workers
from fer_jax.sweep.ledger import Ledger
from fer_jax.sweep.sampling import Sampling

pytestmark = [
    pytest.mark.postgresql,
    # ml_collections loads config files by a deprecated call.
    pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning'),
]
KINDS = {'a': optuna.distributions.FloatDistribution(0.0, 1.0)}

# The search with workers that are killed: trials, workers, kills; and what trials must reach.
TRIALS, WORKERS, KILLS, THRESHOLD = 40, 3, 2, 0.6


def program(name):
    """A program of PostgreSQL, which Debian keeps out of the path; None where there is none."""
    places = sorted(Path('/usr/lib/postgresql').glob('*/bin'))
    return shutil.which(name, path=os.pathsep.join([os.environ['PATH'], *map(str, places)]))


class Server:
    """A PostgreSQL of this test run in a temporary folder, on a free port, without passwords."""

    def __init__(self, folder):
        # The server refuses to run as root; Debian's package brings a user for it.
        self.user = 'postgres' if os.geteuid() == 0 else getpass.getuser()
        self.options = {'user': 'postgres', 'group': 'postgres', 'extra_groups': ()}
        if os.geteuid() == 0:
            shutil.chown(folder, 'postgres', 'postgres')
        else:
            self.options = {}
        self.folder = folder
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            self.port = free.getsockname()[1]
        words = [program('initdb'), '-D', f'{folder}/data', '-A', 'trust', '-N']
        subprocess.run(words, check=True, capture_output=True, cwd=folder, **self.options)
        self.process = None

    def url(self, database):
        return f'postgresql+psycopg://{self.user}@127.0.0.1:{self.port}/{database}'

    def start(self):
        words = [
            program('postgres'), '-D', f'{self.folder}/data', '-p', str(self.port),
            '-k', str(self.folder), '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off',
        ]  # fmt: skip
        self.process = subprocess.Popen(
            words, cwd=self.folder, stderr=subprocess.DEVNULL, **self.options
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.connect('postgres').close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline and self.process.poll() is None
                time.sleep(0.1)

    def stop(self):
        """At once, with whatever workers are connected."""
        self.process.send_signal(2)
        self.process.wait(timeout=60)

    def connect(self, database):
        return psycopg.connect(
            host='127.0.0.1', port=self.port, user=self.user, dbname=database, autocommit=True
        )


@pytest.fixture(scope='module')
def server():
    if not (program('postgres') and program('initdb')):
        pytest.skip('no PostgreSQL here; on Debian: apt-get install -y postgresql')
    folder = Path(tempfile.mkdtemp(prefix='fer_jax-postgresql-'))
    found = Server(folder)
    found.start()
    yield found
    found.stop()
    shutil.rmtree(folder)


@pytest.fixture
def url(server, request):
    """The address of a new database."""
    name = f'study_{abs(hash(request.node.name))}'
    with contextlib.closing(server.connect('postgres')) as connection:
        connection.execute(f'create database {name}')
    return server.url(name)


@contextlib.contextmanager
def open_ledger(url, total):
    with contextlib.closing(storage.open_store(url)) as store:
        how = Sampling('random')
        yield Ledger(store, 's', plan={}, distributions=KINDS, sampling=how, total=total)


def hurry(url, total, queue):
    """Takes trials as fast as it can, and dies with every fourth."""
    with open_ledger(url, total) as ledger:
        while not ledger.finished():
            claim = ledger.claim()
            if claim is None:
                time.sleep(0.02)
                continue
            if claim.number % 4 == 3 and not claim.trial.user_attrs.get('deaths'):
                os._exit(9)
            queue.put(claim.number)
            ledger.tell(claim, 'COMPLETE', claim.values['a'])


def test_workers_that_hurry_and_die_make_as_many_trials_as_asked_for(url):
    context = multiprocessing.get_context('spawn')
    queue, total = context.Queue(), 8
    numbers, running, dead = [], [], 0
    deadline = time.monotonic() + 240
    while len(numbers) < total:
        assert time.monotonic() < deadline
        dead += sum(process.exitcode == 9 for process in running)
        running = [process for process in running if process.is_alive()]
        while len(running) < 2:
            running.append(context.Process(target=hurry, args=(url, total, queue)))
            running[-1].start()
        while not queue.empty():
            numbers.append(queue.get())
        time.sleep(0.05)
    for process in running:
        process.join(60)
    assert sorted(numbers) == list(range(total))
    assert dead == total // 4
    with open_ledger(url, total) as ledger:
        assert ledger.finished() and ledger.claim() is None
        assert [trial.state.name for trial in ledger.trials()] == ['COMPLETE'] * total


def test_a_server_that_is_away_is_waited_for_and_nothing_is_lost(url, server, monkeypatch, capsys):
    monkeypatch.setattr(storage, 'RETRY_S', 0.2)
    monkeypatch.setattr(workers, 'HEARTBEAT_S', 0.1)
    with open_ledger(url, 2) as ledger:
        outlive(ledger, server, capsys)


def outlive(ledger, server, capsys):
    claim = ledger.claim()
    with workers.Heartbeat(ledger.store, claim.trial):
        ledger.report(claim, 0.5, 1)
        server.stop()
        returned = threading.Timer(2.0, server.start)
        returned.start()
        ledger.report(claim, 0.75, 2)
        returned.join()
        said = capsys.readouterr().out
        assert said.count('does not answer') == 1 and 'answers again' in said
        before = ledger.trials()[0].user_attrs['beat']
        deadline = time.monotonic() + 20
        while ledger.trials()[0].user_attrs['beat'] <= before:
            assert time.monotonic() < deadline, 'the beat did not come back'
            time.sleep(0.05)
    ledger.tell(claim, 'COMPLETE', 0.75)
    assert ledger.claim().number == 1
    assert ledger.trials()[0].intermediate_values == {1: 0.5, 2: 0.75}


def test_a_server_that_cannot_be_written_for_a_while_is_waited_for(
    url, server, monkeypatch, capsys
):
    monkeypatch.setattr(storage, 'RETRY_S', 0.2)
    database = url.rpartition('/')[2]

    def read_only(value):
        with contextlib.closing(server.connect('postgres')) as connection:
            connection.execute(
                f'alter database {database} set default_transaction_read_only={value}'
            )
            connection.execute(
                'select pg_terminate_backend(pid) from pg_stat_activity '
                f"where datname = '{database}'"
            )

    with open_ledger(url, 1) as ledger:
        claim = ledger.claim()
        read_only('on')
        returned = threading.Timer(2.0, read_only, ['off'])
        returned.start()
        ledger.tell(claim, 'COMPLETE', 0.75)
        returned.join()
        said = capsys.readouterr().out
        assert 'read-only transaction' in said and 'answers again' in said
        assert [trial.value for trial in ledger.trials()] == [0.75]


def test_the_server_notices_soon_that_the_host_of_a_lock_is_gone(url):
    with contextlib.closing(storage.open_store(url)) as store:
        for engine in (store._engine, store.storage.engine):
            with engine.connect() as connection:
                found = [
                    connection.exec_driver_sql(f'show tcp_keepalives_{name}').scalar()
                    for name in ('idle', 'interval', 'count')
                ]
            assert found == ['60', '10', '6']


def test_a_database_that_is_not_there_is_one_sentence(server):
    message = 'database "nowhere" does not exist; is the server up'
    with pytest.raises(UserError, match=message) as told:
        storage.open_store(server.url('nowhere'))
    assert told.value.status == 1


def test_a_server_without_a_connection_left_counts_as_away(server, url):
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            for _ in range(200):  # until it is full
                stack.enter_context(contextlib.closing(server.connect('postgres')))
        with pytest.raises(Away, match='too many clients') as told:
            storage.open_store(url)
    assert told.value.status == 75


def evaluated(folder):
    """Right and all judgements of a run, each member at its best epoch, from its probabilities."""
    table = predictions.load(folder / 'probabilities.npz')
    right, total = 0, 0
    for member in range(table.members):
        clips = np.flatnonzero(table.part[member] == predictions.TEST)
        said = table.probabilities[member][:, clips].argmax(-1) == table.label[clips]
        right, total = right + said.sum(-1).max(), total + len(clips)
    return right, total


def studied(store):
    """The trials of the study; none before a worker has made it."""
    with contextlib.suppress(KeyError):
        return optuna.load_study(study_name='study', storage=store.storage).trials
    return []


@pytest.mark.slow
def test_a_search_outlives_a_minute_without_its_server(url, server, sweep_words, tmp_path):
    words, log = sweep_words('--trials=4', f'--storage={url}'), tmp_path / 'log'
    with contextlib.closing(storage.open_store(url)) as store, log.open('w') as out:
        command = [sys.executable, '-m', 'fer_jax.sweep', *words]
        running = [subprocess.Popen(command, stdout=out, stderr=out) for _ in range(2)]
        try:
            while not any(trial.state.is_finished() for trial in studied(store)):
                assert None in [process.poll() for process in running], log.read_text()[-3000:]
                time.sleep(0.2)
            server.stop()
            time.sleep(60)
            server.start()
            statuses = [process.wait(600) for process in running]
        finally:
            for process in running:
                process.kill()
        assert statuses == [0, 0], log.read_text()[-3000:]
        assert [trial.state.name for trial in studied(store)] == ['COMPLETE'] * 4
    said = log.read_text()
    assert 1 <= said.count('does not answer') == said.count('answers again') <= 2


@pytest.mark.slow
def test_three_workers_two_of_them_killed_finish_the_study(url, sweep_words, tmp_path):
    words = sweep_words(f'--trials={TRIALS}', f'--storage={url}', f'--threshold={THRESHOLD}')
    command = [sys.executable, '-m', 'fer_jax.sweep', *words]
    rng, folder, log = random.Random(0), tmp_path / 'study', tmp_path / 'log'
    with contextlib.closing(storage.open_store(url)) as store, log.open('w') as out:

        def start():
            return subprocess.Popen(command, stdout=out, stderr=out)

        running = [start() for _ in range(WORKERS)]
        deadline = time.monotonic() + 60 * TRIALS
        for kill in range(1, KILLS + 1):
            while sum(t.state.is_finished() for t in studied(store)) < kill * TRIALS // (KILLS + 2):
                assert time.monotonic() < deadline
                assert None in [process.poll() for process in running], log.read_text()[-3000:]
                time.sleep(0.2)
            time.sleep(rng.uniform(0, 2))
            victim = running.pop(rng.randrange(len(running)))
            victim.kill()
            victim.wait()
            running.append(start())
        for process in running:
            assert process.wait(deadline - time.monotonic()) == 0, log.read_text()[-3000:]

        found = studied(store)
        assert [trial.number for trial in found] == list(range(TRIALS))
        assert {trial.state.name for trial in found} <= {'COMPLETE', 'PRUNED'}
        folders = {trial.user_attrs['folder'] for trial in found}
        assert {path.name for path in folder.glob('trial-*')} == folders
        for trial in found:
            if trial.state.name == 'COMPLETE':
                right, total = evaluated(folder / trial.user_attrs['folder'])
                assert trial.value == pytest.approx(right / total)
        assert (folder / 'report.html').exists()

        # A pruned trial, run to its end, is below the threshold.
        pruned = [trial.number for trial in found if trial.state.name == 'PRUNED']
        assert pruned, 'none was pruned: the threshold shows nothing'
        for number in pruned[:2]:
            subprocess.run([*command, f'--finish={number}'], check=True, stdout=out)
            right, total = evaluated(folder / f'trial-{number:04}')
            assert right < THRESHOLD * total
        subprocess.run([*command, '--retrain_best'], check=True, stdout=out)
    (best,) = folder.glob('best-*')
    assert (best / 'DONE').exists()
    page = (best / 'report.html').read_text(encoding='utf-8')
    assert f'{TRIALS} trials of the study study' in page
