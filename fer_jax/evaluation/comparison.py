"""Several runs on the same folds: their numbers side by side, with tests of the differences.

Runs are paired by fold and clip (fer_jax.evaluation.pairing), seeds averaged.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_jax.errors import UserError
from fer_jax.evaluation import bootstrap, pairing, results, significance
from fer_jax.evaluation.pairing import Scores
from fer_jax.evaluation.rules import RULES
from fer_jax.evaluation.rundir import Run
from fer_jax.evaluation.table import probability

LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'

TESTS = {
    't': 'Paired t-test',
    'corrected_t': 'Corrected t-test',
    'wilcoxon': 'Wilcoxon',
    'mcnemar': 'McNemar, exact',
}

DIRECTION = (
    'Two-sided: the two runs differ. One-sided: the first run is better than the second (A − B: A '
    'is better than B); it may be read only where that was the question before the results were '
    'seen.'
)

OPTIMISTIC = 'EPOCHS CHOSEN ON THE TEST CLIPS'


def compute(
    runs: Sequence[Run],
    *,
    rule: str | None = None,
    names: Sequence[str] = (),
    against_first: bool = False,
    draws: int = bootstrap.DRAWS,
    seed: int = bootstrap.SEED,
) -> dict[str, Any]:
    """Compares runs fold by fold and pair by pair, as plain Python (None where there is no number).

    Keys:
      rule, title, optimistic: the rule that the pairs are compared under; level, draws, unit: of
        the intervals; stamps: of all runs together, and one more for an optimistic rule;
      clips, subjects (None where unknown), repeated: whether a clip is tested in several folds;
      runs: letter, name, path, protocol, seeds and results (of results.compute) of each;
      folds: fold (from 1), train_clips (validation included), test_clips, {letter: accuracy};
      settings: configuration values that are not the same in all runs, {setting, letter: text};
      pairs: first, second (letters), difference (of the pooled accuracies), interval,
        fold_difference (mean over folds), effect_size (d_z over folds), only_first, only_second,
        both, neither (clips; None where a clip is tested more than once, by seeds or repeats),
        tests {name of TESTS: pairs, statistic, two_sided, holm, greater, less}.

    Args:
      rule: one that every run has; by default the first honest one that every run has.
      names: of the runs; by default their configs' or, where those are the same, their folders'.
      against_first: pairs are each later run minus the first, not each run minus every later one.

    Raises:
      UserError: the runs cannot be paired, or do not all have the rule.
    """
    if len(runs) > len(LETTERS):
        raise UserError(f'{len(runs)} runs to compare: give at most {len(LETTERS)}')
    for one, other in itertools.pairwise(sorted(runs, key=lambda run: run.path.resolve())):
        if one.path.resolve() == other.path.resolve():
            raise UserError(f'{other.path} is given twice: name different runs')
    for other in runs[1:]:
        pairing.same_data(runs[0], other)
    names = names or [run.name for run in runs]
    if len(set(names)) < len(names):  # one config, changed on the command line
        names = [run.path.resolve().name for run in runs]
    entries = [
        _entry(letter, name, run, draws, seed)
        for letter, name, run in zip(LETTERS, names, runs, strict=False)
    ]
    rule = _rule(entries, rule)
    scores = [
        pairing.score(run, entry['results'][rule]['epochs'])
        for run, entry in zip(runs, entries, strict=True)
    ]
    for run, mine in zip(runs[1:], scores[1:], strict=True):
        pairing.same_clips(runs[0], scores[0], run, mine)
        pairing.same_training(runs[0], run, np.unique(scores[0].fold).tolist())

    first = scores[0]
    unit, unit_name = bootstrap.units(first.subject, first.clip)
    stamps = list(dict.fromkeys(stamp for run in runs for stamp in run.stamps))
    folds = _folds(runs[0], entries, scores)
    return {
        'rule': rule,
        'title': RULES[rule].title,
        'optimistic': RULES[rule].optimistic,
        'level': bootstrap.LEVEL,
        'draws': draws,
        'unit': unit_name,
        'stamps': stamps + [OPTIMISTIC] * RULES[rule].optimistic,
        'clips': len(np.unique(first.clip)),
        'subjects': len(np.unique(first.subject)) if unit_name == 'subjects' else None,
        'repeated': len(np.unique(first.clip)) < len(first.clip),
        'runs': entries,
        'folds': folds,
        'settings': _settings(runs),
        'pairs': _pairs(scores, folds, unit, against_first, draws, seed),
    }


def _entry(letter: str, name: str, run: Run, draws: int, seed: int) -> dict[str, Any]:
    return {
        'letter': letter,
        'name': name,
        'path': str(run.path),
        'protocol': run.folds['protocol'],
        'seeds': np.unique(run.predictions.seed).tolist(),
        'command': run.versions.get('command'),
        'commit': run.versions.get('commit'),
        'results': results.compute(run.predictions, stamps=run.stamps, draws=draws, seed=seed),
    }


def _rule(entries: Sequence[Mapping[str, Any]], rule: str | None) -> str:
    """Chooses the rule to compare under; UserError where a run does not have it."""
    if rule is None:
        shared = [name for name in RULES if all(name in entry['results'] for entry in entries)]
        return shared[0]
    for entry in entries:
        if rule not in entry['results']:
            raise UserError(
                f'{entry["path"]} has no rule {rule}: it has {", ".join(entry["results"])}'
            )
    return rule


def _folds(
    run: Run, entries: Sequence[Mapping[str, Any]], scores: Sequence[Scores]
) -> list[dict[str, Any]]:
    """Lists each fold's sizes and every run's accuracy in it (mean over seeds)."""
    table = []
    for fold in np.unique(scores[0].fold).tolist():
        mine = scores[0].fold == fold
        table.append(
            {
                'fold': fold,
                'train_clips': len(pairing.training(run, fold)),
                'test_clips': int(mine.sum()),
                **{
                    entry['letter']: float(rows.right[mine].mean())
                    for entry, rows in zip(entries, scores, strict=True)
                },
            }
        )
    return table


def _pairs(
    scores: Sequence[Scores],
    folds: Sequence[Mapping[str, Any]],
    unit: np.ndarray,
    against_first: bool,
    draws: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Compares every run with every later one, or every later one with the first."""
    rows = scores[0]
    total = np.bincount(unit).astype(np.float64)
    once = len(np.unique(rows.clip)) == len(rows.clip) and {t.seeds for t in scores} == {1}
    test_to_train = sum(f['test_clips'] for f in folds) / sum(f['train_clips'] for f in folds)
    table = []
    number = range(len(scores))
    chosen = [(i, 0) for i in number[1:]] if against_first else itertools.combinations(number, 2)
    for i, j in chosen:
        mine, theirs = scores[i], scores[j]
        of_folds = [[fold[letter] for fold in folds] for letter in (LETTERS[i], LETTERS[j])]
        counts: dict[str, int | None] = dict.fromkeys(
            ('only_first', 'only_second', 'both', 'neither')
        )
        tests = {
            't': significance.paired_t(*of_folds),
            'corrected_t': significance.corrected_t(*of_folds, test_to_train),
            'wilcoxon': significance.wilcoxon(*of_folds),
        }
        if len(folds) < 2:
            tests = {}
        if once:
            first, second = mine.right > 0.5, theirs.right > 0.5
            ours, other = int((first & ~second).sum()), int((~first & second).sum())
            counts = {
                'only_first': ours,
                'only_second': other,
                'both': int((first & second).sum()),
                'neither': int((~first & ~second).sum()),
            }
            tests['mcnemar'] = significance.mcnemar(ours, other)
        table.append(
            {
                'first': LETTERS[i],
                'second': LETTERS[j],
                'difference': float(mine.right.mean() - theirs.right.mean()),
                'interval': significance.difference_interval(
                    np.bincount(unit, weights=mine.right),
                    np.bincount(unit, weights=theirs.right),
                    total, draws=draws, seed=seed,
                ),
                'fold_difference': float(np.mean(of_folds[0]) - np.mean(of_folds[1])),
                'effect_size': significance.effect_size(*of_folds),
                **counts,
                'tests': {name: dict(vars(outcome)) for name, outcome in tests.items()},
            }
        )  # fmt: skip
    for name in table[0]['tests'] if table else ():
        outcomes = [pair['tests'][name] for pair in table]
        adjusted = significance.holm([outcome['two_sided'] for outcome in outcomes])
        for outcome, value in zip(outcomes, adjusted, strict=True):
            outcome['holm'] = value
    return table


def _settings(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Lists configuration values that are not the same in all runs, by dotted key."""
    configs = [dict(flat(run.config)) for run in runs]
    keys = dict.fromkeys(key for config in configs for key in config)
    missing = object()
    table = []
    for key in keys:
        values = [config.get(key, missing) for config in configs]
        if any(value != values[0] for value in values):
            shown = ['–' if value is missing else str(value) for value in values]
            table.append({'setting': key, **dict(zip(LETTERS, shown, strict=False))})
    return table


def flat(config: Mapping[str, Any], prefix: str = '') -> list[tuple[str, Any]]:
    """Lists the values of a config of sections by their dotted keys."""
    pairs = []
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            pairs += flat(value, f'{prefix}{key}.')
        else:
            pairs.append((prefix + key, value))
    return pairs


def summary_text(values: Mapping[str, Any]) -> str:
    """Formats the comparison for a terminal, at most 79 columns where names allow it."""
    lines = [f'*** {stamp} ***' for stamp in values['stamps']]
    people = '' if values['subjects'] is None else f' of {values["subjects"]} subjects'
    folds = len(values['folds'])
    lines.append(
        f'{len(values["runs"])} runs on {values["clips"]} test clips{people}, '
        f'{folds} fold{"s" * (folds > 1)}'
    )
    level = f'{100 * values["level"]:.0f} % interval'
    lines += ['', f'{"":<40}{"accuracy":>9}{level:>16}{"macro F1":>11}']
    for run in values['runs']:
        lines.append(f'{run["letter"]}  {run["name"]}  ({run["path"]})')
        for rule, entry in run['results'].items():
            interval = entry['intervals']['pooled_accuracy']
            shown = '' if interval is None else f'{100 * interval[0]:.1f} - {100 * interval[1]:.1f}'
            mark = '*' if rule == values['rule'] else ' '
            title = entry['title'] + ' (opt.)' * entry['optimistic']
            lines.append(
                f' {mark} {title:<37}{100 * entry["pooled_accuracy"]:>8.2f}%{shown:>16}'
                f'{100 * entry["macro_f1"]:>10.2f}%'
            )
    lines += ['', f'*: compared below. (opt.): optimistic, {OPTIMISTIC.lower()}.']
    several = len(values['pairs']) > 1
    for pair in values['pairs']:
        interval = pair['interval']
        shown = ''
        if interval is not None:
            shown = (
                f'  ({level} {100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}, over '
                f'{values["unit"]})'
            )
        lines += ['', f'{pair["first"]} - {pair["second"]}: '
                  f'{100 * pair["difference"]:+.2f} points{shown}']  # fmt: skip
        if pair['effect_size'] is not None:
            lines.append(f'  effect size d_z over folds {pair["effect_size"]:.2f}')
        if pair['only_first'] is not None:
            lines.append(
                f'  right on a clip: only {pair["first"]} {pair["only_first"]}, only '
                f'{pair["second"]} {pair["only_second"]}, both {pair["both"]}'
            )
        if pair['tests']:
            head = f'{"p: two-sided":>16}{"Holm" * several:>10}'
            lines.append(f'{"":<39}{head}{pair["first"] + " better":>12}')
        for name, outcome in pair['tests'].items():
            p = [outcome['two_sided'], *([outcome['holm']] * several), outcome['greater']]
            widths = [16, *([10] * several), 12] if several else [16, 22]
            shown = ['-' if value is None else probability(value) for value in p]
            cells = [f'{text:>{width}}' for text, width in zip(shown, widths, strict=True)]
            lines.append(f'  {TESTS[name]:<37}{"".join(cells)}')
    return '\n'.join(lines)
