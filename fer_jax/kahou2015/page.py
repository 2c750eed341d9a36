"""The page of an EmotiW run: Tables 1 and 2 of kahou2015, Figures 2, 4 and 5, and the fusions."""

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic, papers
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.evaluation.predictions import AGAIN
from fer_jax.evaluation.table import (
    COUNT,
    DIFFERENCE,
    DIFFERENCE_INTERVAL,
    INTERVAL,
    SHARE,
    Column,
    Table,
)
from fer_jax.kahou2015 import fusion_report, outcome
from fer_jax.kahou2015.outcome import MODELS, OPTIMISTIC, PARTS, SEARCHED, SHOWN, SystemOutcome
from fer_jax.kahou2015.submissions import SUBMISSIONS, TEST, TRAIN, VALIDATION, obstacle
from fer_jax.reports import filter_plots, page, plots, tables
from fer_jax.reports.figures import Drawing

# What the run's folder records itself to be (fer_jax.reports.kinds).
KIND = 'kahou2015'
# What the paper prints of each of our rows: a card, its row.
PRINTED = {
    'activity': ('kahou2015:table1', 'Activity'),
    'audio': ('kahou2015:table1', 'Audio'),
    'aggregated': ('kahou2015:table1', 'Aggregated CNN'),
    'rnn': ('kahou2015:table1', 'RNN'),
    'averaging': ('kahou2015:text', 'Averaging of per-frame probabilities'),
    'fusion': ('kahou2015:text', 'Fusion network'),
}
TITLES = {TRAIN: 'Training', VALIDATION: 'Validation', TEST: 'Test'}

# What the page shows of the run's files.
_KINDS = {
    'config': {'name': str, 'frames': dict},
    'versions': {'command': str},
    'dataset': {'name': str, 'simulated': bool, 'faces': str, 'fingerprint': str},
}


def redraw(folder: Path, out: str | None) -> tuple[str, Path]:
    """Draws a run's page from its stages; returns the results as text and the page's path.

    Args:
      out: where the page goes; None is the run.

    Raises:
      UserError: a stage is missing or damaged.
    """
    found = outcome.load(folder)
    return outcome.text(found.values), write(found, folder, out)


def write(found: SystemOutcome, folder: Path, out: Path | str | None = None) -> Path:
    """Draws report.html and figures/ into `out` (default the run) and returns the page's path.

    Args:
      folder: the run, with its config.json, versions.json and dataset.json.
    """
    values, stamps = found.values, tuple(found.values['stamps'])
    config, versions, dataset = (
        rundir.read_json(folder / f'{name}.json') for name in ('config', 'versions', 'dataset')
    )
    for name, value in (('config', config), ('versions', versions), ('dataset', dataset)):
        rundir.check_kinds(folder / f'{name}.json', value, _KINDS[name])
    _check_frames(folder / 'config.json', config['frames'])
    tables = {
        table.name: table
        for table in (
            model_table(values),
            submission_table(values),
            gain_table(values),
            fusion_report.subset_table(_titles(), found.subsets) if found.subsets else None,
            fusion_report.silent_table(_titles(), found.table.clip_id, _said(found)),
        )
        if table is not None
    }
    drawings = _drawings(found, stamps)
    files: dict[str, str] = {f'{table.name}.csv': table.csv(stamps) for table in tables.values()}
    for drawing in drawings.values():
        files[f'{drawing.name}.svg'] = drawing.svg
        files[f'{drawing.name}.csv'] = drawing.csv
    text = _compose(found, tables, drawings, dataset, config, versions)
    return atomic.publish_page(folder if out is None else out, text, files)


def model_table(values: Mapping[str, Any]) -> Table:
    """Makes table 1 of kahou2015 of our models, the paper's numbers beside them."""
    rows = []
    for name, entry in values['models'].items():
        printed: dict[str, float | None] = {TRAIN: None, VALIDATION: None}
        if name in PRINTED:
            card, row = PRINTED[name]
            cells = dict(zip(papers.load(card).columns, papers.load(card).rows[row], strict=True))
            for part in printed:
                if cell := cells.get(TITLES[part]):
                    printed[part] = float(cell.rstrip('%')) / (100 if '%' in cell else 1)
        rows.append({'model': entry['title'], **_columns(entry), **_prefixed(printed)})
    named = {'model': 'Commonest training class', **values['majority']}
    rows.append(dict.fromkeys(rows[0]) | named)
    return Table(
        'models',
        'Each model by itself, trained on the training part, judged on the clips that it can judge '
        f'(kahou2015, Table 1). {OPTIMISTIC} The paper’s are of AFEW 5.0.',
        (
            Column('model', 'Model'),
            *_judged_columns(values),
            Column('paper_train', 'Paper, training', SHARE),
            Column('paper_validation', 'Paper, validation', SHARE),
        ),
        rows,
    )


def submission_table(values: Mapping[str, Any]) -> Table:
    """Makes table 2 of kahou2015 of our submissions, the paper's numbers beside them."""
    card = papers.load('kahou2015:table2')
    rows = []
    for number, entry in values['submissions'].items():
        cells = dict(zip(card.columns, card.rows[number], strict=True))
        printed = {
            part: None if cells[column] == '-' else float(cells[column]) / 100
            for part, column in zip(PARTS, card.columns, strict=False)
        }
        row = {'number': number, 'method': entry['method'], **_columns(entry)}
        rows.append(row | _prefixed(printed))
    return Table(
        'submissions',
        'Decision fusion: accuracy of each submission on all clips, silence being an error '
        f'(kahou2015, Table 2). {SEARCHED}; it is left out where that is both.',
        (
            Column('number', 'Submission'),
            Column('method', 'Method'),
            *_judged_columns(values, counts=False),
            *(Column(f'paper_{part}', f'Paper, {TITLES[part].lower()}', SHARE) for part in PARTS),
        ),
        rows,
    )


def gain_table(values: Mapping[str, Any]) -> Table | None:
    """Tabulates what fusion adds to each model, paired by clip; None without judged clips."""
    parts = [part for part in (VALIDATION, TEST) if values['fused'][part]]
    if not parts:
        return None
    rows = []
    for name, title in MODELS.items():
        row = {'model': title}
        for part in parts:
            entry = values['fused'][part][name]
            row |= {part: entry['difference'], f'{part}_interval': entry['interval']}
        rows.append(row)
    columns = [Column('model', 'Model')]
    for part in parts:
        columns += [
            Column(part, f'{TITLES[part]}, points', DIFFERENCE),
            Column(f'{part}_interval', '95 % interval', DIFFERENCE_INTERVAL),
        ]
    return Table(
        'fused',
        f'Submission {SHOWN} minus each of its models on the same clips, in points, a silent model '
        'being wrong; intervals by bootstrap over clips. On the validation part, where the weights '
        'were searched, the fusion is favoured.',
        tuple(columns),
        rows,
    )


def _columns(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Lists the columns of every part's accuracy."""
    row: dict[str, Any] = {}
    for part in PARTS:
        judged = entry[part] or {'accuracy': None, 'interval': None, 'n': None}
        row |= {
            part: judged['accuracy'],
            f'{part}_interval': judged['interval'],
            f'{part}_n': judged['n'],
        }
    return row


def _judged_columns(values: Mapping[str, Any], counts: bool = True) -> list[Column]:
    """Lists the columns of the parts that are judged; `counts`: show how many clips."""
    columns = []
    for part in PARTS:
        if not any(entry[part] for entry in values['models'].values()):
            continue
        columns.append(Column(part, TITLES[part], SHARE))
        shown = part != TRAIN
        columns += [
            Column(f'{part}_interval', '95 % interval', INTERVAL, shown=shown),
            Column(f'{part}_n', 'Clips', COUNT, shown=shown and counts),
        ]
    return columns


def _prefixed(printed: Mapping[str, float | None]) -> dict[str, float | None]:
    return {f'paper_{part}': value for part, value in printed.items()}


def _titles() -> list[str]:
    return list(MODELS.values())


def _said(found: SystemOutcome) -> np.ndarray:
    """Stacks the predictions of the shown submission's models: [model, clip, class]."""
    return np.stack(list(found.said(SHOWN).values()))


def _drawings(found: SystemOutcome, stamps: Sequence[str]) -> dict[str, Drawing]:
    """Draws all figures, by name."""
    classes = found.table.classes
    drawn = []
    submission = {'submission': found.entries[SHOWN].probabilities}
    for name, said in {**found.said(SHOWN), **submission}.items():
        counts = found.confusion(said, VALIDATION)
        title = MODELS.get(name, f'Submission {SHOWN}')
        named = {'classes': [{'class': k} for k in classes], 'confusion': counts.tolist()}
        csv = tables.confusion(named).csv(stamps)
        matrix = plots.confusion(counts, classes, 1, stamps, csv)
        drawn.append(
            dataclasses.replace(
                matrix,
                name=f'confusion_{name}',
                alt=f'{title}: {matrix.alt}',
                caption=f'{title}, validation part. {matrix.caption}',
            )
        )
    shown = found.entries[SHOWN]
    drawn.append(fusion_report.weights(_titles(), classes, shown.weights, stamps))
    if shown.search is not None:
        drawn.append(fusion_report.search_course(shown.search, stamps))
    for name, numbers in (('fusion_curves', (1, 2)), ('fusion_curves_swapped', (4, 5))):
        recipes = {SUBMISSIONS[number].recipe: found.fusions[number] for number in numbers}
        curves = fusion_report.learning_curves(
            {recipe: _history(fusion) for recipe, fusion in recipes.items()},
            {recipe: fusion['epoch'] for recipe, fusion in recipes.items()},
            stamps,
        )
        (part,) = SUBMISSIONS[numbers[0]].fit
        caption = f'{curves.caption} Trained on the {part} part.'
        drawn.append(dataclasses.replace(curves, name=name, caption=caption))
    if found.subsets:
        drawn.append(fusion_report.subsets(_titles(), found.subsets, stamps))
    drawn.append(filter_plots.filters(found.models['activity']['filters'], stamps))
    return {drawing.name: drawing for drawing in drawn}


def _of_test_part(found: SystemOutcome) -> str:
    """Says what is known of the test part, and what is written for it."""
    if any(entry[TEST] for entry in found.values['submissions'].values()):
        return (
            'The test part is judged with the labels that the simulator knows; nothing was '
            'trained, stopped or searched on it.'
        )
    clips = found.table.part(TEST)
    if not len(clips):
        return 'The data have no test part: no submissions are written.'
    kept = 'The owners keep the labels of the test part'
    if reason := obstacle(found.table.clip_id[clips].tolist(), found.table.classes):
        return f'{kept}; no submissions are written: {reason}.'
    return f'{kept}: submissions/ has the predictions in the challenge’s format.'


def _history(fusion: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns a fusion network's accuracies, as `fusion_report.learning_curves` takes them."""
    train, validation = fusion['history']
    return {'train_accuracy': train[None], 'validation_accuracy': validation[None]}


def _check_frames(path: Path, frames: Mapping[str, Any]) -> None:
    """Refuses a config that does not say where the network for frames is from."""
    training = frames.get('training')
    if not isinstance(frames.get('run'), str) or not (
        frames['run'] or (isinstance(training, dict) and isinstance(training.get('name'), str))
    ):
        raise UserError(f"{path}: 'frames' lacks run, or training.name: {AGAIN}")


def _compose(
    found: SystemOutcome,
    tables: Mapping[str, Table],
    drawings: Mapping[str, Drawing],
    dataset: Mapping[str, Any],
    config: Mapping[str, Any],
    versions: Mapping[str, str],
) -> str:
    """Composes the page's HTML."""
    values, stamps = found.values, tuple(found.values['stamps'])

    def table(name: str) -> str:
        return page.table(tables[name], stamps) if name in tables else ''

    def pairs(*names: str) -> str:
        shown = [page.drawing(drawings[name], stamps) for name in names if name in drawings]
        return ''.join(page.pair(*shown[at : at + 2]) for at in range(0, len(shown), 2))

    note = f'<p class="note">{escape(_of_test_part(found))}</p>'
    sections = [
        ('models', 'Models', table('models') + note),
        ('submissions', 'Submissions', table('submissions') + table('fused')),
        (
            'confusions',
            'Classes',
            pairs(*(f'confusion_{name}' for name in (*MODELS, 'submission'))),
        ),
        ('feature-fusion', 'Feature fusion', pairs('fusion_curves', 'fusion_curves_swapped')),
        (
            'decision-fusion',
            'Decision fusion',
            pairs('decision_weights', 'decision_search') + pairs('subsets')
            + page.folded('Every choice of models', table('subsets')),
        ),
        ('activity', 'Activity', pairs('filters')),
        ('data', 'Data', _data(values, dataset, config) + table('silent')),
        ('provenance', 'How to repeat it', page.provenance(config, versions)),
    ]  # fmt: skip
    counts = ', '.join(f'{values["clips"][part]} {part}' for part in PARTS)
    return page.page(config['name'], f'{dataset["name"]} · {counts} clips', stamps, sections)


def _data(values: Mapping[str, Any], dataset: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    epochs = {
        number: entry['epochs']['rnn'][0]
        for number, entry in values['submissions'].items()
        if 'rnn' in entry['epochs']
    }
    frames = config['frames']
    listed = ', '.join(f'{epoch} (submission {number})' for number, epoch in epochs.items())
    return page.facts(
        {
            'Dataset': f'{dataset["name"]}{" (simulated)" if dataset["simulated"] else ""}',
            'Clips': ', '.join(f'{values["clips"][part]} {part}' for part in PARTS),
            'Faces': dataset['faces'],
            'Fingerprint': dataset['fingerprint'],
            'Network for frames': frames['run'] or f'{frames["training"]["name"]}, stages/frames',
            'Epochs of the RNN': listed,
        }
    )
