"""The predictions table of a run: every number in a report is computed from it."""

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fer_jax import atomic
from fer_jax.errors import DAMAGED, UserError
from fer_jax.evaluation.table import harmless

NONE, VALIDATION, TEST = 0, 1, 2
PART_NAMES = ('none', 'validation', 'test')

CSV_COLUMNS = (
    'member', 'fold', 'seed', 'rule', 'part', 'clip_id', 'subject', 'label', 'predicted'
)  # fmt: skip

NOT_DUPLICATE, IN_VALIDATION, IN_TRAINING = 0, 1, 2

# What to do about a file of a run that is gone or damaged: DONE keeps a run from being taken up.
AGAIN = 'delete it and DONE, where they are, and start the command of its run again'
LISTED = 3  # diverged folds and seeds that stamps name one by one


@dataclasses.dataclass(frozen=True)
class Rows:
    """Predictions of one part at one epoch of each member, one row for each (member, clip).

    member, clip int64 [R] index the predictions' axes; seed, fold, label, predicted int32 [R];
    probabilities float32 [R,K] in 0..1; duplicate int8 [R].
    """

    member: np.ndarray
    clip: np.ndarray
    seed: np.ndarray
    fold: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    duplicate: np.ndarray

    def where(self, keep: np.ndarray) -> 'Rows':
        """Selects the rows where `keep` (bool [R]) holds."""
        return Rows(**{name: getattr(self, name)[keep] for name in self.__dataclass_fields__})


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Every member's probabilities for every clip that it evaluated, after every epoch.

    probabilities float16 (of what is fitted at once float32) [M,E,N,K] in 0..1 (member, epoch,
      clip, class), NaN where that member did not evaluate that clip or epoch;
    part int8 [M,N]: 0 none, 1 validation, 2 test;
    label int32 [N], an index into classes; subject str [N], '' unknown; clip_id str [N];
    fold, seed int32 [M]; epochs int32 [M], the epochs really run;
    train_counts int64 [M,K]: class counts of each member's training clips;
    duplicate int8 [M,N]: 2 pixel-identical to a training clip of that member, 1 to one of its
      validation clips only, else 0;
    retrained bool [M]: trained again on training and validation clips, for the epochs that another
      member's validation clips chose; by default none is;
    failed int32 [M]: the epoch (from 1) in which it diverged, 0 where it did not; by default none
      did. A member that diverged has part 0 for every clip, so that nothing counts it;
    target float32 [N,K]: the raters' shares of a clip's votes, by default [0,0]: nobody voted.

    Raises ValueError where shapes disagree.
    """

    probabilities: np.ndarray
    part: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    clip_id: np.ndarray
    classes: tuple[str, ...]
    fold: np.ndarray
    seed: np.ndarray
    epochs: np.ndarray
    train_counts: np.ndarray
    duplicate: np.ndarray
    retrained: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
    failed: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int32))
    target: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __post_init__(self) -> None:
        for name in ('retrained', 'failed'):
            if not len(getattr(self, name)):
                none = np.zeros(len(self.fold), getattr(self, name).dtype)
                object.__setattr__(self, name, none)
        if self.probabilities.ndim != 4:
            raise ValueError(f'probabilities must be [M,E,N,K], not {self.probabilities.shape}')
        members, epochs, clips, classes = self.probabilities.shape
        expected = {
            'part': (members, clips), 'duplicate': (members, clips), 'label': (clips,),
            'subject': (clips,), 'clip_id': (clips,), 'fold': (members,), 'seed': (members,),
            'epochs': (members,), 'train_counts': (members, classes), 'retrained': (members,),
            'failed': (members,), 'target': (clips, classes) if len(self.target) else (0, 0),
        }  # fmt: skip
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f'{name} has shape {getattr(self, name).shape}, not {shape}')
        if len(self.classes) != classes:
            raise ValueError(f'{len(self.classes)} class names for {classes} probabilities')
        for name, low, high in (
            ('label', 0, classes - 1),
            ('part', 0, TEST),
            ('duplicate', 0, IN_TRAINING),
            ('fold', 0, np.inf),
            ('probabilities', 0, 1),
        ):
            values = getattr(self, name)
            if values.dtype.kind not in 'biuf' or ((values < low) | (values > high)).any():
                raise ValueError(f'{name} must lie in {low} to {high}')
        run = self.epochs[self.failed == 0]
        if len(run) and not (1 <= run.min() and run.max() <= epochs):
            raise ValueError(f'epochs run must lie in 1..{epochs}: {self.epochs.tolist()}')

    @property
    def members(self) -> int:
        """M."""
        return self.probabilities.shape[0]

    @property
    def counted(self) -> np.ndarray:
        """Tells which members count, bool [M]: under every seed the same folds.

        A seed that lost a fold is left out where another seed lost none, else the folds that any
        seed lost: seeds with other clips would not be comparable, and hard folds diverge first.
        """
        lost = self.failed > 0
        whole = ~np.isin(self.seed, self.seed[lost])
        return whole if whole.any() else ~np.isin(self.fold, self.fold[lost])

    @property
    def stamps(self) -> tuple[str, ...]:
        """Lists what diverged and what is left out: for each fold and seed, up to LISTED."""
        lost: dict[tuple[int, int], int] = {}
        for member in np.flatnonzero(self.failed).tolist():
            lost.setdefault((int(self.fold[member]), int(self.seed[member])), member)
        said = [
            f'fold {fold} seed {seed} diverged in epoch {self.failed[member]}'
            f'{" when trained again" * bool(self.retrained[member])}: '
            f'{f"seed {seed}" if seed not in self.seed[self.counted] else f"fold {fold}"} left out'
            for (fold, seed), member in list(lost.items())[:LISTED]
        ]
        if len(lost) > LISTED:
            said.append(f'{len(lost)} folds and seeds diverged: these seeds or folds are left out')
        return tuple(said)

    def course(self, member: int, part: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a member's probabilities float32 [E,n,K] by epoch and labels [n] of a part."""
        clips = np.flatnonzero(self.part[member] == part)
        saved = self.probabilities[member, : self.epochs[member]]
        return saved[:, clips].astype(np.float32), self.label[clips]

    def at(self, epoch: np.ndarray, part: int = TEST) -> Rows:
        """Returns the rows of `part` with each member at its epoch (int [M], from 0; -1: left out).

        Raises UserError where a member has no probabilities there: it diverged or was not saved.
        """
        epoch = np.asarray(epoch)
        member, clip = np.nonzero((self.part == part) & (epoch >= 0)[:, None])
        probabilities = self.probabilities[member, epoch[member], clip]
        probabilities = probabilities.astype(np.float32)
        broken = np.isnan(probabilities).any(axis=-1)
        if broken.any():
            first = int(member[broken.argmax()])
            raise UserError(
                f'member {first} (fold {self.fold[first]}, seed {self.seed[first]}) has no '
                f'{PART_NAMES[part]} probabilities at epoch {int(epoch[first]) + 1}: its training '
                'diverged or that epoch was not saved; lower the learning rate and run it again'
            )
        return Rows(
            member=member,
            clip=clip,
            seed=self.seed[member],
            fold=self.fold[member],
            label=self.label[clip],
            predicted=probabilities.argmax(axis=-1).astype(np.int32),
            probabilities=probabilities,
            duplicate=self.duplicate[member, clip],
        )

    def save(self, path: Path | str) -> None:
        """Writes a compressed .npz with the fields as its keys; whole or not at all."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields['classes'] = np.array(self.classes)
        with atomic.replacing(path) as temporary:
            np.savez_compressed(temporary, **fields)


def load(path: Path | str) -> Predictions:
    """Reads the file of `Predictions.save`; UserError where it is missing or damaged."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f'{path} is missing: {AGAIN}')
    try:
        # Opened here, because numpy leaves a damaged file open.
        with path.open('rb') as file, np.load(file, allow_pickle=False) as saved:
            # Runs of older versions lack what has a default.
            fields = {
                name: saved[name] for name in Predictions.__dataclass_fields__ if name in saved
            }
        fields['classes'] = tuple(str(name) for name in fields['classes'])
        return Predictions(**fields)
    except DAMAGED as error:
        reason = ' '.join(str(error).split())
        raise UserError(f'{path} is damaged ({reason}): {AGAIN}') from error


def write_csv(path: Path | str, predictions: Predictions, chosen: Mapping[str, np.ndarray]) -> None:
    """Writes predictions.csv: a row for each rule, member and clip of its validation and test part.

    Columns: member, fold, seed, rule, part, clip_id, subject, label, predicted, then p_<class> for
    each class. Labels are names; probabilities have five digits.

    Args:
      chosen: for each rule, the epoch of each member, int [M] from 0.
    """
    names = np.array(predictions.classes)
    with atomic.replacing(path) as temporary, temporary.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow([*CSV_COLUMNS, *(f'p_{name}' for name in names)])
        for rule, epoch in chosen.items():
            for part in (VALIDATION, TEST):
                rows = predictions.at(epoch, part)
                columns = [
                    rows.member.tolist(),
                    rows.fold.tolist(),
                    rows.seed.tolist(),
                    [rule] * len(rows.member),
                    [PART_NAMES[part]] * len(rows.member),
                    *(
                        [harmless(text) for text in texts.tolist()]
                        for texts in (
                            predictions.clip_id[rows.clip],
                            predictions.subject[rows.clip],
                            names[rows.label],
                            names[rows.predicted],
                        )
                    ),
                ]
                columns += [[f'{p:.5g}' for p in column] for column in rows.probabilities.T]
                writer.writerows(zip(*columns, strict=True))
