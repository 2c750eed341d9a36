"""The clips that a config names: simulated first where it says so, loaded, registered."""

import dataclasses
import itertools
import pathlib
from typing import Any

import numpy as np
import tqdm
from ml_collections import ConfigDict

from fer_jax import config as configs
from fer_jax import simulation
from fer_jax.data import cropping, datasets, fitted, leaks, preparation, prepared
from fer_jax.data.clips import ClipSet, arrange, onsets, stills
from fer_jax.data.fitted import Fitted
from fer_jax.data.protocols import Fold, shorten


def ensure_prepared(config: ConfigDict, data_dir: pathlib.Path) -> pathlib.Path:
    """Returns the prepared-data folder, preparing it where needed.

    With `simulated.subjects` above 0 that is a folder of their own, in which the release is drawn
    and prepared where it is not there yet; with a section `activity` its scenes too.
    """
    subjects, seed = config.simulated.subjects, config.simulated.seed
    if not subjects:
        return data_dir
    folder = data_dir / 'simulated'
    named = config.data.name.replace(':', '-')
    folder /= f'{named}-{subjects}-subjects-seed-{seed}-version-{simulation.VERSION}'
    ways = [config.data.faces, *([datasets.SCENE] if 'activity' in config else [])]
    for name, faces in itertools.product(config.data.name.split('+'), ways):
        if prepared.location(name, folder, faces).exists():
            continue
        drawn = name.replace(':', '_')  # of own data there are own:pictures and own:films
        release = folder / f'release-{name.replace(":", "-")}'
        if not (release / simulation.STAMP).exists():
            print(f'drawing a simulated {name} of {subjects} people into {release}', flush=True)
            with tqdm.tqdm(desc='drawing', unit=' parts', disable=None) as bar:

                def show(done, total, bar=bar):
                    bar.total = total
                    bar.update(done - bar.n)

                simulation.write_release(
                    drawn, release, subjects=subjects, seed=seed, progress=show
                )
        options = simulation.prepared_with(drawn)
        preparation.prepare(name, release, folder, faces=faces, **options)
    return folder


def load(config: ConfigDict, folder: pathlib.Path, fit: Fitted | None = None) -> ClipSet:
    """The config's clips as they were prepared in `folder` (`prepared.load`).

    A config may have `data.order`, another order of each clip's frames (`clips.arrange`), and
    `data.stills`, which makes each frame a clip (`clips.stills`); `data.neutral` takes stills of
    sequences' first frames besides (`clips.onsets`); `data.drop_soundless` leaves out clips without
    sound.
    """
    options = dict(config.data)
    name, order = options.pop('name'), options.pop('order', 'kept')
    apart, audible = options.pop('stills', False), options.pop('drop_soundless', False)
    neutral = options.pop('neutral', False)
    if neutral:
        options |= {'frames': 2, 'sampling': 'uniform'}
    found = configs.bind(prepared.load, options, 'data', name, data_dir=folder, fitted=fit)
    if audible:
        found = _audible(found, folder, config.data.faces)
    found = arrange(found, order)
    if neutral:
        return onsets(found)
    return stills(found) if apart else found


def _audible(clips: ClipSet, folder: pathlib.Path, faces: str) -> ClipSet:
    """The clips that have sound; says which have none."""
    sound = prepared.load_audio(clips.name, data_dir=folder, faces=faces)
    names = clips.clip_id.tolist()
    silent = [name for name in names if not len(sound[name][0])]
    if not silent:
        return clips
    print(f'{len(silent)} clips without sound are left out: {shorten(silent)}', flush=True)
    has = ~np.isin(clips.clip_id, silent)
    own = ('frames', 'length', 'label', 'subject', 'clip_id', 'split', 'landmarks')
    arrays = {field: getattr(clips, field) for field in own}
    return dataclasses.replace(
        clips, **{field: None if a is None else a[has] for field, a in arrays.items()}
    )


def about(config: ConfigDict, clips: ClipSet, folder: pathlib.Path) -> dict[str, Any]:
    """What dataset.json says of the clips."""
    said = {key: config.data[key] for key in ('faces', 'labels')}
    return prepared.about(clips, data_dir=folder, **said)


def is_fitted(config: ConfigDict) -> bool:
    """Whether the config's registration is fitted, so that every fold has frames of its own."""
    return config.data.registration in cropping.FITTED


def fit_registration(config: ConfigDict, clips: ClipSet, fold: Fold) -> Fitted:
    """What the config's registration needs, fitted on the fold's training clips.

    Args:
      clips: as `load` gives them without a fit.
    """
    fit = fitted.fit_registration(
        clips, fold.train, kind=config.data.registration, points=config.data.get('points', 5)
    )
    leaks.check_fitted(fit, fold)
    return fit


def register(config: ConfigDict, clips: ClipSet, fold: Fold, folder: pathlib.Path) -> ClipSet:
    """The clips drawn again, registered by what was fitted on the fold's training clips.

    Args:
      clips: as `load` gives them without a fit.
    """
    return load(config, folder, fit_registration(config, clips, fold))
