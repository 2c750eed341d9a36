"""Judges if probabilities mean what they say: temperature, calibration error, who may be left out.

A temperature T makes probabilities p**(1/T), normalised: of one network's softmax that is its
logits divided by T (Guo et al. 2017, arXiv 1706.04599). It is fitted on validation clips, never on
test clips, and changes no label.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from fer_jax.evaluation.predictions import VALIDATION, Predictions, Rows
from fer_jax.evaluation.rules import SMALLEST

# Equal widths of the highest probability, as Guo et al. take them.
BINS = 15
# Shares of the clips, the surest first, that `selective` gives accuracies of.
KEPT = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
# A highest probability below it is called uncertain.
UNCERTAIN = 0.4
# Where a temperature is looked for.
LOWEST, HIGHEST = 0.05, 20.0


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Applies a temperature to probabilities [..., class]; 1 leaves them as they are.

    Returns:
      Of the same shape and type; each row sums to 1.
    """
    if temperature == 1:
        return probabilities
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST)) / temperature
    return scipy.special.softmax(logits, -1).astype(probabilities.dtype)


def fit_temperature(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Finds the temperature of least negative log-likelihood.

    Args:
      probabilities: float [clip, class] of validation clips.
      label: int [clip].
    """

    def cost(log_temperature: float) -> float:
        return negative_log_likelihood(scaled(probabilities, np.exp(log_temperature)), label)

    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    found: Any = scipy.optimize.minimize_scalar(cost, bounds=bounds, method='bounded')
    return float(np.exp(found.x))


def negative_log_likelihood(probabilities: np.ndarray, target: np.ndarray) -> float:
    """Averages the cross-entropy in nats; NaN of no clips.

    Args:
      probabilities: float [clip, class].
      target: int [clip], labels; or float [clip, class], the raters' shares: clips whose shares
        are all 0 do not count.
    """
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))
    if target.ndim == 1:
        losses = -logs[np.arange(len(target)), target]
    else:
        voted = target.any(1)
        losses = -(target[voted] * logs[voted]).sum(1)
    return float(losses.mean()) if len(losses) else float('nan')


def bins(probabilities: np.ndarray, label: np.ndarray, count: int = BINS) -> dict[str, np.ndarray]:
    """Groups clips by their highest probability into `count` bins of equal width over 0..1.

    Returns:
      n int [bin]; confidence and accuracy float [bin], the means of each bin, NaN where it is
      empty.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == label
    number = np.clip(np.ceil(confidence * count).astype(int) - 1, 0, count - 1)
    n = np.bincount(number, minlength=count)
    divisor = np.where(n, n, np.nan)
    means = (np.bincount(number, each, minlength=count) / divisor for each in (confidence, right))
    return dict(zip(('n', 'confidence', 'accuracy'), (n, *means), strict=True))


def expected_calibration_error(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Averages over clips how far their bin's accuracy lies from its mean highest probability."""
    found = bins(probabilities, label)
    gaps = np.abs(found['confidence'] - found['accuracy'])
    return float(np.nansum(gaps * found['n']) / found['n'].sum())


def selective(probabilities: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes accuracy when only the surest clips are judged.

    Returns:
      Shares of clips that are kept, ascending to 1, and the accuracy on them: float [clip] each.
    """
    order = np.argsort(-probabilities.max(1), kind='stable')
    right = (probabilities.argmax(1) == label)[order]
    kept = np.arange(1, len(right) + 1)
    return kept / len(right), np.cumsum(right) / kept


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Computes the entropy in bits of probabilities [..., class]; 0 for certainty."""
    p = np.clip(probabilities, 1e-12, 1)
    return -(p * np.log2(p)).sum(-1)


def temperature_of(
    predictions: Predictions, epoch: np.ndarray, *, averaged: bool = True
) -> tuple[float, int] | None:
    """Fits the temperature of members at their epochs (int [M], from 0; -1: left out).

    Args:
      averaged: of a clip that is a validation clip of several members the mean of what they say is
        scaled, as in a predictor; else what each of them says, as in a run's results.

    Returns:
      The temperature, and the number of clips; None where there are no validation clips.
    """
    rows = predictions.at(epoch, VALIDATION)
    if not len(rows.clip):
        return None
    clip, row, count = np.unique(rows.clip, return_inverse=True, return_counts=True)
    if not averaged:
        return fit_temperature(rows.probabilities, predictions.label[rows.clip]), len(clip)
    mean = np.zeros((len(clip), rows.probabilities.shape[1]))
    np.add.at(mean, row, rows.probabilities)
    return fit_temperature(mean / count[:, None], predictions.label[clip]), len(clip)


def squared_error(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Computes the mean squared error of probabilities float [n, class], over clips and classes.

    It is the cost of jain2018 (sec. 3.3); times the number of classes it is Brier's score.
    """
    true = np.arange(probabilities.shape[1]) == label[:, None]
    return float(np.mean(np.square(probabilities - true)))


def summary(
    rows: Rows, predictions: Predictions, fitted: tuple[float, int] | None
) -> dict[str, Any]:
    """Computes what results.json says of calibration, all plain Python.

    Args:
      rows: of test clips.
      fitted: as of `temperature_of`.

    Returns:
      temperature and validation_clips, None where there are none; raw, and with a temperature
      scaled: {error, loss, squared_error, votes_loss (None without votes), confidence}; kept:
      [{kept, accuracy, threshold (of the highest probability)}] of scaled probabilities, else of
      raw ones.
    """
    voted = predictions.target[rows.clip] if len(predictions.target) else None
    temperature, clips = fitted or (None, None)
    probabilities = {'raw': rows.probabilities}
    if temperature is not None:
        probabilities['scaled'] = scaled(rows.probabilities, temperature)
    found: dict[str, Any] = {'temperature': temperature, 'validation_clips': clips, 'scaled': None}
    for name, p in probabilities.items():
        votes = None if voted is None else negative_log_likelihood(p, voted)
        found[name] = {
            'error': expected_calibration_error(p, rows.label),
            'loss': negative_log_likelihood(p, rows.label),
            'squared_error': squared_error(p, rows.label),
            'votes_loss': None if votes is None or np.isnan(votes) else votes,
            'confidence': float(p.max(1).mean()),
        }
    best = probabilities.get('scaled', rows.probabilities)
    return {**found, 'kept': kept(best, rows.label)}


def kept(
    probabilities: np.ndarray, label: np.ndarray, shares: Sequence[float] = KEPT
) -> list[dict[str, float]]:
    """Lists the accuracy on some shares of the clips, the surest first, and what they exceed."""
    share, accuracy = selective(probabilities, label)
    confidence = -np.sort(-probabilities.max(1))
    places = [max(0, int(np.searchsorted(share, part, side='right')) - 1) for part in shares]
    return [
        {
            'kept': part,
            'accuracy': float(accuracy[place]),
            'threshold': float(confidence[place]),
        }
        for part, place in zip(shares, places, strict=True)
    ]
