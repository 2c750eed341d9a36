"""Plans a simulated CK+: subjects, their sequences and emotions.

At full size the counts are the published ones: 593 sequences of 123 subjects, of which 327 of 118
subjects are labelled, with the true class counts, and with the sizes of the ten folds
subjects[i::10], subjects sorted by name, that the literature's protocol gives on the real release.
"""

import dataclasses

import numpy as np

from fer_jax.errors import UserError
from fer_jax.simulation.people.units import EMOTIONS

COUNTS = {
    'anger': 45,
    'contempt': 18,
    'disgust': 59,
    'fear': 25,
    'happiness': 69,
    'sadness': 28,
    'surprise': 83,
}
LABELLED = sum(COUNTS.values())
FOLD_SIZES = (33, 39, 40, 35, 30, 37, 29, 29, 33, 22)
LABELLED_SUBJECTS, SUBJECTS, SEQUENCES = 118, 123, 593


@dataclasses.dataclass(frozen=True)
class Sequence:
    """One sequence to draw: whose, which number, what it shows, whether it has a label."""

    subject: str
    index: int
    number: int
    emotion: str
    labelled: bool


def class_counts(subjects: int) -> dict[str, int]:
    """Counts labelled sequences per class: the published proportions, every class present."""
    total = max(round(LABELLED * subjects / LABELLED_SUBJECTS), len(COUNTS), subjects)
    exact = {name: count * total / LABELLED for name, count in COUNTS.items()}
    counts = {name: max(1, int(value)) for name, value in exact.items()}
    while sum(counts.values()) < total:
        counts[max(exact, key=lambda n: exact[n] - counts[n])] += 1
    while sum(counts.values()) > total:
        counts[max(counts, key=lambda n: counts[n] - exact[n] if counts[n] > 1 else -1.0)] -= 1
    return counts


def _per_subject(total: int, subjects: int, rng: np.random.Generator) -> np.ndarray:
    """Splits `total` sequences over subjects: one to six each, seven where it must be."""
    most = 6 if total <= 6 * subjects else len(COUNTS)
    counts = np.ones(subjects, int)
    while counts.sum() < total:
        counts[rng.choice(np.flatnonzero(counts < most))] += 1
    return counts


def _emotions(
    per_subject: np.ndarray, counts: dict[str, int], rng: np.random.Generator
) -> list[list[str]]:
    """Gives each subject different emotions so that the classes have exactly these counts.

    Subjects with most sequences choose first among the classes with most left (the construction of
    Gale and Ryser); random exchanges, which keep all counts, then undo the order of choosing.
    """
    left = dict(counts)
    given: list[list[str]] = [[] for _ in per_subject]
    for s in np.argsort(-per_subject + 0.5 * rng.random(len(per_subject)), kind='stable'):
        given[s] = sorted(left, key=lambda n: (-left[n], rng.random()))[: per_subject[s]]
        for name in given[s]:
            left[name] -= 1
    for _ in range(40 * len(given)):
        a, b = rng.integers(len(given), size=2)
        mine = [n for n in given[a] if n not in given[b]]
        theirs = [n for n in given[b] if n not in given[a]]
        if mine and theirs:
            x, y = mine[rng.integers(len(mine))], theirs[rng.integers(len(theirs))]
            given[a][given[a].index(x)], given[b][given[b].index(y)] = y, x
    return given


def plan(subjects: int | None, seed: int, unlabelled: bool) -> list[Sequence]:
    """Plans all sequences, sorted by subject and number.

    Args:
      subjects: how many subjects have labelled sequences; None is the published 118.
      unlabelled: whether there are also sequences, and subjects, without a label.

    Raises:
      UserError: a number of subjects that has no place in names of three digits.
    """
    rng = np.random.default_rng([seed, 10])
    count = LABELLED_SUBJECTS if subjects is None else subjects
    if not 1 <= count <= 900:
        raise UserError(f'--subjects={count}: a simulated CK+ has 1 to 900 labelled subjects')
    if count == LABELLED_SUBJECTS:
        per_subject = np.zeros(count, int)
        for fold, size in enumerate(FOLD_SIZES):
            members = np.arange(fold, count, 10)
            per_subject[members] = _per_subject(size, len(members), rng)
    else:
        per_subject = _per_subject(sum(class_counts(count).values()), count, rng)
    shows = [
        [(e, True) for e in given] for given in _emotions(per_subject, class_counts(count), rng)
    ]
    if unlabelled:
        _add_unlabelled(shows, count, rng)
    sequences = []
    for index, (name, shown) in enumerate(zip(_names(count, len(shows), rng), shows, strict=True)):
        # Numbers have gaps where the real release holds sequences that are not in this one.
        slots = len(shown) + (0 if unlabelled else int(rng.integers(0, 4)))
        numbers = np.sort(rng.permutation(slots)[: len(shown)]) + 1
        for number, k in zip(numbers, rng.permutation(len(shown)), strict=True):
            sequences.append(Sequence(name, index, int(number), *shown[k]))
    return sorted(sequences, key=lambda q: (q.subject, q.number))


def _add_unlabelled(
    shows: list[list[tuple[str, bool]]], count: int, rng: np.random.Generator
) -> None:
    """Appends sequences without a label to random subjects and a few subjects with no other."""
    subjects = round(count * (SUBJECTS - LABELLED_SUBJECTS) / LABELLED_SUBJECTS)
    total = round(count * (SEQUENCES - LABELLED) / LABELLED_SUBJECTS)
    shows += [[] for _ in range(subjects)]
    whose = [*range(count, count + subjects), *rng.integers(0, len(shows), total - subjects)]
    for subject in whose:
        shows[subject].append((str(rng.choice(EMOTIONS[1:])), False))


def _names(labelled: int, total: int, rng: np.random.Generator) -> list[str]:
    """Draws irregular, ascending names for labelled subjects, then others in between."""
    numbers = np.r_[5, np.sort(rng.permutation(np.arange(6, 1000))[: total - 1])]
    others = np.sort(rng.permutation(np.arange(1, total))[: total - labelled])
    order = np.r_[np.setdiff1d(np.arange(total), others), others]
    return [f'S{n:03d}' for n in numbers[order]]
