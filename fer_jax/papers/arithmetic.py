"""Finds the counts that a printed percentage admits, in exact arithmetic (fractions, no floats).

A paper that prints 54.716 % has counted k right answers of n. Few k/n are printed so: of 383 none,
of 371 only 203, with its digits cut off. Papers do not say how they shorten a number, so each of
three ways is tried.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil, floor, lcm

# How digits may have been dropped. A tie of 'rounding' may have gone either way.
WAYS = ('rounding', 'truncation', 'ceiling')


@dataclasses.dataclass(frozen=True)
class Interval:
    """The exact shares that are printed alike, within 0..1 where they are of counts.

    Attributes:
      low, high: its ends.
      has_low, has_high: whether the ends belong to it.
    """

    low: Fraction
    high: Fraction
    has_low: bool
    has_high: bool

    def whole(self, scale: int) -> range:
        """Lists the whole numbers m for which m / scale lies within."""
        low, high = self.low * scale, self.high * scale
        first = ceil(low) if self.has_low else floor(low) + 1
        last = floor(high) if self.has_high else ceil(high) - 1
        return range(first, last + 1)

    def __contains__(self, share: Fraction) -> bool:
        above = self.low <= share if self.has_low else self.low < share
        return above and (share <= self.high if self.has_high else share < self.high)


@dataclasses.dataclass(frozen=True)
class Fit:
    """A count that a printed number admits: k of n, if the digits were dropped in this way."""

    k: int
    n: int
    way: str


def value(text: str) -> Decimal:
    """Parses a printed number, with or without its per-cent sign.

    Raises:
      ValueError: the text is no number.
    """
    try:
        return Decimal(text.strip().removesuffix('%').strip())
    except InvalidOperation:
        raise ValueError(f"'{text}' is no number") from None


def printed(text: str, way: str, *, places: int = 0, percent: bool = True) -> Interval:
    """Returns the interval of shares that are printed as `text`.

    Args:
      text: as printed: '54.716', '70.02%'; '0.266' with percent=False.
      way: one of WAYS.
      places: how many decimals the column prints at least; more than the text has where a paper
        drops trailing zeros ('90' in a column of one decimal is 90.0).
      percent: whether the number is a percentage; otherwise it is a share.

    Raises:
      ValueError: the text is no number.
    """
    number = value(text)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"'{text}' is no number")
    unit = Fraction(1, 10 ** max(places, -exponent))
    below, above, has_low, has_high = {
        'rounding': (unit / 2, unit / 2, True, True),
        'truncation': (0, unit, True, False),
        'ceiling': (unit, 0, False, True),
    }[way]
    scale = 100 if percent else 1
    centre = Fraction(number)
    return Interval((centre - below) / scale, (centre + above) / scale, has_low, has_high)


def counts(text: str, n: int, way: str, **how) -> range:
    """Lists every k from 0 to n whose k/n is printed as `text`; `how` as in `printed`."""
    found = printed(text, way, **how).whole(n)
    return range(max(found.start, 0), min(found.stop, n + 1))


def fits(text: str, sizes: Iterable[int], ways: Sequence[str] = WAYS, **how) -> list[Fit]:
    """Lists every k/n, n of `sizes`, that is printed as `text` in one of the ways."""
    return [Fit(k, n, way) for n in sizes for way in ways for k in counts(text, n, way, **how)]


def common(texts: Sequence[str], sizes: Iterable[int], way: str, **how) -> dict[int, list[range]]:
    """Finds the n of `sizes` of which every text can be a count: {n: the counts of each text}."""
    found = {n: [counts(text, n, way, **how) for text in texts] for n in sizes}
    return {n: each for n, each in found.items() if all(each)}


def errors_of_mean(text: str, sizes: Sequence[int], way: str, **how) -> list[int]:
    """Lists how many errors in all a mean over groups admits, in ascending order.

    The mean is of the groups' accuracies (over subjects in leave-one-subject-out, over folds):
    group i with sizes[i] clips and e_i errors counts 1 - e_i / sizes[i]. Found for all e_i at once:
    bit m of `reached[e]` says that e errors can sum up to m / unit.

    Args:
      text: the printed mean; `how` as in `printed`.
      sizes: clips of each group.
    """
    unit = lcm(*sizes)
    interval = printed(text, way, **how)
    missed = Interval(1 - interval.high, 1 - interval.low, interval.has_high, interval.has_low)
    sums = missed.whole(unit * len(sizes))
    if sums.stop <= max(sums.start, 0):
        return []
    mask = (1 << sums.stop) - 1
    reached = {0: 1}
    for size in sizes:
        further: dict[int, int] = {}
        for errors, bits in reached.items():
            for more in range(size + 1):
                moved = bits << (more * unit // size) & mask
                if not moved:
                    break
                further[errors + more] = further.get(errors + more, 0) | moved
        reached = further
    below = (1 << max(sums.start, 0)) - 1
    return sorted(errors for errors, bits in reached.items() if bits & ~below)
