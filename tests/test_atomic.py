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


def test_a_page_replaces_its_own_figures_and_nobody_elses(tmp_path):
    atomic.publish_page(tmp_path, 'one', {'a.csv': '1', 'b.csv': '2'})
    atomic.publish_page(tmp_path, 'two', {'a.csv': '3'})
    assert [path.name for path in (tmp_path / 'figures').iterdir()] == ['a.csv']
    (tmp_path / 'report.html').unlink()  # killed between the figures and the page
    atomic.publish_page(tmp_path, 'three', {'a.csv': '4', 'b.csv': '5'})
    assert (tmp_path / 'report.html').read_text() == 'three'


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_what_is_called_figures_and_is_no_pages_is_left_alone(tmp_path, kind):
    mine = tmp_path / 'figures'
    if kind == 'folder':
        mine.mkdir()
        mine /= 'plot.pdf'
    mine.write_text('mine')
    with pytest.raises(FileExistsError) as caught:
        atomic.publish_page(tmp_path, 'page', {'a.csv': '1'})
    assert atomic.refusal(caught.value) == (
        f'{tmp_path / "figures"}: File exists; give another folder, or move it away'
    )
    assert mine.read_text() == 'mine' and not (tmp_path / 'report.html').exists()


def test_two_writers_of_one_process_number_do_not_meet(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'getpid', lambda: 1)  # in a container of its own each has it
    with atomic.replacing(tmp_path / 'study.json') as slow:
        slow.write_text('slow')
        atomic.write_text(tmp_path / 'study.json', 'fast')
        assert (tmp_path / 'study.json').read_text() == 'fast'
    assert (tmp_path / 'study.json').read_text() == 'slow'
    assert [path.name for path in tmp_path.iterdir()] == ['study.json']
