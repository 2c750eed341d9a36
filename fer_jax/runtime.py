"""What a command asks of its process: memory that stays, programs that are compiled once."""

import ctypes
import os
import pathlib

import jax

# Parameters of mallopt in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_GIB = 2**30
_NEVER = -1  # as a size_t the largest; 2 GiB, an int's most, is less than a step of C3D takes


def prepare() -> None:
    """Keeps freed buffers in the process and compiled programs on the disk.

    glibc returns large buffers to the system after every step, and they are faulted in anew by the
    next. Compiled programs go to $JAX_COMPILATION_CACHE_DIR, else to the user's cache folder.
    """
    _keep_buffers()
    if not jax.config.jax_compilation_cache_dir:
        base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
        jax.config.update('jax_compilation_cache_dir', str(pathlib.Path(base) / 'fer_jax' / 'xla'))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


def _keep_buffers() -> None:
    """Tells glibc's allocator not to map or trim; other C libraries have no such settings."""
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
