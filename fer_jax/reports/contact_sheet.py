"""A prepared dataset on one page: sample faces of each class, counts, what was dropped, face sizes.

For people to look at before they train; the prepare command draws it where asked for a --report.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_jax import atomic
from fer_jax.data import prepared
from fer_jax.data.datasets.records import STORED_SIZE
from fer_jax.data.protocols import PARTS
from fer_jax.evaluation.rundir import SIMULATED
from fer_jax.evaluation.table import COUNT, Column, Table, csv_text
from fer_jax.reports import page
from fer_jax.reports.figures import COLOURS, Drawing, draw
from fer_jax.reports.plots import PANEL

SIDE, MARKED_SIDE = 88, 132  # pixels of a sample face, of one with box and landmarks
MOST_STILLS, MOST_FILMS = 14, 8  # samples of a class
MOST_FOUND = 10  # samples with box and landmarks
SMALL = 0.9  # of the median face: what the smallest faces must be below to be shown
QUALITY = 85  # of pictures, as JPEG
_LIGHT, _DARK = (255, 196, 0), (0, 0, 0)


@dataclasses.dataclass(frozen=True)
class _Clip:
    """The kept part of a record; `face` is the median side of its face box in stored pixels."""

    clip_id: str
    label: str
    subject: str
    split: str
    frames: int
    face: float


def write_sheet(
    name: str,
    *,
    data_dir: str | Path | None = None,
    faces: str = '',
    out: str | Path | None = None,
) -> Path:
    """Draws a prepared dataset's page and returns its path.

    Writes report.html, which needs nothing else, and figures/ (the histograms as SVG, every number
    as CSV) into `out`, by default the prepared dataset's own folder. They appear whole or not at
    all.

    Raises:
      UserError: not prepared, or an unknown dataset.
    """
    found = prepared.describe(name, data_dir, faces)
    clips = [_clip(record) for record in prepared.records(name, data_dir, faces)]
    clips.sort(key=lambda clip: clip.clip_id)
    stamps = () if found['simulated'] is None else (SIMULATED,)
    classes = next(iter(found['label_sets'].values()))
    groups = _groups(clips, classes, found['stored_margin'])
    chosen = {clip.clip_id for clips in groups.values() for clip in clips}
    pictures = {
        record['clip_id']: (_strip(record), _marked(record))
        for record in prepared.records(name, data_dir, faces)
        if record['clip_id'] in chosen
    }
    tables = _tables(clips, found, classes)
    drawings = _drawings(clips, found, stamps)
    files: dict[str, str | bytes] = {f'{t.name}.csv': t.csv(stamps) for t in tables.values()}
    for drawing in drawings:
        files |= {f'{drawing.name}.svg': drawing.svg, f'{drawing.name}.csv': drawing.csv}
    sections = [
        ('overview', 'Overview', _overview(clips, found)),
        ('faces', 'Faces', _faces(groups, pictures, stamps)),
        ('counts', 'Counts', _shown(tables, ('classes', 'label_sets', 'subjects'), stamps)),
        ('sizes', 'Sizes', page.pair(*(page.drawing(drawing, stamps) for drawing in drawings))),
        ('dropped', 'Left out', _shown(tables, ('reasons', 'dropped', 'faceless'), stamps)),
    ]
    people = f' of {found["subjects"]:,} subjects' if found['subjects'] else ''
    lead = f'{found["faces"]} · {len(clips):,} clips{people} · {found["frames"]:,} frames'
    text = page.page(f'{name}, as prepared', lead, stamps, sections)
    folder = prepared.location(name, data_dir, faces) if out is None else Path(out)
    return atomic.publish_page(folder, text, files)


def _clip(record: Mapping[str, Any]) -> _Clip:
    text = {key: record[key] for key in ('clip_id', 'label', 'subject', 'split')}
    box = record['box'][np.isfinite(record['box']).all(1)]
    sides = (box[:, 2:] - box[:, :2]).max(1)
    size = float(np.median(sides)) if len(sides) else float('nan')
    return _Clip(**text, frames=len(record['frames']), face=size)


def _groups(clips: list[_Clip], classes: Iterable[str], margin: float) -> dict[str, list[_Clip]]:
    """Chooses sample clips of each class, without a label, without a face, found and smallest.

    The groups 'found' and 'smallest' exist where the stored pictures reach beyond the face box
    (`margin` above 1).
    """
    rng = np.random.default_rng(0)
    films = any(clip.frames > 1 for clip in clips)
    most = MOST_FILMS if films else MOST_STILLS
    labels = {label: label for label in classes} | {'no label': ''}
    groups = {
        title: _spread([clip for clip in clips if clip.label == label], most, rng)
        for title, label in labels.items()
    }
    with_face = [clip for clip in clips if np.isfinite(clip.face)]
    groups['no face'] = _spread([c for c in clips if not np.isfinite(c.face)], most, rng)
    if margin <= 1:
        return groups
    groups['found'] = _spread(with_face, MOST_FOUND, rng)
    usual = np.median([clip.face for clip in with_face] or [0.0])
    small = [clip for clip in with_face if clip.face < SMALL * usual]
    groups['smallest'] = sorted(small, key=lambda clip: clip.face)[:MOST_FOUND]
    return groups


def _spread(clips: list[_Clip], most: int, rng: np.random.Generator) -> list[_Clip]:
    """Picks up to `most` clips at random, of as many subjects as there are."""
    shuffled = [clips[index] for index in rng.permutation(len(clips))]
    seen = collections.Counter()
    turns = []
    for clip in shuffled:
        turns.append(seen[clip.subject])
        seen[clip.subject] += 1
    order = sorted(range(len(shuffled)), key=turns.__getitem__)[:most]
    return sorted((shuffled[index] for index in order), key=lambda clip: clip.clip_id)


def _strip(record: Mapping[str, Any]) -> np.ndarray:
    """Joins the first, middle and last frame of a clip (a still once) side by side, uint8 RGB."""
    last = len(record['frames']) - 1
    return np.hstack([_small(record['frames'][i]) for i in sorted({0, last // 2, last})])


def _marked(record: Mapping[str, Any]) -> np.ndarray:
    """Draws a clip's middle frame with a face, with its box and landmarks, uint8 RGB."""
    known = np.flatnonzero(record['has_face'])
    index = known[len(known) // 2] if len(known) else 0
    picture = _small(record['frames'][index], MARKED_SIDE)
    scale = MARKED_SIDE / record['frames'].shape[1]
    # Light on dark is seen on skin, hair and paper alike. Radii are in sixteenths of a pixel.
    for colour, width, radius in ((_DARK, 3, 24), (_LIGHT, 1, 14)):
        if len(known):
            left, top, right, bottom = np.rint((record['box'][index] + 0.5) * scale).astype(int)
            cv2.rectangle(picture, (left, top), (right, bottom), colour, width, cv2.LINE_AA)
        for point in record.get('landmarks', np.empty((index + 1, 0, 2)))[index]:
            if np.isfinite(point).all():
                centre = np.rint(((point + 0.5) * scale - 0.5) * 16).astype(int)
                cv2.circle(picture, centre, radius, colour, -1, cv2.LINE_AA, 4)
    return picture


def _small(frame: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Resizes uint8 [S, S, C] to RGB [side, side, 3]."""
    method = cv2.INTER_AREA if len(frame) > side else cv2.INTER_LINEAR
    resized = cv2.resize(frame, (side, side), interpolation=method)
    return resized if resized.ndim == 3 else cv2.cvtColor(resized, cv2.COLOR_GRAY2RGB)


def _faces(
    groups: Mapping[str, list[_Clip]],
    pictures: Mapping[str, tuple[np.ndarray, np.ndarray]],
    stamps: Sequence[str],
) -> str:
    """Composes the galleries."""
    captions = {
        'no label': 'Clips without a label.',
        'no face': 'Clips in which no face was found, as stored: the middle of the picture.',
        'found': 'Where the face was found: box and landmarks on the middle frame of clips taken '
        'at random. What is shown is all that is stored.',
        'smallest': 'The smallest faces, where a wrong detection is likeliest, with the side of '
        'the box in stored pixels.',
    }
    films = any(clip.frames > 1 for clips in groups.values() for clip in clips)
    strips = 'first, middle and last frame of some clips' if films else 'some stills'
    html = ''
    for title, clips in groups.items():
        marked = title in ('found', 'smallest')
        shown = [(clip, pictures[clip.clip_id][marked]) for clip in clips]
        caption = captions.get(title, f'{title}: {strips}.')
        notes = {'found': lambda clip: clip.label, 'smallest': lambda clip: f'{clip.face:.0f} px'}
        html += _gallery(caption, shown, stamps, notes.get(title, lambda clip: ''))
    return html


def _gallery(
    caption: str,
    shown: Sequence[tuple[_Clip, np.ndarray]],
    stamps: Sequence[str],
    note: Callable[[_Clip], str],
) -> str:
    """Shows pictures in a grid, each with its clip and a note; '' where there are none."""
    if not shown:
        return ''
    items = []
    widest = max(picture.shape[1] for _, picture in shown)
    for clip, picture in shown:
        height, width = picture.shape[:2]
        alt = f'{clip.clip_id}: {clip.label or "no label"}'
        items.append(
            f'<li><img src="{page.embedded(picture, QUALITY)}" alt="{escape(alt)}" '
            f'style="aspect-ratio:{width}/{height};width:{100 * width / widest:.0f}%">'
            f'{escape(note(clip))} <span>{escape(clip.clip_id)}</span></li>'
        )
    cell = f'minmax(min(100%,{6 * widest / SIDE:g}rem),1fr)'
    return (
        f'<figure class="gallery"><figcaption>{page.mark(stamps)}{escape(caption)}</figcaption>'
        f'<ul class="faces" style="overflow-wrap:anywhere;'
        f'grid-template-columns:repeat(auto-fill,{cell})">'
        f'{"".join(items)}</ul></figure>'
    )


def _tables(
    clips: list[_Clip], found: Mapping[str, Any], classes: Sequence[str]
) -> dict[str, Table]:
    """Returns all tables by name, without empty ones."""
    labels = [*classes, ''] if any(not clip.label for clip in clips) else list(classes)
    titles = {label: label or 'no label' for label in labels}
    parts = [part for part in (*PARTS, '') if any(clip.split == part for clip in clips)]
    published = found['published_classes']
    rows = []
    for label in labels:
        own = [clip for clip in clips if clip.label == label]
        in_part = collections.Counter(clip.split for clip in own)
        people = len({clip.subject for clip in own} - {''})
        rows.append(
            {'class': titles[label], 'clips': len(own), 'published': published.get(label)}
            | {'subjects': people or None, 'frames': sum(clip.frames for clip in own)}
            | {f'in {part}': in_part[part] for part in parts}
        )
    columns = [Column('class', 'Class'), Column('clips', 'Clips', COUNT)]
    columns += [Column('published', 'Published', COUNT)] * bool(published)
    columns += [Column('subjects', 'Subjects', COUNT)] * bool(found['subjects'])
    columns.append(Column('frames', 'Frames', COUNT))
    if parts != ['']:
        columns += [Column(f'in {part}', f'In {part or "no part"}', COUNT) for part in parts]
    tables = [Table('classes', 'Clips of each class.', tuple(columns), rows)]

    sets = list(found['class_counts'].items())[1:]
    if sets:
        named = dict.fromkeys(label for _, counts in sets for label in counts)
        rows = [{'class': label} | {s: counts.get(label) for s, counts in sets} for label in named]
        columns = [Column('class', 'Class'), *(Column(s, s, COUNT) for s, _ in sets)]
        tables.append(Table('label_sets', 'Clips under other labels.', tuple(columns), rows))

    counts: dict[str, collections.Counter] = {}
    for clip in clips:
        counts.setdefault(clip.subject, collections.Counter())[clip.label] += 1
    if found['subjects']:
        columns = [Column('subject', 'Subject'), Column('clips', 'Clips', COUNT)]
        columns += [Column(f'class {label}', titles[label], COUNT) for label in labels]
        rows = [
            {'subject': subject or 'not named', 'clips': sum(own.values())}
            | {f'class {label}': own[label] for label in labels}
            for subject, own in sorted(counts.items())
        ]
        tables.append(Table('subjects', 'Clips of each subject.', tuple(columns), rows))
    return {table.name: table for table in (*tables, *_left_out(found))}


def _left_out(found: Mapping[str, Any]) -> list[Table]:
    """Tabulates what is not among the clips, and why; and what stays without a face."""
    tables, dropped = [], found['dropped']
    if dropped:
        reasons = collections.Counter(clip['reason'] for clip in dropped).most_common()
        columns = (Column('reason', 'Why'), Column('clips', 'Clips', COUNT))
        rows = [{'reason': reason, 'clips': count} for reason, count in reasons]
        caption = 'Clips left out, altogether or (where one is named) under a set of labels.'
        tables.append(Table('reasons', caption, columns, rows))
        columns = (Column('clip_id', 'Clip'), Column('path', 'File'), Column('reason', 'Why'))
        tables.append(Table('dropped', 'Each clip left out.', columns, dropped))
    partly = found['faceless_frames']
    rows = [{'clip_id': clip_id, 'frames': 'all'} for clip_id in found['faceless']]
    rows += [{'clip_id': clip_id, 'frames': str(count)} for clip_id, count in partly.items()]
    if rows:
        columns = (Column('clip_id', 'Clip'), Column('frames', 'Frames without a face'))
        caption = 'Clips with frames in which no face was found; they stay.'
        tables.append(Table('faceless', caption, columns, rows))
    return tables


def _shown(tables: Mapping[str, Table], names: Iterable[str], stamps: Sequence[str]) -> str:
    """Shows some tables, the long ones folded."""
    html = ''
    for name in names:
        if name in tables:
            title = f'{tables[name].caption} {len(tables[name].rows):,} rows'
            html += page.table_or_folded(tables, stamps, name, title)
    return html or '<p>None.</p>'


def _overview(clips: list[_Clip], found: Mapping[str, Any]) -> str:
    """Lists the facts, and where they are not the published ones."""
    lengths = [clip.frames for clip in clips]
    spread = f'{min(lengths)} to {max(lengths)} a clip, median {np.median(lengths):g}'
    way = found['faces'].removeprefix('faces-')
    detector = found['detector']
    html = page.facts(
        {
            'Faces': f'{way} ({detector["package"]})' if detector else way,
            'Frames': f'{found["frames"]:,}' + (f'; {spread}' if max(lengths) > 1 else ''),
            'With landmarks': f'{found["landmarked"]:,} frames'
            if found['landmarked']
            else 'none: registration goes by the face box',
            'Without a face': f'{len(found["faceless"]):,} clips; '
            f'{sum(found["faceless_frames"].values()):,} frames of others',
            'Left out': f'{sum(not clip["label_set"] for clip in found["dropped"]):,} clips',
            'Release': found['release'],
            'Fingerprint': found['fingerprint'],
        }
    )
    if found['differences']:
        items = ''.join(f'<li>{escape(line)}</li>' for line in found['differences'])
        html += f'<h3>Counts that are not the published ones</h3><ul>{items}</ul>'
    return html


def _drawings(clips: list[_Clip], found: Mapping[str, Any], stamps: Sequence[str]) -> list[Drawing]:
    """Draws histograms of face sizes, and of lengths where there are clips of several frames."""
    sizes = np.array([clip.face for clip in clips if np.isfinite(clip.face)])
    drawings = []
    if len(sizes):
        caption = 'Face sizes: the median side of each clip’s face box.'
        if found['stored_margin'] > 1:
            caption += (
                f' Stored pictures reach to {found["stored_margin"]:g} boxes, and larger ones'
            )
            caption += f' were reduced to {STORED_SIZE} pixels.'
        label = 'side of the face box (stored pixels)'
        drawings.append(_histogram('face_sizes', sizes, label, caption, stamps))
    lengths = np.array([clip.frames for clip in clips])
    if lengths.max() > 1:
        caption = 'Frames of each clip, before any are chosen.'
        drawings.append(_histogram('lengths', lengths, 'frames of a clip', caption, stamps))
    return drawings


def _histogram(
    name: str, values: np.ndarray, label: str, caption: str, stamps: Sequence[str]
) -> Drawing:
    """Draws how many clips have which value, in whole steps from 0."""
    step = max(1, int(np.ceil(values.max() / 25)))
    edges = np.arange(0, values.max() + 1.5 * step, step)
    counts, _ = np.histogram(values, edges)

    def paint(figure) -> None:
        axes = figure.subplots()
        axes.bar(edges[:-1], counts, step * 0.92, align='edge', color=COLOURS['blue'], lw=0)
        axes.axvline(np.median(values), color=COLOURS['ink'], lw=1, ls=(0, (4, 3)),
                     label=f'median {np.median(values):.0f}')  # fmt: skip
        axes.legend(loc='lower left', bbox_to_anchor=(-0.02, 1.01), borderaxespad=0)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis='x', visible=False)
        axes.set_xlabel(label)
        axes.set_ylabel('clips')

    rows = [edges[:-1], edges[1:], counts]
    csv = csv_text(['from', 'below', 'clips'], rows, stamps)
    return Drawing(name, caption, caption, draw(paint, size=PANEL, stamps=stamps), csv)
