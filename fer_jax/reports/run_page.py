"""report.html: one run on one page that needs nothing else, its figures and their data."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic
from fer_jax.evaluation import results, rundir
from fer_jax.evaluation.rules import RULES
from fer_jax.evaluation.rundir import Run
from fer_jax.evaluation.table import COUNT, Column, Table, show
from fer_jax.reports import filter_plots, page, plots, samples, tables
from fer_jax.reports.figures import Drawing


def redraw(folder: Path, out: str | None) -> tuple[str, Path]:
    """Draws a finished run's page from its files; returns the results as text and the page's path.

    Args:
      out: where the page goes; None is the run.

    Raises:
      UserError: the run is missing, unfinished or damaged.
    """
    run = rundir.load_finished(folder)
    values = results.compute(run.predictions, stamps=run.stamps)
    return results.summary_text(values), write_report(folder, out, values)


def write_report(
    run_dir: Path | str,
    out: Path | str | None = None,
    values: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Draws a finished run from its files alone and returns the path of report.html.

    Writes report.html and figures/ (each figure as SVG, each figure's and table's numbers as CSV)
    into `out`, by default the run's own directory. They appear whole or not at all.

    Args:
      values: the run's results.compute, where the caller has it already.

    Raises:
      UserError: the run is missing, unfinished or damaged.
    """
    run = rundir.load(run_dir)
    if values is None:
        values = results.compute(run.predictions, stamps=run.stamps)
    best = values[results.headline(values)]
    judged = run.predictions
    rows = judged.at(np.array(best['epochs']) - 1)
    chosen = [epoch for epoch in best['epochs'] if epoch]
    stamps = run.stamps

    shown = {
        table.name: table
        for table in (
            tables.rules(values),
            tables.optimism(values),
            tables.duplicates(best),
            tables.seeds(best),
            tables.folds(run, best),
            tables.subjects(best),
            tables.dropped(run),
            _class_counts(run),
        )
        if table is not None
    }
    confusion = tables.confusion(best)
    roc, precision_recall, scores = plots.ranking(rows, judged.classes, stamps)
    shown['classes'] = tables.classes(best, scores)
    shown['calibration'] = tables.calibration(best)
    temperature = best['calibration']['temperature']
    drawings = [
        plots.rules(values, stamps, shown['rules'].csv(stamps)),
        *_curves(run, chosen),
        plots.confusion(
            best['confusion'], judged.classes, len(best['seeds']), stamps,
            confusion.csv(stamps),
        ),
        plots.recalls(best, stamps, shown['classes'].csv(stamps)),
        roc,
        precision_recall,
        plots.reliability(rows, temperature, stamps),
        plots.selective(rows, temperature, stamps),
    ]  # fmt: skip
    if len(np.unique(judged.fold)) <= plots.MOST_LINES:
        drawings.append(plots.folds(shown['folds'], best, stamps))
    if 'subjects' in shown:
        drawings.append(plots.subjects(shown['subjects'], best, stamps))
    if run.filters is not None:
        drawings.append(filter_plots.filters(run.filters, stamps))
    faces = samples.pick(rows, judged, run.sample_frames, run.sample_ids)

    files: dict[str, str | bytes] = {t.name + '.csv': t.csv(stamps) for t in shown.values()}
    for drawing in drawings:
        files[f'{drawing.name}.svg'] = drawing.svg
        files[f'{drawing.name}.csv'] = drawing.csv
    if faces:
        files['samples.png'] = samples.sheet(faces, stamps)
        files['samples.csv'] = samples.csv(faces, stamps)
    text = _compose(run, values, shown, {d.name: d for d in drawings}, faces)
    return atomic.publish_page(run_dir if out is None else out, text, files)


def _compose(
    run: Run,
    values: Mapping[str, Mapping[str, Any]],
    shown: Mapping[str, Table],
    drawings: Mapping[str, Drawing],
    faces: list[samples.Face],
) -> str:
    """Composes the page's HTML."""
    stamps = run.stamps
    best = values[results.headline(values)]

    table = functools.partial(page.table_or_folded, shown, stamps)

    def drawing(name: str) -> str:
        return page.drawing(drawings[name], stamps) if name in drawings else ''

    sections = [
        ('headline', 'Result', headline(best, _rule_sentence(best))),
        (
            'rules',
            'Choosing an epoch',
            table('rules') + table('optimism') + page.pair(drawing('rules'), _meanings(values))
            + table('duplicates') + table('seeds'),
        ),
        (
            'curves',
            'Learning',
            page.pair(drawing('accuracy_curves'), drawing('loss_curves')) + drawing('filters'),
        ),
        (
            'classes',
            'Classes',
            page.pair(drawing('confusion'), drawing('recalls')) + table('classes')
            + page.pair(drawing('roc'), drawing('precision_recall')),
        ),
        (
            'calibration',
            'Probabilities',
            page.pair(drawing('reliability'), drawing('selective')) + table('calibration'),
        ),
        (
            'folds',
            'Folds and subjects',
            page.pair(drawing('folds'), drawing('subjects'))
            + table('folds', f'{len(shown["folds"].rows)} folds')
            + table('subjects', f'{len(best["per_subject"])} subjects'),
        ),
        ('faces', 'Faces', _faces(faces, stamps)),
        ('data', 'Data and protocol', _data(run) + table('class_counts')
         + table('dropped', f'{len(run.dataset["dropped"])} dropped clips')),
        (
            'provenance',
            'How to repeat it',
            page.provenance(run.config, run.versions, 'Configuration'),
        ),
    ]  # fmt: skip
    lead = f'{run.dataset["name"]} · {run.folds["protocol"]} · {counted(best)}'
    return page.page(run.name, lead, stamps, sections)


def counted(best: Mapping[str, Any]) -> str:
    """Says how many test clips, of how many subjects and seeds, the results are of."""
    people = ''
    if best['subjects'] is not None:
        people = f' of {show(COUNT, best["subjects"])} subjects'
    repeats = ', counted once in each repeat' if best['repeated'] else ''
    seeds = f' · {len(best["seeds"])} seeds' if len(best['seeds']) > 1 else ''
    return f'{show(COUNT, best["clips"])} test clips{people}{repeats}{seeds}'


def headline(best: Mapping[str, Any], sentence: str) -> str:
    """Shows accuracy, its interval on a line from 0 to 100, and the other metrics.

    Args:
      best: the results under one rule.
      sentence: what follows 'Accuracy on so many test clips,'.
    """
    accuracy, majority = 100 * best['pooled_accuracy'], 100 * best['majority_accuracy']
    interval = best['intervals']['pooled_accuracy']
    level = f'{100 * best["interval"]["level"]:.0f} % interval'
    spread = best['standard_deviation']
    span, said = '', results.few_units(best)
    if interval is not None:
        low, high = (100 * end for end in interval)
        span = f'<i class="span" style="left:{low:.2f}%;width:{high - low:.2f}%"></i>'
        said = (
            f'{level} {low:.1f} – {high:.1f}, by bootstrap over {best["interval"]["unit"]}'
            f' ({show(COUNT, best["interval"]["draws"])} draws).'
        )
    if spread is not None:
        said = (
            f'Mean of {len(best["seeds"])} seeds, standard deviation '
            f'{100 * spread["pooled_accuracy"]:.2f}. {said}'
        )
    side = ' start' if majority < 20 else ' end' if majority > 80 else ''
    over = ' start' if accuracy < 15 else ' end' if accuracy > 85 else ''
    strip = (
        f'<div class="range" role="img" aria-label="Accuracy {accuracy:.1f} per cent, '
        f'majority class {majority:.1f} per cent">'
        f'<i class="axis"></i>{span}'
        f'<i class="tick" style="left:{majority:.2f}%"></i>'
        f'<i class="dot" style="left:{accuracy:.2f}%"></i>'
        f'<span class="label above{over}" style="left:{accuracy:.2f}%">{accuracy:.1f} %</span>'
        f'<span class="label{side}" style="left:{majority:.2f}%">majority class '
        f'{majority:.1f} %</span></div>'
    )
    tiles = []
    for name, title in results.METRIC_TITLES.items():
        if name == 'pooled_accuracy' or best[name] is None:
            continue
        ends = best['intervals'][name]
        small = '' if ends is None else f'<small>{show("interval", ends)}</small>'
        tiles.append(f'<dt>{escape(title)}</dt><dd>{100 * best[name]:.2f} %{small}</dd>')
    groups = ''.join(f'<div>{tile}</div>' for tile in tiles)
    collapsed = results.collapse(best)
    collapsed = f'<p><b>{escape(collapsed)}</b></p>' * bool(collapsed)
    return (
        f'<div class="headline"><p class="big">{accuracy:.2f} <small>%</small></p><div>'
        f'<p><b>Accuracy on {escape(counted(best))}</b>, '
        f'{escape(sentence)}.</p>{strip}</div></div>'
        f'<p class="note" style="margin-top:1rem">{escape(said)}</p>'
        f'{collapsed}<dl class="tiles">{groups}</dl>'
    )


def _rule_sentence(best: Mapping[str, Any]) -> str:
    return next(rule.meaning for rule in RULES.values() if rule.title == best['title'])


def _meanings(values: Mapping[str, Mapping[str, Any]]) -> str:
    """Explains each rule."""
    items = {
        entry['title']: RULES[rule].meaning + (' (optimistic)' if entry['optimistic'] else '')
        for rule, entry in values.items()
    }
    return page.facts(items)


def _faces(faces: list[samples.Face], stamps: tuple[str, ...]) -> str:
    right = [face for face in faces if face.right]
    wrong = [face for face in faces if not face.right]
    html = ''
    if right:
        caption = 'Recognised: last frames of test clips, each class, with its probability.'
        html += page.faces(right, caption, stamps)
    if wrong:
        caption = 'Mistaken, the surest first: true class → prediction, with its probability.'
        html += page.faces(wrong, caption, stamps)
    return html or '<p>No sample faces were saved.</p>'


def _curves(run: Run, chosen: Sequence[int]) -> list[Drawing]:
    """Draws the learning curves of the members that trained first: others train on more clips."""
    first = ~run.predictions.retrained
    shown = {name: values[first] for name, values in run.curves.items()}
    fold, seed = run.predictions.fold[first], run.predictions.seed[first]
    drawings = [
        plots.curves(shown, what, fold, seed, chosen, run.stamps) for what in ('accuracy', 'loss')
    ]
    if first.all():
        return drawings
    said = ' Of members that were trained again the first training.'
    return [dataclasses.replace(one, caption=one.caption + said) for one in drawings]


def _class_counts(run: Run) -> Table:
    """Lists how many clips of each class the run holds."""
    counts = run.dataset['class_counts']
    rows = [{'class': name, 'clips': counts[name]} for name in run.dataset['classes']]
    columns = (Column('class', 'Class'), Column('clips', 'Clips', COUNT))
    return Table('class_counts', 'Clips of each class.', columns, rows)


def _data(run: Run) -> str:
    dataset, folds = run.dataset, run.folds
    disjoint = 'no subject on both sides'
    if not folds['subject_disjoint']:
        disjoint = 'a subject may be on both sides'
    ran = np.unique(run.predictions.fold).tolist()
    sizes = [len(folds['folds'][number]['test']) for number in ran]
    listed = ' '.join(map(str, sizes)) if len(sizes) <= page.OPEN_ROWS else (
        f'{min(sizes)} to {max(sizes)} clips'
    )  # fmt: skip
    count = str(len(ran))
    if len(ran) < len(folds['folds']):
        numbers = ', '.join(map(str, ran))
        count = f'{len(ran)} of {len(folds["folds"])} (fold{"s" * (len(ran) > 1)} {numbers})'
    return page.facts(
        {
            'Dataset': f'{dataset["name"]}{" (simulated)" if dataset["simulated"] else ""}',
            'Clips': f'{show(COUNT, dataset["clips"])}, {len(dataset["dropped"])} dropped',
            'Subjects': dataset['subjects'] or 'unknown',
            'Faces': dataset['faces'],
            'Registration': dataset['registration'],
            'Fingerprint': dataset['fingerprint'],
            'Protocol': f'{folds["protocol"]}: {disjoint}',
            'Test folds': f'{count}: {listed}',
            'Members': _members(run),
            'Starts from': _source(dataset.get('starts_from')),
            'Features from': _source(dataset.get('features_from')),
            'Taught by': '; '.join(filter(None, map(_source, dataset.get('taught_by', ()))))
            or None,
            'Sound': (dataset.get('sound') or {}).get('features'),
            'Activity': (dataset.get('activity') or {}).get('features'),
        }
    )


def _source(chain: Mapping[str, Any] | None) -> str | None:
    """Describes the run that a run builds on, those before it in turn, and what was new."""
    if not chain:
        return None
    said = f'{chain["run"]} ({chain["config"]} on {chain["dataset"]}'
    said += ', simulated' * chain['simulated']
    said += f", layer '{chain['layer']}')" if 'layer' in chain else ')'
    if 'fresh' in chain:
        said += f'; fresh: {", ".join(chain["fresh"]) or "nothing"}'
    if 'share' in chain:
        said += f'; share of a target: {chain["share"]:g}'
    links = [
        ('started from', chain.get('starts_from')),
        ('learned from', chain.get('features_from')),
    ]
    links += [('was taught by', teacher) for teacher in chain.get('taught_by') or ()]
    for verb, link in links:
        if before := _source(link):
            said += f'; it {verb} {before}'
    return said


def _members(run: Run) -> str:
    """Counts the networks that were trained first, and says what became of them."""
    retrained = run.predictions.retrained
    first, diverged = int((~retrained).sum()), int((run.predictions.failed > 0).sum())
    again = ', each trained again on training and validation clips' * bool(retrained.any())
    lost = f', {diverged} of them diverged and left out' * bool(diverged)
    return f'{first} (folds × seeds){again}{lost}'
