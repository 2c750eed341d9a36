"""Operators that a traced program may have: all of XLA's, or those that other runtimes know."""

import contextlib
import contextvars
from collections.abc import Iterator

_ON = contextvars.ContextVar('portable', default=False)


@contextlib.contextmanager
def operators() -> Iterator[None]:
    """Traces what is inside without 3D convolutions and without sums that are scattered."""
    token = _ON.set(True)
    try:
        yield
    finally:
        _ON.reset(token)


def wanted() -> bool:
    """Tells whether what is traced now is to do without them."""
    return _ON.get()
