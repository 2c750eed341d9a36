"""The storage of a study: a journal file for a few workers on one host, PostgreSQL for many.

Both have a lock that the system lets go when its holder dies (flock; an advisory lock), under which
trials are handed out, and both may be away for a while: what could not be written is tried again.
"""

import abc
import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from fer_jax import cli
from fer_jax.errors import Away, UserError

JOURNAL, POSTGRESQL = 'journal:', 'postgresql+psycopg://'
# How often an absent storage is asked again, and after how long a worker gives up.
RETRY_S, GIVE_UP_S = 5.0, 3600.0
# PostgreSQL's word for a transaction that may not write.
_READ_ONLY = '25006'
# What a server says that is there and takes nobody at present: it starts up, shuts down, is full.
_NOT_NOW = (
    *('the database system is', 'terminating connection'),
    *('too many clients', 'too many connections', 'remaining connection slots'),
)

T = TypeVar('T')


class Lost(Away):
    """The storage stayed away for too long: everything that trained is in the trials' folders."""


class Store(abc.ABC):
    """An open storage.

    Attributes:
      address: as it was given, without a password.
      storage: Optuna's.
    """

    address: str
    storage: Any

    @abc.abstractmethod
    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Keeps every other worker of the storage waiting; gone with the process that has it."""

    def close(self) -> None:  # noqa: B027  a file keeps none
        """Lets connections go."""

    @abc.abstractmethod
    def is_away(self, error: Exception) -> bool:
        """Returns whether an error means that the storage cannot be reached at present."""

    def patiently(self, section: Callable[[], T]) -> T:
        """Calls `section`, again from its beginning while the storage is away.

        It must do the same when it is called twice, and hold the lock where others could disturb.

        Raises:
          Lost: the storage has been away for GIVE_UP_S seconds.
        """
        since: float | None = None
        while True:
            try:
                value = section()
            except Exception as error:
                if not self.is_away(error):
                    raise
                now = time.monotonic()
                if since is None:
                    since = now
                    print(
                        f'the storage {self.address} does not answer ({_reason(error)}); waiting',
                        flush=True,
                    )
                if now - since > GIVE_UP_S:
                    raise Lost(
                        f'the storage {self.address} has not answered for {GIVE_UP_S:.0f} s '
                        f'({_reason(error)}): bring it back and start the same command again; '
                        'trials go on from their checkpoints'
                    ) from error
                time.sleep(RETRY_S)
            else:
                if since is not None:
                    print(f'the storage {self.address} answers again', flush=True)
                return value


class Journal(Store):
    """A file to which every change is added."""

    def __init__(self, path: Path):
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        self.address = f'{JOURNAL}{path}'
        if not path.absolute().parent.is_dir():
            raise UserError(
                f'--storage={self.address}: there is no folder {path.absolute().parent}'
            )
        self._claims = Path(f'{path}.claims')
        try:
            with path.open('ab+') as file:  # a file of something else would be added to
                file.seek(0)
                if file.read(1) not in (b'', b'{'):
                    raise ValueError
            lock: Any = _Appending(path)  # of a base class that is not imported without need
            backend = JournalFileBackend(str(path), lock_obj=lock)
            self.storage = JournalStorage(backend)
        except OSError as error:
            raise UserError(f'--storage={self.address}: {_reason(error)}') from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f'--storage={self.address}: the file is no journal of studies; give another path'
            ) from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        with self._claims.open('a') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def is_away(self, error: Exception) -> bool:
        return isinstance(error, OSError)


class _Appending:
    """Optuna's lock of the journal's end, by flock.

    Optuna's own locks are files that a killed holder leaves behind for 30 s. A line that a full
    disk cut short is taken off again, because the next would be joined to it.
    """

    def __init__(self, path: Path):
        self._path = path
        self._file: IO | None = None

    def acquire(self) -> bool:
        file = self._path.open('rb+')
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            end = file.seek(0, os.SEEK_END)
            start = max(0, end - 1_000_000)
            file.seek(start)
            tail = file.read()
            if not tail.endswith(b'\n') and end:
                file.truncate(start + tail.rfind(b'\n') + 1)
        except BaseException:
            file.close()
            raise
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class PostgreSQL(Store):
    """A database that workers on many hosts share."""

    def __init__(self, address: str):
        import sqlalchemy
        from optuna.storages import RDBStorage
        from sqlalchemy import event, exc

        self._away = (
            *(exc.OperationalError, exc.InterfaceError),
            *(exc.DisconnectionError, exc.PendingRollbackError),
        )
        try:
            url = sqlalchemy.make_url(address)
            self.address = cli.masked(url.render_as_string(hide_password=True))
            reach = {'connect_args': {'connect_timeout': 10}}
            # A server has some hundred connections: a worker keeps one, and none for the lock. One
            # that died with the server is noticed before it is used.
            options = {'pool_size': 1, 'pool_pre_ping': True, **reach}
            self._engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, **reach)
            event.listen(self._engine, 'connect', _notice_death)
            with self.lock():  # or two workers would make the tables at once
                self.storage = RDBStorage(address, engine_kwargs=options)
            event.listen(self.storage.engine, 'connect', _notice_death)
            self.storage.engine.dispose()
        except (exc.ArgumentError, ValueError) as error:
            raise UserError(
                f'--storage is no address: give {POSTGRESQL}USER@HOST:PORT/DATABASE'
            ) from error
        except (*self._away, exc.ProgrammingError) as error:
            said = _reason(error)
            # A server that is there says FATAL, also where it takes nobody at present.
            answered = 'FATAL' in said and not any(words in said for words in _NOT_NOW)
            mistake = answered or isinstance(error, exc.ProgrammingError)
            raise (UserError if mistake else Away)(
                f'--storage={self.address}: {said}; is the server up, and are user, '
                'host, port and database right? $PGPASSWORD and ~/.pgpass are read for a password'
            ) from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        from sqlalchemy import text

        with self._engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(hashtext('fer_jax.sweep'))"))
            yield

    def close(self) -> None:
        self.storage.engine.dispose()

    def is_away(self, error: Exception) -> bool:
        for found in (error, error.__cause__):
            # A server that another one replaces can be read for a while, and not written.
            if getattr(getattr(found, 'orig', None), 'sqlstate', None) == _READ_ONLY:
                return True
            if isinstance(found, self._away):
                return True
        return False


def _notice_death(connection: Any, _record: Any) -> None:
    """Lets the server end a new connection, and its locks, two minutes after its host is gone."""
    for name, value in (('idle', 60), ('interval', 10), ('count', 6)):
        connection.execute(f'set tcp_keepalives_{name} = {value}')
    connection.commit()


def require_optuna() -> None:
    """Raises a UserError where the extra `sweep` is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise UserError("a search needs Optuna: pip install 'fer_jax[sweep]'") from error


def open_store(address: str) -> Store:
    """Opens a storage, making it where it is not there yet.

    Args:
      address: 'journal:PATH' or 'postgresql+psycopg://USER@HOST:PORT/DATABASE'.

    Raises:
      UserError: another address, or one that is refused.
      Away: nothing answers there.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if address.startswith(JOURNAL) and len(address) > len(JOURNAL):
        return Journal(Path(address.removeprefix(JOURNAL)))
    if address.startswith(POSTGRESQL):
        return PostgreSQL(address)
    shown = cli.masked(address)
    raise UserError(
        f'--storage={shown}: give {JOURNAL}PATH (a few workers on one host) or '
        f'{POSTGRESQL}USER@HOST:PORT/DATABASE'
    )


def _reason(error: Exception) -> str:
    """Returns the first line of what went wrong, as the system or the driver said it."""
    origin = getattr(error, 'orig', None) or getattr(error.__cause__, 'orig', None) or error
    return cli.masked((str(origin).strip().splitlines() or [type(error).__name__])[0])
