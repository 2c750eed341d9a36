"""The one exception that is shown to a user as a sentence instead of a traceback."""

import re
import signal
import struct
import zipfile
import zlib

# What reading a damaged file of arrays, JSON or rows raises.
DAMAGED = (
    *(OSError, ValueError, KeyError, IndexError, TypeError, EOFError, MemoryError, OverflowError),
    *(NotImplementedError, RecursionError, struct.error, zipfile.BadZipFile, zlib.error),
)

_LONG = re.compile(r'\S{400,}')


class UserError(Exception):
    """A mistake in what the user gave: a path, a file's content, a key or a value.

    The message is one line that says what was wrong, in which file (and row), and what to do.
    Commands print it and exit with `status`; everything else that escapes is a defect. Of a word
    that nobody would read to its end the middle is left out.
    """

    status = 1

    def __init__(self, message: str):
        super().__init__(_LONG.sub(lambda word: f'{word[0][:80]}...{word[0][-20:]}', message))


class Away(UserError):
    """Another machine cannot be reached at present: the same command may succeed later."""

    status = 75  # EX_TEMPFAIL of sysexits.h


class Interrupted(Exception):
    """The run was asked to stop (SIGTERM, Ctrl-C) and has saved everything needed to resume.

    Attributes:
      number: of the signal.
    """

    def __init__(self, message: str = '', number: int = signal.SIGTERM):
        super().__init__(message)
        self.number = number


class Stopped(KeyboardInterrupt):
    """A signal came; its number is the argument."""
