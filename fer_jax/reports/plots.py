"""The figures of a run's report, each a `Drawing` with the numbers that it shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_jax.evaluation import calibration
from fer_jax.evaluation.predictions import Rows
from fer_jax.evaluation.rundir import PARTS
from fer_jax.evaluation.table import Table, csv_text
from fer_jax.reports.figures import COLOURS, SERIES, Drawing, draw

PANEL = (4.1, 3.1)  # inches

PART_COLOURS = {'train': 'stone', 'validation': 'blue', 'test': 'vermillion'}
PART_TITLES = {'train': 'training', 'validation': 'validation', 'test': 'test'}

# More lines or folds than this are a smear: the quartiles of the members say more.
MOST_LINES = 30

# From this share on, white reads better than ink on the matrix's cells.
WHITE_FROM = 0.7


def rules(results: Mapping[str, Mapping[str, Any]], stamps: Sequence[str], csv: str) -> Drawing:
    """Draws accuracy and interval under each rule; hollow where the rule saw the test."""
    majority = next(iter(results.values()))['majority_accuracy']

    def paint(figure) -> None:
        axes = figure.subplots()
        for row, values in enumerate(results.values()):
            colour = COLOURS['vermillion' if values['optimistic'] else 'blue']
            accuracy = 100 * values['pooled_accuracy']
            interval = values['intervals']['pooled_accuracy']
            if interval is not None:
                axes.plot([100 * end for end in interval], [row, row], color=colour, lw=2)
            fill = COLOURS['card'] if values['optimistic'] else colour
            axes.plot(accuracy, row, 'o', ms=7, color=colour, mfc=fill, mew=1.6)
            axes.annotate(
                f'{accuracy:.1f}', (accuracy, row), (0, 8), textcoords='offset points',
                ha='center', fontsize=8.5, color=COLOURS['ink'],
            )  # fmt: skip
        axes.axvline(100 * majority, color=COLOURS['muted'], lw=1, ls=(0, (4, 3)))
        axes.annotate(
            'majority class', (100 * majority, 1), (4, -2), xycoords=('data', 'axes fraction'),
            textcoords='offset points', va='top', fontsize=8, color=COLOURS['muted'],
        )  # fmt: skip
        titles = [v['title'].replace(' of each fold', '\nof each fold') for v in results.values()]
        axes.set_yticks(range(len(results)), titles, color=COLOURS['ink'])
        axes.set_ylim(len(results) - 0.5, -0.9)
        axes.xaxis.get_major_locator().set_params(nbins=7)
        axes.set_xlabel('test accuracy (%)')
        axes.grid(axis='y', visible=False)
        axes.spines['left'].set_visible(False)

    return Drawing(
        'rules',
        'Test accuracy with its interval under each rule of choosing an epoch',
        'Accuracy and interval under each rule of choosing an epoch. Hollow: chosen on the test '
        'clips, optimistic.',
        draw(paint, size=(4.1, 2.5), stamps=stamps),
        csv,
    )


# What the lines of the losses are, which may lie far apart for that alone.
TWO_LOSSES = (
    ' Training: what is minimised (with its targets, weights and penalties, on the views that the '
    'network learned from); validation and test: cross-entropy of the labels, in nats.'
)


def curves(
    curves: Mapping[str, np.ndarray],
    what: str,
    fold: np.ndarray,
    seed: np.ndarray,
    chosen: Sequence[int],
    stamps: Sequence[str],
) -> Drawing:
    """Draws learning curves of 'loss' or 'accuracy': members thin, their mean bold.

    Args:
      fold, seed: each member's.
      chosen: the epochs of the headline rule, from 1, ticked on the axis.
    """
    scale = 100.0 if what == 'accuracy' else 1.0
    shown = {part: scale * curves[f'{part}_{what}'] for part in PARTS}
    shown = {part: value for part, value in shown.items() if not np.isnan(value).all()}

    def paint(figure) -> None:
        axes = figure.subplots()
        for part, values in shown.items():
            colour = COLOURS[PART_COLOURS[part]]
            held = _hold_last(values)
            epochs = np.arange(1, held.shape[1] + 1)
            some = ~np.isnan(held).all(axis=0)
            if len(held) > MOST_LINES:
                low, high = np.nanpercentile(held[:, some], [25, 75], axis=0)
                axes.fill_between(epochs[some], low, high, color=colour, alpha=0.18, lw=0)
            elif len(held) > 1:
                for line in values:
                    axes.plot(epochs, line, color=colour, lw=0.7, alpha=0.35)
            mean = np.nanmean(held[:, some], axis=0)
            axes.plot(epochs[some], mean, color=colour, lw=2.2, label=PART_TITLES[part],
                      marker='o' if some.sum() == 1 else None)  # fmt: skip
        axes.plot(
            chosen, np.full(len(chosen), 0.03), '|', ms=9, mew=1.2, color=COLOURS['ink'],
            transform=axes.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.margins(x=0.02)
        axes.set_xlabel('epoch')
        axes.set_ylabel('accuracy (%)' if what == 'accuracy' else 'loss')
        _legend_above(axes)

    members, epochs = next(iter(curves.values())).shape
    member, epoch = np.divmod(np.arange(members * epochs), epochs)
    header = ['member', 'fold', 'seed', 'epoch', *(f'{part}_{what}' for part in shown)]
    columns = [
        member,
        fold[member],
        seed[member],
        epoch + 1,
        *(curves[f'{part}_{what}'].ravel() for part in shown),
    ]
    lines = f'band: the middle half of {members} members'
    if members <= MOST_LINES:
        lines = 'thin: each member' if members > 1 else 'one member'
    return Drawing(
        f'{what}_curves',
        f'{what.capitalize()} of {" and ".join(PART_TITLES[p] for p in shown)} after each epoch',
        f'{what.capitalize()} after each epoch; {lines}; bold: their mean. '
        f'Ticks on the axis mark the chosen epochs.{TWO_LOSSES * (what == "loss")}',
        draw(paint, size=PANEL, stamps=stamps),
        csv_text(header, columns, stamps),
    )


def _seeds(count: int) -> str:
    return f', {count} seeds together' if count > 1 else ''


def _legend_above(axes) -> None:
    axes.legend(loc='lower left', bbox_to_anchor=(-0.02, 1.01), borderaxespad=0, ncols=3)


def _hold_last(values: np.ndarray) -> np.ndarray:
    """Repeats each member's last value to the end of [M,E], so that means are over all members."""
    held = values.copy()
    for line in held:
        seen = np.flatnonzero(~np.isnan(line))
        if len(seen):
            line[seen[-1] :] = line[seen[-1]]
    return held


def confusion(
    counts: np.ndarray, classes: Sequence[str], seeds: int, stamps: Sequence[str], csv: str
) -> Drawing:
    """Draws the confusion matrix: share of each true class, with counts.

    Args:
      counts: [K,K], true then predicted, over all seeds.
    """
    counts = np.asarray(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(classes)

    def paint(figure) -> None:
        from matplotlib.patches import Rectangle

        axes = figure.subplots()
        for true in range(size):
            for predicted in range(size):
                part = share[true, predicted]
                # An opacity of one hue is a ramp on white and on black alike.
                axes.add_patch(
                    Rectangle((predicted - 0.48, true - 0.48), 0.96, 0.96, lw=0,
                              facecolor=COLOURS['fill'], alpha=0.05 + 0.95 * part)
                )  # fmt: skip
                if counts[true, predicted] == 0:
                    continue
                colour = COLOURS['on-fill' if part > WHITE_FROM else 'ink']
                weight = 'bold' if true == predicted else 'normal'
                axes.text(predicted, true - 0.1, f'{counts[true, predicted]}', ha='center',
                          va='center', fontsize=9.5, color=colour, weight=weight)  # fmt: skip
                axes.text(predicted, true + 0.25, f'{100 * part:.0f} %', ha='center', va='center',
                          fontsize=7.5, color=colour)  # fmt: skip
        axes.set_xlim(-0.5, size - 0.5)
        axes.set_ylim(size - 0.5, -0.5)
        axes.set_aspect('equal')
        axes.set_xticks(range(size), classes, rotation=40, ha='right', rotation_mode='anchor')
        axes.set_yticks(range(size), classes)
        axes.tick_params(labelcolor=COLOURS['ink'], labelsize=9)
        axes.set_xlabel('predicted')
        axes.set_ylabel('true')
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)

    return Drawing(
        'confusion',
        'Confusion matrix: counts and row percentages of true against predicted class',
        f'Confusion matrix{_seeds(seeds)}: counts, and the share of each true class (rows add up '
        'to 100 %).',
        draw(paint, size=(4.3, 4.2), stamps=stamps),
        csv,
    )


def recalls(values: Mapping[str, Any], stamps: Sequence[str], csv: str) -> Drawing:
    """Draws the recall of each class with its interval, beside the mean over classes."""
    rows = values['classes']
    mean = 100 * values['mean_class_accuracy']

    def paint(figure) -> None:
        axes = figure.subplots()
        for index, row in enumerate(rows):
            if row['recall'] is None:
                continue
            ends = row['recall_interval']
            if ends is not None:
                axes.plot([100 * end for end in ends], [index, index], lw=2, color=COLOURS['blue'])
            axes.plot(100 * row['recall'], index, 'o', ms=7, mew=0, color=COLOURS['blue'])
        axes.axvline(mean, color=COLOURS['muted'], lw=1, ls=(0, (4, 3)), label=f'mean {mean:.1f}')
        names = [f'{row["class"]}  ({row["n"]})' for row in rows]
        axes.set_yticks(range(len(rows)), names, color=COLOURS['ink'])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(-2, 102)
        axes.grid(axis='y', visible=False)
        axes.spines['left'].set_visible(False)
        axes.set_xlabel('recall (%)')
        _legend_above(axes)

    return Drawing(
        'recalls',
        'Recall of each class with its interval',
        'Recall of each class with its interval, its number of test predictions, and the mean '
        f'over classes{_seeds(len(values["seeds"]))}.',
        draw(paint, size=(4.3, 4.2), stamps=stamps),
        csv,
    )


def folds(table: Table, values: Mapping[str, Any], stamps: Sequence[str]) -> Drawing:
    """Draws the test accuracy of each fold, beside its majority class and the mean over folds."""
    rows = table.rows
    numbers = [row['fold'] for row in rows]

    def paint(figure) -> None:
        axes = figure.subplots()
        mean = 100 * values['fold_accuracy']
        axes.plot(numbers, [100 * row['majority_accuracy'] for row in rows], '_', ms=9, mew=1.6,
                  color=COLOURS['muted'], label='majority class')  # fmt: skip
        axes.axhline(mean, color=COLOURS['blue'], lw=1, ls=(0, (4, 3)), label=f'mean {mean:.1f}')
        axes.plot(numbers, [100 * row['accuracy'] for row in rows], 'o', alpha=0.85,
                  ms=6, mew=0,
                  color=COLOURS['blue'], label='test')  # fmt: skip
        axes.set_ylim(-3, 103)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlim(min(numbers) - 0.6, max(numbers) + 0.6)
        axes.grid(axis='x', visible=False)
        axes.set_xlabel('fold')
        axes.set_ylabel('accuracy (%)')
        _legend_above(axes)

    return Drawing(
        'folds',
        'Test accuracy of each fold',
        'Test accuracy of each fold, the commonest class of its training, and the mean over folds.',
        draw(paint, size=PANEL, stamps=stamps),
        table.csv(stamps),
    )


def subjects(table: Table, values: Mapping[str, Any], stamps: Sequence[str]) -> Drawing:
    """Draws a histogram of the subjects' accuracies."""
    accuracy = 100 * np.array([row['accuracy'] for row in table.rows])

    def paint(figure) -> None:
        axes = figure.subplots()
        axes.hist(accuracy, bins=np.arange(0, 101, 10), color=COLOURS['blue'], rwidth=0.92, lw=0)
        mean = 100 * values['subject_accuracy']
        axes.axvline(mean, color=COLOURS['ink'], lw=1, ls=(0, (4, 3)), label=f'mean {mean:.1f}')
        axes.set_xlim(-1, 101)
        axes.set_xticks(range(0, 101, 20))
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis='x', visible=False)
        axes.set_xlabel('accuracy of a subject (%)')
        axes.set_ylabel('subjects')
        _legend_above(axes)

    return Drawing(
        'subjects',
        'How many subjects are recognised how well',
        f'Accuracies of the {len(accuracy)} subjects, in steps of ten points, and their mean.',
        draw(paint, size=PANEL, stamps=stamps),
        table.csv(stamps),
    )


def reliability(rows: Rows, temperature: float | None, stamps: Sequence[str]) -> Drawing:
    """Draws accuracy against the highest probability, as it is and at the temperature.

    Args:
      temperature: None where none was fitted.
    """
    shown = {'as they are': (rows.probabilities, 'stone')}
    if temperature is not None:
        at = calibration.scaled(rows.probabilities, temperature)
        shown[f'at temperature {temperature:.2f}'] = at, 'blue'
    found = {name: calibration.bins(p, rows.label) for name, (p, _) in shown.items()}

    def paint(figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 100], [0, 100], color=COLOURS['muted'], lw=0.8, ls=(0, (4, 3)))
        most = max(each['n'].max() for each in found.values())
        for name, each in found.items():
            some, colour = each['n'] > 0, COLOURS[shown[name][1]]
            x, y = 100 * each['confidence'][some], 100 * each['accuracy'][some]
            axes.plot(x, y, color=colour, lw=1.4, label=name)
            axes.scatter(x, y, s=8 + 60 * each['n'][some] / most, color=colour, lw=0)
        axes.set_xlim(-2, 102)
        axes.set_ylim(-2, 103)
        axes.set_xlabel('highest probability (%)')
        axes.set_ylabel('accuracy (%)')
        _legend_above(axes)

    keys = ('n', 'confidence', 'accuracy')
    columns = [[name for name in found for _ in range(calibration.BINS)]]
    columns += [np.concatenate([each[key] for each in found.values()]) for key in keys]
    return Drawing(
        'reliability',
        'Accuracy against the highest probability',
        f'Accuracy against the highest probability, in {calibration.BINS} bins of equal width; a '
        "point's size is its number of test clips. On the dashed line they would be equal.",
        draw(paint, size=PANEL, stamps=stamps),
        csv_text(['probabilities', *keys], columns, stamps),
    )


def selective(rows: Rows, temperature: float | None, stamps: Sequence[str]) -> Drawing:
    """Draws accuracy against the share of clips that are judged, the surest first."""
    probabilities = calibration.scaled(rows.probabilities, temperature or 1.0)
    share, accuracy = calibration.selective(probabilities, rows.label)
    # A few hundred points are the curve; of the first ones each clip is a jump.
    chosen = np.unique(np.linspace(0, len(share) - 1, 200).round().astype(int))
    chosen = chosen[share[chosen] >= min(0.05, share[-1])]

    def paint(figure) -> None:
        axes = figure.subplots()
        axes.plot(100 * share[chosen], 100 * accuracy[chosen], color=COLOURS['blue'])
        axes.set_xlim(-2, 102)
        axes.set_xlabel('share of clips that are kept, the surest first (%)')
        axes.set_ylabel('accuracy on them (%)')

    return Drawing(
        'selective',
        'Accuracy when only the surest clips are judged',
        'Accuracy when only the surest clips are judged, by their highest probability.',
        draw(paint, size=PANEL, stamps=stamps),
        csv_text(['kept', 'accuracy'], [share[chosen], accuracy[chosen]], stamps),
    )


def ranking(
    rows: Rows, classes: Sequence[str], stamps: Sequence[str]
) -> tuple[Drawing, Drawing, dict[str, tuple[float, float]]]:
    """Draws ROC and precision-recall curves, each class against the rest, over all test clips.

    Returns:
      The two drawings, and {class: (area under ROC, average precision)}, NaN for a class without
      positive or without negative clips.
    """
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

    roc, recalls, scores = {}, {}, {}
    for index, name in enumerate(classes):
        positive, score = rows.label == index, rows.probabilities[:, index]
        if positive.all() or not positive.any():
            scores[name] = (float('nan'), float('nan'))
            continue
        false, true, _ = roc_curve(positive, score)
        precision, recall, _ = precision_recall_curve(positive, score, drop_intermediate=True)
        # The last point of scikit-learn's, recall 0 at precision 1, is a convention, not a result.
        roc[name], recalls[name] = (false, true), (recall[:-1], precision[:-1])
        scores[name] = (float(auc(false, true)), float(average_precision_score(positive, score)))

    def panel(name, lines, which, labels, title, alt, caption) -> Drawing:
        def paint(figure) -> None:
            axes = figure.subplots()
            if name == 'roc':
                axes.plot([0, 1], [0, 1], color=COLOURS['muted'], lw=0.8, ls=(0, (4, 3)))
            for key, (x, y) in lines.items():
                series = list(classes).index(key)
                axes.plot(
                    x, y, lw=1.5, color=COLOURS[SERIES[series % len(SERIES)]],
                    ls='-' if series % 2 == 0 else (0, (5, 1.5)),
                    label=f'{key} {100 * scores[key][which]:.1f}',
                    drawstyle='default' if name == 'roc' else 'steps-post',
                )  # fmt: skip
            axes.set_xlim(-0.02, 1.02)
            axes.set_ylim(-0.02, 1.03)
            axes.set_xlabel(labels[0])
            axes.set_ylabel(labels[1])
            if not lines:
                axes.text(0.5, 0.5, 'all test clips are of one class', ha='center')
                return
            axes.legend(
                loc='upper left', bbox_to_anchor=(-0.04, -0.16), borderaxespad=0, ncols=2,
                title=title, alignment='left', columnspacing=1.4, title_fontsize=8.5,
            )  # fmt: skip

        of = [[key] * len(x) for key, (x, _) in lines.items()]
        columns = [
            [key for keys in of for key in keys],
            np.concatenate([[], *(x for x, _ in lines.values())]),
            np.concatenate([[], *(y for _, y in lines.values())]),
        ]
        header = ['class', *(label.replace(' ', '_') for label in labels)]
        return Drawing(
            name, alt, caption,
            draw(paint, size=(4.1, 4.3), stamps=stamps), csv_text(header, columns, stamps),
        )  # fmt: skip

    return (
        panel(
            'roc', roc, 0, ('false positive rate', 'true positive rate'), 'area under the curve, %',
            'ROC curve of each class against the rest',
            'Receiver operating characteristic, each class against the rest, from the test '
            'probabilities of all members together.',
        ),
        panel(
            'precision_recall', recalls, 1, ('recall', 'precision'), 'average precision, %',
            'Precision and recall of each class against the rest',
            'Precision against recall, each class against the rest, from the same probabilities.',
        ),
        scores,
    )  # fmt: skip
