"""The state that a member carries from step to step, and what distinguishes it from the others."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from fer_jax.data.clips import ClipSet
from fer_jax.training.optimizers import Averaged

# On a device, or on the host before it is placed there.
Array = jax.Array | np.ndarray


@struct.dataclass
class TrainState:
    """Everything that a step changes and a checkpoint keeps.

    Attributes:
      step: int32 [], steps taken (surplus steps not counted).
      params: the model's parameters, optax.LookaheadParams of them under Lookahead, or
        optimizers.Averaged.
      batch_stats: running statistics of BatchNorm, {} where there are none; optimizers.Averaged of
        them where the parameters are.
      opt_state: the optimizer's state.
    """

    step: jax.Array
    params: dict | Averaged | optax.LookaheadParams
    batch_stats: dict | Averaged
    opt_state: optax.OptState


@struct.dataclass
class PerMember:
    """Values of one member's own besides its clips: traced, so that one program serves all.

    Attributes:
      key: the member's random key, from its seed and its fold.
      learning_rate, dropout_rate: float32 [].
      total_steps: float32 [], for the schedule.
      class_weight: float32 [class].
      mean, std: float32 [height, width, channel] in units of [0, 1] frames, fitted on its training
        clips; zeros and ones [1, 1, 1] unless inputs.normalize is 'mean_std'.
      teachers: arrays of the networks that it learns from, see `Teacher.probabilities`.
    """

    key: jax.Array
    learning_rate: jax.Array
    dropout_rate: jax.Array
    total_steps: jax.Array
    class_weight: jax.Array
    mean: jax.Array
    std: jax.Array
    teachers: tuple[dict, ...] = ()


@struct.dataclass
class Resident:
    """The dataset on the device, the same for all members.

    Attributes:
      frames: uint8 [clip, frame, height, width, channel], equalised.
      length, label: int32 [clip].
      target: float32 [clip, class], see `ClipSet`; None where there are no votes.
    """

    frames: Array
    length: Array
    label: Array
    target: Array | None = None

    @classmethod
    def of(cls, clips: ClipSet) -> 'Resident':
        """Takes from clips what a step needs."""
        return cls(
            clips.frames,
            clips.length.astype(np.int32),
            clips.label.astype(np.int32),
            clips.target,
        )


@struct.dataclass
class Batch:
    """One member's rows of one step; the frames are gathered on the device.

    Attributes:
      clip: int32 [row].
      affine: float32 [row, 2, 3].
      contrast: float32 [row].
      mask: bool [row], False where the row only fills the batch.
    """

    clip: Array
    affine: Array
    contrast: Array
    mask: Array


@struct.dataclass
class Sums:
    """Running sums of a training epoch; divided on the host.

    Attributes:
      loss: float32 [], sum over clips.
      correct, count: float32 [], clips.
    """

    loss: Array
    correct: Array
    count: Array

    @classmethod
    def zero(cls) -> 'Sums':
        """Makes the sums of no clips."""
        return cls(*(jnp.zeros((), jnp.float32) for _ in range(3)))
