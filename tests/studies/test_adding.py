"""The adding problem: its sequences against NumPy, and a short one learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.models.rnn import RNN
from fer_jax.studies import adding, adding_page
from fer_jax.studies.adding import AddingDesign

SHORT = AddingDesign(
    length=10, units=32, batch_size=32, learning_rate=1e-2, steps=1500, every=500, tested=1000
)


def test_targets_are_the_sums_of_the_marked_numbers():
    frames, target = (np.asarray(x) for x in adding.draw(jax.random.key(0), 4000, 7))
    assert frames.shape == (4000, 7, 2) and frames.dtype == target.dtype == np.float32
    value, mark = frames[..., 0].astype(np.float64), frames[..., 1]
    np.testing.assert_allclose(target, (value * mark).sum(1), rtol=1e-6)
    assert value.min() >= 0 and value.max() < 1 and abs(value.mean() - 0.5) < 0.01
    assert set(np.unique(mark)) == {0, 1} and (mark.sum(1) == 2).all()
    # All 21 pairs of places about equally often: 190 times, 5 standard deviations are 67.
    pairs, counts = np.unique(mark, axis=0, return_counts=True)
    assert len(pairs) == 21 and abs(counts - 4000 / 21).max() < 67


def test_saying_the_mean_costs_a_sixth():
    _, target = adding.draw(jax.random.key(1), 20_000, 150)
    target = np.asarray(target, np.float64)
    # 5 standard errors of the mean of (y - 1)^2, whose own variance is 7/180.
    assert abs(((target - 1) ** 2).mean() - adding.MEAN_ERROR) < 5 * (7 / 180 / 20_000) ** 0.5


@pytest.fixture(scope='module')
def learned():
    """The test errors of both networks on sequences of ten."""
    return {name: adding.train(SHORT, name, 0) for name in adding.NETWORKS}


def test_a_short_problem_is_learned(learned):
    for name, errors in learned.items():
        assert errors.shape == (4,), name
        assert errors[-1] < 0.1 * adding.MEAN_ERROR, name


def test_the_first_error_is_that_of_the_start(learned):
    model = RNN(1, SHORT.units, 'relu')
    params = model.init(jax.random.key(0), jnp.zeros((1, 10, 2)))
    frames, target = adding.draw(jax.random.key(adding.TEST_KEY), SHORT.tested, 10)
    said = np.asarray(model.apply(params, frames))[:, 0]
    error = ((said.astype(np.float64) - np.asarray(target)) ** 2).mean()
    np.testing.assert_allclose(learned['irnn'][0], error, rtol=1e-5)


def test_steps_are_the_same_however_they_are_divided():
    whole, halves = (
        adding.train(AddingDesign(length=5, units=4, steps=20, every=every, tested=50), 'tanh', 0)
        for every in (20, 10)
    )
    np.testing.assert_allclose(halves[::2], whole, rtol=1e-5)


def test_results_say_from_where_on_it_is_solved():
    design = AddingDesign(steps=30, every=10)
    errors = {
        'irnn': np.array([[0.2, 0.005, 0.02, 0.002], [0.2, 0.009, 0.008, 0.007]]),
        'tanh': np.array([[0.2, 0.1, 0.1, 0.05], [0.2, 0.1, 0.005, 0.01]]),
    }
    values = adding.compute(design, errors)
    assert values['steps'] == [0, 10, 20, 30]
    assert values['networks']['irnn']['first'] == [30, 10]
    assert values['networks']['tanh']['first'] == [None, None]
    assert values['networks']['irnn']['median'] == pytest.approx(0.0045)
    text = adding.summary_text(values, design)
    assert text.count('never') == 2 and max(map(len, text.splitlines())) <= 79
    drawing = adding_page.figure(values, design.length)
    rows = drawing.csv.splitlines()
    assert rows[0] == 'network,seed,step,error' and len(rows) == 17 and 'irnn,1,20,0.008' in rows
    assert '<svg' in drawing.svg and 'saying the mean: 0.167' in drawing.svg


def test_a_network_that_diverges_is_said_in_one_line():
    wild = AddingDesign(length=20, units=8, learning_rate=1e8, steps=20, every=10, tested=10)
    with pytest.raises(UserError, match='the IRNN of seed 0 diverged before step') as caught:
        adding.train(wild, 'irnn', 0)
    assert '\n' not in str(caught.value)
