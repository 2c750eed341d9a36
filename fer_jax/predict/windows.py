"""Collects the frames of a person that a network sees together."""

import collections
import math

from fer_jax.predict.crops import Patch
from fer_jax.predict.tracking import MISSED

# Seconds between the ends of two windows of a network of sequences.
STEP = 0.25
# A person whose face was not seen for so many seconds, and was missed at a look, begins anew.
_BROKEN = 0.5


class Windows:
    """Collects each person's faces until they make a window; a still is a window of one frame.

    A window of n frames lasts n times their spacing, as a film of n frames does.

    Args:
      seconds: how long a window lasts; 0 for stills.
      step: seconds between the ends of two windows.
      spacing: seconds from one frame to the next.
    Attributes:
      kept: {person's number: the patches of the last window's length}, oldest first.
      last: {person's number: seconds at which the last window ended}.
    """

    def __init__(self, seconds: float, step: float = STEP, spacing: float = 0.0):
        self._seconds, self._step = seconds, step
        self._broken = max(_BROKEN, MISSED * spacing)
        self.kept: dict[int, collections.deque[Patch]] = {}
        self.last: dict[int, float] = {}

    def add(self, track: int, patch: Patch) -> list[Patch] | None:
        """Takes one more face; returns the window that ends with it, where one is due."""
        if not self._seconds:
            return [patch]
        kept = self.kept.setdefault(track, collections.deque())
        if kept and patch.time - kept[-1].time > self._broken:
            kept.clear()
            self.last.pop(track, None)
        kept.append(patch)
        # Stamps are rounded, and may be uneven: a window is whole within a quarter of a frame, and
        # when more than a window has been seen.
        whole = track in self.last or _lasts(kept) >= self._seconds - _spacing(kept) / 4
        while _lasts(kept) > self._seconds + _spacing(kept) / 4 and len(kept) > 2:
            kept.popleft()
        due = track not in self.last or patch.time - self.last[track] >= self._step - 1e-6
        if not (whole and due):
            return None
        self.last[track] = patch.time
        return list(kept)

    def undecided(self) -> list[collections.deque[Patch]]:
        """Returns the patches of each person who has had no whole window yet."""
        return [kept for track, kept in self.kept.items() if track not in self.last]

    def forget(self, time: float = math.inf) -> dict[int, list[Patch]]:
        """Drops who has not been seen for longer than a window may be broken: at the end, all.

        Returns:
          what there is, by person, of those who had no whole window.
        """
        rest = {}
        for track, kept in list(self.kept.items()):
            if time - kept[-1].time > self._broken:
                del self.kept[track]
                if self.last.pop(track, None) is None and len(kept) > 1:
                    rest[track] = list(kept)
        return rest


def _spacing(kept: collections.deque[Patch]) -> float:
    """Computes mean seconds from frame to frame, 0 of a single one."""
    return (kept[-1].time - kept[0].time) / (len(kept) - 1) if len(kept) > 1 else 0.0


def _lasts(kept: collections.deque[Patch]) -> float:
    return kept[-1].time - kept[0].time + _spacing(kept)
