"""Reading moving pictures and their sound, with PyAV."""

import os
from pathlib import Path

import av
import numpy as np

from fer_jax.errors import UserError

_AGAIN = 'copy the file again from the release'


def read_video(path: str | Path) -> list[np.ndarray]:
    """Reads all frames of a video file as uint8 [H, W, 3], RGB, in the order they are shown.

    A file cut short is found by the sizes that an AVI or MP4 file states of itself: the decoder
    would give the first frames without a word.

    Raises:
      UserError: the file is missing, empty, truncated or no video.
    """
    with _opened(path) as container:
        if not container.streams.video:
            raise UserError(f'{path}: unreadable video (no pictures in it); {_AGAIN}')
        try:
            frames = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
        except av.error.FFmpegError as error:
            raise _unreadable(path, error) from error
    if not frames:
        raise UserError(f'{path}: unreadable video (no frame in it); {_AGAIN}')
    return frames


def read_sound(path: str | Path) -> tuple[np.ndarray, int]:
    """Reads the sound of a video or sound file as int16 [samples], mono, and its rate in hertz.

    The rate is the file's own; channels are averaged. Without sound: an empty array and 0.

    Raises:
      UserError: as `read_video`.
    """
    with _opened(path) as container:
        if not container.streams.audio:
            return np.zeros(0, np.int16), 0
        rate = container.streams.audio[0].rate
        to_mono = av.AudioResampler(format='s16', layout='mono', rate=rate)
        try:
            parts = [
                part.to_ndarray()[0]
                for frame in (*container.decode(audio=0), None)  # None: what the resampler holds
                for part in to_mono.resample(frame)
            ]
        except av.error.FFmpegError as error:
            raise _unreadable(path, error) from error
    if not parts:
        return np.zeros(0, np.int16), 0
    return np.concatenate(parts), rate


def _opened(path: str | Path):
    path = Path(path)
    fault = _cut_short(path)
    if fault:
        raise UserError(f'{path}: unreadable video ({fault}); {_AGAIN}')
    try:
        return av.open(os.fspath(path))
    except av.error.InvalidDataError as error:
        raise UserError(f'{path}: unreadable video (no film); {_AGAIN}') from error
    except av.error.FFmpegError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | Path, error: Exception) -> UserError:
    return UserError(f'{path}: unreadable video ({getattr(error, "strerror", error)}); {_AGAIN}')


def _cut_short(path: Path) -> str:
    """What is wrong with a file's length, '' where it holds all that it says it holds.

    Looks at the outermost chunks of AVI (RIFF) and MP4 or QuickTime files; of others at nothing.
    """
    try:
        with open(path, 'rb') as file:
            length = file.seek(0, os.SEEK_END)
            at = 0
            while at < length:
                file.seek(at)
                head = file.read(16)
                if head[:4] == b'RIFF':
                    size = 8 + int.from_bytes(head[4:8], 'little')
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
