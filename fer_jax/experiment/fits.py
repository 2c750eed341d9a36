"""The file of what was fitted for a member before it trained (`data.fitted`), as its run keeps it.

RUN/checkpoints/MEMBER/fitted.npz: with the member's network it is all that is needed to apply a run
whose data are gone.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import atomic
from fer_jax.data.fitted import MEAN_SHAPES, MEAN_STD, TEMPLATE, Fitted
from fer_jax.errors import DAMAGED, UserError
from fer_jax.training.members import Member

NAME = 'fitted.npz'


@dataclasses.dataclass(frozen=True)
class MemberFits:
    """The values that were fitted on a member's training clips.

    Attributes:
      classes: what its outputs stand for, in their order.
      values: {name of a `data.fitted.Fitted`: its arrays}: mean and deviation image, registration,
        class weights, components of sound, ...
    """

    classes: tuple[str, ...]
    values: Mapping[str, tuple[np.ndarray, ...]]

    @classmethod
    def of(cls, member: Member, classes: tuple[str, ...]) -> 'MemberFits':
        """Collects what a member carries."""
        values = {
            fit.name: fit.value if isinstance(fit.value, tuple) else (fit.value,)
            for fit in member.fits
        }
        return cls(classes, values)

    @property
    def mean_std(self) -> tuple[np.ndarray, np.ndarray]:
        """The images float32 [height, width, channel] in [0, 1] units; 0 and 1 where none are."""
        none = np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
        mean, std = self.values.get(MEAN_STD, none)
        return mean, std

    @property
    def registration(self) -> Fitted | None:
        """The fit that `ClipSource.load` takes; None where the registration fits nothing."""
        for name in (TEMPLATE, MEAN_SHAPES):
            if name in self.values:
                return Fitted(name, self.values[name][0], np.zeros(0, int))
        return None

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        arrays: dict[str, Any] = {
            f'{name}/{number}': array
            for name, value in self.values.items()
            for number, array in enumerate(value)
        }
        arrays['classes'] = np.array(self.classes)
        with atomic.replacing(path) as temporary:
            np.savez_compressed(temporary, **arrays)

    @classmethod
    def load(cls, path: Path) -> 'MemberFits':
        """Reads the file; UserError where it is missing or damaged."""
        if not path.is_file():
            raise UserError(f'{path} is missing: train its run again')
        try:
            with path.open('rb') as file, np.load(file, allow_pickle=False) as saved:
                arrays = dict(saved)
            classes = tuple(arrays.pop('classes').tolist())
        except DAMAGED as error:
            raise UserError(f'{path} is damaged ({error}): train its run again') from error
        values: dict[str, tuple[np.ndarray, ...]] = {}
        for key, array in arrays.items():  # in the order in which they were written
            name = key.rpartition('/')[0]
            values[name] = (*values.get(name, ()), array)
        return cls(classes, values)


def path_of(run: Path, member: int) -> Path:
    """Returns the file of a member, beside its checkpoints."""
    return run / 'checkpoints' / f'{member:03}' / NAME


def save(run: Path, members: Sequence[Member], classes: tuple[str, ...]) -> None:
    """Writes the files of members that have none yet."""
    for member in members:
        path = path_of(run, member.index)
        if not path.exists():
            MemberFits.of(member, classes).save(path)
