"""From a prepared dataset to a ClipSet: crops of one size, sampled frames, class indices."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_jax.data import clips, datasets, registration
from fer_jax.errors import UserError

DATA_DIR_VARIABLE = 'FER_JAX_DATA'
DEFAULT_DATA_DIR = '~/.local/share/fer_jax'
REGISTRATIONS = ('none', 'eyes')
_BATCH = 1024  # records read at once


def data_root(data_dir: str | Path | None = None) -> Path:
    """Where prepared datasets lie: `data_dir`, else $FER_JAX_DATA, else ~/.local/share/fer_jax."""
    return Path(data_dir or os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR).expanduser()


def location(name: str, data_dir: str | Path | None = None, faces: str = 'release') -> Path:
    """The folder of one prepared dataset: DATA_DIR/<name>/faces-<faces>/<version>."""
    version = datasets.builder_class(name).VERSION
    return data_root(data_dir) / name / f'faces-{faces}' / str(version)


def describe(name: str, data_dir: str | Path | None = None, faces: str = 'release') -> dict:
    """What the preparation stored beside the records.

    Returns:
      dataset, faces, release (path), simulated (the simulator's note or None), fingerprint, clips,
      frames, subjects (counts), splits, label_sets {set: [class]}, class_counts {set: {class: n}},
      dropped [{clip_id, path, reason, label_set}] (label_set '': left out altogether), faceless
      [clip_id], differences from the published counts [sentence], stored_margin.
    Raises:
      UserError: not prepared; the message holds the command that prepares it.
    """
    folder = location(name, data_dir, faces)
    try:
        return json.loads((folder / 'metadata.json').read_text())
    except FileNotFoundError as error:
        raise UserError(
            f'{name} is not prepared at {folder}: {prepare_command(name, data_dir)}'
        ) from error


def prepare_command(name: str, data_dir: str | Path | None = None, *options: str) -> str:
    """The command that prepares a dataset, to be typed with the release's folder for DIR."""
    words = [f'python -m fer_jax.prepare --dataset={name} --release=DIR']
    words += [f'--data_dir={data_dir}'] if data_dir else []
    return ' '.join([*words, *options])


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    faces: str = 'release',
    labels: str = '',
    frames: int,
    sampling: str,
    size: int,
    channels: int = 1,
    registration: str = 'none',
    margin: float = 1.0,
    drop_faceless: bool = False,
) -> clips.ClipSet:
    """Loads a prepared dataset into memory, in the order of its clip ids.

    Args:
      faces: how the faces were found, the prepared BuilderConfig's suffix.
      labels: label set, e.g. 'ferplus7' of fer2013; '' is the dataset's first. Clips that the set
        drops are left out.
      frames: frames of a clip T; `sampling` 'last' or 'uniform' (`clips.sample_frames`).
      size: side of the square output in pixels.
      channels: 1 grey (OpenCV's weights) or 3 RGB; grey pictures are repeated.
      registration: 'none' crops one window a clip around the median face box, which keeps the
        head's motion. 'eyes' draws each frame through the similarity that puts its eye centres at
        fixed places (`registration.eye_line`), which removes it; a frame without landmarks takes
        the nearest frame's matrix, a clip without any is cropped as by 'none'.
      margin: side of the output as a multiple of the face box (1: the box).
      drop_faceless: leaves out clips without a face in any frame (`describe` lists them). Otherwise
        they stay, as the published counts of FER2013 have its 12 black rows.
    Returns:
      ClipSet with frames uint8 [N, T, size, size, channels].
    Raises:
      UserError: not prepared, an unknown label set, or an option that these faces cannot serve.
    """
    found = describe(name, data_dir, faces)
    classes = _classes(found, name, labels, data_dir)
    _check(found, name, channels, registration, margin)
    feature = 'label' if labels in ('', next(iter(found['label_sets']))) else f'label_{labels}'

    total = found['clips']
    pictures = np.empty((total, frames, size, size, channels), np.uint8)
    rows = []
    for record in _records(location(name, data_dir, faces)):
        label = record[feature]
        if not label or (drop_faceless and not record['has_face'].any()):
            continue
        length = _draw(pictures[len(rows)], record, sampling, registration, margin)
        text = (record[key] for key in ('clip_id', 'subject', 'split'))
        rows.append((*text, length, classes.index(label)))
    if not rows:
        raise UserError(
            f"{name}: no clip has a label in '{labels or feature}'; choose another label set"
        )
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
    )


def _classes(found: dict, name: str, labels: str, data_dir) -> tuple[str, ...]:
    """The class names of a label set, in the order that indices will follow."""
    sets = found['label_sets']
    chosen = labels or next(iter(sets))
    if chosen in sets:
        return tuple(sets[chosen])
    if chosen in datasets.builder_class(name).LABEL_SETS:
        options = [f'--{option}=PATH' for option in datasets.builder_class(name).OPTIONS]
        raise UserError(
            f"{name} was prepared without the labels '{chosen}': "
            + prepare_command(name, data_dir, *options, '--overwrite')
        )
    raise UserError(f"{name} has no labels '{chosen}': one of {', '.join(sets)}")


def _check(found: dict, name: str, channels: int, registration: str, margin: float) -> None:
    if channels not in (1, 3):
        raise UserError(f'channels is {channels}: 1 (grey) or 3 (RGB)')
    if registration not in REGISTRATIONS:
        raise UserError(f"unknown registration '{registration}': one of {', '.join(REGISTRATIONS)}")
    if registration == 'eyes' and not datasets.builder_class(name).LANDMARKS:
        raise UserError(f"{name} has no landmarks for the registration 'eyes': choose 'none'")
    if not 0 < margin <= found['stored_margin']:
        raise UserError(
            f'margin is {margin:g}: {name} is stored {found["stored_margin"]:g} face boxes wide'
        )


def _records(folder: Path) -> Iterator[dict]:
    """All records of a prepared dataset, in stored order."""
    import tensorflow_datasets as tfds  # takes a second: not at import

    from fer_jax.data.datasets import clip_builder

    builder = tfds.builder_from_directory(folder)
    raw = builder.as_data_source(clip_builder.SPLIT).data_source  # bytes, read many at once
    features = dict(builder.info.features.items())
    for start in range(0, len(raw), _BATCH):
        for data in raw.__getitems__(range(start, min(start + _BATCH, len(raw)))):
            yield clip_builder.decode(data, features)


def _draw(out: np.ndarray, record: dict, sampling: str, how: str, margin: float) -> int:
    """Fills `out` uint8 [T, S, S, C] with a record's clip; gives its length before padding."""
    frames, size, _, channels = out.shape
    stored = record['frames']
    chosen = clips.sample_frames(len(stored), frames, sampling)
    length = min(frames, len(stored))
    matrices = _eye_matrices(record, size, margin) if how == 'eyes' else None
    window = registration.face_window(record['box'], margin) or (0, 0, stored.shape[1])
    for index in range(length):
        frame = _as_channels(stored[chosen[index]], channels)
        if matrices is None:
            cut = registration.crop(frame, window, size)
        else:
            cut = registration.warp(frame, matrices[chosen[index]], size)
        out[index] = cut.reshape(size, size, channels)
    out[length:] = out[length - 1]
    return length


def _as_channels(frame: np.ndarray, channels: int) -> np.ndarray:
    """Uint8 [H, W, C] -> [H, W] grey or [H, W, 3]."""
    if frame.shape[2] == channels:
        return frame[:, :, 0] if channels == 1 else frame
    code = cv2.COLOR_RGB2GRAY if channels == 1 else cv2.COLOR_GRAY2RGB
    return cv2.cvtColor(frame, code)


def _eye_matrices(record: dict, size: int, margin: float) -> list[np.ndarray] | None:
    """A matrix for each stored frame; None for a clip without landmarks."""
    landmarks = record['landmarks']
    known = np.flatnonzero(np.isfinite(landmarks).all((1, 2)))
    if not len(known):
        return None
    nearest = known[np.abs(known[:, None] - np.arange(len(landmarks))).argmin(0)]
    matrices = {frame: registration.eye_line(landmarks[frame], size, margin) for frame in known}
    return [matrices[frame] for frame in nearest]
