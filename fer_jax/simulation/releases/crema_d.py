"""A simulated release laid out as CREMA-D ships, with sound and votes. Everyone in it is drawn.

    VideoFlash/1001_DFA_ANG_XX.flv      192x144 at 12 frames a second, silent
    AudioWAV/1001_DFA_ANG_XX.wav        16 kHz
    processedResults/tabulatedVotes.csv how many of ten raters perceived which emotion, three times

The owners' films are 480x360 at 30 frames a second, last about 2.5 s, and have the sound too; these
are smaller, slower and last about 1.7 s. As in the original the first sentence is said at three
levels of each of five emotions, the others at one, and all neutrally; at full size as many clips of
each class are missing. Raters of voice, face, and both perceive the acted emotion as often as
cao2014 states, more often where it is strong, and else neutral or any other. Of the table's other
columns only numResponses is there.
"""

import csv
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fer_jax.errors import UserError
from fer_jax.simulation.people import movie, voice
from fer_jax.simulation.people.take import Session

ACTORS = 91
SENTENCES = (
    *('IEO', 'TIE', 'IOM', 'IWW', 'TAI', 'MTI'),
    *('IWL', 'ITH', 'DFA', 'ITS', 'TSI', 'WSI'),
)
EMOTIONS = {
    'NEU': 'neutral',
    'HAP': 'happiness',
    'SAD': 'sadness',
    'ANG': 'anger',
    'FEA': 'fear',
    'DIS': 'disgust',
}
# How many of the planned clips of each class are not in the release.
MISSING = dict.fromkeys(EMOTIONS, 3) | {'NEU': 5}
WIDTH, HEIGHT, FPS = 192, 144, 12
RATERS = 10
_SCALE = 30.0  # pixels a face unit: a face about 65 pixels wide
_STRENGTHS = {'LO': 0.5, 'MD': 0.85, 'HI': 1.2, 'XX': 1.0}  # level -> factor of the expression
# First digit of a row's number, voice, face, both -> share of raters who perceive what is acted.
_PERCEIVED = {1: 0.409, 2: 0.582, 3: 0.636}
_LETTERS = 'ADFHNS'


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip to be drawn: its number in the release's list, and its name."""

    number: int
    actor: int
    sentence: str
    emotion: str
    level: str

    @property
    def name(self) -> str:
        return f'{self.actor}_{self.sentence}_{self.emotion}_{self.level}'


def plan(subjects: int | None, seed: int) -> list[Clip]:
    """Plans all clips, actor by actor.

    Raises:
      UserError: no actor, or more than CREMA-D has.
    """
    count = ACTORS if subjects is None else subjects
    if not 1 <= count <= ACTORS:
        raise UserError(f'--subjects={count}: a simulated CREMA-D has 1 to {ACTORS} actors')
    clips = [
        (actor, sentence, emotion, level)
        for actor in range(1001, 1001 + count)
        for sentence in SENTENCES
        for emotion in EMOTIONS
        for level in (
            ('LO', 'MD', 'HI') if sentence == SENTENCES[0] and emotion != 'NEU' else ('XX',)
        )
    ]
    if count == ACTORS:
        rng = np.random.default_rng([seed, 95])
        missing = set()
        for emotion, number in MISSING.items():
            own = [k for k, clip in enumerate(clips) if clip[2] == emotion]
            missing |= set(rng.choice(own, number, replace=False).tolist())
        clips = [clip for k, clip in enumerate(clips) if k not in missing]
    return [Clip(number, *clip) for number, clip in enumerate(clips, 1)]


def write(folder: Path, plan: list[Clip], seed: int, run: Callable[[list], Iterator[None]]) -> None:
    """Draws and writes all clips, in pieces of an actor's half, and the votes."""
    for name in ('VideoFlash', 'AudioWAV', 'processedResults'):
        (folder / name).mkdir()
    pieces = []
    for actor in sorted({clip.actor for clip in plan}):
        own = [clip for clip in plan if clip.actor == actor]
        pieces += [own[k : k + 41] for k in range(0, len(own), 41)]
    for _ in run([(write_clips, (folder, piece, seed)) for piece in pieces]):
        pass
    path = folder / 'processedResults' / 'tabulatedVotes.csv'
    with open(path, 'w', encoding='utf-8', newline='') as file:
        table = csv.writer(file, lineterminator='\n', quoting=csv.QUOTE_NONNUMERIC)
        table.writerow(('', *_LETTERS, 'fileName', 'numResponses'))
        for kind in _PERCEIVED:
            for clip in plan:
                rng = np.random.default_rng([seed, 96, kind, *clip.name.encode()])
                votes = perceive(clip, kind, rng)
                row = f'{kind}{clip.number:05d}'
                table.writerow((row, *votes.tolist(), clip.name, int(votes.sum())))


def perceive(clip: Clip, kind: int, rng: np.random.Generator) -> np.ndarray:
    """Draws how many of RATERS perceive each emotion, int [6], in the order of its letters."""
    acted = _LETTERS.index(clip.emotion[0])
    others = np.full(len(_LETTERS), 0.1)
    others[_LETTERS.index('N')] = 0.5  # who is not sure says neutral
    others[acted] = 0
    right = min(0.95, _PERCEIVED[kind] * _STRENGTHS[clip.level])
    share = (1 - right) * others / others.sum()
    share[acted] = right
    return rng.multinomial(RATERS, share)


def write_clips(folder: Path, clips: list[Clip], seed: int) -> None:
    """Draws some clips of one actor."""
    actor = clips[0].actor
    rng = np.random.default_rng([seed, 97, actor])
    session = Session.sample(rng, WIDTH, HEIGHT, _SCALE)
    for clip in clips:
        emotion = EMOTIONS[clip.emotion]
        rng = np.random.default_rng([seed, 98, *clip.name.encode()])
        habit = np.random.default_rng([seed, 99, actor, *emotion.encode()])
        length = int(rng.integers(18, 24))
        frames, sound = session.film(emotion, length, FPS, rng, habit, _STRENGTHS[clip.level])
        movie.write_movie(folder / 'VideoFlash' / f'{clip.name}.flv', frames, FPS)
        movie.write_sound(folder / 'AudioWAV' / f'{clip.name}.wav', sound, voice.RATE)
