"""One member's initialisation, train step and evaluation step; populations map them, nothing else.

A system is the static part (model, loss, optimizer, inputs); what differs between members is
traced.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from fer_jax.errors import UserError
from fer_jax.ops import augment
from fer_jax.training import losses
from fer_jax.training.inputs import model_inputs
from fer_jax.training.optimizers import (
    SCHEDULE_OPTIONS,
    Averaged,
    evaluated_weights,
    make_optimizer,
    make_schedule,
    trained,
    wrap,
)
from fer_jax.training.state import Batch, PerMember, Resident, Sums, TrainState
from fer_jax.training.teacher import Teacher

TARGETS = ('labels', 'votes')


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
      targets: what the loss compares with: 'labels', or 'votes', the shares of the raters' votes.
      erase: probability that a training view loses a rectangle, see `augment.erase`.
      mixup: alpha of `augment.mix`; 0: training views are not mixed.
      teachers: networks whose mean probabilities of a training view are part of its target.
      teachers_share: their part of it, 0 to 1; the rest is the label's, or the votes'.
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
    targets: str = 'labels'
    erase: float = 0.0
    mixup: float = 0.0
    teachers: Sequence[Teacher] = ()
    teachers_share: float = 1.0
    mirrored: bool = False

    @property
    def frozen(self) -> Sequence[str]:
        """Names of the parameters' first level that no step changes, nor their batch statistics.

        They are what the model calls `frozen`: groups that it takes from another run and, in
        training too, runs as in evaluation.
        """
        return getattr(self.model, 'frozen', ())

    @property
    def _keep(self) -> float:
        """Share of the parameters' running average that a step keeps; 0 where there is none."""
        return self.optimizer.get('average', 0.0)

    def init(self, per_member: PerMember, resident: Resident) -> TrainState:
        """Makes fresh parameters of one member."""
        clip = jnp.zeros((1,), jnp.int32)
        frames = self._frames(resident, clip, None, per_member)
        length = resident.length[clip]
        fresh = self.model.init(
            per_member.key, frames, mask=None, length=length, train=False, dropout_rate=None
        )
        variables: dict[str, Any] = dict(fresh)
        params = wrap(variables['params'], self.optimizer.get('lookahead', False))
        batch_stats = variables.get('batch_stats', {})
        opt_state = self._transformation(per_member).init(params)
        if self._keep:
            params, batch_stats = (wrap(x, False, average=True) for x in (params, batch_stats))
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            batch_stats=batch_stats,
            opt_state=opt_state,
        )

    def train_step(
        self, state: TrainState, sums: Sums, per_member: PerMember, resident: Resident, batch: Batch
    ) -> tuple[TrainState, Sums]:
        """Takes a step on a batch; one without a single row leaves the whole state unchanged."""
        view = batch.affine, batch.contrast
        frames = self._frames(resident, batch.clip, view, per_member)
        label, length = resident.label[batch.clip], resident.length[batch.clip]
        target = self._target(resident, batch.clip)
        if self.teachers:
            target = losses.distribution(target, len(per_member.class_weight))
            taught = self._teachers_probabilities(resident, batch.clip, view, per_member)
            target = (1 - self.teachers_share) * target + self.teachers_share * taught
        key = jax.random.fold_in(per_member.key, state.step)
        if self.erase:
            frames = augment.erase(frames, jax.random.fold_in(key, 1), self.erase)
        if self.mixup:
            target = losses.distribution(target, len(per_member.class_weight))
            mixing, rows = jax.random.fold_in(key, 2), jnp.asarray(batch.mask)
            frames, target = augment.mix(frames, target, rows, mixing, self.mixup)

        def loss_of(params):
            params = self._with_frozen(params, jax.lax.stop_gradient(params))
            logits, mutated = self.model.apply(
                {'params': params, 'batch_stats': trained(state.batch_stats)},
                frames,
                mask=batch.mask,
                length=length,
                train=True,
                dropout_rate=per_member.dropout_rate,
                rngs={'dropout': key},
                mutable=['batch_stats'],
            )
            loss = losses.loss_of_kind(self.loss)(
                logits, target, batch.mask, per_member.class_weight, self.label_smoothing
            )
            if self.l2:
                loss += self.l2 * losses.l2_penalty(params, self.l2_layers)
            return loss, (logits, mutated.get('batch_stats', {}))

        gradient = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (logits, batch_stats)), gradients = gradient(trained(state.params))
        # state.params has three forms: a plain tree; LookaheadParams, which optax steps whole;
        # Averaged, of which the optimizer sees `own` alone.
        before, statistics_before = state.params, state.batch_stats
        own = before.own if isinstance(before, Averaged) else before
        updates, opt_state = self._transformation(per_member).update(
            gradients, state.opt_state, own
        )
        params = optax.apply_updates(own, updates)
        batch_stats = self._with_frozen(batch_stats, trained(statistics_before))
        if isinstance(before, Averaged):
            params = before.after(params, state.step, self._keep)
        if isinstance(statistics_before, Averaged):
            batch_stats = statistics_before.after(batch_stats, state.step, self._keep)
        stepped = TrainState(
            step=state.step + 1, params=params, batch_stats=batch_stats, opt_state=opt_state
        )
        count = jnp.sum(batch.mask, dtype=jnp.float32)
        stepped = jax.tree.map(lambda new, old: jnp.where(count > 0, new, old), stepped, state)
        correct = jnp.sum((logits.argmax(-1) == label) & batch.mask, dtype=jnp.float32)
        return stepped, Sums(sums.loss + loss * count, sums.correct + correct, sums.count + count)

    def probabilities(self, network: Mapping, frames: jax.Array, length: jax.Array) -> jax.Array:
        """Computes class probabilities float32 [clip, class], of mirrored frames too if they count.

        Args:
          network: {'params', 'batch_stats'} that predict.
          frames: float32 [clip, frame, ...] as the network sees them.
          length: int32 [clip], frames before padding.
        """

        def softmax_of(frames):
            logits = self.model.apply(
                network, frames, mask=None, length=length, train=False, dropout_rate=None
            )
            return jax.nn.softmax(jnp.asarray(logits))

        if self.mirrored:
            return (softmax_of(frames) + softmax_of(frames[..., ::-1, :])) / 2
        return softmax_of(frames)

    def evaluate_step(
        self, state: TrainState, per_member: PerMember, resident: Resident, clip: jax.Array
    ) -> jax.Array:
        """Computes class probabilities of clips as they are: float32 [clip, class]."""
        network = {
            'params': evaluated_weights(state.params),
            'batch_stats': evaluated_weights(state.batch_stats),
        }
        frames = self._frames(resident, clip, None, per_member)
        return self.probabilities(network, frames, resident.length[clip])

    def learning_rate(self, state: TrainState, per_member: PerMember) -> jax.Array:
        """Returns the rate that the member's last step took, or its first will: float32 []."""
        options = {key: self.optimizer[key] for key in SCHEDULE_OPTIONS if key in self.optimizer}
        schedule = make_schedule(per_member.learning_rate, per_member.total_steps, **options)
        return schedule(jnp.maximum(state.step - 1, 0))

    def _target(self, resident, clip):
        """Labels int32 [clip], or distributions float32 [clip, class] where votes are taken."""
        if self.targets == 'labels':
            return resident.label[clip]
        if self.targets != 'votes':
            raise UserError(f"unknown loss.targets '{self.targets}': one of {', '.join(TARGETS)}")
        if resident.target is None:
            raise UserError(
                "loss.targets is 'votes', and these labels are not decided by votes: give labels "
                'that are, such as --config.data.labels=ferplus8 of fer2013, or loss.targets=labels'
            )
        return resident.target[clip]

    def _teachers_probabilities(self, resident, clip, view, per_member):
        """Averages the teachers' probabilities of views: float32 [clip, class]."""
        given = resident.frames[clip], view, resident.length[clip]
        each = [
            teacher.probabilities(arrays, *given)
            for teacher, arrays in zip(self.teachers, per_member.teachers, strict=True)
        ]
        return jax.lax.stop_gradient(sum(each) / len(each))

    def _with_frozen(self, tree, other):
        """Replaces the frozen groups of `tree` by those of `other`."""
        return {name: (other if name in self.frozen else tree)[name] for name in tree}

    def _frames(self, resident, clip, view, per_member):
        return model_inputs(
            resident.frames[clip], view, per_member.mean, per_member.std, **self.inputs
        )

    def _transformation(self, per_member):
        return make_optimizer(
            per_member.learning_rate, per_member.total_steps, **self.optimizer, frozen=self.frozen
        )
