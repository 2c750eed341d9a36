"""The tables of a comparison, from what fer_jax.evaluation.comparison computes."""

from collections.abc import Mapping
from typing import Any

from fer_jax.evaluation.ablations import chosen
from fer_jax.evaluation.comparison import DIRECTION, TESTS
from fer_jax.evaluation.results import METRIC_TITLES
from fer_jax.evaluation.table import (
    COUNT,
    DIFFERENCE,
    DIFFERENCE_INTERVAL,
    INTERVAL,
    NUMBER,
    PROBABILITY,
    SHARE,
    Column,
    Table,
)


def named(run: Mapping[str, Any]) -> str:
    """Returns a run's letter and name."""
    return f'{run["letter"]} · {run["name"]}'


def pair_title(pair: Mapping[str, Any]) -> str:
    """Names a pair as a difference: 'A − B'."""
    return f'{pair["first"]} − {pair["second"]}'


def level(values: Mapping[str, Any]) -> str:
    """Returns the title of intervals."""
    return f'{100 * values["level"]:.0f} % interval'


def runs(values: Mapping[str, Any]) -> Table:
    """Tabulates every run under every rule; the rule of the comparison is strong."""
    rows, strong = [], set()
    for run in values['runs']:
        for rule, entry in run['results'].items():
            if rule == values['rule']:
                strong.add(len(rows))
            rows.append(
                {
                    'run': run['letter'],
                    'name': run['name'],
                    'path': run['path'],
                    'rule': rule,
                    'title': entry['title'] + ' (optimistic)' * entry['optimistic'],
                    'interval': entry['intervals']['pooled_accuracy'],
                    'n': entry['n'],
                    'seeds': len(entry['seeds']),
                    **{name: entry[name] for name in METRIC_TITLES},
                }
            )
    metrics = [Column(name, title, SHARE) for name, title in METRIC_TITLES.items()]
    if values['subjects'] is None:
        metrics = [column for column in metrics if column.key != 'subject_accuracy']
    return Table(
        'runs',
        'Every run under every rule of choosing an epoch, in per cent; the rule of the comparison '
        'in bold. Optimistic rules look at the test clips.',
        (
            Column('run', 'Run'),
            Column('name', 'Name', shown=False),
            Column('path', 'Folder', shown=False),
            Column('rule', 'Rule', shown=False),
            Column('title', 'Rule'),
            metrics[0],
            Column('interval', level(values), INTERVAL),
            *metrics[1:],
            Column('seeds', 'Seeds', COUNT),
            Column('n', 'Clips', COUNT),
        ),
        rows,
        frozenset(strong),
    )


def ablations(values: Mapping[str, Any]) -> Table | None:
    """Tabulates every ablation of a config beside the config; None in other comparisons."""
    if 'ablations' not in values:
        return None
    rows = values['ablations']
    apart = ' Without a difference: judged on other folds.' * any(row['refusal'] for row in rows)
    return Table(
        'ablations',
        f'Every ablation of the config under “{values["title"]}”, in per cent, and its difference '
        f'from {rows[0]["name"]} in points, with intervals by bootstrap over {values["unit"]}. '
        + chosen(values)
        + apart,
        (
            Column('run', 'Run'),
            Column('name', 'Ablation'),
            Column('validation', 'Validation', SHARE),
            Column('accuracy', 'Test', SHARE),
            Column('interval', level(values), INTERVAL),
            Column('difference', 'Difference', DIFFERENCE),
            Column('difference_interval', level(values), DIFFERENCE_INTERVAL),
            Column('changes', 'Changed'),
            Column('why', 'What it takes'),
        ),
        rows,
        frozenset({0}),
    )


def differences(values: Mapping[str, Any]) -> Table | None:
    """Tabulates each pair's difference, interval and number of clips; None without a pair."""
    rows = [{**pair, 'pair': pair_title(pair)} for pair in values['pairs']]
    if not rows:
        return None
    counts = ('only_first', 'Only the first'), ('only_second', 'Only the second')
    counted = rows[0]['only_first'] is not None
    return Table(
        'differences',
        f'Differences of accuracy in points under “{values["title"]}”, the first run minus the '
        f'second, with intervals by bootstrap over {values["unit"]}'
        + (', and on how many clips only one of the two is right.' if counted else '.'),
        (
            Column('pair', 'Pair'),
            Column('difference', 'Difference', DIFFERENCE),
            Column('interval', level(values), DIFFERENCE_INTERVAL),
            Column('fold_difference', 'Mean over folds', DIFFERENCE),
            Column('effect_size', 'Effect size d_z', NUMBER),
            *(Column(key, title, COUNT, shown=counted) for key, title in counts),
            Column('both', 'Both', COUNT, shown=counted),
            Column('neither', 'Neither', COUNT, shown=counted),
        ),
        rows,
    )


def tests(values: Mapping[str, Any]) -> Table | None:
    """Tabulates every test of every pair; None where none applies (one fold, repeated clips)."""
    rows = [
        {'pair': pair_title(pair), 'test': TESTS[name], **outcome}
        for pair in values['pairs']
        for name, outcome in pair['tests'].items()
    ]
    if not rows:
        return None
    return Table(
        'tests',
        f'p-values. {DIRECTION} n: folds, or clips that only one of the two gets right.',
        (
            Column('pair', 'Pair'),
            Column('test', 'Test'),
            Column('two_sided', 'p, two-sided', PROBABILITY),
            Column('holm', 'p, Holm', PROBABILITY, shown=len(values['pairs']) > 1),
            Column('greater', 'p, first better', PROBABILITY),
            Column('less', 'p, second better', PROBABILITY, shown=False),
            Column('statistic', 'Statistic', NUMBER),
            Column('pairs', 'n', COUNT),
        ),
        rows,
    )


def folds(values: Mapping[str, Any]) -> Table:
    """Tabulates every fold and each run's accuracy in it."""
    return Table(
        'folds',
        f'Test accuracy of every fold under “{values["title"]}”, in per cent. Training clips '
        'include those that choose the epoch.',
        (
            Column('fold', 'Fold', COUNT),
            *(Column(run['letter'], run['letter'], SHARE) for run in values['runs']),
            Column('test_clips', 'Test clips', COUNT),
            Column('train_clips', 'Training clips', COUNT),
        ),
        values['folds'],
    )


def settings(values: Mapping[str, Any]) -> Table | None:
    """Tabulates the settings that differ between the configurations; None where none does."""
    if not values['settings']:
        return None
    return Table(
        'settings',
        'Configuration values that are not the same in all runs.',
        (Column('setting', 'Setting'),
         *(Column(run['letter'], run['letter']) for run in values['runs'])),
        values['settings'],
    )  # fmt: skip
