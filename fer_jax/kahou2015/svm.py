"""The support vector machines of kahou2015: RBF kernel by grid search, chi-squared kernel.

The first is that of sec. 2.3 and 3, the second that of the activity model (sec. 4). A linear kernel
in place of the first is not in the paper.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from joblib import parallel_config
from scipy import special
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics.pairwise import additive_chi2_kernel, chi2_kernel, pairwise_kernels
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fer_jax.errors import UserError
from fer_jax.host import cores

# The paper does not give its grid: here the inner part of that of Hsu et al. 2003, whose C lies in
# 2^-5 to 2^15 and whose gamma lies in 2^-15 to 2^3.
PENALTIES = tuple(2.0**power for power in range(-3, 10, 2))
GAMMAS = tuple(2.0**power for power in range(-13, 0, 2))
# C of the linear kernel times the sum of the values' variances, so that it suits any number of
# them: about 2^-14 to 2^-6 for 1,582 of deviation 1.
LINEAR_PENALTIES = tuple(2.0**power for power in range(-3, 6, 2))
KERNELS = ('rbf', 'linear')
FOLDS = 5


@dataclasses.dataclass(frozen=True)
class Machine:
    """A fitted machine: the arrays by which it predicts.

    Attributes:
      kernel: one of KERNELS, or chi2.
      penalty, gamma: C and the kernel's, 0 where it has none.
      accuracy: mean over the inner folds, in 0..1; where a grid was searched, of the best.
      classes: int [known], the classes that it was shown.
      center, spread: float64 [value], or [] for all, by which features are scaled.
      vectors: float64 [vector, value], the support vectors, scaled, class after class.
      counts: int [known], support vectors of each class.
      weights: float64 [known - 1, vector], scikit-learn's `dual_coef_`.
      intercepts: float64 [pair], of each two classes.
      sharpness: inverse of the temperature.
    """

    kernel: str
    penalty: float
    gamma: float
    accuracy: float
    classes: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    vectors: np.ndarray
    counts: np.ndarray
    weights: np.ndarray
    intercepts: np.ndarray
    sharpness: float

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray]) -> 'Machine':
        """Makes the machine of which these are the `arrays`."""
        scalars = ('kernel', 'penalty', 'gamma', 'accuracy', 'sharpness')
        values: dict[str, Any] = {
            name: array.item() if name in scalars else array for name, array in arrays.items()
        }
        return cls(**values)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all of it as arrays, by the attributes' names."""
        return {name: np.asarray(value) for name, value in vars(self).items()}

    def probabilities(self, features: np.ndarray, num_classes: int) -> np.ndarray:
        """Computes float64 [clip, num_classes]; 0 for a class that it was not shown.

        Args:
          features: float [clip, value].
        """
        scaled = (features - self.center) / self.spread
        kernel = pairwise_kernels(
            scaled, self.vectors, self.kernel, filter_params=True, gamma=self.gamma
        )
        out = np.zeros((len(features), num_classes))
        out[:, self.classes] = special.softmax(self.sharpness * self._decisions(kernel), axis=1)
        return out

    def _decisions(self, kernel: np.ndarray) -> np.ndarray:
        """Computes each class's decision value as SVC.decision_function does, [clip, known].

        Of two classes these are the pair's value and its negative. Of more they are a class's votes
        among its pairs and, below a third of a vote, its summed values there.

        Args:
          kernel: float64 [clip, vector].
        """
        known = len(self.classes)
        if known == 2:
            value = kernel @ self.weights[0] + self.intercepts[0]
            return np.stack([-value, value], axis=1)
        ends = np.cumsum(self.counts)
        own = [slice(end - count, end) for end, count in zip(ends, self.counts, strict=True)]
        votes, total = np.zeros((2, len(kernel), known))
        pairs = itertools.combinations(range(known), 2)
        for (one, other), intercept in zip(pairs, self.intercepts, strict=True):
            value = kernel[:, own[one]] @ self.weights[other - 1, own[one]]
            value += kernel[:, own[other]] @ self.weights[one, own[other]] + intercept
            votes[:, one] += value >= 0
            votes[:, other] += value < 0
            total[:, one] += value
            total[:, other] -= value
        return votes + total / (3 * (np.abs(total) + 1))


def fit(
    features: np.ndarray,
    label: np.ndarray,
    subject: np.ndarray | None = None,
    *,
    kernel: str = 'rbf',
    scale: bool = True,
    seed: int = 0,
) -> Machine:
    """Chooses C and gamma by cross-validation inside the clips given, and fits on all of them.

    Probabilities are the softmax of the machine's decision values over one temperature, fitted on
    the inner folds (Guo et al. 2017): what the machine decides stays first. The search runs on all
    cores.

    Args:
      features: float [clip, value], of training clips only.
      label: int [clip].
      subject: str [clip]; where all are known, no subject is on two sides of an inner fold, unless
        its training part would lack a class (one person alone shows it).
      kernel: one of KERNELS; a linear one has no gamma (`Machine.gamma` is 0).
      scale: each value is scaled to mean 0 and deviation 1, inside each inner fold. Of principal
        components that undoes the order of their variances: it whitens them.
      seed: of the inner folds.

    Raises:
      UserError: fewer than two classes, or a class with a single clip.
    """
    classes, label, inner = _inner_folds(label, subject, seed)
    machine = SVC(kernel=kernel, break_ties=True)
    if kernel == 'linear':
        size = len(features.T) if scale else features.var(0).sum()
        grid = {'svc__C': [penalty / max(size, 1e-12) for penalty in LINEAR_PENALTIES]}
    else:
        grid = {'svc__C': PENALTIES, 'svc__gamma': GAMMAS}
    search = GridSearchCV(
        make_pipeline(*([StandardScaler()] if scale else []), machine), grid, cv=inner
    )
    # Threads: libsvm leaves the interpreter's lock, and processes would import for seconds.
    with parallel_config(backend='threading', n_jobs=cores()):
        search.fit(features, label)
        fitted, sharpness = _calibrated(search.best_estimator_, inner, features, label)
    best = {'svc__gamma': 0.0} | search.best_params_
    machine = fitted[-1]
    return Machine(
        kernel=kernel,
        penalty=best['svc__C'],
        gamma=best['svc__gamma'],
        accuracy=float(search.best_score_),
        classes=classes,
        center=fitted[0].mean_ if scale else np.zeros(()),
        spread=fitted[0].scale_ if scale else np.ones(()),
        vectors=machine.support_vectors_,
        counts=machine.n_support_,
        weights=machine.dual_coef_,
        intercepts=machine.intercept_,
        sharpness=sharpness,
    )


def fit_chi2(
    histograms: np.ndarray,
    label: np.ndarray,
    subject: np.ndarray | None = None,
    *,
    penalty: float,
    seed: int = 0,
) -> Machine:
    """Fits a machine with the kernel exp(-gamma chi2) on the clips given, probabilities as `fit`.

    chi2 is the sum over words of (x - y)^2 / (x + y), and gamma the inverse of its mean over pairs
    of the clips (Zhang et al. 2007).

    Args:
      histograms: float [clip, word] of at least 0, of training clips only.
      label, subject, seed: as of `fit`.
      penalty: C.

    Raises:
      UserError: as of `fit`.
    """
    classes, label, inner = _inner_folds(label, subject, seed)
    distance = -additive_chi2_kernel(histograms)
    mean = distance[np.triu_indices(len(distance), 1)].mean()
    gamma = 1 / mean if mean > 0 else 1.0  # clips that are all alike
    kernel = functools.partial(chi2_kernel, gamma=gamma)
    machine = SVC(C=penalty, kernel=kernel, break_ties=True)
    accuracy = cross_val_score(machine, histograms, label, cv=inner).mean()
    machine, sharpness = _calibrated(machine, inner, histograms, label)
    return Machine(
        kernel='chi2',
        penalty=penalty,
        gamma=gamma,
        accuracy=accuracy,
        classes=classes,
        center=np.zeros(()),
        spread=np.ones(()),
        vectors=histograms[machine.support_],  # which a kernel of ours does not keep
        counts=machine.n_support_,
        weights=machine.dual_coef_,
        intercepts=machine.intercept_,
        sharpness=sharpness,
    )


def _inner_folds(
    label: np.ndarray, subject: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Splits the clips into inner folds: classes int [known], class indices [clip], folds."""
    # The temperature's fit takes labels for columns: they must be 0, 1, ... without a gap.
    classes, label, counts = np.unique(label, return_inverse=True, return_counts=True)
    folds = min(FOLDS, counts.min())
    if len(counts) < 2 or folds < 2:
        raise UserError(
            'an SVM needs two training clips at least of each of two classes or more; the fewest '
            f'here are {counts.min()}, of {len(counts)} classes'
        )
    known = subject is not None and len(np.unique(subject)) > folds and (subject != '').all()
    how = {'n_splits': folds, 'shuffle': True, 'random_state': seed}
    if known:
        apart = list(StratifiedGroupKFold(**how).split(label, label, subject))
        if all(len(np.unique(label[train])) == len(classes) for train, _ in apart):
            return classes, label, apart
        print('inner folds divide people: too few show some class to keep them apart', flush=True)
    return classes, label, list(StratifiedKFold(**how).split(label, label))


def _calibrated(
    machine: Any, inner: list, features: np.ndarray, label: np.ndarray
) -> tuple[Any, float]:
    """Fits a machine, and the inverse temperature of its probabilities on the inner folds."""
    whole = CalibratedClassifierCV(machine, method='temperature', cv=inner, ensemble=False)
    (fitted,) = whole.fit(features, label).calibrated_classifiers_
    return fitted.estimator, float(fitted.calibrators[0].beta_)
