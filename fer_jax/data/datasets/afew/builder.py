"""AFEW: clips of feature films, the data of the EmotiW challenges (dhall2012)."""

import collections
import concurrent.futures
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

# The owners' folder -> the name of that part in all datasets.
_PARTS = {'Train_AFEW': 'train', 'Val_AFEW': 'validation', 'Test_AFEW': 'test'}
_LABELLED = ('Train_AFEW', 'Val_AFEW')
_CLASSES = {
    'Angry': 'anger',
    'Disgust': 'disgust',
    'Fear': 'fear',
    'Happy': 'happiness',
    'Neutral': 'neutral',
    'Sad': 'sadness',
    'Surprise': 'surprise',
}
# Where editions keep a part's aligned faces, in folders named as its clips, below the part's own
# folder or beside it; {0} is Train, Val or Test.
_ALIGNED = (
    '{0}_AFEW/AlignedFaces*/Faces',
    '{0}_AFEW/AlignedFaces*/AlignedFaces*/Faces',
    '{0}_AFEW/{0}_*Faces*',
    '{0}_*Faces*',
)
_OTHER_FILMS = ('.mp4', '.mkv', '.mov', '.mpg', '.webm', '.wmv', '.m4v')
_PICTURES = {'.jpg', '.jpeg', '.png', '.bmp'}
# Edition -> published clips of each part. EmotiW 2015; 2016; 2017, distributed again in 2018.
_EDITIONS = {
    'AFEW 5.0': {'train': 723, 'validation': 383, 'test': 539},
    'AFEW 6.0': {'train': 773, 'validation': 383, 'test': 593},
    'AFEW 7.0': {'train': 773, 'validation': 383, 'test': 653},
}
# Training and validation clips of a class, in the order of _CLASSES, in AFEW 6.0 and 7.0 (EmotiW
# 2016). For 5.0 the totals of its parts are checked only.
_PUBLISHED_CLASSES = (197, 114, 127, 213, 207, 178, 120)


class Builder(clip_builder.ClipBuilder):
    """Reads AFEW's films with their sound, and the aligned faces that ship with them.

    The class is the folder's name. The test part has none: its clips are stored with the label ''.
    Who is seen is not stated, so subjects are ''. One film's clip may stand in two parts under one
    name: clip ids are `train/000046280`.

    `faces-release` takes the owners' aligned faces as they are: a stored clip is the pictures in
    the order of their names, the face box all of the picture. Frames that the owners' tracker lost
    have no picture. A clip without aligned faces keeps its films' frames and is marked as without
    a face; kahou2015's tables rest on 711 and 371 clips of AFEW 5.0's 723 and 383, which is what
    leaving out 12 such clips of each part gives. With a detector the films are searched instead,
    and of `scene` they are stored whole; neither needs the aligned faces.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    AFEW is given to researchers who sign its agreement
    (https://cs.anu.edu.au/few/AFEW.html). Unpack its archives into folders of these names and pass
    the folder that then holds:
      Train_AFEW/Angry/000046280.avi                                      (Train_AFEW.zip)
      Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280/*.jpg         (inside it)
      Val_AFEW/Angry/..., Val_AFEW/AlignedFaces_LBPTOP_Points_Val/Faces/  (Val_AFEW.zip)
      Test_AFEW/Test_vid_Distribute/*.avi                            (test part, if you have it)
      Test_AFEW/Test_2017_Faces_Distribute/                               (its aligned faces)
    """
    DESCRIPTION = 'AFEW: clips of feature films with sound, 7 emotions, official parts.'
    HOMEPAGE = 'https://cs.anu.edu.au/few/AFEW.html'
    CITATION = """@article{dhall2012,
      title={Collecting Large, Richly Annotated Facial-Expression Databases from Movies},
      author={Dhall, Abhinav and Goecke, Roland and Lucey, Simon and Gedeon, Tom},
      journal={IEEE MultiMedia}, volume={19}, number={3}, pages={34--41}, year={2012}}"""
    LABEL_SETS = {'afew': tuple(_CLASSES.values())}
    FACES = ('release', 'yunet', 'dlib', 'haar', 'face_alignment', 'opencv_dnn')
    LANDMARKS = False
    SCENES = True

    edition = ''  # set by `scan`

    def scan(self, release: Path) -> records.ScanResult:
        folder = releases.root(
            release, 'AFEW', {part: f'what {part}.zip holds' for part in _LABELLED}
        )
        clips, dropped, listed = [], [], []
        for part, split in _PARTS.items():
            faces = self._aligned(folder, part) if self._way() == 'release' else {}
            found, left_out = _clips(folder, part)
            dropped += left_out
            for path, label in found:
                pictures = faces.get(path.stem, [])
                listed += [path, *pictures]
                clips.append(
                    records.FoundClip(
                        clip_id=f'{split}/{path.stem}',
                        label=label,
                        subject='',
                        split=split,
                        path=path.relative_to(folder).as_posix(),
                        payload=(path, pictures),
                    )
                )
        self._recognise(collections.Counter(clip.split for clip in clips))
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS),
            dropped=dropped,
            fingerprint=releases.fingerprint(folder, listed=listed, read=[]),
            simulated=releases.simulated(folder),
        )

    def _aligned(self, folder: Path, part: str) -> dict[str, list[Path]]:
        """Maps each clip to the pictures of its aligned faces, in the order of their names."""
        patterns = [pattern.format(part.removesuffix('_AFEW')) for pattern in _ALIGNED]
        places = [
            place
            for pattern in patterns
            for place in sorted(folder.glob(pattern))
            if place.is_dir()
        ]
        if not places and part in _LABELLED:
            raise UserError(
                f'{folder}/{part} has no aligned faces ({patterns[0]}): unpack '
                'them from the release, or choose a detector with --faces=dlib'
            )
        faces: dict[str, list[Path]] = {}
        for place in places:
            here: dict[str, list[Path]] = {}
            for path in place.rglob('*'):
                if path.suffix.lower() in _PICTURES and not releases.is_foreign(path):
                    here.setdefault(path.parent.name, []).append(path)
            faces = here | faces  # the same clip in a second place is a copy
        return {
            name: sorted(paths, key=lambda path: releases.by_number(path.name))
            for name, paths in faces.items()
        }

    def _recognise(self, splits: dict[str, int]) -> None:
        """Recognises the edition by its counts; its published counts are the ones to compare with.

        Where more than a twentieth is missing it is none, and the newest is compared with.
        """
        parts = [part for part in _PARTS.values() if splits.get(part)]

        def distance(edition: str) -> int:
            return sum(abs(splits[part] - _EDITIONS[edition][part]) for part in parts)

        newest = next(reversed(_EDITIONS))
        nearest = min(reversed(_EDITIONS), key=distance)
        known = 20 * distance(nearest) <= sum(_EDITIONS[nearest][part] for part in parts)
        self.edition = nearest if known else 'no edition'
        published = nearest if known else newest
        self.PUBLISHED_SPLITS = {part: _EDITIONS[published][part] for part in parts}
        classes: dict[str, int] = dict(zip(_CLASSES.values(), _PUBLISHED_CLASSES, strict=True))
        self.PUBLISHED_CLASSES = {} if published == 'AFEW 5.0' else classes

    def _description(self, *clips) -> dict:
        return super()._description(*clips) | {'edition': self.edition}

    @property
    def STORED_MARGIN(self) -> float:
        return 1.0 if self._way() == 'release' else records.STORED_MARGIN

    def read(self, source, pool):
        film, pictures = source.payload
        return self._read_aligned(pictures, pool) if pictures else (self.film(source, film), None)

    def _read_aligned(
        self, pictures: Sequence[Path], pool: concurrent.futures.Executor
    ) -> tuple[list[np.ndarray], records.Faces]:
        frames = releases.read_frames(pictures, pool)
        height, width = frames[0].shape[:2]
        if height != width:
            raise UserError(
                f'{pictures[0]}: {width}x{height} pixels; aligned faces are square: '
                'copy the folder again from the release'
            )
        edges = np.array([-0.5, -0.5, width - 0.5, height - 0.5], np.float32)
        nowhere = records.Faces.nowhere(len(frames))
        return frames, dataclasses.replace(nowhere, box=np.tile(edges, (len(frames), 1)))

    def record(self, source, pool):
        if not source.payload[1]:
            return super().record(source, pool)
        return records.uncut(*self._read_aligned(source.payload[1], pool))

    def sound(self, source):
        return self.heard(source, source.payload[0])


def _clips(folder: Path, part: str) -> tuple[list[tuple[Path, str]], list[dict[str, str]]]:
    """Lists the films of a part with their labels, and what was left out."""
    labelled = part in _LABELLED
    files = [
        path
        for path in sorted((folder / part).glob('*/*' if labelled else '**/*'))
        if not any(map(releases.is_foreign, (path, *path.relative_to(folder).parents)))
    ]
    films = [path for path in files if path.suffix.lower() == '.avi']
    others = [path for path in files if path.suffix.lower() in _OTHER_FILMS]
    if labelled and others and not films:
        raise UserError(
            f'{others[0]}: the films of AFEW are .avi, here are {others[0].suffix}; take those of '
            'the release (a film that was converted has other pictures)'
        )
    times = collections.Counter(path.stem for path in films)
    found, dropped = [], []
    for path in films:
        reason = ''
        if not path.stem.isdecimal():
            reason = 'foreign name (a clip is called 000046280.avi)'
        elif labelled and path.parent.name not in _CLASSES:
            reason = f'folder is none of the classes {", ".join(_CLASSES)}'
        elif times[path.stem] > 1:
            reason = f'stands in {times[path.stem]} folders of {part}'
        if reason:
            inside = path.relative_to(folder).as_posix()
            clip_id = f'{_PARTS[part]}/{path.stem}'
            dropped.append({'clip_id': clip_id, 'path': inside, 'reason': reason, 'label_set': ''})
        else:
            found.append((path, _CLASSES[path.parent.name] if labelled else ''))
    return found, dropped
