"""The first of two stages: a finished run whose networks make the features that others learn from.

kahou2015 (sec. 2.1 to 2.3) trains a network on still faces and learns to classify clips by what its
layers make of their frames.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from fer_jax import models
from fer_jax.config import bind
from fer_jax.data.clips import ClipSet
from fer_jax.data.fitted import fit_mean_std
from fer_jax.data.protocols import Fold
from fer_jax.errors import UserError
from fer_jax.evaluation import predictions, rundir
from fer_jax.experiment import clips as loading
from fer_jax.kahou2015.activity import Activity
from fer_jax.kahou2015.audio import Sound
from fer_jax.models.features import features
from fer_jax.training import transfer
from fer_jax.training.inputs import equalize_frames, model_inputs
from fer_jax.training.members import Member

# Frames that pass through a network at a time.
_FRAMES = 512


@dataclasses.dataclass(frozen=True)
class FirstStage:
    """A finished run and the layer of its networks whose output is taken.

    Frames reach a network as its own run's config says: equalised, normalised by the mean and
    deviation image of its own training clips, cropped; nothing is fitted on the clips that pass.

    Attributes:
      source: the run.
      layer: a name in its network's 'intermediates', e.g. 'pool2'.
      config: of the run.
      dataset: the run's dataset.json.
      data_dir: where its data lie; read again only where a mean image is needed.
    """

    source: transfer.Source
    layer: str
    config: ConfigDict
    dataset: dict[str, Any]
    data_dir: pathlib.Path
    _made: dict = dataclasses.field(default_factory=dict)

    key = 'features_from'  # in dataset.json

    @classmethod
    def open(
        cls, run: str, layer: str, data_dir: pathlib.Path, option: str = 'features.run'
    ) -> 'FirstStage':
        """Reads all of a run but its networks; `option` of the config names it, for messages.

        Raises:
          UserError: no run is named, or it is not finished.
        """
        if not run:
            raise UserError(
                'features.run names no run: give the directory of a finished run whose network '
                'makes features of frames, e.g. one of configs/fer2013_cnn.py, as '
                '--config.features.run'
            )
        source = transfer.Source.open(run, option)
        config, dataset = (
            rundir.read_json(source.path / f'{name}.json') for name in ('config', 'dataset')
        )
        return cls(source, layer, ConfigDict(config), dataset, data_dir)

    @property
    def classes(self) -> list[str]:
        """What its networks know."""
        return self.dataset['classes']

    def groups(
        self, members: Sequence[Member], clips: ClipSet
    ) -> list[tuple[list[Member], ClipSet]]:
        """The members that learn from the same network, and the clips as they see them.

        Args:
          clips: as loaded, registered and not equalised.

        Returns:
          Members, in their order, and clips whose frames are features float32 [clip, frame, ...]; a
          layer of whole clips makes clips of one frame.

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

    def chain(self, members: Sequence[Member], clips: ClipSet) -> dict[str, Any]:
        """What dataset.json says of the run, and which of its networks each member learns from."""
        chosen = [self.source.choose(member, clips) for member in members]
        return {**self.source.chain, 'layer': self.layer, 'networks': chosen}

    def clips(self, network: int, clips: ClipSet) -> ClipSet:
        """The clips with what the layer of a network makes of their frames, see `groups`."""
        key = network, id(clips.frames)
        if key not in self._made:  # members that are trained again learn from the same
            values, length = self.features(network, clips), clips.length
            if values.ndim == 2:
                values, length = values[:, None], np.ones_like(length)
            made = dataclasses.replace(clips, frames=values, length=length, landmarks=None)
            self._made[key] = clips, made
        return self._made[key][1]

    def features(self, network: int, clips: ClipSet) -> np.ndarray:
        """What the layer of a network makes of clips, in batches.

        The columns of 'logits' come in the order of the clips' classes where both are the same.

        Args:
          network: number of a member of the run.
          clips: as of `groups`.

        Returns:
          float32 [clip, frame, ...], or [clip, ...] of a layer of whole clips; frames beyond a
          clip's length have no meaning.
        """
        seen = self._seen(network, clips)
        apply = jax.jit(self._apply(network))
        rows = min(len(seen), max(1, _FRAMES // seen.frames.shape[1]))
        out = None
        for start in range(0, len(seen), rows):
            start = min(start, len(seen) - rows)  # the last batch overlaps: one compiled shape
            some = slice(start, start + rows)
            values = np.asarray(apply(seen.frames[some], seen.length[some]), np.float32)
            if out is None:
                out = np.empty((len(seen), *values.shape[1:]), np.float32)
            out[some] = values
        named = self.dataset['classes']
        if self.layer == 'logits' and sorted(named) == sorted(clips.classes):
            out = out[..., [named.index(name) for name in clips.classes]]
        return out

    def shape(self, frames: int) -> tuple[int, ...]:
        """Shape [frame, ...] of what the layer makes of a clip of so many frames; reads no data."""
        clip = (frames, self.config.data.size, self.config.data.size, self.config.data.channels)
        if 'features' in self.config:
            clip = FirstStage.open(**self.config.features, data_dir=self.data_dir).shape(frames)
        module, inputs = self.module()

        def make(clips):
            seen = model_inputs(clips, None, jnp.zeros((1, 1, 1)), jnp.ones((1, 1, 1)), **inputs)
            variables = module.init(jax.random.key(0), seen)
            return features(module, variables, seen, self.layer)

        made = jax.eval_shape(make, jax.ShapeDtypeStruct((1, *clip), jnp.float32)).shape
        return made[1:] if len(made) > 2 else (1, *made[1:])

    def _seen(self, network: int, clips: ClipSet) -> ClipSet:
        """The clips as the run's networks saw theirs: equalised, or features of an earlier run."""
        if 'features' in self.config:
            earlier = FirstStage.open(**self.config.features, data_dir=self.data_dir)
            return earlier.clips(self.dataset['features_from']['networks'][network], clips)
        shape = (self.config.data.size, self.config.data.size, self.config.data.channels)
        if clips.frames.shape[2:] != shape:
            raise UserError(
                f'features.run: {self.source.path} saw frames of {shape[0]} pixels with {shape[2]} '
                f'channel(s), the clips have {clips.frames.shape[2]} and {clips.frames.shape[4]}: '
                f'give --config.data.size={shape[0]} --config.data.channels={shape[2]}'
            )
        frames = equalize_frames(clips.frames, self.config.inputs.equalize)
        return dataclasses.replace(clips, frames=frames)

    def module(self) -> tuple[Any, dict[str, Any]]:
        """The architecture of the run's networks, and the keywords of their `model_inputs`."""
        options = {
            key: tuple(value) if isinstance(value, list | tuple) else value
            for key, value in self.config.model.items()
        }
        module = models.build(
            options.pop('name'), num_classes=len(self.dataset['classes']), **options
        )
        inputs = dict(self.config.inputs)
        del inputs['equalize']
        inputs.pop('mirrored', None)
        return module, inputs

    def _apply(self, network: int):
        """Frames [B, T, ...] and lengths [B] -> what the layer makes of them."""
        module, inputs = self.module()
        given = self.source.network(network)
        variables = {key: value for key, value in given.items() if value}
        mean, std = self.statistics(network)

        def apply(frames, length):
            seen = model_inputs(frames, None, mean, std, **inputs)
            return features(module, variables, seen, self.layer, length=length)

        return apply

    def statistics(self, network: int) -> tuple[np.ndarray, np.ndarray]:
        """A network's mean and deviation image, fitted again on its training clips."""
        if self.config.inputs.normalize != 'mean_std':
            return np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
        entry = rundir.read_json(self.source.path / 'folds.json')['folds'][
            int(self.source.fold[network])
        ]
        table = predictions.load(self.source.path / 'probabilities.npz')
        named = entry['train'] + (entry['validation'] if table.retrained[network] else [])
        clips = self._own
        train = np.flatnonzero(np.isin(clips.clip_id, named))
        if loading.is_fitted(self.config):
            fold = Fold(train, train[:0], np.setdiff1d(np.arange(len(clips)), train))
            folder = loading.ensure_prepared(self.config, self.data_dir)
            clips = loading.register(self.config, clips, fold, folder)
        frames = equalize_frames(clips.frames[train], self.config.inputs.equalize)
        mean, std = fit_mean_std(frames, clips.length[train], np.arange(len(train))).value
        return mean, std

    @functools.cached_property
    def _own(self) -> ClipSet:
        """The clips that the run was trained on, as they are loaded.

        Raises:
          UserError: they are not those of the run any more.
        """
        folder = loading.ensure_prepared(self.config, self.data_dir)
        clips = loading.load(self.config, folder)
        here = loading.about(self.config, clips, folder)['fingerprint']
        if here != self.dataset['fingerprint']:
            raise UserError(
                f'features.run: {clips.name} in {folder} is not what {self.source.path} was '
                'trained on: give the --data_dir of that preparation'
            )
        return clips


def open_stage(config: ConfigDict, data_dir: pathlib.Path) -> FirstStage | Sound | Activity | None:
    """What makes the features that a config learns from; None where it learns from pictures.

    Raises:
      UserError: as `FirstStage.open`; or two of the sections `features`, `sound` and `activity`, or
        one with another key.
    """
    given = [name for name in ('features', 'sound', 'activity') if name in config]
    if len(given) > 1:
        raise UserError(f'the config has both {given[0]} and {given[1]}: a run learns from one')
    if 'features' in config:
        return FirstStage.open(**config.features, data_dir=data_dir)
    if 'sound' in config:
        folder, data = loading.ensure_prepared(config, data_dir), config.data
        return bind(Sound, config.sound, 'sound', folder, data.name, data.faces)
    if 'activity' in config:
        folder = loading.ensure_prepared(config, data_dir)
        return bind(Activity, config.activity, 'activity', folder, config.data.name)
    return None
