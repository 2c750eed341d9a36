"""The grid search and its probabilities against scikit-learn's parts, used one by one."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fer_jax.errors import UserError
from fer_jax.multimodal import svm


def drawn(n, spread, seed):
    """Three classes on two rings: no line divides them. Labels 0, 2 and 3."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    angle, radius = rng.uniform(0, 2 * np.pi, n), 1 + 2 * kind + rng.normal(0, spread, n)
    features = np.stack([radius * np.cos(angle), 40 + 9 * radius * np.sin(angle)], 1)
    return features, np.array([0, 2, 3])[kind]


@pytest.fixture(scope='module')
def machine(monkeypatch_module):
    features, label = drawn(120, 0.6, 0)
    return svm.fit(features, label, seed=3)


@pytest.fixture(scope='module')
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(svm, 'PENALTIES', (0.125, 2.0, 32.0))
        patch.setattr(svm, 'GAMMAS', (2.0**-7, 2.0**-1))
        yield patch


def test_the_chosen_machine_is_the_best_of_the_inner_folds(machine):
    features, label = drawn(120, 0.6, 0)
    inner = StratifiedKFold(5, shuffle=True, random_state=3)
    scores = {}
    for penalty in (0.125, 2.0, 32.0):
        for gamma in (2.0**-7, 2.0**-1):
            accuracies = []
            for train, test in inner.split(features, label):
                scaler = StandardScaler().fit(features[train])
                fitted = SVC(C=penalty, gamma=gamma, break_ties=True).fit(
                    scaler.transform(features[train]), label[train]
                )
                said = fitted.predict(scaler.transform(features[test]))
                accuracies.append(accuracy_score(label[test], said))
            scores[penalty, gamma] = np.mean(accuracies)
    best = max(scores, key=scores.get)
    assert (machine.penalty, machine.gamma) == best
    assert machine.accuracy == pytest.approx(scores[best])
    assert scores[best] > 0.8 > min(scores.values())


def test_probabilities_decide_as_the_machine_does(machine):
    features, label = drawn(120, 0.6, 0)
    others, truth = drawn(90, 0.6, 1)
    scaler = StandardScaler().fit(features)
    fitted = SVC(C=machine.penalty, gamma=machine.gamma, break_ties=True)
    fitted.fit(scaler.transform(features), label)
    probabilities = machine.probabilities(others, 5)
    assert probabilities.shape == (90, 5)
    np.testing.assert_array_equal(probabilities.argmax(1), fitted.predict(scaler.transform(others)))
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (probabilities[:, [1, 4]] == 0).all() and (probabilities[:, [0, 2, 3]] > 0).all()
    # One temperature, fitted on inner folds: how sure it is is about how often it is right.
    right = (probabilities.argmax(1) == truth).mean()
    assert abs(probabilities.max(1).mean() - right) < 0.12


def test_subjects_are_kept_apart_inside(monkeypatch_module, monkeypatch):
    features, label = drawn(60, 0.6, 2)
    subject = np.array([f'S{i // 3}' for i in range(60)])
    seen = []

    class Watched(svm.StratifiedGroupKFold):
        def split(self, *args):
            for train, test in super().split(*args):
                seen.append(set(subject[train]) & set(subject[test]))
                yield train, test

    monkeypatch.setattr(svm, 'StratifiedGroupKFold', Watched)
    svm.fit(features, label, subject)
    assert seen == [set()] * 5
    svm.fit(features, label, np.full(60, ''))
    assert len(seen) == 5


@pytest.mark.parametrize('label', [[1, 1, 1, 1], [0, 0, 0, 1]])
def test_too_few_clips_are_refused(label):
    with pytest.raises(UserError, match='two training clips at least'):
        svm.fit(np.zeros((4, 2)), np.array(label))
