"""A member of a finished run, ready to be asked: its network, and the clips as it sees them."""

import dataclasses
import functools
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from fer_jax.data import fold_file
from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.evaluation.predictions import TEST
from fer_jax.evaluation.rundir import Run
from fer_jax.experiment.features import section_of
from fer_jax.experiment.sections import Sections
from fer_jax.experiment.trained import TrainedNetwork
from fer_jax.training.inputs import equalize_frames, model_inputs
from fer_jax.training.members import Member

# What a zero is in what the network sees, by `inputs.normalize`.
ZERO = {
    'unit': 'black',
    'symmetric': 'mid-grey',
    'mean_std': 'the mean face of the training clips',
    'each': 'the mean grey level of the picture itself',
}
# Of a picture normalised by itself, deviations on both sides of the mean that are shown.
_DEVIATIONS = 3

# How far a probability may lie from the one that the run saved: float16, another device.
_TOLERANCE = 0.05


@dataclasses.dataclass(frozen=True)
class Trained:
    """A member's network as it was after its best epoch, and the clips that it is asked about.

    Attributes:
      run: the run's files.
      member: its fold and seed.
      clips: registered and equalised as training saw them.
      network: of the member.
    """

    run: Run
    member: Member
    clips: ClipSet
    network: TrainedNetwork

    @classmethod
    def open(cls, path: str, number: int, data_dir: Path) -> 'Trained':
        """Reads a finished run, its data and the network of one member.

        Args:
          number: the member's, from 0.
          data_dir: where the prepared data lie.

        Raises:
          UserError: no finished run, one that sees no faces, no such member or one that diverged,
            or data that are not those of the run.
        """
        folder = Path(path).expanduser()
        rundir.check_finished(folder)
        run = rundir.load(folder)
        if not 0 <= number < run.predictions.members:
            raise UserError(
                f'--member is {number}: {folder} has members 0 to {run.predictions.members - 1}'
            )
        if failed := int(run.predictions.failed[number]):
            raise UserError(
                f'member {number} of {folder} diverged in epoch {failed}: give another --member'
            )
        section = section_of(run.config)
        if section == 'features':
            raise UserError(
                f'{folder} learns from features of {run.config[section]["run"]}, not from faces: '
                'explain that run'
            )
        if section:
            raise UserError(f'{folder} learns from {section}, not from faces')
        network = TrainedNetwork.open(folder, number)
        source = Sections.open(run.config).clips
        place = source.ensure_prepared(data_dir)
        clips = source.load(place, network.fits.registration)
        if source.about(clips, place)['fingerprint'] != run.dataset['fingerprint']:
            raise UserError(
                f'{clips.name} in {place} is not what {run.path} was trained on (its fingerprint '
                'is another): give the --data_dir of that preparation'
            )
        frames = equalize_frames(clips.frames, network.equalize)
        clips = dataclasses.replace(clips, frames=frames)
        return cls(run, _member(run, number, clips, network), clips, network)

    @functools.cached_property
    def tested(self) -> tuple[np.ndarray, np.ndarray]:
        """The test clips, int [clip], and what the run saved of them, float32 [clip, K]."""
        table = self.run.predictions
        rows = np.flatnonzero(table.part[self.member.index] == TEST)
        index = {name: i for i, name in enumerate(self.clips.clip_id.tolist())}
        clip = np.array([index[name] for name in table.clip_id[rows].tolist()], int)
        saved = table.probabilities[self.member.index, self.network.epoch - 1, rows]
        return clip, saved.astype(np.float32)

    def seen(self, clip: np.ndarray) -> np.ndarray:
        """Returns clips as the network sees them, float32 [clip, T, H, W, C], normalised.

        Args:
          clip: int [clip], indices into `clips`.
        """
        return np.asarray(self.network.inputs(self.clips.frames[clip]))

    def pictures(self, seen: np.ndarray) -> np.ndarray:
        """Undoes the normalisation of what the network sees, for people to look at.

        Of pictures normalised each by itself the mean is shown as mid-grey: how dark they were is
        not known any more.

        Args:
          seen: float32 [..., H, W, C].

        Returns:
          The same shape in [0, 1].
        """
        inputs = self.network.system.inputs
        kind = inputs['normalize']
        if kind == 'symmetric':
            seen = (seen + 1) / 2
        elif kind == 'mean_std':
            unit = {**inputs, 'normalize': 'unit'}
            mean, std = map(jnp.asarray, self.network.fits.mean_std)
            mean, std = (
                np.asarray(model_inputs(grey, None, mean, std, **unit))[0, 0]
                for grey in (255 * mean[None, None], 255 * jnp.maximum(std, 1 / 255)[None, None])
            )
            seen = seen * std + mean
        elif kind == 'each':
            seen = (1 + seen / _DEVIATIONS) / 2
        return np.clip(seen, 0, 1)

    def check(self, clip: np.ndarray, probabilities: np.ndarray) -> None:
        """Refuses a network that does not say of test clips what the run saved.

        Args:
          clip: int [clip], indices into `clips`.
          probabilities: [clip, K].
        """
        tested, saved = self.tested
        row = {index: i for i, index in enumerate(tested.tolist())}
        saved = saved[[row[index] for index in clip.tolist()]]
        worst = np.abs(probabilities - saved).max(1)
        if (worst > _TOLERANCE).any():
            name = self.clips.clip_id[clip[worst.argmax()]]
            raise UserError(
                f'{self.run.path}: the network of member {self.member.index} does not say of '
                f'{name} what the run saved (probabilities {worst.max():.2f} apart): its config or '
                'data have changed since; run it again'
            )


def _member(run: Run, number: int, clips: ClipSet, network: TrainedNetwork) -> Member:
    """Loads the member with its fold; nothing is fitted again."""
    protocol = fold_file.read(str(run.path / 'folds.json'), clips)
    if run.predictions.retrained[number]:
        protocol = protocol.merged()
    fold = int(run.predictions.fold[number])
    return Member(
        number,
        fold,
        protocol.folds[fold],
        int(run.predictions.seed[number]),
        0.0,
        0.0,
        np.ones(len(clips.classes), np.float32),
        *network.fits.mean_std,
    )
