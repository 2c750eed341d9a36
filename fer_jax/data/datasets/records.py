"""Holds what a builder reads from a release, and turns it into the record that is stored.

A builder first scans (which clips there are, their labels; fast, whole release) and then reads clip
by clip. Whoever finds the faces, the release itself or a detector, hands over `Faces` in the pixels
of the release; `cropped` turns frames and faces into a record in one way for all datasets.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from fer_jax.data import registration

# Stored crops reach to 1.6 times the face box, so that registration may rotate and margins may vary
# when clips are loaded, and measure at most 160 pixels a side.
STORED_MARGIN = 1.6
STORED_SIZE = 160
BLANK = 16  # pixels a side of what stands for the picture of a sound
SCENE_SIZE = 320  # pixels of the longest side of a whole frame


@dataclasses.dataclass(frozen=True)
class Faces:
    """The face of each frame of a clip, in pixels with centres at integers.

    Attributes:
      box: float32 [T, 4], left, top, right, bottom edges; NaN where the frame has no face.
      landmarks: float32 [T, P, 2], x and y: 68 points in the iBUG 300-W order, or the 5 of
        `registration.keypoints`; NaN where there are none.
    """

    box: np.ndarray
    landmarks: np.ndarray

    @classmethod
    def nowhere(cls, length: int, points: int = 68) -> 'Faces':
        """Makes the record of `length` frames without a face, or its `points` landmarks."""
        return cls(
            np.full((length, 4), np.nan, np.float32),
            np.full((length, points, 2), np.nan, np.float32),
        )

    @classmethod
    def from_landmarks(cls, landmarks: np.ndarray) -> 'Faces':
        """Takes the tight boxes around the 68 points (brows to chin); float [T, 68, 2] in."""
        landmarks = np.asarray(landmarks, np.float32)
        box = np.concatenate([landmarks.min(1), landmarks.max(1)], axis=1)  # NaN stays NaN
        return cls(box, landmarks)

    @classmethod
    def from_five(cls, landmarks: np.ndarray) -> 'Faces':
        """Takes the boxes in which the eyes have their places; float [T, 5, 2] in."""
        landmarks = np.asarray(landmarks, np.float32)
        boxes = np.full((len(landmarks), 4), np.nan, np.float32)
        corners = np.array([[0.0, 0.0], [1.0, 1.0]])
        for index, eyes in enumerate(landmarks[:, :2]):
            if np.isfinite(eyes).all() and (eyes[0] != eyes[1]).any():
                middle, apart = eyes.mean(0), np.linalg.norm(eyes[1] - eyes[0])
                places = registration.EYES_IN_BOX
                side = apart / (places[1, 0] - places[0, 0])
                boxes[index] = (middle + (corners - places.mean(0)) * side).ravel()
        return cls(boxes, landmarks)


@dataclasses.dataclass(frozen=True)
class FoundClip:
    """A clip that a scan found, not yet read.

    Attributes:
      clip_id: unique and stable over preparations.
      label: class name in the dataset's first label set; '' where the owners keep it.
      subject: '' where the release names none.
      split: the owners' part, 'train', 'validation' or 'test'; '' where there is none.
      path: where it lies, relative to the release.
      other_labels: label set -> class name, '' where that set drops the clip.
      votes: how many raters chose each of the builder's VOTES; () where nobody was asked.
      payload: what the builder's `read` needs.
    """

    clip_id: str
    label: str
    subject: str
    split: str
    path: str
    other_labels: dict[str, str] = dataclasses.field(default_factory=dict)
    votes: Sequence[int] = ()
    payload: Any = None


@dataclasses.dataclass(frozen=True)
class ScanResult:
    """What a scan of a release found.

    Attributes:
      clips: the clips to prepare.
      label_sets: names of the label sets that the release has.
      dropped: clips left out, each {'clip_id', 'path', 'reason', 'label_set'}; label_set is '' for
        a clip left out altogether, else the one set that does without it.
      fingerprint: changes when the release's files do (`release.fingerprint`).
      simulated: content of SIMULATED.json, None for the owners' release.
    """

    clips: list[FoundClip]
    label_sets: tuple[str, ...]
    dropped: list[dict[str, str]]
    fingerprint: str
    simulated: dict | None


def cropped(
    frames: list[np.ndarray], faces: Faces, margin: float = STORED_MARGIN
) -> dict[str, np.ndarray]:
    """Cuts a clip to its face: square windows of one side, at most 160 pixels when stored.

    The window lies around the median box. Where the face leaves it the window follows
    (`registration.following_windows`), and `shift` says how far. A clip without any face keeps its
    central square: it stays, marked, for whoever needs no face.

    Args:
      frames: T images uint8 [H, W, C] of one shape.
      faces: in pixels of the frames.
      margin: side of the window as a multiple of the box.
    Returns:
      frames uint8 [T, S, S, C], box float32 [T, 4] and landmarks float32 [T, P, 2] in pixels of
      each frame's own crop (NaN where there is none), has_face bool [T], shift int32 [T, 2]: x and
      y of each crop from the first one's, in its pixels.
    """
    windows = registration.following_windows(faces.box, margin)
    if windows is None:
        height, width = frames[0].shape[:2]
        side = min(height, width)
        windows = np.tile([(width - side) // 2, (height - side) // 2, side], (len(frames), 1))
    size = min(STORED_SIZE, windows[0, 2])
    windows, shift = registration.on_grid(windows, size)
    cut = [
        registration.crop(frame, window, size)
        for frame, window in zip(frames, windows.tolist(), strict=True)
    ]
    box = registration.to_crops(faces.box.reshape(-1, 2, 2), windows, size).reshape(-1, 4)
    landmarks = registration.to_crops(faces.landmarks, windows, size)
    placed = Faces(box.astype(np.float32), landmarks.astype(np.float32))
    return uncut(np.stack(cut).reshape(len(cut), size, size, -1), placed) | {'shift': shift}


def uncut(frames: np.ndarray | Sequence[np.ndarray], faces: Faces) -> dict[str, np.ndarray]:
    """Makes the arrays of `cropped` from T pictures uint8 [S, S, C] stored as they are."""
    return {
        'frames': np.asarray(frames),
        'box': faces.box,
        'landmarks': faces.landmarks,
        'has_face': np.all(np.isfinite(faces.box), 1),
        'shift': np.zeros((len(frames), 2), np.int32),
    }


def sound_alone(record: Mapping[str, Any]) -> bool:
    """Tells whether a stored record is of a clip without a picture: one small black frame."""
    frames = record['frames']
    blank = frames.shape == (1, BLANK, BLANK, 1) and not frames.any()
    return blank and not record['has_face'].any()


def scene(frames: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Turns a clip's whole frames grey (OpenCV's weights), at most 320 pixels a side.

    Shrinking averages over areas and keeps the aspect ratio; nothing is enlarged. Where a film
    changes its size, all frames take that of the first.

    Args:
      frames: T images uint8 [H, W, C], grey or RGB.
    Returns:
      frames uint8 [T, H, W, 1].
    """
    height, width = frames[0].shape[:2]
    scale = min(1.0, SCENE_SIZE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey = [
        frame[:, :, 0] if frame.shape[2] == 1 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        for frame in frames
    ]
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in grey]
    return {'frames': np.stack(small)[..., None]}
