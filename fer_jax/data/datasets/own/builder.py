"""Own data: any pictures, films, folders of frames or sounds, with one's own classes."""

import collections
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fer_jax.data import datasets, faces, registration
from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.data.datasets.own import folders, manifest, rows
from fer_jax.errors import UserError


class Builder(clip_builder.ClipBuilder):
    """Reads what a manifest lists, or what lies in folders named after classes.

    A manifest (.csv or .tsv) has a line for each clip: `path` and `label` and, where wanted,
    `subject`, `split` (train, validation or test), `start_s` and `end_s` (a part of a film or
    sound) and `landmarks` (a file of 68 or 5 points for each frame, for --faces=release, the 5 as
    of `registration.keypoints`). Without a manifest the classes are the names of folders, in them
    or in folders train, validation and test. A path is a picture, a film, a folder of frames or a
    sound. Classes are named in any language; their order is that of their characters. Clips without
    a label are stored, in no fold. Clip ids are the paths.

    Faces of 'none': the pictures are faces already, and are stored whole.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    A manifest with the columns path and label, or a folder with one folder for each class.
    """
    DESCRIPTION = 'Pictures, films or sounds of ones own, with classes of ones own.'
    HOMEPAGE = CITATION = ''
    LABEL_SETS = {'own': ()}  # the classes are known when the data are
    FACES = ('yunet', 'haar', 'dlib', 'face_alignment', 'opencv_dnn', 'none', 'release')
    LANDMARKS = True
    SCENES = True
    OPTIONS = ('subject_pattern', 'sequences', 'ignore_columns')

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._hints: list[str] = []

    @property
    def STORED_MARGIN(self) -> float:
        return 1.0 if self._way() == 'none' else records.STORED_MARGIN

    def scan(
        self,
        release: Path,
        subject_pattern: str = '',
        sequences: bool = False,
        ignore_columns: str = '',
    ) -> records.ScanResult:
        """Reads the manifest, or the names of files.

        Args:
          release: a manifest, or a folder; in which manifest.csv or .tsv counts, if it is there.
          subject_pattern: a regular expression that finds the subject in a path.
          sequences: without a manifest: folders of pictures below a class are clips.
          ignore_columns: columns of the manifest that are not looked at, joined by commas.
        """
        if not release.exists():
            raise UserError(f'{release}: no such file or folder')
        mistakes, read = rows.Mistakes(release), []
        ignored = tuple(filter(None, map(rows.text, ignore_columns.lower().split(','))))
        listed = [releases.optional(release / f'manifest{suffix}') for suffix in manifest.SUFFIXES]
        if present := [path for path in listed if path is not None]:
            release = present[0]
        if release.is_dir():
            folder = release
            found, dropped, self._hints = folders.read(folder, sequences)
        elif release.suffix.lower() in manifest.SUFFIXES:
            folder, dropped, read = release.parent, [], [release]
            found = manifest.read(release, ignored, mistakes)
        else:
            raise UserError(
                f'{release}: a manifest is called .csv or .tsv; or pass a folder with one folder '
                'for each class'
            )
        if subject_pattern:
            if any(row.subject for row in found):
                raise UserError(
                    f'{release} has subjects: leave --subject_pattern out, or the column'
                )
            found = rows.subjects_by(subject_pattern, found, mistakes)
        kept, repeated = rows.compare(found, mistakes)
        if self._way() == 'release':
            for row in kept:
                if not row.landmarks and row.kind != rows.SOUND:
                    mistakes.add(
                        'no landmarks, which --faces=release takes the faces from',
                        'fill the column in, or let a detector find the faces',
                        row,
                    )
        mistakes.check()
        classes = sorted({row.label for row in kept} - {''})
        if not classes:
            raise UserError(f'{release}: no clip has a label, so nothing can be learnt from it')
        self.LABEL_SETS = {'own': tuple(classes)}
        self._hints += _hints(kept, classes)
        dropped += [
            {'clip_id': row.clip_id, 'path': row.path, 'reason': 'listed twice', 'label_set': ''}
            for row in repeated
        ]
        files = {file for row in kept for file in _files(folder, row)}
        read += sorted({folder / row.landmarks for row in kept if row.landmarks})
        options = f' subject_pattern={subject_pattern}' if subject_pattern else ''
        options += ' sequences' if sequences else ''
        known = [column for column in manifest.COLUMNS if column in ignored]
        options += f' ignore_columns={",".join(known)}' if known else ''
        return records.ScanResult(
            clips=[
                records.FoundClip(
                    row.clip_id, row.label, row.subject, row.split, row.path, payload=(folder, row)
                )
                for row in kept
            ],
            label_sets=('own',),
            dropped=dropped,
            fingerprint=releases.fingerprint(folder, listed=sorted(files), read=read) + options,
            simulated=_simulated(folder, kept),
        )

    def read(self, source, pool):
        folder, row = source.payload
        path = folder / row.path
        if row.kind == rows.FILM:
            frames = self.film(source, path, start=row.start, end=row.end)
        else:
            frames = releases.read_frames(_files(folder, row), pool)
        if self._way() == 'none':
            return frames, releases.whole_pictures(frames)
        if self._way() == 'release':
            found = _landmarks(folder / row.landmarks, len(frames))
            for points, frame in zip(found.landmarks, frames, strict=True):
                releases.check_inside(points, frame, folder / row.landmarks)
            _check_order(found.landmarks, folder / row.landmarks)
            first = self.__dict__.setdefault('_first_count', found.landmarks.shape[1])
            if found.landmarks.shape[1] != first:
                raise UserError(
                    f'{folder / row.landmarks}: {found.landmarks.shape[1]} points a face, others '
                    f'have {first}; give all clips as many'
                )
            return frames, found
        return frames, None

    def has_pictures(self, source):
        return source.payload[1].kind != rows.SOUND

    def sound(self, source):
        folder, row = source.payload
        if row.kind not in (rows.FILM, rows.SOUND):
            return np.zeros(0, np.int16), 0
        return self.heard(source, folder / row.path, start=row.start, end=row.end)

    def _points(self):
        return None if self._way() == 'release' else faces.landmark_count(self._way())

    def _with_landmarks(self):
        return self._way() not in ('none', datasets.SCENE)

    def _differences(self, counts, splits, subjects):
        return [*super()._differences(counts, splits, subjects), *self._hints]


def _simulated(folder: Path, kept: list[rows.Row]) -> dict | None:
    """Reads what the simulator wrote beside the files, or in a folder that holds some of them."""
    parts = sorted({row.path.split('/')[0] for row in kept if '/' in row.path})
    notes = (releases.simulated(path) for path in (folder, *(folder / part for part in parts)))
    return next((note for note in notes if note is not None), None)


def _files(folder: Path, row: rows.Row) -> list[Path]:
    """Lists a row's pictures, or its film or sound."""
    path = folder / row.path
    return rows.frames_in(path) if row.kind == rows.FRAMES else [path]


def _hints(kept: list[rows.Row], classes: list[str]) -> list[str]:
    """Lists what people should know before they train."""
    hints = []
    for names in _alike(classes, str.casefold):
        hints.append(f'classes that differ in capitals only: {", ".join(names)}')
    for names in _alike(sorted({row.subject for row in kept}), _without_zeros):
        hints.append(
            'subjects that differ in capitals or leading zeros only, so that folds may part them: '
            f'{", ".join(names)}; write each person in one way'
        )
    if len(classes) == 1:
        hints.append(f'one class only, {classes[0]}: nothing can be told apart')
    parts = [row for row in kept if row.end < np.inf or row.start]
    unnamed = {row.path for row in parts if not row.subject and not row.split}
    if len(parts) > len({row.path for row in parts}) and unnamed:
        hints.append(
            f'{len(unnamed):,} film(s) or sound(s) give several clips and name no subject: a '
            'random protocol trains on one part and judges another; give them subjects'
        )
    return hints


def _alike(names: list[str], key: Callable[[str], str]) -> list[list[str]]:
    """Groups names that have one key; those that stand alone are left out."""
    groups = collections.defaultdict(list)
    for name in names:
        groups[key(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _without_zeros(name: str) -> str:
    """Returns a name in small letters, its numbers without leading zeros: 'P01' as 'p1'."""
    return re.sub(r'(?<!\d)0+(?=\d)', '', name.casefold())


def _check_order(landmarks: np.ndarray, path: Path) -> None:
    """Refuses five points [T, 5, 2] in another order than ours, as most frames have them.

    In ours the mouth lies clockwise of the line from the first eye to the second, however the head
    is turned.
    """
    if landmarks.shape[1] != 5:
        return
    eyes = landmarks[:, 1] - landmarks[:, 0]
    down = landmarks[:, 3:].mean(1) - landmarks[:, :2].mean(1)
    below = eyes[:, 0] * down[:, 1] - eyes[:, 1] * down[:, 0]
    if (below < 0).sum() > (below > 0).sum():
        raise UserError(
            f'{path}: five points in another order; needed are the centres of the eyes, the one on '
            "the picture's left first, tip of the nose, left and right corner of the mouth"
        )


def _landmarks(path: Path, length: int) -> records.Faces:
    """Reads the faces of a clip from its file of landmarks.

    A frame whose eyes lie in one place, as where all numbers are 0, has no face.
    """
    try:
        if path.suffix.lower() == '.npy':
            points = np.load(path, allow_pickle=False).astype(np.float32)
        else:
            lines = path.read_text().replace(',', ' ').split()
            points = np.array([float(word) for word in lines], np.float32)
    except (OSError, ValueError) as error:
        raise UserError(f'{path}: landmarks expected, x and y each ({error})') from error
    for count in (68, 5):
        if points.size == length * count * 2:
            points = points.reshape(length, count, 2)
            left, right = np.moveaxis(registration.eye_centres(points), 1, 0)
            points[(left == right).all(1)] = np.nan
            five = count == 5
            return records.Faces.from_five(points) if five else records.Faces.from_landmarks(points)
    raise UserError(
        f'{path}: {points.size} numbers; {length} frame(s) need 68 or 5 points each, x and y'
    )
