"""How many cores there are."""

import os


def cores() -> int:
    """Cores that this process may run on: as many threads as XLA's CPU backend takes."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
