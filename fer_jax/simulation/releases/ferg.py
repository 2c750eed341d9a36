"""A simulated release laid out as FERG-DB ships: drawn characters, 256x256 PNG pictures.

    FERG_DB_256/aia/aia_anger/aia_anger_1.png

At full size there are 55,767 pictures, as published, spread evenly over six characters and seven
emotions, for the owners publish no further counts. The characters have the owners' names and
nothing else of them: they are drawn by cartoon.py.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fer_jax.errors import UserError
from fer_jax.simulation.people import cartoon, expressions
from fer_jax.simulation.releases import ckplus

FOLDER = 'FERG_DB_256'
NAMES = {  # of the classes, as the owners call them
    'anger': 'anger',
    'disgust': 'disgust',
    'fear': 'fear',
    'happiness': 'joy',
    'neutral': 'neutral',
    'sadness': 'sadness',
    'surprise': 'surprise',
}
PICTURES = 55767
FEW = 30  # pictures of an emotion of a character, in a release of reduced size
_PIECE = 64  # pictures drawn in one go


@dataclasses.dataclass(frozen=True)
class Piece:
    """Some pictures of one emotion of one character: their numbers."""

    character: str
    emotion: str
    numbers: range

    @property
    def paths(self) -> list[Path]:
        """Returns where the pictures lie in the release."""
        stem = f'{self.character}_{NAMES[self.emotion]}'
        folder = Path(FOLDER, self.character, stem)
        return [folder / f'{stem}_{number}.png' for number in self.numbers]


def plan(subjects: int | None, seed: int) -> list[Piece]:
    """Plans all pictures.

    Args:
      subjects: how many characters, with 30 pictures of each emotion; None is the published size.
      seed: changes nothing here: who shows what how often is fixed.

    Raises:
      UserError: more characters than six, or none.
    """
    names = list(cartoon.CHARACTERS)
    if subjects is not None and not 1 <= subjects <= len(names):
        raise UserError(f'--subjects={subjects}: a simulated FERG has 1 to {len(names)} characters')
    cells = [(name, emotion) for name in names[:subjects] for emotion in NAMES]
    counts = [FEW] * len(cells)
    if subjects is None:
        counts = [PICTURES // len(cells) + (k < PICTURES % len(cells)) for k in range(len(cells))]
    return [
        Piece(*cell, range(first, min(first + _PIECE, count + 1)))
        for cell, count in zip(cells, counts, strict=True)
        for first in range(1, count + 1, _PIECE)
    ]


def write(out: Path, plan: list[Piece], seed: int, run: Callable[[list], Iterator[None]]) -> None:
    """Draws and writes all pictures."""
    for path in {path.parent for piece in plan for path in piece.paths}:
        (out / path).mkdir(parents=True)
    for _ in run([(write_piece, (out, piece, seed)) for piece in plan]):
        pass


def write_piece(out: Path, piece: Piece, seed: int) -> None:
    """Draws and writes the pictures of one piece."""
    character = cartoon.CHARACTERS[piece.character]
    who = list(cartoon.CHARACTERS).index(piece.character)
    emotion = list(NAMES).index(piece.emotion)
    for number, path in zip(piece.numbers, piece.paths, strict=True):
        rng = np.random.default_rng([seed, 60, who, emotion, number])
        habit = np.random.default_rng([seed, 61, who, emotion])
        apex = expressions.sample(piece.emotion, character.who, rng, habit).apex
        actions = np.clip(apex * rng.uniform(0.8, 1.7), 0, 1.2)  # characters show more than people
        view = cartoon.View(
            turn=tuple(np.clip(rng.normal(0, (0.07, 0.05)), -0.18, 0.18)),
            roll=float(np.clip(rng.normal(0, 0.05), -0.15, 0.15)),
            shift=tuple(rng.normal(0, 0.03, 2)),
            zoom=float(rng.uniform(0.95, 1.05)),
            gaze=tuple(np.clip(rng.normal(0, 0.35, 2), -1, 1)),
        )
        ckplus.write_image(out / path, cartoon.draw(character, actions, view))
