"""The leak audit for people: as text, and as one page with pictures of the pairs.

The page shows faces of the audited dataset, because whoever has the dataset needs to see them. It
is for the desk only: do not publish it where the dataset's licence forbids showing faces.
"""

import functools
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from fer_jax import atomic
from fer_jax.data import similarity
from fer_jax.evaluation import audit
from fer_jax.evaluation.audit import Audit, Pair
from fer_jax.evaluation.table import COUNT, Table
from fer_jax.reports import figures, page, plots
from fer_jax.reports.figures import COLOURS, Drawing

# Pictures of each kind on the page, and rows of a table there; the CSV has all.
MOST = 24
MOST_ROWS = 200

KEEP = (
    'This page shows faces of the dataset. Keep it to those who may see the dataset; do not '
    'publish it.'
)


def text(examined: Audit) -> str:
    """Formats the findings for a terminal."""
    lines = [*examined.stamps, _about(examined)]
    for table in (audit.findings(examined), audit.crossings(examined), audit.balance(examined)):
        if table.rows:
            lines += ['', *_aligned(table)]
    return '\n'.join(lines)


def _about(examined: Audit) -> str:
    clips, folds = examined.clips, len(examined.folds)
    subjects = len(set(clips.subject.tolist()) - {''}) or 'unknown'
    return (
        f'{clips.name}: {len(clips):,} clips of {subjects} subjects, {len(clips.classes)} classes; '
        f'{examined.protocol.name}: {folds} of {len(examined.protocol.folds)} folds'
    )


def _aligned(table: Table) -> list[str]:
    """Formats a table as lines: numbers to the right, text to the left."""
    columns = [column for column in table.columns if column.shown]
    cells = [[column.title for column in columns]]
    for row in table.rows:
        values = [row[column.key] for column in columns]
        cells.append(
            [
                '-' if value is None else f'{value:,}' if column.kind == COUNT else str(value)
                for column, value in zip(columns, values, strict=True)
            ]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        '  '.join(
            cell.rjust(width) if column.kind == COUNT else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in cells
    ]


def write(examined: Audit, facts: Mapping[str, str], out: Path | str) -> Path:
    """Writes report.html and figures/ (every table as CSV) into `out`; returns the page's path.

    Args:
      facts: what repeats the audit: the command, the data's fingerprint.
    """
    stamps = examined.stamps
    found = audit.pairs(examined)
    tables = {
        table.name: table
        for table in (
            audit.findings(examined),
            audit.crossings(examined),
            audit.subjects(examined),
            audit.similar(examined, found),
            audit.conflicts(examined),
            audit.made(examined),
            audit.balance(examined),
        )
        if table is not None and table.rows
    }
    files: dict[str, str | bytes] = {f'{t.name}.csv': t.csv(stamps) for t in tables.values()}
    drawing = _balance(examined, tables['class_balance'].csv(stamps))
    files |= {f'{drawing.name}.svg': drawing.svg, f'{drawing.name}.csv': drawing.csv}

    cut = {name: _cut(table) for name, table in tables.items()}
    table = functools.partial(page.table_or_folded, cut, stamps)

    refusal = f'<p><b>A run refuses these folds:</b> {escape(examined.refusal)}</p>'
    sections = [
        (
            'findings',
            'Findings',
            refusal * bool(examined.refusal) + table('findings') + table('crossings')
            + table('shared_subjects', 'Subjects in two parts'),
        ),
        (
            'pictures',
            'Pairs',
            _galleries(examined, found) + table('similar_clips', f'{len(found):,} pairs'),
        ),
        ('labels', 'Labels', _conflicts(examined) + table('label_conflicts', 'The groups')),
        ('training', 'Made of clips', table('made_from_clips', 'Fold by fold')),
        ('balance', 'Classes', page.pair(page.drawing(drawing, stamps), table('class_balance'))),
        ('how', 'How it was looked for', page.facts({**facts, **_method()})),
    ]  # fmt: skip
    sections = [section for section in sections if section[2]]
    title = f'Leak audit of {examined.clips.name}, {examined.protocol.name}'
    return atomic.publish_page(out, page.page(title, _about(examined), stamps, sections), files)


def _method() -> dict[str, str]:
    return {
        'Identical': 'all frames of two clips agree, pixel by pixel',
        'Nearly identical': (
            f'at most {similarity.NEAR} of {similarity.BITS} bits differ between the perceptual '
            'hashes of a frame of one and a frame of the other (signs of the lowest frequencies '
            'of the discrete cosine transform). A few such pairs are two people or two moments: '
            'look at them'
        ),
        'Mirrored': 'nearly identical once one of them is flipped left to right',
        'Parts': 'each clip is shown with the one clip of the other part that is most like it',
    }


def _cut(table: Table) -> Table:
    """Keeps the first rows of a long table; its caption says so."""
    if len(table.rows) <= MOST_ROWS:
        return table
    caption = f'{table.caption} The first {MOST_ROWS} of {len(table.rows):,}; all are in the file.'
    return Table(table.name, caption, table.columns, table.rows[:MOST_ROWS])


def _balance(examined: Audit, csv: str) -> Drawing:
    """Draws the share of each class in each part."""
    shares, names = audit.shares(examined), examined.clips.classes
    height = 0.8 / len(shares)

    def paint(figure) -> None:
        axes = figure.subplots()
        for place, (part, share) in enumerate(shares.items()):
            rows = np.arange(len(names)) + (place - (len(shares) - 1) / 2) * height
            colour = COLOURS[plots.PART_COLOURS[part]]
            axes.barh(rows, 100 * share, 0.85 * height, color=colour, label=audit.TITLES[part])
        axes.set_yticks(range(len(names)), names, color=COLOURS['ink'])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel('share of the part (%)')
        axes.grid(axis='y', visible=False)
        axes.spines['left'].set_visible(False)
        axes.legend(loc='lower right', bbox_to_anchor=(1, 1), ncols=len(shares), borderaxespad=0.2)

    return Drawing(
        'class_shares',
        'Share of each class in each part',
        'Share of each class in each part' + ', all folds together' * (len(examined.folds) > 1)
        + '.',
        figures.draw(paint, size=plots.PANEL, stamps=examined.stamps),
        csv,
    )  # fmt: skip


def _galleries(examined: Audit, found: Sequence[Pair]) -> str:
    """Shows pictures of the pairs, kind after kind."""
    html = ''
    for kind, name in audit.KINDS.items():
        pairs = sorted((p for p in found if p.kind == kind), key=lambda p: (p.distance, p.clip))
        # Over the whole range of distances: the farthest ones tell what the threshold lets through.
        chosen = np.unique(np.linspace(0, len(pairs) - 1, min(MOST, len(pairs))).astype(int))
        items = [_pair(examined, pairs[i]) for i in chosen]
        said = f'{len(pairs):,} pairs' if len(items) == len(pairs) else (
            f'{len(items)} of {len(pairs):,} pairs'
        )  # fmt: skip
        if items:
            caption = f'{name.capitalize()}: {said}. Outlined: the labels differ.'
            html += _gallery(items, caption, 'similar_clips', examined.stamps)
    return html or '<p>No clip of one part is like a clip of another.</p>'


def _pair(examined: Audit, pair: Pair) -> str:
    clips = examined.clips
    one, other = clips.frames[pair.clip, pair.frame], clips.frames[pair.source, pair.source_frame]
    labels = [audit.label_of(clips, index) for index in (pair.clip, pair.source)]
    ids = f'{clips.clip_id[pair.clip]} and {clips.clip_id[pair.source]}'
    between = f'{audit.TITLES[pair.part]} · {audit.TITLES[pair.source_part]}'
    bits = f', {pair.distance} bits' if pair.kind != similarity.IDENTICAL else ''
    shown = escape(' · '.join(dict.fromkeys(labels)))
    said = f'<b>{shown}</b> <span>{escape(between)}{bits}</span>'
    return _item([one, other], ids, said, labels[0] != labels[1])


def _conflicts(examined: Audit) -> str:
    """Shows a picture of each group of identical clips with more than one label."""
    clips, items = examined.clips, []
    groups = list(audit.conflicting(examined))
    for members in groups[:MOST]:
        labels = [audit.label_of(clips, index) for index in members]
        counts = {label: labels.count(label) for label in dict.fromkeys(labels)}
        said = ' · '.join(f'{n} {label}' for label, n in counts.items())
        last = clips.frames[members[0], clips.length[members[0]] - 1]
        items.append(_item([last], ' '.join(clips.clip_id[members]), f'<b>{escape(said)}</b>'))
    if not items:
        return '<p>Identical clips always carry one label.</p>'
    shown = '' if len(items) == len(groups) else f' ({len(items)} shown)'
    caption = f'{len(groups)} groups of identical clips with more than one label{shown}.'
    return _gallery(items, caption, 'label_conflicts', examined.stamps, width=7)


def _item(frames: Sequence[np.ndarray], ids: str, said: str, outlined: bool = False) -> str:
    """Shows frames uint8 [H, W, C] side by side as one picture, with a caption below it."""
    gap = np.full((len(frames[0]), max(1, frames[0].shape[1] // 24), frames[0].shape[2]), 255)
    row = [part for frame in frames for part in (gap.astype(np.uint8), frame)][1:]
    picture = np.concatenate(row, axis=1)
    picture = picture[:, :, 0] if picture.shape[2] == 1 else picture
    return (
        f'<li class="{"wrong" if outlined else "right"}">'
        f'<img style="aspect-ratio:auto" src="{page.embedded(picture)}" alt="{escape(ids)}" '
        f'title="{escape(ids)}">{said}</li>'
    )


def _gallery(
    items: Sequence[str], caption: str, csv: str, stamps: Sequence[str], width: int = 9
) -> str:
    columns = f'grid-template-columns:repeat(auto-fill,minmax({width}rem,1fr))'
    return (
        f'<figure class="gallery"><figcaption>{page.mark(stamps)}{escape(caption)} '
        f'<a href="figures/{csv}.csv">csv</a></figcaption>'
        f'<ul class="faces" style="{columns}">{"".join(items)}</ul></figure>'
    )
