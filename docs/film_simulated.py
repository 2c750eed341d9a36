"""Draws a film of two simulated people: python docs/film_simulated.py [OUT.avi]

The pictures of docs/predict.md are of what `python -m fer_jax.predict` makes of it.
"""

import sys

import numpy as np
from simulated_faces import SHOWN

from fer_jax.simulation.people import face, identity, movie, surroundings, units
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose

WIDTH, HEIGHT, SCALE = 240, 260, 54
FPS, FRAMES = 12, 28  # of each expression
# Who shows what, one after the other.
PEOPLE = {203: ('happiness', 'surprise', 'sadness'), 402: ('surprise', 'anger', 'happiness')}


def person(seed: int, shown: tuple[str, ...]) -> np.ndarray:
    """Draws one person, who goes from rest to each expression and back: uint8 [T, H, W, 3]."""
    rng = np.random.default_rng(seed)
    who = identity.sample(rng)
    light = Light(azimuth=float(rng.normal(0, 0.3)), elevation=0.6)
    camera = Camera(blur=0.4, noise=0.6, gain=exposure(who, light, 0.55))
    actor = face.prepare(who, SCALE, WIDTH, HEIGHT, 3)
    still = Pose(x=WIDTH / 2, y=0.44 * HEIGHT, scale=SCALE)
    scene = surroundings.build(who, still, light, actor.size, seed)
    strength = np.clip(1.6 * np.sin(np.pi * np.arange(FRAMES) / FRAMES), 0, 1)
    frames = []
    for number, amount in enumerate(np.tile(strength, len(shown))):
        active = SHOWN[shown[number // FRAMES]]
        actions = units.intensities(active) * amount
        pose = Pose(
            yaw=0.12 * np.sin(number / 9),
            pitch=0.04 * np.sin(number / 7),
            x=WIDTH / 2 + 4 * np.sin(number / 11),
            y=0.44 * HEIGHT,
            scale=SCALE,
        )
        drawn = face.render(actor, actions, pose, light, camera, scene=scene, noise_seed=number)
        frames.append(drawn.image)
    return np.stack(frames)


if __name__ == '__main__':
    pair = [person(seed, shown) for seed, shown in PEOPLE.items()]
    out = sys.argv[1] if len(sys.argv) > 1 else 'film_simulated.avi'
    movie.write_movie(out, list(np.concatenate(pair, axis=2)), FPS)
