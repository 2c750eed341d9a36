"""Simulated films of one's own, with sound, listed in a manifest.

    manifest.csv      path, label, subject
    films/07_2.avi    160x140 at 12 frames a second, a second and a half, sound of 16 kHz

Each person speaks twice in each of three classes, whose names are those of `own_pictures`.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fer_jax.simulation.people import movie, voice
from fer_jax.simulation.people.take import Session
from fer_jax.simulation.releases import own_pictures
from fer_jax.simulation.releases.own_pictures import CLASSES, HEIGHT, SCALE, WIDTH

FPS, FRAMES, TAKES = 12, 18, 2


def plan(subjects: int | None, seed: int) -> int:
    """Returns how many people there are, as of `own_pictures.plan`."""
    return own_pictures.people(subjects, 'films')


def write(folder: Path, plan: int, seed: int, run: Callable[[list], Iterator[list]]) -> None:
    """Draws and writes all films, person by person, and the manifest."""
    (folder / 'films').mkdir()
    listed = run([(write_person, (folder, index, seed)) for index in range(plan)])
    with open(folder / 'manifest.csv', 'w', encoding='utf-8', newline='') as file:
        table = csv.writer(file, lineterminator='\n')
        table.writerow(('path', 'label', 'subject'))
        for rows in listed:
            table.writerows(rows)


def write_person(folder: Path, index: int, seed: int) -> list[tuple[str, str, str]]:
    """Draws one person's films and returns their rows of the manifest."""
    session = Session.sample(np.random.default_rng([seed, 85, index]), WIDTH, HEIGHT, SCALE)
    rows = []
    for number in range(TAKES * len(CLASSES)):
        emotion = list(CLASSES)[number % len(CLASSES)]
        rng = np.random.default_rng([seed, 86, index, number])
        habit = np.random.default_rng([seed, 87, index, *emotion.encode()])
        frames, sound = session.film(emotion, FRAMES, FPS, rng, habit)
        name = f'films/{index + 1:02d}_{number + 1}.avi'
        movie.write_movie(folder / name, frames, FPS, sound=sound, rate=voice.RATE)
        rows.append((name, CLASSES[emotion], f'{index + 1:02d}'))
    return rows
