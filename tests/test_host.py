"""Buffers stay in the process, whichever thread asked for them."""

import ctypes
import subprocess
import sys

import pytest

# What a command imports, then threads that each take and free 128 MiB, twice: the second time,
# nothing may be faulted in anew. A page is at least 4 KiB, so that is 32,768 faults a buffer.
PROGRAM = """
import ctypes, resource, threading
import fer_jax.main

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
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), 'gnu_get_libc_version'), reason='not the allocator of glibc'
)
def test_no_thread_has_its_buffers_mapped_anew():
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3_000
