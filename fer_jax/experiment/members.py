"""Who learns from which frames: clips, their folds, and the members of these in groups."""

import dataclasses
import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax.data import fold_file, leaks, protocols
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol
from fer_jax.experiment import clips as loading
from fer_jax.experiment.features import FirstStage
from fer_jax.kahou2015.activity import Activity
from fer_jax.kahou2015.audio import Sound
from fer_jax.training import inputs
from fer_jax.training.members import Member, fold_numbers, make_members


def make_protocol(config: ConfigDict, clips: ClipSet) -> Protocol:
    """The config's folds: those of the file `protocol.file`, else by the rule `protocol.name`.

    Where `protocol.inner` is set (a trial of a search) what chooses is judged in them, and the test
    clips are left out.
    """
    options = dict(config.protocol)
    del options['fold']
    inner = options.pop('inner', False)
    if file := options.pop('file', ''):
        protocol = fold_file.read(file, clips, options.get('sha256', ''))
    else:
        protocol = configs.bind(protocols.make_protocol, options, 'protocol', clips)
    return protocol.inner() if inner else protocol


@dataclasses.dataclass(frozen=True)
class Data:
    """What a config's members learn from.

    Attributes:
      folder: of the prepared data.
      clips: as they were loaded.
      dataset: what dataset.json holds of them.
      protocol: the folds, checked.
      stamps: what must be known before a number is believed.
    """

    folder: pathlib.Path
    clips: ClipSet
    dataset: dict[str, Any]
    protocol: Protocol
    stamps: tuple[str, ...]

    @classmethod
    def of(cls, config: ConfigDict, data_dir: pathlib.Path) -> 'Data':
        """The config's clips, divided by its protocol."""
        folder = loading.ensure_prepared(config, data_dir)
        clips = loading.load(config, folder)
        dataset = loading.about(config, clips, folder)
        protocol = make_protocol(config, clips)
        stamps = leaks.check_folds(protocol, clips, config.protocol.get('file', ''))
        stamps += tuple(config.get('stamps', ()))
        return cls(folder, clips, dataset, protocol, stamps)


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
    config: ConfigDict,
    clips: ClipSet,
    folder: pathlib.Path,
    seeds: Sequence[int],
    stage: FirstStage | Sound | Activity | None,
    protocol: Protocol,
) -> list[MemberGroup]:
    """The members of a protocol's folds, in groups; not yet numbered over all.

    Args:
      clips: as loaded from `folder`, with nothing fitted.
      stage: the run whose features, the sound or the activity they learn from; None for pictures.

    Raises:
      UserError: a fold out of range, or a leak.
    """
    scalars = {'learning_rate': 0.0, 'class_weights': False, 'mean_std': False}
    if 'train' in config:
        scalars = {
            'learning_rate': config.optimizer.learning_rate,
            'class_weights': config.loss.class_weights,
            'mean_std': config.inputs.normalize == 'mean_std',
        }

    def grouped(framed, fold, *fits):
        if not stage:
            kind = config.inputs.equalize
            framed = dataclasses.replace(framed, frames=inputs.equalize_frames(framed.frames, kind))
        members = make_members(
            protocol,
            framed,
            seeds=seeds,
            fold=fold,
            dropout_rate=config.model.get('dropout_rate', 0.0),
            **scalars,
        )
        members = [dataclasses.replace(m, fits=(*fits, *m.fits)) for m in members]
        groups = stage.groups(members, framed) if stage else [(members, framed)]
        return [MemberGroup(*group) for group in groups]

    if not loading.is_fitted(config):
        return grouped(clips, config.protocol.fold)
    found = []
    for number in fold_numbers(protocol, config.protocol.fold):
        fit = loading.fit_registration(config, clips, protocol.folds[number])
        found += grouped(loading.load(config, folder, fit), number, fit)
    return found


def numbered(groups: Sequence[MemberGroup], first: int) -> list[MemberGroup]:
    """The groups with their members numbered from `first`."""
    number = itertools.count(first)
    return [
        MemberGroup(
            [dataclasses.replace(member, index=next(number)) for member in group.members],
            group.clips,
        )
        for group in groups
    ]
