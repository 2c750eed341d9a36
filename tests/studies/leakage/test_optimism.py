"""The arithmetic of optimism on made-up results."""

import json

import numpy as np
import pytest

from fer_jax.evaluation import bootstrap
from fer_jax.studies.leakage import optimism
from fer_jax.studies.leakage.optimism import COMMON, FOLD, Way, choose, compute, summary_text


def test_a_choice_takes_the_most_right_then_the_lowest_loss():
    correct = np.array([[[3.0, 5.0, 5.0], [6.0, 1.0, 0.0]]])
    loss = np.array([[[1.0, 2.0, 1.5], [1.0, 1.0, 1.0]]])
    assert choose(correct, loss, FOLD).tolist() == [[2, 0]]
    assert choose(correct, loss, COMMON).tolist() == [[0, 0]]  # 9 of 6 + 3, 6, 5


def test_intervals_draw_subjects_and_seeds():
    rng = np.random.default_rng(0)
    way = Way('', False, rng.random((3, 20)) < 0.5, rng.integers(0, 5, 20))
    correct, total = optimism.counted(way, 5)
    drawn = optimism.drawn(correct, total, draws=50)
    subjects = np.concatenate(list(bootstrap.resampled(5, 50, bootstrap.SEED))).astype(int)
    seeds = np.concatenate(list(bootstrap.resampled(3, 50, bootstrap.SEED + 1))).astype(int)
    for value, of_subject, of_seed in zip(drawn, subjects, seeds, strict=True):
        items = np.concatenate(
            [np.flatnonzero(way.subject == s) for s, n in enumerate(of_subject) for _ in range(n)]
        )
        rows = np.repeat(np.arange(3), of_seed)
        assert value == pytest.approx(way.right[np.ix_(rows, items)].mean())


def test_optimism_is_leaking_minus_honest(outcomes, copies, design):
    values = compute(outcomes, copies, design, draws=200)
    by_key = {pair['key']: pair for pair in values['optimism']}
    divided = outcomes.divided.mean(2)
    original = outcomes.divided[..., copies.original].mean(2)
    for key, each in (
        ('copies', divided[0] - divided[1]),
        ('copies_originals', original[0] - original[1]),
        ('subjects', original[1] - original[2]),
        ('copies_subjects', divided[0] - divided[2]),
    ):
        assert by_key[key]['seeds'] == pytest.approx(each.tolist())
        assert by_key[key]['difference'] == pytest.approx(each.mean())
        assert by_key[key]['positive'] == (each > 0).sum()
        low, high = by_key[key]['interval']
        assert low < each.mean() < high


def test_the_best_on_the_test_is_never_below_another_choice(outcomes, copies, design):
    values = compute(outcomes, copies, design, draws=20)
    ways = values['ways']
    for what in ('epoch', 'setting', 'both'):
        best, common, honest = (
            np.array(ways[f'{what}_{rule}']['seeds'])
            for rule in ('test_fold', 'test_common', 'validation')
        )
        assert (best >= honest).all() and (best >= common).all()
    assert ways['both_test_fold']['accuracy'] >= ways['epoch_test_fold']['accuracy']
    # Each fold's best epoch, counted by hand.
    right = outcomes.right[:, design.reference]
    by_hand = [
        sum(right[seed][:, outcomes.fold[seed] == fold].sum(1).max() for fold in range(3))
        for seed in range(2)
    ]
    expected = np.array(by_hand) / right.shape[-1]
    assert ways['epoch_test_fold']['seeds'] == pytest.approx(expected.tolist())


def test_a_nil_optimism_is_reported_as_nil(outcomes, copies, design):
    right = np.ones_like(outcomes.right)
    alike = type(outcomes)(**(vars(outcomes) | {'right': right}))
    values = compute(alike, copies, design, draws=20)
    found = {p['key']: (p['difference'], p['interval']) for p in values['optimism']}
    assert found['epoch_fold'] == found['setting_common'] == (0.0, [0.0, 0.0])
    json.dumps(values, allow_nan=False)


def test_the_text_has_every_leak_and_fits_a_terminal(outcomes, copies, design):
    values = compute(outcomes, copies, design, draws=20)
    text = summary_text(values | {'stamps': ['SIMULATED FACES', 'LEAKS ON PURPOSE']})
    assert max(map(len, text.splitlines())) <= 79
    assert all(pair['title'] in text for pair in values['optimism'])
    assert text.startswith('*** SIMULATED FACES ***\n*** LEAKS ON PURPOSE ***')
