"""From an emotion to action units: EMFACS prototypes, and how a person's version of one differs."""

from dataclasses import dataclass

import numpy as np

from fer_jax.data.simulated.identity import Identity
from fer_jax.data.simulated.units import INDEX, intensities

# Core units with their usual strength, and optional ones with (probability, strength).
CORE = {
    'neutral': {},
    'anger': {4: .85, 7: .55, 23: .55},
    'contempt': {14: .85},
    'disgust': {9: .75, 10: .40},
    'fear': {1: .75, 2: .45, 4: .50, 5: .65, 20: .60, 25: .60},
    'happiness': {6: .55, 12: .80},
    'sadness': {1: .65, 4: .45, 15: .70},
    'surprise': {1: .75, 2: .80, 25: .80, 26: .65},
}
OPTIONAL = {
    'neutral': {},
    'anger': {5: (.45, .55), 24: (.55, .65), 17: (.50, .45), 9: (.12, .35), 10: (.12, .4), 25: (.12, .4)},
    'contempt': {12: (.50, .35), 4: (.12, .25), 24: (.15, .4), 1: (.10, .3), 2: (.12, .3)},
    'disgust': {4: (.55, .45), 7: (.50, .45), 15: (.30, .40), 16: (.30, .5), 17: (.45, .55), 25: (.30, .5), 6: (.25, .4)},
    'fear': {7: (.25, .30), 26: (.45, .50), 15: (.12, .3), 12: (.12, .3)},
    'happiness': {25: (.72, .80), 26: (.15, .3), 7: (.25, .30), 1: (.10, .3), 2: (.10, .3)},
    'sadness': {17: (.55, .55), 7: (.20, .3), 24: (.15, .4), 20: (.15, .35), 6: (.20, .3), 25: (.10, .3)},
    'surprise': {5: (.75, .60), 27: (.38, .65), 4: (.05, .25)},
}
ONE_SIDED = {'contempt': (12, 14)}


@dataclass(frozen=True)
class Expression:
    """An emotion as one person shows it once: apex intensities float32 [2, U], without the resting face."""

    emotion: str
    apex: np.ndarray


def sample(emotion: str, who: Identity, rng: np.random.Generator, style: np.random.Generator) -> Expression:
    """Draws one showing of `emotion`.

    `style` draws what this person always does (which optional units, which side); `rng` what varies between showings.
    """
    strength = float(np.clip(rng.normal(.74, .20), .34, 1.12))
    apex = {}
    for unit, usual in CORE[emotion].items():
        apex[unit] = usual * float(np.clip(style.normal(1, .22), .35, 1.5))
    for unit, (probability, usual) in OPTIONAL[emotion].items():
        habit = style.random()
        if .65 * habit + .35 * rng.random() < probability:
            apex[unit] = usual * float(np.clip(style.normal(1, .25), .3, 1.6))
    if emotion == 'surprise' and 27 in apex:
        apex[26] = .3
    values = intensities(apex) * strength
    if emotion in ONE_SIDED:
        side = int(style.random() < .5)
        for unit in ONE_SIDED[emotion]:
            values[side, INDEX[unit]] *= 1.1
            values[1 - side, INDEX[unit]] *= style.uniform(0, .30)
    stray = rng.choice(np.array([1, 2, 4, 7, 10, 12, 14, 15, 17, 20, 24]), 2, replace=False)
    for unit in stray:  # what belongs to no prototype but happens
        values[:, INDEX[int(unit)]] += max(0., rng.normal(-.04, .12))
    values *= who.reach * np.exp(rng.normal(0, .06, values.shape))
    return Expression(emotion, np.clip(values, 0, 1.15).astype(np.float32))


def combine(rest: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Intensities [..., 2, U] of a resting face under active ones: they add, opposites relax, 1.2 is the most."""
    total = rest * (1 - .25 * np.clip(active, 0, 1)) + active
    for pull, against in ((12, 15), (15, 12), (25, 24), (25, 23), (26, 24), (27, 24), (5, 7)):
        relax = np.clip(active[..., INDEX[pull]], 0, 1)
        total[..., INDEX[against]] -= relax * rest[..., INDEX[against]]
    return np.clip(total, 0, 1.2).astype(np.float32)
