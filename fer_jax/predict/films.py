"""Reading films for prediction: every picture as it is shown, with the time that the file gives it.

Where `data.datasets.video` refuses a damaged film, because a dataset must not hold half a clip,
this reader goes on: what cannot be decoded is a frame with the status 'unreadable', and a film that
ends before its own header says so gets one such frame where it ends.
"""

import collections
import contextlib
import dataclasses
import math
import os
import queue
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import av
import av.error
import numpy as np

from fer_jax.data.datasets.video import OPTIONS, is_cover, square_pixels
from fer_jax.errors import UserError
from fer_jax.predict.orientation import Orientation

T = TypeVar('T')

OK, UNREADABLE = 'ok', 'unreadable'
# What the reading thread may decode ahead, in bytes and in frames.
_AHEAD_BYTES, _AHEAD = 64_000_000, 16
# Of a film that ends early: seconds that may be missing at its end before it is said.
_MISSING = 0.5


@dataclasses.dataclass(frozen=True)
class Frame:
    """One picture of a film.

    Attributes:
      index: its number among the film's pictures, from 0.
      time: seconds after the film's start.
      status: 'ok' or 'unreadable'.
      image: uint8 [H, W, 3] RGB as it is shown; None where it is unreadable.
    """

    index: int
    time: float
    status: str
    image: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Film:
    """A film as its header describes it.

    Attributes:
      path: the file.
      width, height: of the shown picture, after turning it and making its pixels square.
      rate: frames a second on average; films of uneven rate differ from it.
      seconds: the film's length, NaN where the header does not say.
      orientation: what is done to a stored picture.
      has_matrix: whether the file says how it is turned.
      codec, format: names of the coding and of the kind of file.
      has_sound: whether there is a sound track.
    """

    path: Path
    width: int
    height: int
    rate: float
    seconds: float
    orientation: Orientation
    has_matrix: bool
    codec: str
    format: str
    has_sound: bool

    @classmethod
    def open(cls, path: str | Path) -> 'Film':
        """Reads the header and the first picture.

        Raises:
          UserError: no file, an empty one, or one in which no picture can be decoded.
        """
        path = Path(path)
        with _container(path) as container:
            stream = container.streams.video[0]
            readable = (piece.picture for piece in _pictures(container, stream))
            picture = next((found for found in readable if found is not None), None)
            if picture is None:
                raise UserError(f'{path}: no picture in it can be decoded; give another film')
            matrix = _matrix(picture)
            orientation = Orientation() if matrix is None else Orientation.of_matrix(matrix)
            aspect = float(stream.sample_aspect_ratio or 1)
            shown = square_pixels(picture.width, picture.height, aspect)
            return cls(
                path=path,
                width=orientation.size(*shown)[0],
                height=orientation.size(*shown)[1],
                rate=_rate(stream),
                seconds=_seconds(container, stream),
                orientation=orientation,
                has_matrix=matrix is not None,
                codec=stream.codec_context.name,
                format=container.format.name,
                has_sound=bool(container.streams.audio),
            )

    def frames(self, fps: float = 0.0, skip: int = 0) -> Generator[Frame, None, None]:
        """Decodes the film from its start to its end, in a thread of its own.

        Args:
          fps: so many frames a second, chosen by their times; 0 takes every one.
          skip: frames whose index is below it are decoded and left out.
        """
        size = 3 * self.width * self.height
        ahead = max(2, min(_AHEAD, _AHEAD_BYTES // size))
        return ahead_of(self._frames(fps, skip), ahead)

    def _frames(self, fps: float, skip: int) -> Generator[Frame, None, None]:
        chosen = EveryTime(fps)
        index, time, lasts = -1, -1 / self.rate, 1 / self.rate
        with _container(self.path) as container:
            stream = container.streams.video[0]
            start = (container.start_time or 0) / av.time_base
            whole = _stated(container, stream)
            for piece in _pictures(container, stream):
                index += 1
                given = piece.time - start
                # Some files lack stamps or repeat them; time never stands still here.
                time = given if given > time else time + 1 / self.rate
                lasts = piece.lasts if piece.lasts > 0 else 1 / self.rate
                if not chosen.takes(time) or index < skip:
                    continue
                image = None if piece.picture is None else self._shown(piece.picture)
                yield Frame(index, time, OK if image is not None else UNREADABLE, image)
        end = time + lasts
        if end + max(_MISSING, 3 / self.rate) < whole and index + 1 >= skip:
            yield Frame(index + 1, end, UNREADABLE, None)

    def _shown(self, picture: av.VideoFrame) -> np.ndarray:
        """Converts a decoded picture to what is shown, uint8 [H, W, 3]."""
        stored = self.orientation.size(self.width, self.height)  # a transposition undoes itself
        plain = picture.reformat(*stored, format='rgba' if _has_alpha(picture) else 'rgb24')
        return self.orientation.apply(on_white(plain.to_ndarray()))


class EveryTime:
    """Chooses frames by their times: the first at or after each multiple of 1 / fps seconds."""

    def __init__(self, fps: float):
        self._fps, self._due = fps, -math.inf

    def takes(self, time: float) -> bool:
        """Tells whether the frame at `time` (seconds, rising from call to call) is one of them."""
        if not self._fps:
            return True
        if time * self._fps < self._due - 1e-6:
            return False
        self._due = math.floor(time * self._fps + 1e-6) + 1
        return True


def on_white(image: np.ndarray) -> np.ndarray:
    """Lays uint8 [H, W, 4] on white; [H, W, 3] stays as it is."""
    if image.shape[2] == 3:
        return image
    alpha = image[..., 3:].astype(np.uint16)
    mixed = image[..., :3] * alpha + 255 * (255 - alpha) + 127
    return (mixed // 255).astype(np.uint8)


def ahead_of(items: Generator[T, None, None], count: int) -> Generator[T, None, None]:
    """Runs an iterator in a thread that is at most `count` items ahead of who takes them.

    An exception in it is raised where its item would have come. Leaving early ends the thread.
    """
    waiting: queue.Queue = queue.Queue(count)
    stopped = threading.Event()
    done = object()

    def put(item) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=0.1)
                return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((done, None))
        except BaseException as error:
            put((done, error))
        finally:
            items.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is done:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


# A piece of a film: its time in the container's seconds and the seconds that it is shown (NaN where
# the file does not say), and the decoded picture, None where it could not be decoded.
_Piece = collections.namedtuple('_Piece', 'time lasts picture')


def _pictures(container, stream) -> Iterator[_Piece]:
    """Yields all pictures in the order they are shown, one piece for each that is not decodable.

    A decoder holds pictures back, to order them and for each of its threads, and it may complain
    of a packet when it is given a later one. What it lost is known by the times of packets of which
    no picture has come when a later picture does.
    """
    waiting: dict[int, int | None] = {}  # {stamp of a packet: its duration}, no picture of it yet
    lost = 0

    def overdue(before: float) -> Iterator[_Piece]:
        nonlocal lost
        for stamp in sorted(stamp for stamp in waiting if stamp < before):
            lasts = waiting.pop(stamp)
            if lost:
                lost -= 1
                yield _Piece(_in_seconds(stamp, stream), _in_seconds(lasts, stream), None)

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            break  # the file ends within a packet
        if packet is None:
            break
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            waiting[stamp] = packet.duration
        try:
            decoded = packet.decode()
        except av.error.FFmpegError:
            if stamp is None and packet.size:
                yield _Piece(math.nan, _in_seconds(packet.duration, stream), None)
            else:
                lost += 1
            continue
        for picture in decoded:
            stamp = picture.pts if picture.pts is not None else picture.dts
            if stamp is not None:
                waiting.pop(stamp, None)
                yield from overdue(stamp)
            lasts = _in_seconds(picture.duration, stream)
            yield _Piece(_in_seconds(stamp, stream), lasts, None if picture.is_corrupt else picture)
    yield from overdue(math.inf)


def _in_seconds(stamp: int | None, stream) -> float:
    return math.nan if stamp is None else float(stamp * stream.time_base)


@contextlib.contextmanager
def _container(path: Path):
    """Opens a film with pictures in it.

    Raises:
      UserError: there is none.
    """
    try:
        if path.is_file() and not path.stat().st_size:
            raise UserError(f'{path}: the file is empty; give another film')
        container = av.open(os.fspath(path), metadata_errors='replace', options=OPTIONS)
    except av.error.InvalidDataError as error:
        raise UserError(
            f'{path}: no film, or one cut off before the list of its pictures (an MP4 file often '
            'has it at its end); give another film'
        ) from error
    except (OSError, av.error.FFmpegError) as error:
        raise UserError(f'{path}: {error.strerror or error}; give another film') from error
    with container:
        videos = [stream for stream in container.streams.video if not is_cover(stream)]
        if not videos or container.streams.video[0] is not videos[0]:
            raise UserError(f'{path}: there are no moving pictures in it; give another film')
        container.streams.video[0].thread_type = 'AUTO'
        yield container


def _matrix(picture: av.VideoFrame) -> np.ndarray | None:
    """Reads the display matrix int32 [3, 3] that comes with a picture."""
    found = picture.side_data.get('DISPLAYMATRIX')
    return None if found is None else np.frombuffer(bytes(found), np.int32).reshape(3, 3)


def _has_alpha(picture: av.VideoFrame) -> bool:
    return any(component.is_alpha for component in picture.format.components)


def _rate(stream) -> float:
    """Returns the frames a second; 25 where a file says nothing."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= 1000:
            return float(rate)
    return 25.0


def _seconds(container, stream) -> float:
    """Returns how long a film's pictures last, or else the film; NaN where neither is said."""
    stated = _stated(container, stream)
    if math.isnan(stated) and container.duration:
        return container.duration / av.time_base
    return stated


def _stated(container, stream) -> float:
    """Returns how long the pictures of a film last by its header; NaN where that does not say."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    with contextlib.suppress(KeyError, ValueError):  # Matroska states it as hours:minutes:seconds
        hours, minutes, seconds = stream.metadata['DURATION'].split(':')
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    if container.duration and not container.streams.audio:
        return container.duration / av.time_base
    return math.nan
