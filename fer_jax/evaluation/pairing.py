"""The test predictions of several runs, paired by fold and clip, or refused with the difference."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fer_jax.errors import UserError
from fer_jax.evaluation.rundir import Run


@dataclasses.dataclass(frozen=True)
class Scores:
    """Test results of one run under one rule, a row for each fold and test clip, in that order.

    fold int [P], from 0; clip, subject, label str [P]; right float64 [P], the share of seeds that
    predicted the label; seeds: how many.
    """

    fold: np.ndarray
    clip: np.ndarray
    subject: np.ndarray
    label: np.ndarray
    right: np.ndarray
    seeds: int


def score(run: Run, epochs: Sequence[int] | np.ndarray) -> Scores:
    """Collects the test predictions with each member at its epoch (from 1), averaged over seeds."""
    table = run.predictions
    rows = table.at(np.array(epochs) - 1)
    clips, number = np.unique(table.clip_id, return_inverse=True)
    code = rows.fold.astype(np.int64) * len(clips) + number[rows.clip]
    pairs, first, at = np.unique(code, return_index=True, return_inverse=True)
    right = np.bincount(at, weights=rows.predicted == rows.label) / np.bincount(at)
    return Scores(
        fold=pairs // len(clips),
        clip=clips[pairs % len(clips)],
        subject=table.subject[rows.clip[first]],
        label=np.array(table.classes)[rows.label[first]],
        right=right,
        seeds=len(np.unique(rows.seed)),
    )


def _refuse(one: Run, other: Run, difference: str) -> UserError:
    return UserError(
        f'{other.path} cannot be paired with {one.path}: {difference}; compare runs on the same '
        'folds of the same data'
    )


def same_data(one: Run, other: Run) -> None:
    """Refuses runs of different datasets or classes."""
    simulated = [
        f'{run.dataset["name"]}{" (simulated)" * bool(run.dataset["simulated"])}'
        for run in (one, other)
    ]
    if simulated[0] != simulated[1]:
        raise _refuse(one, other, f'its dataset is {simulated[1]}, not {simulated[0]}')
    mine, theirs = (set(run.predictions.classes) for run in (one, other))
    if mine != theirs:
        raise _refuse(
            one, other, f'classes that only one of them has: {", ".join(sorted(mine ^ theirs))}'
        )


def same_clips(one: Run, mine: Scores, other: Run, theirs: Scores) -> None:
    """Refuses runs whose test clips, labels or subjects are not the same, fold by fold."""
    sets = [set(zip(table.fold.tolist(), table.clip.tolist(), strict=True))
            for table in (mine, theirs)]  # fmt: skip
    if sets[0] != sets[1]:
        fold, clip = min(sets[0] ^ sets[1])
        owner = one if (fold, clip) in sets[0] else other
        raise _refuse(
            one,
            other,
            f'{len(sets[0] ^ sets[1])} test clips are not in the same fold of both, the first is '
            f'{clip}, in fold {fold} of {owner.path} only',
        )
    for what in ('label', 'subject'):
        differs = getattr(mine, what) != getattr(theirs, what)
        if differs.any():
            at = int(differs.argmax())
            values = getattr(theirs, what)[at], getattr(mine, what)[at]
            raise _refuse(
                one,
                other,
                f'the {what} of {int(differs.sum())} test clips, the first is {mine.clip[at]}: '
                f'"{values[0]}", not "{values[1]}"',
            )


def same_training(one: Run, other: Run, folds: Sequence[int]) -> None:
    """Refuses runs whose folds differ in their training and validation clips taken together."""
    for fold in folds:
        mine, theirs = (training(run, fold) for run in (one, other))
        if mine != theirs:
            clip = min(mine ^ theirs)
            raise _refuse(
                one,
                other,
                f'training and validation of fold {fold} differ by {len(mine ^ theirs)} clips, '
                f'the first is {clip}, in {(one if clip in mine else other).path} only',
            )


def refusal(one: Run, other: Run) -> str | None:
    """Returns in a sentence why two runs cannot be paired; None where they can."""
    try:
        same_data(one, other)
        mine, theirs = (score(run, run.predictions.epochs) for run in (one, other))
        same_clips(one, mine, other, theirs)
        same_training(one, other, np.unique(mine.fold).tolist())
    except UserError as error:
        return str(error)
    return None


def training(run: Run, fold: int) -> set[str]:
    """Returns the ids of the training and validation clips of a fold (from 0)."""
    parts = run.folds['folds'][fold]
    return {*parts['train'], *parts['validation']}
