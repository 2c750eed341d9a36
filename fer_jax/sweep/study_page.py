"""The page of a study: its best setting, its figures, every trial, and how it chose."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from fer_jax import atomic
from fer_jax.evaluation.table import COUNT, SHARE, Column, Table
from fer_jax.reports import page
from fer_jax.sweep import snapshot, study_plots

JUDGED = {
    True: 'the test folds, whose best epoch counts, as in haddad2020: the best of many trials is '
    'better there than on new people',
    False: 'inner validation clips: of each fold the training part alone is divided, and the test '
    'clips were left out. A test clip of one fold is in the training or validation part of others, '
    'so the one setting that is chosen for all folds has seen every person there',
}


def redraw(folder: Path, out: str | None) -> tuple[str, Path]:
    """Draws a study's page from its study.json; returns the results as text and the page's path.

    Args:
      out: where the page goes; None is the study's folder.

    Raises:
      UserError: study.json is missing or damaged, or no trial has ended.
    """
    values = snapshot.load(folder)
    return snapshot.text(values), write(values, out or folder)


def write(values: Mapping[str, Any], out: Path | str) -> Path:
    """Writes report.html and figures/ (SVG, and every table and figure as CSV); returns the page.

    Args:
      values: of snapshot.take.
    """
    stamps = values['stamps']
    tables = {'trials': trials(values), 'space': space(values)}
    drawings = {}
    if any(trial['value'] is not None for trial in values['trials']):
        drawings['history'] = study_plots.history(values)
    if snapshot.best(values['trials']):
        drawings['slices'] = study_plots.slices(values)
        drawings['parallel'] = study_plots.parallel(values)
    if values['importances']:
        drawings['importances'] = study_plots.importances(values)
    files = {f'{name}.csv': table.csv(stamps) for name, table in tables.items()}
    for name, drawing in drawings.items():
        files |= {f'{name}.svg': drawing.svg, f'{name}.csv': drawing.csv}
    return atomic.publish_page(out, _compose(values, tables, drawings), files)


def trials(values: Mapping[str, Any]) -> Table:
    """Shows every trial with its setting."""
    choices = values['plan']['space']['choices']
    found = snapshot.best(values['trials'])
    rows = []
    for trial in values['trials']:
        params = {key: _said(trial['params'].get(key)) for key in choices}
        kept = ('number', 'state', 'value', 'members', 'folder', 'begun', 'ended', 'host')
        rows.append({**params, **{key: trial[key] for key in kept}, 'why': trial['reason'] or ''})
    strong = {row for row, trial in enumerate(values['trials']) if trial is found}
    return Table(
        'trials',
        'Every trial. Of one that was given up, the accuracy is that of the members so far.',
        (
            Column('number', 'Trial', COUNT),
            Column('state', 'State'),
            Column('value', 'Accuracy', SHARE),
            Column('members', 'Members', COUNT),
            *(Column(key, key.split('.')[-1]) for key in choices),
            Column('why', 'Why'),
            *(Column(key, key, shown=False) for key in ('folder', 'begun', 'ended', 'host')),
        ),
        rows,
        frozenset(strong),
    )


def space(values: Mapping[str, Any]) -> Table:
    """Shows what was varied, and the best trial's values."""
    found = snapshot.best(values['trials'])
    rows = []
    for key, choice in values['plan']['space']['choices'].items():
        options = '/'.join(map(str, choice)) if isinstance(choice, list) else _range(choice)
        best = _said(found['params'][key]) if found else ''
        share = values['importances'].get(key)
        rows.append({'key': key, 'options': options, 'best': best, 'share': share})
    return Table(
        'space',
        'What was varied (haddad2020, Table 1, has the same form), the best trial’s values, and '
        'the share of the variance that each explains.',
        (
            Column('key', 'Hyper-parameter'),
            Column('options', 'Options'),
            Column('best', 'Best trial'),
            Column('share', 'Share', SHARE, shown=bool(values['importances'])),
        ),
        rows,
    )


def _range(choice: Mapping[str, Any]) -> str:
    text = f'[{choice["low"]:g}, {choice["high"]:g}]'
    return text + ', log' * choice['log'] + (f', step {choice["step"]:g}' if choice['step'] else '')


def _said(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _compose(values: Mapping[str, Any], tables: Mapping, drawings: Mapping) -> str:
    """Composes the page's HTML."""
    stamps, plan = values['stamps'], values['plan']

    def drawing(name: str) -> str:
        return page.drawing(drawings[name], stamps) if name in drawings else ''

    found = snapshot.best(values['trials'])
    counts = [
        (state, sum(trial['state'] == state for trial in values['trials']))
        for state in snapshot.STATES.values()
    ]
    tiles = [('Trials', f'{len(values["trials"])} of {values["total"]}')]
    tiles += [(state.capitalize(), str(count)) for state, count in counts if count]
    if found:
        tiles.insert(0, (f'Best: trial {found["number"]}', f'{100 * found["value"]:.2f} %'))
    told = ''.join(f'<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>' for k, v in tiles)
    accuracy = {'pooled_accuracy': 'of all clips', 'subject_accuracy': 'mean over subjects'}
    threshold = plan['space']['threshold']
    facts = {
        'Judged on': JUDGED[plan['choose_on_test']],
        'Accuracy': f'{accuracy[plan["space"]["accuracy"]]}, each member at its best epoch',
        'Given up below': f'{100 * threshold:g} %, when no outcome of the members still to come '
        'could reach it' if threshold else None,
        'Pruner': None if plan['sampling']['pruner'] == 'none' else plan['sampling']['pruner'],
        'Sampler': f'{plan["sampling"]["sampler"]}, seed {plan["sampling"]["seed"]}',
        'Storage': values['storage'],
    }  # fmt: skip
    sections = [
        ('result', 'Result', f'<dl class="tiles first">{told}</dl>' + page.facts(facts)),
        ('space', 'What was varied', page.table(tables['space'], stamps)),
        ('history', 'History', page.pair(drawing('history'), drawing('importances'))),
    ]
    if found:
        shown = page.pair(drawing('slices'), drawing('parallel'))
        sections.append(('slices', 'Each hyper-parameter', shown))
    sections.append(('trials', 'Trials', page.table(tables['trials'], stamps)))
    lead = f'{values["config"]} · study {values["study"]}'
    return page.page(f'Search: {values["study"]}', lead, stamps, sections)
