"""A simulated release laid out as TFD ships: TFD_48x48.mat.

    images   uint8 [N, 48, 48]
    labs_ex  [N, 1]   1 anger, 2 disgust, 3 fear, 4 happiness, 5 sadness, 6 surprise, 7 neutral,
                      -1 without a label
    labs_id  [N, 1]   the person
    folds    [N, 5]   1 training, 2 validation, 3 test, 0 without a label

At full size 4,178 of 112,234 rows are labelled, as published. The others are black: nothing here
looks at them. The owners publish no counts of classes and people, so these are made up. The faces
are cut tightly, brows to mouth. No person stands in two parts of a fold.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_jax.errors import UserError
from fer_jax.simulation.people import expressions, face, identity, surroundings
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose

SIDE = 48
CLASSES = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral')
COUNTS = (500, 440, 420, 800, 500, 500, 1018)
LABELLED, ROWS = sum(COUNTS), 112234
PEOPLE = 900
FOLDS = 5
TRAIN, VALIDATION, TEST = 1, 2, 3
_OVERSAMPLING = 2
_SCALE = 26.0  # pixels a face unit: the eyes stand 24 pixels apart, the mouth 28 below them
_EYES = (24.0, 12.5)
_HEADER = b'MATLAB 5.0 MAT-file, simulated'.ljust(116)  # SciPy writes the time of day there


@dataclasses.dataclass(frozen=True)
class Person:
    """One person: the classes of the pictures, and the part in each of the five folds."""

    index: int
    labels: tuple[int, ...]
    parts: tuple[int, ...]


def plan(subjects: int | None, seed: int) -> list[Person]:
    """Plans everybody who has a labelled picture.

    Raises:
      UserError: too few people for three parts, or more than the published size has pictures for.
    """
    count = PEOPLE if subjects is None else subjects
    if not 10 <= count <= PEOPLE:
        raise UserError(f'--subjects={count}: a simulated TFD has 10 to {PEOPLE} people')
    rng = np.random.default_rng([seed, 50])
    share = count / PEOPLE
    labels = np.repeat(np.arange(len(CLASSES)), [max(1, round(n * share)) for n in COUNTS])
    groups = np.array_split(rng.permutation(labels), count)
    sizes = np.array([len(group) for group in groups])
    parts = np.full((count, FOLDS), TRAIN)
    for fold in range(FOLDS):  # a fifth for the test, a tenth for the validation
        order = rng.permutation(count)
        covered = np.cumsum(sizes[order]) / sizes.sum()
        parts[order[covered <= 0.3], fold] = VALIDATION
        parts[order[covered <= 0.2], fold] = TEST
    return [
        Person(index, tuple(group.tolist()), tuple(parts[index].tolist()))
        for index, group in enumerate(groups)
    ]


def write(
    out: Path, plan: list[Person], seed: int, run: Callable[[list], Iterator[np.ndarray]]
) -> None:
    """Draws the labelled faces and writes the one file."""
    from scipy.io import savemat  # only here, and half a second

    pieces = [plan[k : k + 8] for k in range(0, len(plan), 8)]
    drawn = np.concatenate(list(run([(draw_people, (piece, seed)) for piece in pieces])))
    labels = np.array([label for person in plan for label in person.labels])
    owner = np.repeat(np.arange(len(plan)), [len(person.labels) for person in plan])
    rows = round(ROWS * len(labels) / LABELLED)
    rng = np.random.default_rng([seed, 51])
    places = np.sort(rng.permutation(rows)[: len(labels)])[rng.permutation(len(labels))]
    images = np.zeros((rows, SIDE, SIDE), np.uint8)
    expression, person = np.full((2, rows, 1), -1, np.int16)
    folds = np.zeros((rows, FOLDS), np.uint8)
    images[places] = drawn
    expression[places, 0] = labels + 1
    person[places, 0] = owner + 1
    folds[places] = np.array([one.parts for one in plan])[owner]
    tables = {'images': images, 'labs_ex': expression, 'labs_id': person, 'folds': folds}
    savemat(out / 'TFD_48x48.mat', tables, do_compression=True)
    with open(out / 'TFD_48x48.mat', 'r+b') as file:
        file.write(_HEADER)


def draw_people(people: list[Person], seed: int) -> np.ndarray:
    """Draws all pictures of some people, uint8 [n, 48, 48]."""
    return np.stack([image for person in people for image in _draw_person(person, seed)])


def _draw_person(person: Person, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng([seed, 52, person.index])
    who = identity.sample(rng)
    size = SIDE * _OVERSAMPLING
    actor = face.prepare(who, _SCALE * _OVERSAMPLING, size, size, 1)
    habit = int(rng.integers(2**31))
    for label in person.labels:
        style = np.random.default_rng([habit, label])
        yield _draw(actor, CLASSES[label], style, rng)


def _draw(
    actor: face.Actor, emotion: str, style: np.random.Generator, rng: np.random.Generator
) -> np.ndarray:
    apex = expressions.sample(emotion, actor.who, rng, style).apex
    x, y = (float(v) for v in (np.array(_EYES) + rng.normal(0, 0.8, 2)) * _OVERSAMPLING)
    angles = np.clip(rng.normal(0, (0.06, 0.05, 0.03)), -0.15, 0.15)
    scale = actor.scale * float(rng.uniform(0.96, 1.04))
    pose = Pose.at(angles, rng.normal(0, 0.15, 2), x, y, scale)
    light = Light(
        azimuth=float(rng.normal(0, 0.45)),
        elevation=float(rng.uniform(0.1, 1.0)),
        strength=float(rng.uniform(0.4, 0.85)),
        ambient=float(rng.uniform(0.3, 0.6)),
    )
    camera = Camera(
        blur=float(rng.uniform(0.5, 1.2)),
        noise=float(rng.uniform(1, 3)),
        gain=exposure(actor.who, light, float(rng.uniform(0.4, 0.6))),
    )
    scene = surroundings.build(actor.who, pose, light, actor.size, int(rng.integers(2**31)))
    drawn = face.render(
        actor,
        expressions.combine(actor.who.rest, apex),
        pose,
        light,
        camera,
        scene=scene,
        noise_seed=int(rng.integers(2**31)),
    )
    return cv2.resize(drawn.image[..., 0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
