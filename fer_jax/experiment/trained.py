"""A network of a finished run or of a model folder, applied to frames, without the run's data.

network = TrainedNetwork.open(run, member)
probabilities = network.probabilities(frames)
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.errors import UserError
from fer_jax.evaluation import predictions, rundir
from fer_jax.experiment import fits
from fer_jax.experiment.fits import MemberFits
from fer_jax.experiment.sections import Sections
from fer_jax.models import plain_cnn
from fer_jax.models.features import features
from fer_jax.training import model_folder
from fer_jax.training.checkpoint import read_best
from fer_jax.training.inputs import batches_of, equalization, equalize_frames, model_inputs
from fer_jax.training.step import System

# Frames that pass through a network at a time.
_FRAMES = 512
# What a network is asked for, where it is not a layer.
_PROBABILITIES = ''
# The sections of a config that say what a network sees and what it is, and its name.
_SECTIONS = ('name', 'data', 'inputs', 'model')


def sections_of(folder: Path) -> Sections:
    """Opens the config of a run; of a model folder what it keeps of it, else neutral."""
    if model_folder.is_folder(folder):
        return _sections(model_folder.read_config(folder))
    return Sections.open(rundir.read_json(folder / 'config.json'))


def _sections(about: Mapping[str, Any]) -> Sections:
    """Opens what a model folder keeps of a config; a protocol must have a name, this one any."""
    own = {key: about[key] for key in _SECTIONS}
    return Sections.open({**own, 'protocol': {'name': 'official'}})


class Layer(NamedTuple):
    """A layer of a trained network.

    Attributes:
      network: of an earlier run.
      name: in its network's 'intermediates', e.g. 'pool2'.
    """

    network: 'TrainedNetwork'
    name: str


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A member of a finished run as it was after its best epoch.

    Attributes:
      run: the run's folder, or the model folder.
      member: its number, from 0.
      shape: frames, height, width and channels of the clips that the run was trained on.
      equalize: how frames are equalised, see `equalize_frames`.
      system: model and inputs.
      epoch: that the validation clips chose, from 1; the last where there were none.
      variables: {'params', 'batch_stats'}, arrays on the host.
      fits: what was fitted on the member's training clips; classes, in the order of the outputs.
      earlier: what makes the features that the network sees; None where it sees frames.
    """

    run: Path
    member: int
    shape: tuple[int, int, int, int]
    equalize: str
    system: System
    epoch: int
    variables: Mapping[str, Any]
    fits: MemberFits
    earlier: Layer | None = None
    _compiled: dict[str, Callable] = dataclasses.field(init=False, default_factory=dict, repr=False)

    @classmethod
    def open(cls, run: Path | str, member: int) -> 'TrainedNetwork':
        """Reads a member of a finished run, and of the runs that it learned from.

        Args:
          run: its folder; or a model folder, or the name of one that comes with the package.

        Raises:
          UserError: no finished run, one whose members see no frames, no such member, one that
            diverged, or a damaged file.
        """
        shipped = str(run) in model_folder.shipped()
        folder = model_folder.find(run) if shipped else Path(run).expanduser()
        if model_folder.is_folder(folder):
            config = model_folder.read_config(folder)
            last = len(config['members']) - 1
            if not 0 <= member <= last:
                raise UserError(f'{folder} has members 0 to {last}, none of {member}')
            arrays = model_folder.read_arrays(folder, config)[member]
            return cls.of_arrays(folder, member, config, config['members'][member]['epoch'], arrays)
        return cls._of_run(folder, member)

    @classmethod
    def _of_run(cls, folder: Path, member: int) -> 'TrainedNetwork':
        """Reads a member of a finished run, as of `open`."""
        rundir.check_finished(folder)
        sections = Sections.open(rundir.read_json(folder / 'config.json'))
        table = predictions.load(folder / 'probabilities.npz')
        if not 0 <= member < table.members:
            raise UserError(f'{folder} has members 0 to {table.members - 1}, none of {member}')
        if failed := int(table.failed[member]):
            raise UserError(f'member {member} of {folder} diverged in epoch {failed}: give another')
        earlier = None
        if sections.section == 'features':
            chain = rundir.read_json(folder / 'dataset.json')['features_from']
            source = cls.open(sections.options['run'], chain['networks'][member])
            earlier = Layer(source, sections.options['layer'])
        elif sections.section:
            raise UserError(f'{folder} learns from {sections.section}, not from frames')
        fitted = MemberFits.load(fits.path_of(folder, member))
        epoch, network = read_best(folder / 'checkpoints' / f'{member:03}')
        variables = {key: value for key, value in network.items() if value}
        return cls._built(folder, member, sections, epoch, variables, fitted, earlier)

    @classmethod
    def of_arrays(
        cls,
        folder: Path,
        member: int,
        about: Mapping[str, Any],
        epoch: int,
        arrays: Mapping[str, Any],
    ) -> 'TrainedNetwork':
        """Builds a network from what a model folder keeps of it.

        Args:
          folder, member, epoch: where it is from.
          about: as of `about`.
          arrays: as of `arrays`.
        """
        sections = _sections(about)
        earlier = None
        if about['earlier']:
            # Its epoch is one of its own run, of which nothing is left.
            source = cls.of_arrays(folder, member, about['earlier'], 0, arrays['earlier'])
            earlier = Layer(source, about['earlier']['layer'])
        fitted = MemberFits(
            tuple(about['classes']),
            {
                name: tuple(parts[str(number)] for number in range(len(parts)))
                for name, parts in arrays.get('fits', {}).items()
            },
        )
        variables = {key: arrays[key] for key in ('params', 'batch_stats') if key in arrays}
        network = cls._built(folder, member, sections, epoch, variables, fitted, earlier)
        network._check_arrays()
        return network

    @classmethod
    def _built(
        cls,
        folder: Path,
        member: int,
        sections: Sections,
        epoch: int,
        variables: Mapping[str, Any],
        fitted: MemberFits,
        earlier: Layer | None,
    ) -> 'TrainedNetwork':
        clips, learner = sections.clips, sections.network
        shape = (clips.clip_frames, clips.size, clips.size, clips.channels)
        system = learner.system(len(fitted.classes))
        return cls(
            folder, member, shape, learner.equalize, system, epoch, variables, fitted, earlier
        )

    def about(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what config.json of a model folder says of the network.

        Args:
          config: of the run that it is read from (config.json).
        """
        about = {key: config[key] for key in _SECTIONS}
        about |= {'classes': list(self.classes), 'earlier': None}
        if self.earlier:
            source = self.earlier.network
            before = rundir.read_json(source.run / 'config.json')
            about['earlier'] = {**source.about(before), 'layer': self.earlier.name}
        return about

    def arrays(self) -> dict[str, Any]:
        """Returns all arrays, as `model_folder.read_arrays` gives them."""
        found: dict[str, Any] = {key: dict(value) for key, value in self.variables.items()}
        found['fits'] = {
            name: {str(number): part for number, part in enumerate(parts)}
            for name, parts in self.fits.values.items()
        }
        if self.earlier:
            found['earlier'] = self.earlier.network.arrays()
        return found

    def folded(self) -> 'TrainedNetwork':
        """Returns the network with batch normalisation in its convolutions, where its kind can."""
        model = self.system.model
        if not isinstance(model, plain_cnn.PlainCNN) or model.folded:
            return self
        system = dataclasses.replace(self.system, model=model.clone(folded=True))
        folded = {'params': plain_cnn.fold(self.variables)}
        return dataclasses.replace(self, system=system, variables=folded)

    @property
    def classes(self) -> tuple[str, ...]:
        """Returns what the columns of `probabilities` stand for."""
        return self.fits.classes

    def probabilities(self, frames: np.ndarray, length: np.ndarray | None = None) -> np.ndarray:
        """Classifies clips as the run would have: equalised, normalised, cropped, mirrored.

        Args:
          frames: uint8 [clip, frame, height, width, channel] of `shape`, registered as the run's
            clips were.
          length: int [clip], frames before padding; None where there is no padding.

        Returns:
          float32 [clip, class].

        Raises:
          UserError: frames of another shape.
        """
        if frames.shape[1] != self.shape[0]:
            raise UserError(
                f'{self.run} saw clips of {self.shape[0]} frames, these have {frames.shape[1]}'
            )
        return self._in_batches(_PROBABILITIES, *self._prepared(frames, length))

    def traced(
        self, frames: jax.Array, length: jax.Array, layer: str = _PROBABILITIES
    ) -> jax.Array:
        """Computes `probabilities`, or a layer, in a program that is traced."""
        if self.earlier:
            values = self.earlier.network.traced(frames, length, self.earlier.name)
            frames, length = _as_features(self.earlier, values, length, self.classes)
        elif self.equalize != 'none':
            frames = equalization(self.equalize)(frames).astype(jnp.uint8)
        return self._from_stored(layer)(self.variables, frames, length)

    def layer(self, name: str, frames: np.ndarray, length: np.ndarray | None = None) -> np.ndarray:
        """Computes what a layer makes of clips.

        Args:
          name: in the network's 'intermediates'.
          frames, length: as of `probabilities`; the number of frames may be another one.

        Returns:
          float32 [clip, frame, ...], or [clip, ...] of a layer of whole clips; frames beyond a
          clip's length have no meaning.

        Raises:
          UserError: frames of another size, or no such layer.
        """
        return self._in_batches(name, *self._prepared(frames, length))

    def layer_shape(self, name: str, frames: int) -> tuple[int, ...]:
        """Returns the shape [frame, ...] of what a layer makes of a clip of so many frames."""
        clip = (frames, *self.shape[1:])
        if self.earlier:
            clip = self.earlier.network.layer_shape(self.earlier.name, frames)
        stored = jax.ShapeDtypeStruct((1, *clip), jnp.float32)
        length = jax.ShapeDtypeStruct((1,), jnp.int32)
        made = jax.eval_shape(self._from_stored(name), self.variables, stored, length).shape
        return made[1:] if len(made) > 2 else (1, *made[1:])

    def inputs(self, frames: jax.Array | np.ndarray) -> jax.Array:
        """Turns equalised frames into what the network sees, normalised and cropped.

        Args:
          frames: uint8 [clip, frame, height, width, channel]; or features, which are left alone.

        Returns:
          float32 [clip, frame, height, width, channel].
        """
        mean, std = map(jnp.asarray, self.fits.mean_std)
        return model_inputs(jnp.asarray(frames), None, mean, std, **self.system.inputs)

    def _prepared(
        self, frames: np.ndarray, length: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Equalises clips, or takes features of the earlier network; lengths as int32 [clip]."""
        if length is None:
            length = np.full(len(frames), frames.shape[1])
        if self.earlier:
            return features_of(self.earlier, frames, length, self.classes)
        if frames.shape[2:] != self.shape[1:]:
            size, channels = self.shape[1], self.shape[3]
            raise UserError(
                f'{self.run} saw frames of {size} pixels with {channels} channel(s), the clips '
                f'have {frames.shape[2]} and {frames.shape[4]}: give --config.data.size={size} '
                f'--config.data.channels={channels}'
            )
        return equalize_frames(frames, self.equalize), length.astype(np.int32)

    def _from_stored(self, what: str) -> Callable:
        """Returns a function of variables, clips as `_prepared` gives them, and their lengths.

        Args:
          what: _PROBABILITIES, or the name of a layer.
        """

        def apply(variables, frames, length):
            seen = self.inputs(frames)
            if what == _PROBABILITIES:
                return self.system.probabilities(variables, seen, length)
            return features(self.system.model, variables, seen, what, length=length)

        return apply

    def _check_arrays(self) -> None:
        """Refuses arrays that the network cannot be applied with: of another one, as it seems."""
        clip = (1, *self.shape)
        if self.earlier:
            name, frames = self.earlier.name, self.shape[0]
            clip = (1, *self.earlier.network.layer_shape(name, frames))
        model_folder.check_arrays(self.run, self._from_stored(_PROBABILITIES), self.variables, clip)

    @functools.cached_property
    def _on_device(self) -> Mapping[str, Any]:
        return jax.device_put(self.variables)

    def _in_batches(self, what: str, frames: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Computes `_from_stored(what)` of clips, compiled once for each shape of a batch."""
        if what not in self._compiled:
            self._compiled[what] = jax.jit(self._from_stored(what))
        apply, variables = self._compiled[what], self._on_device
        out = None
        for some in batches_of(len(frames), max(1, _FRAMES // frames.shape[1])):
            values = np.asarray(apply(variables, frames[some], length[some]), np.float32)
            if out is None:
                out = np.empty((len(frames), *values.shape[1:]), np.float32)
            out[some] = values
        assert out is not None, 'no clips'
        return out


def features_of(
    layer: Layer, frames: np.ndarray, length: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the features that a layer makes of clips, for others to learn from.

    Args:
      frames: uint8 [clip, frame, height, width, channel], not equalised.
      length: int [clip].
      classes: of those who learn: the columns of 'logits' come in their order where the network
        knows the same classes.

    Returns:
      float32 [clip, frame, ...] and lengths int32 [clip]; a layer of whole clips makes clips of one
      frame.
    """
    values = layer.network.layer(layer.name, frames, length)
    values, length = _as_features(layer, values, length, classes)
    return values, length.astype(np.int32)


def _as_features(layer: Layer, values: Any, length: Any, classes: Sequence[str]) -> tuple[Any, Any]:
    """Turns what a layer makes into features and lengths of `features_of`."""
    known = layer.network.classes
    if layer.name == 'logits' and sorted(known) == sorted(classes):
        values = values[..., np.array([known.index(name) for name in classes])]
    if values.ndim == 2:
        return values[:, None], length * 0 + 1
    return values, length
