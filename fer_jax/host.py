"""A process's share of its machine: cores, and memory that malloc keeps."""

import ctypes
import os
import sys

# Parameters of mallopt in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_GIB = 2**30
_NEVER = -1  # as a size_t the largest; 2 GiB, an int's most, is less than a step of C3D takes


def cores() -> int:
    """Cores that this process may run on: as many threads as XLA's CPU backend takes."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def starts_command() -> bool:
    """Tells whether Python was told to run a module of fer_jax (-m) and is still looking for it."""
    # argv[0] is '-m' until the module is found; orig_argv tells whose module it is.
    ours = any(word.removeprefix('-m').startswith('fer_jax.') for word in sys.orig_argv)
    return sys.argv[:1] == ['-m'] and ours


def prepare_command() -> None:
    """Sets what a command's process keeps from its start: how XLA logs, how malloc keeps memory."""
    # jaxlib reads it once, when it is loaded. Below "fatal" XLA asks to file a bug wherever a
    # program takes long to compile; what fails is raised as an exception in any case.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    keep_buffers()


def keep_buffers() -> None:
    """Tells glibc's allocator not to map or trim; other C libraries have no such settings.

    By default large buffers go back to the system after every step and are faulted in anew by the
    next. To be called before the process has a second thread: a thread's first allocation may give
    it an arena of its own, arenas that exist are handed to later threads whatever their permitted
    number, and in any but the first one a buffer above 64 MiB is mapped and unmapped each time.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, 'gnu_get_libc_version'):
        return
    for parameter, value in (
        (_MMAP_MAX, 0),
        (_TRIM_THRESHOLD, _NEVER),
        (_TOP_PAD, _GIB // 4),
        (_ARENA_MAX, 1),
    ):
        library.mallopt(parameter, value)
