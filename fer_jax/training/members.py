"""Members: which clips, seed and scalars each one of a population has, and its batches."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.config import bind
from fer_jax.data import fitted, leaks, views
from fer_jax.data.clips import ClipSet
from fer_jax.data.fitted import Fitted
from fer_jax.data.protocols import Fold, Protocol
from fer_jax.errors import UserError
from fer_jax.training.state import Batch, PerMember

AUGMENTATIONS = {
    'none': views.identity,
    'class_counts': views.by_class_counts,
    'fixed': views.fixed,
    'random': views.random,
}


@dataclasses.dataclass(frozen=True)
class Member:
    """One fold trained with one seed.

    Attributes:
      index: position in the population.
      fold_number: position of the fold in its protocol (0-based), also where only one fold is run.
      fold: training, validation and test clips.
      seed: of initialisation, order, views and dropout.
      learning_rate, dropout_rate: its own scalars.
      class_weight: float32 [class].
      mean, std: float32 [height, width, channel] in units of [0, 1] frames, fitted on its training
        clips; zeros and ones [1, 1, 1] unless inputs.normalize is 'mean_std'.
      start: {'params', 'batch_stats'} of the network that it starts from; None for a fresh one.
      teachers: arrays of the networks that it learns from (`Teacher.probabilities`).
      stop_after: it ends with this epoch, at the latest where the schedule does; 0: no other end.
      fits: all that was fitted on its training clips beforehand, with those clips.
    """

    index: int
    fold_number: int
    fold: Fold
    seed: int
    learning_rate: float
    dropout_rate: float
    class_weight: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    start: Mapping | None = None
    teachers: tuple[Mapping, ...] = ()
    stop_after: int = 0
    fits: tuple[Fitted, ...] = ()

    def generator(self, *purpose: int) -> np.random.Generator:
        """Makes a random generator that depends on the seed, the fold and the purpose only."""
        return np.random.default_rng([self.seed, self.fold_number, *purpose])

    @property
    def evaluated(self) -> np.ndarray:
        """Indices of the clips it is judged on: validation, then test."""
        return np.concatenate([self.fold.validation, self.fold.test])


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Turns training clips into training batches: `augment` of the config and the batch size.

    Attributes:
      kind: of AUGMENTATIONS; 'none': each clip once, as it is.
      options: keywords of that function of `data.views`.
      batch_size: views in a step of one member, at most.
    """

    kind: str
    options: Mapping
    batch_size: int

    def __post_init__(self):
        if self.kind not in AUGMENTATIONS:
            raise UserError(
                f"unknown augment.kind '{self.kind}': one of {', '.join(AUGMENTATIONS)}"
            )
        if self.batch_size < 1:
            raise UserError(f'train.batch_size is {self.batch_size}: give at least 1')

    def views(self, member: Member, clips: ClipSet, epoch: int) -> views.Views:
        """Makes a member's views of an epoch: a table for the whole run, or (random) drawn anew."""
        clip = member.fold.train
        if self.kind == 'none':
            return views.identity(clip)
        size = clips.frames.shape[2:4]
        if self.kind == 'class_counts':
            given = (clip, clips.label[clip], clips.classes, size, member.generator(0))
        elif self.kind == 'fixed':
            given = (clip, size)
        else:
            given = (clip, size, member.generator(0, epoch))
        table = bind(AUGMENTATIONS[self.kind], self.options, f'augment.{self.kind}', *given)
        leaks.check_views(table.clip, member.fold)
        return table

    def steps(self, member: Member, clips: ClipSet) -> int:
        """Counts the steps in an epoch of this member."""
        return -(-len(self.views(member, clips, 1)) // self.batch_size)

    def batches(
        self, members: Sequence[Member], clips: ClipSet, epoch: int, active: Sequence[bool]
    ) -> Batch:
        """Makes an epoch of all members, each in an order of its own.

        Members with fewer steps than the longest end in steps without a row. A step has at most the
        rows that there are.

        Args:
          epoch: from 1; decides the order, and random views.
          active: bool [member]; a member that has ended has a mask of False throughout, so that its
            state stays.

        Returns:
          clip int32, affine float32 [..., 2, 3], contrast float32 and mask bool, each [member,
          step, row, ...].
        """
        tables = [self.views(member, clips, epoch) for member in members]
        most = max(map(len, tables))
        rows = min(self.batch_size, most)
        steps = -(-most // rows)
        shape = (len(members), steps * rows)
        clip, mask = np.zeros(shape, np.int32), np.zeros(shape, bool)
        affine, contrast = np.zeros((*shape, 2, 3), np.float32), np.ones(shape, np.float32)
        for row, (member, table) in enumerate(zip(members, tables, strict=True)):
            order = member.generator(1, epoch).permutation(len(table))
            clip[row, : len(order)] = table.clip[order]
            affine[row, : len(order)] = table.affine[order]
            contrast[row, : len(order)] = table.contrast[order]
            mask[row, : len(order)] = active[row]
        batches = Batch(clip, affine, contrast, mask)
        shape = (len(members), steps, rows)
        return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[2:]), batches)


def fold_numbers(protocol: Protocol, fold: int) -> Sequence[int]:
    """Lists the folds to train: that number (0-based), or all for -1; UserError for another."""
    count = len(protocol.folds)
    if not -1 <= fold < count:
        raise UserError(
            f'protocol.fold is {fold}: {protocol.name} has folds 0 to {count - 1} (-1 for all)'
        )
    return range(count) if fold == -1 else [fold]


def make_members(
    protocol: Protocol,
    clips: ClipSet,
    *,
    seeds: Sequence[int],
    fold: int,
    learning_rate: float = 0.0,
    dropout_rate: float = 0.0,
    class_weights: bool = False,
    mean_std: bool = False,
) -> list[Member]:
    """Makes all folds under all seeds; what is fitted sees training clips only: it is checked.

    Args:
      protocol: its folds.
      clips: with frames as the network's normalisation sees them (equalised).
      fold: a fold's number (0-based), or -1 for all.
      learning_rate, dropout_rate: of members that train in steps.
      class_weights: inverse class frequencies of the training clips instead of ones.
      mean_std: fit the mean and deviation image.

    Raises:
      UserError: a fold out of range, or anything that saw a clip outside the training part.
    """
    numbers = fold_numbers(protocol, fold)
    statistics: dict[int, list[np.ndarray]] = {}
    fits: dict[int, tuple[Fitted, ...]] = dict.fromkeys(numbers, ())
    for number in numbers:
        train = protocol.folds[number].train
        weight, mean, std = (
            np.ones(len(clips.classes), np.float32),
            np.zeros((1, 1, 1)),
            np.ones((1, 1, 1)),
        )
        if class_weights:
            fit = fitted.class_weights(clips.label, train, len(clips.classes))
            fits[number] += (fit,)
            weight = fit.value
        if mean_std:
            fit = fitted.fit_mean_std(clips.frames, clips.length, train)
            fits[number] += (fit,)
            mean, std = fit.value
        for fit in fits[number]:
            leaks.check_fitted(fit, protocol.folds[number])
        statistics[number] = [np.asarray(x, np.float32) for x in (weight, mean, std)]
    pairs = [(number, seed) for number in numbers for seed in seeds]
    return [
        Member(
            index,
            number,
            protocol.folds[number],
            seed,
            learning_rate,
            dropout_rate,
            class_weight,
            mean,
            std,
            fits=fits[number],
        )
        for index, (number, seed) in enumerate(pairs)
        for class_weight, mean, std in [statistics[number]]
    ]


def per_member(members: Sequence[Member], total_steps: Sequence[int]) -> PerMember:
    """Stacks the members' traced values along a leading axis [member]."""
    each = [
        PerMember(
            key=jax.random.fold_in(jax.random.key(member.seed), member.fold_number),
            learning_rate=jnp.float32(member.learning_rate),
            dropout_rate=jnp.float32(member.dropout_rate),
            total_steps=jnp.float32(steps),
            class_weight=jnp.asarray(member.class_weight),
            mean=jnp.asarray(member.mean),
            std=jnp.asarray(member.std),
            teachers=jax.tree.map(jnp.asarray, member.teachers),
        )
        for member, steps in zip(members, total_steps, strict=True)
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
