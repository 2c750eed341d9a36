"""MMI: videos and stills of posed expressions and single action units (pantic2005, valstar2010).

The owners document their files on the database's own site only. What is read here, the metadata's
fields, the numbers of the emotions and which videos lie on their side, follows public loaders.
"""

import re
import xml.etree.ElementTree
from pathlib import Path

import numpy as np

from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

_SESSIONS = 'Sessions'
_FILMS, _PICTURES = ('.avi', '.mpg', '.mpeg', '.mp4'), ('.jpg', '.jpeg', '.png', '.bmp')
# S001-002.avi: subject, number; a frame of its own adds one more number.
_NAME = re.compile(r'(S\d+)-(\d+)(?:[-_](\d+))?', re.IGNORECASE)
# In the order of the metadata's numbers, from 1. Higher ones are other displays (bored, asleep).
_CLASSES = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise')
_FRONT, _PROFILE = '0', '1'  # the metadata's views; 2 is both, side by side by a mirror
_SIDEWAYS = 576  # rows of the frames of a camera that was turned
_PUBLISHED, _SUBJECTS = 2900, 75


class Builder(clip_builder.ClipBuilder):
    """Reads the sessions that carry one of the six emotions.

    A session's folder holds session.xml (`track` with its `filename` and `view`: 0 front, 1
    profile, 2 both; a file that no track names has the first one's view), a video S001-002.avi or
    pictures (S001-002.jpg, or frames S001-002_01.jpg and so on), and S001-002.xml, where `Metatag`
    with the name Emotion has the number: 1 anger, 2 disgust, 3 fear, 4 happiness, 5 sadness,
    6 surprise. Dropped are sessions without that tag, or with nothing or 0 in it (single action
    units), with another emotion, and those in profile only. A video runs from the neutral face over
    the apex back to neutral; neutral is no class. Videos from the front with 576 rows and without
    frame-by-frame action units (S001-002-oao_aucs.xml) were taken with the camera on its side and
    are turned. Clip ids are session and name, `0002_S001-002`.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    MMI is given to researchers who sign its agreement (https://mmifacedb.eu). Download the sessions
    with their metadata, unpack all archives into one place and pass the folder that holds Sessions:
      Sessions/2/session.xml  Sessions/2/S001-002.avi  Sessions/2/S001-002.xml
    """
    DESCRIPTION = 'MMI: over 2,900 videos and stills of 75 subjects; those with one of 6 emotions.'
    HOMEPAGE = 'https://mmifacedb.eu'
    CITATION = """@inproceedings{pantic2005,
      title={Web-based database for facial expression analysis},
      author={Pantic, Maja and Valstar, Michel and Rademaker, Ron and Maat, Ludo},
      booktitle={IEEE International Conference on Multimedia and Expo}, year={2005}}
    @inproceedings{valstar2010,
      title={Induced Disgust, Happiness and Surprise: an Addition to the MMI Facial Expression
        Database},
      author={Valstar, Michel F. and Pantic, Maja},
      booktitle={LREC Workshop on EMOTION}, year={2010}}"""
    LABEL_SETS = {'mmi': _CLASSES}
    FACES = ('yunet', 'dlib', 'haar', 'face_alignment', 'opencv_dnn')
    LANDMARKS = False
    SCENES = True

    def scan(self, release: Path) -> records.ScanResult:
        folder = releases.root(release, 'MMI', {_SESSIONS: "of the database's downloads"})
        clips, dropped, listed, read = [], [], [], []
        for session in _folders(folder / _SESSIONS):
            views, first, metadata = _views(session)
            read += metadata
            for name, files in _media(session).items():
                clip_id = f'{int(session.name):04d}_{name}'
                path = session.relative_to(folder).as_posix()
                tags = releases.optional(session / f'{name}.xml')
                number = _emotion(tags) if tags else None
                read += [tags] if tags else []
                view = views.get(name, first)
                reason = _left_out(number, view)
                if reason or number is None:
                    left_out = {'clip_id': clip_id, 'path': path, 'reason': reason}
                    dropped.append({**left_out, 'label_set': ''})
                    continue
                coded = releases.optional(session / f'{name}-oao_aucs.xml') is not None
                listed += files
                clips.append(
                    records.FoundClip(
                        clip_id=clip_id,
                        label=_CLASSES[number - 1],
                        subject=name.split('-')[0],
                        split='',
                        path=path,
                        payload=(files, view == _FRONT and not coded),
                    )
                )
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS),
            dropped=dropped,
            fingerprint=releases.fingerprint(folder, listed=listed, read=read),
            simulated=releases.simulated(folder),
        )

    def read(self, source, pool):
        files, maybe_turned = source.payload
        if files[0].suffix.lower() in _FILMS:
            frames = self.film(source, files[0])
        else:
            frames = releases.read_frames(files, pool)
        if maybe_turned and len(frames) > 1 and frames[0].shape[0] == _SIDEWAYS:
            frames = [np.ascontiguousarray(np.rot90(frame, -1)) for frame in frames]
        return frames, None

    def _differences(self, counts, splits, subjects):
        names = [clip.clip_id for clip in self.scanned.clips]
        names += [clip['clip_id'] for clip in self.scanned.dropped]
        people = {name.split('_')[1].split('-')[0] for name in names}
        lines = super()._differences(counts, splits, subjects)
        if len(names) < _PUBLISHED:
            lines.append(f'videos and stills: {len(names):,} of over {_PUBLISHED:,} published')
        if len(people) != _SUBJECTS:
            lines.append(f'subjects: {len(people)} of {_SUBJECTS} published')
        return lines


def _left_out(number: int | None, view: str) -> str:
    """Says why a clip is dropped, '' where it stays."""
    if number is None:
        return 'no emotion'
    if number > len(_CLASSES):
        return 'an emotion other than the six'
    return 'in profile only' if view == _PROFILE else ''


def _folders(sessions: Path) -> list[Path]:
    """Lists the sessions' folders by number."""
    folders = [path for path in sessions.glob('*/') if not releases.is_foreign(path)]
    for path in folders:
        if not path.name.isdecimal():
            raise UserError(
                f"{path}: '{path.name}' is no session of MMI, which is a number; "
                'rename the folder as in the release, or move it elsewhere'
            )
    return sorted(folders, key=lambda path: int(path.name))


def _media(session: Path) -> dict[str, list[Path]]:
    """Maps each name (S001-002) to its video, or its pictures in order."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in session.iterdir():
        if path.suffix.lower() not in (*_FILMS, *_PICTURES) or releases.is_foreign(path):
            continue
        parts = _NAME.fullmatch(path.stem)
        if not parts:
            raise UserError(
                f"{path}: no name of a video or picture of MMI, which is like 'S001-002.avi'; "
                'rename the file as in the release, or move it elsewhere'
            )
        found.setdefault(_clip_name(parts), []).append((int(parts[3] or 0), path))
    media = {}
    for name, files in sorted(found.items()):
        pictures = [path for _, path in sorted(files)]
        films = [path for path in pictures if path.suffix.lower() in _FILMS]
        media[name] = films[:1] or pictures  # beside a video a picture is its preview
    return media


def _views(session: Path) -> tuple[dict[str, str], str, list[Path]]:
    """Reads session.xml: views by files' names, the first track's ('' where none), and the file."""
    path = releases.optional(session / 'session.xml')
    if path is None:
        return {}, '', []
    tracks = _elements(path, 'track')
    views: dict[str, str] = {}
    for track in tracks:
        parts = _NAME.fullmatch(Path(track.get('filename', '')).stem)
        if parts:
            views.setdefault(_clip_name(parts), track.get('view', ''))
    return views, next((track.get('view', '') for track in tracks), ''), [path]


def _clip_name(parts: re.Match[str]) -> str:
    """Returns what a file's name says of its clip: subject and number, without that of a frame."""
    return f'{parts[1].upper()}-{parts[2]}'


def _emotion(path: Path) -> int | None:
    """Reads the number of the emotion in a clip's metadata; None: none, or empty, or 0."""
    for tag in _elements(path, 'Metatag'):
        if tag.get('Name') == 'Emotion':
            value = tag.get('Value', '').strip()
            if value and not (value.isdecimal() and len(value) < 10):
                raise UserError(
                    f"{path}: emotion '{value[:20]}' is no number; "
                    'copy the file again from the release'
                )
            return int(value or 0) or None
    return None


def _elements(path: Path, name: str) -> list[xml.etree.ElementTree.Element]:
    """Finds all elements of a name, whatever their namespace."""
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (xml.etree.ElementTree.ParseError, LookupError, ValueError, OSError) as error:
        raise UserError(
            f'{path}: truncated or no XML ({error}); copy the file again from the release'
        ) from error
    return [element for element in root.iter() if element.tag.rpartition('}')[2] == name]
