"""A simulated release laid out as FER2013 ships, with votes like FER+'s in fer2013new.csv.

    emotion,pixels,Usage
    0,70 80 82 72 ... (2304 grey levels),Training

Faces are wilder than in CK+: any pose, light and crop, expressions from faint to full, no sequence.
As in the original the label is somebody's single opinion and often wrong, a row in three thousand
is black, and the votes of ten taggers join by row position. Full size: 35,887 rows with the
published classes and splits, about six a person.
"""

import csv
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
COUNTS = {  # rows per class, as published
    'Training': (3995, 436, 4097, 7215, 4830, 3171, 4965),
    'PublicTest': (467, 56, 496, 895, 653, 415, 607),
    'PrivateTest': (491, 55, 528, 879, 594, 416, 626),
}
ROWS = 35887
PER_PERSON = 6
VOTES = (
    'neutral',
    'happiness',
    'surprise',
    'sadness',
    'anger',
    'disgust',
    'fear',
    'contempt',
    'unknown',
    'NF',
)
TAGGERS = 10
_OVERSAMPLING = 2
_BLACK = 3000  # one row in this many shows nothing
# What is shown when the label is wrong (weights), and what a tagger takes it for.
_MISTAKES = {
    'anger': {'neutral': 3, 'disgust': 2, 'sadness': 2, 'contempt': 1},
    'disgust': {'anger': 3, 'neutral': 1, 'contempt': 1},
    'fear': {'surprise': 4, 'sadness': 2, 'neutral': 2},
    'happiness': {'neutral': 3, 'contempt': 1, 'surprise': 1},
    'sadness': {'neutral': 4, 'fear': 1, 'anger': 1},
    'surprise': {'fear': 3, 'happiness': 1, 'neutral': 1},
    'neutral': {'sadness': 3, 'contempt': 2, 'happiness': 1, 'anger': 1},
    'contempt': {'neutral': 4, 'happiness': 2, 'anger': 1},
}
_WRONG = 0.14


def plan(subjects: int | None, seed: int) -> list[tuple[str, list[int]]]:
    """Returns (Usage, class of each row) for each person in turn; no person stands in two parts.

    Raises:
      UserError: fewer people than the three parts, or more than the published size has.
    """
    people = -(-ROWS // PER_PERSON)
    if subjects is not None and not 10 <= subjects <= people:
        raise UserError(f'--subjects={subjects}: a simulated FER2013 has 10 to {people} people')
    share = 1.0 if subjects is None else subjects * PER_PERSON / ROWS
    rng = np.random.default_rng([seed, 20])
    groups = []
    for usage, counts in COUNTS.items():
        rows = np.repeat(np.arange(len(CLASSES)), [max(1, round(c * share)) for c in counts])
        rows = rng.permutation(rows)
        groups += [
            (usage, rows[k : k + PER_PERSON].tolist()) for k in range(0, len(rows), PER_PERSON)
        ]
    return groups


def tasks(plan: list[tuple[str, list[int]]], seed: int) -> list[tuple[Callable, tuple]]:
    """Splits the work into pieces of eight people."""
    groups = list(enumerate(plan))
    return [(draw_people, (groups[k : k + 8], seed)) for k in range(0, len(groups), 8)]


def draw_people(groups: list, seed: int) -> list[tuple[str, int, np.ndarray, list[int]]]:
    """Draws rows (Usage, label, uint8 [48, 48], votes) of some people."""
    return [
        row for index, (usage, labels) in groups for row in _draw_person(index, usage, labels, seed)
    ]


def _draw_person(index: int, usage: str, labels: list[int], seed: int) -> Iterator[tuple]:
    rng = np.random.default_rng([seed, 21, index])
    who = identity.sample(rng)
    size = SIDE * _OVERSAMPLING
    actor = face.prepare(who, 20.0 * _OVERSAMPLING, size, size, 1)
    style = int(rng.integers(2**31))
    for label in labels:
        if rng.random() < 1 / _BLACK:
            yield usage, label, np.zeros((SIDE, SIDE), np.uint8), [0] * (len(VOTES) - 1) + [TAGGERS]
            continue
        shown = _other(CLASSES[label], rng) if rng.random() < _WRONG else CLASSES[label]
        amount = float(rng.uniform(0.6, 1.25))
        image = _draw(actor, shown, amount, np.random.default_rng([style, label]), rng)
        yield usage, label, image, votes(shown, amount, rng)


def _other(emotion: str, rng: np.random.Generator) -> str:
    names, weights = zip(*_MISTAKES[emotion].items(), strict=True)
    return str(rng.choice(names, p=np.array(weights) / sum(weights)))


def _draw(
    actor: face.Actor,
    emotion: str,
    amount: float,
    style: np.random.Generator,
    rng: np.random.Generator,
) -> np.ndarray:
    size = SIDE * _OVERSAMPLING
    apex = expressions.sample(emotion, actor.who, rng, style).apex
    actions = expressions.combine(actor.who.rest, apex * amount)
    scale = float(rng.uniform(17.5, 21.5)) * _OVERSAMPLING
    angles = np.clip(rng.normal(0, (0.20, 0.11, 0.12)), (-0.42, -0.25, -0.32), (0.42, 0.25, 0.32))
    # The original's crops are centred about the middle between eyes and chin, (0, .5).
    x, y = size / 2 + rng.normal(0, 0.06, 2) * scale - np.array([0, 0.5]) * scale
    pose = Pose.at(angles, rng.normal(0, 0.3, 2), float(x), float(y), scale)
    light = Light(
        azimuth=float(rng.normal(0, 0.75)),
        elevation=float(rng.uniform(-0.1, 1.1)),
        strength=float(rng.uniform(0.35, 0.95)),
        ambient=float(rng.uniform(0.2, 0.6)),
    )
    camera = Camera(
        blur=float(rng.uniform(0.5, 1.7)),
        noise=float(rng.uniform(1, 5)),
        gain=exposure(actor.who, light, float(rng.uniform(0.38, 0.66))),
        gamma=float(rng.uniform(0.75, 1.25)),
    )
    scene = surroundings.build(actor.who, pose, light, actor.size, int(rng.integers(2**31)))
    noise_seed = int(rng.integers(2**31))
    drawn = face.render(actor, actions, pose, light, camera, scene=scene, noise_seed=noise_seed)
    return cv2.resize(drawn.image[..., 0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def votes(shown: str, amount: float, rng: np.random.Generator) -> list[int]:
    """Draws ten taggers' votes, ordered as VOTES, for a face showing an emotion this strongly."""
    chance: dict[str, float] = dict.fromkeys(VOTES, 0.004)
    chance['unknown'] += 0.02
    clear = float(np.clip(0.38 + 0.42 * amount + rng.normal(0, 0.12), 0.25, 0.97))
    chance[shown] += clear
    total = sum(_MISTAKES[shown].values())
    for name, weight in _MISTAKES[shown].items():
        chance[name] += (1 - clear) * weight / total
    p = np.array(list(chance.values()))
    p[-1] = 0
    return rng.multinomial(TAGGERS, p / p.sum()).tolist()


def write(
    out: Path, plan: list[tuple[str, list[int]]], seed: int, run: Callable[[list], Iterator[list]]
) -> None:
    """Writes both csv files from the results of the tasks, in order."""
    digits = np.array([str(v) for v in range(256)], dtype=object)
    with (
        (out / 'fer2013.csv').open('w', newline='') as images,
        (out / 'fer2013new.csv').open('w', newline='') as tags,
    ):
        images.write('emotion,pixels,Usage\n')
        table = csv.writer(tags, lineterminator='\n')
        table.writerow(['Usage', 'Image name', *VOTES])
        number = 0
        for piece in run(tasks(plan, seed)):
            for usage, label, image, vote in piece:
                images.write(f'{label},{" ".join(digits[image.ravel()])},{usage}\n')
                table.writerow([usage, '' if vote[-1] else f'fer{number:07d}.png', *vote])
                number += 1
