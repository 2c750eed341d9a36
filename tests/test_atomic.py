"""Files have room before they are mapped, and what the system refuses is a sentence."""

import errno
import os

import pytest

from fer_jax import atomic


def sparse(path, size):
    """A file of `size` bytes that takes no room yet."""
    with open(path, 'wb') as file:
        file.truncate(size)
    return path


def test_a_reserved_file_has_its_room(tmp_path):
    path = sparse(tmp_path / 'mapped', 2**20)
    assert path.stat().st_blocks * 512 < 2**20
    atomic.reserve(path, 2**20)
    assert path.stat().st_blocks * 512 >= 2**20
    assert path.stat().st_size == 2**20


def test_no_room_is_said_with_the_files_name(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as the system call: nameless

    path = sparse(tmp_path / 'mapped', 100)
    monkeypatch.setattr(os, 'posix_fallocate', full)
    with pytest.raises(OSError, match='No space left') as caught:
        atomic.reserve(path, 100)
    assert atomic.refusal(caught.value) == (
        f'{path}: No space left on device; make room, and start the same command again'
    )


@pytest.mark.parametrize('number', [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_reserves_nothing_is_taken_as_it_is(tmp_path, monkeypatch, number):
    def cannot(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, 'posix_fallocate', cannot)
    atomic.reserve(sparse(tmp_path / 'mapped', 100), 100)


def test_a_folder_where_a_file_is_to_be_is_named(tmp_path):
    (tmp_path / 'results.json' / 'inside').mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as caught:
        atomic.write_json(tmp_path / 'results.json', {})
    assert atomic.refusal(caught.value).startswith(f'{tmp_path / "results.json"}: ')
    assert [path.name for path in tmp_path.iterdir()] == ['results.json']
