"""CREMA-D: 91 actors speak twelve sentences in six emotions, rated by a crowd (cao2014)."""

import csv
import re
from pathlib import Path

from fer_jax.data.datasets import recordings, records
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

# Folder -> what a clip takes from it, the first that has it.
_FILMS, _VOICES = 'VideoFlash', ('AudioWAV', 'AudioMP3')
_VOTES_CSV = 'processedResults/tabulatedVotes.csv'
_ACTED, _RATED = 'crema_d', 'crema_d_rated'
_SIX = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'neutral')
# The third part of a file's name -> class; its first letter is the column of the votes.
_EMOTIONS = {
    'ANG': 'anger',
    'DIS': 'disgust',
    'FEA': 'fear',
    'HAP': 'happiness',
    'NEU': 'neutral',
    'SAD': 'sadness',
}
# Actor, sentence, emotion, level.
_NAME = re.compile(r'(1\d{3})_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX)')
# The owners' list of broken recordings: one that shows every emotion, and those that stay.
_EVERY_EMOTION = '1064_IEO_DIS_MD'
_BROKEN = {
    '1064_TIE_SAD_XX': 'states no duration',
    '1076_MTI_NEU_XX': '3 frames',
    '1076_MTI_SAD_XX': 'next to no sound',
}
# What raters perceived -> the first digit of a row's number in tabulatedVotes.csv.
RATINGS = {'voice': '1', 'face': '2', 'audio_visual': '3'}
_ENDINGS = ('.flv', '.mp4', '.wav', '.mp3')  # of a clip's files the first that is there counts
# Bytes: a file of Git LFS that was not fetched is a text of three lines.
_POINTER, _POINTER_SIZE = b'version https://git-lfs', 200


class Builder(recordings.RecordingBuilder):
    """Reads CREMA-D: 7,442 recordings of 91 actors, films with their sound, and what people saw.

    Films are VideoFlash/*.flv; the sound comes from AudioWAV (16 kHz), else from AudioMP3, else
    from the film. A clip without a film is sound alone.

    Label sets: `crema_d`, the emotion that the actor was to show, which the name says;
    `crema_d_rated`, where processedResults/tabulatedVotes.csv is there, the one that most raters
    perceived (without one of the most votes the clip is dropped from this set). The votes
    themselves are stored too, about ten a clip, and make the targets of the second set
    (`ClipSet.target`). Raters heard the voice, saw the face, or both, each for itself; which votes
    are taken is chosen with `ratings`. Seen and heard, 63.6 % of votes are the acted emotion (40.9
    voice, 58.2 face; cao2014).

    Clip ids are the names, `1001_DFA_ANG_XX`. The owners state no parts and ship no faces. Of the
    four recordings that they list as broken 1064_IEO_DIS_MD, a minute with every emotion, is
    dropped, and the others are named.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    CREMA-D is free to download (Open Database License) from
    https://github.com/CheyneyComputerScience/CREMA-D or its mirror
    https://gitlab.com/cs-cooper-lab/crema-d-mirror, with Git LFS (7.6 GB): a zip of the repository
    holds no films. The mirror lacks processedResults: take tabulatedVotes.csv from the repository.
    Pass the folder that then holds:
      VideoFlash/1001_DFA_ANG_XX.flv, AudioWAV/1001_DFA_ANG_XX.wav   and so on
      processedResults/tabulatedVotes.csv                            what raters perceived
    """
    DESCRIPTION = 'CREMA-D: 7,442 clips of 91 actors, 6 emotions, with votes of raters.'
    HOMEPAGE = 'https://github.com/CheyneyComputerScience/CREMA-D'
    CITATION = """@article{cao2014,
      title={{CREMA-D}: Crowd-sourced emotional multimodal actors dataset},
      author={Cao, Houwei and Cooper, David G. and Keutmann, Michael K. and Gur, Ruben C. and
        Nenkova, Ani and Verma, Ragini},
      journal={IEEE Transactions on Affective Computing}, volume={5}, number={4},
      pages={377--390}, year={2014}}"""
    LABEL_SETS = {_ACTED: _SIX, _RATED: _SIX}
    NEEDS = {_RATED: f'{_VOTES_CSV} in the release'}
    VOTES = tuple(_EMOTIONS.values())
    VOTED_SETS = (_RATED,)
    PUBLISHED_CLASSES = dict.fromkeys(_SIX, 1271) | {'neutral': 1087}
    PUBLISHED_SUBJECTS = 91
    OPTIONS = ('ratings',)

    def scan(self, release: Path, ratings: str = 'audio_visual') -> records.ScanResult:
        """Lists files and reads the votes.

        Args:
          ratings: of which votes: 'audio_visual', 'face' or 'voice'.
        """
        if ratings not in RATINGS:
            raise UserError(f'--ratings={ratings}: one of {", ".join(RATINGS)}')
        wanted = f"the owners' {_FILMS}, or {_VOICES[0]} for sound alone"
        folder = releases.folder(release, 'CREMA-D', _is_root, wanted)
        clips, dropped, parts = [], [], {}
        for place in (_FILMS, *_VOICES):
            parts[place], others = _files(folder / place)
            for path in others:
                inside = path.relative_to(folder).as_posix()
                dropped.append(_dropped(inside, inside, 'a copy of another file'))
        simulated = releases.simulated(folder)
        table = releases.optional(folder / _VOTES_CSV)
        votes = _read_votes(table, RATINGS[ratings]) if table else {}
        for clip_id in sorted(set().union(*parts.values())):
            film = parts[_FILMS].get(clip_id)
            voices = (parts[name].get(clip_id) for name in _VOICES)
            recording = recordings.Recording(film, next(filter(None, voices), None))
            path = recording.files[0].relative_to(folder).as_posix()
            name = _NAME.fullmatch(clip_id)
            if name is None:
                reason = 'foreign name (a clip is called 1001_DFA_ANG_XX)'
                dropped.append(_dropped(clip_id, path, reason))
                continue
            if clip_id == _EVERY_EMOTION and not simulated:
                dropped.append(_dropped(clip_id, path, 'broken: shows every emotion'))
                continue
            counts = votes.get(clip_id, ())
            rated = _majority(counts)
            if votes and not rated:
                reason = 'no emotion has most votes' if counts else 'nobody rated it'
                dropped.append(_dropped(clip_id, path, f'{_RATED}: {reason}', _RATED))
            clips.append(
                records.FoundClip(
                    clip_id=clip_id,
                    label=_EMOTIONS[name[2]],
                    subject=name[1],
                    split='',
                    path=path,
                    other_labels={_RATED: rated},
                    votes=counts,
                    payload=recording,
                )
            )
        files = [path for clip in clips for path in clip.payload.files]
        self._ratings = ratings if votes else ''
        read = [table] if table and votes else []
        # First: it refuses what cannot be read, such as a link that leads nowhere.
        fingerprint = releases.fingerprint(folder, listed=files, read=read)
        _check_fetched(files)
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS) if votes else (_ACTED,),
            dropped=dropped,
            fingerprint=f'{fingerprint} {self._ratings}'.rstrip(),
            simulated=simulated,
        )

    def _differences(self, counts, splits, subjects):
        found = super()._differences(counts, splits, subjects)
        if not self._ratings:
            found.append(f'no {_VOTES_CSV}: no label set {_RATED}, no votes')
        elif self._ratings != 'audio_visual':
            found.append(f'the votes are those of {self._ratings} alone')
        if not self.scanned.simulated:
            names = {clip.clip_id for clip in self.scanned.clips}
            listed = [f'{name} ({what})' for name, what in _BROKEN.items() if name in names]
            if listed:
                found.append(f'the owners list as broken: {", ".join(listed)}')
        return found


def _is_root(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in (_FILMS, _VOICES[0]))


def _files(folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """Lists the files of a folder by their clips' names, and those that hold such a clip again.

    Of several endings the first of _ENDINGS counts: the mirror has 1015_DFA_ANG_XX.mp4 beside the
    .flv. Two files of one ending are refused. One sound, 1040_ITH_SAD_X.wav, has an X less than its
    film and its row of votes.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    found: dict[str, Path] = {}
    others = []
    for ending in _ENDINGS:
        for path in paths:
            if path.suffix.lower() != ending or path.name.startswith('.'):
                continue
            first = found.setdefault(re.sub('_X$', '_XX', path.stem), path)
            if first is not path and first.suffix.lower() == ending:
                raise UserError(f'{first} and {path.name} are one clip; keep one of them')
            if first is not path:
                others.append(path)
    return found, others


def _read_votes(path: Path, number: str) -> dict[str, list[int]]:
    """Reads how many raters chose each of the builder's VOTES, by clip.

    Args:
      number: of RATINGS.
    """
    votes = {}
    try:
        with open(path, encoding='utf-8', newline='') as file:
            for row in csv.DictReader(file):
                if row[''].startswith(number):
                    votes[row['fileName']] = [int(row[letter[0]]) for letter in _EMOTIONS]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{path}: the owners' table of votes expected (a number, A, D, F, H, N, S, fileName), "
            f'but {type(error).__name__}: {error}; copy it again from the release'
        ) from error
    return votes


def _majority(votes: list[int] | tuple[()]) -> str:
    """Returns the class with most votes; '' where several have as many, or nobody was asked."""
    best = [name for name, n in zip(_EMOTIONS.values(), votes, strict=False) if n == max(votes)]
    return best[0] if len(best) == 1 else ''


def _check_fetched(files: list[Path]) -> None:
    """Raises a UserError where files are pointers of Git LFS, not what they point to."""
    small = [path for path in files if path.stat().st_size < _POINTER_SIZE]
    pointers = [path for path in small if path.read_bytes().startswith(_POINTER)]
    if pointers:
        raise UserError(
            f'{pointers[0]} and {len(pointers) - 1:,} more files are pointers of Git LFS, not '
            "films or sounds: run 'git lfs pull' in the clone; a zip of the repository holds none"
        )


def _dropped(clip_id: str, path: str, reason: str, label_set: str = '') -> dict[str, str]:
    return {'clip_id': clip_id, 'path': path, 'reason': reason, 'label_set': label_set}
