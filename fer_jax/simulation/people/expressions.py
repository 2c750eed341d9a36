"""From an emotion to action units: EMFACS prototypes, and how a person's version of one differs."""

import dataclasses

import numpy as np

from fer_jax.simulation.people.identity import Identity
from fer_jax.simulation.people.units import INDEX, intensities

# Core units with their usual strength, and optional ones with (probability, strength).
CORE = {
    'neutral': {},
    'anger': {4: 0.85, 7: 0.55, 23: 0.55},
    'contempt': {14: 0.85},
    'disgust': {9: 0.75, 10: 0.40},
    'fear': {1: 0.75, 2: 0.45, 4: 0.50, 5: 0.65, 20: 0.60, 25: 0.60},
    'happiness': {6: 0.55, 12: 0.80},
    'sadness': {1: 0.65, 4: 0.45, 15: 0.70},
    'surprise': {1: 0.75, 2: 0.80, 25: 0.80, 26: 0.65},
    'calm': {12: 0.20},  # RAVDESS's: next to nothing
}
OPTIONAL = {
    'neutral': {},
    'anger': {
        5: (0.45, 0.55),
        24: (0.55, 0.65),
        17: (0.50, 0.45),
        9: (0.12, 0.35),
        10: (0.12, 0.4),
        25: (0.12, 0.4),
    },
    'contempt': {
        12: (0.50, 0.35),
        4: (0.12, 0.25),
        24: (0.15, 0.4),
        1: (0.10, 0.3),
        2: (0.12, 0.3),
    },
    'disgust': {
        4: (0.55, 0.45),
        7: (0.50, 0.45),
        15: (0.30, 0.40),
        16: (0.30, 0.5),
        17: (0.45, 0.55),
        25: (0.30, 0.5),
        6: (0.25, 0.4),
    },
    'fear': {7: (0.25, 0.30), 26: (0.45, 0.50), 15: (0.12, 0.3), 12: (0.12, 0.3)},
    'happiness': {
        25: (0.72, 0.80),
        26: (0.15, 0.3),
        7: (0.25, 0.30),
        1: (0.10, 0.3),
        2: (0.10, 0.3),
    },
    'sadness': {
        17: (0.55, 0.55),
        7: (0.20, 0.3),
        24: (0.15, 0.4),
        20: (0.15, 0.35),
        6: (0.20, 0.3),
        25: (0.10, 0.3),
    },
    'surprise': {5: (0.75, 0.60), 27: (0.38, 0.65), 4: (0.05, 0.25)},
    'calm': {6: (0.30, 0.15)},
}
ONE_SIDED = {'contempt': (12, 14)}


@dataclasses.dataclass(frozen=True)
class Expression:
    """An emotion as one person shows it once.

    apex: intensities float32 [2, U] without the resting face.
    """

    emotion: str
    apex: np.ndarray


def sample(
    emotion: str, who: Identity, rng: np.random.Generator, style: np.random.Generator
) -> Expression:
    """Draws one showing of `emotion`.

    `style` draws what this person always does (which optional units, which side); `rng` what varies
    between showings.
    """
    strength = float(np.clip(rng.normal(0.84, 0.18), 0.45, 1.12))
    apex = {}
    for unit, usual in CORE[emotion].items():
        apex[unit] = usual * float(np.clip(style.normal(1, 0.22), 0.35, 1.5))
    for unit, (probability, usual) in OPTIONAL[emotion].items():
        habit = style.random()
        if 0.65 * habit + 0.35 * rng.random() < probability:
            apex[unit] = usual * float(np.clip(style.normal(1, 0.25), 0.3, 1.6))
    if emotion == 'surprise' and 27 in apex:
        apex[26] = 0.3
    values = intensities(apex) * strength
    if emotion in ONE_SIDED:
        side = int(style.random() < 0.5)
        for unit in ONE_SIDED[emotion]:
            values[side, INDEX[unit]] *= 1.1
            values[1 - side, INDEX[unit]] *= style.uniform(0, 0.30)
    stray = rng.choice(np.array([1, 2, 4, 7, 10, 12, 14, 15, 17, 20, 24]), 2, replace=False)
    for unit in stray:  # what belongs to no prototype but happens
        values[:, INDEX[int(unit)]] += max(0.0, rng.normal(-0.04, 0.12))
    values *= who.reach * np.exp(rng.normal(0, 0.06, values.shape))
    return Expression(emotion, np.clip(values, 0, 1.15).astype(np.float32))


def combine(rest: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Adds intensities [..., 2, U] of active units to a resting face.

    Sums are at most 1.2; an active unit relaxes its antagonists.
    """
    total = rest * (1 - 0.25 * np.clip(active, 0, 1)) + active
    for pull, against in ((12, 15), (15, 12), (25, 24), (25, 23), (26, 24), (27, 24), (5, 7)):
        relax = np.clip(active[..., INDEX[pull]], 0, 1)
        total[..., INDEX[against]] -= relax * rest[..., INDEX[against]]
    return np.clip(total, 0, 1.2).astype(np.float32)
