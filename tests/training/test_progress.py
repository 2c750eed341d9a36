"""Progress of a population that trains: in a log, lines; no estimate before a step has ended."""

import time
from types import SimpleNamespace

import pytest

from fer_jax.training import progress


def test_a_log_hears_of_the_compiler_and_of_no_rate_before_a_step_ends(monkeypatch, capsys):
    monkeypatch.setattr(progress, 'BEAT_EVERY_S', 0.05)
    monkeypatch.setattr(progress, 'LINE_EVERY_S', 0.0)
    with progress.TrainingProgress(1000) as told:
        told.describe('fold 0 seed 0 epoch 1/2')
        time.sleep(0.4)  # the compiler
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith('fold 0 seed 0 epoch 1/2: compiling, 0:00:0')
        told.advance(1, 32)
        told.advance(1, 32)
        assert 'left' not in capsys.readouterr().out
        time.sleep(0.02)
        told.advance(1, 32)
        line = next(line for line in capsys.readouterr().out.splitlines() if 'left' in line)
    assert line.startswith('fold 0 seed 0 epoch 1/2: 3 of 1,000 steps, ')
    hours, minutes, seconds = map(int, line.split(', ')[-1].split()[0].split(':'))
    assert (
        10 < 3600 * hours + 60 * minutes + seconds < 300
    )  # 997 steps of 0.02 s: no compiler in it
    time.sleep(0.2)
    assert capsys.readouterr().out == ''


def test_a_log_hears_of_the_compiler_at_once_and_a_terminal_only_by_its_bar(monkeypatch, capsys):
    with progress.TrainingProgress(1000) as told:
        told.compiling()
        assert capsys.readouterr().out == 'starting: compiling\n'
    told = progress.TrainingProgress(1000)
    monkeypatch.setattr(told._console, '_force_terminal', True)
    told.compiling()
    assert capsys.readouterr().out == ''


def seconds_left(said):
    """The estimate of the last line that holds one, in seconds, and what follows it."""
    line = next(line for line in reversed(said.splitlines()) if ' left' in line)
    clock, _, rest = line.split(', ')[-1].partition(' left')
    hours, minutes, seconds = map(int, clock.split(':'))
    return 3600 * hours + 60 * minutes + seconds, rest


def test_the_first_estimate_follows_the_first_steps(monkeypatch, capsys):
    monkeypatch.setattr(progress, 'FIRST_AFTER_S', 0.1)
    with progress.TrainingProgress(100) as told:
        for _ in range(4):
            told.advance(1, 8)
        assert capsys.readouterr().out == ''  # too early for a rate
        time.sleep(0.1)
        told.advance(1, 8)
        assert ' left' in capsys.readouterr().out
        time.sleep(0.1)
        told.advance(1, 8)
        assert capsys.readouterr().out == ''  # the next after 15 s


def test_evaluations_count_once_an_epoch_and_the_compiler_never(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress, 'time', SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(progress, 'LINE_EVERY_S', 0.0)

    def pass_time(seconds):
        now[0] += seconds

    with progress.TrainingProgress(1020, evaluates=True) as told:
        told.advance(10, 80)
        pass_time(60)  # memory, and the threads of the first step
        told.advance(10, 80)
        for epoch in range(3):
            for _ in range(10):
                pass_time(2)
                told.advance(10, 80)
            if epoch == 0:  # 900 steps of 0.2 s
                assert seconds_left(capsys.readouterr().out) == (180, ' without evaluations')
            with told.aside(evaluated_steps=100 * (epoch > 0)):
                pass_time(500 if epoch == 0 else 40)  # the first one compiles
        capsys.readouterr()
        pass_time(20)
        told.advance(100, 800)
        # 600 steps of 0.2 s, and six evaluations.
        assert seconds_left(capsys.readouterr().out) == (
            pytest.approx(600 * 0.2 + 6 * 40, abs=1),
            '',
        )
        with told.aside():
            pass_time(1000)  # other members, compiled anew
        pass_time(20)
        told.advance(100, 800)
        assert seconds_left(capsys.readouterr().out) == (
            pytest.approx(500 * 0.2 + 5 * 40, abs=1),
            '',
        )
