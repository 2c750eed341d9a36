"""Files that appear whole or not at all: written beside their place, then renamed into it."""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fer_jax.errors import UserError

_PARTIAL = '.partial'  # in the names of what is being written

# What to do where the system refuses a file.
_REMEDIES = {
    errno.ENOSPC: 'make room, and start the same command again',
    errno.EDQUOT: 'make room, and start the same command again',
    errno.EFBIG: 'give a folder on another file system',
    errno.EROFS: 'give a folder that can be written',
    errno.EACCES: 'give a place that you may read and write',
    errno.EPERM: 'give a place that you may read and write',
    errno.EMFILE: 'raise the limit (ulimit -n 4096), and start the same command again',
    errno.ENFILE: 'close other programs, and start the same command again',
    errno.EIO: 'the disk has a fault; give a folder on another one',
    errno.ENOTDIR: 'give a folder',
    errno.EISDIR: 'give a file',
    errno.EEXIST: 'give another folder, or move it away',
    errno.ENOTEMPTY: 'give another folder, or move it away',
    errno.ELOOP: 'its links lead round in a circle; give another place',
    errno.ENAMETOOLONG: 'give a shorter name',
    errno.ESTALE: 'the network drive went away; start the same command again',
}


def refusal(error: BaseException | None) -> str:
    """Returns what the system refused and what to do, in a sentence; '' for any other error.

    Libraries wrap what the system says: the causes of an error, and its text, are looked at too.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        number = error.errno if isinstance(error, OSError) else None
        if number is None and not isinstance(error, OSError):
            number = _number_in(str(error))
        if number in _REMEDIES:
            # Of a rename the second name is the user's, the first one of ours.
            place = getattr(error, 'filename2', None) or getattr(error, 'filename', None)
            where = f'{os.fsdecode(place)}: ' if isinstance(place, str | bytes) else ''
            return f'{where}{os.strerror(number)}; {_REMEDIES[number]}'
        error = error.__cause__ or error.__context__
    return ''


def _number_in(text: str) -> int | None:
    """Finds the number of the system's error that a text speaks of."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE):
        if os.strerror(number) in text:
            return number
    return None


def check_local(place: Path | str, named: str) -> None:
    """Refuses (UserError) the address of a bucket, which would become a folder of that name here.

    Args:
      named: what gave it, for the message.
    """
    if '://' in os.fspath(place):
        raise UserError(
            f"{named} is '{place}': give a folder of this machine; launch/tpu_pod.sh copies runs "
            'to a bucket'
        )


def reserve(path: Path | str, size: int) -> None:
    """Makes sure that a file has room for `size` bytes: what is mapped may not fail later.

    Raises:
      OSError: there is no room.
    """
    with open(path, 'rb+') as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system without
                return
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path in the same folder; it replaces `path` when the block succeeds.

    Where the block raises, `path` is as it was and the temporary file is gone.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays, because numpy.savez appends its own to a name that lacks it. A process's
    # number would not do: on a network drive writers in several containers all have number 1.
    own = uuid.uuid4().hex[:8]
    temporary = path.with_name(f'.{path.stem}-{own}{_PARTIAL}{path.suffix}')
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Writes UTF-8 text."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8', newline='')


def write_json(path: Path | str, value: Any) -> None:
    """Writes indented JSON; raises ValueError for NaN and infinities, which JSON does not have."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + '\n')


def is_free(folder: Path | str) -> bool:
    """Returns whether a folder can be written without mixing with anything: missing or empty.

    What a process that was killed has left half-written counts for nothing.
    """
    folder = Path(folder)
    if not folder.exists():
        return True
    return folder.is_dir() and all(
        path.name.startswith('.') and _PARTIAL in path.name for path in folder.iterdir()
    )


@contextlib.contextmanager
def folder_beside(folder: Path | str) -> Iterator[Path]:
    """Yields an empty temporary folder inside `folder`, which is removed at the end in any case."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f'{_PARTIAL}-', dir=folder))
    try:
        # mkdtemp makes private folders; what is published must be as readable as its neighbours.
        temporary.chmod(0o755)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def publish_page(
    out: Path | str, text: str, figures: Mapping[str, str | bytes], page: str = 'report.html'
) -> Path:
    """Writes a page and its figures/ into `out` and returns the page's path.

    All is written beside its place, then moved into it: the figures, and last the page. Where that
    fails, an older page and its figures are as they were.

    Args:
      text: the page's HTML.
      figures: {name: content} of the files in figures/, which replace all that was there.
      page: its file's name.

    Raises:
      FileExistsError: `figures` is a file, or a folder of something else, with no page beside it.
    """
    out = Path(out)
    published = out / 'figures'
    if published.exists():
        # A command killed between the two moves leaves figures of its own, and no page.
        ours = published.is_dir() and (
            (out / page).exists() or {path.name for path in published.iterdir()} <= set(figures)
        )
        if not ours:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(published))
    with folder_beside(out) as beside:
        new, old = beside / 'figures', beside / 'old'
        new.mkdir()
        for name, content in figures.items():
            data = content.encode() if isinstance(content, str) else content
            (new / name).write_bytes(data)
        (beside / page).write_text(text, encoding='utf-8')
        if published.exists():
            published.rename(old)
        try:
            new.rename(published)
            os.replace(beside / page, out / page)
        except BaseException:  # the old figures belong to the old page
            if published.exists():
                published.rename(new)
            if old.exists():
                old.rename(published)
            raise
    return out / page
