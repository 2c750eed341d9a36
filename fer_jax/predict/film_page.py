"""film.html: the film beside a time line of everybody's probabilities, in one file.

Of a large film it has pictures in place of the film, and a link to the table beside it.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any
from urllib.parse import quote

import numpy as np

from fer_jax.predict import overlay, segments, summary
from fer_jax.predict.results import FilmResult
from fer_jax.predict.tracking import MISSED
from fer_jax.reports import page
from fer_jax.reports.figures import SERIES

# Bytes of a whole page.
LARGEST = 20_000_000
# Points of a person's time line, and the most frames that are shown in place of a film.
_POINTS, STILLS = 900, 48
# The table is in the page up to this size; a larger one is linked as a file beside it.
_TABLE = 2_000_000
_WIDTH, _HEIGHT = 1000.0, 90.0
# Of frames, as JPEG.
_QUALITY = 80


def changes(result: FilmResult, most: int = STILLS) -> list[float]:
    """Finds the seconds at which an expression has changed, spread over the film where many."""
    found = sorted({part.start for part in segments.segments(result)})
    if len(found) > most:
        found = [found[k] for k in np.linspace(0, len(found) - 1, most).round().astype(int)]
    return found


def text(
    name: str,
    result: FilmResult,
    about: Mapping[str, Any],
    *,
    film: bytes | None,
    stills: Sequence[tuple[float, np.ndarray]],
    table: bytes,
    base: str,
    stamps: Sequence[str] = (),
) -> str:
    """Composes the page.

    Args:
      name: the film's.
      about: what film.json says.
      film: the overlay as an MP4 file; None shows the stills.
      stills: seconds and uint8 [H, W, 3], where there is no film or it is too large.
      table: film.csv.
      base: what the names of the film's files begin with.
    """
    pictures = [(time, page.embedded(image, _QUALITY)) for time, image in stills]
    without = _page(name, result, about, None, pictures, table, base, stamps)
    if film is not None:
        with_film = _page(name, result, about, film, [], table, base, stamps)
        if len(with_film.encode()) <= LARGEST:
            return with_film
    return without


def _page(name, result, about, film, pictures, table, base, stamps) -> str:
    counted = summary.counts(result)
    lead = (
        f'{counted["frames"]} frames, {summary.people(counted["people"])}, {about["model"]["name"]}'
    )
    shown = _film(film) if film is not None else _stills(pictures)
    parts = [
        ('film', name, shown + _timeline(result) + f'<p class="note">{escape(page.NOTE)}</p>'),
        ('people', 'People', page.table(summary.tracks(result), stamps).replace(
            'figures/tracks.csv', quote(base + '.tracks.csv'))),
        ('frames', 'Frames', page.facts(counted) + _download(base, table)),
        ('made', 'How this was made', page.provenance(about, about['versions'])),
    ]  # fmt: skip
    if about.get('remarks'):
        remarks = ''.join(f'<li>{escape(line)}</li>' for line in about['remarks'])
        parts.insert(1, ('remarks', 'To know', f'<ul>{remarks}</ul>'))
    return page.page(name, lead, stamps, parts)


def _film(film: bytes) -> str:
    data = base64.b64encode(film).decode()
    return (
        '<video id="shown" controls playsinline style="display:block;width:100%;max-height:60vh;'
        'background:#000;border-radius:.4rem"></video>'
        f'<script type="application/octet-stream" id="film-data">{data}</script>'
    )


def _stills(pictures: Sequence[tuple[float, str]]) -> str:
    if not pictures:
        return '<p class="note">No face was found, so no frame is shown.</p>'
    items = ''.join(
        f'<img data-time="{time:.3f}" alt="Frame at {time:.2f} seconds" '
        f'src="{data}" '
        f'style="display:{"none" if k else "block"};max-width:100%;border-radius:.4rem">'
        for k, (time, data) in enumerate(pictures)
    )
    return (
        '<p class="note">The film is too large for this page, or was not drawn: the frames at '
        f'which an expression changes.</p><div id="stills" style="max-width:40rem">{items}</div>'
    )


def _timeline(result: FilmResult) -> str:
    """Draws a band a person: smoothed probabilities stacked over time."""
    if not len(result):
        return ''
    start, end = float(result.time.min()), float(result.time.max())
    end = end if end > start else start + 1
    keys = ''.join(
        f'<span style="white-space:nowrap"><i style="display:inline-block;width:.8em;height:.8em;'
        f'margin-right:.3em;background:var(--{_colour(k)})"></i>{escape(label)}</span>'
        for k, label in enumerate(result.classes)
    )
    bands = ''.join(_band(result, track, start, end) for track in result.people)
    script = resources.files('fer_jax.predict').joinpath('film_page.js').read_text('utf-8')
    return (
        f'<div id="line" data-start="{start:.4f}" data-end="{end:.4f}" style="margin-top:1rem">'
        f'<p class="note" style="display:flex;flex-wrap:wrap;gap:.2rem 1rem;max-width:none">{keys}'
        f'</p>{bands}{_ticks(start, end)}<p class="note" id="at" aria-live="polite"></p>'
        f'</div><script type="module">{script}</script>'
    )


def _ticks(start: float, end: float) -> str:
    """Draws the time below the bands, at round numbers."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
    step = next((s for s in steps if (end - start) / s <= 10), steps[-1])
    first = math.ceil(start / step - 1e-9)
    marks = ''.join(
        f'<span style="position:absolute;left:{100 * (k * step - start) / (end - start):.2f}%;'
        f'translate:-50%">{_clock(k * step, step)}</span>'
        for k in range(first, math.floor(end / step + 1e-9) + 1)
    )
    return (
        '<div class="note" aria-hidden="true" style="position:relative;height:1.4em;'
        f'margin-bottom:.4rem">{marks}</div>'
    )


def _clock(seconds: float, step: float) -> str:
    if step < 1:
        return f'{seconds:.1f}'
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{rest:02}' if hours else f'{minutes}:{rest:02}'


def _colour(k: int) -> str:
    return SERIES[k % len(SERIES)]


def _band(result: FilmResult, track: int, start: float, end: float) -> str:
    rows = np.flatnonzero((result.track == track) & np.isfinite(result.smoothed[:, 0]))
    shapes = []
    for part in _runs(result, rows):
        part = part[np.linspace(0, len(part) - 1, min(len(part), _POINTS)).round().astype(int)]
        x = (result.time[part] - start) / (end - start) * _WIDTH
        total = np.concatenate([np.zeros((len(part), 1)), result.smoothed[part].cumsum(1)], 1)
        y = _HEIGHT * (1 - np.minimum(total, 1))
        if len(part) == 1:  # a single frame is a line as wide as one
            x, y = np.repeat(x, 2) + (0, 1.5), np.repeat(y, 2, 0)
        for k in range(len(result.classes)):
            points = [*zip(x, y[:, k], strict=True), *zip(x[::-1], y[::-1, k + 1], strict=True)]
            path = ' '.join(f'{a:.1f},{b:.1f}' for a, b in points)
            shapes.append(f'<polygon points="{path}" fill="var(--{_colour(k)})"/>')
    times = json.dumps([round(float(t), 3) for t in _thin(result.time[rows])])
    labels = json.dumps([int(k) for k in _thin(result.label[rows])])
    shares = json.dumps(
        [round(float(p), 2) for p in _thin(np.nan_to_num(result.smoothed[rows]).max(1))]
    )
    red, green, blue = overlay.colour(track - 1)
    return (
        f'<figure data-times="{times}" data-labels="{labels}" data-shares="{shares}" '
        f'data-names="{escape(json.dumps(result.classes))}" style="margin:0 0 .6rem">'
        f'<figcaption><b style="color:rgb({red} {green} {blue})">■</b> person {track} '
        '<output></output></figcaption>'
        f'<svg class="band" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none" '
        f'role="img" tabindex="0" aria-label="Probabilities of person {track} over time" '
        'style="display:block;width:100%;height:4.5rem;cursor:pointer;background:var(--grid)">'
        f'{"".join(shapes)}<line class="now" y1="0" y2="{_HEIGHT:.0f}" x1="0" x2="0" '
        'stroke="var(--ink)" stroke-width="2" vector-effect="non-scaling-stroke"/></svg></figure>'
    )


def _runs(result: FilmResult, rows: np.ndarray) -> list[np.ndarray]:
    """Splits the rows of one person where the face was gone for half a second and for a look."""
    if not len(rows):
        return []
    broken = max(0.5, MISSED * result.step)
    return np.split(rows, np.flatnonzero(np.diff(result.time[rows]) > broken) + 1)


def _thin(values: np.ndarray) -> np.ndarray:
    if len(values) <= _POINTS:
        return values
    return values[np.linspace(0, len(values) - 1, _POINTS).round().astype(int)]


def _download(base: str, table: bytes) -> str:
    """Links to the table: in the page where it is small."""
    file = escape(f'{base}.csv')
    if len(table) > _TABLE:
        return f'<p><a href="{quote(base + ".csv")}">{file}</a>, beside this page</p>'
    data = base64.b64encode(table).decode()
    return f'<p><a download="{file}" href="data:text/csv;base64,{data}">Download {file}</a></p>'
