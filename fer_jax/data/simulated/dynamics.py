"""When each muscle acts: neutral to apex, in an order and at a pace that differ between emotions; blinks, head, gaze.

Onset is the fraction of the sequence at which a unit begins, rise the fraction it takes to reach its apex. Surprise is
fast and everywhere at once, fear shows in the brows before the mouth, anger in the brows and then the lips, disgust at
the nose first, happiness at the mouth and then the cheeks, sadness and contempt are slow.
"""

from dataclasses import dataclass

import numpy as np

from fer_jax.data.simulated.expressions import Expression, combine
from fer_jax.data.simulated.identity import Identity
from fer_jax.data.simulated.units import INDEX, UNITS

BROW, LID, NOSE, CHEEK, LIPS, JAW = ((1, 2, 4), (5, 7), (9, 10), (6,), (12, 14, 15, 17, 20, 23, 24), (16, 25, 26, 27))
# emotion -> groups with (onset, rise); what is not named moves with the lips
COURSES = {
    'neutral': {},
    'anger': {BROW: (.12, .34), LID: (.26, .30), NOSE: (.40, .35), CHEEK: (.4, .35), LIPS: (.50, .34), JAW: (.55, .3)},
    'contempt': {BROW: (.30, .5), LID: (.30, .5), NOSE: (.25, .6), CHEEK: (.3, .6), LIPS: (.18, .70), JAW: (.4, .5)},
    'disgust': {NOSE: (.14, .32), BROW: (.34, .38), LID: (.36, .36), CHEEK: (.3, .4), LIPS: (.48, .36), JAW: (.42, .36)},
    'fear': {BROW: (.10, .24), LID: (.18, .24), NOSE: (.4, .3), CHEEK: (.4, .3), LIPS: (.46, .30), JAW: (.48, .32)},
    'happiness': {LIPS: (.14, .42), JAW: (.26, .40), CHEEK: (.40, .40), LID: (.45, .40), BROW: (.4, .4), NOSE: (.3, .4)},
    'sadness': {BROW: (.10, .72), LID: (.25, .6), NOSE: (.3, .6), CHEEK: (.3, .6), LIPS: (.30, .64), JAW: (.4, .5)},
    'surprise': {BROW: (.34, .20), LID: (.34, .18), NOSE: (.4, .2), CHEEK: (.4, .2), LIPS: (.38, .22), JAW: (.38, .22)},
}
# mean frames of a sequence, as a factor of the release's mean
PACE = {'neutral': 1., 'anger': 1.05, 'contempt': 1.05, 'disgust': .95, 'fear': 1., 'happiness': 1.0,
        'sadness': 1.15, 'surprise': .88}  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """A sequence: intensities [T, 2, U] with the resting face, head angles [T, 3], shift [T, 2] (face units), gaze [T, 2]."""

    actions: np.ndarray
    angles: np.ndarray
    shift: np.ndarray
    gaze: np.ndarray


def ease(t: np.ndarray, onset: float, rise: float) -> np.ndarray:
    """0 before onset, 1 after onset + rise, smooth between (a minimum-jerk curve)."""
    s = np.clip((t - onset) / rise, 0, 1)
    return s**3 * (10 - 15 * s + 6 * s * s)


def perform(who: Identity, shown: Expression, frames: int, rng: np.random.Generator) -> Motion:
    """The course of one showing over `frames` frames, from the resting face to the apex in the last."""
    t = np.linspace(0, 1, frames) if frames > 1 else np.ones(1)
    active = np.zeros((frames, 2, len(UNITS)), np.float32)
    delay, pace = rng.normal(0, .03), float(np.exp(rng.normal(0, .14)))
    course = COURSES[shown.emotion]
    for group in (BROW, LID, NOSE, CHEEK, LIPS, JAW):
        onset, rise = course.get(group, (.2, .5))
        onset = float(np.clip(onset + delay + rng.normal(0, .025), .02, .7))
        rise = float(np.clip(rise * pace * np.exp(rng.normal(0, .08)), .08, .97 - onset))
        curve = ease(t, onset, rise) * (1 + .06 * np.sin(7 * t + rng.uniform(0, 6)))
        for unit in group:
            active[:, :, INDEX[unit]] = curve[:, None] * shown.apex[:, INDEX[unit]]
    actions = combine(who.rest[None], active)
    actions[:, :, INDEX[45]] = np.maximum(actions[:, :, INDEX[45]], _blinks(frames, rng)[:, None])
    walk = _drift(frames, 7, rng)
    lean = rng.normal(0, (.055, .045, .040))
    turn = rng.normal(0, (.035, .035, .03)) * ease(t, .2, .7)[:, None]
    gaze = rng.normal(0, .12, 2) + .10 * walk[:, 5:7]
    return Motion(actions, lean + turn + .016 * walk[:, :3], .022 * walk[:, 3:5], gaze)


def _drift(frames: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Slow wandering of unit size, [T, count]."""
    t = np.arange(frames)[:, None] / 12
    phase, speed = rng.uniform(0, 2 * np.pi, (2, count)), rng.uniform(.4, 1.6, (2, count))
    return np.sin(phase[0] + speed[0] * t) + .5 * np.sin(phase[1] + 2 * speed[1] * t) - np.sin(phase[0])


def _blinks(frames: int, rng: np.random.Generator) -> np.ndarray:
    """How far the lids are shut by blinks, [T]; none in the last three frames, where the apex stands."""
    shut = np.zeros(frames)
    if frames > 6 and rng.random() < min(.8, frames / 40):
        middle = rng.integers(1, frames - 4)
        shut = np.interp(np.abs(np.arange(frames) - middle), [0, 1, 2], [1, .55, 0])
        shut[-3:] = 0
    return shut
