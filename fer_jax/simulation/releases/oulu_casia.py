"""A simulated release laid out as Oulu-CASIA ships, of its camera VL in Strong light.

    OriginalImg/VL/Strong/P001/Anger/000.jpeg                320x240, colour
    PreProcess_Img/VL_Acropped/Strong/P001/Anger/000.jpeg    the same, cut to the face

Every sequence runs from the resting face to the apex. At full size there are 80 people with six
emotions, 480 sequences, as published. To keep drawing affordable a sequence has about 13 frames
where the original has 20 or more, and the other five conditions are not drawn.
"""

import dataclasses
import itertools
import operator
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_jax.errors import UserError
from fer_jax.simulation.people import dynamics, expressions, face, identity, surroundings
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose

EMOTIONS = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise')
SUBJECTS = 80
WIDTH, HEIGHT = 320, 240
MEAN_FRAMES = 13
CUT = 80  # pixels a side of the pictures cut to the face
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 92]


@dataclasses.dataclass(frozen=True)
class Sequence:
    """One sequence to draw: whose, which emotion, how many frames."""

    index: int
    emotion: str
    frames: int

    @property
    def folder(self) -> Path:
        """Returns where it lies within a condition."""
        return Path(f'P{self.index + 1:03d}', self.emotion.capitalize())


def plan(subjects: int | None, seed: int) -> list[Sequence]:
    """Plans all sequences, by subject and emotion.

    Raises:
      UserError: a number of subjects that has no place in names of three digits.
    """
    count = SUBJECTS if subjects is None else subjects
    if not 1 <= count <= 999:
        raise UserError(f'--subjects={count}: a simulated Oulu-CASIA has 1 to 999 people')
    return [
        Sequence(index, emotion, _length(emotion, np.random.default_rng([seed, 40, index, k])))
        for index in range(count)
        for k, emotion in enumerate(EMOTIONS)
    ]


def _length(emotion: str, rng: np.random.Generator) -> int:
    frames = MEAN_FRAMES * dynamics.PACE[emotion] * np.exp(rng.normal(0, 0.15))
    return int(np.clip(round(frames), 10, 20))


def write(
    out: Path, plan: list[Sequence], seed: int, run: Callable[[list], Iterator[None]]
) -> None:
    """Draws and writes all sequences, one subject at a time."""
    by_subject = itertools.groupby(plan, operator.attrgetter('index'))
    for _ in run([(write_subject, (out, list(group), seed)) for _, group in by_subject]):
        pass


def write_subject(out: Path, sequences: list[Sequence], seed: int) -> None:
    """Draws one subject's sequences: one session, one lamp, one camera."""
    index = sequences[0].index
    rng = np.random.default_rng([seed, 41, index])
    who = identity.sample(rng)
    actor = face.prepare(who, float(rng.uniform(38, 46)), WIDTH, HEIGHT, 3)
    light = Light(
        azimuth=float(rng.normal(0, 0.2)),
        elevation=float(rng.uniform(0.4, 1.0)),
        strength=float(rng.uniform(0.4, 0.6)),
        ambient=float(rng.uniform(0.45, 0.6)),
    )
    camera = Camera(
        blur=float(rng.uniform(0.5, 0.9)),
        noise=float(rng.uniform(1, 2.5)),
        gain=exposure(who, light, 0.5),
    )
    place = np.array([WIDTH / 2, 0.42 * HEIGHT]) + rng.normal(0, (10, 5))
    background = int(rng.integers(2**31))
    for sequence in sequences:
        frames, landmarks = perform(actor, sequence, light, camera, place, background, seed)
        whole = out / 'OriginalImg/VL/Strong' / sequence.folder
        cut = out / 'PreProcess_Img/VL_Acropped/Strong' / sequence.folder
        for folder in (whole, cut):
            folder.mkdir(parents=True)
        for t, (frame, points) in enumerate(zip(frames, landmarks, strict=True)):
            write_image(whole / f'{t:03d}.jpeg', frame)
            write_image(cut / f'{t:03d}.jpeg', cut_to_face(frame, points))


def perform(
    actor: face.Actor,
    sequence: Sequence,
    light: Light,
    camera: Camera,
    place: np.ndarray,
    background: int,
    seed: int,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draws one sequence: frames uint8 [240, 320, 3], RGB, and landmarks float32 [68, 2]."""
    who, scale = actor.who, actor.scale
    emotion = EMOTIONS.index(sequence.emotion)
    rng = np.random.default_rng([seed, 42, sequence.index, emotion])
    habit = np.random.default_rng([seed, 43, sequence.index, emotion])
    shown = expressions.sample(sequence.emotion, who, rng, habit)
    motion = dynamics.perform(who, shown, sequence.frames, rng)
    at = Pose(x=float(place[0]), y=float(place[1]), scale=scale)
    scene = surroundings.build(who, at, light, actor.size, background)
    noise_seed = int(rng.integers(2**31))
    frames, landmarks = [], []
    for t, actions in enumerate(motion.actions):
        x, y = (float(v) for v in place + motion.shift[t] * scale)
        pose = Pose.at(motion.angles[t], motion.gaze[t], x, y, scale)
        drawn = face.render(
            actor, actions, pose, light, camera, scene=scene, noise_seed=noise_seed + t
        )
        frames.append(drawn.image)
        landmarks.append(drawn.landmarks)
    return frames, landmarks


def cut_to_face(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Cuts the square around brows, eyes and mouth out of a picture, as the owners do."""
    eyes, mouth = landmarks[36:48].mean(0), landmarks[48:68].mean(0)
    side = 2.3 * (mouth[1] - eyes[1])
    left, top = 0.5 * (eyes + mouth) - (side / 2, side * 0.52)
    matrix = np.array([[side / CUT, 0, left], [0, side / CUT, top]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (CUT, CUT), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def write_image(path: Path, image: np.ndarray) -> None:
    """Writes uint8 [H, W, 3], RGB, as JPEG."""
    path.write_bytes(cv2.imencode(path.suffix, image[..., ::-1], _QUALITY)[1].tobytes())
