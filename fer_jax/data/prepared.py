"""From a prepared dataset to a ClipSet: crops of one size, sampled frames, class indices."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic
from fer_jax.data import checksums, clips, cropping, datasets, protocols
from fer_jax.data.datasets.records import sound_alone
from fer_jax.data.fitted import Fitted
from fer_jax.errors import DAMAGED, UserError

DATA_DIR_VARIABLE = 'FER_JAX_DATA'
DEFAULT_DATA_DIR = '~/.local/share/fer_jax'
# What every description holds.
_DESCRIBED = {
    *('dataset', 'faces', 'release', 'simulated', 'fingerprint', 'stored_margin', 'clips'),
    *('subjects', 'splits', 'label_sets', 'class_counts', 'dropped', 'faceless', 'differences'),
}
_BATCH = 2**24  # bytes of records read at once, about


def data_root(data_dir: str | Path | None = None) -> Path:
    """Returns the folder of prepared data: `data_dir`, $FER_JAX_DATA or ~/.local/share/fer_jax.

    Raises:
      UserError: the variable holds the address of a bucket.
    """
    stated = os.environ.get(DATA_DIR_VARIABLE) or ''
    if not data_dir:
        atomic.check_local(stated, f'${DATA_DIR_VARIABLE}')
    return Path(data_dir or stated or DEFAULT_DATA_DIR).expanduser()


def location(name: str, data_dir: str | Path | None = None, faces: str = '') -> Path:
    """Returns the folder of one prepared dataset: DATA_DIR/<name>/faces-<faces>/<version>.

    Args:
      faces: how the faces were found; '' is the dataset's default. `datasets.SCENE`: its whole
        frames, DATA_DIR/<name>/scene/<version>.
    Raises:
      UserError: an unknown dataset, or a way of finding faces that it does not offer.
    """
    builder = datasets.builder_class(name)
    faces = faces or builder.FACES[0]
    if faces == datasets.SCENE and not builder.SCENES:
        raise UserError(f'{name} has no scenes: choose a dataset of films, such as afew')
    if faces not in (*builder.FACES, datasets.SCENE):
        raise UserError(f"{name} offers no faces '{faces}': one of {', '.join(builder.FACES)}")
    place = data_root(data_dir) / datasets.folder(name)
    return place / datasets.config_name(faces) / str(builder.VERSION)


def describe(name: str, data_dir: str | Path | None = None, faces: str = '') -> dict:
    """Reads the description that the preparation stored beside the records.

    Returns:
      dataset, faces, release (path), simulated (the simulator's note or None), fingerprint, clips,
      frames, unlabelled (clips), landmarked (frames), subjects (counts), splits, label_sets
      {set: [class]}, class_counts {set: {class: n}}, published_classes {class: n}, votes [what
      raters could choose] and voted_sets [label set], dropped
      [{clip_id, path, reason, label_set}] (label_set '': left out altogether; of unreadable clips
      `fault` too), faceless [clip_id], faceless_frames {clip_id: n}, turned
      {clip_id: degrees against the clock}, incomplete {clip_id: what a film lacks of which some
      frames are kept}, sounds (clips without a picture), detector ({identity, package} or None),
      differences from the published counts [sentence], stored_margin. Of scenes what
      speaks of faces is empty or None.
    Raises:
      UserError: not prepared, or damaged; the message holds the command that prepares it.
    """
    folder = location(name, data_dir, faces)
    try:
        found = json.loads((folder / 'metadata.json').read_text(encoding='utf-8'))
        lacking = _DESCRIBED - set(found)
        if lacking or type(found['clips']) is not int or type(found['label_sets']) is not dict:
            raise ValueError(f'metadata.json lacks {min(lacking, default="a number of clips")}')
    except FileNotFoundError as error:
        if (folder / 'features.json').exists():
            raise _damaged(name, data_dir, faces, error) from error
        command = prepare_command(name, data_dir, *_faces_option(faces))
        raise UserError(f'{name} is not prepared at {folder}: {command}') from error
    except DAMAGED as error:
        raise _damaged(name, data_dir, faces, error) from error
    checksums.check(folder, _again(name, data_dir, faces), records=False)
    return found


def _damaged(
    name: str, data_dir: str | Path | None, faces: str, error: Exception | str
) -> UserError:
    """Returns what is said of a prepared dataset that cannot be read."""
    said = ' '.join(f'{error or type(error).__name__}'.split())[:200]
    folder = location(name, data_dir, faces)
    return UserError(f'{folder} is damaged ({said}): {_again(name, data_dir, faces)}')


def _again(name: str, data_dir: str | Path | None, faces: str) -> str:
    return prepare_command(name, data_dir, *_faces_option(faces), '--overwrite')


def _faces_option(faces: str) -> list[str]:
    """Returns `prepare`'s option for a way of finding faces; none for the dataset's default."""
    if not faces:
        return []
    return ['--scene' if faces == datasets.SCENE else f'--faces={faces}']


def prepare_command(name: str, data_dir: str | Path | None = None, *options: str) -> str:
    """Returns the command that prepares a dataset, with DIR for the release's folder."""
    kind, _, given = name.partition(':')
    words = [f'python -m fer_jax.prepare --dataset={kind}', *([f'--name={given}'] if given else [])]
    words.append('--release=DIR')
    words += [f'--data_dir={data_dir}'] if data_dir else []
    return ' '.join([*words, *options])


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    faces: str = '',
    labels: str = '',
    frames: int,
    sampling: str,
    size: int,
    channels: int = 1,
    registration: str = 'none',
    points: int = 5,
    margin: float = 1.0,
    equalize: str = 'none',
    drop_faceless: bool = False,
    sounds: bool = True,
    unlabelled: bool = False,
    fitted: Fitted[np.ndarray] | None = None,
) -> clips.ClipSet:
    """Loads a prepared dataset into memory, in the order of its clip ids.

    Args:
      name: a dataset ('ckplus'; one's own are 'own:NAME'), or several joined by '+' into one
        (`clips.combine`).
      faces: how the faces were found, the prepared BuilderConfig's suffix; '' is the dataset's
        default. Of a combined set one for all, or one for each joined by '+'.
      labels: label set, e.g. 'ferplus7' of fer2013; '' is the dataset's first. Of a combined set as
        `faces`. Clips that the set drops are left out.
      frames: of a clip, T; `sampling` one of `clips.SAMPLINGS` (`clips.sample_frames`).
      size: side of the square output in pixels.
      channels: 1 grey (OpenCV's weights) or 3 RGB; grey pictures are repeated.
      registration: 'none' crops one window a clip around the median face box, which keeps the
        head's motion. 'box' cuts each frame around its own face box, smoothed over time
        (`registration.box_windows`), which follows a head that moves. 'eyes' draws each frame
        through the similarity that puts its eye centres at fixed places
        (`registration.eye_places`), which removes it; 'procrustes' through the one that suits its
        shape best on a template. 'mean_shape' draws all clips of a dataset through one similarity,
        with noise where the stored picture ends (kahou2015, jain2018). A frame without landmarks
        takes the nearest frame's matrix; a clip without any (mean_shape: a dataset) is cropped as
        by 'none', and `ClipSet.registration` says how many.
      points: of a shape, for the last two: 5, 51 or 68 (`registration.keypoints`).
      margin: side of the output as a multiple of the face box (1: the box).
      equalize: 'clahe' equalises each picture in tiles before it is resized, of a crop without
        registration the window alone (haddad2020 does not say when); `inputs.equalize` does it at
        the size of the frames.
      drop_faceless: leaves out clips without a face in any frame (`describe` lists them). Otherwise
        they stay, as the published counts of FER2013 have its 12 black rows.
      sounds: loads clips of sound alone, as black pictures. Otherwise they are left out, and a line
        says which.
      unlabelled: loads the clips without a label too (AFEW's test part), with label -1.
      fitted: what 'procrustes' and 'mean_shape' need (`fitted.fit_registration`). None draws them
        as 'none' does and keeps the landmarks, to fit on.
    Returns:
      ClipSet with frames uint8 [N, T, size, size, channels].
    Raises:
      UserError: not prepared, an unknown label set, an option that these faces cannot serve, or
        nothing left.
    """
    geometry = cropping.Geometry(
        frames, sampling, size, channels, registration, points, margin, equalize
    )
    parts = _parts(name, faces, labels)
    fits: list[np.ndarray | None] = [None] * len(parts)
    if fitted is not None:  # a template serves all datasets, of mean shapes each has its own
        shared = registration != 'mean_shape'
        fits = [fitted.value] * len(parts) if shared else list(fitted.value)
    choice = {'drop_faceless': drop_faceless, 'sounds': sounds, 'unlabelled': unlabelled}
    sets = [
        _load(*part, data_dir, geometry, fit, **choice)
        for part, fit in zip(parts, fits, strict=True)
    ]
    return sets[0] if len(sets) == 1 else clips.combine(sets)


def load_audio(
    name: str, *, data_dir: str | Path | None = None, faces: str = ''
) -> dict[str, tuple[np.ndarray, int]]:
    """Loads the sound of all clips, labelled or not, under the ids that `load` gives them.

    Returns:
      {clip id: (int16 [samples], mono; samples a second)}; no samples and rate 0 for a clip without
      sound.
    Raises:
      UserError: not prepared, or a dataset without sound.
    """
    sound = {}
    for part, part_faces, _ in _parts(name, faces, ''):
        if datasets.builder_class(part).sound is None:
            raise UserError(f'{part} has no sound: choose a dataset of films, such as afew')
        describe(part, data_dir, part_faces)
        for record in records(part, data_dir, part_faces):
            clip_id = f'{part}/{record["clip_id"]}' if '+' in name else record['clip_id']
            sound[clip_id] = record['audio'], int(record['sample_rate'])
    return sound


def load_votes(
    name: str, *, data_dir: str | Path | None = None, faces: str = ''
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Loads all votes of a dataset whose labels raters decided, those that no label set counts too.

    Returns:
      What raters could choose, and {clip id: int [choice]}, how many of them did.
    Raises:
      UserError: not prepared, or a dataset without votes.
    """
    found = describe(name, data_dir, faces)
    if not found.get('voted_sets'):
        raise UserError(f'{name} was prepared without votes: prepare it with those of its raters')
    votes = {record['clip_id']: record['votes'] for record in records(name, data_dir, faces)}
    return tuple(found['votes']), votes


def scenes(name: str, *, data_dir: str | Path | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """Reads the whole frames of all clips, labelled or not, under the ids that `load` gives them.

    They come in stored order and are read as they are asked for: all of AFEW's need not fit in
    memory. What the preparation stored beside them is `describe(name, data_dir, datasets.SCENE)`.

    Returns:
      Pairs (clip id, uint8 [T, H, W], grey, read-only); clips differ in T, H and W.
    Raises:
      UserError: at once, where they are not prepared or the dataset has no films.
    """
    describe(name, data_dir, datasets.SCENE)
    found = records(name, data_dir, datasets.SCENE)
    return ((record['clip_id'], record['frames'][..., 0]) for record in found)


def about(
    loaded: clips.ClipSet, *, data_dir: str | Path | None = None, faces: str = '', labels: str = ''
) -> dict[str, Any]:
    """Returns what a run's dataset.json says of the clips that `load` gave for the same options.

    Of a combined set: fingerprints and ways of finding faces joined by '+'; clips, and differences
    from the published counts, named with their dataset.
    """
    several = '+' in loaded.name
    before = {'dropped': [], 'faceless': [], 'differences': []}
    faces_of, fingerprints = [], []
    for part, part_faces, part_labels in _parts(loaded.name, faces, labels):
        found = describe(part, data_dir, part_faces)
        prefix, where = (f'{part}/', f'{part}: ') if several else ('', '')
        before['dropped'] += [
            clip | {'clip_id': prefix + clip['clip_id']}
            for clip in found['dropped']
            if clip['label_set'] in ('', part_labels)
        ]
        before['faceless'] += [prefix + clip_id for clip_id in found['faceless']]
        before['differences'] += [where + line for line in found['differences']]
        faces_of.append(found['faces'])
        fingerprints.append(found['fingerprint'])
    return {
        'name': loaded.name,
        'simulated': loaded.simulated,
        'clips': len(loaded),
        'classes': list(loaded.classes),
        'class_counts': loaded.class_counts,
        'subjects': len(set(loaded.subject) - {''}),
        'faces': '+'.join(faces_of),
        'fingerprint': '+'.join(fingerprints),
        'registration': loaded.registration,
        **before,
    }


def records(name: str, data_dir: str | Path | None = None, faces: str = '') -> Iterator[dict]:
    """Reads all records of a prepared dataset, in stored order, with `ClipBuilder`'s fields.

    Raises:
      UserError: the dataset is damaged.
    """
    checksums.check(location(name, data_dir, faces), _again(name, data_dir, faces), records=True)
    try:
        yield from _records(location(name, data_dir, faces))
    except Exception as error:  # of TFDS, of the format's library or of what was decoded
        raise _damaged(name, data_dir, faces, error) from error


def _records(folder: Path) -> Iterator[dict]:
    import tensorflow_datasets as tfds  # takes a second: not at import

    from fer_jax.data.datasets import clip_builder

    builder = tfds.builder_from_directory(folder)
    # Bytes, read many at once. A decorator of TFDS hides the parameters from a type checker.
    raw = builder.as_data_source(clip_builder.SPLIT).data_source  # pyright: ignore[reportCallIssue]
    stored = builder.info.features
    assert isinstance(stored, tfds.features.FeaturesDict)
    features = dict(stored.items())
    start, size, batch = 0, 0, 1
    while start < len(raw):
        read = raw.__getitems__(range(start, min(start + batch, len(raw))))
        for data in read:
            yield clip_builder.decode(data, features)
        start, size = start + len(read), size + sum(map(len, read))
        # Until their size is known by some, few are read: a film may be 10,000 times a still.
        batch = min(2 * batch, max(1, _BATCH * start // size))


def _parts(name: str, faces: str, labels: str) -> list[tuple[str, str, str]]:
    """Splits a name into its datasets, each with its way of finding faces and its label set."""
    names = name.split('+')
    columns = [names]
    for key, value in (('faces', faces), ('labels', labels)):
        each = value.split('+')
        each = each * len(names) if len(each) == 1 else each
        if len(each) != len(names):
            raise UserError(
                f"data.{key} '{value}' has {len(each)} parts, {name} has {len(names)}: give one "
                "for all, or one for each joined by '+'"
            )
        columns.append(each)
    if datasets.SCENE in columns[1]:
        raise UserError(
            f"{name}: data.faces is '{datasets.SCENE}', whole frames without faces; leave it '' or "
            'name a way of finding faces'
        )
    return list(zip(*columns, strict=True))


def _load(
    name: str,
    faces: str,
    labels: str,
    data_dir: str | Path | None,
    geometry: cropping.Geometry,
    fit: np.ndarray | None,
    *,
    drop_faceless: bool,
    sounds: bool,
    unlabelled: bool,
) -> clips.ClipSet:
    """Loads one dataset; `fit` is its part of what the registration needs (`cropping.draw`)."""
    found = describe(name, data_dir, faces)
    classes = _classes(found, name, labels, data_dir)
    if not 0 < geometry.margin <= found['stored_margin']:
        raise UserError(
            f'margin is {geometry.margin:g}: {name} is stored {found["stored_margin"]:g} face '
            'boxes wide'
        )
    first = next(iter(found['label_sets']))
    feature = 'label' if labels in ('', first) else f'label_{labels}'
    numbers = {label: k for k, label in enumerate(classes)} | ({'': -1} if unlabelled else {})
    side = geometry.size
    pictures = np.empty((found['clips'], geometry.frames, side, side, geometry.channels), np.uint8)
    chosen = labels or first
    voted = chosen in found.get('voted_sets', ())
    columns = [found['votes'].index(label) for label in classes] if voted else []
    rows, landmarks, votes, by_box = [], [], [], 0
    heard_alone = []
    count = 0
    for count, record in enumerate(records(name, data_dir, faces), 1):  # noqa: B007
        if len(rows) == len(pictures):
            break
        if record[feature] not in numbers:
            continue
        if not sounds and found['sounds'] and sound_alone(record):
            heard_alone.append(record['clip_id'])
            continue
        if drop_faceless and not record['has_face'].any():
            continue
        length, boxed = cropping.draw(pictures[len(rows)], record, geometry, fit)
        by_box += boxed
        if geometry.fits and fit is None:
            landmarks.append(cropping.landmarks(record, geometry))
        if voted:
            votes.append(record['votes'][columns])
        text = (record[key] for key in ('clip_id', 'subject', 'split'))
        rows.append((*text, length, numbers[record[feature]]))
    if count != found['clips']:
        said = f'{count} records or more, of {found["clips"]} clips'
        raise _damaged(name, data_dir, faces, said)
    if heard_alone and not rows:
        raise UserError(
            f'{name}: its clips are sounds alone, without a picture to learn from; take a model '
            'that hears, such as configs/own.py:audio'
        )
    if heard_alone:
        some = protocols.shorten(sorted(heard_alone))
        print(f'{name}: {len(heard_alone):,} clips of sound alone are left out: {some}', flush=True)
    if not rows:
        raise UserError(f"{name}: no clip has a label in '{chosen}'; choose another label set")
    order = sorted(range(len(rows)), key=lambda row: rows[row][0])
    clip_id, subject, split, length, label = zip(*(rows[row] for row in order), strict=True)
    return clips.ClipSet(
        name=name,
        classes=classes,
        simulated=found['simulated'] is not None,
        frames=pictures[order],
        length=np.array(length, np.int32),
        label=np.array(label, np.int32),
        subject=np.array(subject),
        clip_id=np.array(clip_id),
        split=np.array(split),
        registration=geometry.in_words(fit is not None, by_box, len(rows)),
        landmarks=np.stack([landmarks[row] for row in order]) if landmarks else None,
        target=_shares(np.stack([votes[row] for row in order])) if votes else None,
    )


def _shares(votes: np.ndarray) -> np.ndarray:
    """Computes each class's share of votes, int [clip, class] -> float32; zeros without a vote."""
    return (votes / np.maximum(votes.sum(1, keepdims=True), 1)).astype(np.float32)


def _classes(found: dict, name: str, labels: str, data_dir) -> tuple[str, ...]:
    """Returns the class names of a label set, in the order that indices will follow."""
    sets = found['label_sets']
    chosen = labels or next(iter(sets))
    if chosen in sets:
        return tuple(sets[chosen])
    needs = datasets.builder_class(name).NEEDS
    if chosen in needs:
        raise UserError(
            f"{name} was prepared without the labels '{chosen}', which need {needs[chosen]}: "
            + prepare_command(name, data_dir, '--overwrite')
        )
    raise UserError(f"{name} has no labels '{chosen}': one of {', '.join(sets)}")
