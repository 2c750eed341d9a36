"""Tables and figures of the two fusions: weights, courses, subsets of models, silent models."""

from collections.abc import Mapping, Sequence

import numpy as np

from fer_jax.evaluation.table import COUNT, SHARE, Column, Table, csv_text
from fer_jax.kahou2015 import decision_fusion
from fer_jax.kahou2015.decision_fusion import Search
from fer_jax.reports.figures import COLOURS, Drawing, draw

WIDTH = 4.1  # inches
PARTS = {'train': ('stone', 'training'), 'validation': ('blue', 'judging clips')}

# From this weight on, white reads better than ink on a cell.
WHITE_FROM = 0.7


def weights(
    models: Sequence[str], classes: Sequence[str], weights: np.ndarray, stamps: Sequence[str]
) -> Drawing:
    """Draws the decision weights, a cell for each model and class.

    Args:
      weights: float [model, class], 0 to 1, of sum 1 in each class.
    """
    rows, columns = weights.shape

    def paint(figure) -> None:
        from matplotlib.patches import Rectangle

        axes = figure.subplots()
        for row, column in np.ndindex(rows, columns):
            value = weights[row, column]
            # An opacity of one hue is a ramp on white and on black alike.
            axes.add_patch(
                Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, lw=0, facecolor=COLOURS['fill'],
                          alpha=0.05 + 0.95 * value)
            )  # fmt: skip
            colour = COLOURS['on-fill' if value > WHITE_FROM else 'ink']
            axes.text(column, row, f'{100 * value:.0f}', ha='center', va='center', fontsize=8.5,
                      color=colour)  # fmt: skip
        axes.set_xlim(-0.5, columns - 0.5)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_xticks(range(columns), classes, rotation=40, ha='right', rotation_mode='anchor')
        axes.set_yticks(range(rows), models)
        axes.tick_params(labelcolor=COLOURS['ink'], labelsize=9)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)

    model, label = np.divmod(np.arange(rows * columns), columns)
    return Drawing(
        'decision_weights',
        'Weight of each model in each class',
        'Decision fusion: the weight of each model in each class, in per cent; a class adds up to '
        '100.',
        draw(paint, size=(WIDTH, 0.9 + 0.36 * rows), stamps=stamps),
        csv_text(
            ('model', 'class', 'weight'),
            [[models[m] for m in model], [classes[k] for k in label], weights.ravel()],
            stamps,
        ),
    )


def learning_curves(
    runs: Mapping[str, Mapping[str, np.ndarray]],
    chosen: Mapping[str, np.ndarray],
    stamps: Sequence[str],
) -> Drawing:
    """Draws the fusion network's accuracy by epoch, a panel for each run (kahou2015, figure 5).

    Args:
      runs: by title, the history of a `fusion_training.Fusion`.
      chosen: by the same titles, the epochs kept, int [seed] from 1.
    """

    def paint(figure) -> None:
        panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
        for axes, (title, history) in zip(panels, runs.items(), strict=True):
            for part, (hue, name) in PARTS.items():
                lines = 100 * history[f'{part}_accuracy']
                if np.isnan(lines).all():
                    continue
                epochs = np.arange(1, lines.shape[1] + 1)
                if len(lines) > 1:
                    axes.plot(epochs, lines.T, color=COLOURS[hue], lw=0.6, alpha=0.3)
                axes.plot(epochs, lines.mean(0), color=COLOURS[hue], lw=1.6, label=name)
            axes.plot(
                chosen[title], np.full(len(chosen[title]), 0.03), '|', ms=9, mew=1.2,
                color=COLOURS['ink'], transform=axes.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip
            axes.xaxis.get_major_locator().set_params(integer=True, nbins=4)
            axes.margins(x=0.02)
            axes.set_title(title)
            axes.set_xlabel('epoch')
        panels[0].set_ylabel('accuracy (%)')
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc='outside lower center', ncols=2)

    columns = {name: [] for name in ('run', 'seed', 'epoch', *(f'{p}_accuracy' for p in PARTS))}
    for title, history in runs.items():
        seeds, epochs = history['train_accuracy'].shape
        seed, epoch = np.divmod(np.arange(seeds * epochs), epochs)
        columns['run'] += [title] * len(seed)
        columns['seed'] += seed.tolist()
        columns['epoch'] += (epoch + 1).tolist()
        for part in PARTS:
            columns[f'{part}_accuracy'] += history[f'{part}_accuracy'].ravel().tolist()
    seeds = max(len(history['train_accuracy']) for history in runs.values())
    lines = '; thin: each seed, bold: their mean' if seeds > 1 else ''
    return Drawing(
        'fusion_curves',
        'Accuracy of the fusion network after each epoch',
        f'Fusion network: accuracy after each epoch{lines}. Ticks on the axis: the kept epochs.',
        draw(paint, size=(WIDTH, 2.9), stamps=stamps),
        csv_text(list(columns), list(columns.values()), stamps),
    )


def search_course(search: Search, stamps: Sequence[str]) -> Drawing:
    """Draws the accuracy of the best weights after each round of the search."""
    accuracy = search.correct / search.clips

    def paint(figure) -> None:
        axes = figure.subplots()
        axes.step(range(len(accuracy)), 100 * accuracy, where='post', color=COLOURS['blue'])
        axes.plot(0, 100 * accuracy[0], 'o', ms=5, mew=0, color=COLOURS['blue'])
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel('round of the local search (0: draws everywhere)')
        axes.set_ylabel('accuracy (%)')

    rounds = np.arange(len(accuracy))
    columns = [rounds, search.spread, search.correct, accuracy, search.improvements]
    return Drawing(
        'decision_search',
        'Accuracy of the best decision weights after each round of the search',
        f'Decision fusion: accuracy of the best weights after each round, on the {search.clips} '
        'clips that they are searched on. Optimistic: the weights are chosen by it.',
        draw(paint, size=(WIDTH, 2.5), stamps=stamps),
        csv_text(('round', 'spread', 'correct', 'accuracy', 'improvements'), columns, stamps),
    )


def _by_accuracy(searches: Mapping[tuple[int, ...], Search]) -> list[tuple[tuple[int, ...], float]]:
    """Sorts choices of models by accuracy, the best first; of equals the smaller choice."""
    found = [(choice, search.accuracy) for choice, search in searches.items()]
    return sorted(found, key=lambda item: (-item[1], len(item[0]), item[0]))


def subset_table(models: Sequence[str], searches: Mapping[tuple[int, ...], Search]) -> Table:
    """Lists every choice of models with the accuracy that searched weights reach.

    Args:
      searches: of `decision_fusion.search_subsets`.
    """
    rows = [
        {
            'models': ', '.join(models[model] for model in choice),
            'count': len(choice),
            'clips': searches[choice].clips,
            'accuracy': accuracy,
        }
        for choice, accuracy in _by_accuracy(searches)
    ]
    everyone = [index for index, row in enumerate(rows) if row['count'] == len(models)]
    return Table(
        'subsets',
        'Decision fusion of every choice of models: accuracy on the clips that the weights are '
        'searched on, which is optimistic, the more so the more models there are. In bold: all '
        'models.',
        (
            Column('models', 'Models'),
            Column('count', 'Number', COUNT),
            Column('clips', 'Clips', COUNT),
            Column('accuracy', 'Accuracy', SHARE),
        ),
        rows,
        frozenset(everyone),
    )


def subsets(
    models: Sequence[str], searches: Mapping[tuple[int, ...], Search], stamps: Sequence[str]
) -> Drawing:
    """Draws every choice of models, dots for those in it, and its accuracy, the best first."""
    rows = _by_accuracy(searches)

    def paint(figure) -> None:
        names, axes = figure.subplots(1, 2, sharey=True, width_ratios=(len(models), 10))
        for row, (choice, accuracy) in enumerate(rows):
            names.plot([choice[0], choice[-1]], [row, row], lw=1, color=COLOURS['blue'])
            absent = [model for model in range(len(models)) if model not in choice]
            names.plot(absent, [row] * len(absent), 'o', ms=3.5, mew=0, color=COLOURS['grid'])
            names.plot(choice, [row] * len(choice), 'o', ms=4.5, mew=0, color=COLOURS['blue'])
            axes.plot(100 * accuracy, row, 'o', ms=4.5, mew=0, color=COLOURS['blue'])
            axes.annotate(f'{100 * accuracy:.1f}', (100 * accuracy, row), (6, 0), va='center',
                          textcoords='offset points', fontsize=7.5)  # fmt: skip
        names.set_xticks(range(len(models)), models, rotation=90)
        names.xaxis.tick_top()
        names.tick_params(labelcolor=COLOURS['ink'])
        names.set_yticks([])
        names.set_xlim(-0.6, len(models) - 0.4)
        names.set_ylim(len(rows) - 0.5, -0.5)
        names.grid(visible=False)
        for spine in ('left', 'bottom'):
            names.spines[spine].set_visible(False)
        axes.spines['left'].set_visible(False)
        axes.grid(axis='y', visible=False)
        axes.margins(x=0.12)
        axes.set_xlabel('accuracy (%)')

    return Drawing(
        'subsets',
        'Accuracy of the decision fusion of every choice of models',
        'Decision fusion of every choice of models (dots), by accuracy on the clips that the '
        'weights are searched on.',
        draw(paint, size=(WIDTH, 1.4 + 0.17 * len(rows)), stamps=stamps),
        subset_table(models, searches).csv(stamps),
    )


def silent_table(
    models: Sequence[str], clip_id: Sequence[str] | np.ndarray, probabilities: np.ndarray
) -> Table | None:
    """Lists the clips that some model does not predict; None where every model predicts all.

    Args:
      probabilities: float [model, clip, class], NaN rows where a model is silent.
    """
    speaks = decision_fusion.spoken(probabilities)
    rows = [
        {
            'clip_id': str(clip_id[clip]),
            'silent': ', '.join(
                models[model] for model in np.flatnonzero(~speaks[:, clip]).tolist()
            ),
            'speaking': int(speaks[:, clip].sum()),
        }
        for clip in np.flatnonzero(~speaks.all(0)).tolist()
    ]
    if not rows:
        return None
    return Table(
        'silent',
        'Clips of which some model says nothing, for want of a face or of sound: the others share '
        'its weight.',
        (
            Column('clip_id', 'Clip'),
            Column('silent', 'Silent'),
            Column('speaking', 'Models that speak', COUNT),
        ),
        rows,
    )
