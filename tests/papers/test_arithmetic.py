"""The k/n tool against decimal arithmetic on every share, and against sums tried one by one."""

import itertools
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest

from fer_jax.papers import arithmetic

# Enough digits that k/n is never cut before it is shortened.
EXACT = Context(prec=60)
SHORTEN = {
    'rounding': (ROUND_HALF_UP, ROUND_HALF_DOWN),
    'truncation': (ROUND_DOWN,),
    'ceiling': (ROUND_CEILING,),
}


def shortened(k: int, n: int, way: str, places: int) -> set[str]:
    """Prints 100 k / n by decimal arithmetic."""
    percent = EXACT.divide(Decimal(100 * k), Decimal(n))
    unit = Decimal(1).scaleb(-places)
    return {str(percent.quantize(unit, mode)) for mode in SHORTEN[way]}


@pytest.mark.parametrize('way', arithmetic.WAYS)
@pytest.mark.parametrize('places', [0, 1, 3])
def test_counts_are_those_that_decimal_arithmetic_prints_so(way, places):
    for n in (1, 7, 8, 40, 48, 64, 371):
        prints = {}
        for k in range(n + 1):
            for text in shortened(k, n, way, places):
                prints.setdefault(text, []).append(k)
        for text, expected in prints.items():
            assert list(arithmetic.counts(text, n, way)) == expected, (text, n)
        for text in ('33.334', '17.9', '55'):
            if -Decimal(text).as_tuple().exponent == places and text not in prints:
                assert not arithmetic.counts(text, n, way)


def test_a_tie_may_have_been_rounded_either_way():
    # 39/48 is 81.25 %.
    assert list(arithmetic.counts('81.2', 48, 'rounding')) == [39]
    assert list(arithmetic.counts('81.3', 48, 'rounding')) == [39]
    assert not arithmetic.counts('81.3', 48, 'truncation')
    assert not arithmetic.counts('81.2', 48, 'ceiling')


def test_dropped_zeros_and_shares_and_signs():
    assert list(arithmetic.counts('90', 33, 'truncation')) == [30]
    assert not arithmetic.counts('90', 33, 'truncation', places=1)
    assert list(arithmetic.counts('0.266', 383, 'rounding', percent=False)) == [102]
    assert arithmetic.counts('70.02 %', 3573, 'truncation') == range(2502, 2503)
    assert arithmetic.counts('100', 5, 'rounding') == range(5, 6)
    with pytest.raises(ValueError, match="'-' is no number"):
        arithmetic.fits('-', [3])


def test_an_interval_keeps_its_ends():
    whole = arithmetic.printed('50', 'truncation')
    assert Fraction(1, 2) in whole and Fraction(51, 100) not in whole
    assert Fraction(509, 1000) in whole and Fraction(499, 1000) not in whole
    raised = arithmetic.printed('50', 'ceiling')
    assert Fraction(1, 2) in raised and Fraction(49, 100) not in raised


def test_common_keeps_the_sizes_that_admit_every_number():
    # 1/3, 2/3 and 1/2 need a multiple of 6 of few clips.
    found = arithmetic.common(['33.333', '66.666', '50.000'], range(2, 20), 'truncation')
    assert list(found) == [6, 12, 18]
    assert [list(each) for each in found[6]] == [[2], [4], [3]]


@pytest.mark.parametrize('way', arithmetic.WAYS)
@pytest.mark.parametrize('sizes', [(1, 2, 3), (4, 4, 2, 5), (6, 3, 1, 1, 2)])
def test_errors_of_a_mean_are_those_of_every_combination(way, sizes):
    totals = {}
    for errors in itertools.product(*(range(size + 1) for size in sizes)):
        pairs = zip(errors, sizes, strict=True)
        share = sum(1 - Fraction(e, n) for e, n in pairs) / len(sizes)
        for text in shortened(share.numerator, share.denominator, way, 1):
            totals.setdefault(text, set()).add(sum(errors))
    for text in ('0.0', '33.3', '50.0', '66.7', '88.8', '88.9', '95.0', '97.5', '100.0'):
        expected = sorted(totals.get(text, ()))
        assert arithmetic.errors_of_mean(text, sizes, way) == expected, text
    assert totals
