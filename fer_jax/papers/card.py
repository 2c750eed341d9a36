"""A reproduction card: what a paper prints in one table or figure, and what of ours stands beside.

The cards of a paper are one file, <paper>.toml: the printed cells as strings, exactly as printed.
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from fer_jax.errors import UserError

PAPERS = ('jain2018', 'saurav2020', 'minaee2019', 'haddad2020', 'kahou2015')
NO_CONFIG, LICENSED, NOT_RUN = 'no config yet', 'needs the licensed release', 'not run'


@dataclasses.dataclass(frozen=True)
class Ours:
    """An entry of ours that answers a row of a card.

    Attributes:
      row: the printed row; '' for the whole card.
      reading: which reading of the paper it is, where there are several.
      config: 'configs/FILE.py:variant'; '' where no config exists yet.
      holds: values of a run's resolved config ('protocol.name': 'loso') that make it this one.
      starts: the name of the config whose run it starts from (`init.run`); '' for none.
      learns: the name of the config whose run's features it learns from (`features.run`); '' for
        none.
      metrics: instead of the card's.
      dataset: as the configs name it, '' for the card's.
      by: the command that answers: 'main'; 'explain' of a run of main; or 'sweep', whose study no
        run of one model answers.
    """

    row: str = ''
    reading: str = ''
    config: str = ''
    holds: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    starts: str = ''
    learns: str = ''
    metrics: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dataset: str = ''
    by: str = 'main'

    @property
    def commands(self) -> tuple[str, ...]:
        """Returns the commands that run it, in order; nothing without a config."""
        if not self.config:
            return ()
        if self.by == 'sweep':
            study = '--study=NAME --storage=journal:PATH --trials=800 --choose_on_test'
            return (f'python -m fer_jax.sweep --config={self.config} {study}',)
        sources = {'init': self.starts, 'features': self.learns}
        given = [f' --config.{key}.run=RUN_OF_{name}' for key, name in sources.items() if name]
        run = f'python -m fer_jax.main --config={self.config}{"".join(given)}'
        if self.by == 'explain':
            return f'{run} --workdir=RUN', 'python -m fer_jax.explain RUN'
        return (run,)


@dataclasses.dataclass(frozen=True)
class Card:
    """One table or figure of a paper, or figures that stand in its text only.

    Attributes:
      name: 'haddad2020:table4'.
      place, authors, title: where it stands and what it shows.
      dataset: as the configs name it; `licensed` where its owners give it on agreement only.
      stated: the protocol as the paper states it.
      protocol: which of fer_jax.data.protocols is meant, or 'not stated'.
      rule: which of fer_jax.evaluation.rules the paper chose its epoch by, '' where not stated.
      columns: titles, without that of the row names.
      rows: {row name: printed cells}, '' where the paper leaves a cell empty.
      classes: of a confusion matrix, our names of its columns and rows.
      drawn: what the figure shows, where no printed number of it is held here.
      metrics: {column: what of a run stands beside it}, as `finished.figure` takes it.
      ours: what answers it.
      asks: what arithmetic is asked of the cells (fer_jax.papers.questions).
      notes: what a reader should know besides.
    """

    name: str
    place: str
    authors: str
    title: str
    dataset: str
    stated: str
    protocol: str
    licensed: bool = False
    rule: str = ''
    columns: tuple[str, ...] = ()
    rows: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    classes: tuple[str, ...] = ()
    drawn: str = ''
    metrics: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ours: tuple[Ours, ...] = ()
    asks: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    def cell(self, row: str, column: str) -> str:
        """Returns what is printed in a row and column."""
        return self.rows[row][self.columns.index(column)]

    def state(self, ours: Ours) -> str:
        """Says why there is no figure of ours, while there is no run."""
        if not ours.config:
            return NO_CONFIG
        return LICENSED if self.licensed else NOT_RUN


def _card(paper: str, authors: str, key: str, entry: Mapping[str, Any]) -> Card:
    words = re.fullmatch(r'(table|figure)(\d+)', key)
    place = f'{words[1].title()} {words[2]}' if words else 'Text'
    values = {'place': place, **entry}
    names = [row[0] for row in entry.get('rows', ())]
    if len(set(names)) < len(names):
        raise ValueError(f'{paper}:{key} names a row twice')
    values['rows'] = {row[0]: tuple(row[1:]) for row in entry.get('rows', ())}
    values['ours'] = tuple(Ours(**ours) for ours in entry.get('ours', ()))
    for name in ('columns', 'classes', 'asks', 'notes'):
        values[name] = tuple(entry.get(name, ()))
    card = Card(name=f'{paper}:{key}', authors=authors, **values)
    wrong = [row for row, cells in card.rows.items() if len(cells) != len(card.columns)]
    if wrong:
        raise ValueError(f'{card.name}: {wrong[0]} has not {len(card.columns)} cells')
    return card


@cache
def _paper(paper: str) -> Mapping[str, Any]:
    text = resources.files('fer_jax.papers').joinpath(f'{paper}.toml').read_text(encoding='utf-8')
    return tomllib.loads(text)


@cache
def _cards() -> Mapping[str, Card]:
    found = {}
    for paper in PAPERS:
        document = _paper(paper)
        for key, entry in document.items():
            if isinstance(entry, Mapping) and key != 'without':
                card = _card(paper, document['authors'], key, entry)
                found[card.name] = card
    return found


def listed() -> tuple[str, ...]:
    """Lists the names of all cards, paper by paper."""
    return tuple(_cards())


def without(paper: str) -> Mapping[str, str]:
    """Lists a paper's tables and figures that hold no result, with what they hold instead."""
    return _paper(paper)['without']


def load(name: str) -> Card:
    """Loads the card of that name, 'haddad2020:table4'.

    Raises:
      UserError: there is none; the message lists those of its paper, or the papers.
    """
    cards = _cards()
    if name in cards:
        return cards[name]
    paper = name.partition(':')[0]
    those = [known for known in cards if known.startswith(f'{paper}:')] or list(cards)
    raise UserError(f"there is no card '{name}': choose one of {', '.join(those)}")
