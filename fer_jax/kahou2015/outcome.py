"""The joint outcome of a run's stages: accuracies of models and submissions, with intervals."""

import csv
import dataclasses
import functools
import io
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.data.protocols import PARTS
from fer_jax.evaluation import bootstrap, metrics, rundir
from fer_jax.kahou2015.decision_fusion import Search, right
from fer_jax.kahou2015.partitions import ClipTable, training_of
from fer_jax.kahou2015.submissions import SUBMISSIONS, TEST, TRAIN, VALIDATION, Entry

# Stage -> the model's name for people, in the order of Table 1; fusion is fused last.
MODELS = {
    'activity': 'Activity',
    'audio': 'Audio',
    'aggregated': 'Aggregated CNN',
    'rnn': 'RNN',
    'fusion': 'Fusion network',
}
# The submission whose models stand in Table 1: trained on the training part, stable fusion.
SHOWN = 2

Arrays = dict[str, np.ndarray]
OPTIMISTIC = (
    'As in the paper the validation part chose the epochs of RNN and fusion network and the '
    'decision weights: accuracies on it are optimistic.'
)
SEARCHED = (
    'On the clips that its models were trained on, or its weights searched on, an accuracy is '
    'optimistic'
)


def place(folder: Path, name: str) -> Path:
    """Returns the path of a stage's arrays."""
    return folder / 'stages' / f'{name}.npz'


def read(folder: Path, name: str) -> Arrays:
    """Reads a stage's arrays.

    Raises:
      UserError: missing or damaged.
    """
    return rundir.read_arrays(place(folder, name))


def of_table(table: ClipTable) -> Arrays:
    """Turns the clips into a stage's arrays."""
    return {
        'clip_id': table.clip_id,
        'split': table.split,
        'label': table.label,
        'truth': table.truth,
        'classes': np.array(table.classes),
        'simulated': np.array(table.simulated),
    }


def of_entry(entry: Entry) -> Arrays:
    """Turns a submission into a stage's arrays."""
    found: Arrays = {'weights': entry.weights, 'probabilities': entry.probabilities}
    found |= {f'epochs-{name}': kept for name, kept in entry.epochs.items()}
    if entry.search:
        found |= {name: getattr(entry.search, name) for name in ('spread', 'correct')}
        found['improvements'] = entry.search.improvements
        found['clips'] = np.array(entry.search.clips)
    return found


def entry(number: int, arrays: Arrays) -> Entry:
    """Restores a submission from its stage's arrays."""
    epochs = {
        name.removeprefix('epochs-'): kept
        for name, kept in arrays.items()
        if name.startswith('epochs-')
    }
    search = None
    if 'spread' in arrays:
        course = (arrays[name] for name in ('spread', 'correct', 'improvements'))
        search = Search(arrays['weights'], int(arrays['clips']), *course)
    return Entry(SUBMISSIONS[number], arrays['weights'], arrays['probabilities'], epochs, search)


def of_searches(searches: Mapping[tuple[int, ...], Search]) -> Arrays:
    """Searches of choices of models as a stage's arrays; weights are NaN of models left out."""
    chosen = np.zeros((len(searches), len(MODELS)), bool)
    for row, choice in zip(chosen, searches, strict=True):
        row[list(choice)] = True
    found = list(searches.values())
    weights = np.full((*chosen.shape, found[0].weights.shape[1]), np.nan)
    for row, own, search in zip(weights, chosen, found, strict=True):
        row[own] = search.weights
    return {
        'chosen': chosen,
        'weights': weights,
        'clips': np.array(found[0].clips),
        'spread': found[0].spread,
        'correct': np.stack([search.correct for search in found]),
        'improvements': np.stack([search.improvements for search in found]),
    }


def searches(arrays: Arrays) -> dict[tuple[int, ...], Search]:
    """Restores the searches that `of_searches` was given."""
    found = {}
    for index, own in enumerate(arrays['chosen']):
        found[tuple(np.flatnonzero(own).tolist())] = Search(
            arrays['weights'][index, own],
            int(arrays['clips']),
            arrays['spread'],
            arrays['correct'][index],
            arrays['improvements'][index],
        )
    return found


@dataclasses.dataclass(frozen=True)
class SystemOutcome:
    """All that a run has found.

    Attributes:
      table: the clips.
      models: the arrays of each of MODELS but the fusion network.
      fusions: of the fusion network of each submission.
      entries: the submissions.
      subsets: the search of every choice of models; None where it was not asked for.
    """

    table: ClipTable
    models: Mapping[str, Arrays]
    fusions: Mapping[int, Arrays]
    entries: Mapping[int, Entry]
    subsets: Mapping[tuple[int, ...], Search] | None

    def said(self, number: int) -> dict[str, np.ndarray]:
        """Returns each model's predictions {model: float [clip, class]}, NaN where silent."""
        at = training_of(number)
        said = {name: own['probabilities'][at] for name, own in self.models.items()}
        return said | {'fusion': self.fusions[number]['probabilities']}

    @functools.cached_property
    def values(self) -> dict[str, Any]:
        """Returns what results.json holds.

        stamps; clips {part: n}; classes; majority {part: accuracy of naming the commonest training
        class}; models {name: {title, part: judged}} of submission 2, with frame averaging and the
        fusion network of submission 1; submissions {number: {method, part: judged, weights}}; fused
        {part: {model: {difference, interval}}}: submission 2 minus each of its models on the same
        clips, a silent one being wrong. `judged` is {accuracy, interval, n}, None where no clip of
        the part has a known label. A model is judged on the clips that it speaks of, a submission
        on all, where silence is an error.
        """
        table = self.table
        shown = self.said(SHOWN)
        listed = {
            'averaging': ('Frame averaging', self.models['aggregated']['averaging']),
            **{name: (title, shown[name]) for name, title in MODELS.items()},
            'fusion_stated': ('Fusion network as stated', self.fusions[1]['probabilities']),
        }
        commonest = np.bincount(table.label[table.part(TRAIN)]).argmax()
        return {
            'stamps': list(table.stamps),
            'clips': {part: len(table.part(part)) for part in PARTS},
            'classes': list(table.classes),
            'majority': {
                part: float((table.truth[own] == commonest).mean()) if len(own) else None
                for part in PARTS
                for own in [self._known(part)]
            },
            'models': {
                name: {'title': title, **{part: self._spoken(said, part) for part in PARTS}}
                for name, (title, said) in listed.items()
            },
            'submissions': {
                str(number): {
                    'method': entry.submission.method,
                    **{part: self._judged(entry, part) for part in PARTS},
                    'weights': entry.weights.tolist(),
                    'epochs': {name: kept.tolist() for name, kept in entry.epochs.items()},
                }
                for number, entry in self.entries.items()
            },
            'fused': {part: self._gains(shown, part) for part in (VALIDATION, TEST)},
        }

    def confusion(self, said: np.ndarray, part: str) -> np.ndarray:
        """Counts int [class, class], true then named, of a part's clips that a model judges."""
        own = self._known(part)
        own = own[np.isfinite(said[own]).all(-1)]
        size = len(self.table.classes)
        counts = metrics.confusion_matrix(self.table.truth[own], said[own].argmax(-1), size)
        return counts.astype(int)

    def _known(self, part: str) -> np.ndarray:
        """Selects the clips of a part whose label is known."""
        own = self.table.part(part)
        return own[self.table.truth[own] >= 0]

    def _spoken(self, said: np.ndarray, part: str) -> dict[str, Any] | None:
        own = self._known(part)
        own = own[np.isfinite(said[own]).all(-1)]
        return _judged(right(said[own], self.table.truth[own]))

    def _judged(self, entry: Entry, part: str) -> dict[str, Any] | None:
        """Skips, as the paper's table does, clips that models trained again have all seen."""
        own = self._known(part)
        if part != TEST and (entry.submission.keeps or entry.submission.combines):
            return None
        return _judged(right(entry.probabilities[own], self.table.truth[own]))

    def _gains(self, shown: Mapping[str, np.ndarray], part: str) -> dict[str, Any]:
        own = self._known(part)
        if len(own) < 2:
            return {}
        truth = self.table.truth[own]
        fused = right(self.entries[SHOWN].probabilities[own], truth).astype(float)
        found = {}
        for name, said in shown.items():
            more = fused - right(said[own], truth)
            found[name] = {'difference': float(more.mean()), 'interval': _interval(more)}
        return found


def _judged(correct: np.ndarray) -> dict[str, Any] | None:
    """Computes the accuracy of clips that are right or not, bool [clip]; None of none."""
    if not len(correct):
        return None
    return {'accuracy': float(correct.mean()), 'interval': _interval(correct), 'n': len(correct)}


def _interval(values: np.ndarray) -> list[float] | None:
    """Bootstraps the mean of a value [clip] over clips; None of a single one."""
    count = len(values)
    if count < 2:
        return None
    drawn = [weights @ values.astype(np.float32) for weights in bootstrap.resampled(count)]
    return bootstrap.interval(np.concatenate(drawn) / count).tolist()


def load(folder: Path) -> SystemOutcome:
    """Loads all stages of a run.

    Raises:
      UserError: one that is missing or damaged.
    """
    clips = read(folder, 'clips')
    table = ClipTable(
        **{name: clips[name] for name in ('clip_id', 'split', 'label', 'truth')},
        classes=tuple(clips['classes'].tolist()),
        simulated=bool(clips['simulated']),
    )
    single = [number for number, row in SUBMISSIONS.items() if not row.combines]
    return SystemOutcome(
        table,
        {name: read(folder, name) for name in MODELS if name != 'fusion'},
        {number: read(folder, f'fusion-{number}') for number in single},
        {number: entry(number, read(folder, f'submission-{number}')) for number in SUBMISSIONS},
        searches(read(folder, 'subsets')) if place(folder, 'subsets').exists() else None,
    )


def predictions_csv(found: SystemOutcome) -> str:
    """Lists every prediction: submission, model, part, clip, label, prediction, probabilities.

    A submission's own prediction has the model 'submission'. Clips that a model is silent of are
    left out; a label that is not known is empty.
    """
    table, text = found.table, io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    columns = ['submission', 'model', 'part', 'clip_id', 'label', 'predicted']
    writer.writerow([*columns, *(f'p_{name}' for name in table.classes)])
    for number, made in found.entries.items():
        said = {} if made.submission.combines else found.said(number)
        for model, probabilities in {**said, 'submission': made.probabilities}.items():
            for row in np.flatnonzero(np.isfinite(probabilities).all(-1)).tolist():
                label = table.truth[row]
                writer.writerow(
                    [
                        number, model, table.split[row], table.clip_id[row],
                        table.classes[label] if label >= 0 else '',
                        table.classes[probabilities[row].argmax()],
                        *(f'{value:.6g}' for value in probabilities[row]),
                    ]
                )  # fmt: skip
    return text.getvalue()


def text(values: Mapping[str, Any]) -> str:
    """Formats the results as plain text for a terminal."""
    lines = [*values['stamps'], f'{"":44}{"training":>10}{"validation":>24}{"test":>24}']
    named = {entry['title']: entry for entry in values['models'].values()}
    named |= {
        f'{number}: {entry["method"]}'[:43]: entry
        for number, entry in values['submissions'].items()
    }
    for title, entry in named.items():
        cells = [_cell(entry[part], with_interval=part != TRAIN) for part in PARTS]
        lines.append(f'{title:44}{cells[0]:>10}{cells[1]:>24}{cells[2]:>24}')
    share = values['majority'][VALIDATION]
    lines.append(f'commonest training class on the validation part: {100 * share:.2f} %')
    lines += textwrap.wrap(f'{OPTIMISTIC} {SEARCHED} (submissions).', 79)
    return '\n'.join(lines)


def _cell(judged: Mapping[str, Any] | None, with_interval: bool) -> str:
    if judged is None:
        return '-'
    shown = f'{100 * judged["accuracy"]:.2f}'
    if with_interval and judged['interval']:
        low, high = judged['interval']
        shown += f' ({100 * low:.1f} to {100 * high:.1f})'
    return shown
