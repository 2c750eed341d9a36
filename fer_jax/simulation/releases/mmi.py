"""A simulated release laid out as MMI ships: a folder for each session.

    Sessions/7/session.xml     subject, file and view
    Sessions/7/S001-007.avi    onset, apex and offset; or a still S001-007.jpg
    Sessions/7/S001-007.xml    Metatag Emotion: 1 anger, 2 disgust, 3 fear, 4 happiness, 5 sadness,
                               6 surprise; absent where a single action unit is shown

At full size there are 2,900 sessions of 75 people, as published. The owners publish no table of
classes: here everybody shows each of the six emotions in one video, and single action units in
stills. Pictures are half as wide and high as the original's, videos shorter.
"""

import dataclasses
import itertools
import operator
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_jax.errors import UserError
from fer_jax.simulation.people import (
    dynamics,
    expressions,
    face,
    identity,
    movie,
    surroundings,
    units,
)
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose

EMOTIONS = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise')
SUBJECTS, SESSIONS = 75, 2900
WIDTH, HEIGHT, FPS = 360, 288, 25
RISE, HOLD = 9, 3  # frames from rest to apex, about, and at the apex
_SINGLE = tuple(unit for unit in units.UNITS if unit != 45)  # a still shows no blink


@dataclasses.dataclass(frozen=True)
class Session:
    """One session: its number, whose, the number among that person's, and what is shown.

    emotion is '' where `unit`, a single action unit, is shown in a still.
    """

    number: int
    index: int
    take: int
    emotion: str
    unit: int

    @property
    def name(self) -> str:
        """Returns what its files are called."""
        return f'S{self.index + 1:03d}-{self.take:03d}'

    @property
    def folder(self) -> Path:
        """Returns where it lies in the release."""
        return Path('Sessions', str(self.number))

    @property
    def media(self) -> str:
        """The name of the video or still."""
        return f'{self.name}.avi' if self.emotion else f'{self.name}.jpg'


def plan(subjects: int | None, seed: int) -> list[Session]:
    """Plans all sessions, by subject.

    Raises:
      UserError: a number of subjects that has no place in names of three digits.
    """
    count = SUBJECTS if subjects is None else subjects
    if not 1 <= count <= 999:
        raise UserError(f'--subjects={count}: a simulated MMI has 1 to 999 people')
    rng = np.random.default_rng([seed, 70])
    sessions = []
    for index in range(count):
        each = SESSIONS // SUBJECTS + (index < SESSIONS % SUBJECTS)
        stills = rng.choice(_SINGLE, each - len(EMOTIONS)).tolist()
        shown = [*((emotion, 0) for emotion in EMOTIONS), *(('', unit) for unit in stills)]
        for take, k in enumerate(rng.permutation(each), 1):
            sessions.append(Session(len(sessions) + 1, index, take, *shown[k]))
    return sessions


def write(out: Path, plan: list[Session], seed: int, run: Callable[[list], Iterator[None]]) -> None:
    """Draws and writes all sessions, one subject at a time."""
    by_subject = itertools.groupby(plan, operator.attrgetter('index'))
    for _ in run([(write_subject, (out, list(group), seed)) for _, group in by_subject]):
        pass


def write_subject(out: Path, sessions: list[Session], seed: int) -> None:
    """Draws one subject's sessions: one lamp, one camera, one background."""
    index = sessions[0].index
    rng = np.random.default_rng([seed, 71, index])
    who = identity.sample(rng)
    actor = face.prepare(who, float(rng.uniform(50, 60)), WIDTH, HEIGHT, 3)
    light = Light(
        azimuth=float(rng.normal(0, 0.3)),
        elevation=float(rng.uniform(0.3, 0.9)),
        strength=float(rng.uniform(0.45, 0.7)),
        ambient=float(rng.uniform(0.4, 0.6)),
    )
    camera = Camera(
        blur=float(rng.uniform(0.4, 0.8)),
        noise=float(rng.uniform(1, 2)),
        gain=exposure(who, light, 0.52),
    )
    place = np.array([WIDTH / 2, 0.43 * HEIGHT]) + rng.normal(0, (8, 4))
    at = Pose(x=float(place[0]), y=float(place[1]), scale=actor.scale)
    scene = surroundings.build(who, at, light, actor.size, int(rng.integers(2**31)))
    for session in sessions:
        frames = perform(actor, session, light, camera, place, scene, seed)
        write_metadata(out, session)
        path = out / session.folder / session.media
        if session.emotion:
            movie.write_movie(path, frames, FPS)
        else:
            quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
            path.write_bytes(cv2.imencode(path.suffix, frames[0][..., ::-1], quality)[1].tobytes())


def perform(
    actor: face.Actor,
    session: Session,
    light: Light,
    camera: Camera,
    place: np.ndarray,
    scene: np.ndarray,
    seed: int,
) -> list[np.ndarray]:
    """Draws a session's frames, uint8 [288, 360, 3], RGB: rest to apex and back, or the apex."""
    who = actor.who
    rng = np.random.default_rng([seed, 72, session.index, session.take])
    if session.emotion:
        emotion = EMOTIONS.index(session.emotion)
        habit = np.random.default_rng([seed, 73, session.index, emotion])
        shown = expressions.sample(session.emotion, who, rng, habit)
        rise = round(RISE * dynamics.PACE[session.emotion])
        order = [*range(rise), *[rise - 1] * HOLD, *range(rise - 2, -1, -1)]
    else:
        apex = units.intensities({session.unit: float(rng.uniform(0.6, 1.0))})
        shown, rise, order = expressions.Expression('neutral', apex), 2, [1]
    motion = dynamics.perform(who, shown, rise, rng)
    noise_seed = int(rng.integers(2**31))
    frames = []
    for number, t in enumerate(order):
        x, y = (float(v) for v in place + motion.shift[t] * actor.scale)
        pose = Pose.at(motion.angles[t], motion.gaze[t], x, y, actor.scale)
        drawn = face.render(
            actor,
            motion.actions[t],
            pose,
            light,
            camera,
            scene=scene,
            noise_seed=noise_seed + number,
        )
        frames.append(drawn.image)
    return frames


def write_metadata(out: Path, session: Session) -> None:
    """Makes the session's folder with its two XML files."""
    folder = out / session.folder
    folder.mkdir(parents=True)
    head = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
    (folder / 'session.xml').write_text(
        f'{head}<session sessionId="{session.number}">\n'
        f'  <subject id="{session.index + 1}"/>\n'
        f'  <track filename="{session.media}" view="0"/>\n'
        '</session>\n'
    )
    tags = f'  <Metatag Name="Filename" Value="{session.media}"/>\n'
    if session.emotion:
        tags += f'  <Metatag Name="Emotion" Value="{EMOTIONS.index(session.emotion) + 1}"/>\n'
    (folder / f'{session.name}.xml').write_text(f'{head}<Metadata>\n{tags}</Metadata>\n')
