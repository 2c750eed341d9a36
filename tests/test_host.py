"""Buffers stay in a command's process, whichever thread asked for them; an import sets nothing."""

import ctypes
import os
import subprocess
import sys

import pytest

# Threads that each take and free 128 MiB, twice: where buffers stay, nothing is faulted in anew the
# second time; else 32,768 pages of 4 KiB a buffer are. Prints how many faults there were.
TOUCH = """
import os, resource, threading

def touch():
    for _ in range(2):
        bytearray(2**27)

def run(number):
    for _ in range(number):
        thread = threading.Thread(target=touch)
        thread.start()
        thread.join()

run(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
run(8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(os.environ.get('TF_CPP_MIN_LOG_LEVEL'))
"""
FAULTS_OF_KEPT, FAULTS_OF_RETURNED = 3_000, 200_000

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), 'gnu_get_libc_version'), reason='not the allocator of glibc'
)


def probed(*words):
    """Faults of a process, and from which level on XLA says something there."""
    environment = {k: v for k, v in os.environ.items() if k != 'TF_CPP_MIN_LOG_LEVEL'}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment)
    assert done.stdout, done.stderr
    found, level = done.stdout.split()[:2]
    return int(found), level


@pytest.mark.parametrize(
    'start',
    [
        ['-m', 'fer_jax.main'],
        ['-X', 'utf8', '-mfer_jax.benchmark'],
        ['-c', 'from fer_jax.cli import console; console()', 'main'],  # the script fer-jax
    ],
    ids=' '.join,
)
def test_no_thread_of_a_command_has_its_buffers_mapped_anew(start, tmp_path):
    # A config is loaded by a command that has imported everything, and ends this one.
    config = tmp_path / 'probe.py'
    config.write_text(f'{TOUCH}\nraise SystemExit')
    found, level = probed(*start, f'--config={config}')
    assert found < FAULTS_OF_KEPT
    assert level == '3'  # "Very slow compile? If you want to file a bug" is an error, 2


def test_an_import_leaves_allocator_and_log_as_they_were():
    found, level = probed('-c', f'import fer_jax, fer_jax.cli, fer_jax.host\n{TOUCH}')
    assert found > FAULTS_OF_RETURNED
    assert level == 'None'
