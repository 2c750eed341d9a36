"""The networks that --model names, as `models.FaceClassifier`."""

import dataclasses
import functools
import hashlib
import itertools
from pathlib import Path

import jax
import numpy as np

from fer_jax.data import cropping
from fer_jax.errors import UserError
from fer_jax.evaluation import predictions, rundir
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.sections import Sections
from fer_jax.experiment.trained import TrainedNetwork
from fer_jax.predict import models
from fer_jax.training.inputs import equalize_frames

# Highest probabilities below it are called uncertain where a network says nothing else.
THRESHOLD = 0.4
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


def open_model(name: str, *, member: int = -1, window: float = 0.0) -> models.FaceClassifier:
    """Opens what --model names.

    Args:
      name: the directory of a finished run.
      member: of a run, the one member to take; -1 takes the mean of all.
      window: seconds that a network of sequences sees; 0 for those of its training.
    Raises:
      UserError: nothing of that name, or a run that cannot be applied to faces of films.
    """
    path = Path(name).expanduser()
    if (path / 'config.json').is_file() and (path / 'checkpoints').is_dir():
        return RunClassifier.open(path, member=member, window=window)
    raise UserError(f'--model={name}: no finished run; give the directory that fer_jax.main wrote')


@dataclasses.dataclass(frozen=True)
class RunClassifier(models.FaceClassifier):
    """Members of a finished run; several are one by the mean of their probabilities.

    Attributes:
      notes: what is not as in training, for people.
      networks: the members'.
    """

    notes: tuple[str, ...]
    networks: tuple[TrainedNetwork, ...]

    @classmethod
    def open(cls, run: Path, *, member: int = -1, window: float = 0.0) -> 'RunClassifier':
        """Opens a run; `member` and `window` as of `open_model`.

        Raises:
          UserError: not finished, or a network that does not see faces.
        """
        rundir.check_finished(run)
        config = rundir.read_json(run / 'config.json')
        clips = Sections.open(config).clips
        notes: list[str] = []
        if rundir.read_json(run / 'dataset.json')['simulated']:
            notes.append('trained on SIMULATED faces')
        table = predictions.load(run / 'probabilities.npz')
        chosen = [member]
        if member < 0:
            chosen = [k for k in range(table.members) if not table.failed[k]]
        registration, fit = clips.registration, None
        if registration in cropping.FITTED and member < 0 and len(chosen) > 1:
            # Each member's faces are registered to what was fitted on its own training clips.
            notes.append(f'member {chosen[0]} alone: the registration was fitted for each member')
            chosen = chosen[:1]
        if not chosen:
            raise UserError(f'{run}: every member diverged; train it again')
        networks = tuple(TrainedNetwork.open(run, index) for index in chosen)
        if registration in cropping.FITTED and clips.points == 5:
            fit = _fit(networks[0], clips)
        elif registration in cropping.FITTED:
            notes.append(
                f'registered by the face box: its training used {clips.points} landmarks, faces '
                'are found here with five'
            )
            registration = 'none'
        sequences = clips.frames > 1 and not clips.stills and not clips.neutral
        geometry = cropping.Geometry(
            frames=clips.frames if sequences else 1,
            sampling=clips.sampling,
            size=clips.size,
            channels=clips.channels,
            registration=registration,
            points=5,
            margin=clips.margin,
        )
        return cls(
            name=f'{config["name"]} ({run.resolve().name})',
            digest=_digest(networks),
            classes=networks[0].classes,
            geometry=geometry,
            framing=framing_of(clips),
            stored=clips.name.split('+')[0] != 'fer2013',
            fit=fit,
            seconds=(window or seconds_of(clips)) if sequences else 0.0,
            threshold=THRESHOLD,
            notes=tuple(notes),
            networks=networks,
        )

    def probabilities(self, clips: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Averages the members' probabilities, float32 [n, class]; see `models.FaceClassifier`."""
        said = [self._apply(index, clips, length) for index in range(len(self.networks))]
        return np.asarray(np.mean(said, axis=0, dtype=np.float32))

    def _apply(self, index: int, clips: np.ndarray, length: np.ndarray) -> np.ndarray:
        network = self.networks[index]
        if network.earlier:
            return network.probabilities(clips, length)
        frames = equalize_frames(clips, network.equalize)
        return np.asarray(self._compiled[index](frames, length), np.float32)

    @functools.cached_property
    def _compiled(self):
        """A compiled function for each network; each shape of batch is compiled once."""

        def compiled(network):
            variables = jax.device_put(network.variables)

            @jax.jit
            def apply(variables, frames, length):
                seen = network.inputs(frames)
                return network.system.probabilities(variables, seen, length)

            return functools.partial(apply, variables)

        return [compiled(network) for network in self.networks]


def framing_of(clips: ClipSource) -> models.Framing:
    """Returns what the margin of a run's data counted from."""
    if clips.name.split('+')[0] == 'fer2013':
        return models.FER2013
    return models.YUNET if clips.faces == 'yunet' else models.LANDMARKS


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


def _digest(networks: tuple[TrainedNetwork, ...]) -> str:
    """Hashes (SHA-256) the networks' arrays, by their names."""
    digest = hashlib.sha256()
    for network in networks:
        leaves = jax.tree_util.tree_leaves_with_path(network.variables)
        fitted = sorted(network.fits.values.items())
        arrays = itertools.chain(
            ((str(path), value) for path, value in leaves),
            ((name, part) for name, value in fitted for part in value),
        )
        for name, value in arrays:
            value = np.ascontiguousarray(value)
            digest.update(f'{name} {value.dtype} {value.shape}'.encode())
            digest.update(value.tobytes())
    return digest.hexdigest()
