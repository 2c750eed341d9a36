"""One member's initialisation, train step and evaluation step; populations map them, nothing else.

A system is the static part (model, loss, optimizer, inputs); what differs between members is
traced.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from fer_jax.training import losses
from fer_jax.training.inputs import model_inputs
from fer_jax.training.optimizers import (
    SCHEDULE_OPTIONS,
    make_optimizer,
    make_schedule,
    slow_weights,
    trained,
    wrap,
)
from fer_jax.training.state import Batch, PerMember, Resident, Sums, TrainState


@dataclasses.dataclass(frozen=True)
class System:
    """The static part of a run: one compiled program serves every member of it.

    Attributes:
      model: called as model(frames, mask=, length=, train=, dropout_rate=) -> logits [clip, class].
      optimizer: keywords of `make_optimizer`.
      inputs: keywords of `model_inputs`.
      loss: its kind, see `losses.loss_of_kind`.
      l2: weight of the penalty on `l2_layers`.
      label_smoothing: of the loss, see `losses.cross_entropy`.
      mirrored: clips are judged by the mean of the probabilities of their frames and of the frames
        flipped horizontally.
    """

    model: nn.Module
    optimizer: Mapping
    inputs: Mapping
    loss: str = 'cross_entropy'
    l2: float = 0.0
    l2_layers: Sequence[str] = ()
    label_smoothing: float = 0.0
    mirrored: bool = False

    @property
    def frozen(self) -> Sequence[str]:
        """Names of the parameters' first level that no step changes, nor their batch statistics.

        They are what the model calls `frozen`: groups that it takes from another run and, in
        training too, runs as in evaluation.
        """
        return getattr(self.model, 'frozen', ())

    def init(self, per_member: PerMember, resident: Resident) -> TrainState:
        """Fresh parameters of one member."""
        clip = jnp.zeros((1,), jnp.int32)
        frames = self._frames(resident, clip, None, per_member)
        length = resident.length[clip]
        variables = self.model.init(
            per_member.key, frames, mask=None, length=length, train=False, dropout_rate=None
        )
        params = wrap(variables['params'], self.optimizer.get('lookahead', False))
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            batch_stats=variables.get('batch_stats', {}),
            opt_state=self._transformation(per_member).init(params),
        )

    def train_step(
        self, state: TrainState, sums: Sums, per_member: PerMember, resident: Resident, batch: Batch
    ) -> tuple[TrainState, Sums]:
        """One step on one batch; a batch without a single row leaves the whole state unchanged."""
        frames = self._frames(resident, batch.clip, (batch.affine, batch.contrast), per_member)
        label, length = resident.label[batch.clip], resident.length[batch.clip]

        def loss_of(params):
            params = self._with_frozen(params, jax.lax.stop_gradient(params))
            logits, mutated = self.model.apply(
                {'params': params, 'batch_stats': state.batch_stats},
                frames,
                mask=batch.mask,
                length=length,
                train=True,
                dropout_rate=per_member.dropout_rate,
                rngs={'dropout': jax.random.fold_in(per_member.key, state.step)},
                mutable=['batch_stats'],
            )
            loss = losses.loss_of_kind(self.loss)(
                logits, label, batch.mask, per_member.class_weight, self.label_smoothing
            )
            if self.l2:
                loss += self.l2 * losses.l2_penalty(params, self.l2_layers)
            return loss, (logits, mutated.get('batch_stats', {}))

        gradient = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (logits, batch_stats)), gradients = gradient(trained(state.params))
        updates, opt_state = self._transformation(per_member).update(
            gradients, state.opt_state, state.params
        )
        new = TrainState(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            batch_stats=self._with_frozen(batch_stats, state.batch_stats),
            opt_state=opt_state,
        )
        count = jnp.sum(batch.mask, dtype=jnp.float32)
        new = jax.tree.map(lambda after, before: jnp.where(count > 0, after, before), new, state)
        correct = jnp.sum((logits.argmax(-1) == label) & batch.mask, dtype=jnp.float32)
        return new, Sums(sums.loss + loss * count, sums.correct + correct, sums.count + count)

    def probabilities(self, network: Mapping, frames: jax.Array, length: jax.Array) -> jax.Array:
        """Class probabilities float32 [clip, class], of mirrored frames too where they count.

        Args:
          network: {'params', 'batch_stats'} that predict.
          frames: float32 [clip, frame, ...] as the network sees them.
          length: int32 [clip], frames before padding.
        """

        def softmax_of(frames):
            logits = self.model.apply(
                network, frames, mask=None, length=length, train=False, dropout_rate=None
            )
            return jax.nn.softmax(logits)

        if self.mirrored:
            return (softmax_of(frames) + softmax_of(frames[..., ::-1, :])) / 2
        return softmax_of(frames)

    def evaluate_step(
        self, state: TrainState, per_member: PerMember, resident: Resident, clip: jax.Array
    ) -> jax.Array:
        """Class probabilities of clips as they are: float32 [clip, class]."""
        network = {'params': slow_weights(state.params), 'batch_stats': state.batch_stats}
        frames = self._frames(resident, clip, None, per_member)
        return self.probabilities(network, frames, resident.length[clip])

    def learning_rate(self, state: TrainState, per_member: PerMember) -> jax.Array:
        """The rate of the member's next step, float32 []."""
        options = {key: self.optimizer[key] for key in SCHEDULE_OPTIONS if key in self.optimizer}
        return make_schedule(per_member.learning_rate, per_member.total_steps, **options)(
            state.step
        )

    def _with_frozen(self, tree, other):
        """`tree` with the frozen groups of `other`."""
        return {name: (other if name in self.frozen else tree)[name] for name in tree}

    def _frames(self, resident, clip, view, per_member):
        return model_inputs(
            resident.frames[clip], view, per_member.mean, per_member.std, **self.inputs
        )

    def _transformation(self, per_member):
        return make_optimizer(
            per_member.learning_rate, per_member.total_steps, **self.optimizer, frozen=self.frozen
        )
