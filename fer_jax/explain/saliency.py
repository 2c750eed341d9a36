"""Saliency of rightly classified test clips of a run, and its mean over each class."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fer_jax.errors import UserError
from fer_jax.evaluation.table import COUNT, DIFFERENCE, SHARE, Column, Table
from fer_jax.explain import occlusion
from fer_jax.explain.network import Trained
from fer_jax.explain.occlusion import Windows

# Of how many clips of a class the paper shows maps beside each other (Figure 13), and of which.
TRIO, TRIO_CLASS = 3, 'fear'


@dataclasses.dataclass(frozen=True)
class Study:
    """The predictions of a network for clips under every window.

    Attributes:
      windows: the squares.
      classes: names of the K classes.
      tested, correct: int [K], test clips of each class, and those that the network gets right.
      clip, label: int [clip], rightly classified test clips, class after class; in a class by the
        probability of it, ascending.
      probabilities: float32 [clip, 1 + window, K], of the whole face first.
      pictures: float32 [clip, H, W, C] in [0, 1], each clip's last frame as the network sees it.
    """

    windows: Windows
    classes: Sequence[str]
    tested: np.ndarray
    correct: np.ndarray
    clip: np.ndarray
    label: np.ndarray
    probabilities: np.ndarray
    pictures: np.ndarray

    def values(self, kind: str) -> np.ndarray:
        """Computes what each window is worth, float64 [clip, window]; kinds: `occlusion.KINDS`."""
        measure = {'flip': occlusion.flips, 'fall': occlusion.falls}[kind]
        return measure(self.probabilities, self.label).astype(float)

    def means(self, kind: str) -> dict[int, np.ndarray]:
        """Averages each window's value over the clips of a class, {class: float64 [window]}."""
        values = self.values(kind)
        return {k: values[self.label == k].mean(0) for k in self.named}

    @property
    def named(self) -> list[int]:
        """The classes that the network gets right at least once."""
        return np.unique(self.label).tolist()

    def typical(self, k: int) -> int:
        """Finds the row of the clip of a class whose probability of it is the median."""
        rows = np.flatnonzero(self.label == k)
        return int(rows[len(rows) // 2])

    def trio(self) -> list[int]:
        """Finds clips of one class, from little to very sure: of fear, as the paper's Figure 13.

        Of the class with the most clips where fear has fewer than three.
        """
        counts = np.bincount(self.label, minlength=len(self.classes))
        k = int(counts.argmax())
        if TRIO_CLASS in self.classes:
            fear = self.classes.index(TRIO_CLASS)
            k = fear if counts[fear] >= TRIO else k
        rows = np.flatnonzero(self.label == k)
        return rows[np.unique(len(rows) * np.arange(1, 2 * TRIO, 2) // (2 * TRIO))].tolist()

    def table(self) -> Table:
        """Makes a table with a row for each class."""
        flip, fall = self.values('flip'), self.values('fall')
        rows = []
        for k, name in enumerate(self.classes):
            own = self.label == k
            rows.append(
                {'class': name, 'tested': int(self.tested[k]), 'correct': int(self.correct[k])}
                | {'mapped': int(own.sum())}
                | {
                    key: float(values[own].mean()) if own.any() else None
                    for key, values in (('flip', flip), ('fall', fall))
                }
            )
        return Table(
            'saliency',
            'Test clips of each class, those classified rightly, and those of them whose maps were '
            'made; over all their windows the share that makes the prediction wrong when hidden, '
            'in %, and the mean fall of the class’s probability, in points.',
            (
                Column('class', 'Class'),
                Column('tested', 'Test clips', COUNT),
                Column('correct', 'Right', COUNT),
                Column('mapped', 'Mapped', COUNT),
                Column('flip', 'Windows that flip', SHARE),
                Column('fall', 'Mean fall', DIFFERENCE),
            ),
            rows,
        )


def choose(trained: Trained, most: int) -> np.ndarray:
    """Chooses rightly classified test clips, by what the run saved of its best epoch.

    Args:
      most: of each class at most so many, drawn at random; 0 for all.

    Returns:
      int [clip], indices into the clips, as `Study.clip` orders them.
    """
    clip, saved = trained.tested
    label = trained.clips.label[clip]
    rng = np.random.default_rng(0)
    chosen = []
    for k in range(len(trained.clips.classes)):
        right = np.flatnonzero((label == k) & (saved.argmax(1) == k))
        if most:
            right = rng.permutation(right)[:most]
        chosen.append(right[np.argsort(saved[right, k], kind='stable')])
    return clip[np.concatenate(chosen)]


def study(
    trained: Trained,
    clip: np.ndarray,
    windows: Windows,
    *,
    progress: Callable[[np.ndarray], Any] = lambda clips: clips,
) -> Study:
    """Asks the network about every window of some test clips, a clip a call.

    Args:
      clip: int [clip], as `choose` gives them. One that the network gets wrong after all is left
        out: a tie, but for the rounding of what the run saved.
      progress: wraps the iteration.

    Raises:
      UserError: the network does not say of the whole faces what the run saved, or gets none right.
    """
    occlude = occlusion.make_occluder(trained.network.system.probabilities, windows)
    length, label = trained.clips.length, trained.clips.label
    kept, probabilities, pictures = [], [], []
    for index in progress(clip):
        seen = trained.seen(np.array([index]))[0]
        said = np.asarray(occlude(trained.network.variables, seen, length[index]))
        trained.check(np.array([index]), said[:1])
        if said[0].argmax() != label[index]:
            continue
        kept.append(index)
        probabilities.append(said)
        pictures.append(trained.pictures(seen[length[index] - 1]))
    if not kept:
        raise UserError(
            f'{trained.run.path}: member {trained.member.index} gets no test clip right'
        )
    clip = np.array(kept)
    tested, saved = trained.tested
    right = saved.argmax(1) == label[tested]
    classes = trained.clips.classes
    return Study(
        windows=windows,
        classes=classes,
        tested=np.bincount(label[tested], minlength=len(classes)),
        correct=np.bincount(label[tested][right], minlength=len(classes)),
        clip=clip,
        label=label[clip],
        probabilities=np.stack(probabilities),
        pictures=np.stack(pictures),
    )


def text(table: Table, stamps: Sequence[str]) -> str:
    """Formats the table for a terminal."""
    lines = [f'*** {stamp} ***' for stamp in stamps]
    lines.append(f'{"class":<12}{"test":>6}{"right":>7}{"mapped":>8}{"flips":>9}{"mean fall":>11}')
    for row in table.rows:
        lines.append(_line(row))
    return '\n'.join(lines)


def _line(row: Mapping[str, Any]) -> str:
    counts = f'{row["class"]:<12}{row["tested"]:>6}{row["correct"]:>7}{row["mapped"]:>8}'
    if row['flip'] is None:
        return f'{counts}{"-":>9}{"-":>11}'
    return f'{counts}{100 * row["flip"]:>7.1f} %{100 * row["fall"]:>+11.1f}'
