"""When each muscle acts from rest to apex, and how head, gaze and lids move meanwhile.

Onset is the fraction of the sequence at which a unit begins, rise the fraction it takes to reach
its apex. Surprise is fast and everywhere at once, fear shows in the brows before the mouth, anger
in the brows and then the lips, disgust at the nose first, happiness at the mouth and then the
cheeks, sadness and contempt are slow.
"""

import dataclasses

import numpy as np

from fer_jax.simulation.people.expressions import Expression, combine
from fer_jax.simulation.people.identity import Identity
from fer_jax.simulation.people.units import INDEX, UNITS

BROW, LID, NOSE, CHEEK, LIPS, JAW = (
    (1, 2, 4),
    (5, 7),
    (9, 10),
    (6,),
    (12, 14, 15, 17, 20, 23, 24),
    (16, 25, 26, 27),
)
# emotion -> groups with (onset, rise); what is not named moves with the lips
COURSES = {
    'neutral': {},
    'calm': {},
    'anger': {
        BROW: (0.12, 0.34),
        LID: (0.26, 0.30),
        NOSE: (0.40, 0.35),
        CHEEK: (0.4, 0.35),
        LIPS: (0.50, 0.34),
        JAW: (0.55, 0.3),
    },
    'contempt': {
        BROW: (0.30, 0.5),
        LID: (0.30, 0.5),
        NOSE: (0.25, 0.6),
        CHEEK: (0.3, 0.6),
        LIPS: (0.18, 0.70),
        JAW: (0.4, 0.5),
    },
    'disgust': {
        NOSE: (0.14, 0.32),
        BROW: (0.34, 0.38),
        LID: (0.36, 0.36),
        CHEEK: (0.3, 0.4),
        LIPS: (0.48, 0.36),
        JAW: (0.42, 0.36),
    },
    'fear': {
        BROW: (0.10, 0.24),
        LID: (0.18, 0.24),
        NOSE: (0.4, 0.3),
        CHEEK: (0.4, 0.3),
        LIPS: (0.46, 0.30),
        JAW: (0.48, 0.32),
    },
    'happiness': {
        LIPS: (0.14, 0.42),
        JAW: (0.26, 0.40),
        CHEEK: (0.40, 0.40),
        LID: (0.45, 0.40),
        BROW: (0.4, 0.4),
        NOSE: (0.3, 0.4),
    },
    'sadness': {
        BROW: (0.10, 0.72),
        LID: (0.25, 0.6),
        NOSE: (0.3, 0.6),
        CHEEK: (0.3, 0.6),
        LIPS: (0.30, 0.64),
        JAW: (0.4, 0.5),
    },
    'surprise': {
        BROW: (0.34, 0.20),
        LID: (0.34, 0.18),
        NOSE: (0.4, 0.2),
        CHEEK: (0.4, 0.2),
        LIPS: (0.38, 0.22),
        JAW: (0.38, 0.22),
    },
}
# mean frames of a sequence, as a factor of the release's mean
PACE = {
    'neutral': 1.0,
    'anger': 1.05,
    'contempt': 1.05,
    'disgust': 0.95,
    'fear': 1.0,
    'happiness': 1.0,
    'sadness': 1.15,
    'surprise': 0.88,
}


@dataclasses.dataclass(frozen=True)
class Motion:
    """One sequence, in frames.

    actions [T, 2, U] intensities with the resting face; angles [T, 3] yaw, pitch, roll in radians;
    shift [T, 2] of the head in face units; gaze [T, 2].
    """

    actions: np.ndarray
    angles: np.ndarray
    shift: np.ndarray
    gaze: np.ndarray


def ease(t: np.ndarray, onset: float, rise: float) -> np.ndarray:
    """Rises from 0 at onset to 1 at onset + rise, smoothly (a minimum-jerk curve)."""
    s = np.clip((t - onset) / rise, 0, 1)
    return s**3 * (10 - 15 * s + 6 * s * s)


def perform(who: Identity, shown: Expression, frames: int, rng: np.random.Generator) -> Motion:
    """Draws the course of one showing: the resting face first, the apex in the last of `frames`."""
    t = np.linspace(0, 1, frames) if frames > 1 else np.ones(1)
    active = np.zeros((frames, 2, len(UNITS)), np.float32)
    delay, pace = rng.normal(0, 0.03), float(np.exp(rng.normal(0, 0.14)))
    course = COURSES[shown.emotion]
    for group in (BROW, LID, NOSE, CHEEK, LIPS, JAW):
        onset, rise = course.get(group, (0.2, 0.5))
        onset = float(np.clip(onset + delay + rng.normal(0, 0.025), 0.02, 0.7))
        rise = float(np.clip(rise * pace * np.exp(rng.normal(0, 0.08)), 0.08, 0.97 - onset))
        curve = ease(t, onset, rise) * (1 + 0.06 * np.sin(7 * t + rng.uniform(0, 6)))
        for unit in group:
            active[:, :, INDEX[unit]] = curve[:, None] * shown.apex[:, INDEX[unit]]
    actions = combine(who.rest[None], active)
    actions[:, :, INDEX[45]] = np.maximum(actions[:, :, INDEX[45]], _blinks(frames, rng)[:, None])
    walk = _drift(frames, 7, rng)
    lean = rng.normal(0, (0.075, 0.055, 0.050))
    turn = rng.normal(0, (0.035, 0.035, 0.03)) * ease(t, 0.2, 0.7)[:, None]
    gaze = rng.normal(0, 0.12, 2) + 0.10 * walk[:, 5:7]
    return Motion(actions, lean + turn + 0.016 * walk[:, :3], 0.022 * walk[:, 3:5], gaze)


def _drift(frames: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws slow wandering of unit size, [T, count]."""
    t = np.arange(frames)[:, None] / 12
    phase, speed = rng.uniform(0, 2 * np.pi, (2, count)), rng.uniform(0.4, 1.6, (2, count))
    return (
        np.sin(phase[0] + speed[0] * t)
        + 0.5 * np.sin(phase[1] + 2 * speed[1] * t)
        - np.sin(phase[0])
    )


def _blinks(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Draws how far blinks shut the lids, [T] 0..1.

    There is none in the last three frames, where the apex stands.
    """
    shut = np.zeros(frames)
    if frames > 6 and rng.random() < min(0.8, frames / 40):
        middle = rng.integers(1, frames - 4)
        shut = np.interp(np.abs(np.arange(frames) - middle), [0, 1, 2], [1, 0.55, 0])
        shut[-3:] = 0
    return shut
