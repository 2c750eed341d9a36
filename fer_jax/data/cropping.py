"""From a record to a ClipSet's frames: they are chosen, cropped or registered, and scaled."""

import dataclasses
import zlib

import cv2
import numpy as np

from fer_jax.data import clips, registration
from fer_jax.errors import UserError

REGISTRATIONS = ('none', 'box', 'eyes', 'procrustes', 'mean_shape')
FITTED = ('procrustes', 'mean_shape')  # those that need training clips
EQUALIZATIONS = ('none', 'clahe')
IN_WORDS = {'clahe': 'CLAHE, limit 2, 8 x 8 tiles'}


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Holds what a config's `data` section says of the frames.

    Attributes:
      frames: T, frames of a clip; `sampling` chooses them (`clips.sample_frames`).
      size: side of the square output in pixels.
      channels: 1 grey (OpenCV's weights) or 3 RGB; grey pictures are repeated.
      registration: one of REGISTRATIONS.
      points: of a shape (`registration.keypoints`), for what is fitted.
      margin: side of the output as a multiple of the face box (1: the box).
      equalize: one of EQUALIZATIONS, of pictures before they are resized.
    """

    frames: int
    sampling: str
    size: int
    channels: int
    registration: str
    points: int
    margin: float
    equalize: str = 'none'

    def __post_init__(self):
        if self.channels not in (1, 3):
            raise UserError(f'channels is {self.channels}: 1 (grey) or 3 (RGB)')
        if self.registration not in REGISTRATIONS:
            raise UserError(
                f"unknown registration '{self.registration}': one of {', '.join(REGISTRATIONS)}"
            )
        if self.equalize not in EQUALIZATIONS:
            raise UserError(
                f"unknown data.equalize '{self.equalize}': one of {', '.join(EQUALIZATIONS)}"
            )
        if self.points not in registration.POINTS:
            raise UserError(f'points is {self.points}: one of 5, 51, 68')
        if self.sampling not in clips.SAMPLINGS:
            raise UserError(
                f"unknown frame sampling '{self.sampling}': one of {', '.join(clips.SAMPLINGS)}"
            )

    @property
    def fits(self) -> bool:
        """Tells whether the registration is one that is fitted."""
        return self.registration in FITTED

    def in_words(self, fitted: bool, by_box: int, count: int) -> str:
        """Describes how `count` clips were registered, `by_box` of them by their face box."""
        if self.fits and not fitted:
            return 'none'
        name = self.registration + (f' of {self.points} points' if self.fits else '')
        if not by_box:
            return name
        some = 'all' if by_box == count else f'{by_box:,} of {count:,}'
        return f'{name}; {some} clips by the face box: no landmarks'


def draw(
    out: np.ndarray, record: dict, geometry: Geometry, fit: np.ndarray | None
) -> tuple[int, bool]:
    """Draws a record's clip.

    Args:
      out: uint8 [T, S, S, C], filled; frames beyond the clip's repeat its last one.
      record: as it is stored (`clip_builder.ClipBuilder`).
      fit: 'procrustes': the template float64 [P, 2]; 'mean_shape': the dataset's matrix float64
        [2, 3], output pixel -> pixel of the unregistered frames, NaN where it has no mean shape.
        None draws both as 'none' does.
    Returns:
      The clip's length before padding, and whether the registration had to go by the face box.
    """
    chosen = _chosen(record, geometry)
    record = _on_canvas(record, chosen)
    frames = [_as_channels(frame, geometry.channels) for frame in record['frames']]
    window = _window(record, geometry)
    matrices = None
    wanted = geometry.registration == 'eyes' or fit is not None
    if geometry.registration == 'box':
        matrices = _by_box(record, geometry)
        matrices = matrices and [matrices[index] for index in chosen]
    elif wanted and (fit is None or np.isfinite(fit).all()):
        if geometry.registration == 'mean_shape' and fit is not None:
            frames, matrices = _in_noise(frames, record['clip_id'], window, geometry.size, fit)
        else:
            matrices = _by_landmarks(record, geometry, fit)
            matrices = matrices and [matrices[index] for index in chosen]
    for index, frame in enumerate(frames):
        if matrices is None:
            drawn = cut(frame, window, geometry.size, geometry.equalize)
        else:
            frame = _clahe(frame) if geometry.equalize == 'clahe' else frame
            drawn = registration.warp(frame, matrices[index], geometry.size)
        out[index] = drawn.reshape(out.shape[1:])
    out[len(frames) :] = out[len(frames) - 1]
    return len(frames), wanted and matrices is None


def landmarks(record: dict, geometry: Geometry) -> np.ndarray:
    """Returns the landmarks of the chosen frames in pixels of the unregistered output.

    Returns:
      float32 [T, P, 2], P as they are stored (68 where there are none); NaN where a frame has none
      and beyond the clip's length.
    """
    points = record['landmarks'].shape[1] if 'landmarks' in record else 68
    out = np.full((geometry.frames, points, 2), np.nan, np.float32)
    if 'landmarks' in record:
        chosen = _chosen(record, geometry)
        record = _on_canvas(record, chosen)
        window = _window(record, geometry)
        points = registration.to_crop(record['landmarks'][chosen], window, geometry.size)
        out[: len(chosen)] = points
    return out


def _chosen(record: dict, geometry: Geometry) -> np.ndarray:
    """Returns the indices of the sampled frames among the stored ones, without repeated ones."""
    stored = len(record['frames'])
    chosen = clips.sample_frames(stored, geometry.frames, geometry.sampling)
    # Repeated frames at the end are padding; in their places they belong to the clip.
    real = clips.real_frames(stored, geometry.sampling)
    return chosen if geometry.sampling == 'linspace' else chosen[: min(geometry.frames, real)]


def _on_canvas(record: dict, chosen: np.ndarray) -> dict:
    """Puts the chosen frames of a record where they lie in the picture, 0 around them.

    Returns:
      `frames` of the chosen ones alone, and `box` and `landmarks` of all, in pixels of one canvas;
      as they are stored where the window did not follow the face.
    """
    shift = record.get('shift')
    if shift is None or not shift.any():
        return record | {'frames': record['frames'][chosen]}
    shift = shift - shift.min(0)
    height, width, channels = record['frames'].shape[1:]
    wide, high = shift.max(0)
    canvas = np.zeros((len(chosen), height + high, width + wide, channels), np.uint8)
    for place, index in zip(canvas, chosen, strict=True):
        x, y = shift[index]
        place[y : y + height, x : x + width] = record['frames'][index]
    moved = {'frames': canvas, 'box': record['box'] + np.tile(shift, 2)}
    if 'landmarks' in record:
        moved['landmarks'] = record['landmarks'] + shift[:, None]
    return record | moved


def _by_box(record: dict, geometry: Geometry) -> list[np.ndarray] | None:
    """Returns a matrix for each stored frame; None where no face moves, or none is there."""
    windows = registration.box_windows(record['box'], geometry.margin)
    if windows is None or not np.ptp(windows, axis=0).any():
        return None
    return [registration.window_matrix(window, geometry.size) for window in windows]


def _window(record: dict, geometry: Geometry) -> tuple[int, int, int]:
    """Returns the clip's crop window, without registration; the whole picture without a face."""
    side = record['frames'].shape[1]
    return registration.face_window(record['box'], geometry.margin) or (0, 0, side)


def _by_landmarks(
    record: dict, geometry: Geometry, template: np.ndarray | None
) -> list[np.ndarray] | None:
    """Returns a matrix for each stored frame; None for a clip without landmarks."""
    if 'landmarks' not in record:
        return None
    if geometry.registration == 'eyes' or template is None:
        places = registration.eye_places(geometry.size, geometry.margin)
        return registration.each_frame(places, registration.eye_centres(record['landmarks']))
    shapes = registration.keypoints(record['landmarks'], geometry.points)
    return registration.each_frame(template, shapes)


def _in_noise(
    frames: list[np.ndarray],
    clip_id: str,
    window: tuple[int, int, int],
    size: int,
    fit: np.ndarray,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the frames with a border of noise, seeded by the clip's id, and a matrix for each."""
    matrix = registration.compose(fit, registration.window_matrix(window, size))
    rng = np.random.default_rng(zlib.crc32(clip_id.encode()))
    height, width = frames[0].shape[:2]
    stack = np.stack(frames).reshape(len(frames), height, width, -1)
    extended, matrix = registration.noisy_border(stack, matrix, size, rng)
    return extended, [matrix] * len(frames)


def cut(frame: np.ndarray, window: tuple, size: int, equalize: str) -> np.ndarray:
    """Cuts a square window out of a picture, equalised by itself where asked, and resizes it.

    Args:
      frame, window: as of `registration.crop`.
      size: of the result, in pixels a side.
      equalize: one of EQUALIZATIONS.
    """
    if equalize == 'clahe':  # of the window alone, before its size changes
        frame = _clahe(registration.crop(frame, window, window[2]))
        window = (0, 0, window[2])
    return registration.crop(frame, window, size)


def _clahe(picture: np.ndarray) -> np.ndarray:
    """Equalises uint8 [H, W] or [H, W, 3] as `ops.equalize.clahe` does: limit 2, 8 x 8 tiles."""
    op = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8))
    if picture.ndim == 2:
        return op.apply(picture)
    return np.stack([op.apply(channel) for channel in np.moveaxis(picture, -1, 0)], -1)


def _as_channels(frame: np.ndarray, channels: int) -> np.ndarray:
    """Converts uint8 [H, W, C] to [H, W] grey or [H, W, 3]."""
    if frame.shape[2] == channels:
        return frame[:, :, 0] if channels == 1 else frame
    code = cv2.COLOR_RGB2GRAY if channels == 1 else cv2.COLOR_GRAY2RGB
    return cv2.cvtColor(frame, code)
