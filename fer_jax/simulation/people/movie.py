"""Writing simulated films: the same bytes on every call."""

import os
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

_QUALITY = 4  # MPEG-4's quantiser, 1 finest to 31: hardly visible
_LAMBDA = 118  # FFmpeg counts quality in these


def write_movie(
    path: str | Path,
    frames: Sequence[np.ndarray],
    fps: int,
    *,
    sound: np.ndarray | None = None,
    rate: int = 0,
) -> None:
    """Writes an AVI file: MPEG-4 pictures, uncompressed sound.

    Args:
      frames: uint8 [H, W, C], RGB or grey, H and W even; at least one.
      fps: frames a second.
      sound: int16 [samples], mono; None for a silent film.
      rate: samples a second.
    """
    height, width, channels = frames[0].shape
    # bitexact: no library version in the file, and arithmetic that does not depend on the machine.
    exact = {'flags': '+bitexact+qscale', 'global_quality': str(_QUALITY * _LAMBDA)}
    with av.open(os.fspath(path), 'w', format='avi', options={'fflags': '+bitexact'}) as film:
        pictures = film.add_stream('mpeg4', rate=fps, width=width, height=height, options=exact)
        pictures.pix_fmt = 'yuv420p'
        pictures.codec_context.thread_count = 1
        voice = None
        if sound is not None:
            voice = film.add_stream('pcm_s16le', rate=rate, layout='mono')
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(image[..., 0] if channels == 1 else image),
                format='gray' if channels == 1 else 'rgb24',
            )
            film.mux(pictures.encode(frame))
            # The sound of one picture after it, as players want it.
            if voice is not None and sound is not None:
                first, last = (k * rate // fps for k in (index, index + 1))
                last = len(sound) if index + 1 == len(frames) else last
                _write_sound(film, voice, sound[first:last], rate)
        film.mux(pictures.encode())
        if voice is not None:
            film.mux(voice.encode())


def _write_sound(film, stream, samples: np.ndarray, rate: int) -> None:
    if len(samples):
        frame = av.AudioFrame.from_ndarray(samples[None], format='s16', layout='mono')
        frame.rate = rate
        film.mux(stream.encode(frame))
