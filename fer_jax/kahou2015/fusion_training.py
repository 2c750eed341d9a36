"""Training of the feature fusion network: all seeds and all epochs in one compiled program."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fer_jax.errors import UserError
from fer_jax.kahou2015 import regularisers
from fer_jax.kahou2015.feature_fusion import FeatureFusion
from fer_jax.training.losses import cross_entropy

# kahou2015: 'stated' is sec. 5.1's, whose learning curves oscillate; 'stable' is sec. 6.2's.
RECIPES: dict[str, dict[str, float]] = {
    'stated': {'learning_rate': 0.1, 'momentum': 0.0, 'clip': 10.0},
    'stable': {'learning_rate': 0.001, 'momentum': 0.9, 'clip': 10.0},
}


@dataclasses.dataclass(frozen=True)
class Fusion:
    """A trained fusion network, once for each seed.

    Attributes:
      probabilities: float32 [seed, clip, class], NaN for clips that lack a modality.
      epoch: int64 [seed], the epoch whose network is kept, from 1.
      history: 'train_loss', 'train_accuracy', 'validation_loss' and 'validation_accuracy', each
        float32 [seed, epoch]: cross-entropy in nats without the penalty, and the share of clips,
        after each epoch, without dropout; validation is NaN without judging clips.
      params: the kept networks', leaves float32 [seed, ...].
      clips: int [n], the clips trained on.
    """

    probabilities: np.ndarray
    epoch: np.ndarray
    history: Mapping[str, np.ndarray]
    params: Any
    clips: np.ndarray


def complete(features: Sequence[np.ndarray]) -> np.ndarray:
    """Marks the clips that have all modalities: bool [clip], False where a row holds NaN.

    The paper says nothing of clips without a face or without sound. Here they are left out of
    training and judging and get no prediction; the decision fusion goes on without one.

    Args:
      features: of each modality, float [clip, feature].
    """
    return np.all([np.isfinite(rows).all(1) for rows in features], axis=0)


def standardised(features: Sequence[np.ndarray], fit: np.ndarray) -> list[np.ndarray]:
    """Scales each value of each modality by its mean and deviation over some clips.

    Args:
      features: of each modality, float [clip, feature]; a row of NaN is a missing modality.
      fit: int [n], the clips to train on.

    Returns:
      The same shapes; a value without deviation becomes 0.
    """
    found = []
    for rows in features:
        seen = rows[fit][np.isfinite(rows[fit]).all(1)]
        deviation = seen.std(0)
        found.append((rows - seen.mean(0)) / np.where(deviation > 0, deviation, np.inf))
    return found


def train(
    model: FeatureFusion,
    features: Sequence[np.ndarray],
    label: np.ndarray,
    fit: np.ndarray,
    judge: np.ndarray,
    *,
    seeds: Sequence[int],
    epochs: int,
    batch_size: int,
    learning_rate: float,
    momentum: float,
    clip: float,
    dropout_rate: float,
    penalty: Mapping[str, Any],
    stop_at: np.ndarray | None = None,
) -> Fusion:
    """Trains the network by gradient descent, from each seed.

    Kept is the epoch of the highest accuracy on the judging clips, the first of equals; the epoch
    that `stop_at` names where it is given (kahou2015, sec. 6.3, retrains on both partitions with
    the epochs kept); else the last.

    Args:
      model: its units fit `features`.
      features: of each modality, float [clip, feature]; a row of NaN is a missing modality.
      label: int [clip], 0 to K - 1; -1 for clips without one, which are only predicted.
      fit: int [n], the clips to train on.
      judge: int [n], the clips to stop early by, none of `fit`; empty where there are none.
      seeds: of the first weights, the order of clips and dropout.
      epochs: to train for.
      batch_size: clips a step; the last batch of an epoch may be smaller.
      learning_rate, momentum, clip: of SGD, e.g. of RECIPES; `clip` is the largest norm of all
        gradients together.
      dropout_rate: of the hidden layers.
      penalty: keywords of `regularisers.penalty`.
      stop_at: int [seed], the epochs to keep, from 1.

    Raises:
      UserError: no clips to train on or to judge by that have all modalities and a label, training
        clips of one class only, or a training that diverged.
      ValueError: a clip both to train on and to judge by; epochs to keep that are not trained.
    """
    has_all = complete(features)
    fit, judge = np.asarray(fit, np.int64), np.asarray(judge, np.int64)
    if np.intersect1d(fit, judge).size:
        raise ValueError('clips are both to be trained on and to be judged by')
    asked = len(judge)
    fit, judge = (part[has_all[part] & (label[part] >= 0)] for part in (fit, judge))
    _check(label, fit, judge, asked)
    if stop_at is None:
        stop_at = np.full(len(seeds), 0 if asked else epochs)
    elif len(stop_at) != len(seeds) or not (1 <= min(stop_at) and max(stop_at) <= epochs):
        raise ValueError(f'epochs to keep {list(stop_at)} for {len(seeds)} seeds of {epochs}')
    weights = dict(penalty)
    params, epoch, history, probabilities = _train(
        jax.vmap(jax.random.key)(jnp.asarray(seeds)),
        jnp.asarray(stop_at, jnp.int32),
        tuple(np.where(np.isfinite(rows), rows, 0).astype(np.float32) for rows in features),
        jnp.asarray(np.maximum(label, 0), jnp.int32),
        jnp.asarray(fit),
        jnp.asarray(judge),
        {'learning_rate': learning_rate, 'momentum': momentum, 'clip': clip,
         'dropout_rate': dropout_rate},
        {name: weights[name] for name in weights if name != 'groups'},
        model=model,
        epochs=epochs,
        batch_size=min(batch_size, len(fit)),
        groups=weights['groups'],
    )  # fmt: skip
    probabilities = np.array(probabilities)
    if not np.isfinite(probabilities[:, has_all]).all():
        raise UserError(
            f'the fusion network diverged at learning rate {learning_rate}: lower it, or its clip'
        )
    probabilities[:, ~has_all] = np.nan
    return Fusion(
        probabilities=probabilities,
        epoch=np.asarray(epoch, np.int64),
        history={name: np.asarray(values) for name, values in history.items()},
        params=jax.tree.map(np.asarray, params),
        clips=fit,
    )


def _check(label: np.ndarray, fit: np.ndarray, judge: np.ndarray, asked: int) -> None:
    if not len(fit):
        raise UserError(
            'no clip to train the fusion network on has a label and all modalities: look at what '
            'the preparation found (faces, sound), or fuse fewer modalities'
        )
    if len(np.unique(label[fit])) == 1:
        raise UserError(
            f'the {len(fit)} clips to train the fusion network on are all of one class: give clips '
            'of two classes or more'
        )
    if asked and not len(judge):
        raise UserError(
            f'none of the {asked} clips that the fusion network is to be stopped by has a label '
            'and all modalities: judge by another partition, or fuse fewer modalities'
        )


@functools.partial(jax.jit, static_argnames=('model', 'epochs', 'batch_size', 'groups'))
def _train(
    keys, stop_at, features, label, fit, judge, sgd, weights, *, model, epochs, batch_size, groups
):
    """Trains and returns parameters, epoch, history and probabilities, each with leading [seed]."""
    steps = -(-len(fit) // batch_size)
    surplus = steps * batch_size - len(fit)
    mask = (jnp.arange(steps * batch_size) < len(fit)).reshape(steps, batch_size)
    optimizer = optax.chain(
        optax.clip_by_global_norm(sgd['clip']),
        optax.sgd(sgd['learning_rate'], momentum=sgd['momentum']),
    )

    def loss_of(params, clips, mask, key):
        logits = model.apply(
            {'params': params},
            [rows[clips] for rows in features],
            train=True,
            dropout_rate=sgd['dropout_rate'],
            rngs={'dropout': key},
        )
        loss = cross_entropy(logits, label[clips], mask, jnp.ones(model.num_classes))
        return loss + regularisers.penalty(params, **weights, groups=groups)

    def loss_and_accuracy(params, clips):
        logits = model.apply({'params': params}, [rows[clips] for rows in features])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, label[clips])
        correct = (logits.argmax(-1) == label[clips]) & jnp.isfinite(loss)
        return loss.mean(), correct.mean()

    def one_seed(key, stop):
        first, key = jax.random.split(key)
        params = model.init(first, [rows[:1] for rows in features])['params']

        def step(carry, inputs):
            params, state = carry
            gradients = jax.grad(loss_of)(params, *inputs)
            updates, state = optimizer.update(gradients, state)
            return (optax.apply_updates(params, updates), state), None

        def epoch(carry, number):
            params, state, kept, chosen, best = carry
            shuffle, drop = jax.random.split(jax.random.fold_in(key, number))
            clips = jnp.pad(jax.random.permutation(shuffle, fit), (0, surplus))
            batches = clips.reshape(steps, batch_size), mask, jax.random.split(drop, steps)
            (params, state), _ = jax.lax.scan(step, (params, state), batches)
            train_loss, train_accuracy = loss_and_accuracy(params, fit)
            loss, accuracy = loss_and_accuracy(params, judge)
            take = jnp.where(stop > 0, number == stop, accuracy > best)
            kept = jax.tree.map(lambda a, b: jnp.where(take, a, b), params, kept)
            chosen, best = jnp.where(take, number, chosen), jnp.where(take, accuracy, best)
            history = {
                'train_loss': train_loss,
                'train_accuracy': train_accuracy,
                'validation_loss': loss,
                'validation_accuracy': accuracy,
            }
            return (params, state, kept, chosen, best), history

        start = params, optimizer.init(params), params, jnp.int32(0), jnp.float32(-1)
        end, history = jax.lax.scan(epoch, start, jnp.arange(1, epochs + 1))
        _, _, kept, chosen, _ = end
        return kept, chosen, history, jax.nn.softmax(model.apply({'params': kept}, features))

    return jax.vmap(one_seed)(keys, stop_at)
