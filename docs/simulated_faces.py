"""Draws the picture of simulated faces in the README: python docs/simulated_faces.py [OUT.jpg]"""

import sys
from pathlib import Path

import cv2
import numpy as np

from fer_jax.simulation.people import face, identity, units
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose

PEOPLE = (203, 402, 208, 406)
SHOWN = {
    'neutral': {},
    'anger': {4: 1.0, 5: 0.5, 7: 0.7, 23: 0.8, 24: 0.4, 17: 0.3},
    'contempt': {12: (0.0, 0.5), 14: (0.0, 1.0)},
    'disgust': {9: 1.0, 10: 0.6, 15: 0.3, 16: 0.3, 4: 0.4, 7: 0.5},
    'fear': {1: 1.0, 2: 0.6, 4: 0.6, 5: 1.0, 7: 0.2, 20: 0.8, 25: 0.8, 26: 0.6},
    'happiness': {6: 0.8, 12: 1.0, 25: 0.8},
    'sadness': {1: 1.0, 4: 0.6, 15: 1.0, 17: 0.6},
    'surprise': {1: 1.0, 2: 1.0, 5: 0.9, 25: 1.0, 26: 0.8, 27: 0.5},
}
WIDTH, HEIGHT, SCALE = 220, 250, 54


def row(person: int) -> np.ndarray:
    """Draws one person showing everything, uint8 [HEIGHT, 8 * WIDTH, 3] RGB."""
    rng = np.random.default_rng(person)
    who = identity.sample(rng)
    light = Light(azimuth=float(rng.normal(0, 0.5)), elevation=float(rng.uniform(0.2, 0.9)))
    camera = Camera(blur=0.4, noise=0.6, gain=exposure(who, light, 0.55))
    actor = face.prepare(who, SCALE, WIDTH, HEIGHT, 3)
    pictures = []
    for active in SHOWN.values():
        yaw, pitch, roll = rng.normal(0, (0.08, 0.04, 0.04))
        pose = Pose(yaw, pitch, roll, x=WIDTH / 2, y=0.46 * HEIGHT, scale=SCALE)
        actions = units.intensities(active)
        pictures.append(face.render(actor, actions, pose, light, camera, background=person).image)
    return np.hstack(pictures)


def main(out: Path) -> None:
    """Writes the sheet with the emotions' names above."""
    sheet = np.vstack([row(person) for person in PEOPLE])
    title = np.full((30, sheet.shape[1], 3), 255, np.uint8)
    for k, name in enumerate(SHOWN):
        at = (k * WIDTH + 8, 21)
        cv2.putText(title, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40,) * 3, 1, cv2.LINE_AA)
    cv2.imwrite(str(out), np.vstack([title, sheet])[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == '__main__':
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix('.jpg'))
