"""A simulated person who speaks with emotion, before a moving camera: what a clip with sound shows.

Face, voice and scene carry the emotion each for itself: how strongly the face shows it and how
strongly the voice does are drawn apart, so that neither tells what the other knows. The mouth
follows the voice's syllables over the expression, as in any talking face.
"""

import cv2
import numpy as np

from fer_jax.simulation.people import dynamics, expressions, voice
from fer_jax.simulation.people.identity import Identity
from fer_jax.simulation.people.units import INDEX

# How strongly a face shows the clip's emotion while speaking, mean and deviation over clips,
# against a posed apex (1): clips of talking people are weaker and less even than posed sequences.
FACE_STRENGTH = (0.85, 0.25)
# How far the jaw and the lips follow the voice at its most open vowel: speaking covers what the
# mouth would show of the emotion.
_JAW, _LIPS = 0.45, 0.75


def perform(
    who: Identity,
    emotion: str,
    amount: float,
    said: voice.Utterance,
    frames: int,
    fps: int,
    rng: np.random.Generator,
    habit: np.random.Generator,
) -> dynamics.Motion:
    """Draws the motion of a clip: the emotion shows from the first frame and grows to its apex.

    Args:
      amount: factor of the expression, 0 hides it.
      said: what the mouth says, from the first frame on.
      rng, habit: as in `expressions.sample`.
    """
    shown = expressions.sample(emotion, who, rng, habit)
    shown = expressions.Expression(emotion, shown.apex * np.float32(amount))
    # The second half of a course from rest to apex.
    whole = dynamics.perform(who, shown, 2 * frames, rng)
    actions = whole.actions[frames:].copy()
    at = (np.arange(frames) + 0.5) / fps * voice.RATE / voice.STEP
    open_ = np.interp(at, np.arange(len(said.mouth)), said.mouth)[:, None]
    for unit, share in ((25, _LIPS), (26, _JAW)):
        column = actions[:, :, INDEX[unit]]
        actions[:, :, INDEX[unit]] = np.maximum(column, 0.4 * column + share * open_)
    actions[:, :, INDEX[24]] *= 1 - open_  # pressed lips cannot speak
    return dynamics.Motion(
        actions, whole.angles[frames:], whole.shift[frames:], whole.gaze[frames:]
    )


def face_strength(rng: np.random.Generator) -> float:
    """Draws how strongly one clip's face shows its emotion."""
    return float(np.clip(rng.normal(*FACE_STRENGTH), 0.1, 1.2))


def shaken(image: np.ndarray, shift: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cuts the middle of an image, as a camera sees it that has moved by `shift` pixels.

    Args:
      image: uint8 [H, W, C] with a border around what is seen; shift: x and y, within the border.
      size: width and height of what is seen.
    Returns:
      uint8 [height, width, C].
    """
    border = (np.array(image.shape[1::-1]) - size) / 2
    matrix = np.column_stack([np.eye(2), border + shift])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def walk(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Draws the course of a hand-held camera, [T, 2], about 1 in size: slow sway, little jerks."""
    steps = rng.standard_normal((frames + 4, 2))
    return np.stack([steps[k : k + 5].mean(0) for k in range(frames)]) * 1.6 + (
        0.4 * steps[:frames]
    )
