"""JAFFE: 213 pictures of posed expressions by ten Japanese women (lyons1998)."""

import re
from pathlib import Path

from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

# KA.AN1.39.tiff: subject, expression and its take, running number.
_NAME = re.compile(r'([A-Z]{2})\.([A-Z]{2})(\d+)\.(\d+)\.tiff?', re.IGNORECASE)
_CODES = {
    'AN': 'anger',
    'DI': 'disgust',
    'FE': 'fear',
    'HA': 'happiness',
    'NE': 'neutral',
    'SA': 'sadness',
    'SU': 'surprise',
}


class Builder(clip_builder.ClipBuilder):
    """Reads JAFFE's folder of TIFF pictures; a picture is a clip of one frame.

    Subject and expression are in the file's name: KA.AN1.39.tiff is the first picture of subject KA
    in anger. The running number is the file's alone and no label. 23 files of the release hold
    indices into a palette; all become grey. Other files of the folder (the owners' ratings) are
    left alone. Clip ids are the names without `.tiff`.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    JAFFE is given to researchers on request (https://zenodo.org/records/3451524). Unpack it and
    pass the folder that holds the pictures:
      KA.AN1.39.tiff  KA.AN2.40.tiff  ...
    """
    DESCRIPTION = 'JAFFE: 213 grey pictures of 10 women, 6 emotions and neutral.'
    HOMEPAGE = 'https://zenodo.org/records/3451524'
    CITATION = """@inproceedings{lyons1998,
      title={Coding Facial Expressions with Gabor Wavelets},
      author={Lyons, Michael and Akamatsu, Shigeru and Kamachi, Miyuki and Gyoba, Jiro},
      booktitle={IEEE International Conference on Automatic Face and Gesture Recognition},
      year={1998}}"""
    LABEL_SETS = {'jaffe': tuple(_CODES.values())}
    PUBLISHED_CLASSES = dict(zip(LABEL_SETS['jaffe'], (30, 29, 32, 31, 30, 31, 30), strict=True))
    PUBLISHED_SUBJECTS = 10
    FACES = ('yunet', 'dlib', 'haar', 'face_alignment', 'opencv_dnn')
    LANDMARKS = False

    def scan(self, release: Path) -> records.ScanResult:
        wanted = 'KA.AN1.39.tiff and the other pictures'
        folder = releases.folder(release, 'JAFFE', _pictures, wanted)
        pictures = _pictures(folder)
        clips = []
        for path in pictures:
            parts = _NAME.fullmatch(path.name)
            if not parts:
                raise UserError(
                    f"{path}: no name of a JAFFE picture, which is like 'KA.AN1.39.tiff'; "
                    'rename the file as in the release, or move it elsewhere'
                )
            subject, code = parts[1].upper(), parts[2].upper()
            if code not in _CODES:
                raise UserError(
                    f"{path}: '{code}' is none of JAFFE's expressions {', '.join(_CODES)}; "
                    'rename the file as in the release'
                )
            clips.append(
                records.FoundClip(
                    clip_id=path.stem,
                    label=_CODES[code],
                    subject=subject,
                    split='',
                    path=path.name,
                    payload=path,
                )
            )
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS),
            dropped=[],
            fingerprint=releases.fingerprint(folder, listed=pictures, read=[]),
            simulated=releases.simulated(folder),
        )

    def read(self, source, pool):
        return releases.read_frames([source.payload], pool), None


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in ('.tiff', '.tif') and not releases.is_foreign(path)
    )
