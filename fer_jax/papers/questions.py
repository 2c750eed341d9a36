"""Computes what the printed numbers of a card imply: from its cells, each time it is drawn.

A card's `asks` name one of QUESTIONS and its arguments; every answer is a list of sentences.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np

from fer_jax.evaluation import significance
from fer_jax.papers import arithmetic
from fer_jax.papers.arithmetic import WAYS, Fit
from fer_jax.papers.card import Card

# The customary level of significance, which haddad2020 does not state.
LEVEL = 0.05


def answer(card: Card) -> list[str]:
    """Answers every question of a card, in order."""
    said = []
    for ask in card.asks:
        arguments = {key: value for key, value in ask.items() if key != 'ask'}
        said += QUESTIONS[ask['ask']](card, **arguments)
    return said


def numbers(
    card: Card, rows: Sequence[str] = (), columns: Sequence[str] = ()
) -> list[tuple[str, str, str]]:
    """Lists (row, column, text) of the cells that hold a number; by default of all."""
    found = []
    for row in rows or card.rows:
        for column in columns or card.columns:
            text = card.cell(row, column)
            if any(character.isdigit() for character in text):
                found.append((row, column, text))
    return found


def fits(
    card: Card,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    sizes: Sequence[int] = (),
    first: int = 0,
    last: int = 0,
    **how,
) -> list[str]:
    """Lists which k/n each cell can be, n of `sizes` or from `first` to `last`."""
    tried = list(sizes) or list(range(first, last + 1))
    said = []
    for row, column, text in numbers(card, rows, columns):
        found = arithmetic.fits(text, tried, **how)
        absent = [n for n in tried if n not in {fit.n for fit in found}]
        if not sizes:
            none = f'no k/n for n = {first} to {last}' if not found else 'no other n'
            none += '' if not found else f' from {first} to {last}'
        else:
            none = ', '.join(f'no k/{n}' for n in absent)
        where = row if len(card.columns) == 1 else f'{row}, {column}'
        said.append(f'{where}: {text} is ' + '; '.join(filter(None, [_fits(found), none])) + '.')
    return said


def common(
    card: Card,
    *,
    first: int,
    last: int,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    **how,
) -> list[str]:
    """Finds the n from `first` to `last` that admit all cells at once."""
    texts = [text for _, _, text in numbers(card, rows, columns)]
    what = f'The {len(texts)} numbers of {_names(rows or columns)}'
    ways: dict[tuple[int, ...], list[str]] = {}
    for way in WAYS:
        found = tuple(arithmetic.common(texts, range(first, last + 1), way, **how))
        ways.setdefault(found, []).append(way)
    return [
        f'{what}: of n from {first} to {last} only {_names([str(n) for n in found])} admits them '
        f'all ({", ".join(names)}).'
        for found, names in ways.items()
        if found
    ] or [f'{what}: no n from {first} to {last} admits them all.']


def folds(
    card: Card,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    sizes: Sequence[int] = (),
    by_column: Sequence[int] = (),
    **how,
) -> list[str]:
    """Tells whether folds of these sizes admit the rows: each of any of `sizes`, or `by_column`."""
    allowed = [list(sizes)] * len(columns) if sizes else [[n] for n in by_column]
    title = f'Folds of {_names([str(n) for n in sizes], "or")} clips' if sizes else (
        f'Folds of {" ".join(map(str, by_column))} clips'
    )  # fmt: skip
    said, best = [], {}
    for row in rows:
        texts = [card.cell(row, column) for column in columns]
        found = {
            way: [
                arithmetic.fits(text, each, [way], **how)
                for text, each in zip(texts, allowed, strict=True)
            ]
            for way in WAYS
        }
        admitted = {way: sum(map(bool, each)) for way, each in found.items()}
        shares = ', '.join(f'by {way} {admitted[way]}' for way in WAYS)
        said.append(f'{title} admit of the {len(texts)} accuracies of {row}: {shares}.')
        way = max(WAYS, key=admitted.__getitem__)
        best[row] = [{fit.n for fit in each} for each in found[way]]
        if sizes:
            shown = zip(texts, found[way], strict=True)
            listed = ', '.join(f'{text} = {_either(each)}' for text, each in shown)
            said.append(f'{row} by {way}: {listed}.')
    if sizes and len(rows) > 1:
        shared = [set.intersection(*each) for each in zip(*best.values(), strict=True)]
        none = [column for column, each in zip(columns, shared, strict=True) if not each]
        if none:
            said.append(f'No size serves {_names(rows)} alike in folds {_names(none)}.')
    return said


def average(
    card: Card,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    printed: str,
    sizes: Mapping[str, Sequence[int]],
    **how,
) -> list[str]:
    """Computes a row's mean over printed folds, and over their counts, beside the printed mean."""
    said = []
    for row in rows:
        shown = [Decimal(card.cell(row, column)) for column in columns]
        exact = [100 * share for share in shares(card, row, columns, sizes[row], **how)]
        said.append(
            f'{row}: its folds average {sum(shown) / len(shown)} as printed, '
            f'{float(sum(exact) / len(exact)):.3f} as k/n; printed {card.cell(row, printed)}.'
        )
    return said


def mean(card: Card, *, row: str, column: str, groups: Mapping[str, int], **how) -> list[str]:
    """Counts the errors that a mean over groups of clips admits; `groups` {clips: groups}."""
    sizes = [int(size) for size, count in groups.items() for _ in range(count)]
    text = card.cell(row, column)
    found = {way: arithmetic.errors_of_mean(text, sizes, way, **how) for way in WAYS}
    shown = [f'by {way} {_run(errors)}' for way, errors in found.items()]
    return [
        f'{text} as a mean over {len(sizes)} groups ({sum(sizes)} clips) takes so many errors: '
        + ', '.join(shown)
        + '.'
    ]


def paired(
    card: Card,
    *,
    base: str,
    rows: Sequence[str],
    columns: Sequence[str],
    printed: str,
    sizes: Mapping[str, Sequence[int]],
    **how,
) -> list[str]:
    """Runs Student's paired t-test of the folds of `base` against each row, one- and two-sided.

    Of the folds as printed, and in brackets of the counts that they are.
    """
    said = []
    for row in rows:
        shown, exact = (
            significance.paired_t(*((100 * np.array(folds, np.float64)).tolist() for folds in both))
            for both in (
                [[Fraction(card.cell(r, c)) / 100 for c in columns] for r in (base, row)],
                [shares(card, r, columns, sizes.get(r, ()), **how) for r in (base, row)],
            )
        )
        if shown.two_sided is None:
            raise ValueError(f'{base} and {row} have the same folds: there is nothing to test')
        verdict = '' if shown.two_sided < LEVEL else f': not significant at {100 * LEVEL:g} %'
        said.append(
            f'{base} against {row}, paired t-test over {len(columns)} folds: one-sided p = '
            f'{shown.greater:.3g} (of k/n {exact.greater:.3g}), printed {card.cell(row, printed)}; '
            f'two-sided {shown.two_sided:.3g} ({exact.two_sided:.3g}){verdict}.'
        )
    return said


def shares(
    card: Card, row: str, columns: Sequence[str], sizes: Sequence[int], **how
) -> list[Fraction]:
    """Finds the share that each cell of a row is, n of `sizes`, its percentage cut off.

    Where no size or several different shares fit, the share as printed.
    """
    found = []
    for column in columns:
        text = card.cell(row, column)
        fitting = arithmetic.fits(text, sizes, ['truncation'], **how)
        exact = {Fraction(fit.k, fit.n) for fit in fitting}
        found.append(exact.pop() if len(exact) == 1 else Fraction(text) / 100)
    return found


def sums(card: Card) -> list[str]:
    """Sums a confusion matrix: rows, total and accuracy."""
    rows = row_sums(card)
    right = sum(int(cells[i]) for i, cells in enumerate(card.rows.values()))
    return [
        f'Rows sum to {" ".join(map(str, rows))} = {sum(rows):,}; the diagonal to {right:,}: '
        f'{float(Fraction(100 * right, sum(rows))):.3f} %.'
    ]


def row_sums(card: Card) -> list[int]:
    """Sums the rows of a confusion matrix."""
    return [sum(map(int, cells)) for cells in card.rows.values()]


def sizes(card: Card, *, label: str, sizes: Sequence[int]) -> list[str]:
    """Compares the rows of a confusion matrix with known class sizes."""
    differences = [row - size for row, size in zip(row_sums(card), sizes, strict=True)]
    return [
        f'{label}: {" ".join(map(str, sizes))} = {sum(sizes):,}; the rows differ by '
        f'{" ".join(f"{d:+d}" for d in differences)} = {sum(differences):+d}.'
    ]


def views(card: Card, *, clips: Mapping[str, int]) -> list[str]:
    """Counts the views that the copies make of the clips of each class, the original among them."""
    each = {row: clips[row] * (1 + sum(map(int, cells))) for row, cells in card.rows.items()}
    listed = ', '.join(f'{row} {clips[row]} x {n // clips[row]} = {n}' for row, n in each.items())
    return [f'With the original: {listed}; {sum(each.values()):,} in all.']


QUESTIONS: Mapping[str, Callable[..., list[str]]] = {
    question.__name__: question
    for question in (fits, common, folds, average, mean, paired, sums, sizes, views)
}


def _fits(found: Sequence[Fit]) -> str:
    """Formats fits: '203/371 (truncation), 222/383 (rounding, ceiling)'."""
    ways: dict[tuple[int, int], list[str]] = {}
    for fit in found:
        ways.setdefault((fit.k, fit.n), []).append(fit.way)
    return ', '.join(f'{k}/{n} ({", ".join(each)})' for (k, n), each in ways.items())


def _either(found: Sequence[Fit]) -> str:
    return ' or '.join(f'{fit.k}/{fit.n}' for fit in found) or 'no k/n'


def _names(names: Sequence[str], word: str = 'and') -> str:
    *others, last = list(names)
    return f'{", ".join(others)} {word} {last}' if others else last


def _run(values: Sequence[int]) -> str:
    """Formats numbers as '8 to 15', or one by one where there are gaps."""
    if not values:
        return 'none'
    if len(values) > 2 and len(values) == values[-1] - values[0] + 1:
        return f'{values[0]} to {values[-1]}'
    return _names([str(value) for value in values])
