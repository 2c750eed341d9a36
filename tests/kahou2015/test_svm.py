"""The grid search and its probabilities against scikit-learn's parts, used one by one."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.metrics.pairwise import chi2_kernel
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fer_jax.errors import UserError
from fer_jax.kahou2015 import svm


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


def test_unscaled_values_keep_their_variances():
    """A direction of hardly any variance counts for nothing, until it is scaled up."""
    rng = np.random.default_rng(0)
    label = np.arange(80) % 2
    features = rng.standard_normal((80, 2)) * (1.0, 1e-3)
    features[:, 1] += 2e-3 * label
    scores = {scale: svm.fit(features, label, scale=scale).accuracy for scale in (False, True)}
    assert scores[False] < 0.65 < 0.75 < scores[True]


@pytest.mark.parametrize('scale', [False, True])
def test_a_linear_machine_suits_many_values(scale):
    """More values than clips, a few of which tell the class: any number, any unit."""
    rng = np.random.default_rng(0)
    label = np.arange(90) % 3
    features = rng.standard_normal((180, 600))
    features[:, :30] += np.eye(3)[np.tile(label, 2)].repeat(10, 1)
    features *= 50.0
    machine = svm.fit(features[:90], label, kernel='linear', scale=scale)
    assert machine.gamma == 0 and machine.accuracy > 0.6
    said = machine.probabilities(features[90:], 3)
    assert (said.argmax(1) == label).mean() > 0.6
    np.testing.assert_allclose(said.sum(1), 1)


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


@pytest.mark.parametrize('kinds', [2, 3])
def test_a_machine_says_what_scikit_learn_does_and_is_kept_as_arrays(kinds, tmp_path, monkeypatch):
    features, label = drawn(120, 0.9, 4)
    kept = label <= (0, 2, 3)[kinds - 1]
    others, _ = drawn(90, 0.9, 5)
    calibrations = []

    class Watched(svm.CalibratedClassifierCV):
        def fit(self, *given):
            calibrations.append(self)
            return super().fit(*given)

    monkeypatch.setattr(svm, 'CalibratedClassifierCV', Watched)
    monkeypatch.setattr(svm, 'PENALTIES', (2.0,))
    histograms = np.abs(features) / 100
    for found, given in (
        (svm.fit(features[kept], label[kept]), others),
        (svm.fit_chi2(histograms[kept], label[kept], penalty=3.0), np.abs(others) / 100),
    ):
        expected = calibrations.pop(0).predict_proba(given)
        assert expected.shape == (90, kinds) and expected.std() > 0.1
        probabilities = found.probabilities(given, 4)
        np.testing.assert_allclose(probabilities[:, found.classes], expected, atol=1e-9)
        np.savez(tmp_path / 'machine.npz', **found.arrays())
        with np.load(tmp_path / 'machine.npz', allow_pickle=False) as saved:
            again = svm.Machine.load(dict(saved))
        np.testing.assert_array_equal(again.probabilities(given, 4), probabilities)
        assert (again.penalty, again.gamma) == (found.penalty, found.gamma)


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


@pytest.mark.parametrize('kinds', [2, 3, 4])
def test_a_class_that_one_person_shows_divides_people_inside(monkeypatch, capsys, kinds):
    monkeypatch.setattr(svm, 'PENALTIES', (1.0,))
    monkeypatch.setattr(svm, 'GAMMAS', (0.1,))
    rng = np.random.default_rng(0)
    label = np.arange(24 * kinds) % kinds
    people = np.array([f'S{i // kinds % 8}' for i in range(len(label))])
    subject = np.where(label == kinds - 1, 'S0', people)
    features = rng.normal(size=(len(label), 4)) + 3 * np.eye(4)[label]
    histograms = np.abs(features)
    for found, known in (
        (svm.fit(features, label), svm.fit(features, label, subject)),
        (
            svm.fit_chi2(histograms, label, penalty=1.0),
            svm.fit_chi2(histograms, label, subject, penalty=1.0),
        ),
    ):
        assert known.sharpness == found.sharpness
    assert capsys.readouterr().out.count('inner folds divide people') == 2


def bags(n, seed):
    """Histograms of three classes, each with words of its own beside common ones; some words 0."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    rates = np.linspace(0.2, 1.5, 12) + 1.2 * (np.arange(12) // 2 == kind[:, None])
    counts = rng.poisson(4 * rates).astype(float)
    counts[:, 11] = 0
    return counts / counts.sum(1, keepdims=True), np.array([0, 2, 3])[kind]


def chi2(x, y):
    """The sum of (x - y)^2 / (x + y) over words that either has, float64 [row of x, row of y]."""
    above, below = (x[:, None] - y[None]) ** 2, x[:, None] + y[None]
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0).sum(-1)


def test_the_chi_squared_machine_decides_as_one_on_a_kernel_by_hand():
    histograms, label = bags(90, 0)
    others, truth = bags(60, 1)
    machine = svm.fit_chi2(histograms, label, penalty=3.0)
    distance = chi2(histograms, histograms)
    gamma = 1 / distance[np.triu_indices(90, 1)].mean()
    assert machine.gamma == pytest.approx(gamma) and machine.penalty == 3.0
    kernel = np.exp(-gamma * distance)
    np.testing.assert_allclose(kernel, chi2_kernel(histograms, gamma=gamma), rtol=1e-12)
    fitted = SVC(C=3.0, kernel='precomputed', break_ties=True).fit(kernel, label)
    said = fitted.predict(np.exp(-gamma * chi2(others, histograms)))
    probabilities = machine.probabilities(others, 5)
    np.testing.assert_array_equal(probabilities.argmax(1), said)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (probabilities[:, [1, 4]] == 0).all()
    right = (said == truth).mean()
    assert right > 0.7 and abs(probabilities.max(1).mean() - right) < 0.15
    inner = StratifiedKFold(5, shuffle=True, random_state=0)
    accuracies = []
    for train, test in inner.split(histograms, label):
        fitted.fit(kernel[np.ix_(train, train)], label[train])
        accuracies.append((fitted.predict(kernel[np.ix_(test, train)]) == label[test]).mean())
    assert machine.accuracy == pytest.approx(np.mean(accuracies))


def test_histograms_that_are_all_alike_are_no_error():
    machine = svm.fit_chi2(np.full((8, 3), 1 / 3), np.arange(8) % 2, penalty=1.0)
    assert machine.gamma == 1
    np.testing.assert_allclose(machine.probabilities(np.full((1, 3), 1 / 3), 2), 0.5, atol=0.1)


@pytest.mark.parametrize('label', [[1, 1, 1, 1], [0, 0, 0, 1]])
def test_too_few_clips_are_refused(label):
    with pytest.raises(UserError, match='two training clips at least'):
        svm.fit(np.zeros((4, 2)), np.array(label))
    with pytest.raises(UserError, match='two training clips at least'):
        svm.fit_chi2(np.ones((4, 2)), np.array(label), penalty=1.0)
