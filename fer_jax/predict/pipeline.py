"""A film from its first frame to its last: rows as they come, in chunks that can be gone on from.

The film is decoded in one thread; faces are found, followed and cut out in another; a third
classifies and writes. What is in memory is a span of frames, the faces of a chunk and, for networks
of sequences, a window of each person: it does not grow with the film.

After each chunk the state is written beside the rows: what the tracker knows and the windows that
are open, with the rows that may still get what is said of a person who goes before the first window
is whole. A film that was stopped, by whatever means, is decoded again up to the last whole chunk,
which is quick, and goes on there as if nothing had happened. Chunks end at frames that do not
depend on where it was stopped, so that every batch holds the same faces.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic
from fer_jax.predict import crops, following, quality
from fer_jax.predict.camera import Camera
from fer_jax.predict.detection import FaceFinder
from fer_jax.predict.films import UNREADABLE, Film, Frame
from fer_jax.predict.following import Seen
from fer_jax.predict.models import FaceClassifier
from fer_jax.predict.tracking import Tracker
from fer_jax.predict.windows import STEP, Windows

# A chunk ends with the span that brings so many rows, or `Settings.chunk` frames.
_ROWS = 256
# Sizes of batches, each compiled once; a batch is filled up with copies of its last clip.
_BATCHES = (1, 4, 16, 64)
# Chunks that may wait for the classifier.
_WAITING = 2

FACE, NO_FACE = 'face', 'no face'


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings that decide a film's rows besides film and network.

    Attributes:
      fps: frames a second that are looked at, 0 for all.
      sides: longest sides at which faces are looked for (`detection.FaceFinder`).
      every: seconds between two looks for faces.
      step: seconds between two windows of a network of sequences.
      chunk: frames after which rows are written.
    """

    fps: float = 0.0
    sides: tuple[int, ...] = (320, 640)
    every: float = following.EVERY
    step: float = STEP
    chunk: int = 64


@dataclasses.dataclass
class Row:
    """One face in one frame, or a frame without one.

    Attributes:
      frame: its number; time: its seconds.
      status: 'face', 'no face' or 'unreadable'.
      face: None where there is none.
      sharp, turned: see `quality`.
      start: seconds at which the window begins whose probabilities stand here, None without any.
      clip: which of the chunk's clips it is, None without any.
    """

    frame: int
    time: float
    status: str
    face: Seen | None = None
    sharp: float = 0.0
    turned: float = 0.0
    start: float | None = None
    clip: int | None = None


@dataclasses.dataclass
class _Chunk:
    rows: list[Row]
    clips: list[np.ndarray]
    lengths: list[int]
    next_frame: int
    state: dict[str, Any] = dataclasses.field(default_factory=dict)
    arrays: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    frames: int = 0
    held: int = 0  # rows that an earlier chunk left to this one

    @classmethod
    def of(cls, rows: list[Row], whole: '_Chunk') -> '_Chunk':
        """Takes some of a chunk's rows with their clips."""
        part = cls(rows, [], [], whole.next_frame)
        for row in rows:
            if row.clip is not None:
                part.clips.append(whole.clips[row.clip])
                part.lengths.append(whole.lengths[row.clip])
                row.clip = len(part.clips) - 1
        return part


class Work:
    """The folder of a film that is being predicted: rows.csv, and state.npz that says how far.

    Args:
      identity: JSON value of all that decides the rows; a folder of another identity is not gone on
        from.
    """

    def __init__(self, folder: Path, identity: Any):
        self.folder = folder
        self.rows = folder / 'rows.csv'
        self._state = folder / 'state.npz'
        self._identity = json.dumps(identity, sort_keys=True)

    def known(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Reads the state to go on from, and its arrays; the rows end there. None to begin anew."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (
            contextlib.suppress(OSError, ValueError, KeyError, EOFError),
            np.load(self._state) as stored,
        ):
            state = json.loads(stored['state'].tobytes())
            whole = state['identity'] == self._identity
            if whole and self.rows.stat().st_size >= state['bytes']:
                with open(self.rows, 'r+b') as file:
                    file.truncate(state['bytes'])
                return state, {name: stored[name] for name in stored.files if name != 'state'}
        self.rows.write_bytes(b'')
        return None

    def add(self, text: str, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Appends rows, then writes the state that belongs to their end."""
        with open(self.rows, 'ab') as file:
            file.write(text.encode())
            size = file.tell()
        state = {**state, 'identity': self._identity, 'bytes': size}
        packed = np.frombuffer(json.dumps(state).encode(), np.uint8)
        with atomic.replacing(self._state) as temporary:
            np.savez(temporary, allow_pickle=False, state=packed, **arrays)


def predict(
    film: Film | Camera,
    model: FaceClassifier,
    finder: FaceFinder,
    settings: Settings,
    work: Work,
    progress: Callable[[float], None] = lambda time: None,
) -> None:
    """Writes a film's rows into `work`, from where it stands to the film's end.

    Args:
      progress: called with the film's seconds that are done.
    """
    known = work.known()
    if known and known[0]['finished']:
        return
    writer = concurrent.futures.ThreadPoolExecutor(1)
    waiting: list[concurrent.futures.Future] = []
    failed = threading.Event()

    def write(chunk: _Chunk) -> None:
        if failed.is_set():  # what follows a chunk that is missing must not be written
            return
        try:
            _write(chunk, model, work)
        except BaseException:
            failed.set()
            raise

    try:
        for chunk in _chunks(film, model, finder, settings, known):
            while len(waiting) >= _WAITING:
                waiting.pop(0).result()
            waiting.append(writer.submit(write, chunk))
            if chunk.rows:
                progress(chunk.rows[-1].time)
        for future in waiting:
            future.result()
    finally:
        writer.shutdown(cancel_futures=True)


def _chunks(
    film: Film | Camera,
    model: FaceClassifier,
    finder: FaceFinder,
    settings: Settings,
    known: tuple[dict[str, Any], dict[str, np.ndarray]] | None,
) -> Iterator[_Chunk]:
    """Yields all chunks after the known state; the last one has the state 'finished'."""
    spacing = 1 / min(settings.fps or film.rate, film.rate)
    tracker, windows = Tracker(spacing), Windows(model.seconds, settings.step, spacing)
    before, chunk = None, _Chunk([], [], [], 0)
    if known:
        state, arrays = known
        tracker = Tracker.restored(state['tracker'], spacing)
        before = _before_from(state['before'])
        _restore_windows(windows, state['windows'], arrays)
        chunk = _restored(state, arrays)
    frames = film.frames(settings.fps, skip=chunk.next_frame)
    with contextlib.closing(frames):
        for span in following.follow(frames, finder.find, tracker, before, settings.every):
            for frame, faces in span:
                _add(chunk, frame, faces, model, windows)
            last, faces = span[-1]
            before = last.time, faces
            chunk.next_frame = last.index + 1
            if len(chunk.rows) - chunk.held >= _ROWS or chunk.frames >= settings.chunk:
                done, chunk = _parted(chunk, windows)
                yield _finish(done, chunk, tracker, before, windows, finished=False)
    _classify_rest(chunk, windows.forget(), model)
    empty = _Chunk([], [], [], chunk.next_frame)
    yield _finish(chunk, empty, tracker, before, windows, finished=True)


def _parted(chunk: _Chunk, windows: Windows) -> tuple[_Chunk, _Chunk]:
    """Parts a chunk where the last row stands of somebody who has had no whole window yet."""
    first = min((kept[-1].time for kept in windows.undecided()), default=math.inf)
    count = next((k for k, row in enumerate(chunk.rows) if row.time >= first), len(chunk.rows))
    held = _Chunk.of(chunk.rows[count:], chunk)
    held.held = len(held.rows)
    return _Chunk.of(chunk.rows[:count], chunk), held


def _add(
    chunk: _Chunk, frame: Frame, faces: list[Seen], model: FaceClassifier, windows: Windows
) -> None:
    """Adds a frame's rows and the clips that end with it."""
    chunk.frames += 1
    _classify_rest(chunk, windows.forget(frame.time), model)
    if not faces or frame.image is None:
        status = UNREADABLE if frame.image is None else NO_FACE
        chunk.rows.append(Row(frame.index, frame.time, status))
        return
    for face in faces:
        row = Row(frame.index, frame.time, FACE, face)
        row.sharp = quality.sharpness(frame.image, face.box)
        row.turned = quality.turn(face.points)
        window = windows.add(face.track, crops.patch(frame.image, frame.time, face, model))
        if window:
            _classify(chunk, row, window, model)
        chunk.rows.append(row)


def _classify(chunk: _Chunk, row: Row, window: list[crops.Patch], model: FaceClassifier) -> None:
    """Puts a window down for the classifier, its probabilities to stand in `row`."""
    clip, length = crops.clip(window, model)
    row.start, row.clip = window[0].time, len(chunk.clips)
    chunk.clips.append(clip)
    chunk.lengths.append(length)


def _classify_rest(
    chunk: _Chunk, rest: dict[int, list[crops.Patch]], model: FaceClassifier
) -> None:
    """Classifies what there is of people who went before a window was whole, in their last rows."""
    for track, patches in rest.items():
        own = [row for row in chunk.rows if row.face and row.face.track == track]
        _classify(chunk, own[-1], patches, model)


def _finish(
    chunk: _Chunk,
    held: _Chunk,
    tracker: Tracker,
    before: tuple[float, list[Seen]] | None,
    windows: Windows,
    *,
    finished: bool,
) -> _Chunk:
    """Gives a chunk the state after it, in which the held rows are."""
    open_windows, arrays = _windows_state(windows)
    arrays |= {f'clip{k}': clip for k, clip in enumerate(held.clips)}
    state = {
        'next_frame': held.next_frame,
        'held': [_row_state(row) for row in held.rows],
        'lengths': held.lengths,
        'finished': finished,
        'tracker': tracker.state(),
        'before': before and [before[0], [_seen_state(face) for face in before[1]]],
        'windows': open_windows,
    }
    return dataclasses.replace(chunk, state=state, arrays=arrays)


def _write(chunk: _Chunk, model: FaceClassifier, work: Work) -> None:
    probabilities = in_batches(model, chunk.clips, chunk.lengths)
    text = ''.join(_line(row, probabilities) for row in chunk.rows)
    work.add(text, chunk.state, chunk.arrays)


def in_batches(model: FaceClassifier, clips: list[np.ndarray], lengths: list[int]) -> np.ndarray:
    """Computes probabilities float32 [n, class] of n clips, in batches of few sizes."""
    parts, start = [], 0
    while start < len(clips):
        left = len(clips) - start
        size = next((size for size in _BATCHES if size >= left), _BATCHES[-1])
        rows = [min(start + k, len(clips) - 1) for k in range(size)]
        batch = np.stack([clips[row] for row in rows])
        said = model.probabilities(batch, np.array([lengths[row] for row in rows], np.int32))
        parts.append(np.asarray(said[: min(size, left)], np.float32))
        start += size
    return np.concatenate(parts) if parts else np.zeros((0, len(model.classes)), np.float32)


def _line(row: Row, probabilities: np.ndarray) -> str:
    """Formats a row of rows.csv, as `results.read` takes it; floats are as exact as they are."""
    values: list[Any] = [row.frame, repr(float(row.time)), row.status]
    if row.face is not None:
        box = row.face.box.tolist()
        values += [row.face.track, *(f'{edge:.2f}' for edge in box), f'{row.face.score:.4f}']
        values += [f'{row.sharp:.4f}', f'{row.turned:.4f}']
    if row.clip is not None and row.start is not None:
        values += [repr(float(row.start)), *(f'{p:.6f}' for p in probabilities[row.clip])]
    return ','.join(map(str, values)) + '\n'


def _seen_state(face: Seen) -> list[Any]:
    return [face.track, face.box.tolist(), face.points.tolist(), face.score]


def _row_state(row: Row) -> list[Any]:
    face = row.face and _seen_state(row.face)
    said = [float(row.sharp), float(row.turned), row.start, row.clip]
    return [row.frame, row.time, row.status, face, *said]


def _restored(state: dict[str, Any], arrays: dict[str, np.ndarray]) -> _Chunk:
    """Returns the chunk that begins with the held rows of a state."""
    rows = [
        Row(frame, time, status, face and _seen_from(face), *said)
        for frame, time, status, face, *said in state['held']
    ]
    clips = [arrays[f'clip{k}'] for k in range(len(state['lengths']))]
    return _Chunk(rows, clips, state['lengths'], state['next_frame'], held=len(rows))


def _seen_from(state: list[Any]) -> Seen:
    track, box, points, score = state
    return Seen(track, np.array(box), np.array(points), score)


def _before_from(state: list[Any] | None) -> tuple[float, list[Seen]] | None:
    if state is None:
        return None
    time, faces = state
    return time, [_seen_from(face) for face in faces]


def _windows_state(windows: Windows) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns the open windows as JSON values, and their pictures as arrays by name."""
    people, arrays = [], {}
    for track, kept in windows.kept.items():
        rows = []
        for patch in kept:
            name = f'patch{len(arrays)}'
            arrays[name] = patch.pixels
            rows.append(
                [name, patch.time, patch.corner, patch.shrunk, patch.box.tolist()]
                + [patch.points.tolist()]
            )
        people.append([track, windows.last.get(track), rows])
    return {'people': people}, arrays


def _restore_windows(
    windows: Windows, state: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    for track, last, rows in state['people']:
        windows.kept[track] = collections.deque(
            crops.Patch(time, arrays[name], tuple(corner), shrunk, np.array(box), np.array(points))
            for name, time, corner, shrunk, box, points in rows
        )
        if last is not None:
            windows.last[track] = last
