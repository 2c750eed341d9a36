"""A simulated release laid out as JAFFE ships: a folder of 256x256 TIFF pictures.

    KA.AN1.39.tiff    subject, expression and take, running number

At full size the counts are the published ones, 213 pictures of ten people, and 23 of them hold
indices into a palette, whose order is not that of the grey levels. The people are of any kind, not
ten Japanese women.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from fer_jax.errors import UserError
from fer_jax.simulation.people import expressions, face, identity, surroundings
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose

SIDE = 256
SUBJECTS = ('KA', 'KL', 'KM', 'KR', 'MK', 'NA', 'NM', 'TM', 'UY', 'YM')
CODES = {
    'anger': 'AN',
    'disgust': 'DI',
    'fear': 'FE',
    'happiness': 'HA',
    'neutral': 'NE',
    'sadness': 'SA',
    'surprise': 'SU',
}
COUNTS = {  # as published
    'anger': 30,
    'disgust': 29,
    'fear': 32,
    'happiness': 31,
    'neutral': 30,
    'sadness': 31,
    'surprise': 30,
}
TAKES = 3  # of an expression by a subject, give or take one
PALETTE_SHARE = 23 / 213


@dataclasses.dataclass(frozen=True)
class Shot:
    """One picture: whose, what it shows, its names, whether it is stored with a palette."""

    index: int
    emotion: str
    take: int
    name: str
    palette: bool


def plan(subjects: int | None, seed: int) -> list[Shot]:
    """Plans all pictures, by subject and expression.

    Raises:
      UserError: more people than JAFFE's ten, or none.
    """
    count = len(SUBJECTS) if subjects is None else subjects
    if not 1 <= count <= len(SUBJECTS):
        raise UserError(f'--subjects={count}: a simulated JAFFE has 1 to {len(SUBJECTS)} people')
    rng = np.random.default_rng([seed, 30])
    takes = np.full((len(SUBJECTS), len(COUNTS)), TAKES)
    for column, total in enumerate(COUNTS.values()):  # a few subjects have one more or one less
        surplus = total - TAKES * len(SUBJECTS)
        takes[rng.permutation(len(SUBJECTS))[: abs(surplus)], column] += np.sign(surplus)
    shown = [
        (index, emotion, take)
        for index in range(count)
        for column, emotion in enumerate(COUNTS)
        for take in range(1, takes[index, column] + 1)
    ]
    palettes = rng.permutation(len(shown))[: max(1, round(PALETTE_SHARE * len(shown)))]
    return [
        Shot(
            index,
            emotion,
            take,
            f'{SUBJECTS[index]}.{CODES[emotion]}{take}.{number}.tiff',
            number - 1 in palettes,
        )
        for number, (index, emotion, take) in enumerate(shown, 1)
    ]


def write(out: Path, plan: list[Shot], seed: int, run: Callable[[list], Iterator[None]]) -> None:
    """Draws and writes all pictures, one subject at a time."""
    by_subject: dict[int, list[Shot]] = {}
    for shot in plan:
        by_subject.setdefault(shot.index, []).append(shot)
    for _ in run([(write_subject, (out, shots, seed)) for shots in by_subject.values()]):
        pass


def write_subject(out: Path, shots: list[Shot], seed: int) -> None:
    """Draws one subject's pictures: one session, one lamp, the head held still."""
    index = shots[0].index
    rng = np.random.default_rng([seed, 31, index])
    who = identity.sample(rng)
    scale = float(rng.uniform(56, 63))
    actor = face.prepare(who, scale, SIDE, SIDE, 1)
    light = Light(
        azimuth=float(rng.normal(0, 0.3)),
        elevation=float(rng.uniform(0.3, 0.9)),
        strength=float(rng.uniform(0.5, 0.8)),
        ambient=float(rng.uniform(0.35, 0.55)),
    )
    camera = Camera(
        blur=float(rng.uniform(0.5, 0.9)),
        noise=float(rng.uniform(1, 2)),
        gain=exposure(who, light, 0.5),
    )
    background = int(rng.integers(2**31))
    for shot in shots:
        picture = draw(actor, shot, light, camera, background, seed)
        write_image(out / shot.name, picture, shot.palette)


def draw(
    actor: face.Actor, shot: Shot, light: Light, camera: Camera, background: int, seed: int
) -> np.ndarray:
    """Draws one picture, uint8 [256, 256]."""
    who = actor.who
    emotion = list(CODES).index(shot.emotion)
    rng = np.random.default_rng([seed, 32, shot.index, emotion, shot.take])
    habit = np.random.default_rng([seed, 33, shot.index, emotion])
    apex = expressions.sample(shot.emotion, who, rng, habit).apex
    yaw, pitch, roll = (float(v) for v in rng.normal(0, (0.04, 0.03, 0.02)))
    x, y = (float(v) for v in np.array([SIDE / 2, 0.44 * SIDE]) + rng.normal(0, 3, 2))
    pose = Pose(yaw, pitch, roll, tuple(rng.normal(0, 0.1, 2)), x, y, actor.scale)
    scene = surroundings.build(who, pose, light, actor.size, background)
    drawn = face.render(
        actor,
        expressions.combine(who.rest, apex),
        pose,
        light,
        camera,
        scene=scene,
        noise_seed=int(rng.integers(2**31)),
    )
    return drawn.image[..., 0]


def write_image(path: Path, image: np.ndarray, palette: bool) -> None:
    """Writes uint8 [H, W] as grey levels or, with `palette`, as indices into falling levels."""
    if palette:
        picture = Image.frombytes('P', image.shape[::-1], (255 - image).tobytes())
        picture.putpalette(np.repeat(np.arange(255, -1, -1, dtype=np.uint8), 3).tobytes())
    else:
        picture = Image.fromarray(image)
    picture.save(path, format='TIFF')
