"""Fold files: a protocol's folds as JSON of clip ids, which laboratories can exchange.

    {"protocol": "idstep10", "subject_disjoint": true, "repeats": 1, "stamps": [],
     "subjects": {clip_id: subject, ...},
     "folds": [{"train": [clip_id, ...], "validation": [...], "test": [...]}, ...]}

'repeats', 'stamps' and 'subjects' may be left out. Each fold divides all clips of the dataset that
have a label.
"""

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import PARTS, Fold, Protocol, shorten
from fer_jax.errors import UserError


def to_json(protocol: Protocol, clips: ClipSet, stamps: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the folds as clip ids: the document of folds.json, which other laboratories can read.

    Args:
      stamps: what the leak check found that every report must state.
    """
    document = {
        'protocol': protocol.name,
        'subject_disjoint': protocol.subject_disjoint,
        'repeats': protocol.repeats,
        'stamps': list(stamps),
    }
    pairs = zip(clips.clip_id.tolist(), clips.subject.tolist(), strict=True)
    if subjects := {clip: subject for clip, subject in pairs if subject}:
        document['subjects'] = subjects
    document['folds'] = [
        {part: [str(clip) for clip in clips.clip_id[getattr(fold, part)]] for part in PARTS}
        for fold in protocol.folds
    ]
    return document


def digest(path: str | Path) -> str:
    """Computes the SHA-256 of a fold file's content in hexadecimal digits (as sha256sum prints it).

    Raises:
      UserError: the file cannot be read.
    """
    return hashlib.sha256(_content(path)).hexdigest()


def read(path: str | Path, clips: ClipSet, sha256: str = '') -> Protocol:
    """Reads a fold file: what `to_json` gives, by this or another laboratory.

    Args:
      sha256: the content's `digest` that is expected; '' for any.

    Raises:
      UserError: unreadable, other content than expected, not JSON, or as for `from_json`.
    """
    content = _content(path)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f'{path}: its content is not that of protocol.sha256; give the file again')
    try:
        document = json.loads(content.decode('utf-8-sig'))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f'{path} is not JSON ({error}): fer_jax.protocol writes such a file'
        ) from error
    return from_json(document, clips, str(path))


def _content(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f'{path}: {error.strerror}; protocol.file names a JSON that fer_jax.protocol wrote'
        ) from error


def from_json(document: Any, clips: ClipSet, source: str) -> Protocol:
    """Builds the protocol that a fold file's document describes.

    Args:
      document: parsed JSON.
      source: the file's name, for messages.

    Raises:
      UserError: not such a document, a clip that the dataset does not have, one of the dataset's
        that a fold leaves out, one that it names twice or in two parts, one without a label, or a
        clip whose subject is not the dataset's.
    """
    keys = {'protocol': str, 'subject_disjoint': bool, 'folds': list}
    document = document if isinstance(document, Mapping) else {}
    for key, kind in keys.items():
        if not isinstance(document.get(key), kind):
            raise UserError(f"{source}: '{key}' must be there and a {kind.__name__}")
    repeats = document.get('repeats', 1)
    if not document['folds'] or type(repeats) is not int or repeats < 1:
        raise UserError(
            f"{source}: 'folds' must not be empty, 'repeats' must be a whole number from 1 on"
        )
    name, disjoint = document['protocol'], document['subject_disjoint']
    if re.fullmatch(r'(idstep|balanced)\d+|loso', name) and not disjoint:
        raise UserError(
            f"{source}: {name} keeps subjects apart, but 'subject_disjoint' is false; give these "
            'folds another name'
        )
    index = {str(clip): i for i, clip in enumerate(clips.clip_id)}
    _check_known_subjects(document.get('subjects', {}), clips, index, source)
    folds = []
    for number, entry in enumerate(document['folds']):
        where = f'{source}, fold {number}'
        known = isinstance(entry, Mapping)
        lists: list[Any] = [entry.get(part) for part in PARTS] if known else [None]
        if not all(isinstance(ids, list) for ids in lists):
            raise UserError(f'{where}: needs lists of clip ids under {", ".join(PARTS)}')
        parts = [[str(clip) for clip in ids] for ids in lists]
        _check_parts(dict(zip(PARTS, parts, strict=True)), clips, where)
        folds.append(Fold(*(np.sort(np.array([index[c] for c in ids], int)) for ids in parts)))
    tested = np.bincount(np.concatenate([fold.test for fold in folds]), minlength=1)
    # Draws at random may test no clip twice; folds that divide all clips, repeated, test each.
    once = repeats > 1 and tested.max() == 1 and (disjoint or len(folds) > repeats)
    if len(folds) % repeats or once:
        raise UserError(
            f"{source}: 'repeats' is {repeats}, but there are {len(folds)} folds, and a clip is "
            f'tested in {tested.max()} of them at most; correct it'
        )
    return Protocol(name, disjoint, tuple(folds), repeats)


def _check_known_subjects(
    subjects: Any, clips: ClipSet, index: Mapping[str, int], source: str
) -> None:
    """Refuses a table {clip: subject} that is not the dataset's."""
    if not isinstance(subjects, Mapping):
        raise UserError(f"{source}: 'subjects' must map clip ids to subjects")
    wrong = [
        f'{clip} (there {subject}, here {clips.subject[index[clip]] or "unknown"})'
        for clip, subject in subjects.items()
        if clip in index and clips.subject[index[clip]] != str(subject)
    ]
    if wrong:
        raise UserError(
            f'{source}: other subjects than in {clips.name} as it was prepared: {shorten(wrong)}'
        )


def _check_parts(parts: Mapping[str, Sequence[str]], clips: ClipSet, where: str) -> None:
    """Refuses parts {part: clip ids} of a fold that do not divide the clips that have a label."""
    for part, ids in parts.items():
        if twice := sorted(clip for clip, count in Counter(ids).items() if count > 1):
            raise UserError(f'{where}: {shorten(twice)} more than once under {part}')
    for (one, ids), (other, others) in itertools.combinations(parts.items(), 2):
        if both := sorted(set(ids) & set(others)):
            raise UserError(
                f'{where}: {shorten(both)} under {one} and under {other}; a clip may be in one '
                'part only'
            )
    named = set().union(*parts.values())
    labelled, others = (
        set(clips.clip_id[has].tolist()) for has in (clips.label >= 0, clips.label < 0)
    )
    if foreign := sorted(named - labelled - others):
        raise UserError(f'{where}: {shorten(foreign)} not in {clips.name} as it was prepared')
    if hidden := sorted(named & others):
        raise UserError(
            f'{where}: {shorten(hidden)} of {clips.name} without a label; leave them out'
        )
    if missing := sorted(labelled - named):
        raise UserError(f'{where}: {shorten(missing)} of {clips.name} in no part of it')
