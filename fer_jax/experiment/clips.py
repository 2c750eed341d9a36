"""From a config to clips (`data.clips`): drawn first where it says so, loaded, registered."""

import dataclasses
import fcntl
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import simulation
from fer_jax.config import bind, keys
from fer_jax.data import cropping, datasets, fitted, leaks, preparation, prepared
from fer_jax.data.clips import ClipSet, arrange, onsets, stills
from fer_jax.data.fitted import Fitted
from fer_jax.data.progress import Progress
from fer_jax.data.protocols import Fold, shorten
from fer_jax.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Simulated:
    """Section `simulated` of a config.

    Attributes:
      subjects: people to draw; 0 where the data are licensed ones.
      seed: of the drawing.
    """

    subjects: int
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipSource:
    """The source of a config's clips, and how they are loaded: its sections `data`, `simulated`.

    Attributes:
      name, faces, labels, frames, sampling, size, channels, registration, points, margin,
        equalize, drop_faceless, unlabelled: see `prepared.load`.
      order: another order of each clip's frames (`clips.arrange`).
      stills: each frame becomes a clip (`clips.stills`).
      neutral: stills of sequences' first frames are taken besides (`clips.onsets`).
      drop_soundless: clips without sound are left out.
      simulated: the people that are drawn, where they are.
      sounds: clips of sound alone are taken too.
      scenes: whole scenes are read besides the faces, and must be prepared too.
    """

    name: str
    faces: str
    labels: str
    frames: int
    sampling: str
    order: str
    size: int
    channels: int
    registration: str
    points: int
    margin: float
    equalize: str
    stills: bool
    neutral: bool
    drop_faceless: bool
    drop_soundless: bool
    unlabelled: bool
    simulated: Simulated
    sounds: bool = False
    scenes: bool = False

    @classmethod
    def open(
        cls, config: Mapping[str, Any], *, sounds: bool = False, scenes: bool = False
    ) -> 'ClipSource':
        """Opens the sections `data` and `simulated`; UserError for a key that they do not have."""
        simulated = bind(Simulated, config['simulated'], 'simulated')
        given = {'simulated': simulated, 'sounds': sounds, 'scenes': scenes}
        return bind(cls, config['data'], 'data', **given)

    @property
    def is_fitted(self) -> bool:
        """Tells whether the registration is fitted, so that every fold has frames of its own."""
        return self.registration in cropping.FITTED

    @property
    def clip_frames(self) -> int:
        """Returns how many frames a clip has as it is loaded."""
        return 1 if self.stills or self.neutral else self.frames

    def check(self) -> None:
        """Refuses (UserError) keys that do nothing beside `neutral`, or swap the two ends."""
        for key in ('frames', 'sampling', 'order', 'stills') if self.neutral else ():
            value, usual = getattr(self, key), keys.EXPERIMENT['data'][key]
            if value != usual:
                raise UserError(
                    f'data.{key} is {value!r}, and data.neutral takes the first frame and the last '
                    f'of each sequence: give {usual!r}, or leave data.neutral out'
                )

    def ensure_prepared(self, data_dir: Path) -> Path:
        """Returns the prepared-data folder, preparing it where needed.

        Simulated data have a folder of their own, in which the release is drawn and prepared where
        it is not there yet, and with `scenes` its scenes too; by one process of a host, while
        others wait.
        """
        subjects, seed = self.simulated.subjects, self.simulated.seed
        if not subjects:
            return data_dir
        folder = data_dir / 'simulated'
        named = self.name.replace(':', '-')
        folder /= f'{named}-{subjects}-subjects-seed-{seed}-version-{simulation.VERSION}'
        ways = [self.faces, *([datasets.SCENE] if self.scenes else [])]
        wanted = [*itertools.product(self.name.split('+'), ways)]
        if all(prepared.location(name, folder, faces).exists() for name, faces in wanted):
            return folder
        data_dir.mkdir(parents=True, exist_ok=True)
        with (data_dir / '.drawing.lock').open('a') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._draw_missing(wanted, folder)
        return folder

    def _draw_missing(self, wanted: Sequence[tuple[str, str]], folder: Path) -> None:
        """Draws and prepares those datasets, with ways to find faces, that are not there."""
        subjects, seed = self.simulated.subjects, self.simulated.seed
        for name, faces in wanted:
            if prepared.location(name, folder, faces).exists():
                continue
            drawn = name.replace(':', '_')  # of own data there are own:pictures and own:films
            release = folder / f'release-{name.replace(":", "-")}'
            if not (release / simulation.STAMP).exists():
                _draw(drawn, release, subjects, seed)
            options = simulation.prepared_with(drawn)
            preparation.prepare(name, release, folder, faces=faces, **options)

    def load(self, folder: Path, fit: Fitted | None = None) -> ClipSet:
        """Loads the clips as they were prepared in `folder` (`prepared.load`).

        Args:
          fit: what the registration needs, from `fit_registration`.
        """
        frames, sampling = (2, 'uniform') if self.neutral else (self.frames, self.sampling)
        found = prepared.load(
            self.name,
            data_dir=folder,
            faces=self.faces,
            labels=self.labels,
            frames=frames,
            sampling=sampling,
            size=self.size,
            channels=self.channels,
            registration=self.registration,
            points=self.points,
            margin=self.margin,
            equalize=self.equalize,
            drop_faceless=self.drop_faceless,
            sounds=self.sounds,
            unlabelled=self.unlabelled,
            fitted=fit,
        )
        if self.drop_soundless:
            found = _audible(found, folder, self.faces)
        found = arrange(found, self.order)
        if self.neutral:
            return onsets(found)
        return stills(found) if self.stills else found

    def about(self, clips: ClipSet, folder: Path) -> dict[str, Any]:
        """Returns what dataset.json says of the clips."""
        return prepared.about(clips, data_dir=folder, faces=self.faces, labels=self.labels)

    def fit_registration(
        self, clips: ClipSet, fold: Fold, target: np.ndarray | None = None
    ) -> tuple[Fitted, ...]:
        """Fits what the registration needs on the fold's training clips.

        A dataset of which no clip trains (`across`) has its mean shape from its owners' training
        part where that is the fold's validation part (kahou2015, sec. 2.1.2, step 4): nothing is
        ever fitted on test clips.

        Args:
          clips: as `load` gives them without a fit.
          target: of 'mean_shape' the shape onto which all are mapped, float64 [P, 2] in pixels of
            the frames: another run's. None is the mean shape of the first dataset.

        Returns:
          The fit that `load` takes; of 'mean_shape' then the shape onto which all are
          mapped, to register other faces likewise.

        Raises:
          UserError: a target of another number of points.
        """
        if target is not None and target.shape != (self.points, 2):
            raise UserError(
                f'data.points is {self.points}, the run of features.run was registered to '
                f'{len(target)} points: give both runs the same'
            )
        seen = fitted.chosen_clips(clips, fold)
        given = {'indices': seen, 'points': self.points}
        fit = fitted.fit_registration(clips, kind=self.registration, target=target, **given)
        assert fit is not None  # as `is_fitted` says
        fits = [fit]
        if self.registration == 'mean_shape':
            onto = fitted.mean_shapes(clips, **given)[0] if target is None else target
            fits.append(Fitted(fitted.TARGET_SHAPE, onto, seen))
        for fit in fits:
            leaks.check_fitted(fit, fold, and_chosen=np.setdiff1d(seen, fold.train))
        return tuple(fits)


def _draw(name: str, release: Path, subjects: int, seed: int) -> None:
    """Draws a simulated release, behind a progress bar."""
    print(f'drawing a simulated {name} of {subjects} people into {release}', flush=True)
    with Progress('drawing', 'parts') as bar:
        simulation.write_release(name, release, subjects=subjects, seed=seed, progress=bar.show)


def _audible(clips: ClipSet, folder: Path, faces: str) -> ClipSet:
    """Keeps the clips that have sound; says which have none."""
    sound = prepared.load_audio(clips.name, data_dir=folder, faces=faces)
    names = clips.clip_id.tolist()
    silent = [name for name in names if not len(sound[name][0])]
    if not silent:
        return clips
    print(f'{len(silent)} clips without sound are left out: {shorten(silent)}', flush=True)
    return clips.take(~np.isin(clips.clip_id, silent))
