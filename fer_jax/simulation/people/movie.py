"""Writing simulated films and sounds: the same bytes on every call."""

import os
import wave
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

_QUALITY = 4  # MPEG-4's quantiser, 1 finest to 31: hardly visible
_LAMBDA = 118  # FFmpeg counts quality in these
# A file's ending -> format, codec of its pictures, and of its sound. Flash films stay silent.
_FORMATS = {
    '.avi': ('avi', 'mpeg4', 'pcm_s16le'),
    '.mp4': ('mp4', 'mpeg4', 'aac'),
    '.flv': ('flv', 'flv', ''),
}


def write_movie(
    path: str | Path,
    frames: Sequence[np.ndarray],
    fps: int,
    *,
    sound: np.ndarray | None = None,
    rate: int = 0,
) -> None:
    """Writes a film in the format of its name's ending, .avi, .mp4 or .flv.

    Args:
      frames: uint8 [H, W, C], RGB or grey, H and W even; at least one.
      fps: frames a second.
      sound: int16 [samples], mono; None for a silent film.
      rate: samples a second.
    """
    height, width, channels = frames[0].shape
    form, codec, sound_codec = _FORMATS[Path(path).suffix]
    # bitexact: no library version in the file, and arithmetic that does not depend on the machine.
    exact = {'flags': '+bitexact+qscale', 'global_quality': str(_QUALITY * _LAMBDA)}
    with av.open(os.fspath(path), 'w', format=form, options={'fflags': '+bitexact'}) as film:
        pictures = film.add_stream(codec, rate=fps, width=width, height=height, options=exact)
        assert isinstance(pictures, av.VideoStream)
        pictures.pix_fmt = 'yuv420p'
        pictures.codec_context.thread_count = 1
        voice = None
        if sound is not None:
            voice = film.add_stream(sound_codec, rate=rate, layout='mono')
            assert isinstance(voice, av.AudioStream)
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


def write_sound(path: str | Path, sound: np.ndarray, rate: int) -> None:
    """Writes a .wav file of int16 [samples], mono, `rate` samples a second."""
    with wave.open(os.fspath(path), 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.astype('<i2').tobytes())


def _write_sound(film, stream, samples: np.ndarray, rate: int) -> None:
    if len(samples):
        frame = av.AudioFrame.from_ndarray(samples[None], format='s16', layout='mono')
        frame.rate = rate
        film.mux(stream.encode(frame))
