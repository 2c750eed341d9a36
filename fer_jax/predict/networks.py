"""The networks that --model names, as `models.FaceClassifier`."""

import dataclasses

import numpy as np

from fer_jax.data import cropping, datasets
from fer_jax.evaluation import calibration
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.predictor import Predictor
from fer_jax.experiment.trained import TrainedNetwork
from fer_jax.predict import models

# Frames a second, and mean seconds of a clip, of datasets of films, as their papers or users give
# them; a window of a network that saw frames spread over whole clips is as long as those were.
_RATES = {
    'ckplus': 30.0,
    'oulu_casia': 25.0,
    'mmi': 25.0,
    'savee': 60.0,
    'afew': 25.0,
    'ravdess': 30.0,
    'crema_d': 30.0,
}
_SECONDS = {
    'ckplus': 0.6,
    'oulu_casia': 0.9,
    'mmi': 2.5,
    'savee': 3.8,
    'afew': 2.5,
    'ravdess': 3.7,
    'crema_d': 2.5,
}
_RATE, _CLIP = 25.0, 1.0
# Datasets whose clips end at the apex; those of others run from neutral to neutral, or show one
# expression all along.
_END_AT_APEX = ('ckplus', 'oulu_casia')


def open_model(name: str, *, member: int = -1, window: float = 0.0) -> models.FaceClassifier:
    """Opens what --model names.

    Args:
      name: of a network of the package; or the directory of a finished run, or a model folder.
      member: of several, the one to take; -1 takes the mean of all.
      window: seconds that a network of sequences sees; 0 for those of its training.
    Raises:
      UserError: nothing of that name, a damaged file, or networks that do not see faces.
    """
    return NetworkClassifier.of(Predictor.open(name, member), window=window)


@dataclasses.dataclass(frozen=True)
class NetworkClassifier(models.FaceClassifier):
    """A predictor with how faces are cut out of frames for it.

    Attributes:
      predictor: makes probabilities of clips.
    """

    predictor: Predictor

    @classmethod
    def of(cls, predictor: Predictor, *, window: float = 0.0) -> 'NetworkClassifier':
        """Finds out how faces are cut; `window` as of `open_model`."""
        clips, notes = predictor.clips, list(predictor.notes)
        registration, fit = clips.registration, None
        if registration in cropping.FITTED and clips.points == 5:
            fit = _fit(predictor.networks[0], clips)
        elif registration in cropping.FITTED:
            notes.append(
                f'registered by the face box: its training used {clips.points} landmarks, faces '
                'are found here with five'
            )
            registration = 'none'
        sequences = predictor.sequences
        if sequences and not window and clips.name.split('+')[0] not in _SECONDS:
            unknown = f'the clips of {clips.name} may have been of another length: give that'
            if clips.sampling == 'last':
                unknown = (
                    f'{clips.name} may have other than {_RATE:g} frames a second: give '
                    f'{clips.frames} divided by its own'
                )
            notes.append(
                f'it sees windows of {seconds_of(clips):g} s, and {unknown} with --window=SECONDS'
            )
        geometry = cropping.Geometry(
            frames=clips.clip_frames,
            sampling=clips.sampling,
            size=clips.size,
            channels=clips.channels,
            registration=registration,
            points=5,
            margin=clips.margin,
            equalize=clips.equalize,
        )
        return cls(
            name=predictor.name,
            digest=predictor.digest,
            classes=predictor.classes,
            geometry=geometry,
            framing=framing_of(clips),
            stored=clips.name.split('+')[0] != 'fer2013',
            fit=fit,
            seconds=(window or seconds_of(clips)) if sequences else 0.0,
            centred=sequences
            and clips.sampling != 'last'
            and clips.name.split('+')[0] not in _END_AT_APEX,
            threshold=calibration.UNCERTAIN,
            notes=tuple(notes),
            predictor=predictor,
        )

    def probabilities(self, clips: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Computes them calibrated, float32 [n, class]; see `models.FaceClassifier`."""
        return self.predictor.probabilities(clips, length)


def framing_of(clips: ClipSource) -> models.Framing:
    """Returns what the margin of a run's data counted from."""
    name = clips.name.split('+')[0]
    if name == 'fer2013':
        return models.FER2013
    faces = clips.faces  # '' is the dataset's own default
    if not faces and name.partition(':')[0] in datasets.DATASETS:
        faces = datasets.builder_class(name).FACES[0]
    return models.YUNET if faces == 'yunet' else models.LANDMARKS


def seconds_of(clips: ClipSource) -> float:
    """Returns how long the clips were that a run's network of sequences saw."""
    name = clips.name.split('+')[0]
    if clips.sampling == 'last':
        return clips.frames / _RATES.get(name, _RATE)
    return _SECONDS.get(name, _CLIP)


def _fit(network: TrainedNetwork, clips: ClipSource) -> np.ndarray | None:
    """Returns what `cropping.draw` needs of a fitted registration."""
    fitted = network.fits.registration
    if fitted is None:
        return None
    return fitted.value if clips.registration == 'procrustes' else fitted.value[0]
