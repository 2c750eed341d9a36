"""results.json: the results of a run under each rule of choosing an epoch.

Every key of the file is a rule. Its value has the metrics (means over seeds), their intervals and
standard deviations, and the tables by seed, fold, class and subject.
"""

import textwrap
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic
from fer_jax.errors import UserError
from fer_jax.evaluation import bootstrap, calibration, metrics, rundir
from fer_jax.evaluation import predictions as predictions_file
from fer_jax.evaluation.predictions import (
    AGAIN,
    IN_TRAINING,
    NOT_DUPLICATE,
    VALIDATION,
    Predictions,
    Rows,
)
from fer_jax.evaluation.rules import RULES, choose, preferred

METRIC_TITLES = {
    'pooled_accuracy': 'Accuracy (WAR)',
    'subject_accuracy': 'Mean over subjects',
    'fold_accuracy': 'Mean over folds',
    'mean_class_accuracy': 'Mean over classes (UAR)',
    'macro_f1': 'Macro F1',
}

# Test clips of a member, of which one class for all says something.
_FEWEST_CLIPS = 8
_NAMED = 4


def write(run_dir: Path | str) -> dict[str, dict[str, Any]]:
    """Writes predictions.csv and results.json into a run's directory; returns the results.

    Reads probabilities.npz, dataset.json and folds.json there.

    Raises:
      UserError: a file is missing or damaged.
    """
    run_dir = Path(run_dir)
    table = predictions_file.load(run_dir / 'probabilities.npz')
    stamps = rundir.stamps(
        rundir.read_json(run_dir / 'dataset.json'),
        rundir.read_json(run_dir / 'folds.json'),
        table,
    )
    results = compute(table, stamps=stamps)
    predictions_file.write_csv(run_dir / 'predictions.csv', table, choose(table))
    atomic.write_json(run_dir / 'results.json', results)
    return results


def read(run_dir: Path) -> dict[str, dict[str, Any]]:
    """Reads results.json of a run's directory; UserError where it holds something else."""
    path = run_dir / 'results.json'
    found = rundir.read_json(path)
    if not any(isinstance(own, dict) and own.get('headline') for own in found.values()):
        raise UserError(f'{path} holds no results: {AGAIN}')
    return found


def compute(
    predictions: Predictions,
    *,
    stamps: Sequence[str] = (),
    chosen: Mapping[str, np.ndarray] | None = None,
    draws: int = bootstrap.DRAWS,
    seed: int = bootstrap.SEED,
) -> dict[str, dict[str, Any]]:
    """Computes the content of results.json: {rule: values}, all plain Python.

    Values of a rule (shares in 0..1; None where there is no number):
      title, optimistic, headline, epochs (of each member, from 1; 0: left out), stamps;
      pooled_accuracy, subject_accuracy (mean of the subjects' accuracies; None where subjects are
        unknown), fold_accuracy (mean of the folds'), mean_class_accuracy, macro_f1,
        majority_accuracy: means over seeds;
      n: predictions counted in the first seed, where each test clip counts once, or once for each
        repeat of a random split ('repeated' says so), and not where its member diverged; clips,
        subjects: how many different ones;
      intervals {metric: [low, high]}, None of fewer than bootstrap.FEWEST_UNITS units; interval
        {level, draws, unit, seed}: how they were made;
      standard_deviation {metric: over seeds}, None with one seed; seeds: each seed's metrics;
      optimism: pooled accuracy minus that of the headline rule, of the same networks
        (`same_networks`), for optimistic rules, and
        optimism_interval [low, high]: both rules in the same draws, at their own epochs;
      folds, classes, per_subject: tables; confusion: counts [K, K] over all seeds;
      collapsed [{fold, seed, class, n}]: members that name one class for every test clip;
      duplicates: accuracy with and without test clips identical to others; None without any;
      calibration: `calibration.summary`, its temperature fitted on the validation clips at the
        rule's epochs (under 'nested' at those of 'val_best').

    Args:
      stamps: warnings that go with every number, such as 'SIMULATED FACES'.
      chosen: the epochs of some rules (`rules.choose`); None for those of all.

    Raises:
      UserError: where a member has no test clips or no numbers.
    """
    chosen = choose(predictions) if chosen is None else chosen
    headline = preferred(chosen)
    results: dict[str, dict[str, Any]] = {}
    drawn = {}
    for rule in chosen:
        rows = predictions.at(chosen[rule])
        counts = bootstrap.count(rows, predictions)
        drawn[rule] = counts.drawn(draws, seed)
        estimates, intervals = counts.estimates(), bootstrap.intervals(drawn[rule])
        results[rule] = {
            'title': RULES[rule].title,
            'optimistic': RULES[rule].optimistic,
            'headline': rule == headline,
            'stamps': list(stamps),
            'epochs': (chosen[rule] + 1).tolist(),
            **_metrics(rows, predictions, estimates),
            'intervals': {
                name: _numbers(intervals[name]) if name in intervals else None
                for name in bootstrap.METRICS
            },
            'interval': {
                'level': bootstrap.LEVEL,
                'draws': draws,
                'unit': counts.unit,
                'seed': seed,
            },
            **_seeds(rows, predictions, estimates, counts),
            'folds': _folds(rows, predictions, chosen[rule]),
            'classes': _classes(rows, predictions, counts, intervals),
            'per_subject': _subjects(rows, predictions) if counts.unit == 'subjects' else [],
            'collapsed': _collapsed(rows, predictions),
            'confusion': counts.confusion.sum((0, 1)).astype(int).tolist(),
        }
        results[rule]['duplicates'] = _duplicates(rows, predictions, results[rule], draws, seed)
        epoch = calibrated_at(rule, chosen)
        fitted = calibration.temperature_of(predictions, epoch, averaged=False)
        results[rule]['calibration'] = calibration.summary(rows, predictions, fitted)
    for rule, values in results.items():
        values['optimism'] = values['optimism_interval'] = None
        if values['optimistic']:
            honest = same_networks(headline, chosen)
            less = results[honest]['pooled_accuracy']
            values['optimism'] = values['pooled_accuracy'] - less
            if drawn[rule]:
                more = drawn[rule]['pooled_accuracy'] - drawn[honest]['pooled_accuracy']
                values['optimism_interval'] = _numbers(bootstrap.interval(more))
    return results


def calibrated_at(rule: str, chosen: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the epochs whose validation clips a rule's temperature is fitted on.

    A member that was trained again has seen them: those that chose its epochs have not.
    """
    return chosen[same_networks(rule, chosen)]


def same_networks(rule: str, rules: Container[str]) -> str:
    """Names the rule of the networks that chose a rule's epochs: of 'nested', 'val_best'."""
    return 'val_best' if rule == 'nested' and 'val_best' in rules else rule


def headline(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the name of the rule whose numbers a reader should take away."""
    return next(rule for rule, values in results.items() if values['headline'])


def _number(value: float | np.floating) -> float | None:
    return None if np.isnan(value) else float(value)


def _numbers(values: np.ndarray) -> list[float | None]:
    return [_number(value) for value in values]


def _majority_correct(rows: Rows, predictions: Predictions) -> np.ndarray:
    """Marks rows that the commonest training class of their own member gets right, bool [R]."""
    return metrics.majority_predictions(predictions.train_counts)[rows.member] == rows.label


def _metrics(rows: Rows, predictions: Predictions, estimates: Mapping) -> dict[str, Any]:
    clips = len(np.unique(rows.clip))
    subjects = np.unique(predictions.subject[rows.clip])
    per_seed = [rows.where(rows.seed == seed) for seed in np.unique(rows.seed)]
    majority = np.mean([_majority_correct(mine, predictions).mean() for mine in per_seed])
    return {
        **{
            name: _number(np.mean(estimates[name])) if name in estimates else None
            for name in bootstrap.METRICS
        },
        'majority_accuracy': float(majority),
        'n': len(per_seed[0].clip),
        'clips': clips,
        'subjects': len(subjects) if (subjects != '').all() else None,
        'repeated': any(len(np.unique(mine.clip)) < len(mine.clip) for mine in per_seed),
    }


def _seeds(rows: Rows, predictions: Predictions, estimates: Mapping, counts) -> dict[str, Any]:
    table = []
    for index, seed in enumerate(counts.seeds.tolist()):
        mine = rows.where(rows.seed == seed)
        table.append(
            {
                'seed': seed,
                'n': len(mine.clip),
                **{
                    name: _number(estimates[name][index]) if name in estimates else None
                    for name in bootstrap.METRICS
                },
                'majority_accuracy': float(_majority_correct(mine, predictions).mean()),
            }
        )
    spread = None
    if len(table) > 1:
        spread = {
            name: _number(np.std(estimates[name], ddof=1)) if name in estimates else None
            for name in bootstrap.METRICS
        }
    return {'seeds': table, 'standard_deviation': spread}


def _folds(rows: Rows, predictions: Predictions, epoch: np.ndarray) -> list[dict[str, Any]]:
    """Lists for each member that the rule counts its fold, seed, epoch (from 1) and accuracies."""
    correct = rows.predicted == rows.label
    majority = _majority_correct(rows, predictions)
    validation = {}
    if (predictions.part == VALIDATION).any():
        chosen = predictions.at(epoch, VALIDATION)
        members, accuracies, _ = metrics.group_accuracies(
            chosen.predicted == chosen.label, chosen.member
        )
        validation = dict(zip(members.tolist(), accuracies.tolist(), strict=True))
    table = []
    for member in np.flatnonzero(epoch >= 0).tolist():
        mine = rows.member == member
        if not mine.any():  # of a choice of clips, which has none of this fold's
            continue
        table.append(
            {
                'member': member,
                'fold': int(predictions.fold[member]),
                'seed': int(predictions.seed[member]),
                'epoch': int(epoch[member]) + 1,
                'n': int(mine.sum()),
                'accuracy': float(correct[mine].mean()),
                'validation_accuracy': validation.get(member),
                'majority_accuracy': float(majority[mine].mean()),
            }
        )
    return table


def _collapsed(rows: Rows, predictions: Predictions) -> list[dict[str, Any]]:
    """Lists members that name one class for all of their test clips, which are of several."""
    found = []
    for member in np.unique(rows.member).tolist():
        mine = rows.where(rows.member == member)
        said = np.unique(mine.predicted)
        if len(said) == 1 < len(np.unique(mine.label)) and len(mine.clip) >= _FEWEST_CLIPS:
            found.append(
                {
                    'fold': int(predictions.fold[member]),
                    'seed': int(predictions.seed[member]),
                    'class': predictions.classes[int(said[0])],
                    'n': len(mine.clip),
                }
            )
    return found


def collapse(values: Mapping[str, Any]) -> str:
    """Says in a sentence which members of a rule name one class for every test clip; '' for none.

    Args:
      values: of the rule, as `compute` gives them.
    """
    found = values.get('collapsed', ())  # results of older versions have none
    if not found:
        return ''
    named = [f'fold {own["fold"]} seed {own["seed"]}: {own["class"]}' for own in found[:_NAMED]]
    named += ['...'] * (len(found) > _NAMED)
    return (
        f'Collapsed: {len(found)} of {len(values["folds"])} networks name one class for every test '
        f'clip ({"; ".join(named)}). They have learned nothing that tells clips apart: try a lower '
        'learning rate, or look at the curves.'
    )


def _classes(rows: Rows, predictions: Predictions, counts, intervals) -> list[dict[str, Any]]:
    """Lists each class's metrics, counted over all seeds, in the order of the run's classes."""
    confusion = counts.confusion.sum((0, 1))
    columns = (metrics.recall(confusion), metrics.precision(confusion), metrics.f1(confusion))
    table = []
    for index, name in enumerate(predictions.classes):
        recall, precision, f1 = (_number(column[index]) for column in columns)
        interval = None
        if 'recall' in intervals and recall is not None:
            interval = _numbers(intervals['recall'][:, index])
        table.append(
            {
                'class': name,
                'n': int(confusion[index].sum()),
                'recall': recall,
                'recall_interval': interval,
                'precision': precision,
                'f1': f1,
            }
        )
    return table


def _subjects(rows: Rows, predictions: Predictions) -> list[dict[str, Any]]:
    """Lists each subject's accuracy over all seeds."""
    subjects, accuracies, counts = metrics.group_accuracies(
        rows.predicted == rows.label, predictions.subject[rows.clip]
    )
    return [
        {'subject': str(subject), 'n': int(n), 'accuracy': float(accuracy)}
        for subject, accuracy, n in zip(subjects, accuracies, counts, strict=True)
    ]


def _duplicates(
    rows: Rows, predictions: Predictions, all_clips: Mapping[str, Any], draws: int, seed: int
) -> dict[str, dict[str, Any]] | None:
    """Computes accuracy on all test clips and on those without an identical twin elsewhere.

    n and removed count predictions of the first seed, as a run's 'n' does.
    """
    if (rows.duplicate == NOT_DUPLICATE).all():
        return None
    first_seed = rows.seed == rows.seed.min()
    table = {
        'all': {
            'n': int(first_seed.sum()), 'removed': 0,
            'pooled_accuracy': all_clips['pooled_accuracy'],
            'interval': all_clips['intervals']['pooled_accuracy'],
        }
    }  # fmt: skip
    for name, keep in (
        ('without_training', rows.duplicate != IN_TRAINING),
        ('without_training_or_validation', rows.duplicate == NOT_DUPLICATE),
    ):
        kept = rows.where(keep)
        entry: dict[str, Any] = {
            'n': int((keep & first_seed).sum()),
            'removed': int((~keep & first_seed).sum()),
            'pooled_accuracy': None,
            'interval': None,
        }
        if len(kept.clip):
            counts = bootstrap.count(kept, predictions)
            intervals = counts.intervals(draws, seed=seed)
            entry['pooled_accuracy'] = _number(np.nanmean(counts.estimates()['pooled_accuracy']))
            entry['interval'] = _numbers(intervals['pooled_accuracy']) if intervals else None
        table[name] = entry
    return table


def summary_text(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Formats the results for a terminal, at most 79 columns."""
    best = results[headline(results)]
    lines = [f'*** {stamp} ***' for stamp in best['stamps']]
    people = '' if best['subjects'] is None else f' of {best["subjects"]} subjects'
    repeats = ', counted once in each repeat' if best['repeated'] else ''
    seeds = f', {len(best["seeds"])} seeds' if len(best['seeds']) > 1 else ''
    lines.append(f'{best["clips"]} test clips{people}{repeats}{seeds}')
    lines.append('')
    lines.append(f'{"":<30}{"accuracy":>9}{_percent_interval_title(best):>17}{"macro F1":>11}')
    for values in results.values():
        mark = ' (optimistic)' if values['optimistic'] else ''
        interval = values['intervals']['pooled_accuracy']
        shown = '' if interval is None else f'{100 * interval[0]:.1f} - {100 * interval[1]:.1f}'
        lines.append(
            f'{values["title"]:<30}{100 * values["pooled_accuracy"]:>8.2f}%{shown:>17}'
            f'{100 * values["macro_f1"]:>10.2f}%{mark}'
        )
    if best['intervals']['pooled_accuracy'] is None:
        lines.append(few_units(best))
    lines.append(f'{"Majority class of training":<30}{100 * best["majority_accuracy"]:>8.2f}%')
    lines += textwrap.wrap(collapse(best), 79)
    for values in results.values():
        if values['optimism'] is not None:
            ends = values.get('optimism_interval')  # results of older versions have none
            shown = '' if ends is None else f'{100 * ends[0]:+.1f} to {100 * ends[1]:+.1f}'
            title = f'Optimism of “{values["title"]}”'
            lines.append(f'{title:<44}{100 * values["optimism"]:>+7.2f}{shown:>18} points')
    lines.append('')
    lines.append(f'{best["title"]}, in full:')
    for name, title in METRIC_TITLES.items():
        if best[name] is not None:
            spread = best['standard_deviation']
            shown = '' if spread is None else f'  (s.d. over seeds {100 * spread[name]:.2f})'
            lines.append(f'  {title:<28}{100 * best[name]:>8.2f}%{shown}')
    if 'calibration' in best:  # results of older versions have none
        lines += calibration_lines(best['calibration'])
    if best['duplicates'] is not None:
        for name, title in DUPLICATE_TITLES.items():
            entry = best['duplicates'][name]
            if name != 'all' and entry['pooled_accuracy'] is not None:
                lines.append(
                    f'  {title:<42}{100 * entry["pooled_accuracy"]:>8.2f}%'
                    f'  ({entry["removed"]} removed)'
                )
    return '\n'.join(lines)


def calibration_lines(found: Mapping[str, Any]) -> list[str]:
    """Formats calibration errors and likelihoods for a terminal."""
    titles = {'raw': 'Calibration error'}
    if found['scaled']:
        titles['scaled'] = f'Calibration error at T {found["temperature"]:.2f}'
    return [
        f'  {title:<28}{100 * found[name]["error"]:>8.2f}%'
        f'  (negative log-likelihood {found[name]["loss"]:.3f})'
        for name, title in titles.items()
    ]


def few_units(values: Mapping[str, Any]) -> str:
    """Says why a rule has no interval, and the accuracy of each subject where they are known."""
    said = f'No interval: fewer than {bootstrap.FEWEST_UNITS} {values["interval"]["unit"]}'
    each = [f'{row["subject"]} {100 * row["accuracy"]:.1f} %' for row in values['per_subject']]
    return f'{said}: {", ".join(each)}' if each else f'{said}.'


DUPLICATE_TITLES = {
    'all': 'All test clips',
    'without_training': 'Without copies in training',
    'without_training_or_validation': 'Without copies in training or validation',
}


def _percent_interval_title(values: Mapping[str, Any]) -> str:
    return f'{100 * values["interval"]["level"]:.0f} % interval'
