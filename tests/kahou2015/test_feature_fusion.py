"""The fusion network against NumPy, its training against PyTorch, and what it is for."""

import jax
import numpy as np
import pytest
import torch

from fer_jax.errors import UserError
from fer_jax.kahou2015.feature_fusion import ACTIVATIONS, FeatureFusion
from fer_jax.kahou2015.fusion_training import RECIPES, complete, train

NO_PENALTY = {'frobenius': 0.0, 'l21': 0.0, 'l1': 0.0, 'groups': 'hidden_units'}
PLAIN = {
    **RECIPES['stated'], 'seeds': (0, 1), 'epochs': 6, 'batch_size': 16, 'dropout_rate': 0.0,
    'penalty': NO_PENALTY,
}  # fmt: skip
SMALL = FeatureFusion(3, units=(4, 3), common=5)


def made_up(clips=50, seed=0):
    """Two modalities that each tell something of three classes."""
    rng = np.random.default_rng(seed)
    label = np.arange(clips) % 3
    features = [rng.normal(size=(clips, size)) for size in (6, 5)]
    features[0][:, 0] += label == 0
    features[1][:, 0] += label == 1
    return [rows.astype(np.float32) for rows in features], label


FIT, JUDGE = np.arange(30), np.arange(30, 45)

IN_FLOAT64 = {
    'sigmoid': lambda x: 1 / (1 + np.exp(-x)),
    'relu': lambda x: x * (x > 0),
    'rectified_tanh': lambda x: np.where(x > 0, np.tanh(x), 0),
}


@pytest.mark.parametrize('activation', ACTIVATIONS)
def test_forward_agrees_with_numpy(activation):
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(5, size)) for size in (105, 10, 200)]
    model = FeatureFusion(7, activation=activation)
    given = [rows.astype(np.float32) for rows in features]
    params = jax.jit(model.init)(jax.random.key(0), given)['params']
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 32_527
    # Biases other than their first value, 0, so that they are seen.
    params = jax.tree.map(lambda w: w + 0.1 * (w.ndim == 1), params)
    found = model.apply({'params': params}, given)

    layers = jax.tree.map(lambda w: np.asarray(w, np.float64), params)
    activate = IN_FLOAT64[activation]

    def dense(name, x):
        return x @ layers[name]['kernel'] + layers[name]['bias']

    own = [activate(dense(f'modality{i + 1}', rows)) for i, rows in enumerate(features)]
    assert [rows.shape[1] for rows in own] == [100, 10, 50]
    expected = dense('output', activate(dense('common', np.concatenate(own, 1))))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_dropout_drops_hidden_units_in_training_only():
    features, _ = made_up()
    params = jax.jit(SMALL.init)(jax.random.key(0), features)['params']

    def logits(**options):
        rngs = {'dropout': jax.random.key(1)}
        return SMALL.apply({'params': params}, features, rngs=rngs, **options)

    np.testing.assert_array_equal(logits(), logits(dropout_rate=0.5))
    np.testing.assert_array_equal(logits(), logits(train=True))
    assert np.any(logits() != logits(train=True, dropout_rate=0.5))
    # With nothing left, only the output's bias is.
    np.testing.assert_array_equal(logits(train=True, dropout_rate=1.0), 0)


@pytest.mark.parametrize('groups', ['hidden_units', 'fusion_rows'])
def test_training_agrees_with_torch(groups):
    features, label = made_up()
    weights = {'frobenius': 0.02, 'l21': 0.01, 'l1': 0.005}
    options = PLAIN | {
        'seeds': (4,), 'batch_size': 30, 'learning_rate': 0.3, 'momentum': 0.9, 'clip': 0.1,
        'penalty': weights | {'groups': groups},
    }  # fmt: skip
    found = train(SMALL, features, label, FIT, np.array([], int), **options)
    assert found.epoch.tolist() == [6]

    first, _ = jax.random.split(jax.random.key(4))
    start = jax.jit(SMALL.init)(first, [rows[:1] for rows in features])['params']
    params = jax.tree.map(lambda w: torch.tensor(np.array(w), requires_grad=True), start)
    leaves = [leaf for name in sorted(params) for leaf in params[name].values()]
    optimizer = torch.optim.SGD(leaves, lr=0.3, momentum=0.9)
    inputs, target = [torch.tensor(rows) for rows in features], torch.tensor(label)

    def dense(name, x):
        return x @ params[name]['kernel'] + params[name]['bias']

    def logits():
        own = [torch.sigmoid(dense(f'modality{i + 1}', rows)) for i, rows in enumerate(inputs)]
        return dense('output', torch.sigmoid(dense('common', torch.cat(own, 1))))

    kernels = [layer['kernel'] for layer in params.values()]
    grouped = [params[name]['kernel'].T for name in ('modality1', 'modality2')]
    grouped = [params['common']['kernel']] if groups == 'fusion_rows' else grouped
    history = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits()[FIT], target[FIT])
        loss = loss + weights['frobenius'] / 2 * sum(kernel.square().sum() for kernel in kernels)
        loss = loss + weights['l21'] * sum(matrix.norm(dim=1).sum() for matrix in grouped)
        loss = loss + weights['l1'] * sum(matrix.abs().sum() for matrix in grouped)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(leaves, 0.1)
        optimizer.step()
        history.append(torch.nn.functional.cross_entropy(logits()[FIT], target[FIT]).item())
    assert norm > 0.1  # the clip was at work
    np.testing.assert_allclose(found.history['train_loss'][0], history, rtol=1e-4)
    for name, layer in params.items():
        for kind, leaf in layer.items():
            ours = found.params[name][kind][0]
            np.testing.assert_allclose(ours, leaf.detach().numpy(), rtol=1e-3, atol=1e-4)
    probabilities = torch.softmax(logits(), 1).detach().numpy()
    np.testing.assert_allclose(found.probabilities[0], probabilities, rtol=1e-3)


def test_early_stopping_keeps_the_best_epoch_and_retraining_repeats_it():
    features, label = made_up()
    stopped = train(SMALL, features, label, FIT, JUDGE, **PLAIN)
    accuracy = stopped.history['validation_accuracy']
    assert accuracy.shape == (2, 6)
    np.testing.assert_array_equal(stopped.epoch, accuracy.argmax(1) + 1)
    judged = (stopped.probabilities[:, JUDGE].argmax(-1) == label[JUDGE]).mean(1)
    np.testing.assert_allclose(judged, accuracy.max(1))
    # Trained for the kept epochs without judging clips, the networks are the same.
    none = np.array([], int)
    kept = train(SMALL, features, label, FIT, none, stop_at=stopped.epoch, **PLAIN)
    np.testing.assert_array_equal(kept.epoch, stopped.epoch)
    np.testing.assert_allclose(kept.probabilities, stopped.probabilities, rtol=1e-5)
    assert np.isnan(kept.history['validation_accuracy']).all()
    np.testing.assert_array_equal(kept.clips, FIT)


def test_a_clip_that_lacks_a_modality_is_left_out():
    features, label = made_up()
    lacking = [3, 17, 31, 48]
    for clip in lacking:
        features[clip % 2][clip] = np.nan
    whole = complete(features)
    assert np.flatnonzero(~whole).tolist() == lacking
    found = train(SMALL, features, label, FIT, JUDGE, **PLAIN)
    assert np.isnan(found.probabilities).all(-1).sum() == 2 * len(lacking)
    assert np.isnan(found.probabilities[:, lacking]).all()
    assert not np.intersect1d(found.clips, lacking).size
    # As if those clips did not exist.
    number = np.cumsum(whole) - 1
    fit, judge = (number[part[whole[part]]] for part in (FIT, JUDGE))
    without = train(SMALL, [rows[whole] for rows in features], label[whole], fit, judge, **PLAIN)
    np.testing.assert_allclose(found.probabilities[:, whole], without.probabilities, rtol=1e-5)


def test_a_seed_is_the_same_alone_and_beside_others():
    features, label = made_up()
    options = PLAIN | {'dropout_rate': 0.3}
    both = train(SMALL, features, label, FIT, JUDGE, **options)
    alone = train(SMALL, features, label, FIT, JUDGE, **options | {'seeds': (1,)})
    np.testing.assert_allclose(both.probabilities[1], alone.probabilities[0], rtol=1e-4)
    assert np.abs(both.probabilities[0] - both.probabilities[1]).max() > 0.01


def test_a_network_is_trained_under_its_dropout():
    features, label = made_up()
    rates = [PLAIN | {'dropout_rate': rate} for rate in (0.0, 0.5)]
    plain, dropped = (train(SMALL, features, label, FIT, JUDGE, **options) for options in rates)
    kernels = [found.params['common']['kernel'] for found in (plain, dropped)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.001


def test_fusion_beats_each_modality():
    rng = np.random.default_rng(0)
    label = np.arange(300) % 4
    # One modality tells the class's first bit, one its second, one nothing.
    features = [rng.normal(size=(300, 8)).astype(np.float32) for _ in range(3)]
    features[0][:, :4] += 2.5 * (label // 2)[:, None]
    features[1][:, :4] += 2.5 * (label % 2)[:, None]
    fit, judge = np.arange(150), np.arange(150, 220)
    options = PLAIN | {'seeds': (0,), 'epochs': 150}

    def accuracy(units, given):
        found = train(FeatureFusion(4, units, 10), given, label, fit, judge, **options)
        return (found.probabilities[0, 220:].argmax(-1) == label[220:]).mean()

    alone = [accuracy((8,), [rows]) for rows in features]
    assert accuracy((8, 8, 8), features) > 0.85 > 0.6 > max(alone)


def test_a_mistake_is_one_sentence():
    features, label = made_up()
    nowhere = [np.full_like(features[0], np.nan), features[1]]
    unjudged = [features[0].copy(), features[1]]
    unjudged[0][JUDGE] = np.nan
    for change, message in (
        ({'features': nowhere}, 'no clip to train the fusion network on'),
        ({'label': np.zeros(50, int)}, 'the 30 clips .* are all of one class'),
        ({'fit': FIT[:1]}, 'the 1 clips .* are all of one class'),
        ({'features': unjudged}, 'none of the 15 clips'),
        ({'features': features[:1]}, 'layers for 2 modalities and is given 1'),
        ({'model': FeatureFusion(3, (4, 3), 5, 'relu'), 'learning_rate': 1e30}, 'diverged at'),
    ):
        given = {'model': SMALL, 'features': features, 'label': label, 'fit': FIT, 'judge': JUDGE}
        with pytest.raises(UserError, match=message):
            train(**given | PLAIN | change)
    with pytest.raises(ValueError, match='both to be trained on and to be judged by'):
        train(SMALL, features, label, FIT, FIT[-1:], **PLAIN)
    with pytest.raises(ValueError, match='epochs to keep'):
        train(SMALL, features, label, FIT, JUDGE, **PLAIN, stop_at=[1, 7])
