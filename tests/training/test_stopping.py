"""Signals end a training where nothing is lost, and are remembered elsewhere."""

import signal
import subprocess
import sys

import pytest

BUSY = """
import hashlib
from fer_jax.training.stopping import stop_signal
with stop_signal() as stop:
    stop.safe = {safe}
    print('ready', flush=True)
    hashlib.pbkdf2_hmac('sha256', b'', b'', {rounds})  # answers no signal, as a compiler
    print('number', stop.number, flush=True)
"""


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize('safe', [True, False])
def test_a_signal_ends_a_process_at_once_where_nothing_is_lost(number, safe):
    rounds = 2**31 - 1 if safe else 3_000_000
    process = subprocess.Popen(
        [sys.executable, '-c', BUSY.format(safe=safe, rounds=rounds)],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == 'ready\n'
    process.send_signal(number)
    out, said = process.communicate(timeout=60)
    if safe:
        assert process.returncode == 128 + number
        assert said == ('interrupted: nothing new is lost; start the same command again to go on\n')
    else:
        assert (process.returncode, out) == (0, f'number {int(number)}\n')
