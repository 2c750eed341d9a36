"""Checksums of a prepared dataset: a byte that changed on the disk is noticed when it is loaded."""

import hashlib
import json
from pathlib import Path

from fer_jax import atomic
from fer_jax.errors import DAMAGED, UserError

NAME = 'checksums.json'


def write(folder: Path) -> None:
    """Writes the SHA-256 of every file of a folder into checksums.json."""
    found = {path.name: _digest(path) for path in sorted(folder.iterdir()) if path.is_file()}
    atomic.write_json(folder / NAME, found)


def check(folder: Path, remedy: str, *, records: bool) -> None:
    """Compares a folder's files with their checksums; one of an earlier version has none.

    Args:
      remedy: what to do, for the message.
      records: the files of records too, which are large.

    Raises:
      UserError: a file is missing or not as it was written.
    """
    path = folder / NAME
    if not path.exists():
        return
    try:
        known = dict(json.loads(path.read_text(encoding='utf-8')))
        for name, digest in known.items():
            if (records or name.endswith('.json')) and _digest(folder / name) != digest:
                raise ValueError(f'{name} is not as it was written')
    except DAMAGED as error:
        raise UserError(f'{folder} is damaged ({error}): {remedy}') from error


def _digest(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
