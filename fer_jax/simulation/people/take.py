"""One person before one camera, with a voice: the films that a recording session gives."""

import dataclasses

import numpy as np

from fer_jax.simulation.people import face, identity, surroundings, talk, voice
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose


@dataclasses.dataclass(frozen=True)
class Session:
    """A person in a place, drawn once and filmed several times.

    Attributes:
      actor: who is seen, and how large.
      speech: the voice.
      place: where the head is when it is at rest.
    """

    actor: face.Actor
    speech: voice.Speaker
    place: Pose
    light: Light
    camera: Camera
    scene: np.ndarray

    @classmethod
    def sample(
        cls, rng: np.random.Generator, width: int, height: int, scale: float, *, low=None
    ) -> 'Session':
        """Draws a person, the voice and the place.

        Args:
          width, height: of the picture in pixels.
          scale: pixels a face unit; a face is about 2.2 of them wide.
          low: as of `voice.sample`.
        """
        who = identity.sample(rng)
        actor = face.prepare(who, scale, width, height, 3)
        speech = voice.sample(rng, low=low)
        light = Light(azimuth=float(rng.normal(0, 0.25)), elevation=0.6, strength=0.6, ambient=0.5)
        camera = Camera(blur=0.5, noise=1.5, gain=exposure(who, light, 0.5))
        x, y = np.array([0.5 * width, 0.42 * height]) + rng.normal(0, 0.06 * scale, 2)
        place = Pose(x=float(x), y=float(y), scale=scale)
        scene = surroundings.build(who, place, light, actor.size, int(rng.integers(2**31)))
        return cls(actor, speech, place, light, camera, scene)

    def film(
        self,
        emotion: str,
        frames: int,
        fps: int,
        rng: np.random.Generator,
        habit: np.random.Generator,
        strength: float = 1.0,
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Draws a film in which the person says something.

        Args:
          habit: as in `expressions.sample`.
          strength: factor of what the face shows of the emotion.
        Returns:
          Frames uint8 [H, W, 3] and sound int16 [samples] of `voice.RATE`.
        """
        who, scale = self.actor.who, self.place.scale
        said = voice.speak(self.speech, emotion, frames / fps, rng)
        amount = strength * talk.face_strength(rng)
        motion = talk.perform(who, emotion, amount, said, frames, fps, rng, habit)
        images = []
        for t in range(frames):
            x, y = (self.place.x, self.place.y) + motion.shift[t] * scale
            pose = Pose.at(motion.angles[t], motion.gaze[t], x, y, scale)
            drawn = face.render(
                self.actor,
                motion.actions[t],
                pose,
                self.light,
                self.camera,
                scene=self.scene,
                noise_seed=int(rng.integers(2**31)),
            )
            images.append(np.ascontiguousarray(drawn.image))
        return images, said.sound
