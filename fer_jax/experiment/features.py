"""Features to learn from in place of pictures: a network's layer (`models.features`) or others."""

import pkgutil
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Fold
from fer_jax.errors import UserError
from fer_jax.experiment.clips import ClipSource
from fer_jax.training.members import Member

# Section of a config -> the class that makes its features, imported when a config has the section.
# A config has one of these sections at most, and none where members learn from pictures.
SOURCES = {
    'features': 'fer_jax.experiment.first_stage:FirstStage',
    'sound': 'fer_jax.kahou2015.audio:Sound',
    'activity': 'fer_jax.kahou2015.activity:Activity',
}


class FeatureSource(typing.Protocol):
    """Makes the features of clips that members learn from.

    Attributes:
      key: under which dataset.json says where the features come from.
      sounds: whether clips of sound alone serve it.
      scenes: whether it reads whole scenes, which must be prepared besides the faces.
      classes: what it was itself trained to know; empty where nothing was.
    """

    key: str
    sounds: bool
    scenes: bool

    @classmethod
    def open(cls, section: Mapping[str, Any], clips: ClipSource, data_dir: Path) -> 'FeatureSource':
        """Opens the source that a section of a config names.

        Raises:
          UserError: an unknown key, a value out of range, or something that is not there.
        """
        ...

    @property
    def classes(self) -> Sequence[str]: ...

    def groups(
        self, members: Sequence[Member], clips: ClipSet
    ) -> list[tuple[list[Member], ClipSet]]:
        """Divides members into those that learn from the same features.

        Args:
          clips: as loaded, registered and not equalised.

        Returns:
          Members, in their order, with what was fitted for them among their `fits`; and clips whose
          frames are features float32 [clip, frame, ...].
        """
        ...

    def target_shape(
        self, fold: Fold, number: int, clips: ClipSet, loaded: ClipSource
    ) -> np.ndarray | None:
        """Returns the shape onto which the clips of a fold are registered by 'mean_shape'.

        Args:
          fold, number: the fold, of these clips.
          loaded: how they are loaded.

        Returns:
          float64 [P, 2], that of the networks that make the features; None where none do, or where
          another registration is asked for.

        Raises:
          UserError: these networks saw faces without this registration, or test clips of the
            fold.
        """
        ...

    def chain(self, members: Sequence[Member], clips: ClipSet) -> dict[str, Any]:
        """Returns what dataset.json says of where the features come from."""
        ...

    def in_words(self, chain: Mapping[str, Any]) -> str:
        """Says where the features come from, for a terminal: what follows 'learns from'."""
        ...

    def filters(self, member: Member) -> np.ndarray | None:
        """Returns filters that were fitted for a member, to be drawn in the report.

        Returns:
          float32 [filter, frame, row, column]; None where none were fitted.
        """
        ...


def source_class(section: str) -> type[FeatureSource]:
    """Imports the class behind a section, one of SOURCES."""
    return pkgutil.resolve_name(SOURCES[section])


def section_of(config: Mapping[str, Any]) -> str:
    """Returns which of SOURCES a config has a section for; '' for none, UserError for two."""
    given = [section for section in SOURCES if section in config]
    if len(given) > 1:
        raise UserError(f'the config has both {given[0]} and {given[1]}: a run learns from one')
    return given[0] if given else ''
