"""A simulated release laid out as AFEW 7.0 ships, with sound. Everyone in it is drawn.

    Train_AFEW/Angry/000046280.avi                                       256x208, 10 frames a second
    Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280/I_1001.jpg     128x128
    Val_AFEW/...  with AlignedFaces_LBPTOP_Points_Val/Faces
    Test_AFEW/Test_vid_Distribute/000029320.avi                          no labels
    Test_AFEW/Test_2017_Faces_Distribute/000029320/I_1001.jpg

The owners' clips are 720x576 at 25 frames a second; these are smaller, slower and 1.2 to 3 s long.
Any pose, light, size and background, a hand-held camera and things that pass behind; about six
clips a person, and nobody stands in two parts. A few clips have no aligned faces, as in the
original, and single frames are missing from others. LBP-TOP features and points are left out. Names
are times in a film.

What tells the emotion: the face (talk.FACE_STRENGTH), the voice (voice.PROSODY) and a little the
scene (SCENE_MOTION); each is silent in some clips, apart from the others.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_jax.data import registration
from fer_jax.errors import UserError
from fer_jax.simulation.people import dynamics, face, identity, movie, surroundings, talk, voice
from fer_jax.simulation.people.lighting import Camera, Light, exposure
from fer_jax.simulation.people.pose import Pose

EMOTIONS = {
    'Angry': 'anger',
    'Disgust': 'disgust',
    'Fear': 'fear',
    'Happy': 'happiness',
    'Neutral': 'neutral',
    'Sad': 'sadness',
    'Surprise': 'surprise',
}
# Clips of each class, in that order, as in EmotiW 2017.
COUNTS = {
    'Train_AFEW': (133, 74, 81, 150, 144, 117, 74),
    'Val_AFEW': (64, 40, 46, 63, 63, 61, 46),
    'Test_AFEW': (98, 40, 70, 144, 193, 80, 28),  # drawn so; the release does not tell
}
FACES = {
    'Train_AFEW': 'AlignedFaces_LBPTOP_Points/Faces',
    'Val_AFEW': 'AlignedFaces_LBPTOP_Points_Val/Faces',
    'Test_AFEW': 'Test_2017_Faces_Distribute',
}
PER_PERSON = 6
PEOPLE = sum(-(-sum(counts) // PER_PERSON) for counts in COUNTS.values())
WIDTH, HEIGHT, FPS = 256, 208, 10
ALIGNED = 128
_BORDER = 10  # pixels around what is seen, for the camera to move in

# In so many clips the face shows nothing of the emotion, in so many the voice does not: a film
# tells by the other, or by what went before.
FACE_HIDDEN, VOICE_HIDDEN = 0.15, 0.20
# How much a scene moves (camera and background alike) against a neutral one. Weak beside
# MOTION_NOISE, the deviation of its logarithm over clips: alone it decides little.
SCENE_MOTION = {
    'neutral': 0.9,
    'anger': 1.4,
    'disgust': 0.9,
    'fear': 1.4,
    'happiness': 1.15,
    'sadness': 0.65,
    'surprise': 1.2,
}
MOTION_NOISE = 0.5
_SHAKE = 1.1  # pixels the camera moves, for motion 1
_PASSING = 0.30  # how much what passes behind lightens or darkens the background
# The tracker lost the whole clip, a single frame: in AFEW 5.0 about 12 clips of each part.
_NO_TRACK, _LOST_FRAME = 0.02, 0.03


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip: part, name, class folder, whose, and whether its film is drawn."""

    part: str
    name: str
    folder: str
    person: int
    drawn: bool

    @property
    def path(self) -> str:
        """Returns where its film lies in the release."""
        where = 'Test_vid_Distribute' if self.part == 'Test_AFEW' else self.folder
        return f'{self.part}/{where}/{self.name}.avi'


def plan(subjects: int | None, seed: int, rendered: float = 1.0) -> list[Clip]:
    """Plans all clips, person by person.

    Args:
      subjects: how many people, about; None is the published size.
      rendered: which share of each class is drawn. The other films are one black frame without
        sound: they are counted, and found to have no face.
    Raises:
      UserError: too few people for all classes in all parts, more than the published size has, or
        a share outside 0 to 1.
    """
    fewest = sum(-(-len(EMOTIONS) // PER_PERSON) for _ in COUNTS)
    if subjects is not None and not fewest <= subjects <= PEOPLE:
        raise UserError(f'--subjects={subjects}: a simulated AFEW has {fewest} to {PEOPLE} people')
    if not 0 <= rendered <= 1:
        raise UserError(f'--rendered={rendered:g}: a share from 0 to 1')
    share = 1.0 if subjects is None else subjects / PEOPLE
    rng = np.random.default_rng([seed, 60])
    clips, person = [], -1
    for part, counts in COUNTS.items():
        sizes = [max(1, round(count * share)) for count in counts]
        shown = rng.permutation(np.repeat(list(EMOTIONS), sizes))
        names = _names(len(shown), rng)
        seen = dict.fromkeys(EMOTIONS, 0)
        for index, (folder, name) in enumerate(zip(shown.tolist(), names, strict=True)):
            person += index % PER_PERSON == 0
            k = seen[folder]
            seen[folder] += 1
            drawn = int((k + 1) * rendered + 1e-9) > int(k * rendered + 1e-9)
            clips.append(Clip(part, name, folder, person, drawn))
    return clips


def hidden_labels(plan: list[Clip]) -> dict[str, str]:
    """Returns clip id -> class of the test part, which the release does not publish."""
    test = [clip for clip in plan if clip.part == 'Test_AFEW']
    return {f'test/{clip.name}': EMOTIONS[clip.folder] for clip in test}


def _names(count: int, rng: np.random.Generator) -> list[str]:
    """Draws different times in films of up to 2.5 hours, to the millisecond: 012705800."""
    names = []
    for step in rng.permutation(9000 * 25)[:count].tolist():
        seconds, frame = divmod(step, 25)
        minutes, second = divmod(seconds, 60)
        names.append(f'{minutes // 60:02d}{minutes % 60:02d}{second:02d}{frame * 40:03d}')
    return names


def write(folder: Path, plan: list[Clip], seed: int, run: Callable[[list], Iterator[None]]) -> None:
    """Lays out all clips and draws those that are to be drawn, person by person."""
    for part, faces in FACES.items():
        (folder / part / faces).mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        movie.write_movie(Path(place, 'black.avi'), [np.zeros((HEIGHT, WIDTH, 3), np.uint8)], FPS)
        black = Path(place, 'black.avi').read_bytes()
    people: dict[int, list[Clip]] = {}
    for clip in plan:
        (folder / clip.path).parent.mkdir(exist_ok=True)
        if clip.drawn:
            people.setdefault(clip.person, []).append(clip)
        else:
            (folder / clip.path).write_bytes(black)
    for _ in run([(write_person, (folder, clips, seed)) for clips in people.values()]):
        pass


def write_person(folder: Path, clips: list[Clip], seed: int) -> None:
    """Draws one person's clips."""
    person = clips[0].person
    who = identity.sample(np.random.default_rng([seed, 61, person]))
    speaker = voice.sample(np.random.default_rng([seed, 62, person]))
    for clip in clips:
        emotion = EMOTIONS[clip.folder]
        rng = np.random.default_rng([seed, 63, person, int(clip.name)])
        habit = np.random.default_rng([seed, 64, person, *emotion.encode()])
        frames = int(rng.integers(12, 31))
        spoken = 'neutral' if rng.random() < VOICE_HIDDEN else emotion
        said = voice.speak(speaker, spoken, frames / FPS, rng)
        amount = 0.1 if rng.random() < FACE_HIDDEN else talk.face_strength(rng)
        motion = talk.perform(who, emotion, amount, said, frames, FPS, rng, habit)
        busy = SCENE_MOTION[emotion] * float(np.exp(rng.normal(0, MOTION_NOISE)))
        images, landmarks = _film(who, motion, busy, rng)
        sound = _overheard(said.sound, rng)
        movie.write_movie(folder / clip.path, images, FPS, sound=sound, rate=voice.RATE)
        if rng.random() >= _NO_TRACK:
            tracked = folder / clip.part / FACES[clip.part] / clip.name
            tracked.mkdir()
            for t in np.flatnonzero(rng.random(frames) >= _LOST_FRAME).tolist():
                _write_aligned(tracked / f'I_{1001 + t}.jpg', images[t], landmarks[t])


def _film(
    who: identity.Identity, motion: dynamics.Motion, busy: float, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draws a clip's frames uint8 [HEIGHT, WIDTH, 3] and landmarks [68, 2] in their pixels."""
    width, height = WIDTH + 2 * _BORDER, HEIGHT + 2 * _BORDER
    scale = float(rng.uniform(22, 46))
    actor = face.prepare(who, scale, width, height, 3)
    place = np.array([rng.uniform(0.32, 0.68) * width, rng.uniform(0.36, 0.46) * height])
    turned = np.clip(rng.normal(0, (0.20, 0.10, 0.10)), -0.32, 0.32)
    light = Light(
        azimuth=float(rng.normal(0, 0.75)),
        elevation=float(rng.uniform(-0.1, 1.1)),
        strength=float(rng.uniform(0.35, 0.95)),
        ambient=float(rng.uniform(0.2, 0.6)),
    )
    camera = Camera(
        blur=float(rng.uniform(0.4, 1.1)),
        noise=float(rng.uniform(1, 4)),
        gain=exposure(who, light, float(rng.uniform(0.22, 0.62))),
        gamma=float(rng.uniform(0.85, 1.25)),
    )
    scene = surroundings.build(
        who, Pose(x=place[0], y=place[1], scale=scale), light, actor.size, int(rng.integers(2**31))
    )
    behind = _behind(place, scale, width, height)
    passing = _passers(len(motion.actions), busy, rng)
    shifts = np.clip(_SHAKE * busy * talk.walk(len(motion.actions), rng), 1 - _BORDER, _BORDER - 1)
    images, landmarks = [], []
    for t, shift in enumerate(shifts):
        x, y = place + motion.shift[t] * scale
        drawn = face.render(
            actor,
            motion.actions[t],
            Pose.at(motion.angles[t] + turned, motion.gaze[t], float(x), float(y), scale),
            light,
            camera,
            scene=scene * (1 + behind * passing(t, width, height))[..., None],
            noise_seed=int(rng.integers(2**31)),
        )
        images.append(talk.shaken(drawn.image, shift, (WIDTH, HEIGHT)))
        landmarks.append(drawn.landmarks - _BORDER - shift)
    return images, landmarks


def _behind(place: np.ndarray, scale: float, width: int, height: int) -> np.ndarray:
    """Masks the background, float32 [height, width]: beside the head and above the shoulders."""
    x = np.abs(np.arange(width, dtype=np.float32) - place[0]) / scale
    y = (np.arange(height, dtype=np.float32)[:, None] - place[1]) / scale
    return np.clip((x - 1.2) * 3, 0, 1) * np.clip((2.1 - y) * 3, 0, 1)


def _passers(
    frames: int, busy: float, rng: np.random.Generator
) -> Callable[[int, int, int], np.ndarray]:
    """Draws three blurred passers-by: frame, width, height -> [height, width] about 0."""
    start, size = rng.uniform(-0.3, 1.3, 3), rng.uniform(0.06, 0.16, 3)
    speed = 0.035 * busy * rng.choice([-1, 1], 3) * rng.uniform(0.5, 1.5, 3)
    tone = _PASSING * rng.choice([-1, 1], 3) * rng.uniform(0.5, 1.0, 3)

    def field(t: int, width: int, height: int) -> np.ndarray:
        x = np.linspace(0, 1, width)
        at = (start + speed * t + 0.3) % 1.6 - 0.3
        row = (tone * np.exp(-(((x[:, None] - at) / size) ** 2))).sum(1)
        return np.broadcast_to(row, (height, width)).astype(np.float32)

    return field


def _overheard(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mixes a voice as in a film: nearer or farther, over 3 to 25 dB weaker pink noise; int16."""
    spectrum = np.fft.rfft(rng.standard_normal(len(sound)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum, len(sound))
    level = np.sqrt(np.mean(sound.astype(float) ** 2))
    noise *= level / noise.std() * 10 ** (-rng.uniform(3, 25) / 20)
    near = 10 ** (rng.normal(0, 4) / 20)
    return np.clip(np.round((sound + noise) * near), -32767, 32767).astype(np.int16)


def _write_aligned(path: Path, image: np.ndarray, landmarks: np.ndarray) -> None:
    eyes = registration.eye_centres(landmarks)
    matrix = registration.similarity(registration.eye_places(ALIGNED, 1.0), eyes)
    aligned = registration.warp(image, matrix, ALIGNED)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
    path.write_bytes(cv2.imencode(path.suffix, aligned[..., ::-1], quality)[1].tobytes())
