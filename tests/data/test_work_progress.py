"""Progress: lines in a log file, few and not too soon; a bar on a terminal."""

import io
import re

import pytest

from fer_jax.data import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: `clock[0]` seconds."""
    now = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    return now


def test_a_log_file_gets_at_most_twenty_lines(clock, capsys):
    with progress.Progress('preparing clinic', 'clips', 1000) as counted:
        for _ in range(1000):
            clock[0] += 3
            counted.step()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == 'preparing clinic: 50 of 1,000 clips, 2,850 s left'
    assert len(lines) == 19 and lines[-1] == 'preparing clinic: 950 of 1,000 clips, 150 s left'


def test_large_pieces_are_said_as_they_are_done_and_short_work_is_silent(clock, capsys):
    counted = progress.Progress('drawing', 'parts')
    for done in range(1, 5):
        clock[0] += 9
        counted.show(done, 4)
    assert capsys.readouterr().err == 'drawing: 2 of 4 parts, 18 s left\n'
    soon = progress.Progress('drawing', 'parts')
    for done in range(1, 1000):
        soon.show(done, 1000)
    assert capsys.readouterr().err == ''


def test_a_terminal_gets_a_bar(monkeypatch):
    shown = Terminal()
    monkeypatch.setattr(progress.sys, 'stderr', shown)
    with progress.Progress('drawing', 'parts') as counted:
        counted.show(7, 7)
    assert re.search(r'drawing: 100%.* 7/7', shown.getvalue())
    assert 's left' not in shown.getvalue()
