"""Writes a finished run's networks as a model folder (`training.model_folder`)."""

import dataclasses
import functools
from pathlib import Path

import jax
import numpy as np

from fer_jax import __version__, atomic
from fer_jax.errors import UserError
from fer_jax.evaluation import predictions, rundir
from fer_jax.experiment.predictor import Predictor
from fer_jax.experiment.trained import TrainedNetwork
from fer_jax.reports import model_card
from fer_jax.simulation.releases import fer2013
from fer_jax.training import model_folder, transfer

# Faces that are drawn to compare networks on, and those of them that the folder keeps.
_DRAWN, _KEPT = 42, 4
_SEED = 24
# Kernels take two bytes a number where no probability of a drawn face changes by more.
_LOST = 0.002


def write(predictor: Predictor, out: Path, name: str) -> list[str]:
    """Writes the folder; called and answered as `formats.FORMATS` says.

    Raises:
      UserError: a model folder instead of a run.
    """
    run = predictor.path
    if model_folder.is_folder(run):
        raise UserError(f'{run} is a model folder already: copy it')
    members = [network.member for network in predictor.networks]
    networks = [TrainedNetwork.open(run, member) for member in members]
    config, dataset = (rundir.read_json(run / f'{each}.json') for each in ('config', 'dataset'))
    table, source = predictions.load(run / 'probabilities.npz'), transfer.Source.open(str(run))
    about = networks[0].about(config)
    frames, length = drawn_faces(predictor)
    whole = _said(networks, frames, length)
    folded = _said(predictor.networks, frames, length)
    arrays = [network.arrays() for network in networks]
    halved = [model_folder.halved(each) for each in arrays]
    short = [
        TrainedNetwork.of_arrays(run, n.member, about, n.epoch, model_folder.widened(each)).folded()
        for n, each in zip(networks, halved, strict=True)
    ]
    rounded = _said(short, frames, length)
    lost = float(np.abs(rounded - whole).max())
    half = lost <= _LOST and bool((rounded.argmax(1) == whole.argmax(1)).all())
    parameters = sum(x.size for x in jax.tree.leaves([n.variables['params'] for n in networks]))
    stored = dataclasses.replace(predictor, networks=tuple(short if half else predictor.networks))
    model_folder.write(
        out,
        {
            'fer_jax': __version__,
            **about,
            'name': name or config['name'],
            'members': [
                {'fold': int(table.fold[k]), 'seed': int(table.seed[k]), 'epoch': network.epoch}
                for k, network in zip(members, networks, strict=True)
            ],
            'temperature': predictor.temperature if predictor.validation_clips else None,
            'validation_clips': predictor.validation_clips or None,
            'trained_on': {
                **source.chain,
                'labels': config['data']['labels'],
                'targets': config['loss']['targets'],
                'taught_by': dataset.get('taught_by', []),
            },
            'weights': {
                'file': model_folder.WEIGHTS,
                'parameters': parameters,
                'kernels': 'float16' if half else 'float32',
            },
        },
        model_folder.serialise(halved if half else arrays),
        {fold: [*source.seen[fold]] for fold in {int(table.fold[k]) for k in members}},
        {
            'frames': frames[:_KEPT],
            'length': length[:_KEPT],
            'probabilities': stored.probabilities(frames[:_KEPT], length[:_KEPT]),
            'classes': np.array(predictor.classes),
        },
    )
    atomic.write_text(out / model_folder.CARD, model_card.text(out))
    return [
        *(f'note: {note}' for note in predictor.notes),
        f'{len(networks)} network(s), {parameters:,} parameters, temperature '
        + (f'{predictor.temperature:.3f}' if predictor.validation_clips else 'not fitted'),
        f'batch normalisation folded on loading: probabilities of {len(frames)} drawn faces differ '
        f'by at most {np.abs(folded - whole).max():.1e}',
        f'kernels in two bytes a number: by at most {lost:.1e}, '
        + ('kept' if half else 'four bytes kept instead'),
        f'{out}: {sum(path.stat().st_size for path in out.iterdir()):,} bytes',
    ]


def drawn_faces(predictor: Predictor) -> tuple[np.ndarray, np.ndarray]:
    """Draws faces of FER2013's kind, as clips that a predictor's networks take.

    Returns:
      uint8 [_DRAWN, T, S, S, C], and the length int32 of each.
    """
    network = predictor.networks[0]
    frames = np.stack([predictor.framed(face, row) for row, face in enumerate(_faces())])
    # A clip of a sequence shows the faces that follow.
    clips = np.stack([np.roll(frames, -shift, 0) for shift in range(network.shape[0])], axis=1)
    return clips, np.full(len(clips), network.shape[0], np.int32)


@functools.cache
def _faces() -> list[np.ndarray]:
    """Faces uint8 [48, 48] of every class in turn, six of a person."""
    labels = [k % len(fer2013.CLASSES) for k in range(_DRAWN)]
    each = fer2013.PER_PERSON
    people = [
        (k, ('PrivateTest', labels[k * each : (k + 1) * each])) for k in range(_DRAWN // each)
    ]
    return [image for _, _, image, _ in fer2013.draw_people(people, _SEED)]


def _said(networks, frames: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Averages the networks' probabilities, not calibrated: float64 [n, class]."""
    each = np.array([network.probabilities(frames, length) for network in networks])
    return each.astype(np.float64).sum(0) / len(each)
