"""RAVDESS: 24 actors speak two sentences in eight emotions, filmed with sound (livingstone2018)."""

import collections
import re
from pathlib import Path

from fer_jax.data.datasets import recordings, records
from fer_jax.data.datasets import release as releases

_SEVEN = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral')
# The third number of a file's name -> class.
_EMOTIONS = {
    '01': 'neutral',
    '02': 'calm',
    '03': 'happiness',
    '04': 'sadness',
    '05': 'anger',
    '06': 'fear',
    '07': 'disgust',
    '08': 'surprise',
}
# Modality (01 film with sound, 02 film without, 03 sound), vocal channel (01 speech, 02 song),
# emotion, intensity (01 normal, 02 strong), statement, repetition, actor.
_NAME = re.compile(
    r'(0[123])-((0[12])-(0[1-8])-0[12]-0[12]-0[12]-([01]\d|2[0-4]))\.(mp4|wav)', re.IGNORECASE
)
_SPEECH = '01'


class Builder(recordings.RecordingBuilder):
    """Reads RAVDESS's speech: 1,440 recordings of 24 actors, films with their sound.

    Every recording ships three times, as a film with sound (01-*.mp4), without (02-*.mp4) and as
    sound alone (03-*.wav): it is one clip. The film with sound is taken, else that without; the
    sound comes from the wav, which is not compressed, else from the film. Where there is no film
    the clip is sound alone, as in the copies of RAVDESS that hold 03-*.wav only.

    Song is left out: it has neither disgust nor surprise and lacks actor 18, so that whoever hears
    or sees singing could exclude classes and a person; and a sung melody is no emotional speech.

    Label sets, stored side by side: `ravdess8`, all emotions of speech; `ravdess7` without calm,
    which the owners added as a second baseline beside neutral, and which no other dataset here has.
    Clip ids are the name without its modality, `01-05-02-01-02-12`; odd actors are men, even ones
    women. The owners state no parts and ship no faces.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    RAVDESS is free to download for non-commercial use (CC BY-NC-SA 4.0) from
    https://zenodo.org/records/1188976: Video_Speech_Actor_01.zip to _24.zip and, for uncompressed
    sound, Audio_Speech_Actors_01-24.zip. Unpack them into one folder and pass it:
      Actor_01/01-01-01-01-01-01-01.mp4    and so on, also below a folder for each zip
    """
    DESCRIPTION = 'RAVDESS: 1,440 clips of emotional speech of 24 actors, 8 emotions.'
    HOMEPAGE = 'https://zenodo.org/records/1188976'
    CITATION = """@article{livingstone2018,
      title={The Ryerson audio-visual database of emotional speech and song (RAVDESS): A dynamic,
        multimodal set of facial and vocal expressions in North American English},
      author={Livingstone, Steven R. and Russo, Frank A.},
      journal={PLoS ONE}, volume={13}, number={5}, pages={e0196391}, year={2018}}"""
    LABEL_SETS = {'ravdess8': (*_SEVEN, 'calm'), 'ravdess7': _SEVEN}
    PUBLISHED_CLASSES = dict.fromkeys(LABEL_SETS['ravdess8'], 192) | {'neutral': 96}
    PUBLISHED_SUBJECTS = 24

    def scan(self, release: Path) -> records.ScanResult:
        folder = releases.folder(
            release, 'RAVDESS', _actors, "the owners' folders Actor_01 to Actor_24"
        )
        dropped, files = [], collections.defaultdict(dict)
        for path in (path for actor in _actors(folder) for path in sorted(actor.iterdir())):
            if path.name.startswith('.'):
                continue
            inside, name = path.relative_to(folder).as_posix(), _NAME.fullmatch(path.name)
            if name is None:
                reason = 'foreign name (a clip is called 01-01-05-02-01-02-12.mp4 or .wav)'
                dropped.append(_dropped(inside, inside, reason))
            elif (kind := (name[6].lower(), name[1])) in files[name[2]]:
                dropped.append(_dropped(inside, inside, 'a copy of another file'))
            else:
                files[name[2]][kind] = path
        clips = []
        for clip_id, found in sorted(files.items()):
            # .mp4 before .wav, and of two films the one with sound.
            by_kind = {kind: path for (kind, _), path in sorted(found.items(), reverse=True)}
            recording = recordings.Recording(by_kind.get('mp4'), by_kind.get('wav'))
            path = recording.files[0].relative_to(folder).as_posix()
            channel, emotion, *_, actor = clip_id.split('-')
            if channel != _SPEECH:
                dropped.append(_dropped(clip_id, path, 'song'))
                continue
            label = _EMOTIONS[emotion]
            if label == 'calm':
                dropped.append(_dropped(clip_id, path, 'calm', 'ravdess7'))
            others = {'ravdess7': label if label in _SEVEN else ''}
            clips.append(
                records.FoundClip(clip_id, label, actor, '', path, others, payload=recording)
            )
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS),
            dropped=dropped,
            fingerprint=releases.fingerprint(
                folder, listed=[path for clip in clips for path in clip.payload.files], read=[]
            ),
            simulated=releases.simulated(folder),
        )


def _actors(folder: Path) -> list[Path]:
    """Lists the actors' folders, directly in a folder or below one for each zip."""
    found = [*folder.glob('Actor_*/'), *folder.glob('*/Actor_*/')]
    return sorted(found, key=lambda path: (len(path.parts), path))


def _dropped(clip_id: str, path: str, reason: str, label_set: str = '') -> dict[str, str]:
    return {'clip_id': clip_id, 'path': path, 'reason': reason, 'label_set': label_set}
