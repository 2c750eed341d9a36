"""Checksums of a folder's files: a byte that changed on the disk is noticed when they are read."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from fer_jax import atomic
from fer_jax.errors import DAMAGED, UserError

NAME = 'checksums.json'


def write(folder: Path, names: Iterable[str] = ()) -> None:
    """Writes the SHA-256 of a folder's files, or of those with these names, into checksums.json."""
    paths = [folder / name for name in names] or sorted(folder.iterdir())
    found = {path.name: sha256(path) for path in paths if path.is_file()}
    atomic.write_json(folder / NAME, found)


def check(folder: Path, remedy: str, *, records: bool) -> set[str]:
    """Compares a folder's files with their checksums; one of an earlier version has none.

    Args:
      remedy: what to do, for the message.
      records: the files of records too, which are large.

    Returns:
      The names of the files that have a checksum.

    Raises:
      UserError: a file is missing or not as it was written.
    """
    path = folder / NAME
    if not path.exists():
        return set()
    try:
        known = dict(json.loads(path.read_text(encoding='utf-8')))
        for name, digest in known.items():
            if (records or name.endswith('.json')) and sha256(folder / name) != digest:
                raise ValueError(f'{name} is not as it was written')
    except DAMAGED as error:
        raise UserError(f'{folder} is damaged ({error}): {remedy}') from error
    return set(known)


def sha256(path: Path) -> str:
    """Computes the SHA-256 of a file in hexadecimal digits."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
