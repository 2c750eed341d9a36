"""A member of a finished run, ready to be asked: its network, and the clips as it sees them."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from fer_jax.data import fold_file
from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.evaluation.predictions import TEST
from fer_jax.evaluation.rundir import Run
from fer_jax.experiment import clips as loading
from fer_jax.experiment import run as experiment
from fer_jax.training.checkpoint import MemberCheckpoints
from fer_jax.training.inputs import equalize_frames, model_inputs
from fer_jax.training.members import Member, make_members
from fer_jax.training.step import System

# What a zero is in what the network sees, by `inputs.normalize`.
ZERO = {
    'unit': 'black',
    'symmetric': 'mid-grey',
    'mean_std': 'the mean face of the training clips',
}

# How far a probability may lie from the one that the run saved: float16, another device.
_TOLERANCE = 0.05


@dataclasses.dataclass(frozen=True)
class Trained:
    """A member's network as it was after its best epoch.

    Attributes:
      run: the run's files.
      member: its fold, seed, mean and deviation image.
      clips: registered and equalised as training saw them.
      system: model and inputs.
      epoch: that the validation clips chose, from 1; the last where there were none.
      network: {'params', 'batch_stats'}, arrays on the host.
    """

    run: Run
    member: Member
    clips: ClipSet
    system: System
    epoch: int
    network: Mapping

    @classmethod
    def open(cls, path: str, number: int, data_dir: pathlib.Path) -> 'Trained':
        """Reads a finished run, its data and the network of one member.

        Args:
          number: the member's, from 0.
          data_dir: where the prepared data lie.

        Raises:
          UserError: no finished run, one that sees no faces, no such member or one that diverged,
            or data that are not those of the run.
        """
        folder = pathlib.Path(path).expanduser()
        if not (folder / 'DONE').is_file():
            raise UserError(
                f'{folder} is no finished run (it has no DONE): give a directory that fer_jax.main '
                'has finished'
            )
        run = rundir.load(folder)
        if not 0 <= number < run.predictions.members:
            raise UserError(
                f'--member is {number}: {folder} has members 0 to {run.predictions.members - 1}'
            )
        if failed := int(run.predictions.failed[number]):
            raise UserError(
                f'member {number} of {folder} diverged in epoch {failed}: give another --member'
            )
        config = ConfigDict(run.config)
        for other in ('sound', 'activity'):
            if other in config:
                raise UserError(f'{folder} learns from {other}, not from faces')
        if 'features' in config:
            raise UserError(
                f'{folder} learns from features of {config.features.run}, not from faces: explain '
                'that run'
            )
        clips, member = _member(run, number, config, data_dir)
        checkpoints = MemberCheckpoints(folder / 'checkpoints' / f'{number:03}')
        try:
            epoch, network = checkpoints.restore_best()
        finally:
            checkpoints.close()
        network = {'params': network['params'], 'batch_stats': network['batch_stats'] or {}}
        system = experiment.make_system(config, len(clips.classes))
        return cls(run, member, clips, system, epoch, network)

    @functools.cached_property
    def tested(self) -> tuple[np.ndarray, np.ndarray]:
        """The test clips, int [clip], and what the run saved of them, float32 [clip, K]."""
        table = self.run.predictions
        rows = np.flatnonzero(table.part[self.member.index] == TEST)
        index = {name: i for i, name in enumerate(self.clips.clip_id.tolist())}
        clip = np.array([index[name] for name in table.clip_id[rows].tolist()], int)
        saved = table.probabilities[self.member.index, self.epoch - 1, rows]
        return clip, saved.astype(np.float32)

    def seen(self, clip: np.ndarray) -> np.ndarray:
        """Clips as the network sees them, float32 [clip, T, H, W, C], normalised.

        Args:
          clip: int [clip], indices into `clips`.
        """
        return self._inputs(self.clips.frames[clip], self.system.inputs)

    def pictures(self, seen: np.ndarray) -> np.ndarray:
        """What the network sees with the normalisation undone, for people to look at.

        Args:
          seen: float32 [..., H, W, C].

        Returns:
          The same shape in [0, 1].
        """
        kind = self.system.inputs['normalize']
        if kind == 'symmetric':
            seen = (seen + 1) / 2
        elif kind == 'mean_std':
            inputs = {**self.system.inputs, 'normalize': 'unit'}
            mean, std = (
                self._inputs(255 * image[None, None], inputs)[0, 0]
                for image in (self.member.mean, np.maximum(self.member.std, 1 / 255))
            )
            seen = seen * std + mean
        return np.clip(seen, 0, 1)

    def judge(self, network: Mapping, frames: jax.Array, length: jax.Array) -> jax.Array:
        """Class probabilities float32 [B, K] as the run is judged, mirrored faces included.

        Args:
          network: {'params', 'batch_stats'}.
          frames: float32 [B, T, H, W, C] as `seen`.
          length: int32 [B], frames before padding.
        """
        return self.system.judge(network, frames, length)

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

    def _inputs(self, frames: np.ndarray, inputs: Mapping) -> np.ndarray:
        mean, std = (jnp.asarray(image) for image in (self.member.mean, self.member.std))
        return np.asarray(model_inputs(jnp.asarray(frames), None, mean, std, **inputs))


def _member(
    run: Run, number: int, config: ConfigDict, data_dir: pathlib.Path
) -> tuple[ClipSet, Member]:
    """The clips as a member saw them, and the member with what was fitted on its training clips."""
    folder = loading.ensure_prepared(config, data_dir)
    clips = loading.load(config, folder)
    here = loading.about(config, clips, folder)['fingerprint']
    if here != run.dataset['fingerprint']:
        raise UserError(
            f'{clips.name} in {folder} is not what {run.path} was trained on (its fingerprint is '
            'another): give the --data_dir of that preparation'
        )
    protocol = fold_file.read(str(run.path / 'folds.json'), clips)
    if run.predictions.retrained[number]:
        protocol = protocol.merged()
    fold = int(run.predictions.fold[number])
    if loading.is_fitted(config):
        clips = loading.register(config, clips, protocol.folds[fold], folder)
    frames = equalize_frames(clips.frames, config.inputs.equalize)
    clips = dataclasses.replace(clips, frames=frames)
    (member,) = make_members(
        protocol,
        clips,
        seeds=[int(run.predictions.seed[number])],
        fold=fold,
        learning_rate=0.0,
        dropout_rate=0.0,
        class_weights=False,
        mean_std=config.inputs.normalize == 'mean_std',
    )
    return clips, dataclasses.replace(member, index=number)
