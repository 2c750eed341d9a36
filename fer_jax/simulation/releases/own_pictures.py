"""Simulated pictures of one's own: a folder for each class, named in another script.

    радость/07.png    happiness of person 07, 160x140

Each person is shown once in each of three classes. Subjects are found in the paths by the pattern
SUBJECT. They show that data of one's own need no code and no English.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from fer_jax.errors import UserError
from fer_jax.simulation.people import expressions, face, identity, surroundings
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose

CLASSES = {'happiness': 'радость', 'sadness': 'грусть', 'surprise': 'удивление'}
SUBJECT = r'(\d+)\.'
PREPARED_WITH = {'subject_pattern': SUBJECT}
WIDTH, HEIGHT, SCALE = 160, 140, 30.0
_PEOPLE, _MOST = 20, 900


def plan(subjects: int | None, seed: int) -> int:
    """Returns how many people there are; every seed has as many.

    Raises:
      UserError: nobody, or more than names of three digits allow.
    """
    return people(subjects, 'pictures')


def people(subjects: int | None, what: str) -> int:
    """Returns the number of people asked for, 20 by default; UserError where out of range."""
    count = _PEOPLE if subjects is None else subjects
    if not 1 <= count <= _MOST:
        raise UserError(
            f'--subjects={count}: simulated {what} of your own have 1 to {_MOST} people'
        )
    return count


def write(folder: Path, plan: int, seed: int, run: Callable[[list], Iterator[None]]) -> None:
    """Draws and writes all pictures, person by person."""
    for name in CLASSES.values():
        (folder / name).mkdir()
    for _ in run([(write_person, (folder, index, seed)) for index in range(plan)]):
        pass


def write_person(folder: Path, index: int, seed: int) -> None:
    """Draws one person's pictures, each in a place and light of its own."""
    who = identity.sample(np.random.default_rng([seed, 80, index]))
    actor = face.prepare(who, SCALE, WIDTH, HEIGHT, 3)
    for number, (emotion, name) in enumerate(CLASSES.items()):
        rng = np.random.default_rng([seed, 81, index, number])
        habit = np.random.default_rng([seed, 82, index, number])
        apex = expressions.sample(emotion, who, rng, habit).apex
        light = Light(azimuth=float(rng.normal(0, 0.3)), elevation=0.6, strength=0.6, ambient=0.5)
        camera = Camera(blur=0.4, noise=1.5, gain=exposure(who, light, 0.5))
        yaw, pitch, roll = (float(angle) for angle in rng.normal(0, (0.06, 0.04, 0.04)))
        x, y = np.array([0.5 * WIDTH, 0.42 * HEIGHT]) + rng.normal(0, 5, 2)
        pose = Pose(yaw, pitch, roll, (0.0, 0.0), float(x), float(y), SCALE)
        scene = surroundings.build(who, pose, light, actor.size, int(rng.integers(2**31)))
        actions = expressions.combine(who.rest, apex)
        noise = int(rng.integers(2**31))
        drawn = face.render(actor, actions, pose, light, camera, scene=scene, noise_seed=noise)
        Image.fromarray(drawn.image).save(folder / name / f'{index + 1:02d}.png')
