"""Where a study is stored: addresses, a journal that was cut short, a storage that goes away."""

import json

import optuna
import pytest

from fer_jax.errors import Away, UserError
from fer_jax.sweep import storage
from fer_jax.sweep.ledger import Ledger
from fer_jax.sweep.sampling import Sampling


def open_ledger(path, total=5):
    kinds = {'a': optuna.distributions.CategoricalDistribution((1, 2, 3))}
    store = storage.open_store(f'journal:{path}')
    return Ledger(
        store, 'study', plan={}, distributions=kinds, sampling=Sampling('random'), total=total
    )


@pytest.mark.parametrize(
    'address,message',
    [
        ('sqlite:///study.db', r'give journal:PATH .* or postgresql\+psycopg://'),
        ('mysql://me:sec/ret@secret@host/db', r'mysql://me:\*\*\*@host/db: give journal:PATH'),
        ('journal:', 'give journal:PATH'),
        ('journal:/nowhere/at/all', 'there is no folder /nowhere/at'),
        ('postgresql+psycopg://me:secret@127.0.0.1:1/db', 'is the server up'),
        ('postgresql+psycopg://me:secret@host:port/db', 'no address'),
    ],
)
def test_a_wrong_address_is_one_sentence_without_the_password(address, message):
    with pytest.raises(UserError, match=message) as error:
        storage.open_store(address)
    assert '\n' not in str(error.value) and 'secret' not in str(error.value)


def test_a_database_that_is_not_up_yet_is_no_mistake():
    with pytest.raises(Away) as told:
        storage.open_store('postgresql+psycopg://me@127.0.0.1:1/db')
    assert told.value.status == 75 and storage.Lost.status == 75


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine\n')
    with pytest.raises(UserError, match='is no journal of studies'):
        storage.open_store(f'journal:{tmp_path / "notes.txt"}')
    assert (tmp_path / 'notes.txt').read_text() == 'mine\n'


def test_a_line_that_a_full_disk_cut_short_is_dropped(tmp_path):
    ledger = open_ledger(tmp_path / 'j')
    ledger.tell(ledger.claim(), 'COMPLETE', 0.5)
    with (tmp_path / 'j').open('a') as file:
        file.write('{"op_code":4,"worker')
    again = open_ledger(tmp_path / 'j')
    again.tell(again.claim(), 'COMPLETE', 0.25)
    assert [trial.value for trial in open_ledger(tmp_path / 'j').trials()] == [0.5, 0.25]
    assert all(json.loads(line) for line in (tmp_path / 'j').read_text().splitlines())


def test_a_storage_that_is_away_is_waited_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(storage, 'RETRY_S', 0.0)
    ledger = open_ledger(tmp_path / 'j', total=1)
    claim = ledger.claim()
    failures = iter([OSError(28, 'No space left on device')] * 3)
    append = ledger.store.storage._backend.append_logs

    def fail(logs):
        for error in failures:
            raise error
        append(logs)

    monkeypatch.setattr(ledger.store.storage._backend, 'append_logs', fail)
    ledger.tell(claim, 'COMPLETE', 0.75)
    said = capsys.readouterr().out
    assert said.count('does not answer') == 1 and 'answers again' in said
    assert [trial.value for trial in ledger.trials()] == [0.75]

    monkeypatch.setattr(storage, 'GIVE_UP_S', -1.0)
    failures = iter([OSError(5, 'Input/output error')])
    with pytest.raises(storage.Lost, match='Input/output error.*start the same command again'):
        ledger.note(claim, folder='trial-0000')
