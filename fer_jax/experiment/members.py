"""From a config to members (`training.members`): loads clips, divides them, groups members."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fer_jax.data import leaks
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.features import FeatureSource
from fer_jax.experiment.sections import Sections
from fer_jax.training import inputs
from fer_jax.training.members import Member, fold_numbers


@dataclasses.dataclass(frozen=True)
class Data:
    """The data that the members of an experiment learn from.

    Attributes:
      folder: of the prepared data.
      clips: as they were loaded.
      loaded: how that was.
      dataset: what dataset.json holds of them.
      protocol: the folds, checked.
      stamps: what must be known before a number is believed.
    """

    folder: Path
    clips: ClipSet
    loaded: ClipSource
    dataset: Mapping[str, Any]
    protocol: Protocol
    stamps: tuple[str, ...]

    @classmethod
    def load(cls, sections: Sections, data_dir: Path, *, promising: bool = True) -> 'Data':
        """Loads the clips that a config names, divided by its protocol.

        Args:
          promising: folds that break the protocol's promise of subjects are refused (UserError).
        """
        sections.clips.check()
        folder = sections.clips.ensure_prepared(data_dir)
        clips = sections.clips.load(folder)
        dataset = sections.clips.about(clips, folder)
        protocol = sections.protocol.make(clips)
        if not promising:
            protocol = dataclasses.replace(protocol, subject_disjoint=False)
        stamps = leaks.check_folds(protocol, clips, sections.protocol.file)
        return cls(folder, clips, sections.clips, dataset, protocol, stamps + sections.stamps)


@dataclasses.dataclass(frozen=True)
class MemberGroup:
    """Members that learn from the same frames.

    They are all members; or those of a fold with its own registration; or those that learn from the
    features of one network.

    Attributes:
      members: numbered over all groups.
      clips: as training sees them, registered and equalised, or features.
    """

    members: Sequence[Member]
    clips: ClipSet


def make_groups(
    sections: Sections,
    data: Data,
    source: FeatureSource | None,
    protocol: Protocol,
    seeds: Sequence[int],
) -> list[MemberGroup]:
    """Makes the members of a protocol's folds, in groups; not yet numbered over all.

    Args:
      data: with clips to which nothing is fitted.
      source: of the features that they learn from; None for pictures.
      protocol: of these clips, not always that of `data`.
      seeds: of the members of a fold.

    Raises:
      UserError: a fold out of range, or a leak.
    """
    learner, fold = sections.learner, sections.protocol.fold

    def grouped(framed, fold, *fits):
        if not source:
            frames = inputs.equalize_frames(framed.frames, learner.equalize)
            framed = dataclasses.replace(framed, frames=frames)
        members = learner.members(protocol, framed, fold=fold, seeds=seeds)
        members = [dataclasses.replace(m, fits=(*fits, *m.fits)) for m in members]
        groups = source.groups(members, framed) if source else [(members, framed)]
        return [MemberGroup(*group) for group in groups]

    if not data.loaded.is_fitted:
        return grouped(data.clips, fold)
    found = []
    for number in fold_numbers(protocol, fold):
        one = protocol.folds[number]
        target = None
        if source:
            target = source.target_shape(one, number, data.clips, data.loaded)
        fits = data.loaded.fit_registration(data.clips, one, target)
        registered = data.loaded.load(data.folder, fits[0])
        assert registered.clip_id.tolist() == data.clips.clip_id.tolist()  # what folds count
        found += grouped(registered, number, *fits)
    return found


def members_of(groups: Sequence[MemberGroup]) -> list[Member]:
    """Returns the members of all groups."""
    return [member for group in groups for member in group.members]


def numbered(groups: Sequence[MemberGroup], first: int) -> list[MemberGroup]:
    """Numbers the members of groups from `first`."""
    number = itertools.count(first)
    return [
        MemberGroup(
            [dataclasses.replace(member, index=next(number)) for member in group.members],
            group.clips,
        )
        for group in groups
    ]
