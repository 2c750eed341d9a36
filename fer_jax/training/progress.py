"""Shows how the training of a population goes: epoch, step, clips/s, time left."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from fer_jax.training import processes

LINE_EVERY_S = 15.0
FIRST_AFTER_S, FIRST_AFTER_CALLS = 2.0, 3  # timed ones; then the first line with an estimate
BEAT_EVERY_S = 30.0  # where no step ends, as while programs are compiled


class TrainingProgress:
    """A live bar on a terminal; elsewhere (a log file) a line every 15 seconds.

    Used as a context manager; `total` counts member-steps over the whole run, and the rate is in
    `unit`, what a step takes several of. The rate begins with the second call of `advance`: the
    first waits for the compiler, and the steps after it for memory; a log hears of the compiler at
    once (`compiling`). While no step ends, a line says so every 30 seconds. The first line with an
    estimate comes after two seconds of timed steps. With `evaluates` an estimate that knows no
    evaluation's time yet says so.
    """

    def __init__(self, total: int, unit: str = 'clips', *, evaluates: bool = False):
        self._console = Console(file=sys.stdout, highlight=False, quiet=not processes.is_first())
        self._bar = Progress(
            TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
            TextColumn('steps'), TextColumn('{task.fields[rate]}'), TimeElapsedColumn(),
            TextColumn('{task.fields[left]}'), console=self._console, disable=not
            (self._console.is_terminal and processes.is_first()),
        )  # fmt: skip
        self._task = self._bar.add_task('starting', total=total, rate='', left='')
        self._total, self._done, self._begun_with, self._unit = total, 0, 0, unit
        self._clips, self._description = 0, 'starting'
        self._begin: float | None = None  # of the rate, later by what is not steps
        self._calls = 0
        self._evaluates, self._evaluating_s, self._evaluated_steps = evaluates, 0.0, 0
        self._told = False
        self._last_line = self._last_step = time.monotonic()
        self._ended = threading.Event()

    def __enter__(self) -> 'TrainingProgress':
        self._bar.start()
        if not self._console.is_terminal:
            threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self._ended.set()
        self._bar.stop()

    def _beat(self) -> None:
        """Says that no step has ended for a while, until training has ended."""
        while not self._ended.wait(BEAT_EVERY_S):
            now = time.monotonic()
            if now - max(self._last_line, self._last_step) >= BEAT_EVERY_S:
                doing = 'at work' if self._calls else 'compiling'
                self.say(f'{self._description}: {doing}, {_clock(now - self._last_step)} so far')

    def compiling(self) -> None:
        """Says in a log that the compiler begins; a terminal's bar counts the seconds."""
        if not self._console.is_terminal:
            self.say(f'{self._description}: compiling')

    def describe(self, text: str) -> None:
        """Sets the words before the bar, e.g. 'fold 3 seed 0 epoch 5/16'."""
        self._description = text
        self._bar.update(self._task, description=text)

    def advance(self, steps: int, clips: int) -> None:
        """Counts finished member-steps and the clips in them."""
        self._done += steps
        now = self._last_step = time.monotonic()
        self._calls += 1
        if self._begin is None or self._calls < 3:
            self._begin, self._begun_with = now, self._done
            self._bar.update(self._task, completed=self._done)
            return
        self._clips += clips
        elapsed = max(now - self._begin, 1e-9)
        rate = f'{self._clips / elapsed:,.0f} {self._unit}/s'
        left = self._left(elapsed)
        self._bar.update(self._task, completed=self._done, rate=rate, left=left)
        ready = elapsed >= FIRST_AFTER_S and self._calls >= 2 + FIRST_AFTER_CALLS
        first = ready and not self._told
        if not self._console.is_terminal and (first or now - self._last_line > LINE_EVERY_S):
            self._last_line, self._told = now, True
            self._console.print(
                f'{self._description}: {self._done:,} of {self._total:,} steps, {rate}, {left}',
                soft_wrap=True,
            )

    def _left(self, elapsed: float) -> str:
        """Estimates the time left from `elapsed` seconds of steps, and from evaluations."""
        each = elapsed / max(self._done - self._begun_with, 1)
        if self._evaluated_steps:
            each += self._evaluating_s / self._evaluated_steps
        said = f'{_clock(each * (self._total - self._done))} left'
        alone = self._evaluates and not self._evaluated_steps
        return f'{said} without evaluations' if alone else said

    @contextlib.contextmanager
    def aside(self, evaluated_steps: int = 0) -> Iterator[None]:
        """Keeps what is done inside out of the rate of steps.

        Args:
          evaluated_steps: member-steps that an evaluation follows: estimates count the time inside
            once for so many; 0 for what does not come again, as compiling.
        """
        begun = time.monotonic()
        yield
        took = time.monotonic() - begun
        if self._begin is not None:
            self._begin += took
        if evaluated_steps:
            self._evaluating_s += took
            self._evaluated_steps += evaluated_steps

    def skip(self, steps: int) -> None:
        """Counts steps that will not be taken (an early stop)."""
        self._done += steps
        self._begun_with += steps
        self._bar.update(self._task, completed=self._done)

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._console.print(text, soft_wrap=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{seconds:02}'
