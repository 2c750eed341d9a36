"""Simulated talking faces: the mouth follows the voice, the camera moves as told."""

import numpy as np
import pytest

from fer_jax.simulation.people import identity, talk, voice
from fer_jax.simulation.people.units import INDEX
from fer_jax.simulation.releases import afew

FRAMES, FPS = 40, 20


@pytest.fixture(scope='module')
def who():
    return identity.sample(np.random.default_rng(5))


@pytest.fixture(scope='module')
def said():
    return voice.speak(
        voice.sample(np.random.default_rng(1)), 'neutral', FRAMES / FPS, np.random.default_rng(2)
    )


def performed(who, said, emotion, amount):
    rng, habit = np.random.default_rng(3), np.random.default_rng(4)
    return talk.perform(who, emotion, amount, said, FRAMES, FPS, rng, habit)


def test_the_mouth_follows_the_voice(who, said):
    motion = performed(who, said, 'sadness', 1.0)
    assert motion.actions.shape[0] == len(motion.angles) == len(motion.gaze) == FRAMES
    opening = np.interp((np.arange(FRAMES) + 0.5) / FPS * 200, np.arange(400), said.mouth)
    lips = motion.actions[:, :, INDEX[25]].mean(1)
    assert np.corrcoef(lips, opening)[0, 1] > 0.95
    assert motion.actions[:, :, INDEX[26]].max() > 0.2  # the jaw drops too


def test_the_face_shows_the_emotion_as_strongly_as_asked(who, said):
    brows = {
        amount: performed(who, said, 'surprise', amount).actions[:, :, INDEX[2]].mean()
        for amount in (0.0, 0.5, 1.0)
    }
    assert brows[0.0] < brows[0.5] < brows[1.0]
    assert brows[1.0] > brows[0.0] + 0.2
    strengths = [talk.face_strength(np.random.default_rng(k)) for k in range(200)]
    assert np.mean(strengths) == pytest.approx(talk.FACE_STRENGTH[0], abs=0.06)


def test_the_camera_sees_what_it_moved_to():
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    seen = talk.shaken(image, np.array([3, -4]), (60, 40))
    np.testing.assert_array_equal(seen, image[10 - 4 : 50 - 4, 10 + 3 : 70 + 3])


def test_a_hand_held_camera_sways():
    courses = np.stack([talk.walk(30, np.random.default_rng(k)) for k in range(50)])
    assert 0.5 < courses.std() < 1.5
    steps, chance = np.diff(courses, axis=1).std(), courses.std() * np.sqrt(2)
    assert steps < 0.85 * chance  # a course, not a new place in every frame


def test_a_busy_scene_moves_more(who, said):
    motion = performed(who, said, 'neutral', 1.0)

    def change(busy: float) -> float:
        images, landmarks = afew._film(who, motion, busy, np.random.default_rng(7))
        assert len(images) == len(landmarks) == FRAMES
        frames = np.stack(images).astype(np.float32)
        return float(np.abs(frames[4:] - frames[:-4]).mean())

    assert change(2.5) > 1.3 * change(0.3)
