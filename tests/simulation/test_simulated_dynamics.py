"""Expressions and their courses: prototypes, order, pace, and what time tells beyond the apex."""

import numpy as np
import pytest

from fer_jax.simulation.people import dynamics, expressions, geometry, identity
from fer_jax.simulation.people.pose import Pose, project
from fer_jax.simulation.people.units import EMOTIONS, INDEX, UNITS
from fer_jax.simulation.releases import roster

PEOPLE = [identity.sample(np.random.default_rng(k)) for k in range(40)]


def show(emotion, who, seed, frames=24):
    rng = np.random.default_rng(seed)
    shown = expressions.sample(emotion, who, rng, np.random.default_rng(seed + 1))
    return shown, dynamics.perform(who, shown, frames, rng)


def half_way(emotion, unit):
    """When a unit is half way to its apex, as fractions of the sequence, one for each person."""
    found = []
    for k, who in enumerate(PEOPLE):
        shown, motion = show(emotion, who, 10 * k, frames=60)
        if shown.apex[:, INDEX[unit]].max() < 0.15:
            continue
        course = motion.actions[:, :, INDEX[unit]].mean(1)
        change = np.abs(course - course[0])
        found.append((change >= 0.5 * change[-1]).argmax() / 59)
    return np.array(found)


@pytest.mark.parametrize('emotion', EMOTIONS[1:])
def test_prototypes_hold_their_core_units(emotion):
    core = [INDEX[u] for u in expressions.CORE[emotion]]
    apex = np.stack([show(emotion, who, k)[0].apex.max(0) for k, who in enumerate(PEOPLE)])
    assert (apex[:, core].mean(0) > 0.15).all()
    named = {*expressions.CORE[emotion], *expressions.OPTIONAL[emotion]}
    rest = [INDEX[u] for u in UNITS if u not in named]
    assert apex[:, rest].mean() < 0.05 < apex[:, core].mean()


def test_contempt_shows_on_one_side():
    apex = np.stack([show('contempt', who, k)[0].apex for k, who in enumerate(PEOPLE)])
    dimple = apex[:, :, INDEX[14]]
    assert (dimple.min(1) < 0.5 * dimple.max(1)).all()
    assert 0.2 < (dimple[:, 0] > dimple[:, 1]).mean() < 0.8


def test_strength_and_style_differ_between_people():
    apex = np.stack([show('happiness', who, k)[0].apex.max(0) for k, who in enumerate(PEOPLE)])
    smile = apex[:, INDEX[12]]
    assert smile.std() > 0.12 and 0.25 < (apex[:, INDEX[25]] > 0.1).mean() < 0.98


def test_sequences_run_from_rest_to_apex():
    for k, emotion in enumerate(EMOTIONS[1:]):
        shown, motion = show(emotion, PEOPLE[k], k)
        blink = INDEX[45]
        still = np.delete(motion.actions, blink, 2)
        np.testing.assert_allclose(still[0], np.delete(PEOPLE[k].rest, blink, 1), atol=1e-6)
        full = np.delete(expressions.combine(PEOPLE[k].rest, shown.apex), blink, 1)
        assert np.abs(still[-1] - full).max() < 0.12
        assert (motion.actions[-3:, :, blink] == 0).all()
        assert np.abs(np.diff(motion.angles, axis=0)).max() < 0.06


def test_order_of_onset_differs_between_emotions():
    assert np.median(half_way('fear', 1)) + 0.15 < np.median(half_way('fear', 20))
    assert np.median(half_way('anger', 4)) + 0.15 < np.median(half_way('anger', 23))
    assert np.median(half_way('happiness', 12)) + 0.1 < np.median(half_way('happiness', 6))
    assert np.median(half_way('disgust', 9)) + 0.1 < np.median(half_way('disgust', 4))
    assert abs(np.median(half_way('surprise', 1)) - np.median(half_way('surprise', 26))) < 0.1


def test_sadness_is_slower_than_surprise():
    def rise(emotion, unit):
        spans = []
        for k, who in enumerate(PEOPLE):
            _, motion = show(emotion, who, k, frames=100)
            course = motion.actions[:, :, INDEX[unit]].mean(1)
            change = np.abs(course - course[0])
            spans.append(((change > 0.1 * change[-1]) & (change < 0.9 * change[-1])).sum())
        return np.median(spans)

    assert rise('sadness', 1) > 2 * rise('surprise', 1)
    assert dynamics.PACE['sadness'] > dynamics.PACE['surprise']


def test_some_sequences_hold_a_blink():
    blinks = [
        show('sadness', who, k)[1].actions[:, 0, INDEX[45]].max() for k, who in enumerate(PEOPLE)
    ]
    assert 0.15 < (np.array(blinks) > 0.9).mean() < 0.95


def _clips(frames=8):
    """Landmarks as a good tracker sees them [N, T, 136], labels, subjects of the full roster."""
    clips, labels, subjects = [], [], []
    for sequence in roster.plan(None, 0, False):
        who = identity.sample(np.random.default_rng([0, 11, sequence.index]))
        rng = np.random.default_rng([1, sequence.index, sequence.number])
        habit = np.random.default_rng([2, sequence.index, EMOTIONS.index(sequence.emotion)])
        shown = expressions.sample(sequence.emotion, who, rng, habit)
        motion = dynamics.perform(who, shown, frames, rng)
        points = np.stack(
            [
                project(who, geometry.build(who, a).landmarks, Pose(*angles, x=0, y=0, scale=1))
                for a, angles in zip(motion.actions, motion.angles, strict=True)
            ]
        )
        points = points - points.mean(1, keepdims=True) + rng.normal(0, 0.02, points.shape)
        clips.append(points.reshape(frames, -1))
        labels.append(sequence.emotion)
        subjects.append(sequence.index)
    return np.stack(clips), np.array(labels), np.array(subjects)


def _accuracy(features, labels, subjects):
    """Subject-independent accuracy of ridge regression on class indicators, in five folds."""
    x = features.reshape(len(features), -1)
    x = np.c_[(x - x.mean(0)) / x.std(0), np.ones(len(x))]
    y = (labels[:, None] == np.unique(labels)).astype(float)
    right = 0
    for fold in range(5):
        test = subjects % 5 == fold
        gram = x[~test].T @ x[~test] + 300 * np.eye(x.shape[1])
        guess = (x[test] @ np.linalg.solve(gram, x[~test].T @ y[~test])).argmax(1)
        right += (guess == y[test].argmax(1)).sum()
    return right / len(x)


def test_time_tells_what_the_apex_does_not():
    """To a linear classifier the change tells more than the apex, the ordered course most."""
    clips, *known = _clips()
    order = [np.r_[0, 1 + np.random.default_rng(k).permutation(7)] for k in range(len(clips))]
    disorder = np.stack([clip[o] for clip, o in zip(clips, order, strict=True)])
    apex = _accuracy(clips[:, -1], *known)
    change = _accuracy(clips[:, -1] - clips[:, 0], *known)
    ordered = _accuracy(clips[:, 1:] - clips[:, :1], *known)
    disordered = _accuracy(disorder[:, 1:] - disorder[:, :1], *known)
    assert change > apex + 0.03
    assert ordered > change + 0.03
    assert ordered > disordered + 0.03
    assert apex > 0.5
