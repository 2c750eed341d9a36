"""Stretches of expressions as files for tools with which people code behaviour."""

import json
import math
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

from fer_jax.predict.camera import Camera
from fer_jax.predict.films import Film
from fer_jax.predict.segments import Segment


def elan(film: Film | Camera, parts: Sequence[Segment], classes: Sequence[str]) -> str:
    """Writes an ELAN document (EAF 3.0): a tier a person, an annotation a stretch, times in ms."""
    document = ElementTree.Element(
        'ANNOTATION_DOCUMENT',
        {
            'AUTHOR': 'fer_jax',
            'DATE': '1970-01-01T00:00:00+00:00',  # the same film gives the same bytes
            'FORMAT': '3.0',
            'VERSION': '3.0',
            'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
            'xsi:noNamespaceSchemaLocation': 'http://www.mpi.nl/tools/elan/EAFv3.0.xsd',
        },
    )
    header = ElementTree.SubElement(
        document, 'HEADER', {'MEDIA_FILE': '', 'TIME_UNITS': 'milliseconds'}
    )
    ElementTree.SubElement(
        header,
        'MEDIA_DESCRIPTOR',
        {
            'MEDIA_URL': film.path.resolve().as_uri(),
            'MIME_TYPE': 'video/mp4' if film.path.suffix.lower() == '.mp4' else 'video/*',
            'RELATIVE_MEDIA_URL': f'./{film.path.name}',
        },
    )
    order = ElementTree.SubElement(document, 'TIME_ORDER')
    tiers: dict[int, ElementTree.Element] = {}
    for number, part in enumerate(parts, 1):
        slots = []
        for k, seconds in enumerate((part.start, part.end)):
            slots.append(f'ts{2 * number - 1 + k}')
            ElementTree.SubElement(
                order,
                'TIME_SLOT',
                {'TIME_SLOT_ID': slots[-1], 'TIME_VALUE': str(round(1000 * seconds))},
            )
        if part.track not in tiers:
            tiers[part.track] = ElementTree.Element(
                'TIER',
                {
                    'TIER_ID': f'person {part.track}',
                    'PARTICIPANT': f'person {part.track}',
                    'LINGUISTIC_TYPE_REF': 'expression',
                },
            )
        outer = ElementTree.SubElement(tiers[part.track], 'ANNOTATION')
        inner = ElementTree.SubElement(
            outer,
            'ALIGNABLE_ANNOTATION',
            {
                'ANNOTATION_ID': f'a{number}',
                'TIME_SLOT_REF1': slots[0],
                'TIME_SLOT_REF2': slots[1],
            },
        )
        ElementTree.SubElement(inner, 'ANNOTATION_VALUE').text = part.label
    document.extend(tiers.values())
    ElementTree.SubElement(
        document,
        'LINGUISTIC_TYPE',
        {
            'LINGUISTIC_TYPE_ID': 'expression',
            'TIME_ALIGNABLE': 'true',
            'GRAPHIC_REFERENCES': 'false',
        },
    )
    ElementTree.indent(document)
    body = ElementTree.tostring(document, encoding='unicode')
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def boris(film: Film | Camera, parts: Sequence[Segment], classes: Sequence[str]) -> str:
    """Writes a BORIS project: a subject a person, a state event an expression."""
    people = sorted({part.track for part in parts})
    events = []
    for part in parts:
        for seconds in (part.start, part.end):
            events.append([round(seconds, 3), f'person {part.track}', part.label, '', ''])
    events.sort(key=lambda event: (event[0], event[1]))
    seconds = film.seconds if math.isfinite(film.seconds) else 0.0
    project = {
        'time_format': 'hh:mm:ss',
        'project_date': '1970-01-01T00:00:00',
        'project_name': film.path.stem,
        'project_description': 'Predicted by fer_jax: how people would name the expressions.',
        'project_format_version': '7.0',
        'subjects_conf': {
            str(k): {
                'key': '',
                'name': f'person {track}',
                'description': '',
                'independent variables': {},
            }
            for k, track in enumerate(people)
        },
        'behaviors_conf': {
            str(k): {
                'type': 'State event',
                'key': '',
                'code': name,
                'description': '',
                'category': '',
                'modifiers': '',
                'excluded': ','.join(other for other in classes if other != name),
                'coding map': '',
            }
            for k, name in enumerate(classes)
        },
        'behavioral_categories': [],
        'independent_variables': {},
        'coding_map': {},
        'behaviors_coding_map': [],
        'converters': {},
        'observations': {
            film.path.stem: {
                'file': {'1': [film.path.name], **{str(k): [] for k in range(2, 9)}},
                'type': 'MEDIA',
                'date': '1970-01-01T00:00:00',
                'description': '',
                'time offset': 0,
                'events': events,
                'independent_variables': {},
                'observation time interval': [0, 0],
                'visualize_spectrogram': False,
                'close_behaviors_between_videos': False,
                'media_info': {
                    'length': {film.path.name: seconds},
                    'fps': {film.path.name: film.rate},
                    'hasVideo': {film.path.name: True},
                    'hasAudio': {film.path.name: film.has_sound},
                    'offset': {'1': 0.0},
                },
            }
        },
    }
    return json.dumps(project, indent=1, ensure_ascii=False) + '\n'


def webvtt(film: Film | Camera, parts: Sequence[Segment], classes: Sequence[str]) -> str:
    """Writes subtitles: who shows what, with the person as the voice."""
    lines = ['WEBVTT', '']
    for part in sorted(parts, key=lambda part: (part.start, part.track)):
        lines += [
            f'{_clock(part.start)} --> {_clock(part.end)}',
            f'<v person {part.track}>{_escaped(part.label)}',
            '',
        ]
    return '\n'.join(lines)


def _clock(seconds: float) -> str:
    total = round(1000 * seconds)
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f'{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}'


def _escaped(text: str) -> str:
    return text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')


# --events -> the ending of its file and what writes it.
Writer = Callable[[Film | Camera, Sequence[Segment], Sequence[str]], str]
FORMATS: dict[str, tuple[str, Writer]] = {
    'elan': ('.eaf', elan),
    'boris': ('.boris', boris),
    'webvtt': ('.vtt', webvtt),
}
