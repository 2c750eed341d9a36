"""What is said while a population trains: in a log, lines; no estimate before a step has ended."""

import time

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
        assert 'left' not in capsys.readouterr().out
        time.sleep(0.02)
        told.advance(1, 32)
        line = next(line for line in capsys.readouterr().out.splitlines() if 'left' in line)
    assert line.startswith('fold 0 seed 0 epoch 1/2: 2 of 1,000 steps, ')
    hours, minutes, seconds = map(int, line.split(', ')[-1].split()[0].split(':'))
    assert (
        10 < 3600 * hours + 60 * minutes + seconds < 300
    )  # 998 steps of 0.02 s: no compiler in it
    time.sleep(0.2)
    assert capsys.readouterr().out == ''
