"""Oulu-CASIA NIR&VIS: six expressions from rest to apex by 80 people, in six conditions (zhao2011).

Two cameras (VL visible light, NI near infrared) saw each expression in three illuminations (Strong,
Weak, Dark). Papers use VL in Strong light: 480 clips.
"""

import re
from pathlib import Path

from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

_CAMERAS, _LIGHTS = ('VL', 'NI'), ('Strong', 'Weak', 'Dark')
_CLASSES = ('Anger', 'Disgust', 'Fear', 'Happiness', 'Sadness', 'Surprise')
_SUBJECT, _FRAME = re.compile(r'P\d{3}'), re.compile(r'\d+\.jpe?g', re.IGNORECASE)
_WHOLE, _CUT = 'OriginalImg', 'PreProcess_Img'


class Builder(clip_builder.ClipBuilder):
    """Reads the clips of one camera in one illumination.

    The release has each clip twice: whole (OriginalImg/VL/Strong/P001/Anger/000.jpeg), where a
    detector finds the face, and cut to the face (PreProcess_Img/VL_Acropped/Strong/P001/...), which
    is what `faces-release` takes, with all of the picture as the box. A folder without a picture is
    dropped. Clip ids are `VL_Strong_P001_Anger`.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Oulu-CASIA is given to researchers who sign its agreement (University of Oulu, Center for
    Machine Vision). Unpack its archives side by side and pass the folder that then holds:
      OriginalImg/VL/Strong/P001/Anger/000.jpeg                  (to be used with a detector)
      PreProcess_Img/VL_Acropped/Strong/P001/Anger/000.jpeg      (cut to the face)
    Other cameras and illuminations: --camera=NI, --light=Weak or --light=Dark.
    """
    DESCRIPTION = 'Oulu-CASIA: 480 sequences of 80 subjects, 6 emotions, for each condition.'
    HOMEPAGE = 'https://www.oulu.fi/en/university/faculties-and-units/faculty-information-technology-and-electrical-engineering/center-machine-vision-and-signal-analysis'
    CITATION = """@article{zhao2011,
      title={Facial expression recognition from near-infrared videos},
      author={Zhao, Guoying and Huang, Xiaohua and Taini, Matti and Li, Stan Z. and
        Pietik{\\"a}inen, Matti},
      journal={Image and Vision Computing}, volume={29}, number={9}, pages={607--619},
      year={2011}}"""
    LABEL_SETS = {'oulu_casia': tuple(name.lower() for name in _CLASSES)}
    PUBLISHED_CLASSES = dict.fromkeys(LABEL_SETS['oulu_casia'], 80)
    PUBLISHED_SUBJECTS = 80
    FACES = ('release', 'yunet', 'dlib', 'haar', 'face_alignment', 'opencv_dnn')
    LANDMARKS = False
    OPTIONS = ('camera', 'light')

    def scan(self, release: Path, camera: str = 'VL', light: str = 'Strong') -> records.ScanResult:
        """Lists the clips of one condition.

        Args:
          camera: 'VL' (visible light) or 'NI' (near infrared).
          light: 'Strong', 'Weak' or 'Dark'.
        """
        for flag, value, known in (('camera', camera, _CAMERAS), ('light', light, _LIGHTS)):
            if value not in known:
                raise UserError(f'--{flag}={value}: one of {", ".join(known)}')
        folder, inside = self._condition(release, camera, light)
        clips, dropped, listed = [], [], []
        for subject in _folders(folder / inside):
            if not _SUBJECT.fullmatch(subject.name):
                raise UserError(
                    f"{subject}: '{subject.name}' is no subject of Oulu-CASIA, which is like "
                    "'P001'; rename the folder as in the release, or move it elsewhere"
                )
            for shown in _folders(subject):
                if shown.name not in _CLASSES:
                    raise UserError(
                        f"{shown}: '{shown.name}' is none of {', '.join(_CLASSES)}; "
                        'rename the folder as in the release'
                    )
                frames = _frames(shown)
                clip_id = f'{camera}_{light}_{subject.name}_{shown.name}'
                path = shown.relative_to(folder).as_posix()
                if not frames:
                    left_out = {'clip_id': clip_id, 'path': path, 'reason': 'no frames'}
                    dropped.append({**left_out, 'label_set': ''})
                    continue
                listed += frames
                label = shown.name.lower()
                clips.append(
                    records.FoundClip(clip_id, label, subject.name, '', path, payload=frames)
                )
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS),
            dropped=dropped,
            fingerprint=releases.fingerprint(folder, listed=listed, read=[]),
            simulated=releases.simulated(folder),
        )

    def _condition(self, release: Path, camera: str, light: str) -> tuple[Path, Path]:
        """Finds the root of the release and, in it, the folder of the condition."""
        if self._cut():
            inside = Path(_CUT, f'{camera}_Acropped', light)
            source = f'the pictures cut to the face; --faces=dlib reads {_WHOLE} instead'
        else:
            inside = Path(_WHOLE, camera, light)
            source = 'the whole pictures'
        folder = releases.root(release, 'Oulu-CASIA', {inside.parts[0]: source})
        if not (folder / inside).is_dir():
            raise UserError(
                f'{folder / inside}: no such folder; unpack the pictures of camera {camera} in '
                f'{light} light, or choose another --camera or --light'
            )
        return folder, inside

    def _cut(self) -> bool:
        return self.builder_config.name == 'faces-release'

    def read(self, source, pool):
        frames = releases.read_frames(source.payload, pool)
        return frames, releases.whole_pictures(frames) if self._cut() else None


def _folders(inside: Path) -> list[Path]:
    return sorted(path for path in inside.glob('*/') if not releases.is_foreign(path))


def _frames(clip: Path) -> list[Path]:
    """Lists the clip's pictures by number; UserError for a JPEG that has none."""
    frames = [
        path
        for path in clip.iterdir()
        if path.suffix.lower() in ('.jpeg', '.jpg') and not releases.is_foreign(path)
    ]
    for path in frames:
        if not _FRAME.fullmatch(path.name):
            raise UserError(
                f"{path}: no name of a frame, which is like '000.jpeg'; "
                'rename the file as in the release, or move it elsewhere'
            )
    return sorted(frames, key=lambda path: int(path.stem))
