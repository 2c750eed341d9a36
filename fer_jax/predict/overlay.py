"""The film again with what was predicted drawn into it; its sound is kept."""

import contextlib
import fractions
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import av.codec.codec
import av.error
import cv2
import numpy as np

from fer_jax import atomic
from fer_jax.data.datasets.video import OPTIONS
from fer_jax.errors import UserError
from fer_jax.predict.films import UNREADABLE, Film, Frame
from fer_jax.predict.results import STATUSES, FilmResult
from fer_jax.reports.figures import COLOURS, SERIES

_CLOCK = fractions.Fraction(1, 90000)
# Sound that players of MP4 files know; other sound is coded anew.
_KNOWN_SOUND = ('aac', 'mp3', 'opus', 'ac3', 'eac3', 'flac', 'alac')
# A box is drawn for so many seconds after the row that it is of, where frames were left out.
_HOLDS = 1.0
# The longest side of a frame that is returned for the page.
_STILL = 420
# Bars beside a face: how many, for the most probable classes.
_BARS = 3
# A hidden face is this many fields across, and reaches beyond its box by this share.
_FIELDS, _BEYOND = 7, 0.15


def colour(number: int) -> tuple[int, int, int]:
    """Returns the colour of a person or a class, RGB; the pages have the same."""
    code = COLOURS[SERIES[number % (len(SERIES) - 2)]]
    red, green, blue = (int(code[k : k + 2], 16) for k in (1, 3, 5))
    return red, green, blue


def write(
    path: Path,
    film: Film,
    result: FilmResult,
    *,
    blur: bool = False,
    stills: Sequence[float] = (),
    progress: Callable[[float], None] = lambda time: None,
) -> list[np.ndarray]:
    """Writes the film with boxes, numbers, labels and bars, whole or not at all.

    Args:
      blur: hides the faces.
      stills: seconds, rising; the drawn frames at these times are returned, made small.
    Returns:
      uint8 [h, w, 3] for each of `stills`, at most 420 pixels wide and high.
    """
    wanted, kept = list(stills), []
    painter = Painter(result, blur)
    size = film.width - film.width % 2, film.height - film.height % 2
    with atomic.replacing(path) as temporary, contextlib.ExitStack() as stack:
        out = stack.enter_context(
            av.open(os.fspath(temporary), 'w', options={'movflags': '+faststart'})
        )
        # 120 a second is more than any camera; the true times are in the stamps.
        pictures = out.add_stream('libx264', rate=round(min(120, max(1, film.rate))))
        pictures.width, pictures.height, pictures.pix_fmt = *size, 'yuv420p'
        pictures.options = {'crf': '23', 'preset': 'veryfast'}
        pictures.codec_context.time_base = _CLOCK
        sound = _sound(film, out, stack) if film.has_sound else iter(())
        waiting = next(sound, None)
        last = -1
        for frame in stack.enter_context(contextlib.closing(film.frames())):
            if frame.image is None:
                continue
            drawn = painter.drawn(frame)
            while len(kept) < len(wanted) and frame.time >= wanted[len(kept)] - 1e-6:
                kept.append(_small(drawn))
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(drawn[: size[1], : size[0]]), format='rgb24'
            )
            last = max(last + 1, round(frame.time / _CLOCK))
            picture.pts, picture.time_base = last, _CLOCK
            out.mux(pictures.encode(picture))
            while waiting is not None and waiting[0] <= frame.time:
                out.mux(waiting[1])
                waiting = next(sound, None)
            progress(frame.time)
        out.mux(pictures.encode())
        while waiting is not None:
            out.mux(waiting[1])
            waiting = next(sound, None)
    return kept


def _small(image: np.ndarray) -> np.ndarray:
    """Makes a frame small enough that many fit into memory and into a page."""
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((_STILL, _STILL))
    return np.asarray(picture)


class Painter:
    """Draws a film's rows into its frames."""

    def __init__(self, result: FilmResult, blur: bool):
        self._result, self._blur = result, blur
        self._times = np.unique(result.time)
        self._first = np.searchsorted(result.time, self._times)
        self._doubtful = np.any(result.doubtful, 1)
        self._looks = np.unique(result.time[result.status != STATUSES.index(UNREADABLE)])

    def drawn(self, frame: Frame) -> np.ndarray:
        """Draws the frame with its rows, uint8 [H, W, 3]."""
        image, result = np.ascontiguousarray(frame.image), self._result
        rows = self._rows(frame.time)
        if self._blur:
            for box in self._hidden(frame.time):
                hide(image, box)
        for row in rows:
            draw_face(
                image,
                result.box[row],
                int(result.track[row]),
                result.classes,
                result.smoothed[row],
                doubtful=bool(self._doubtful[row]),
            )
        return image

    def _rows(self, time: float) -> list[int]:
        """Returns the rows of the last frame that was looked at, until this time."""
        at = np.searchsorted(self._times, time + 1e-6, side='right') - 1
        if at < 0 or time - self._times[at] > _HOLDS:
            return []
        end = self._first[at + 1] if at + 1 < len(self._first) else len(self._result)
        return [row for row in range(self._first[at], end) if self._result.track[row]]

    def _hidden(self, time: float) -> list[np.ndarray]:
        """Lists boxes [4] that hold all faces from the last look until this time to the next."""
        before = self._boxes(int(np.searchsorted(self._looks, time + 1e-6, side='right')) - 1)
        after = self._boxes(int(np.searchsorted(self._looks, time - 1e-6)))
        pairs = [(before[track], after[track]) for track in before if track in after]
        gone = [box for track, box in before.items() if track not in after]
        come = [box for track, box in after.items() if track not in before]
        # Who moved far between two looks may have got another number.
        pairs += itertools.product(gone, come) if gone and come else [(b, b) for b in gone + come]
        return [
            np.concatenate([np.minimum(one[:2], other[:2]), np.maximum(one[2:], other[2:])])
            for one, other in pairs
        ]

    def _boxes(self, look: int) -> dict[int, np.ndarray]:
        """Returns {person's number: box} of a look; nothing before the first, after the last."""
        if not 0 <= look < len(self._looks):
            return {}
        result, time = self._result, self._looks[look]
        start, end = (np.searchsorted(result.time, time, side=side) for side in ('left', 'right'))
        return {
            int(result.track[row]): result.box[row]
            for row in range(int(start), int(end))
            if result.track[row]
        }


def draw_face(
    image: np.ndarray,
    box: np.ndarray,
    number: int,
    classes: Sequence[str],
    shares: np.ndarray,
    *,
    doubtful: bool,
) -> None:
    """Draws a face's box, number, label and bars into uint8 [H, W, 3], in place.

    Args:
      box: [4], left, top, right, bottom edges in pixels.
      number: the person's, from 1; it chooses the colour.
      shares: probabilities [class], NaN where nothing is said of the face.
      doubtful: adds a question mark to the label.
    """
    # Sizes in proportion to the picture.
    unit = max(1.0, min(image.shape[:2]) / 360)
    left, top, right, bottom = (round(float(edge)) for edge in box)
    own = colour(number - 1)
    cv2.rectangle(image, (left, top), (right, bottom), own, max(1, round(2 * unit)))
    said = bool(np.isfinite(shares[0]))
    ranked = np.argsort(-shares)[:_BARS]
    text = f'{number}'
    if said:
        text += f'  {classes[int(ranked[0])]} {100 * shares[ranked[0]]:.0f} %'
    text += ' ?' if doubtful else ''
    size = round(13 * unit)
    _write_text(image, text, left, top - round(1.5 * size), size, own)
    if not said:
        return
    x, width, step = left, right - left, round(13 * unit)
    # Where there is no room below the face they cover its lower edge.
    y = min(bottom + round(3 * unit), image.shape[0] - _BARS * step)
    for k, index in enumerate(ranked):
        y0 = y + k * step
        _shade(image, x, y0, x + width, y0 + step)
        long = round(width * float(shares[index]))
        cv2.rectangle(image, (x, y0 + 1), (x + long, y0 + step - 2), own, -1)
        _write_text(image, classes[int(index)], x + 2, y0 - 1, round(11 * unit), None)


def hide(image: np.ndarray, box: np.ndarray) -> None:
    """Makes a face unrecognisable, in place: few fields of one colour each."""
    width, height = box[2] - box[0], box[3] - box[1]
    left, top = np.maximum(0, np.floor(box[:2] - _BEYOND * np.array([width, height]))).astype(int)
    right, bottom = np.ceil(box[2:] + _BEYOND * np.array([width, height])).astype(int)
    part = image[top : max(top, bottom), left : max(left, right)]
    if part.size:
        coarse = cv2.resize(part, (_FIELDS, _FIELDS), interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(coarse, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def _shade(image: np.ndarray, left: int, top: int, right: int, bottom: int) -> None:
    """Darkens a rectangle so that bars and text stand out."""
    part = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    part[:] = part // 2


@functools.lru_cache(maxsize=512)
def _letters(text: str, size: int) -> np.ndarray:
    """Draws a text as coverage float32 [H, W], in a typeface that has most scripts' letters."""
    from matplotlib import font_manager
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(font_manager.findfont('DejaVu Sans'), size)
    left, _, right, _ = font.getbbox(text)
    picture = Image.new('L', (max(1, round(right - left) + 2), round(1.4 * size)))
    ImageDraw.Draw(picture).text((1 - left, 0), text, fill=255, font=font)
    return np.asarray(picture, np.float32) / 255


def _write_text(
    image: np.ndarray, text: str, x: int, y: int, size: int, ground: tuple[int, int, int] | None
) -> None:
    """Writes white letters, on a ground of a colour where one is given."""
    letters = _letters(text, size)
    height, width = letters.shape
    x = max(0, min(x, image.shape[1] - width))
    y = max(0, min(y, image.shape[0] - height))
    part = image[y : y + height, x : x + width]
    letters = letters[: part.shape[0], : part.shape[1], None]
    if ground is not None:
        part[:] = ground
    part[:] = (part * (1 - letters) + 255 * letters).astype(np.uint8)


def _sound(film: Film, out, stack: contextlib.ExitStack) -> Iterator[tuple[float, list]]:
    """Copies the film's sound for `out` where players know its coding: (seconds, packets)."""
    source = stack.enter_context(
        av.open(os.fspath(film.path), metadata_errors='replace', options=OPTIONS)
    )
    given = source.streams.audio[0]
    start = (source.start_time or 0) / av.time_base
    copied = given.codec_context.name in _KNOWN_SOUND
    if copied:
        stream = out.add_stream_from_template(given)
    else:
        rate = given.codec_context.sample_rate
        rates = av.codec.Codec('aac', 'w').audio_rates or [rate]
        stream = out.add_stream('aac', rate=min(rates, key=lambda known: abs(known - rate)))
    return _packets(source, given, stream, start, copied)


def _packets(source, given, stream, start: float, copied: bool) -> Iterator[tuple[float, list]]:
    shift = round(start / given.time_base) if given.time_base else 0
    try:
        for packet in source.demux(given):
            if packet.dts is None:
                continue
            time = float(packet.dts * given.time_base) - start
            if copied:
                packet.pts = (packet.pts if packet.pts is not None else packet.dts) - shift
                packet.dts -= shift
                packet.stream = stream
                yield time, [packet]
                continue
            for frame in packet.decode():
                frame.pts = None if frame.pts is None else frame.pts - shift
                yield time, list(stream.encode(frame))
        if not copied:
            yield float('inf'), list(stream.encode())
    except av.error.FFmpegError:
        return  # a damaged end: the sound ends there


def check(film: Film) -> None:
    """Says in one line where no film can be coded here.

    Raises:
      UserError: the coder is missing.
    """
    try:
        av.codec.Codec('libx264', 'w')
    except av.codec.codec.UnknownCodecError as error:
        raise UserError(
            f'{film.path}: this build of PyAV has no libx264 to code the overlay with; leave it '
            'out with --overlay=false'
        ) from error
