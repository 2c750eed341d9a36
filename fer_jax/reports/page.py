"""The parts of a self-contained HTML page: styles and script inline, tables, drawings, faces.

Nothing here knows what a run is; fer_jax.reports.run_page composes the pages.
"""

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import Any

import numpy as np

import fer_jax
from fer_jax.evaluation.table import (
    INTERVALS,
    TEXT,
    Column,
    Table,
    show,
)
from fer_jax.reports import figures, samples
from fer_jax.reports.figures import Drawing

# What a prediction means and where it must not be used: on pages, tables and model cards.
NOTE = (
    'The labels say how people would name the expression in a picture, not what a person feels. '
    "The European Union's AI Act, Article 5(1)(f), forbids inferring emotions at work and in "
    'education, except for medical or safety reasons. This is general information, no legal advice.'
)
# Longer tables scroll within the page, and still longer ones are folded.
TALL, OPEN_ROWS = 16, 20
# Longer text wraps within its cell, shorter never does.
LONG, SHORT = 40, 17


@cache
def _resource(name: str) -> str:
    return resources.files('fer_jax.reports').joinpath(name).read_text(encoding='utf-8')


def page(
    title: str, lead: str, stamps: Sequence[str], sections: Sequence[tuple[str, str, str]]
) -> str:
    """Composes a whole page.

    Args:
      title, lead: plain text.
      stamps: shown as a banner above everything.
      sections: (id, title, HTML of the content); the first is shown without its title.
    """
    banner = f'<p class="stamp" role="note">{escape(" · ".join(stamps))}</p>' if stamps else ''
    links = ''.join(f'<a href="#{name}">{escape(text)}</a>' for name, text, _ in sections[1:])
    parts = []
    for index, (name, text, content) in enumerate(sections):
        heading = f'<h2>{escape(text)}</h2>' if index else ''
        parts.append(
            f'<section id="{name}" aria-label="{escape(text)}">{heading}{content}</section>'
        )
    body = '\n'.join(parts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="fer_jax {fer_jax.__version__}">
<link rel="icon" href="data:,">
<title>{escape(title)}{escape(' · ' + ' · '.join(stamps)) if stamps else ''}</title>
<style>
{_resource('page.css')}</style>
</head>
<body>
<header>{banner}<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>
<nav aria-label="Sections">{links}</nav></header>
<main>
{body}
</main>
<footer><p>Drawn by fer_jax {fer_jax.__version__} from saved files alone.</p></footer>
<script>
{_resource('page.js')}</script>
</body>
</html>
"""


def mark(stamps: Sequence[str]) -> str:
    """Returns the stamps before a caption."""
    return f'<span class="mark">{escape(" · ".join(stamps))}</span> ' if stamps else ''


def table(value: Table, stamps: Sequence[str]) -> str:
    """Shows a sortable table that scrolls sideways where it must."""
    columns = [column for column in value.columns if column.shown]
    head = ''.join(
        f'<th scope="col" class="{column.kind}" data-kind="{column.kind}">'
        f'<button type="button">{escape(column.title)}</button></th>'
        for column in columns
    )
    rows = []
    for index, row in enumerate(value.rows):
        cells = ''.join(_cell(column, row[column.key]) for column in columns)
        strong = ' class="strong"' if index in value.strong else ''
        rows.append(f'<tr{strong}>{cells}</tr>')
    tall = ' tall' if len(value.rows) > TALL else ''
    return (
        f'<figure class="tabled" id="table-{value.name}"><figcaption id="caption-{value.name}">'
        f'{mark(stamps)}{escape(value.caption)} {_csv_link(value.name)}</figcaption>'
        f'<div class="scroll{tall}" tabindex="0" role="group" '
        f'aria-labelledby="caption-{value.name}">'
        f'<table data-sortable aria-labelledby="caption-{value.name}">'
        f'<thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></figure>'
    )


def table_or_folded(
    tables: Mapping[str, Table], stamps: Sequence[str], name: str, title: str = ''
) -> str:
    """Shows one of the tables, behind the title where it is long; '' where it is not there."""
    if name not in tables:
        return ''
    html = table(tables[name], stamps)
    return folded(title, html) if len(tables[name].rows) > OPEN_ROWS else html


def _csv_link(name: str) -> str:
    return f'<a href="figures/{name}.csv">csv</a>'


def _cell(column: Column, value: Any) -> str:
    sort = value[0] if column.kind in INTERVALS and value is not None else value
    missing = value is None or value != value  # NaN is not equal to itself
    sort = '' if missing else sort
    size = ''
    if column.kind == TEXT:
        size = ' long' if len(str(value)) > LONG else ' short' * (len(str(value)) < SHORT)
    shown = '–' if missing else escape(show(column.kind, value))
    return f'<td class="{column.kind}{size}" data-value="{escape(str(sort))}">{shown}</td>'


def drawing(value: Drawing, stamps: Sequence[str]) -> str:
    """Shows a figure with its caption."""
    return (
        f'<figure class="drawing" id="figure-{value.name}">{figures.inline(value)}'
        f'<figcaption>{mark(stamps)}{escape(value.caption)} {_csv_link(value.name)}</figcaption>'
        '</figure>'
    )


def pair(*parts: str) -> str:
    """Puts parts side by side where the page is wide enough."""
    return f'<div class="pair">{"".join(parts)}</div>'


def faces(values: Iterable[samples.Face], caption: str, stamps: Sequence[str]) -> str:
    """Shows faces in a grid, each with its class, the prediction and its probability."""
    items = []
    for face in values:
        said = f'<b>{escape(face.true)}</b>'
        if not face.right:
            said += f' → {escape(face.predicted)}'
        alt = f'{face.clip_id}: {face.true}, predicted {face.predicted}'
        items.append(
            f'<li class="{"right" if face.right else "wrong"}">'
            f'<img src="{embedded(face.frame)}" alt="{escape(alt)}" '
            f'title="{escape(face.clip_id)}">'
            f'{said} <span>{face.probability:.2f}</span></li>'
        )
    return (
        f'<figure class="gallery"><figcaption>{mark(stamps)}{escape(caption)} '
        f'{_csv_link("samples")}</figcaption><ul class="faces">{"".join(items)}</ul></figure>'
    )


def embedded(picture: np.ndarray, quality: int | None = None) -> str:
    """Encodes a picture uint8 [H, W] or [H, W, 3] as an address that holds it.

    Args:
      quality: of JPEG; None for PNG.
    """
    from PIL import Image

    kind = 'png' if quality is None else 'jpeg'
    options: dict[str, Any] = {'optimize': True} if quality is None else {'quality': quality}
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return f'data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}'


def facts(values: Mapping[str, Any]) -> str:
    """Lists names and plain-text values; None is left out."""
    shown = ((key, value) for key, value in values.items() if value is not None)
    items = ''.join(f'<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>' for k, v in shown)
    return f'<dl class="facts">{items}</dl>'


def folded(title: str, content: str) -> str:
    """Puts content behind a title, closed at first."""
    return f'<details><summary>{escape(title)}</summary>{content}</details>'


def code(text: str) -> str:
    """Shows preformatted text."""
    return f'<pre>{escape(text)}</pre>'


def provenance(
    settings: Mapping[str, Any], versions: Mapping[str, Any], title: str = 'Settings'
) -> str:
    """Shows the command and, folded, the settings and the versions (which may hold the command)."""
    shown = {key: value for key, value in versions.items() if key != 'command'}
    command = versions.get('command')
    html = f'<h3>Command</h3>{code(command)}' if command else ''
    for name, value in ((title, settings), ('Versions', shown)):
        html += folded(name, code(json.dumps(value, indent=2, ensure_ascii=False)))
    return html
