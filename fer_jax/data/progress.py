"""Shows how far a long piece of work is: a bar on a terminal, a line now and then in a log file."""

import sys
import time

from tqdm import tqdm

# Between two lines at least so many seconds pass and so large a part of the work: in all there are
# at most twenty, and none of what is soon done.
LINE_EVERY_S, PART = 10.0, 1 / 20


class Progress:
    """Counts what is done of a known number of pieces; a context manager.

    Where the standard error is a terminal there is a bar; else lines such as
    'preparing ckplus: 120 of 593 clips, 35 s left'.
    """

    def __init__(self, what: str, unit: str, total: int = 0):
        """Begins to count.

        Args:
          what: what is done, before the bar.
          unit: what is counted, in the plural.
          total: pieces in all; 0 until `show` tells it.
        """
        self._what, self._unit, self._total = what, unit, total
        self._bar = tqdm(total=total or None, desc=what, unit=f' {unit}', disable=None)
        self._done = self._said = 0
        self._begin = self._last = time.monotonic()

    def __enter__(self) -> 'Progress':
        return self

    def __exit__(self, *error) -> None:
        self._bar.close()

    def step(self) -> None:
        """Counts one more piece."""
        self.show(self._done + 1, self._total)

    def show(self, done: int, total: int) -> None:
        """Says how many pieces of how many are done."""
        self._bar.total = total
        self._bar.update(done - self._done)
        self._done, self._total = done, total
        now = time.monotonic()
        due = now - self._last >= LINE_EVERY_S and done - self._said >= PART * total
        if self._bar.disable and due and done < total:
            left = (now - self._begin) / done * (total - done)
            line = f'{self._what}: {done:,} of {total:,} {self._unit}, {left:,.0f} s left'
            print(line, file=sys.stderr, flush=True)
            self._said, self._last = done, now
