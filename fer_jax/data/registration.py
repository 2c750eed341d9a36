"""Cuts and registers faces: square crops, similarity registration from landmarks.

The eye line (saurav2020) has fixed places for the eyes; a Procrustes template and mean shapes
(kahou2015, jain2018) are fitted on training clips (`fer_jax.data.fitted`). All are similarities and
can be undone (`invert`).

A matrix here is float64 [2, 3] and maps an OUTPUT pixel (x, y, 1) to an INPUT pixel (x, y), with
pixel centres at integers, as `cv2.warpAffine` with WARP_INVERSE_MAP reads it. Points are (x, y) in
pixels. A window is (x, y, side) in whole pixels: the square whose top left pixel is (x, y).
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import scipy

from fer_jax.errors import UserError

# Where the two eye centres lie in a square face box of side 1 around the 68 landmarks: level, 0.44
# of the side apart (a 63 mm pupil distance over a 143 mm jaw), 0.28 of the side above the centre.
EYES_IN_BOX = np.array([[0.28, 0.22], [0.72, 0.22]])
# Parts of the 68 landmark scheme (iBUG 300-W), the eye on the left of the picture first.
_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)
_NOSE_TIP, _MOUTH_CORNERS, _JAW = 30, (48, 54), 17
# How many points a shape may have (`keypoints`).
POINTS = (5, 51, 68)
# Places are smoothed over time by parabolas fitted to so many frames (Savitzky and Golay 1964):
# these do not lag behind a face that walks.
_SMOOTHED = 9
_LONGEST = 32766  # pixels a side of what OpenCV warps
# A window that follows a face keeps this part of the median box free around it, and is at most so
# many times as wide as the clip's own: a box far above the median is a detector's mistake.
_FREE, _WIDEST = 0.05, 1.5


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Fits the rotation, scale and shift that carry `source` to `target` with least squared error.

    Umeyama 1991, eq. 40 to 43: from the singular value decomposition of the covariance, never a
    reflection. For a matrix in this module's sense `source` holds output and `target` input points.

    Args:
      source, target: float [P, 2], P >= 2 corresponding points.
    Returns:
      float64 [2, 3].
    Raises:
      ValueError: fewer than two points, not finite, or all of `source` in one place.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise ValueError(f'need two lists of P >= 2 points, not {source.shape} and {target.shape}')
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise ValueError('points must be finite')
    source_mean, target_mean = source.mean(0), target.mean(0)
    centred, wanted = source - source_mean, target - target_mean
    variance = (centred**2).sum()
    if variance < 1e-12:
        raise ValueError('the source points lie in one place: no similarity is defined')
    u, singular, vt = np.linalg.svd(wanted.T @ centred)
    signs = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    linear = (u * signs) @ vt * ((singular * signs).sum() / variance)
    return np.column_stack([linear, target_mean - linear @ source_mean])


def compose(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Returns the [2, 3] matrix that applies `first`, then `then`."""
    return np.column_stack([then[:, :2] @ first[:, :2], apply(then, first[:, 2])])


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Maps float [..., 2] points through a [2, 3] matrix."""
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def eye_centres(landmarks: np.ndarray) -> np.ndarray:
    """Computes the centres of both eyes, [..., 68, 2] or [..., 5, 2] -> [..., 2, 2], left first.

    Of 68 landmarks the mean of each eye's six; of five points the first two.
    """
    if landmarks.shape[-2] == 5:
        return landmarks[..., :2, :]
    return np.stack(
        [landmarks[..., _LEFT_EYE, :].mean(-2), landmarks[..., _RIGHT_EYE, :].mean(-2)], axis=-2
    )


def eye_places(size: int, margin: float) -> np.ndarray:
    """Returns the places of the eye centres in the output of the eye line (saurav2020, sec. 3.1).

    They are level and as far apart as in a face whose box fills 1 / margin of the output.

    Args:
      size: side of the square output in pixels.
      margin: side of the output as a multiple of the face box (1: the box).
    Returns:
      float64 [2, 2], x and y in pixels, the left one first.
    """
    return (0.5 + (EYES_IN_BOX - 0.5) / margin) * size - 0.5


def keypoints(landmarks: np.ndarray, count: int) -> np.ndarray:
    """Selects the points that make a shape, [..., 68, 2] (or [..., 5, 2]) -> [..., count, 2].

    5: eye centres, tip of the nose, corners of the mouth (kahou2015, sec. 2.1.2; jain2018, sec. 3).
    51: all but the jaw line. 68: all. Faces that come with five points make no other shape.

    Raises:
      UserError: more points asked for than the faces have.
    """
    if landmarks.shape[-2] == 5:
        if count != 5:
            raise UserError(
                f'data.points is {count}, but these faces come with 5 points: leave it 5, or '
                'prepare with --faces=face_alignment'
            )
        return landmarks
    if count == 5:
        rest = landmarks[..., [_NOSE_TIP, *_MOUTH_CORNERS], :]
        return np.concatenate([eye_centres(landmarks), rest], axis=-2)
    return landmarks[..., _JAW if count == 51 else 0 :, :]


def each_frame(target: np.ndarray, shapes: np.ndarray) -> list[np.ndarray] | None:
    """Fits the similarity that carries `target` to each frame's shape with least squared error.

    Args:
      target: float [P, 2], places in the output.
      shapes: float [T, P, 2], places in the input; NaN where a frame has none.
    Returns:
      T matrices float64 [2, 3], output pixel -> input pixel; a frame without a shape takes the
      nearest frame's, the earlier of two. None where no frame has one.
    """
    known = np.flatnonzero(np.isfinite(shapes).all((1, 2)))
    if not len(known):
        return None
    nearest = known[np.abs(known[:, None] - np.arange(len(shapes))).argmin(0)]
    matrices = {frame: similarity(target, shapes[frame]) for frame in known}
    return [matrices[frame] for frame in nearest]


def procrustes_mean(shapes: np.ndarray) -> np.ndarray:
    """Computes the Procrustes mean of shapes, put at their average place, size and angle.

    The full Procrustes mean is the shape with the least summed squared distance to all shapes, each
    moved by the similarity that fits it best. With points as complex numbers it is the first
    eigenvector of the sum of the centred and normalised shapes' outer products (Kent 1994). The
    similarity that fits it best on the plain mean of the shapes gives it place, size and angle.

    Args:
      shapes: float [F, P, 2], P >= 2.
    Returns:
      float64 [P, 2].
    """
    plain = shapes.mean(0, dtype=np.float64)
    centred = (shapes - shapes.mean(1, keepdims=True)) @ [1, 1j]
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    first = np.linalg.eigh(unit.T @ unit.conj())[1][:, -1]
    mean = np.column_stack([np.real(first), np.imag(first)])
    return apply(similarity(mean, plain), mean)


def warp(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Draws `image` [H, W] or [H, W, C] through `matrix` into a square of `size` pixels; 0 outside.

    Bilinear. Where the output is coarser than the input, it is drawn on a grid that is a whole
    number of times finer and averaged over areas, so that shrinking does not alias.
    """
    if max(image.shape[:2]) > _LONGEST:
        image, matrix = _drawn_from(image, matrix, size)
    finer = _finer(matrix)
    shift = 0.5 / finer - 0.5
    fine = np.column_stack([matrix[:, :2] / finer, matrix[:, :2] @ [shift, shift] + matrix[:, 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(image, fine, (size * finer, size * finer), flags=flags)
    return drawn if finer == 1 else cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)


def _drawn_from(image: np.ndarray, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts out the part of an image that `warp` draws; the matrix is in its pixels."""
    edges = apply(matrix, np.array([[x, y] for x in (-1, size) for y in (-1, size)]))
    ends = image.shape[1] - 1, image.shape[0] - 1
    left, top = np.clip(np.floor(edges.min(0)) - 1, 0, ends).astype(int)
    right, bottom = np.clip(np.ceil(edges.max(0)) + 1, 0, ends).astype(int)
    part = image[top : bottom + 1, left : right + 1]
    return part, matrix - [[0, 0, left], [0, 0, top]]


def _finer(matrix: np.ndarray) -> int:
    """Returns how many times finer than the output `warp` draws: input per output pixels, up."""
    return max(1, math.ceil(math.sqrt(abs(np.linalg.det(matrix[:, :2]))) - 1e-6))


def noisy_border(
    frames: np.ndarray, matrix: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Extends a clip by noise as far as the output reaches (kahou2015, sec. 2.1.2).

    Levels are uniform from 0 to 255, grey, one draw for all frames.

    Args:
      frames: uint8 [T, H, W, C].
      matrix: float [2, 3], output pixel -> pixel of the frames.
      size: side of the square output in pixels.
    Returns:
      The extended frames and the matrix in their pixels; both as given where nothing is missing.
    """
    count, height, width, channels = frames.shape
    outermost = 0.5 / _finer(matrix) - 0.5  # where `warp` samples, in output pixels
    ends = outermost, size - 1 - outermost
    edges = apply(matrix, np.array([[x, y] for x in ends for y in ends]))
    left, top = np.maximum(0, np.ceil(-edges.min(0) - 1e-6)).astype(int)
    right, bottom = np.maximum(0, np.ceil(edges.max(0) + 1 - (width, height) - 1e-6)).astype(int)
    if not (left or top or right or bottom):
        return frames, matrix
    shape = (top + height + bottom, left + width + right, 1)
    canvas = np.tile(rng.integers(0, 256, shape, np.uint8), (count, 1, 1, channels))
    canvas[:, top : top + height, left : left + width] = frames
    return canvas, matrix + [[0, 0, left], [0, 0, top]]


def window_matrix(window: Sequence[float], size: int) -> np.ndarray:
    """Returns the matrix [2, 3] of `crop`: pixel of the crop -> pixel of the image."""
    x, y, side = window
    scale = side / size
    return np.array([[scale, 0, x + scale / 2 - 0.5], [0, scale, y + scale / 2 - 0.5]])


def face_window(boxes: np.ndarray, margin: float) -> tuple[int, int, int] | None:
    """Returns a clip's square window: `margin` times its median face box, at its median centre.

    One window for the whole clip keeps the head's motion, and the median keeps a dropping jaw
    (which stretches the landmarks' box) from zooming the picture.

    Args:
      boxes: float [T, 4], left, top, right, bottom edges of the face in pixels, NaN where there is
        none.
    Returns:
      (x, y, side) in whole pixels, or None where no frame has a face.
    """
    left, top, right, bottom = boxes[np.isfinite(boxes).all(1)].T.astype(np.float64)
    if not len(left):
        return None
    whole = max(1, round(_median(np.maximum(right - left, bottom - top)) * margin))
    # Edges lie half a pixel outside the outermost pixel centres.
    shift = 0.5 - whole / 2
    x, y = _median((left + right) / 2) + shift, _median((top + bottom) / 2) + shift
    return round(x), round(y), whole


def following_windows(boxes: np.ndarray, margin: float) -> np.ndarray | None:
    """Returns a window for each frame, all of one side, that together hold a face which moves.

    All are `face_window` where that holds the face in every frame. Otherwise the window goes no
    further than it must to hold the face, smoothly; it is wider where a frame's box is.

    Args:
      boxes, margin: as of `face_window`.
    Returns:
      int [T, 3], (x, y, side) in whole pixels, or None where no frame has a face.
    """
    window = face_window(boxes, margin)
    if window is None:
        return None
    known = np.flatnonzero(np.isfinite(boxes).all(1))
    start, end = boxes[known, :2].astype(np.float64), boxes[known, 2:].astype(np.float64)
    corner, side = np.array(window[:2]), window[2]
    # Edges lie half a pixel outside pixel centres.
    if (start >= corner - 0.5).all() and (end <= corner + side - 0.5).all():
        return np.tile([*corner, side], (len(boxes), 1))
    free = _FREE * side / margin
    widest = math.ceil((end - start).max() + 2 * free)
    side = max(side, min(widest, round(_WIDEST * side)))
    corner -= (side - window[2]) // 2
    # How far the window may lie from its place.
    least, most = np.ceil(end - side + 0.5) - corner, np.floor(start + 0.5) - corner
    shift = np.where(
        least + free > most - free, (least + most) / 2, np.clip(0, least + free, most - free)
    )
    smooth = over_time(shift, known, len(boxes))
    smooth[known] = np.clip(smooth[known], np.minimum(least, most), np.maximum(least, most))
    places = np.rint(corner + smooth).astype(int)
    return np.column_stack([places, np.full(len(boxes), side)])


def over_time(values: np.ndarray, known: np.ndarray, length: int) -> np.ndarray:
    """Fills in what lies between known frames by straight lines, and smooths the whole.

    Args:
      values: float [K, D], of the frames `known`.
      known: int [K], ascending, K >= 1.
      length: T, frames of the clip.
    Returns:
      float64 [T, D].
    """
    lines = np.column_stack([np.interp(np.arange(length), known, each) for each in values.T])
    frames = min(_SMOOTHED, length - 1 + length % 2)
    return lines if frames < 5 else scipy.signal.savgol_filter(lines, frames, 2, axis=0)


def box_windows(boxes: np.ndarray, margin: float) -> np.ndarray | None:
    """Returns each frame's own window around its box, smoothed over time.

    Args:
      boxes, margin: as of `face_window`.
    Returns:
      float64 [T, 3], (x, y, side) in pixels, or None where no frame has a face.
    """
    known = np.flatnonzero(np.isfinite(boxes).all(1))
    if not len(known):
        return None
    start, end = boxes[known, :2].astype(np.float64), boxes[known, 2:].astype(np.float64)
    sides = (end - start).max(1, keepdims=True)
    smooth = over_time(np.column_stack([(start + end) / 2, sides]), known, len(boxes))
    side = smooth[:, 2:] * margin
    return np.column_stack([smooth[:, :2] + 0.5 - side / 2, side])


def _median(values: np.ndarray) -> float:
    """Computes the median of float [T]; np.median spends 50 us on the one frame of a still."""
    values, middle = np.sort(values), len(values) // 2
    return float(values[middle] + values[-1 - middle]) / 2


def crop(image: np.ndarray, window: Sequence[int], size: int) -> np.ndarray:
    """Cuts a window out of `image` [H, W] or [H, W, C] and resizes it to `size` pixels a side.

    Outside the image is 0. Shrinking averages over areas (cv2.INTER_AREA), growing is bilinear.
    """
    x, y, side = window
    height, width = image.shape[:2]
    left, top = max(0, -x), max(0, -y)
    right, bottom = max(0, x + side - width), max(0, y + side - height)
    cut = image[max(0, y) : max(0, y + side), max(0, x) : max(0, x + side)]
    if left or top or right or bottom:
        if not cut.size:
            return np.zeros((size, size, *image.shape[2:]), image.dtype)
        cut = cv2.copyMakeBorder(
            cut, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0)
        )
    if side == size:
        return np.ascontiguousarray(cut)
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return cv2.resize(cut, (size, size), interpolation=method)


def to_crop(points: np.ndarray, window: Sequence[float], size: int) -> np.ndarray:
    """Carries float [..., 2] points of an image into the crop that `crop` cuts from it."""
    x, y, side = window
    return (np.asarray(points) - (x, y) + 0.5) * (size / side) - 0.5


def to_crops(points: np.ndarray, windows: np.ndarray, size: int) -> np.ndarray:
    """Carries float [T, P, 2] points of T images into the crops of their windows int [T, 3]."""
    return np.stack(
        [to_crop(each, window, size) for each, window in zip(points, windows, strict=True)]
    )


def on_grid(windows: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Moves windows so that their crops of `size` pixels lie whole pixels apart.

    Args:
      windows: int [T, 3], (x, y, side), of one side.
    Returns:
      The windows, each moved by less than a pixel of its crop, and int32 [T, 2], x and y of each
      crop from the first one's in pixels of the crops.
    """
    scale = windows[0, 2] / size
    shift = np.rint((windows[:, :2] - windows[0, :2]) / scale)
    places = windows[0, :2] + np.rint(shift * scale).astype(int)
    return np.column_stack([places, windows[:, 2]]), shift.astype(np.int32)
