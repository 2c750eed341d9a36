"""Stopping a training between two calls of the device: SIGTERM and Ctrl-C."""

import contextlib
import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Iterator

import jax

from fer_jax.training import processes
from fer_jax.training.state import Sums


@dataclasses.dataclass
class Stop:
    """Tells whether to stop.

    Attributes:
      number: of the signal that asked for it; 0: none did.
      safe: nothing would be lost: no step has been taken since the last checkpoint.
    """

    number: int = 0
    safe: bool = True

    def now(self, sums: Sums) -> int:
        """Returns the signal that stops all processes after the call that gave `sums`; 0: none."""
        if jax.process_count() > 1:
            jax.block_until_ready(sums)  # see processes.largest
        return processes.largest(self.number)


@contextlib.contextmanager
def stop_signal() -> Iterator[Stop]:
    """Turns SIGTERM and Ctrl-C into a number read between calls; a second one kills.

    While nothing would be lost (programs are compiled, which takes minutes in which Python answers
    no signal) a thread of its own ends the process at once.
    """
    stop = Stop()

    def ask(number, frame):
        stop.number = number
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    threading.Thread(target=_end_at_once, args=(reader, stop), daemon=True).start()
    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    awake = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(awake)
        os.close(writer)
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_at_once(reader: int, stop: Stop) -> None:
    """Reads the numbers of signals from a pipe until its end; ends the process where it may."""
    while numbers := os.read(reader, 1):
        number = numbers[0]
        if number in (signal.SIGTERM, signal.SIGINT) and stop.safe and jax.process_count() == 1:
            said = 'nothing new is lost; start the same command again to go on'
            print(f'interrupted: {said}', file=sys.stderr, flush=True)
            os._exit(128 + number)
    os.close(reader)
