"""Trained networks as one: names, finished runs and model folders, applied to pictures of faces.

import fer_jax
predictor = fer_jax.load('small')
probabilities = predictor.images(faces)      # [n, class], in the order of predictor.classes
predictor.entropy(probabilities)             # how far raters would disagree, in bits
"""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.data import cropping
from fer_jax.errors import UserError
from fer_jax.evaluation import calibration, predictions, rundir
from fer_jax.evaluation.rules import SMALLEST, choose
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.trained import TrainedNetwork, sections_of
from fer_jax.training import model_folder

# Clips that pass through the networks at a time, at most.
_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Predictor:
    """Members of a run or of a model folder; several are one by the mean of their probabilities.

    Attributes:
      name: for people.
      path: the folder.
      networks: their batch normalisation folded into convolutions, where their kind can.
      clips: what they see of a dataset.
      temperature: that calibrates the mean (`calibration.scaled`), 1 where none was fitted.
      validation_clips: that it was fitted on, 0 without.
      simulated: trained on drawn faces.
      notes: what is not as in training, for people.
    """

    name: str
    path: Path
    networks: tuple[TrainedNetwork, ...]
    clips: ClipSource
    temperature: float
    validation_clips: int
    simulated: bool
    notes: tuple[str, ...]

    @classmethod
    def open(cls, name: str | Path, member: int = -1, mirrored: bool | None = None) -> 'Predictor':
        """Opens a network of the package by its name, a finished run, or a model folder.

        Args:
          member: the one to take; -1 takes the mean of all, of a run whose networks were trained
            again the mean of those.
          mirrored: whether each picture's mirror image counts too, for twice the time; None: as
            the run says.

        Raises:
          UserError: nothing of that name, a run that has not finished or whose members see no
            frames, no such member, mirror images of features, or a damaged file.
        """
        folder = model_folder.find(name)
        rundir.check_run(folder)
        stored = model_folder.is_folder(folder)
        if not stored:
            rundir.check_finished(folder)
        clips = sections_of(folder).clips
        if stored:
            config = model_folder.read_config(folder)
            members, fitted = list(range(len(config['members']))), None
            if config['temperature'] is not None:
                fitted = config['temperature'], config['validation_clips']
            simulated = config['trained_on']['simulated']
        else:
            table = predictions.load(folder / 'probabilities.npz')
            members = [k for k in range(table.members) if not table.failed[k]]
            if not members:
                raise UserError(f'{folder}: every member diverged; train it again')
            # Those that were trained again make the first figure of the run's report.
            members = [k for k in members if table.retrained[k]] or members
            alone = clips.registration in cropping.FITTED and member < 0
            fitted = temperature_of(table, members[0] if alone else member)
            simulated = bool(rundir.read_json(folder / 'dataset.json')['simulated'])
            config = rundir.read_json(folder / 'config.json')
        notes = ['trained on SIMULATED faces'] * simulated
        if fitted is None:
            notes.append('not calibrated: no validation clips in training (protocol.validation)')
        if member >= 0:
            members = [member]
        if clips.registration in cropping.FITTED and len(members) > 1:
            # Each member's faces are registered to what was fitted on its own training clips.
            notes.append(f'member {members[0]} alone: the registration was fitted for each member')
            members = members[:1]
        temperature, count = fitted or (1.0, 0)
        networks = tuple(TrainedNetwork.open(folder, index).folded() for index in members)
        if mirrored is not None:
            networks = tuple(
                dataclasses.replace(
                    network, system=dataclasses.replace(network.system, mirrored=mirrored)
                )
                for network in networks
            )
        if any(network.earlier and network.system.mirrored for network in networks):
            raise UserError(
                f'{folder}: its networks see features, which have no mirror image: give '
                'mirrored=False (--nomirrored)'
            )
        title, own = config['name'], folder.resolve().name
        title += f' ({own})' * (own != title)
        return cls(title, folder, networks, clips, temperature, count, simulated, tuple(notes))

    @property
    def classes(self) -> tuple[str, ...]:
        """Returns what the columns of probabilities stand for."""
        return self.networks[0].classes

    @property
    def sequences(self) -> bool:
        """Tells whether the networks see clips of several frames."""
        return self.clips.clip_frames > 1

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the networks' arrays, by their names."""
        digest = hashlib.sha256()
        for network in self.networks:
            leaves = jax.tree_util.tree_leaves_with_path(network.variables)
            fitted = sorted(network.fits.values.items())
            arrays = itertools.chain(
                ((str(path), value) for path, value in leaves),
                ((name, part) for name, value in fitted for part in value),
            )
            for name, value in arrays:
                value = np.ascontiguousarray(value)
                digest.update(f'{name} {value.dtype} {value.shape}'.encode())
                digest.update(value.tobytes())
        return digest.hexdigest()

    def images(self, images: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Classifies pictures of faces.

        Each is taken to be one face as wide as in training: the face box times `clips.margin`. What
        is not square is centred on black; the registration goes by the picture, since there are no
        landmarks.

        Args:
          images: uint8 [n, h, w], grey, or [n, h, w, 3], RGB, of any size; or a list of pictures
            [h, w] or [h, w, 3] of different sizes.

        Returns:
          Probabilities float32 [n, class], whose rows sum to 1; calibrated where a temperature was
          fitted.

        Raises:
          UserError: no picture, another shape or type, or networks of sequences.
        """
        if self.sequences:
            raise UserError(
                f'{self.name} sees sequences of {self.clips.frames} frames, not single pictures: '
                'apply it to a film with fer_jax.predict'
            )
        side = self.clips.size
        out = np.empty((len(images), 1, side, side, self.clips.channels), np.uint8)
        for row, image in enumerate(images):
            out[row, 0] = self.framed(np.asarray(image), row)
        return self.probabilities(out)

    def probabilities(self, clips: np.ndarray, length: np.ndarray | None = None) -> np.ndarray:
        """Classifies clips that are cut out and registered as the networks' training clips were.

        Args:
          clips: uint8 [n, T, S, S, C] as `clips` of this says.
          length: int [n], frames before padding; None where there is none.

        Returns:
          Probabilities float32 [n, class], calibrated where a temperature was fitted.

        Raises:
          UserError: no clips, or another shape.
        """
        if not len(clips):
            raise UserError('there is no picture to classify')
        if length is None:
            length = np.full(len(clips), clips.shape[1], np.int32)
        parts = []
        for start in range(0, len(clips), _BATCH):
            some, lengths = clips[start : start + _BATCH], length[start : start + _BATCH]
            # Few shapes of batches are compiled, whatever numbers of clips come.
            more = 2 ** (len(some) - 1).bit_length() - len(some)
            filled = np.concatenate([some, np.repeat(some[-1:], more, axis=0)])
            lengths = np.concatenate([lengths, np.repeat(lengths[-1:], more)])
            said = np.array([each.probabilities(filled, lengths) for each in self.networks])
            parts.append(said.astype(np.float64).sum(0)[: len(some)] / len(said))
        return calibration.scaled(np.concatenate(parts), self.temperature).astype(np.float32)

    def traced(self, clips: jax.Array, length: jax.Array) -> jax.Array:
        """Computes `probabilities` in a program that is traced."""
        said = [network.traced(clips, length) for network in self.networks]
        mean = jnp.stack(said).mean(0)
        if self.temperature == 1:
            return mean
        return jax.nn.softmax(jnp.log(jnp.maximum(mean, SMALLEST)) / self.temperature)

    @staticmethod
    def entropy(probabilities: np.ndarray) -> np.ndarray:
        """Computes how far raters would disagree: bits, of probabilities [..., class].

        Of a network that was trained on raters' votes; of another one it is its own doubt.
        """
        return calibration.entropy(probabilities)

    def framed(self, image: np.ndarray, row: int = 0) -> np.ndarray:
        """Turns a picture into a frame that the networks take: uint8 [S, S, C].

        Args:
          image: as of `images`.
          row: its number, for messages.

        Raises:
          UserError: another shape or type.
        """
        if image.ndim == 3 and image.shape[2] == 1:
            image = image[..., 0]
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
            raise UserError(
                f'picture {row} is {image.dtype} {list(image.shape)}: give uint8 [height, width], '
                'or [height, width, 3] in the order red, green, blue'
            )
        if not image.size:
            raise UserError(f'picture {row} is empty, {list(image.shape)}')
        channels = self.clips.channels
        if channels == 1 and image.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        elif channels == 3 and image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        height, width = image.shape[:2]
        side = max(height, width)
        window = -((side - width) // 2), -((side - height) // 2), side
        size = self.clips.size
        cut = cropping.cut(image, window, size, self.clips.equalize)
        return cut.reshape(size, size, channels)


def temperature_of(table: predictions.Predictions, member: int = -1) -> tuple[float, int] | None:
    """Fits the temperature of a run's networks, as of `calibration.temperature_of`.

    Args:
      member: the one whose validation clips count; -1, and a member that was trained again on them,
        takes all.
    """
    epoch = choose(table).get('val_best')
    if epoch is None:
        return None
    if member >= 0 and epoch[member] >= 0:
        epoch = np.where(np.arange(len(epoch)) == member, epoch, -1)
    return calibration.temperature_of(table, epoch)
