"""The tables of a report: each is drawn on the page and written as CSV from the same values."""

from collections.abc import Mapping, Sequence
from typing import Any

from fer_jax.evaluation.results import DUPLICATE_TITLES, METRIC_TITLES, headline, same_networks
from fer_jax.evaluation.rundir import Run
from fer_jax.evaluation.table import (
    COUNT,
    DIFFERENCE,
    DIFFERENCE_INTERVAL,
    INTERVAL,
    NUMBER,
    SHARE,
    Column,
    Table,
)


def rules(results: Mapping[str, Mapping[str, Any]]) -> Table:
    """Tabulates every rule of choosing an epoch, side by side."""
    rows = []
    for rule, values in results.items():
        rows.append(
            {
                'rule': rule,
                'title': values['title'],
                'optimistic': 'yes' if values['optimistic'] else 'no',
                'epochs': _epochs(values['epochs']),
                'interval': values['intervals']['pooled_accuracy'],
                **{name: values[name] for name in (*METRIC_TITLES, 'n')},
            }
        )
    metrics = [Column(name, title, SHARE) for name, title in METRIC_TITLES.items()]
    if all(row['subject_accuracy'] is None for row in rows):
        metrics = [column for column in metrics if column.key != 'subject_accuracy']
    level = f'{100 * results[headline(results)]["interval"]["level"]:.0f} % interval'
    return Table(
        'rules',
        'The same run under every rule of choosing an epoch. Rules that look at the test clips are '
        'optimistic.',
        (
            Column('rule', 'Rule', shown=False),
            Column('title', 'Rule'),
            Column('optimistic', 'Optimistic', shown=False),
            metrics[0],
            Column('interval', level, INTERVAL),
            *metrics[1:],
            Column('epochs', 'Epochs'),
            Column('n', 'Clips', COUNT),
        ),
        rows,
        frozenset(i for i, values in enumerate(results.values()) if values['headline']),
    )


def optimism(results: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """Tabulates what each rule that looks at the test clips adds; None where no rule does."""
    honest = results[same_networks(headline(results), results)]
    rows = [
        {**values, 'honest_accuracy': honest['pooled_accuracy']}
        for values in results.values()
        if values['optimistic']
    ]
    if not rows:
        return None
    return Table(
        'optimism',
        f'Optimism of choosing an epoch by the test clips: accuracy minus that of '
        f'“{honest["title"]}”, in points. The interval draws {honest["interval"]["unit"]}; the '
        'epochs stay as chosen, and both accuracies are of the same networks.',
        (
            Column('title', 'Rule'),
            Column('optimism', 'Optimism', DIFFERENCE),
            Column(
                'optimism_interval',
                f'{100 * honest["interval"]["level"]:.0f} % interval',
                DIFFERENCE_INTERVAL,
            ),
            Column('pooled_accuracy', 'Accuracy', SHARE),
            Column('honest_accuracy', honest['title'], SHARE),
        ),
        rows,
    )


def _epochs(epochs: Sequence[int]) -> str:
    chosen = [epoch for epoch in epochs if epoch]  # 0: the member is left out
    low, high = min(chosen), max(chosen)
    return str(low) if low == high else f'{low}–{high}'


def duplicates(values: Mapping[str, Any]) -> Table | None:
    """Tabulates accuracy with and without test clips pixel-identical to others."""
    if values['duplicates'] is None:
        return None
    rows = [
        {'clips_kept': DUPLICATE_TITLES[name], **entry}
        for name, entry in values['duplicates'].items()
    ]
    return Table(
        'duplicates',
        'Accuracy with and without the test clips that are pixel-identical to a training clip, or '
        'to a training or validation clip.',
        (
            Column('clips_kept', 'Test clips'),
            Column('n', 'Clips', COUNT),
            Column('removed', 'Removed', COUNT),
            Column('pooled_accuracy', 'Accuracy', SHARE),
            Column('interval', 'Interval', INTERVAL),
        ),
        rows,
    )


def seeds(values: Mapping[str, Any]) -> Table | None:
    """Tabulates each seed's metrics, with their mean and standard deviation; None with one seed."""
    if values['standard_deviation'] is None:
        return None
    rows: list[dict[str, Any]] = [{**row, 'seed': str(row['seed'])} for row in values['seeds']]
    rows.append({'seed': 'mean', **{key: values[key] for key in (*METRIC_TITLES, 'n')}})
    rows.append({'seed': 's.d.', **values['standard_deviation'], 'n': None})
    shown = [name for name in METRIC_TITLES if values[name] is not None]
    return Table(
        'seeds',
        'Each seed by itself, their mean and their standard deviation.',
        (
            Column('seed', 'Seed'),
            *(Column(name, METRIC_TITLES[name], SHARE) for name in shown),
            Column('n', 'Clips', COUNT),
        ),
        rows,
        frozenset({len(rows) - 2}),
    )


def folds(run: Run, values: Mapping[str, Any]) -> Table:
    """Tabulates for each member its fold's sizes, the chosen epoch and its accuracies."""
    rows = []
    for row in values['folds']:
        fold = run.folds['folds'][row['fold']]
        sizes = {f'{part}_clips': len(fold[part]) for part in ('validation', 'test')}
        # A member that was trained again has the fold's validation clips among its own.
        sizes['train_clips'] = int(run.predictions.train_counts[row['member']].sum())
        rows.append({**row, **sizes})
    several = len({row['seed'] for row in rows}) > 1
    validated = any(row['validation_accuracy'] is not None for row in rows)
    columns = [
        Column('member', 'Member', COUNT, shown=False),
        Column('fold', 'Fold', COUNT),
        *([Column('seed', 'Seed', COUNT)] * several),
        Column('train_clips', 'Training clips', COUNT),
        *([Column('validation_clips', 'Validation clips', COUNT)] * validated),
        Column('test_clips', 'Test clips', COUNT),
        Column('epoch', 'Epoch', COUNT),
        *([Column('validation_accuracy', 'Validation accuracy', SHARE)] * validated),
        Column('accuracy', 'Test accuracy', SHARE),
        Column('majority_accuracy', 'Majority class', SHARE),
    ]
    caption = f'Every fold under “{values["title"]}”, beside the commonest class of its training.'
    return Table('folds', caption, tuple(columns), rows)


def classes(values: Mapping[str, Any], scores: Mapping[str, tuple[float, float]]) -> Table:
    """Tabulates for each class recall and interval, precision, F1 and areas under the curves.

    Args:
      scores: {class: (area under ROC, average precision)}, NaN where undefined.
    """
    rows = [
        {**row, 'roc_area': scores[row['class']][0], 'average_precision': scores[row['class']][1]}
        for row in values['classes']
    ]
    return Table(
        'classes',
        'Each class against the rest. Recall is the class’s own accuracy.',
        (
            Column('class', 'Class'),
            Column('n', 'Predictions', COUNT),
            Column('recall', 'Recall', SHARE),
            Column('recall_interval', 'Interval of recall', INTERVAL),
            Column('precision', 'Precision', SHARE),
            Column('f1', 'F1', SHARE),
            Column('roc_area', 'Area under ROC', SHARE),
            Column('average_precision', 'Average precision', SHARE),
        ),
        rows,
    )


def calibration(values: Mapping[str, Any]) -> Table:
    """Tabulates how well probabilities are calibrated, as they are and at the temperature."""
    found = values['calibration']
    rows = []
    for name, title in (('raw', 'As they are'), ('scaled', 'At the temperature')):
        if found[name]:
            temperature = 1.0 if name == 'raw' else found['temperature']
            rows.append({'probabilities': title, 'temperature': temperature, **found[name]})
    columns = [
        Column('probabilities', 'Probabilities'),
        Column('temperature', 'Temperature', NUMBER),
        Column('error', 'Expected calibration error', SHARE),
        Column('confidence', 'Mean highest probability', SHARE),
        Column('loss', 'Negative log-likelihood of labels', NUMBER),
    ]
    if found['raw']['votes_loss'] is not None:
        columns.append(Column('votes_loss', "Of the raters' votes", NUMBER))
    caption = 'Calibration on the test clips; negative log-likelihoods in nats. '
    if found['temperature'] is None:
        caption += 'There are no validation clips to fit a temperature on.'
    elif found['validation_clips']:
        caption += f'The temperature was fitted on {found["validation_clips"]:,} validation clips.'
    return Table('calibration', caption, tuple(columns), rows)


def subjects(values: Mapping[str, Any]) -> Table | None:
    """Tabulates each subject's accuracy; None where subjects are unknown."""
    if not values['per_subject']:
        return None
    return Table(
        'subjects',
        'Every subject by itself, all seeds together.',
        (
            Column('subject', 'Subject'),
            Column('n', 'Test clips', COUNT),
            Column('accuracy', 'Accuracy', SHARE),
        ),
        values['per_subject'],
    )


def confusion(values: Mapping[str, Any]) -> Table:
    """Tabulates counts by true and predicted class, for the CSV beside the drawn matrix."""
    names = [row['class'] for row in values['classes']]
    keys = [f'predicted {name}' for name in names]
    rows = [
        {'true': name, **dict(zip(keys, counts, strict=True))}
        for name, counts in zip(names, values['confusion'], strict=True)
    ]
    columns = [Column(key, name, COUNT) for key, name in zip(keys, names, strict=True)]
    return Table(
        'confusion', 'Counts, all seeds together.', (Column('true', 'True'), *columns), rows
    )


def dropped(run: Run) -> Table | None:
    """Tabulates clips that the loading left out, and why; None where none was."""
    if not run.dataset['dropped']:
        return None
    return Table(
        'dropped',
        'Clips that are in the release and not in the run.',
        (Column('clip_id', 'Clip'), Column('reason', 'Why')),
        run.dataset['dropped'],
    )
