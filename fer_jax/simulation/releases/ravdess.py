"""A simulated release laid out as RAVDESS ships, its speech, with sound. Everyone in it is drawn.

    Actor_01/01-01-05-02-01-02-01.mp4    256x144 at 12 frames a second, sound of 16 kHz
    Actor_01/03-01-05-02-01-02-01.wav    the same sound

The owners' films are 1280x720 at 30 frames a second with 48 kHz sound, last 3 to 5 seconds and ship
without sound too; these are smaller, slower and last about 1.7 s. As in the original each actor
says two sentences twice in each of seven emotions, at two intensities, and in none at one; odd
actors are men.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fer_jax.errors import UserError
from fer_jax.simulation.people import movie, voice
from fer_jax.simulation.people.take import Session

ACTORS = 24
EMOTIONS = {
    '01': 'neutral',
    '02': 'calm',
    '03': 'happiness',
    '04': 'sadness',
    '05': 'anger',
    '06': 'fear',
    '07': 'disgust',
    '08': 'surprise',
}
WIDTH, HEIGHT, FPS = 256, 144, 12
_SCALE = 30.0  # pixels a face unit: a face about 65 pixels wide
_STRENGTHS = {'01': 0.85, '02': 1.2}  # intensity -> factor of what the face shows


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip to be drawn: whose, and the name without modality and actor."""

    actor: int
    name: str


def plan(subjects: int | None, seed: int) -> list[Clip]:
    """Plans all clips, actor by actor; every seed has the same ones.

    Raises:
      UserError: no actor, or more than RAVDESS has.
    """
    count = ACTORS if subjects is None else subjects
    if not 1 <= count <= ACTORS:
        raise UserError(f'--subjects={count}: a simulated RAVDESS has 1 to {ACTORS} actors')
    return [
        Clip(actor, f'01-{emotion}-{intensity}-{statement}-{repetition}')
        for actor in range(1, count + 1)
        for emotion in EMOTIONS
        for intensity in ('01', '02')
        if emotion != '01' or intensity == '01'  # there is no strong neutral
        for statement in ('01', '02')
        for repetition in ('01', '02')
    ]


def write(folder: Path, plan: list[Clip], seed: int, run: Callable[[list], Iterator[None]]) -> None:
    """Draws and writes all clips, in pieces of fifteen."""
    pieces = []
    for actor in sorted({clip.actor for clip in plan}):
        (folder / f'Actor_{actor:02d}').mkdir()
        own = [clip for clip in plan if clip.actor == actor]
        pieces += [own[k : k + 15] for k in range(0, len(own), 15)]
    for _ in run([(write_clips, (folder, piece, seed)) for piece in pieces]):
        pass


def write_clips(folder: Path, clips: list[Clip], seed: int) -> None:
    """Draws some clips of one actor."""
    actor = clips[0].actor
    rng = np.random.default_rng([seed, 90, actor])
    session = Session.sample(rng, WIDTH, HEIGHT, _SCALE, low=actor % 2)
    for clip in clips:
        _, number, intensity, *_ = clip.name.split('-')
        emotion = EMOTIONS[number]
        rng = np.random.default_rng([seed, 91, actor, *clip.name.encode()])
        habit = np.random.default_rng([seed, 92, actor, *emotion.encode()])
        length = int(rng.integers(18, 24))
        frames, sound = session.film(emotion, length, FPS, rng, habit, _STRENGTHS[intensity])
        place = folder / f'Actor_{actor:02d}'
        name = f'{clip.name}-{actor:02d}'
        movie.write_movie(place / f'01-{name}.mp4', frames, FPS, sound=sound, rate=voice.RATE)
        movie.write_sound(place / f'03-{name}.wav', sound, voice.RATE)
