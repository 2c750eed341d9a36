"""The page of a judgement: a trained network on a dataset, or an ensemble of runs."""

from html import escape
from pathlib import Path

from fer_jax import atomic
from fer_jax.evaluation.judgement import METRICS, Judgement
from fer_jax.evaluation.results import METRIC_TITLES
from fer_jax.evaluation.table import COUNT, INTERVAL, SHARE, Column, Table
from fer_jax.reports import page, plots, run_page, tables


def write(judgement: Judgement, out: Path | str, sentence: str) -> Path:
    """Writes report.html, figures/ and results.json into `out`; returns the page's path.

    Args:
      sentence: what follows 'Accuracy on so many test clips,'.
    """
    values, stamps = judgement.values, judgement.stamps
    classes, rows = judgement.predictions.classes, judgement.rows
    temperature = values['calibration']['temperature']
    roc, precision_recall, scores = plots.ranking(rows, classes, stamps)
    shown = [
        _counted(judgement),
        tables.calibration(values),
        tables.classes(values, scores),
        *([_conditions(judgement)] if judgement.conditions else []),
    ]
    html = {table.name: page.table(table, stamps) for table in shown}
    confusion = tables.confusion(values)
    drawings = [
        plots.reliability(rows, temperature, stamps),
        plots.selective(rows, temperature, stamps),
        plots.confusion(values['confusion'], classes, 1, stamps, confusion.csv(stamps)),
        plots.recalls(values, stamps, shown[2].csv(stamps)),
        roc,
        precision_recall,
    ]
    drawn = {each.name: page.drawing(each, stamps) for each in drawings}
    sections = [
        ('headline', 'Result', run_page.headline(values, sentence)),
        ('counted', 'Which clips count', html['counted']),
        (
            'calibration',
            'Probabilities',
            page.pair(drawn['reliability'], drawn['selective']) + html['calibration'],
        ),
        (
            'classes',
            'Classes',
            page.pair(drawn['confusion'], drawn['recalls'])
            + html['classes']
            + page.pair(drawn['roc'], drawn['precision_recall']),
        ),
    ]
    if 'conditions' in html:
        sections.append(('conditions', 'Pictures of some kinds', html['conditions']))
    note = f'<p class="note">{escape(page.NOTE)}</p>'
    sections.append(('data', 'What was judged', page.facts(judgement.facts) + note))
    files: dict[str, str | bytes] = {f'{table.name}.csv': table.csv(stamps) for table in shown}
    for drawing in drawings:
        files[f'{drawing.name}.svg'] = drawing.svg
        files[f'{drawing.name}.csv'] = drawing.csv
    atomic.write_json(Path(out) / 'results.json', judgement.figures())
    text = page.page(judgement.title, judgement.lead, stamps, sections)
    return atomic.publish_page(out, text, files)


def _counted(judgement: Judgement) -> Table:
    columns = [Column('what', 'Test clips'), Column('n', 'Clips', COUNT)]
    for name in METRICS:
        short = name.removeprefix('pooled_')
        columns += [
            Column(short, METRIC_TITLES[name], SHARE),
            Column(f'{short}_interval', 'Interval', INTERVAL),
        ]
    caption = 'The same predictions, counted on different clips.'
    return Table('counted', caption, tuple(columns), judgement.counted, frozenset({0}))


def _conditions(judgement: Judgement) -> Table:
    columns = (
        Column('condition', 'Pictures'),
        Column('n', 'Clips', COUNT),
        Column('accuracy', 'Accuracy', SHARE),
        Column('accuracy_interval', 'Interval', INTERVAL),
    )
    caption = (
        'All test clips shrunk to some sizes, and the thirds of them by sharpness (the deviation '
        'of the Laplacian over that of the grey levels) and by brightness (the mean grey level).'
    )
    return Table('conditions', caption, columns, judgement.conditions)
