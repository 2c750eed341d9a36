"""The decision search against plain loops, a planted optimum, and silent models."""

import jax
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.kahou2015 import decision_fusion
from fer_jax.kahou2015.decision_fusion import combine, right, search, search_subsets, spreads

FEW = {'draws': 150, 'schedule': spreads(stop=0.1)}


def made_up(models=3, clips=60, classes=4, seed=0):
    """Probabilities of models that each know a little, [model, clip, class], and labels [clip]."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, clips)
    logits = rng.normal(size=(models, clips, classes))
    logits[:, np.arange(clips), label] += 0.8
    probabilities = np.exp(logits)
    return probabilities / probabilities.sum(-1, keepdims=True), label


def scores_by_loops(weights, probabilities):
    """The module's rule, one clip, one class and one model at a time."""
    models, clips, classes = probabilities.shape
    scores = np.full((clips, classes), np.nan)
    for clip in range(clips):
        speak = [m for m in range(models) if not np.isnan(probabilities[m, clip, 0])]
        for k in range(classes if speak else 0):
            total = sum(weights[m, k] for m in speak)
            scores[clip, k] = sum(
                (weights[m, k] / total if total else 1 / len(speak)) * probabilities[m, clip, k]
                for m in speak
            )
    return scores


@pytest.fixture
def silent():
    """Made-up probabilities; the first model lacks 5 clips, the second 4, and all of them 2."""
    probabilities, label = made_up()
    probabilities[0, :5] = np.nan
    probabilities[1, 3:7] = np.nan
    probabilities[:, 20:22] = np.nan
    return probabilities, label


def test_the_papers_schedule_has_81_rounds():
    rounds = spreads()
    assert len(rounds) == 81 and len(rounds) * decision_fusion.DRAWS == 8_100_000
    assert rounds[0] == 0.5 and rounds[-1] >= 1e-4 > 0.9 * rounds[-1]
    np.testing.assert_allclose(rounds[1:] / rounds[:-1], 0.9)


def test_combining_agrees_with_loops(silent):
    probabilities, _ = silent
    weights = np.random.default_rng(1).dirichlet(np.ones(3), 4).T
    weights[:, 2] = 1, 0, 0  # where the first model is silent, the others share equally
    found = combine(weights, probabilities)
    expected = scores_by_loops(weights, probabilities)
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isnan(found).any(1).tolist() == [clip in (20, 21) for clip in range(60)]


def test_equal_weights_average():
    probabilities, _ = made_up()
    found = combine(np.full((3, 4), 1 / 3), probabilities)
    np.testing.assert_allclose(found, probabilities.mean(0), rtol=1e-12)


def test_all_scores_zero_are_equal():
    probabilities = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_array_equal(combine(np.array([[0, 1], [1, 0]]), probabilities), [[0.5, 0.5]])


@pytest.mark.parametrize('local', decision_fusion.LOCAL)
def test_the_search_equals_one_draw_after_another(local, monkeypatch, silent):
    monkeypatch.setattr(decision_fusion, '_BLOCK', 16)  # so that a round has several blocks
    probabilities, label = silent
    schedule, draws = np.array([0.5, 0.2, 0.05]), 44
    found = search(probabilities, label, seed=3, local=local, draws=draws, schedule=schedule)

    weights, best, course, improved = np.zeros((3, 4), np.float32), -1, [], []
    for number, spread in enumerate([None, *schedule.astype(np.float32)]):
        own = jax.random.fold_in(jax.random.key(3), number)
        times = 0
        for draw in range(draws):
            block, index = divmod(draw, 16)
            key = jax.random.fold_in(own, block)
            if spread is None:
                drawn = np.asarray(jax.random.uniform(key, (3, 4, 16)))[..., index]
            elif local == 'gaussian':
                drawn = (
                    weights + spread * np.asarray(jax.random.normal(key, (3, 4, 16)))[..., index]
                )
            else:
                noise = np.asarray(jax.random.uniform(key, (3, 4, 16), minval=-1.0))[..., index]
                drawn = weights + spread * noise
            drawn = np.maximum(drawn, 0)
            total = drawn.sum(0)
            drawn = np.where(total > 0, drawn / np.where(total > 0, total, 1), 1 / 3)
            scores = scores_by_loops(drawn, probabilities)
            correct = sum(
                not np.isnan(scores[clip, 0]) and int(scores[clip].argmax()) == label[clip]
                for clip in range(60)
            )
            if correct > best:
                weights, best, times = drawn, correct, times + 1
        course.append(best)
        improved.append(times)
    assert found.correct.tolist() == course and found.improvements.tolist() == improved
    np.testing.assert_allclose(found.weights, weights, rtol=1e-5, atol=1e-6)
    assert found.clips == 60 and found.accuracy == best / 60
    # What the search counted is what its weights do.
    assert right(combine(found.weights, probabilities), label).sum() == best


def test_a_planted_optimum_is_found():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, 120)
    # Model k alone knows class k; of the others it knows nothing.
    probabilities = rng.uniform(0, 0.4, (4, 120, 4))
    for k in range(4):
        probabilities[k, :, k] = np.where(label == k, 0.3, 0.1)
    probabilities /= probabilities.sum(-1, keepdims=True)
    planted = right(combine(np.eye(4), probabilities), label).mean()
    average = right(combine(np.full((4, 4), 1 / 4), probabilities), label).mean()
    found = search(probabilities, label, seed=0, draws=2000, schedule=spreads(stop=0.05))
    assert found.accuracy >= planted > average + 0.2
    # The first round alone does not get there; the local rounds do.
    assert found.correct[0] < found.correct[-1]
    assert found.weights.argmax(0).tolist() == [0, 1, 2, 3]


def test_accuracy_never_falls_and_a_seed_repeats_it():
    probabilities, label = made_up()
    first, again, other = (search(probabilities, label, seed=s, **FEW) for s in (0, 0, 1))
    assert (np.diff(first.correct) >= 0).all() and np.isnan(first.spread[0])
    assert len(first.spread) == len(first.correct) == len(FEW['schedule']) + 1
    np.testing.assert_array_equal(first.weights, again.weights)
    assert (first.weights != other.weights).any()
    assert (first.weights >= 0).all()
    np.testing.assert_allclose(first.weights.sum(0), 1)


def test_subsets():
    probabilities, label = made_up()
    found = search_subsets(probabilities, label, seed=0, **FEW)
    assert list(found) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    for model in range(3):
        alone = found[(model,)]
        np.testing.assert_array_equal(alone.weights, np.ones((1, 4)))
        assert alone.correct[-1] == (probabilities[model].argmax(-1) == label).sum()
    for choice, result in found.items():
        again = right(combine(result.weights, probabilities[list(choice)]), label).sum()
        assert result.correct[-1] == again
    everyone = search(probabilities, label, seed=0, **FEW)
    np.testing.assert_array_equal(found[(0, 1, 2)].weights, everyone.weights)
    assert everyone.correct[-1] > max(found[(model,)].correct[-1] for model in range(3))


def test_a_choice_is_searched_as_if_there_were_no_other_models():
    probabilities, label = made_up(models=4)
    probabilities[1, :20], probabilities[[0, 2], 15:30] = np.nan, np.nan
    found = search(probabilities, label, seed=0, chosen=(0, 2), **FEW)
    assert found.weights.shape == (2, 4)
    np.testing.assert_allclose(found.weights.sum(0), 1)
    # 15 clips of which neither speaks are errors, whatever the others say of them.
    again = right(combine(found.weights, probabilities[[0, 2]]), label)
    assert found.correct[-1] == again.sum() and not again[15:30].any()
    alone = search(probabilities[[0, 2]], label, seed=1, **FEW)
    assert abs(found.correct[-1] - alone.correct[-1]) <= 2  # other draws of the same search


def test_a_clip_without_any_prediction_is_an_error():
    probabilities, label = made_up()
    probabilities[:, :10] = np.nan
    found = search(probabilities, label, seed=0, **FEW)
    without = search(probabilities[:, 10:], label[10:], seed=0, **FEW)
    assert found.correct.tolist() == without.correct.tolist()
    assert (found.clips, without.clips) == (60, 50)
    assert not right(combine(found.weights, probabilities), label)[:10].any()


def test_one_clip():
    probabilities, label = made_up(clips=1)
    assert search(probabilities, label, seed=0, **FEW).clips == 1


def test_a_mistake_is_one_sentence():
    probabilities, label = made_up()
    for change, message in (
        ({'probabilities': probabilities[:, :0], 'label': label[:0]}, 'no clips to search'),
        ({'label': np.where(label == 0, -1, label)}, 'have no label'),
        ({'label': np.zeros(60, int)}, 'all 60 clips .* of one class'),
    ):
        given = {'probabilities': probabilities, 'label': label, 'seed': 0, **FEW, **change}
        with pytest.raises(UserError, match=message):
            search(**given)
    with pytest.raises(UserError, match='never ends'):
        spreads(factor=1.0)
    probabilities[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match='NaN in part'):
        search(probabilities, label, seed=0, **FEW)
