"""Trains the laboratory's networks and keeps what they got right; the rest is arithmetic."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_jax import atomic
from fer_jax.data.protocols import Protocol
from fer_jax.errors import UserError
from fer_jax.evaluation import rules
from fer_jax.studies.leakage import divisions
from fer_jax.studies.leakage.design import LeakageDesign
from fer_jax.studies.leakage.divisions import SUBJECTS, UNITS, Copies
from fer_jax.training import loop
from fer_jax.training.members import Member, Recipe, make_members
from fer_jax.training.record import MemberRecord
from fer_jax.training.step import System


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """The right answers of networks of S seeds; V copies of N clips, F folds, O settings, E epochs.

    Attributes:
      divided: bool [3, S, V], each copy at the last epoch, judged once under each of UNITS.
      seen_clip, seen_subject: float [3, S], see `divisions.seen`.
      trained, tested: int [3, S, F], copies.
      fold: int [S, N], the fold that judges each clip in the grid (divided by subjects).
      right: bool [S, O, E, N], the original clips as their fold's network judged them.
      loss: float64 [S, F, O, E], cross-entropy summed over a fold's test clips, nats.
      validation_right, validation_loss: float64 [S, F, O, E], sums over the inner validation clips.
      validated: int [S, F], how many those are.
    """

    divided: np.ndarray
    seen_clip: np.ndarray
    seen_subject: np.ndarray
    trained: np.ndarray
    tested: np.ndarray
    fold: np.ndarray
    right: np.ndarray
    loss: np.ndarray
    validation_right: np.ndarray
    validation_loss: np.ndarray
    validated: np.ndarray

    @property
    def seeds(self) -> int:
        """S."""
        return len(self.fold)

    @property
    def test_right(self) -> np.ndarray:
        """Correct test clips of each fold, float64 [S, F, O, E]."""
        return np.stack(
            [
                np.stack(
                    [right[..., fold == number].sum(-1) for number in range(self.loss.shape[1])]
                )
                for right, fold in zip(self.right, self.fold, strict=True)
            ]
        ).astype(np.float64)


def networks(design: LeakageDesign) -> int:
    """Counts the networks that are trained under one seed."""
    return design.folds * (len(UNITS) + len(design.settings))


def train(
    design: LeakageDesign, system: System, copies: Copies, seeds: int, folder: Path
) -> Outcomes:
    """Trains all networks, from where an earlier call on the same folder got to.

    A seed divides anew, and is the seed of initialisation, order and dropout. The networks of one
    seed and fold start alike, whatever their division or setting.

    Args:
      seeds: 0 to seeds - 1; more seeds than an earlier call had train the new ones only.
      folder: one subfolder a network is made in it.

    Raises:
      Interrupted: SIGTERM or Ctrl-C came; the same call goes on from there.
      UserError: a network diverged.
    """
    plans = [_plan(design, copies, seed) for seed in range(seeds)]
    members = [member for _, own in plans for member in own]
    members = [dataclasses.replace(member, index=i) for i, member in enumerate(members)]
    schedule = loop.Schedule(epochs=design.epochs, checkpoint_every=design.epochs)
    recipe = Recipe('none', {}, design.batch_size)
    records = loop.train(system, members, copies.clips, recipe, schedule, folder)
    if lost := [record for record in records if record.failed]:
        raise UserError(
            f'{len(lost)} of {len(records)} networks diverged, the first of seed '
            f'{lost[0].member.seed}: delete {folder} and lower the learning rate'
        )
    count = networks(design)
    collected = [
        _collect(design, copies, protocols, records[i * count : (i + 1) * count])
        for i, (protocols, _) in enumerate(plans)
    ]
    across = ('divided', 'seen_clip', 'seen_subject', 'trained', 'tested')
    return Outcomes(
        **{
            name: np.stack([one[name] for one in collected], axis=1 if name in across else 0)
            for name in collected[0]
        }
    )


def _plan(design: LeakageDesign, copies: Copies, seed: int) -> tuple[list[Protocol], list[Member]]:
    """Plans one seed's divisions, the grid's last, and the networks in the order of `_collect`."""
    protocols = [divisions.make_protocol(what, copies, design.folds, seed) for what in UNITS]
    by_subject = protocols[UNITS.index(SUBJECTS)]
    protocols.append(divisions.with_validation(by_subject, copies, design.inner, seed))
    reference = design.settings[design.reference]
    pairs = [(protocol, reference) for protocol in protocols[:-1]]
    pairs += [(protocols[-1], setting) for setting in design.settings]
    members = [
        member
        for protocol, (learning_rate, dropout_rate) in pairs
        for member in make_members(
            protocol, copies.clips, seeds=[seed], fold=-1, learning_rate=learning_rate,
            dropout_rate=dropout_rate, class_weights=False, mean_std=False,
        )
    ]  # fmt: skip
    return protocols, members


def _collect(
    design: LeakageDesign,
    copies: Copies,
    protocols: Sequence[Protocol],
    records: Sequence[MemberRecord],
) -> dict[str, np.ndarray]:
    """Collects one seed's part of `Outcomes`."""
    label = copies.clips.label
    grid = protocols[-1]
    shape = (design.folds, len(design.settings), design.epochs)
    kept: dict[str, np.ndarray] = {
        name: np.zeros(shape) for name in ('loss', 'validation_right', 'validation_loss')
    }
    kept['divided'] = np.zeros((len(UNITS), len(label)), bool)
    clips = int(copies.original.sum())
    kept['right'] = np.zeros((*shape[1:], clips), bool)
    kept['fold'] = np.zeros(clips, np.int32)
    for number, record in enumerate(records):
        row, at = divmod(number, design.folds)
        fold, said = record.member.fold, record.probabilities().astype(np.float32)
        cut = len(fold.validation)
        right = said[:, cut:].argmax(-1) == label[fold.test]
        if row < len(UNITS):
            kept['divided'][row, fold.test] = right[-1]
            continue
        setting, judged = row - len(UNITS), copies.source[fold.test]
        kept['right'][setting][:, judged] = right
        kept['fold'][judged] = at
        kept['loss'][at, setting] = rules.scores(said[:, cut:], label[fold.test])[1]
        kept['validation_right'][at, setting], kept['validation_loss'][at, setting] = rules.scores(
            said[:, :cut], label[fold.validation]
        )
    kept['validated'] = np.array([len(fold.validation) for fold in grid.folds])
    saw = [divisions.seen(protocol, copies) for protocol in protocols[:-1]]
    for name in ('clip', 'subject'):
        kept[f'seen_{name}'] = np.array([shares[name] for shares in saw])
    for name, part in (('trained', 'train'), ('tested', 'test')):
        kept[name] = np.array(
            [[len(getattr(fold, part)) for fold in protocol.folds] for protocol in protocols[:-1]]
        )
    return kept


def save(path: Path, outcomes: Outcomes) -> None:
    """Writes a compressed .npz with the fields as its keys; whole or not at all."""
    with atomic.replacing(path) as temporary:
        np.savez_compressed(temporary, **vars(outcomes))
