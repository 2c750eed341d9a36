"""CK+: posed and spontaneous sequences from the neutral face to the apex (lucey2010)."""

import re
from pathlib import Path

import numpy as np

from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

_LABEL_FILE = '*_emotion.txt'
_IMAGES, _LABELS, _LANDMARKS = 'cohn-kanade-images', 'Emotion', 'Landmarks'


class Builder(clip_builder.ClipBuilder):
    """Reads the folders that CK+'s four archives unpack to.

    Kept are the 327 of 593 sequences that have an emotion label; the others are listed as dropped.
    The label file holds one number such as `3.0000000e+00`: 1 anger, 2 contempt, 3 disgust, 4 fear,
    5 happiness, 6 sadness, 7 surprise. The face is the box around the 68 tracked landmarks that
    ship with each frame; a frame without a landmark file has no face. Clip ids are `S005_001`.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    CK+ is given to researchers who sign its agreement (https://www.jeffcohn.net/resources/). Unpack
    its archives side by side and pass the folder that then holds:
      cohn-kanade-images/S005/001/S005_001_00000001.png     (extended-cohn-kanade-images.zip)
      Emotion/S005/001/S005_001_00000011_emotion.txt        (Emotion_labels.zip)
      Landmarks/S005/001/S005_001_00000001_landmarks.txt    (Landmarks.zip)
    """
    DESCRIPTION = 'Extended Cohn-Kanade: 327 labelled sequences of 118 subjects, 7 emotions.'
    HOMEPAGE = 'https://www.jeffcohn.net/resources/'
    CITATION = """@inproceedings{lucey2010,
      title={The Extended Cohn-Kanade Dataset (CK+): A complete dataset for action unit and
        emotion-specified expression},
      author={Lucey, Patrick and Cohn, Jeffrey F. and Kanade, Takeo and Saragih, Jason and
        Ambadar, Zara and Matthews, Iain},
      booktitle={CVPR Workshops}, year={2010}}"""
    # In the order of the label files' numbers, from 1.
    LABEL_SETS = {
        'ckplus': ('anger', 'contempt', 'disgust', 'fear', 'happiness', 'sadness', 'surprise')
    }
    PUBLISHED_CLASSES = dict(zip(LABEL_SETS['ckplus'], (45, 18, 59, 25, 69, 28, 83), strict=True))
    PUBLISHED_SUBJECTS = 118
    FACES = ('release', 'yunet', 'dlib', 'haar', 'face_alignment', 'opencv_dnn')
    LANDMARKS = True

    def scan(self, release: Path) -> records.ScanResult:
        needed = {
            _IMAGES: 'from extended-cohn-kanade-images.zip',
            _LABELS: 'from Emotion_labels.zip',
        }
        if self._way() == 'release':
            needed[_LANDMARKS] = 'from Landmarks.zip'
        folder = releases.root(release, 'CK+', needed)
        clips, dropped, listed, read = [], [], [], []
        sequences = {
            path.relative_to(folder / _IMAGES) for path in (folder / _IMAGES).glob('S*/*/')
        }
        labelled = {
            path.relative_to(folder / _LABELS)
            for path in (folder / _LABELS).glob('S*/*/')
            if releases.matching(path, _LABEL_FILE)
        }
        for sequence in sorted(sequences | labelled):
            subject, number = sequence.parts
            clip_id, path = f'{subject}_{number}', f'{_IMAGES}/{sequence.as_posix()}'
            frames = releases.matching(folder / _IMAGES / sequence, '*.png')
            label_files = releases.matching(folder / _LABELS / sequence, _LABEL_FILE)
            _check_names(clip_id, frames)
            _check_names(clip_id, label_files)
            reason = 'unlabelled' if not label_files else 'no frames' if not frames else ''
            if reason:
                dropped.append(
                    {'clip_id': clip_id, 'path': path, 'reason': reason, 'label_set': ''}
                )
                continue
            landmarks = [
                releases.optional(folder / _LANDMARKS / sequence / f'{frame.stem}_landmarks.txt')
                for frame in frames
            ]
            listed += [*frames, *filter(None, landmarks)]
            read += label_files
            clips.append(
                records.FoundClip(
                    clip_id=clip_id,
                    label=self._label(label_files),
                    subject=subject,
                    split='',
                    path=path,
                    payload=(frames, landmarks),
                )
            )
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS),
            dropped=dropped,
            fingerprint=releases.fingerprint(folder, listed=listed, read=read),
            simulated=releases.simulated(folder),
        )

    def _label(self, paths: list[Path]) -> str:
        """Returns the class that a sequence's label files agree on; the owners ship one."""
        labels = {self._label_of(path): path for path in paths}
        if len(labels) > 1:
            said = ', '.join(f'{path.name} says {label}' for label, path in labels.items())
            raise UserError(f'{paths[0].parent}: {said}; keep the one of Emotion_labels.zip')
        return next(iter(labels))

    def _label_of(self, path: Path) -> str:
        classes = self.LABEL_SETS['ckplus']
        value = float(releases.read_numbers(path, (), 'one emotion number'))
        if value not in range(1, len(classes) + 1):
            raise UserError(
                f'{path}: emotion {value:g} is not one of 1 to {len(classes)}; '
                'copy the file again from Emotion_labels.zip'
            )
        return classes[int(value) - 1]

    def read(self, source, pool):
        frame_paths, landmark_paths = source.payload
        frames = releases.read_frames(frame_paths, pool)
        points = np.full((len(frames), 68, 2), np.nan, np.float32)
        for index, path in enumerate(landmark_paths):
            if path is not None:
                points[index] = releases.read_numbers(path, (68, 2), '68 landmarks, x and y')
                releases.check_inside(points[index], frames[index], path)
        return frames, records.Faces.from_landmarks(points)


def _check_names(sequence: str, paths: list[Path]) -> None:
    """Refuses files that are not of a sequence, and two of one frame."""
    numbers: dict[int, Path] = {}
    for path in paths:
        name = re.fullmatch(rf'{sequence}_(\d+)(_emotion\.txt|\.png)', path.name, re.IGNORECASE)
        if name is None:
            raise UserError(
                f'{path}: not a file of the sequence {sequence} by its name; move it away'
            )
        if (
            path.suffix.lower() == '.png'
            and (other := numbers.setdefault(int(name[1]), path)) != path
        ):
            raise UserError(f'{path}: the frame of {other.name} once more; move one of them away')
