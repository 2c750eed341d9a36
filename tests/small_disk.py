"""A disk of some kilobytes, mounted for a test: full, or read only, when the test wants it."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """Mounts a disk of that size ('1m') at a new folder; skips the test where it may not."""
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(folder)]
    if not shutil.which('mount') or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('no right to mount a small disk here: run as root on a machine of your own')
    try:
        yield folder
    finally:
        subprocess.run(['umount', '-l', str(folder)], check=True)


def remount(folder: Path, option: str) -> None:
    """Changes a mounted disk: 'ro', or 'size=64m'."""
    subprocess.run(
        ['mount', '-o', f'remount,{option}', str(folder)], check=True, capture_output=True
    )
