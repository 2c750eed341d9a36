"""The first of two stages: a finished run whose networks make the features that others learn from.

kahou2015 (sec. 2.1 to 2.3) trains a network on still faces and learns to classify clips by what its
layers make of their frames.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.config import bind
from fer_jax.data.clips import ClipSet
from fer_jax.data.fitted import TARGET_SHAPE
from fer_jax.data.protocols import Fold
from fer_jax.errors import UserError
from fer_jax.experiment import trained
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.trained import Layer, TrainedNetwork, sections_of
from fer_jax.training import transfer
from fer_jax.training.members import Member


@dataclasses.dataclass(frozen=True)
class FirstStage:
    """A finished run and the layer of its networks whose output is taken. A `FeatureSource`.

    Frames reach a network as its own run's config says: equalised, normalised by the mean and
    deviation image of its own training clips, cropped; nothing is fitted on the clips that pass.

    Attributes:
      source: the run.
      layer: a name in its network's 'intermediates', e.g. 'pool2'.
      classes: what its networks know.
    """

    source: transfer.Source
    layer: str
    classes: Sequence[str]
    _made: dict = dataclasses.field(default_factory=dict)

    key = 'features_from'
    sounds = False
    scenes = False

    @classmethod
    def open(cls, section: Mapping[str, Any], clips: ClipSource, data_dir: Path) -> 'FirstStage':
        """As of `FeatureSource`.

        Raises:
          UserError: as of `of_run`; or the networks saw registered faces, and these clips are none;
            or frames of another size.
        """
        stage = bind(cls.of_run, section, 'features')
        there = sections_of(stage.source.path).clips
        if there.registration == 'mean_shape' != clips.registration:
            raise UserError(
                f'features.run: {stage.source.path} was trained on faces registered onto a mean '
                f"shape, but data.registration is '{clips.registration}': give "
                f'--config.data.faces={there.faces} --config.data.registration=mean_shape'
            )
        if (clips.size, clips.channels) != (there.size, there.channels):
            raise UserError(
                f'features.run: {stage.source.path} saw frames of {there.size} pixels with '
                f'{there.channels} channel(s): give --config.data.size={there.size} '
                f'--config.data.channels={there.channels}'
            )
        return stage

    @classmethod
    def of_run(cls, *, run: str, layer: str) -> 'FirstStage':
        """Reads all of a run but its networks.

        Raises:
          UserError: no run is named, or it is not finished.
        """
        if not run:
            raise UserError(
                'features.run names no run: give the directory of a finished run whose network '
                'makes features of frames, e.g. one of configs/fer2013_cnn.py, as '
                '--config.features.run'
            )
        source = transfer.Source.open(run, 'features.run')
        return cls(source, layer, source.classes)

    def groups(
        self, members: Sequence[Member], clips: ClipSet
    ) -> list[tuple[list[Member], ClipSet]]:
        """As of `FeatureSource`: members that learn from the same network are together.

        Raises:
          UserError: every network has seen test clips of a member, or frames of another size, or
            the layer is not there.
        """
        chosen = [self.source.choose(member, clips) for member in members]
        return [
            (
                [m for m, index in zip(members, chosen, strict=True) if index == network],
                self.clips(network, clips),
            )
            for network in sorted(set(chosen))
        ]

    def target_shape(
        self, fold: Fold, number: int, clips: ClipSet, loaded: ClipSource
    ) -> np.ndarray | None:
        """As of `FeatureSource`: that of the network whose features the fold's members get."""
        if loaded.registration != 'mean_shape':
            return None
        network = self.source.choose_for(fold, number, 0, clips)
        fits = TrainedNetwork.open(self.source.path, network).fits
        if TARGET_SHAPE not in fits.values:
            raise UserError(
                f"data.registration is 'mean_shape', but {self.source.path} was trained on faces "
                "that were not registered so: there is no shape to map onto; give 'none', or a "
                "features.run with data.registration 'mean_shape'"
            )
        return fits.values[TARGET_SHAPE][0]

    def chain(self, members: Sequence[Member], clips: ClipSet) -> dict[str, Any]:
        """As of `FeatureSource`: the run, and which of its networks each member learns from."""
        chosen = [self.source.choose(member, clips) for member in members]
        return {**self.source.chain, 'layer': self.layer, 'networks': chosen}

    def in_words(self, chain: Mapping[str, Any]) -> str:
        """As of `FeatureSource`."""
        return (
            f"'{chain['layer']}' of the networks of {chain['run']} ({chain['config']}, "
            f'{chain["dataset"]})'
        )

    def filters(self, member: Member) -> np.ndarray | None:
        """As of `FeatureSource`: the run drew its own."""
        return None

    def clips(self, network: int, clips: ClipSet) -> ClipSet:
        """Returns the clips with what the layer of a network makes of their frames.

        Args:
          network: number of a member of the run.
          clips: as of `groups`.

        Returns:
          Clips of features float32 [clip, frame, ...]; a layer of whole clips makes clips of one
          frame.
        """
        key = network, id(clips.frames)
        if key not in self._made:  # members that are trained again learn from the same
            layer = Layer(TrainedNetwork.open(self.source.path, network), self.layer)
            frames, length = trained.features_of(layer, clips.frames, clips.length, clips.classes)
            made = dataclasses.replace(clips, frames=frames, length=length, landmarks=None)
            self._made[key] = clips, made
        return self._made[key][1]

    def shape(self, frames: int) -> tuple[int, ...]:
        """Returns the shape [frame, ...] of the features of a clip of so many frames."""
        members = range(len(self.source.fold))
        network = next(index for index in members if index not in self.source.failed)
        return TrainedNetwork.open(self.source.path, network).layer_shape(self.layer, frames)
