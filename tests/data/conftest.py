"""Tiny releases written by hand, in the owners' layouts, independent of the simulator."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

# Half a face of 68 landmarks in units of its width: enough to have eyes, a jaw and a box.
_ANGLES = np.linspace(np.pi, 0, 17)
JAW = np.column_stack([0.5 * np.cos(_ANGLES), 0.62 * np.sin(_ANGLES)])
_BROW = np.column_stack([np.linspace(0.1, 0.35, 5), np.full(5, -0.35)])
_RING = np.linspace(0, 2 * np.pi, 6, endpoint=False)
_EYE = np.column_stack([0.22 + 0.06 * np.cos(_RING), -0.2 + 0.03 * np.sin(_RING)])
_MOUTH_RING = np.linspace(0, 2 * np.pi, 20, endpoint=False)
FACE = np.concatenate(
    [
        JAW,
        _BROW[::-1] * (-1, 1),
        _BROW,
        np.column_stack([np.linspace(-0.05, 0.05, 9), np.linspace(-0.2, 0.1, 9)]),
        _EYE * (-1, 1),
        _EYE,
        np.column_stack([0.2 * np.cos(_MOUTH_RING), 0.3 + 0.06 * np.sin(_MOUTH_RING)]),
    ]
)


def posed_face(centre, width, degrees) -> np.ndarray:
    """The hand-made face's landmarks [68, 2] at a place, width in pixels and roll."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return width * FACE @ turn.T + centre


def drawn_face(landmarks, shape=(130, 150), colour=False) -> np.ndarray:
    """Grey 60 everywhere, white discs at the two eye centres; uint8 [H, W] or BGR [H, W, 3]."""
    image = np.full(shape, 60, np.uint8)
    for eye in (landmarks[36:42].mean(0), landmarks[42:48].mean(0)):
        fixed = np.round(eye * 16).astype(int).tolist()
        cv2.circle(image, fixed, int(4 * 16), 255, -1, cv2.LINE_AA, 4)
    return np.dstack([image, image // 2, image // 3]) if colour else image


@dataclasses.dataclass(frozen=True)
class Sequence:
    """A CK+ sequence: its emotion (None: unlabelled), a pose (centre, width, roll) a frame."""

    subject: str
    number: str
    emotion: int | None
    poses: tuple
    colour: bool = False


SEQUENCES = (
    Sequence('S010', '002', 7, [((75, 60), 50, 0), ((77, 61), 50, 5), ((79, 62), 51, 10)]),
    Sequence('S005', '001', 3, [((70, 62), 48, -8)] * 2),
    Sequence('S010', '001', 1, [((74, 58), 52, 3)] * 4, colour=True),
    Sequence('S011', '001', None, [((75, 60), 50, 0)] * 2),
    Sequence('S999', '003', 5, [((60, 66), 44, 15)] * 5),
)


def write_ckplus(folder: Path, sequences=SEQUENCES) -> Path:
    """Writes images, Emotion and Landmarks as CK+ ships them."""
    for sequence in sequences:
        inside = Path(sequence.subject) / sequence.number
        images, landmarks = (folder / part / inside for part in ('cohn-kanade-images', 'Landmarks'))
        emotion = folder / 'Emotion' / inside  # the owners have empty folders for unlabelled ones
        for path in (images, landmarks, emotion):
            path.mkdir(parents=True)
        stem = f'{sequence.subject}_{sequence.number}'
        for index, pose in enumerate(sequence.poses, start=1):
            points = posed_face(*pose)
            picture = drawn_face(points, colour=sequence.colour)
            cv2.imwrite(str(images / f'{stem}_{index:08d}.png'), picture)
            lines = ''.join(f'   {x:.7e}   {y:.7e}\n' for x, y in points)
            (landmarks / f'{stem}_{index:08d}_landmarks.txt').write_text(lines)
        if sequence.emotion is not None:
            name = f'{stem}_{len(sequence.poses):08d}_emotion.txt'
            (emotion / name).write_text(f'   {sequence.emotion:.7e}\n')
    (folder / 'cohn-kanade-images' / 'S010' / '.DS_Store').write_bytes(b'\0')  # as shipped
    return folder


# emotion, Usage, and FER+'s votes: neutral happiness surprise sadness anger disgust fear contempt
# unknown NF; None in place of the votes: no image name.
FER2013_ROWS = (
    (0, 'Training', (4, 0, 0, 1, 3, 2, 0, 0, 0, 0)),
    (6, 'Training', (0, 2, 0, 2, 0, 0, 0, 6, 0, 0)),  # contempt; without it a tie
    (3, 'Training', (0, 0, 0, 1, 0, 0, 0, 0, 9, 0)),  # one vote against nine for 'unknown'
    (2, 'PublicTest', None),
    (1, 'PublicTest', (0, 0, 0, 0, 0, 0, 0, 3, 7, 0)),  # no vote for the seven
    (5, 'PrivateTest', (0, 0, 9, 0, 0, 0, 1, 0, 0, 0)),
    (4, 'PrivateTest', (0, 0, 0, 0, 0, 0, 0, 0, 0, 10)),  # no vote for the eight
)


def fer2013_images(rows=7) -> np.ndarray:
    """Uint8 [rows, 48, 48], the last one black."""
    images = np.random.default_rng(1).integers(0, 256, (rows, 48, 48)).astype(np.uint8)
    images[-1] = 0
    return images


def write_fer2013(folder: Path, ferplus=True, rows=FER2013_ROWS) -> Path:
    """Writes fer2013.csv and, with `ferplus`, fer2013new.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    lines, votes = (
        ['emotion,pixels,Usage'],
        [
            'Usage,Image name,'
            'neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF'
        ],
    )
    images = fer2013_images(len(rows))
    for index, ((emotion, usage, counts), image) in enumerate(zip(rows, images, strict=True)):
        lines.append(f'{emotion},{" ".join(map(str, image.ravel()))},{usage}')
        name = '' if counts is None else f'fer{index + 40:07d}.png'  # names do not number the rows
        votes.append(f'{usage},{name},{",".join(map(str, counts or (9,) + (0,) * 9))}')
    (folder / 'fer2013.csv').write_text('\n'.join(lines) + '\n')
    if ferplus:
        (folder / 'fer2013new.csv').write_text('\n'.join(votes) + '\n')
    return folder


@pytest.fixture
def ckplus_release(tmp_path) -> Path:
    """Five hand-made sequences, four labelled, of four subjects."""
    return write_ckplus(tmp_path / 'ck')


@pytest.fixture
def fer2013_release(tmp_path) -> Path:
    """Seven rows with FER+ votes beside."""
    return write_fer2013(tmp_path / 'fer')


@pytest.fixture
def handmade():
    """This module: what drew the releases."""
    import sys

    return sys.modules[__name__]
