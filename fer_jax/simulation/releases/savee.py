"""A simulated release laid out as SAVEE ships, with sound. Everyone in it is drawn.

    AudioVisualClip/DC/a01.avi    256x208 at 12 frames a second, sound of 16 kHz

The owners' clips are 320x256 at 60 frames a second with 44.1 kHz sound and last about four seconds;
these are smaller, slower and 1.5 to 2.5 s long, so that 480 of them are drawn in minutes. As in the
original each speaker says 15 sentences in each of six emotions and 30 in none, before a plain
background in even light, with markers painted on the face.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_jax.errors import UserError
from fer_jax.simulation.people import face, identity, movie, surroundings, talk, voice
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose

SPEAKERS = ('DC', 'JE', 'JK', 'KL')
SENTENCES = {
    'a': ('anger', 15),
    'd': ('disgust', 15),
    'f': ('fear', 15),
    'h': ('happiness', 15),
    'n': ('neutral', 30),
    'sa': ('sadness', 15),
    'su': ('surprise', 15),
}
WIDTH, HEIGHT, FPS = 256, 208, 12
_SCALE = 44.0  # pixels a face unit: a face about 95 pixels wide
# Which of the 68 landmarks carry a marker: every second point of jaw, brows, nose and lips.
_MARKERS = (*range(1, 16, 2), 17, 19, 21, 22, 24, 26, 27, 29, 31, 35, 48, 51, 54, 57)
_PAINT = (40, 60, 190)  # blue, RGB


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip to be drawn: which speaker, which file, what it shows."""

    speaker: int
    name: str
    emotion: str


def plan(subjects: int | None, seed: int) -> list[Clip]:
    """Plans all clips, speaker by speaker; every seed has the same ones.

    Raises:
      UserError: no speaker, or more than SAVEE has.
    """
    count = len(SPEAKERS) if subjects is None else subjects
    if not 1 <= count <= len(SPEAKERS):
        raise UserError(f'--subjects={count}: a simulated SAVEE has 1 to {len(SPEAKERS)} speakers')
    return [
        Clip(speaker, f'{letter}{number:02d}', emotion)
        for speaker in range(count)
        for letter, (emotion, sentences) in SENTENCES.items()
        for number in range(1, sentences + 1)
    ]


def write(folder: Path, plan: list[Clip], seed: int, run: Callable[[list], Iterator[None]]) -> None:
    """Draws and writes all clips, in pieces of fifteen."""
    for speaker in sorted({clip.speaker for clip in plan}):
        (folder / 'AudioVisualClip' / SPEAKERS[speaker]).mkdir(parents=True)
    groups = [
        [clip for clip in plan if clip.speaker == speaker] for speaker in range(len(SPEAKERS))
    ]
    pieces = [group[k : k + 15] for group in groups for k in range(0, len(group), 15)]
    for _ in run([(write_clips, (folder, piece, seed)) for piece in pieces]):
        pass


def write_clips(folder: Path, clips: list[Clip], seed: int) -> None:
    """Draws some clips of one speaker."""
    speaker = clips[0].speaker
    who = identity.sample(np.random.default_rng([seed, 50, speaker]))
    rng = np.random.default_rng([seed, 51, speaker])
    actor = face.prepare(who, _SCALE, WIDTH, HEIGHT, 3)
    speech = voice.sample(rng, low=1)  # SAVEE's speakers are men
    light = Light(azimuth=float(rng.normal(0, 0.2)), elevation=0.6, strength=0.6, ambient=0.5)
    camera = Camera(blur=0.5, noise=1.5, gain=exposure(who, light, 0.5))
    place = Pose(x=WIDTH / 2 + rng.normal(0, 5), y=84 + rng.normal(0, 3), scale=_SCALE)
    scene = surroundings.build(who, place, light, actor.size, int(rng.integers(2**31)))
    for clip in clips:
        rng = np.random.default_rng([seed, 52, speaker, *clip.name.encode()])
        habit = np.random.default_rng([seed, 53, speaker, *clip.emotion.encode()])
        frames = int(rng.integers(18, 31))
        said = voice.speak(speech, clip.emotion, frames / FPS, rng)
        motion = talk.perform(
            who, clip.emotion, talk.face_strength(rng), said, frames, FPS, rng, habit
        )
        images = []
        for t in range(frames):
            x, y = (place.x, place.y) + motion.shift[t] * _SCALE
            pose = Pose.at(motion.angles[t], motion.gaze[t], x, y, _SCALE)
            drawn = face.render(
                actor,
                motion.actions[t],
                pose,
                light,
                camera,
                scene=scene,
                noise_seed=int(rng.integers(2**31)),
            )
            images.append(_marked(drawn))
        path = folder / 'AudioVisualClip' / SPEAKERS[speaker] / f'{clip.name}.avi'
        movie.write_movie(path, images, FPS, sound=said.sound, rate=voice.RATE)


def _marked(drawn: face.Picture) -> np.ndarray:
    """Paints markers on the face of a picture."""
    image = np.ascontiguousarray(drawn.image)
    for x, y in drawn.landmarks[list(_MARKERS)]:
        centre = (round(float(x) * 16), round(float(y) * 16))  # in sixteenths of a pixel
        cv2.circle(image, centre, 20, _PAINT, -1, cv2.LINE_AA, shift=4)
    return image
