"""The laboratory's page: the four optimisms, their figures and every number drawn as CSV."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from fer_jax import atomic
from fer_jax.evaluation.table import (
    COUNT,
    DIFFERENCE,
    DIFFERENCE_INTERVAL,
    INTERVAL,
    SHARE,
    Column,
    Table,
    show,
)
from fer_jax.reports import page
from fer_jax.studies import study_files
from fer_jax.studies.leakage import plots
from fer_jax.studies.leakage.divisions import Siblings
from fer_jax.studies.leakage.optimism import summary_text

SIBLINGS = 'siblings.npz'
# What each leak is; the side without it differs in nothing else.
MEANINGS = {
    'a': '(a) All clips are augmented, then the copies are divided at random, so that copies of '
    'one clip are trained on and judged. Without the leak: clips are divided at random and take '
    'their copies with them. Both sides have clips of the same people.',
    'b': '(b) Clips are divided at random, so that a person’s other expressions are trained on. '
    'Without the leak: subjects are divided. Both sides keep the copies of a clip together and are '
    'judged on original clips.',
    'c': 'The epoch is chosen on the clips that are judged, for each fold or common to all. '
    'Without the leak: on inner validation subjects of the training part. The networks are the '
    'same, under the reference setting.',
    'd': 'The setting (learning rate and dropout) is chosen on the clips that are judged, at the '
    'last epoch. Without the leak: on inner validation subjects of the training part. The networks '
    'are the same. This grid is small; a search that tries more chooses among more.',
}


def tables(values: Mapping[str, Any]) -> dict[str, Table]:
    """Makes all tables, by name."""
    level = f'{100 * values["level"]:.0f} % interval'
    ways = values['ways']
    pairs = [
        {
            **pair,
            'leaking_accuracy': ways[pair['leaking']]['accuracy'],
            'honest_accuracy': ways[pair['honest']]['accuracy'],
            'items': ways[pair['honest']]['n'],
            **{f'seed_{seed}': value for seed, value in enumerate(pair['seeds'])},
        }
        for pair in values['optimism']
    ]
    seeds = range(values['seeds'])
    listed = (
        Table(
            'optimism_table',
            'Accuracy with each leak and without it, and the optimism in points. Seeds above 0: in '
            f'how many of {values["seeds"]} the leak flattered.',
            (
                Column('leak', 'Leak'),
                Column('title', 'What leaks'),
                Column('key', 'Key', shown=False),
                Column('leaking_accuracy', 'With', SHARE),
                Column('honest_accuracy', 'Without', SHARE),
                Column('difference', 'Optimism', DIFFERENCE),
                Column('interval', level, DIFFERENCE_INTERVAL),
                Column('positive', 'Seeds above 0', COUNT),
                Column('items', 'Judged in a seed', COUNT),
            ),
            pairs,
            frozenset(row for row, pair in enumerate(pairs) if pair['leak']),
        ),
        Table(
            'seeds',
            'The optimism in each seed, in points.',
            (
                Column('leak', 'Leak'),
                Column('title', 'What leaks'),
                *(Column(f'seed_{seed}', f'Seed {seed}', DIFFERENCE) for seed in seeds),
            ),
            pairs,
        ),
        Table(
            'ways',
            'Every way of measuring: mean over seeds of the pooled accuracy.',
            (
                Column('key', 'Key', shown=False),
                Column('title', 'Way'),
                Column('leaks', 'Leaks'),
                Column('accuracy', 'Accuracy', SHARE),
                Column('interval', level, INTERVAL),
                Column('n', 'Judged in a seed', COUNT),
            ),
            [
                {'key': key, **way, 'leaks': 'yes' if way['leaking'] else 'no'}
                for key, way in ways.items()
            ],
        ),
        Table(
            'divisions',
            'The three divisions: copies trained on and judged in a fold, on average, and the '
            'share of judged copies of whose clip or subject training has a copy.',
            (
                Column('division', 'Division'),
                Column('trained', 'Trained on', COUNT),
                Column('tested', 'Judged', COUNT),
                Column('seen_clip', 'Clip in training', SHARE),
                Column('seen_subject', 'Subject in training', SHARE),
            ),
            [
                {**row, 'trained': round(row['trained']), 'tested': round(row['tested'])}
                for row in values['divisions']
            ],
        ),
        Table(
            'settings',
            'The grid at the last epoch, and how often each setting was chosen: by inner '
            'validation and on the test clips for each fold of each seed, and on the test clips '
            'for a seed.',
            (
                Column('setting', 'Setting'),
                Column('validation_accuracy', 'Inner validation', SHARE),
                Column('test_accuracy', 'Test', SHARE),
                Column('validation', 'By validation', COUNT),
                Column('test_fold', 'By test fold', COUNT),
                Column('common', 'By all test folds', COUNT),
            ),
            [
                {
                    **row,
                    'setting': plots.setting_title(row),
                    'common': row['test_common'] // len(values['curves']['test'][0]),
                }
                for row in values['settings']
            ],
        ),
    )
    return {table.name: table for table in listed}


def redraw(folder: Path, out: str | None) -> tuple[str, Path]:
    """Draws a study's page from its files; returns the results as text and the page's path.

    Args:
      out: where the page goes; None is the study's folder.

    Raises:
      UserError: the study has no results yet, or a file is damaged.
    """
    saved = study_files.load(folder)
    siblings = Siblings.load(folder / SIBLINGS)
    path = write(saved.values, siblings, saved.settings, saved.versions, Path(out or folder))
    return summary_text(saved.values), path


def write(
    values: Mapping[str, Any],
    siblings: Siblings,
    design: Mapping[str, Any],
    versions: Mapping[str, str],
    out: Path,
) -> Path:
    """Writes report.html and figures/ (SVG, and every table and figure as CSV); returns the page.

    Args:
      values: what `optimism.compute` says, and the stamps.
      siblings: the copies that are shown.
      design: every setting of the laboratory, for the page.
      versions: command, packages, devices.
    """
    shown, stamps = tables(values), values['stamps']
    drawings = [
        plots.optimism(values, stamps, shown['optimism_table'].csv(stamps)),
        plots.accuracies(values, stamps, shown['optimism_table'].csv(stamps)),
        plots.siblings(siblings, stamps),
        plots.curves(values, stamps),
        plots.settings(values, stamps, shown['settings'].csv(stamps)),
    ]
    files = {f'{table.name}.csv': table.csv(stamps) for table in shown.values()}
    for drawing in drawings:
        files |= {f'{drawing.name}.svg': drawing.svg, f'{drawing.name}.csv': drawing.csv}
    inline = {drawing.name: page.drawing(drawing, stamps) for drawing in drawings}
    table = {name: page.table(value, stamps) for name, value in shown.items()}
    meaning = {leak: f'<p>{escape(text)}</p>' for leak, text in MEANINGS.items()}
    sections = [
        ('headline', 'Result', _headline(values)),
        (
            'optimism',
            'Optimism',
            page.pair(inline['optimism'], inline['accuracies']) + table['optimism_table'],
        ),
        (
            'divisions',
            'What is divided: (a) and (b)',
            meaning['a'] + meaning['b'] + table['divisions'] + page.pair(inline['siblings']),
        ),
        ('epochs', 'Choosing an epoch: (c)', meaning['c'] + page.pair(inline['accuracy_curves'])),
        (
            'settings',
            'Choosing a setting: (d)',
            meaning['d'] + table['settings'] + page.pair(inline['settings_accuracy']),
        ),
        ('ways', 'Every accuracy, every seed', table['ways'] + table['seeds']),
        ('provenance', 'How to repeat it', page.provenance(design, versions)),
    ]
    lead = (
        f'{values["clips"]} clips of {values["subjects"]} simulated people · '
        f'{values["seeds"]} seed{"s" * (values["seeds"] > 1)} · {design["folds"]} folds'
    )
    text = page.page('What a leak is worth', lead, stamps, sections)
    return atomic.publish_page(out, text, files)


def _headline(values: Mapping[str, Any]) -> str:
    """Shows the optimisms as tiles, and what was averaged over what."""
    tiles = ''.join(
        f'<div><dt>{escape(plots.titled(pair))}</dt>'
        f'<dd>{show(DIFFERENCE, pair["difference"])}'
        f'<small>{show(DIFFERENCE_INTERVAL, pair["interval"])}, '
        f'{"includes" if pair["interval"][0] <= 0 <= pair["interval"][1] else "excludes"} 0'
        '</small></dd></div>'
        for pair in values['optimism']
        if pair['leak']
    )
    said = (
        'How many points of accuracy four leaks add to what would have been reported without '
        'them, measured on simulated faces with a small network. Each seed divides anew and '
        'starts other networks; an accuracy is that of all judged clips of a seed together, and '
        'the mean over seeds. Intervals: '
        f'{100 * values["level"]:.0f} %, by bootstrap over subjects and seeds, the same draws on '
        f'both sides ({show(COUNT, values["draws"])} draws). In a draw nothing is trained or '
        'chosen anew. '
        + (
            'With one seed an interval says nothing of how networks vary from start to start.'
            if values['seeds'] == 1
            else 'Few seeds are a small sample to draw from.'
        )
    )
    warning = (
        'The sizes belong to these faces, this network and this amount of data; on real faces and '
        'larger networks they differ. What carries over is how they are measured.'
    )
    return f'<p>{escape(said)}</p><dl class="tiles first">{tiles}</dl><p>{escape(warning)}</p>'
