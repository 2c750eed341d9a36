"""Temperature, calibration error, likelihoods and selective accuracy, on numbers known before."""

import dataclasses

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as reference

from fer_jax.evaluation import calibration, results
from fer_jax.evaluation.rules import choose


def drawn(temperature, clips=20_000, classes=5, seed=0):
    """Probabilities that are too sure by `temperature`, and labels drawn from the true ones."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(clips, classes))
    label = (softmax(logits, 1).cumsum(1) > rng.random((clips, 1))).argmax(1)
    return softmax(temperature * logits, 1).astype(np.float32), label


@pytest.mark.parametrize('temperature', [0.5, 1.0, 2.5])
def test_the_temperature_that_was_applied_is_found(temperature):
    probabilities, label = drawn(temperature)
    found = calibration.fit_temperature(probabilities, label)
    assert found == pytest.approx(temperature, rel=0.05)
    right = calibration.scaled(probabilities, found)
    np.testing.assert_allclose(right.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(right.argmax(1), probabilities.argmax(1))
    assert calibration.expected_calibration_error(right, label) < 0.02
    if temperature == 2.5:
        assert calibration.expected_calibration_error(probabilities, label) > 0.1


def test_errors_and_likelihoods_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    label = np.array([0, 1, 1, 1])
    # Bins: 0.9 twice with one right; 0.6 and 0.7, each right.
    expected = (2 * 0.4 + 0.4 + 0.3) / 4
    assert calibration.expected_calibration_error(probabilities, label) == pytest.approx(expected)
    assert calibration.negative_log_likelihood(probabilities, label) == pytest.approx(
        reference.log_loss(label, probabilities)
    )
    votes = np.array([[0.5, 0.5], [0, 0], [0, 1], [0.2, 0.8]])
    logs = np.log(probabilities)
    assert calibration.negative_log_likelihood(probabilities, votes) == pytest.approx(
        -np.mean([logs[0].mean(), logs[2, 1], 0.2 * logs[3, 0] + 0.8 * logs[3, 1]])
    )
    kept, accuracy = calibration.selective(probabilities, label)
    np.testing.assert_allclose(kept, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(accuracy, [1, 1 / 2, 2 / 3, 3 / 4])
    (half,) = calibration.kept(probabilities, label, (0.5,))
    assert half == {'kept': 0.5, 'accuracy': 0.5, 'threshold': 0.9}


def test_entropy_is_in_bits():
    assert calibration.entropy(np.full(8, 1 / 8)) == pytest.approx(3)
    assert calibration.entropy(np.array([1.0, 0, 0])) == pytest.approx(0, abs=1e-9)


def test_no_test_clip_changes_the_temperature(predictions):
    found = results.compute(predictions, draws=10)['val_best']['calibration']
    epoch = choose(predictions)['val_best']
    validation = predictions.at(epoch, part=1)
    # Each clip is a validation clip of one member here.
    expected = calibration.fit_temperature(validation.probabilities, validation.label)
    assert found['temperature'] == pytest.approx(expected, rel=1e-4)
    assert found['validation_clips'] == len(validation.clip)
    rng = np.random.default_rng(0)
    changed = predictions.probabilities.copy()
    tested = (predictions.part == 2)[:, None, :, None]
    noise = rng.dirichlet(np.ones(len(predictions.classes)), changed.shape[:3])
    changed = np.where(tested, noise.astype(np.float16), changed)
    other = results.compute(dataclasses.replace(predictions, probabilities=changed), draws=10)
    other = other['val_best']['calibration']
    assert other['temperature'] == found['temperature']
    assert other['raw']['error'] != found['raw']['error']


def test_a_clip_of_several_members_counts_once(make_predictions):
    predictions = make_predictions(folds=3, epochs=2, seeds=2)
    epoch = predictions.epochs - 1
    _, clips = calibration.temperature_of(predictions, epoch)
    assert clips == len(np.unique(predictions.at(epoch, part=1).clip))


def test_without_validation_clips_there_is_no_temperature(make_predictions):
    predictions = make_predictions(folds=3, epochs=2, validation=False)
    found = results.compute(predictions, draws=10)['last']['calibration']
    assert found['temperature'] is None and found['scaled'] is None
    assert found['raw']['votes_loss'] is None


def test_nested_has_the_temperature_of_the_members_that_chose(make_predictions):
    first = make_predictions(folds=3, epochs=2)
    own = ('probabilities', 'fold', 'seed', 'epochs', 'train_counts', 'duplicate')
    doubled = dataclasses.replace(
        first,
        part=np.concatenate([first.part, np.where(first.part == 1, 0, first.part)]),
        retrained=np.repeat([False, True], 3),
        failed=np.zeros(6, np.int32),
        **{name: np.concatenate([getattr(first, name)] * 2) for name in own},
    )
    found = results.compute(doubled, draws=10)
    expected = found['val_best']['calibration']['temperature']
    assert expected is not None
    assert found['nested']['calibration']['temperature'] == expected


def test_votes_are_compared_where_there_are_any(predictions):
    one_hot = np.eye(len(predictions.classes), dtype=np.float32)[predictions.label]
    voted = dataclasses.replace(predictions, target=one_hot)
    found = results.compute(voted, draws=10)['val_best']['calibration']['raw']
    assert found['votes_loss'] == pytest.approx(found['loss'])


def test_a_run_scales_what_each_network_says_and_not_their_mean(make_predictions):
    predictions = make_predictions(folds=3, epochs=2, seeds=4)
    epoch = choose(predictions)['val_best']
    found = results.compute(predictions, draws=10)['val_best']['calibration']['temperature']
    rows = predictions.at(epoch, part=1)
    assert found == calibration.fit_temperature(rows.probabilities, rows.label)
    of_the_mean, _ = calibration.temperature_of(predictions, epoch)
    assert found > 1.1 * of_the_mean  # a mean of several is less sure than each of them
