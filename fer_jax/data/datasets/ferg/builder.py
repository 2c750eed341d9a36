"""FERG-DB: 55,767 pictures of six drawn characters with seven expressions (aneja2016)."""

import re
from pathlib import Path

import cv2

from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

_FOLDER = 'FERG_DB_256'
_CHARACTERS = ('aia', 'bonnie', 'jules', 'malcolm', 'mery', 'ray')
# The owners' word -> the name of that class in all datasets.
_CLASSES = {
    'anger': 'anger',
    'disgust': 'disgust',
    'fear': 'fear',
    'joy': 'happiness',
    'neutral': 'neutral',
    'sadness': 'sadness',
    'surprise': 'surprise',
}
_PICTURES = 55767
# Stored size: minaee2019 takes 48 pixels, and at the original's 256 the records take 11 GB.
_SIDE = 96


class Builder(clip_builder.ClipBuilder):
    """Reads the folders of the six characters; a picture is a clip of one frame.

    Character and expression are in the names: aia/aia_anger/aia_anger_1.png. The characters are the
    subjects. A picture shows one head and little else: the face box is all of it, and it is stored
    96 pixels a side. Clip ids are the names without `.png`, the number filled up to five digits.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    FERG-DB is given to researchers on request
    (http://grail.cs.washington.edu/projects/deepexpr/ferg-2d-db.html). Unpack FERG_DB_256.zip and
    pass the folder FERG_DB_256 or the one that it lies in:
      FERG_DB_256/aia/aia_anger/aia_anger_1.png
    """
    DESCRIPTION = 'FERG-DB: 55,767 pictures of 6 drawn characters, 7 classes.'
    HOMEPAGE = 'http://grail.cs.washington.edu/projects/deepexpr/ferg-2d-db.html'
    CITATION = """@inproceedings{aneja2016,
      title={Modeling Stylized Character Expressions via Deep Learning},
      author={Aneja, Deepali and Colburn, Alex and Faigin, Gary and Shapiro, Linda and
        Mones, Barbara},
      booktitle={Asian Conference on Computer Vision}, year={2016}}"""
    LABEL_SETS = {'ferg': tuple(_CLASSES.values())}
    PUBLISHED_SUBJECTS = 6
    FACES = ('release',)
    LANDMARKS = False
    STORED_MARGIN = 1.0

    def scan(self, release: Path) -> records.ScanResult:
        folder = releases.folder(
            release,
            'FERG-DB',
            lambda path: any((path / name).is_dir() for name in (_FOLDER, *_CHARACTERS)),
            f'{_FOLDER} or aia, bonnie and the other characters',
        )
        inside = folder / _FOLDER if (folder / _FOLDER).is_dir() else folder
        clips = [
            clip
            for character in _folders(inside)
            for shown in _folders(_known(character))
            for clip in _clips(shown, character.name, folder)
        ]
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS),
            dropped=[],
            fingerprint=releases.fingerprint(
                folder, listed=[clip.payload for clip in clips], read=[]
            ),
            simulated=releases.simulated(folder),
        )

    def read(self, source, pool):
        frames = releases.read_frames([source.payload], pool)
        return frames, releases.whole_pictures(frames)

    def record(self, source, pool):
        (image,), _ = self.read(source, pool)
        small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        return releases.stored_whole([small.reshape(_SIDE, _SIDE, -1)])

    def _differences(self, counts, splits, subjects):
        found = sum(counts['ferg'].values())
        lines = super()._differences(counts, splits, subjects)
        if found != _PICTURES:
            lines.append(f'pictures: {found:,} of {_PICTURES:,} published')
        return lines


def _folders(inside: Path) -> list[Path]:
    return sorted(path for path in inside.glob('*/') if not releases.is_foreign(path))


def _known(character: Path) -> Path:
    if character.name not in _CHARACTERS:
        raise UserError(
            f"{character}: '{character.name}' is none of FERG's characters "
            f'{", ".join(_CHARACTERS)}; rename the folder as in the release, or move it elsewhere'
        )
    return character


def _clips(shown: Path, character: str, root: Path) -> list[records.FoundClip]:
    """Lists the pictures of one expression of one character, by number."""
    emotion = shown.name.removeprefix(f'{character}_')
    if emotion not in _CLASSES or emotion == shown.name:
        raise UserError(
            f"{shown}: '{shown.name}' is not {character}_ with one of {', '.join(_CLASSES)}; "
            'rename the folder as in the release'
        )
    pattern = re.compile(rf'{character}_{emotion}_(\d+)\.png', re.IGNORECASE)
    clips = []
    for path in shown.iterdir():
        if path.suffix.lower() != '.png' or releases.is_foreign(path):
            continue
        number = pattern.fullmatch(path.name)
        if not number:
            raise UserError(
                f"{path}: no name of a picture in this folder, which is like '{shown.name}_1.png'; "
                'rename the file as in the release, or move it elsewhere'
            )
        clips.append(
            records.FoundClip(
                clip_id=f'{shown.name}_{int(number[1]):05d}',
                label=_CLASSES[emotion],
                subject=character,
                split='',
                path=path.relative_to(root).as_posix(),
                payload=path,
            )
        )
    return sorted(clips, key=lambda clip: clip.clip_id)
