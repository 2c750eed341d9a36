"""A trained network that others learn from: what it says of a training view becomes a target."""

import dataclasses
from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from fer_jax.training.inputs import model_inputs


@dataclasses.dataclass(frozen=True)
class Teacher:
    """The static part of a teacher; its arrays belong to a member (`PerMember.teachers`).

    Attributes:
      module: called as a System's model.
      inputs: keywords of `model_inputs`, as the network was trained.
      columns: of its classes, those that are the student's, in the student's order.
    """

    module: nn.Module
    inputs: Mapping
    columns: Sequence[int]

    def probabilities(
        self,
        arrays: Mapping,
        frames: jax.Array,
        view: tuple[jax.Array, jax.Array],
        length: jax.Array,
    ) -> jax.Array:
        """Computes what the network says of views, in evaluation.

        Args:
          arrays: 'params', 'batch_stats', and 'mean' and 'std' of its inputs.
          frames, view: as of `model_inputs`.
          length: int32 [clip], frames before padding.

        Returns:
          float32 [clip, class], shares of the student's classes, which sum to 1.
        """
        seen = model_inputs(frames, view, arrays['mean'], arrays['std'], **self.inputs)
        network = {'params': arrays['params'], 'batch_stats': arrays['batch_stats']}
        logits = self.module.apply(
            network, seen, mask=None, length=length, train=False, dropout_rate=None
        )
        return jax.nn.softmax(jnp.asarray(logits)[:, jnp.array(self.columns)])
