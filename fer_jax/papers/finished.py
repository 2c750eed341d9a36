"""Finished runs, as far as a card needs them: the resolved config and results.json."""

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from math import isnan, nan
from pathlib import Path
from statistics import fmean
from typing import Any

from fer_jax import config as configs
from fer_jax.errors import DAMAGED, UserError
from fer_jax.evaluation import results, rundir, significance
from fer_jax.papers.card import Card, Ours

# A run with another value is of one fold or of somebody's folds: it answers an entry only where
# `holds` asks for that.
USUAL = {'protocol.fold': -1, 'protocol.file': ''}
# Where configs name the runs that they build on.
BUILDS_ON = ('init.run', 'features.run', 'distill.runs')


@dataclasses.dataclass(frozen=True)
class Finished:
    """One finished run.

    Attributes:
      path: its directory.
      config, results: config.json and results.json.
      command: what it was started with, '' where unknown.
      stamps: what must be known before a number of it is believed.
      starts: the name of the config of the run that it starts from, '' where it starts anew.
      learns: the name of the config of the run whose features it learns from, '' for none.
    """

    path: Path
    config: Mapping[str, Any]
    results: Mapping[str, Mapping[str, Any]]
    command: str
    stamps: tuple[str, ...]
    starts: str = ''
    learns: str = ''

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.path.resolve().name

    def changed(self, ours: Ours) -> list[str]:
        """Lists what it has otherwise than the config of an entry: ['train.epochs=40'].

        Of a run that is nearer to the small variant `simulated` of that config, that variant and
        what it has otherwise than this. Whether its faces are simulated, and which runs it builds
        on, is told elsewhere.
        """
        path, _, variant = ours.config.partition(':')
        published = self._changed(path, variant)
        if not published or not _at(self.config, 'simulated.subjects'):
            return published
        small = ['variant simulated', *self._changed(path, f'{variant},simulated'.strip(','))]
        return min(published, small, key=len)

    def _changed(self, path: str, variant: str) -> list[str]:
        """Lists what it has otherwise than a variant of a config, as of `changed`."""
        stated = configs.as_json(configs.load_config(path, variant))
        found = configs.changes(self.config, stated)
        told = (*BUILDS_ON, 'simulated.subjects', 'simulated.seed')
        return [f'{key}={value}' for key, value in found.items() if key not in told]

    def answers(self, ours: Ours) -> bool:
        """Tells whether it is the run that an entry of a card asks for, of all folds."""
        held = all(_at(self.config, key) == value for key, value in ours.holds.items())
        other = any(
            _at(self.config, key) not in (usual, None)
            for key, usual in USUAL.items()
            if key not in ours.holds
        )
        chain = (self.starts, self.learns) == (ours.starts, ours.learns)
        return bool(ours.holds) and held and not other and chain

    def rules(self, card: Card) -> list[str]:
        """Lists the rules of choosing an epoch that a card shows: ours, and the paper's."""
        headline = results.headline(self.results)
        paper = card.rule in self.results and card.rule != headline
        return [headline, card.rule] if paper else [headline]

    def figure(self, rule: str, metric: str, row: str = '', column: str = '') -> str | None:
        """Formats a figure of the run, None where the run has none.

        Args:
          metric: a metric of results.json (in per cent); 'squared_error', of the probabilities, in
            per cent; 'train_accuracy', of the training clips as the networks saw them while they
            learned, in per cent; 'fold:N', the accuracy of the N-th fold in per cent, mean over
            seeds; 'confusion', how many clips of class `row` were called
            `column`, mean over seeds.
        """
        values = self.results[rule]
        if metric == 'confusion':
            names = [entry['class'] for entry in values['classes']]
            if row not in names or column not in names:
                return None
            seeds = len(values['seeds'])
            count = values['confusion'][names.index(row)][names.index(column)]
            return str(count) if seeds == 1 else f'{count / seeds:.1f}'
        kind, _, number = metric.partition(':')
        if kind == 'fold':
            folds = [f['accuracy'] for f in values['folds'] if f['fold'] == int(number) - 1]
            return f'{100 * fmean(folds):.1f}' if folds else None
        if metric == 'squared_error':  # results of older versions have none
            value = values.get('calibration', {}).get('raw', {}).get(metric)
        elif metric == 'train_accuracy':
            value = self._train_accuracy(values['epochs'])
        else:
            value = values[metric]
        return None if value is None else f'{100 * value:.2f}'

    def _train_accuracy(self, epochs: Sequence[int]) -> float | None:
        """Averages the accuracy of training clips over the members, each at its epoch.

        Raises:
          UserError: metrics.csv is damaged.
        """
        path = self.path / 'metrics.csv'
        if not path.is_file():
            return None
        try:
            with path.open(encoding='utf-8', newline='') as file:
                shares = {
                    (int(row['member']), int(row['epoch'])): float(row['train_accuracy'] or 'nan')
                    for row in csv.DictReader(file)
                }
        except (*DAMAGED, csv.Error) as error:
            raise UserError(f'{path} is damaged: start its command again') from error
        mean = fmean(shares.get(at, nan) for at in enumerate(epochs))
        return None if isnan(mean) else mean

    def p_value(self, base: 'Finished', rule: str) -> float | None:
        """Tests by Student's paired t whether a run's folds are better than this one's.

        One-sided, as haddad2020's Tables 4 and 5 (`questions.paired`).

        Args:
          base: the other run.

        Returns:
          p, 0 to 1; None where the two do not have the same folds of the same clips, or where
          nothing can be tested.
        """
        shared = ('protocol', 'simulated', 'data.name', 'data.labels')
        own, other = self.results.get(rule), base.results.get(rule)
        same = all(_at(self.config, key) == _at(base.config, key) for key in shared)
        if not same or own is None or other is None:
            return None
        mine, theirs = _folds(own), _folds(other)
        if {k: n for k, (_, n) in mine.items()} != {k: n for k, (_, n) in theirs.items()}:
            return None
        first, second = ([found[k][0] for k in sorted(found)] for found in (theirs, mine))
        return significance.paired_t(first, second).greater


def _folds(values: Mapping[str, Any]) -> dict[int, tuple[float, int]]:
    """Returns each fold's accuracy, mean over seeds, and its number of test clips."""
    found: dict[int, list] = {}
    for row in values['folds']:
        found.setdefault(row['fold'], []).append((row['accuracy'], row['n']))
    return {fold: (fmean(a for a, _ in rows), rows[0][1]) for fold, rows in found.items()}


def _at(config: Any, key: str) -> Any:
    """Returns the value at a dotted key, None where there is none."""
    for part in key.split('.'):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def read(path: Path | str) -> Finished:
    """Reads a finished run's directory.

    Raises:
      UserError: there is none, it has not finished, or a file of it is damaged.
    """
    path = Path(path)
    rundir.check_run(path)
    rundir.check_finished(path)
    found = rundir.read_json(path / 'results.json')
    if not any(isinstance(values, dict) and values.get('headline') for values in found.values()):
        raise UserError(f'{path / "results.json"} names no headline: start its command again')
    config = rundir.read_json(path / 'config.json')
    chain = {'starts': '', 'learns': ''}
    for name, option, key in (
        ('starts', 'init.run', 'starts_from.config'),
        ('learns', 'features.run', 'features_from.config'),
    ):
        if _at(config, option):
            chain[name] = _at(rundir.read_json(path / 'dataset.json'), key) or ''
    return Finished(
        path=path,
        config=config,
        results=found,
        command=str(rundir.read_json(path / 'versions.json').get('command', '')),
        stamps=tuple(found[results.headline(found)]['stamps']),
        **chain,
    )
