"""Reading moving pictures and their sound, with PyAV."""

import itertools
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import av.stream
import numpy as np

from fer_jax.errors import UserError

_AGAIN = 'copy the file again from the release'
# How files are opened: as what films and sounds are, and nothing else. FFmpeg would also take a
# text that names other files for a film.
OPTIONS = {
    'format_whitelist': (
        'avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,mpegvideo,asf,flv,ogg,mxf,dv,gif,'
        'h264,hevc,m4v,mjpeg,rawvideo,ivf,nut,rm,wav,w64,mp3,flac,aac,ac3,aiff,au,caf,amr,ape,wv,tta'
    ),
    'protocol_whitelist': 'file',
}
# Frames further apart than this, in usual intervals, are not evenly spaced.
_UNEVEN = 1.5
# A clip is held in memory whole, several at once; of 640 x 360 pixels this is two minutes.
_MOST_BYTES = 2 * 2**30


def read_video(
    path: str | Path,
    *,
    start: float = 0.0,
    end: float = math.inf,
    damage: list[str] | None = None,
) -> list[np.ndarray]:
    """Reads the frames of a video file as uint8 [H, W, 3], RGB, in the order they are shown.

    They come as they are shown: pixels are made square (`square_pixels`), and the container's
    display matrix, turn and mirroring, is obeyed. Where the time stamps are uneven (a phone's or a
    screen's recording), each tick of the usual interval takes the frame that is shown then, so that
    frames are equally far apart in time.

    A file cut short is found by the sizes that an AVI or MP4 file states of itself: the decoder
    would give the first frames without a word.

    Args:
      start, end: seconds from the film's beginning; frames shown from `start` on and before `end`.
      damage: takes what is wrong with a film of which some frames can be read; without it a damaged
        film is an error.
    Raises:
      UserError: the file is missing, empty, truncated, no video, without a frame between `start`
        and `end`, or too long to be one clip.
    """
    faults: list[str] = []
    with _opened(path, faults if damage is not None else None) as container:
        if not container.streams.video:
            raise UserError(f'{path}: unreadable video (no pictures in it); {_AGAIN}')
        stream = container.streams.video[0]
        if stream.time_base is None:
            raise UserError(f'{path}: unreadable video (its frames have no times); {_AGAIN}')
        _check_stated(path, container, stream, start, end)
        origin = _origin(stream)
        if start > 0:
            # Lands on a key frame at or before it; what comes earlier is left out below.
            container.seek(int((origin + start) / float(stream.time_base)), stream=stream)
        frames, times, size = [], [], 0
        for index, frame in enumerate(_decoded(path, container, stream, faults, damage is None)):
            if frame.time is None:
                time = index / float(stream.average_rate or 25)
            else:
                time = frame.time - origin
            if time >= end - 1e-6:
                break
            if time < start - 1e-6:
                continue
            frames.append(_shown(frame, float(stream.sample_aspect_ratio or 1)))
            times.append(time)
            size += frames[-1].nbytes
            if size > _MOST_BYTES:
                raise _too_long(path, time - start, frames[0].shape[1], frames[0].shape[0])
    if not frames:
        if start > 0 or end < math.inf:
            raise UserError(
                f'{path}: no frame between {start:g} and {end:g} seconds; correct the times'
            )
        raise UserError(f'{path}: unreadable video ({(*faults, "no frame in it")[0]}); {_AGAIN}')
    if faults and damage is not None:
        total = f' of {stream.frames}' if stream.frames and not start and end == math.inf else ''
        damage.append(f'{path}: {faults[0]}; {len(frames)}{total} frames are kept')
    return [frames[index] for index in _evenly(np.array(times))]


def read_sound(
    path: str | Path,
    *,
    start: float = 0.0,
    end: float = math.inf,
    damage: list[str] | None = None,
) -> tuple[np.ndarray, int]:
    """Reads the sound of a video or sound file as int16 [samples], mono, and its rate in hertz.

    The rate is the file's own; channels are averaged. Without sound: an empty array and 0. Time
    counts from the first picture, as in `read_video`: sound that begins later has silence before
    it, what is heard earlier is left out.

    Args:
      start, end, damage: as of `read_video`; of a damaged film the sound up to the damage.
    Raises:
      UserError: as `read_video`; of a sound file, nothing is heard between `start` and `end`.
    """
    with _opened(path, damage) as container:
        if not container.streams.audio:
            return np.zeros(0, np.int16), 0
        stream = container.streams.audio[0]
        to_mono = av.AudioResampler(format='s16', layout='mono', rate=stream.rate)
        films = [film for film in container.streams.video if not is_cover(film)]
        parts, first = [], None
        try:
            # None: what the resampler holds.
            for frame in itertools.chain(container.decode(audio=0), [None]):
                if first is None and frame is not None:
                    first = frame.time
                parts += [part.to_ndarray()[0] for part in to_mono.resample(frame)]
        except av.error.FFmpegError as error:
            if damage is None:
                raise _unreadable(path, error) from error
    if not parts:
        return np.zeros(0, np.int16), 0
    rate = stream.rate
    late = first - _origin(films[0]) if films and first is not None else 0.0
    if late * rate * 2 > _MOST_BYTES:
        raise UserError(
            f'{path}: unreadable video (its sound begins {late:.0f} seconds after its pictures); '
            f'{_AGAIN}'
        )
    shift = round(late * rate)
    samples = np.concatenate([np.zeros(max(0, shift), np.int16), *parts])[max(0, -shift) :]
    samples = samples[round(start * rate) : None if end == math.inf else round(end * rate)]
    if not len(samples) and not films:
        raise UserError(
            f'{path}: no sound between {start:g} and {end:g} seconds; correct the times'
        )
    return samples, rate


def is_cover(stream) -> bool:
    """Tells whether a stream is the picture of a sound file's cover."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _origin(stream) -> float:
    """Returns the time of a stream's beginning, in the container's seconds."""
    return (stream.start_time or 0) * float(stream.time_base or 0)


def _check_stated(path: str | Path, container, stream, start: float, end: float) -> None:
    """Refuses a film that is far too long by what it says of itself, before a frame is decoded."""
    if stream.duration:
        length = float(stream.duration * stream.time_base)
    else:
        length = (container.duration or 0) / av.time_base
    seconds = max(0.0, min(end, length) - start)
    size = seconds * float(stream.average_rate or 0) * stream.width * stream.height * 3
    if size > 2 * _MOST_BYTES:  # films state their length roughly: near the limit, frames count
        raise _too_long(path, seconds, stream.width, stream.height)


def _too_long(path: str | Path, seconds: float, width: int, height: int) -> UserError:
    return UserError(
        f'{path}: {seconds:.0f} seconds of {width}x{height} pixels are too much for one clip: cut '
        'it into clips, with start_s and end_s of a manifest or into files'
    )


def _decoded(
    path: str | Path, container, stream, faults: list[str], strict: bool
) -> Iterator[av.VideoFrame]:
    """Decodes the film's frames; what cannot be decoded is an error, or skipped and noted."""
    try:
        for packet in container.demux(stream):
            try:
                yield from (frame for frame in packet.decode() if strict or not frame.is_corrupt)
            except av.error.FFmpegError as error:
                if strict:
                    raise
                faults.append(str(error.strerror))
    except av.error.FFmpegError as error:
        if strict:
            raise _unreadable(path, error) from error
        faults.append(str(error.strerror))


def square_pixels(width: int, height: int, aspect: float) -> tuple[int, int]:
    """Computes the size at which pixels `aspect` times as wide as high become square.

    One of the sides grows. What no film has, beyond a tenth or ten, is taken for a mistake in it.
    """
    if not 0.1 <= aspect <= 10 or abs(aspect - 1) < 1e-3:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _shown(frame: av.VideoFrame, aspect: float) -> np.ndarray:
    """Converts a frame to uint8 [H, W, 3], with square pixels and as its display matrix asks for.

    The matrix's first two rows and columns a b, c d put pixel (x, y) at (a x + c y, b x + d y). Of
    a turn that is no multiple of 90 degrees the nearest one is taken.
    """
    width, height = square_pixels(frame.width, frame.height, aspect)
    pixels = frame.to_ndarray(format='rgb24', width=width, height=height)
    data = frame.side_data.get('DISPLAYMATRIX')
    if data is not None:
        a, b, _, c, d = struct.unpack('=5i', bytes(data)[:20])
        if abs(b) + abs(c) > abs(a) + abs(d):
            pixels, a, d = pixels.swapaxes(0, 1), c, b
        pixels = pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(pixels)


def _evenly(times: np.ndarray) -> np.ndarray:
    """Chooses the frames to show at even times, int [ticks]; all once where they are nearly even.

    Args:
      times: float [T], ascending seconds.
    """
    gaps = np.diff(times)
    everything = np.arange(len(times))
    if len(gaps) < 2 or np.median(gaps) <= 0 or gaps.max() <= _UNEVEN * np.median(gaps):
        return everything
    step = np.median(gaps)
    ticks = times[0] + step * np.arange(round((times[-1] - times[0]) / step) + 1)
    return np.searchsorted(times, ticks + step / 2, side='right') - 1


def _opened(path: str | Path, damage: list[str] | None = None):
    path = Path(path)
    fault = _cut_short(path)
    if fault:
        if damage is None or fault == 'empty file':
            raise UserError(f'{path}: unreadable video ({fault}); {_AGAIN}')
        damage.append(fault)
    try:
        return av.open(os.fspath(path), options=OPTIONS)
    except av.error.InvalidDataError as error:
        raise UserError(f'{path}: unreadable video ({fault or "no film"}); {_AGAIN}') from error
    except av.error.FFmpegError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | Path, error: Exception) -> UserError:
    return UserError(f'{path}: unreadable video ({getattr(error, "strerror", error)}); {_AGAIN}')


def _cut_short(path: Path) -> str:
    """Names what is wrong with a file's length, '' where it holds all that it says it holds.

    Looks at the outermost chunks of AVI (RIFF), MP4 or QuickTime and Matroska or WebM files; of
    others at nothing.
    """
    try:
        with open(path, 'rb') as file:
            length = file.seek(0, os.SEEK_END)
            at = 0
            while at < length:
                file.seek(at)
                head = file.read(16)
                if head[:4] in _EBML:
                    size = _ebml_size(head[4:])
                elif head[:4] == b'RIFF':
                    size = int.from_bytes(head[4:8], 'little')
                    size = 0 if size in _UNKNOWN else 8 + size
                elif head[4:8].isalnum() and at + 8 <= length and (at or head[4:8] == b'ftyp'):
                    size = int.from_bytes(head[:4], 'big')
                    size = int.from_bytes(head[8:16], 'big') if size == 1 else size
                else:
                    break
                if at + size > length + 1:  # some writers forget the last padding byte
                    return 'truncated'
                if size < 8:  # open ended
                    break
                at += size + size % 2 * (head[:4] == b'RIFF')
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}; {_AGAIN}') from error
    return '' if length else 'empty file'


# What a RIFF file states as its size where it came out of a pipe: its writer could not go back.
_UNKNOWN = (0, 2**32 - 1)
# The outermost elements of Matroska: the header, and all that follows.
_EBML = (b'\x1a\x45\xdf\xa3', b'\x18\x53\x80\x67')


def _ebml_size(field: bytes) -> int:
    """Reads how many bytes an element has, by the size field behind its name; 0: unknown."""
    width = 9 - field[0].bit_length() if field else 9
    if width > 8 or len(field) < width:
        return 0
    size = int.from_bytes(field[:width], 'big') - (1 << 7 * width)
    return 0 if size == (1 << 7 * width) - 1 else 4 + width + size
