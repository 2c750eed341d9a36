"""SAVEE: four speakers act seven emotions in 480 sentences, filmed with sound (haq2009)."""

import re
from pathlib import Path

from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

_FOLDER = 'AudioVisualClip'
_SPEAKERS = ('DC', 'JE', 'JK', 'KL')
# What a file's name begins with -> class.
_LETTERS = {
    'a': 'anger',
    'd': 'disgust',
    'f': 'fear',
    'h': 'happiness',
    'n': 'neutral',
    'sa': 'sadness',
    'su': 'surprise',
}
_NAME = re.compile(rf'({"|".join(_LETTERS)})(\d\d?)\.avi', re.IGNORECASE)


class Builder(clip_builder.ClipBuilder):
    """Reads SAVEE's audio-visual clips: 480 films of four speakers, with their sound.

    The class is what a file's name begins with: a anger, d disgust, f fear, h happiness, n neutral,
    sa sadness, su surprise; 15 sentences of each, 30 neutral, for every speaker. The owners state
    no parts, and ship no faces: a detector finds them. The faces in the owners' films carry painted
    markers, about 60 blue dots; a network sees them too. A file is called
    a1.avi or a01.avi, its clip `DC_a01`.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    SAVEE is given to researchers who register (http://kahlan.eps.surrey.ac.uk/savee/). Unpack the
    audio-visual clips and pass the folder that then holds:
      AudioVisualClip/DC/a1.avi      and so on for the speakers DC, JE, JK and KL
    a01.avi is read as well.
    Its other archives (AudioData, features) are not needed: the sound is in the films.
    """
    DESCRIPTION = 'SAVEE: 480 clips with sound of 4 speakers, 7 emotions.'
    HOMEPAGE = 'http://kahlan.eps.surrey.ac.uk/savee/'
    CITATION = """@inproceedings{haq2009,
      title={Speaker-dependent audio-visual emotion recognition},
      author={Haq, Sanaul and Jackson, Philip J. B.},
      booktitle={International Conference on Auditory-Visual Speech Processing}, pages={53--58},
      year={2009}}"""
    LABEL_SETS = {
        'savee': ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral')
    }
    PUBLISHED_CLASSES = dict(zip(LABEL_SETS['savee'], (*[60] * 6, 120), strict=True))
    PUBLISHED_SUBJECTS = len(_SPEAKERS)
    FACES = ('yunet', 'dlib', 'haar', 'face_alignment', 'opencv_dnn')
    LANDMARKS = False
    SCENES = True

    def scan(self, release: Path) -> records.ScanResult:
        folder = releases.root(release, 'SAVEE', {_FOLDER: "the owners' audio-visual clips"})
        clips, dropped = [], []
        known: dict[tuple[str, str], Path] = {}
        for path in sorted((folder / _FOLDER).glob('*/*')):
            if releases.is_foreign(path) or releases.is_foreign(path.parent):
                continue
            speaker, name = path.parent.name, _NAME.fullmatch(path.name)
            stem = f'{name[1]}{int(name[2]):02d}' if name else path.stem
            if name and (other := known.setdefault((speaker, stem.lower()), path)) != path:
                raise UserError(
                    f'{path}: the clip of {other.name} once more; move one of them away'
                )
            clip_id, inside = f'{speaker}_{stem}', f'{_FOLDER}/{speaker}/{path.name}'
            reason = ''
            if speaker not in _SPEAKERS:
                reason = f'folder is no speaker of SAVEE ({", ".join(_SPEAKERS)})'
            elif name is None:
                reason = 'foreign name (a clip is called a1.avi, sa15.avi, ...)'
            if reason or name is None:
                dropped.append(
                    {'clip_id': clip_id, 'path': inside, 'reason': reason, 'label_set': ''}
                )
                continue
            clips.append(
                records.FoundClip(
                    clip_id=clip_id,
                    label=_LETTERS[name[1].lower()],
                    subject=speaker,
                    split='',
                    path=inside,
                    payload=path,
                )
            )
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS),
            dropped=dropped,
            fingerprint=releases.fingerprint(
                folder, listed=[clip.payload for clip in clips], read=[]
            ),
            simulated=releases.simulated(folder),
        )

    def read(self, source, pool):
        return self.film(source, source.payload), None

    def sound(self, source):
        return self.heard(source, source.payload)
