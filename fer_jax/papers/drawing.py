"""A card as text for a terminal, as a section of a page, and as a page with its table as CSV."""

import dataclasses
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path

from fer_jax import atomic
from fer_jax.evaluation.rules import RULES
from fer_jax.evaluation.table import TEXT, Column, Table
from fer_jax.papers import questions
from fer_jax.papers.card import NO_CONFIG, Card, Ours, load
from fer_jax.papers.finished import Finished, read
from fer_jax.reports import page

WIDTH = 79
# A column with longer cells holds sentences; those of others are shown as printed.
WORDY, PRINTED = 24, 'printed'


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of the drawn table.

    Attributes:
      name: the printed row, with the number of our entry for a line of ours.
      cells: a text for each column, '' where there is none.
      whose: 'paper', or a run's name and rule, or why there is no run.
      ours: whether it is a line of ours.
    """

    name: str
    cells: tuple[str, ...]
    whose: str
    ours: bool


def lines(card: Card, runs: Sequence[Finished] = ()) -> list[Line]:
    """Lists the printed rows, each followed by our runs' figures."""
    drawn = []
    entries = list(enumerate(card.ours, start=1))
    for row, cells in card.rows.items():
        drawn.append(Line(row, cells, 'paper', False))
        for number, ours in entries:
            found = [run for run in runs if run.answers(ours)]
            if ours.row == row and not found:
                drawn.append(_empty(card, number, ours))
            elif ours.row in (row, ''):
                drawn += [
                    _ours(card, number, ours, run, row, r, runs) for run, r in _shown(card, found)
                ]
    for number, ours in entries:
        found = [run for run in runs if run.answers(ours)]
        if not ours.row and not found:
            drawn.append(_empty(card, number, ours))
        elif not ours.row and not card.rows:
            drawn += [
                Line(f'[{number}]', (), _whose(ours, run, r), True)
                for run, r in _shown(card, found)
            ]
    return drawn


def _shown(card: Card, runs: Sequence[Finished]) -> list[tuple[Finished, str]]:
    return [(run, rule) for run in runs for rule in run.rules(card)]


def _empty(card: Card, number: int, ours: Ours) -> Line:
    return Line(f'[{number}]', ('',) * len(card.columns), card.state(ours), True)


def _whose(ours: Ours, run: Finished, rule: str) -> str:
    optimistic = ' (optimistic)' if RULES[rule].optimistic else ''
    changes = run.changed(ours)
    changed = [f'changed: {", ".join(changes)}'] if changes else []
    parts = [f'{run.name}, {RULES[rule].title.lower()}{optimistic}', *changed, *run.stamps]
    return ' · '.join(parts)


def _ours(
    card: Card, number: int, ours: Ours, run: Finished, row: str, rule: str,
    runs: Sequence[Finished],
) -> Line:  # fmt: skip
    metrics = ours.metrics or card.metrics
    cells = []
    for index, column in enumerate(card.columns):
        if card.classes:
            true = card.classes[list(card.rows).index(row)]
            shown = run.figure(rule, 'confusion', true, card.classes[index])
        else:
            shown = _figure(card, run, rule, metrics.get(column, ''), runs)
        cells.append('' if shown is None else shown)
    return Line(f'[{number}]', tuple(cells), _whose(ours, run, rule), True)


def _figure(
    card: Card, run: Finished, rule: str, metric: str, runs: Sequence[Finished]
) -> str | None:
    """Formats a figure of a run; 'p:ROW' and 'verdict:ROW' are of its folds against ROW's run."""
    kind, _, row = metric.partition(':')
    if kind not in ('p', 'verdict'):
        return run.figure(rule, metric) if metric else ''
    base = [
        other
        for other in runs
        if other is not run and any(o.row == row and other.answers(o) for o in card.ours)
    ]
    found = (run.p_value(other, rule) for other in base)
    p = next((value for value in found if value is not None), None)
    if p is None:
        return ''
    return f'{p:.5f}' if kind == 'p' else 'significant' * (p < questions.LEVEL) or 'not significant'


def facts(card: Card) -> dict[str, str]:
    """Lists what a reader should know of the card before its table."""
    found = {
        'Paper': card.authors,
        'Dataset': card.dataset,
        'Protocol as stated': card.stated,
        "The paper's protocol, by our name": card.protocol,
    }
    if card.rule:
        optimistic = ' (optimistic)' if RULES[card.rule].optimistic else ''
        found['Epoch in the paper'] = RULES[card.rule].title + optimistic
    if card.drawn:
        found['The figure shows'] = card.drawn
    return found


def answers(card: Card, runs: Sequence[Finished]) -> list[tuple[str, list[str]]]:
    """Lists our entries: '[1] row, reading: config', and commands: its own, then its runs'."""
    said = []
    for number, ours in enumerate(card.ours, start=1):
        what = ', '.join(filter(None, [ours.row, ours.reading])) or 'the whole'
        ran = [f'{run.name}: {run.command}' for run in runs if run.answers(ours)]
        said.append(
            (
                f'[{number}] {what}: {ours.config or NO_CONFIG}',
                [*ours.commands, *ran],
            )
        )
    return said


def stamps(card: Card, runs: Sequence[Finished]) -> tuple[str, ...]:
    """Lists what limits our own numbers on the card, such as simulated data."""
    shown = [run for run in runs if any(run.answers(ours) for ours in card.ours)]
    return tuple(dict.fromkeys(stamp for run in shown for stamp in run.stamps))


def text(card: Card, runs: Sequence[Finished] = ()) -> str:
    """Formats the card as plain text, at most 79 columns.

    Args:
      runs: finished runs; those that answer an entry stand beside the paper's rows.
    """
    said = [f'*** {stamp} ***' for stamp in stamps(card, runs)]
    said += _wrapped(f'{card.name}  {card.place}. {card.title}', '', '  ')
    for name, value in facts(card).items():
        said += _wrapped(f'{name}: {value}', '  ', '    ')
    said += ['', *_text_table(card, lines(card, runs))]
    if card.ours:
        said += ['', 'Ours']
        for what, commands in answers(card, runs):
            said += _wrapped(what, '  ', '      ')
            for command in commands:
                said += _wrapped(command, '      ', '          ')
    for title, values in (
        ('What its arithmetic implies', questions.answer(card)),
        ('Notes', card.notes),
    ):
        if values:
            said += ['', title]
            for value in values:
                said += _wrapped(value, '  - ', '    ')
    return '\n'.join(said)


def _wrapped(value: str, first: str, further: str) -> list[str]:
    kept = value.replace(' %', '\u00a0%')  # a number and its sign stay on one line
    wrapped = textwrap.wrap(
        kept, WIDTH, initial_indent=first, subsequent_indent=further, break_on_hyphens=False
    )
    return [line.replace('\u00a0', ' ') for line in wrapped]


def _text_table(card: Card, drawn: Sequence[Line]) -> list[str]:
    """Formats the table in blocks of columns that fit the width; words stand below a row."""
    wordy = [_wordy(card, index) for index in range(len(card.columns))]
    narrow = [index for index, words in enumerate(wordy) if not words]
    names = [f'  {line.name}' if line.ours else line.name for line in drawn]
    label = min(max(map(len, names), default=0), 38)
    widths = {
        i: 2 + max(len(card.columns[i]), *(len(line.cells[i]) for line in drawn)) for i in narrow
    }
    blocks: list[list[int]] = [[]]
    for index in narrow:
        if blocks[-1] and label + sum(widths[i] for i in (*blocks[-1], index)) > WIDTH:
            blocks.append([])
        blocks[-1].append(index)
    said = []
    for number, block in enumerate(blocks):
        if block:
            said += [''] * bool(number)
            said.append(' ' * label + ''.join(f'{card.columns[i]:>{widths[i]}}' for i in block))
        for line, name in zip(drawn, names, strict=True):
            cells = ''.join(f'{line.cells[i]:>{widths[i]}}' for i in block)
            if line.ours and not cells.strip():
                said += [f'{name}  {line.whose}'] * (not number)
                continue
            said.append(f'{name[:label]:<{label}}{cells}'.rstrip())
            if not number:
                said += [
                    f'    {line.cells[i]}'
                    for i, words in enumerate(wordy)
                    if words and line.cells[i]
                ]
                said += _wrapped(line.whose, '      ', '      ') if line.ours else []
    return said


def _wordy(card: Card, index: int) -> bool:
    """Tells whether a column holds sentences."""
    return any(len(cells[index]) > WORDY for cells in card.rows.values())


def table(card: Card, runs: Sequence[Finished] = ()) -> Table:
    """Makes the card's table for a page and as CSV."""
    rows = []
    drawn = lines(card, runs)
    for line in drawn:
        cells = {title: cell or None for title, cell in zip(card.columns, line.cells, strict=True)}
        rows.append({'row': line.name, 'whose': line.whose, **cells})
    columns = [
        Column(title, title, TEXT if _wordy(card, index) else PRINTED)
        for index, title in enumerate(card.columns)
    ]
    return Table(
        card.name.replace(':', '-'),
        f'{card.place} of {card.name.partition(":")[0]}: {card.title}. The paper’s rows are bold.',
        (Column('row', 'Row'), Column('whose', 'Whose'), *columns),
        rows,
        frozenset(index for index, line in enumerate(drawn) if not line.ours),
    )


def section(card: Card, runs: Sequence[Finished] = ()) -> str:
    """Formats the card as the content of a section of fer_jax.reports.page."""
    html = page.facts(facts(card))
    if lines(card, runs):
        html += page.table(table(card, runs), stamps(card, runs))
    if card.ours:
        html += '<h3>Ours</h3>'
        for what, commands in answers(card, runs):
            html += f'<p>{escape(what)}</p>' + (page.code('\n'.join(commands)) if commands else '')
    for title, values in (
        ('What its arithmetic implies', questions.answer(card)),
        ('Notes', card.notes),
    ):
        if values:
            items = ''.join(f'<li>{escape(value)}</li>' for value in values)
            html += f'<h3>{escape(title)}</h3><ul>{items}</ul>'
    return html


def draw_card(name: str, folders: Sequence[str], out: str | None) -> tuple[str, Path | None]:
    """Sets a card beside finished runs; returns it as text, and the path of the page.

    Args:
      name: PAPER:TABLE.
      folders: of the runs.
      out: the folder of the page; None draws none.

    Raises:
      UserError: no such card, or no such finished run.
    """
    card, runs = load(name), [read(path) for path in folders]
    return text(card, runs), write_page(out, card, runs) if out else None


def write_page(out: Path | str, card: Card, runs: Sequence[Finished] = ()) -> Path:
    """Writes the card's page, <paper>-<table>.html, and its table as CSV under figures/.

    Args:
      out: the folder for both.

    Returns:
      The path of the page.
    """
    drawn, known = table(card, runs), stamps(card, runs)
    atomic.write_text(Path(out) / 'figures' / f'{drawn.name}.csv', drawn.csv(known))
    path = Path(out) / f'{drawn.name}.html'
    sections = [(drawn.name, card.name, section(card, runs))]
    lead = f'{card.place}. {card.title}'
    atomic.write_text(path, page.page(card.name, lead, known, sections))
    return path
