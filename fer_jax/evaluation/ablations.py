"""Ablations of one config beside the config as it stands, as one table."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fer_jax.evaluation import comparison, pairing, results, rules
from fer_jax.evaluation.predictions import VALIDATION, Predictions
from fer_jax.evaluation.rundir import Run
from fer_jax.evaluation.table import DIFFERENCE, DIFFERENCE_INTERVAL, INTERVAL, SHARE, show


def compute(
    runs: Mapping[str, Run], about: Mapping[str, tuple[str, Mapping[str, Any]]], **options: Any
) -> dict[str, Any]:
    """Compares every run that pairs with the first, and lists all runs in one table.

    An ablation that changes how folds are made is tested on other folds than the config as it
    stands. It cannot be paired then, and is in the table without a difference.

    Args:
      runs: by the ablation's name; first the config as it stands.
      about: for each name a sentence, and what it changes: dotted key -> value.
      **options: rule, draws and seed of comparison.compute.

    Returns:
      What comparison.compute returns, every later run against the first, and the key `ablations`, a
      row for each run: run (letter; None where it is not paired), name, why, changes (text),
      validation (accuracy of the validation clips, by which an ablation may be chosen: `validated`;
      None where there are none), accuracy and interval (of the test clips, pooled, under the rule;
      None where the run does not have it),
      difference and difference_interval (the ablation minus the first run), refusal (why it is not
      paired, or None).
    """
    names = list(runs)
    base = runs[names[0]]
    refusals = {name: pairing.refusal(base, runs[name]) for name in names[1:]}
    paired = [name for name in names if not refusals.get(name)]
    values = comparison.compute(
        [runs[name] for name in paired], names=paired, against_first=True, **options
    )
    stamps = [stamp for run in runs.values() for stamp in run.stamps]
    values['stamps'] = list(dict.fromkeys([*stamps, *values['stamps']]))
    options.pop('rule', None)
    entries = {entry['name']: entry for entry in values['runs']}
    pairs = {pair['first']: pair for pair in values['pairs']}
    values['ablations'] = []
    for name, run in runs.items():
        entry = entries.get(name) or {
            'letter': None,
            'results': results.compute(run.predictions, stamps=run.stamps, **options),
        }
        found = entry['results'].get(values['rule'])
        pair = pairs.get(entry['letter'])
        why, changes = about[name]
        values['ablations'].append(
            {
                'run': entry['letter'],
                'name': name,
                'why': why,
                'changes': '; '.join(f'{k} = {v}' for k, v in comparison.flat(changes)),
                'validation': validated(run.predictions),
                'accuracy': found and found['pooled_accuracy'],
                'interval': found and found['intervals']['pooled_accuracy'],
                'difference': pair and pair['difference'],
                'difference_interval': pair and pair['interval'],
                'refusal': refusals.get(name),
            }
        )
    return values


def validated(predictions: Predictions) -> float | None:
    """Computes the accuracy of the validation clips, each member at the epoch they choose.

    Choosing one of several runs by it leaves the test clips unseen. Members share a run's weight by
    their clips; None where some member has no validation clips.
    """
    epochs = rules.choose(predictions).get('val_best')
    if epochs is None:
        return None
    rows = predictions.at(epochs, VALIDATION)
    return float(np.mean(rows.predicted == rows.label))


def chosen(values: Mapping[str, Any]) -> str:
    """Says in a sentence which run the validation clips choose, of those that can be paired."""
    paired = [row for row in values['ablations'] if not row['refusal']]
    apart = ' on the same folds' * (len(paired) < len(values['ablations']))
    known = [row for row in paired if row['validation'] is not None]
    if not known:
        return (
            f'No run{apart} has validation clips: a choice by the accuracies below is one by test '
            'clips.'
        )
    best = max(known, key=lambda row: row['validation'])
    among = f'Of the runs{apart} the' if apart else 'The'
    return (
        f'{among} validation clips choose {best["name"]} ({100 * best["validation"]:.2f} %); a '
        'choice by test accuracy would be optimistic.'
    )


def text(values: Mapping[str, Any]) -> str:
    """Formats the table for a terminal; below its figures an ablation says what it changes."""
    level = f'{100 * values["level"]:.0f} % interval'
    lines = [f'*** {stamp} ***' for stamp in values['stamps']]
    lines += [
        f'Under "{values["title"]}"; intervals over {values["unit"]}.',
        chosen(values),
        '',
        f'{"":<21}{"validation":>11}{"test":>7}{level:>14}{"difference":>11}{level:>15}',
    ]
    for row in values['ablations']:
        cells = (
            (SHARE, row['validation'], 7),
            (SHARE, row['accuracy'], 7),
            (INTERVAL, row['interval'], 14),
            (DIFFERENCE, row['difference'], 11),
            (DIFFERENCE_INTERVAL, row['difference_interval'], 15),
        )
        shown = [
            f'{"-" if value is None else show(kind, value):>{width}}'
            for kind, value, width in cells
        ]
        lines.append(f'{row["run"] or "-"}  {row["name"]:<21} {"".join(shown)}')
        lines += [f'   {said}' for said in (row['why'], row['changes'], row['refusal']) if said]
    return '\n'.join(lines)
