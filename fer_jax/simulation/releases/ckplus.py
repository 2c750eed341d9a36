"""A simulated release laid out exactly as CK+ ships.

    cohn-kanade-images/S005/001/S005_001_00000001.png    640x490 or 640x480, a few in colour
    Landmarks/S005/001/S005_001_00000001_landmarks.txt   68 rows of x y
    Emotion/S005/001/S005_001_00000011_emotion.txt       one number, where there is a label
    FACS/S005/001/S005_001_00000011_facs.txt             rows of action unit and intensity

Every sequence runs from the resting face to the apex, which is its last frame.
"""

import dataclasses
import itertools
import operator
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_jax.simulation.people import dynamics, expressions, face, identity, surroundings
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose
from fer_jax.simulation.people.units import EMOTIONS, UNITS
from fer_jax.simulation.releases import roster
from fer_jax.simulation.releases.roster import Sequence

CODES = {name: code for code, name in enumerate(roster.COUNTS, 1)}
MEAN_FRAMES = 14.5


def length(emotion: str, rng: np.random.Generator) -> int:
    """Draws the frames of a sequence: 6 to 40, about 15 on average, longer for slow emotions."""
    return int(
        np.clip(round(MEAN_FRAMES * dynamics.PACE[emotion] * np.exp(rng.normal(0, 0.27))), 6, 40)
    )


def plan(subjects: int | None, seed: int, unlabelled: bool | None = None) -> list[Sequence]:
    """Plans all sequences (`roster.plan`).

    `unlabelled` is whether to draw those without an emotion label as well; None does so for the
    published size only.
    """
    return roster.plan(subjects, seed, subjects is None if unlabelled is None else unlabelled)


def write(
    out: Path, plan: list[Sequence], seed: int, run: Callable[[list], Iterator[None]]
) -> None:
    """Draws and writes all sequences."""
    for _ in run(tasks(out, plan, seed)):
        pass


def tasks(out: Path, plan: list[Sequence], seed: int) -> list[tuple[Callable, tuple]]:
    """Splits the work into pieces, one a subject."""
    by_subject = itertools.groupby(plan, operator.attrgetter('subject'))
    return [(write_subject, (out, list(group), seed)) for _, group in by_subject]


def write_subject(out: Path, sequences: list[Sequence], seed: int) -> None:
    """Draws all sequences of one subject and writes their files below `out`."""
    stage = set_stage(sequences[0].index, seed)
    for sequence in sequences:
        take = perform(stage, sequence, seed)
        stem = f'{sequence.subject}_{sequence.number:03d}'
        folder = Path(sequence.subject, f'{sequence.number:03d}')
        for top in ('cohn-kanade-images', 'Landmarks', 'Emotion', 'FACS'):
            (out / top / folder).mkdir(parents=True)
        for t in range(len(take.motion.actions)):
            drawn = draw(stage, take, t)
            name = f'{stem}_{t + 1:08d}'
            write_image(out / 'cohn-kanade-images' / folder / f'{name}.png', drawn.image)
            write_numbers(out / 'Landmarks' / folder / f'{name}_landmarks.txt', drawn.landmarks)
        if sequence.labelled:
            write_numbers(
                out / 'Emotion' / folder / f'{name}_emotion.txt', [[CODES[sequence.emotion]]]
            )
        write_numbers(out / 'FACS' / folder / f'{name}_facs.txt', coding(take.apex))


@dataclasses.dataclass(frozen=True)
class Stage:
    """A subject's recording session: actor, place in the image, lamp, camera, background."""

    actor: face.Actor
    place: tuple[float, float]
    lamp: Light
    camera: Camera
    background: int


@dataclasses.dataclass(frozen=True)
class Take:
    """One sequence on a stage: its motion, apex intensities [2, U], light, and the scene behind."""

    motion: dynamics.Motion
    apex: np.ndarray
    light: Light
    scene: np.ndarray
    noise_seed: int


def set_stage(index: int, seed: int) -> Stage:
    """Sets up the session of subject number `index` of the release with this seed."""
    who = identity.sample(np.random.default_rng([seed, 11, index]))
    rng = np.random.default_rng([seed, 12, index])
    colour = rng.random() < 0.06
    height = 480 if colour or rng.random() < 0.12 else 490
    actor = face.prepare(who, float(rng.uniform(84, 100)), 640, height, 3 if colour else 1)
    lamp = Light(
        azimuth=float(rng.normal(0, 0.55)),
        elevation=float(rng.uniform(0.25, 0.95)),
        strength=float(rng.uniform(0.5, 0.9)),
        ambient=float(rng.uniform(0.3, 0.55)),
    )
    level = float(np.clip(rng.normal(0.50, 0.05), 0.36, 0.64))
    camera = Camera(
        blur=float(rng.uniform(0.5, 1.1)),
        noise=float(rng.uniform(0.6, 1.5)),
        gain=exposure(who, lamp, level),
        gamma=float(rng.uniform(0.85, 1.12)),
    )
    place = (float(320 + rng.normal(0, 14)), float(205 + rng.normal(0, 8)))
    return Stage(actor, place, lamp, camera, int(rng.integers(2**31)))


def perform(stage: Stage, sequence: Sequence, seed: int) -> Take:
    """Draws how one sequence goes: motion, light and the scene behind."""
    who = stage.actor.who
    rng = np.random.default_rng([seed, 13, sequence.index, sequence.number])
    habit = np.random.default_rng([seed, 14, sequence.index, EMOTIONS.index(sequence.emotion)])
    shown = expressions.sample(sequence.emotion, who, rng, habit)
    motion = dynamics.perform(who, shown, length(sequence.emotion, rng), rng)
    light = dataclasses.replace(stage.lamp, azimuth=stage.lamp.azimuth + rng.normal(0, 0.08))
    at = Pose(x=stage.place[0], y=stage.place[1], scale=stage.actor.scale)
    scene = surroundings.build(who, at, light, stage.actor.size, stage.background)
    return Take(motion, shown.apex, light, scene, int(rng.integers(2**31)))


def draw(stage: Stage, take: Take, t: int) -> face.Picture:
    """Draws frame `t` of a take."""
    motion, scale = take.motion, stage.actor.scale
    x, y = np.array(stage.place) + motion.shift[t] * scale
    pose = Pose.at(motion.angles[t], motion.gaze[t], float(x), float(y), scale)
    return face.render(
        stage.actor,
        motion.actions[t],
        pose,
        take.light,
        stage.camera,
        scene=take.scene,
        noise_seed=take.noise_seed + t,
    )


def coding(apex: np.ndarray) -> list[list[float]]:
    """Codes apex intensities [2, U] as FACS rows (unit, level 1 for A to 5 for E)."""
    strongest = apex.max(0)
    return [
        [unit, float(np.clip(np.ceil(v * 5), 1, 5))]
        for unit, v in zip(UNITS, strongest, strict=True)
        if v > 0.12
    ]


def write_numbers(path: Path, rows) -> None:
    """Writes rows of numbers in the release's own format (MATLAB's -ascii)."""
    path.write_text(''.join(''.join(f'{v:16.7e}' for v in row) + '\n' for row in rows))


def write_image(path: Path, image: np.ndarray) -> None:
    """Writes uint8 [H, W, 1] grey or [H, W, 3] RGB as PNG."""
    shown = image[..., 0] if image.shape[2] == 1 else image[..., ::-1]
    encoded = cv2.imencode(path.suffix, shown)[1]
    path.write_bytes(encoded.tobytes())
