"""Trained networks on the test clips of a prepared dataset."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from fer_jax.data import cropping, leaks, prepared
from fer_jax.data.clips import ClipSet, recordings
from fer_jax.data.protocols import Fold
from fer_jax.errors import UserError
from fer_jax.evaluation import judgement, rundir, votes
from fer_jax.evaluation.judgement import Judgement
from fer_jax.evaluation.predictions import TEST, Predictions
from fer_jax.experiment.foreign import ForeignNetwork
from fer_jax.experiment.predictor import Predictor
from fer_jax.training import transfer
from fer_jax.training.progress import TrainingProgress

MAJORITY = "A majority agrees (FER+'s authors' rule)"
# Sides in pixels to which pictures are shrunk, to see what small faces cost.
SIDES = (36, 24, 16)
_BATCH = 256
_TINY = np.finfo(np.float32).tiny


def judge(
    predictor: Predictor | ForeignNetwork,
    dataset: str,
    *,
    data_dir: Path,
    labels: str = '',
    faces: str = '',
    say: Callable[[str], None] = print,
) -> Judgement:
    """Judges networks on a dataset's test part; on all of it, where it has no parts of its owners.

    Args:
      dataset, labels, faces: as of `prepared.load`.
      say: takes lines for people: how classes were matched, and the like.

    Raises:
      UserError: not prepared, no such labels, no class in common, or networks that no faces of this
        dataset suit.
    """
    clips = _load(predictor, dataset, data_dir, labels, faces)
    fold = _parts(clips)
    tested = fold.test
    known, sentence = _matched(predictor.classes, clips.classes)
    say(sentence)
    raw, temperature = predictor, None
    if isinstance(predictor, Predictor):
        raw = dataclasses.replace(predictor, temperature=1.0)
        if predictor.validation_clips:
            temperature = predictor.temperature, predictor.validation_clips

    lengths = clips.length[tested]
    stills = clips.frames.shape[1] == 1
    sides = [side for side in SIDES if side < clips.frames.shape[2]] if stills else []
    frames = clips.frames[tested]
    nothing = np.array([name in known for name in clips.classes], np.float32) / len(known)
    with TrainingProgress(len(tested) * (1 + len(sides))) as bar:
        bar.compiling()

        def said(frames: np.ndarray) -> np.ndarray:
            """Probabilities of the labels' classes, float32 [clip, class]."""
            bar.describe('judging')
            found = np.zeros((len(frames), len(clips.classes)), np.float32)
            for start in range(0, len(frames), _BATCH):
                some = slice(start, start + _BATCH)
                own = raw.probabilities(frames[some], lengths[some])
                for column, name in enumerate(clips.classes):
                    if name in known:
                        found[some, column] = own[:, predictor.classes.index(name)]
                bar.advance(len(own), len(own))
            total = found.sum(1, keepdims=True)
            # A network that is sure of a class that the labels lack says nothing of the others.
            return np.where(total > 0, found / np.maximum(total, _TINY), nothing)

        probabilities = said(frames)
        conditions = {
            f'Shrunk to {side} x {side} pixels': said(_shrunk(frames, side)) for side in sides
        }
    conditions |= _thirds(frames)
    ours = isinstance(predictor, Predictor)
    stamps = (rundir.SIMULATED,) * (clips.simulated or (ours and predictor.simulated))
    if ours:
        stamps += _trained_on(predictor, clips, tested)
    groups = leaks.duplicates(clips)
    counts = np.bincount(clips.label[fold.train], minlength=len(clips.classes))
    if not len(fold.train):
        counts = np.bincount(clips.label[tested], minlength=len(clips.classes))
    predictions = Predictions(
        probabilities=probabilities[None, None],
        part=np.full((1, len(tested)), TEST, np.int8),
        label=clips.label[tested],
        subject=clips.subject[tested],
        clip_id=clips.clip_id[tested],
        classes=clips.classes,
        fold=np.zeros(1, np.int32),
        seed=np.zeros(1, np.int32),
        epochs=np.ones(1, np.int32),
        train_counts=counts[None],
        duplicate=leaks.duplicate_marks(groups, fold)[tested][None],
        **({} if clips.target is None else {'target': clips.target[tested]}),
    )
    choices = {}
    if clips.target is not None and '+' not in dataset:
        names, given = prepared.load_votes(dataset, data_dir=data_dir, faces=faces)
        table = np.stack([given[name] for name in predictions.clip_id.tolist()])
        agreed = votes.majority(table, names, clips.classes)
        # Both rules name the same class where there is a majority.
        choices[MAJORITY] = (agreed >= 0) & (agreed == predictions.label)
    part = 'all clips' if len(tested) == len(clips) else 'test part'
    if len(tested) and (clips.split[tested] == 'validation').all():
        part = 'validation part, in place of a test part'
    shown = f', labels {labels}' if labels else ''
    return judgement.judge(
        predictions,
        title=f'{predictor.name} on {dataset}{shown}',
        lead=f'{part}, {len(tested):,} clips',
        temperature=temperature,
        stamps=stamps,
        choices=choices,
        conditions=conditions,
        facts={
            'Networks': f'{len(predictor.networks) if ours else 1} of {predictor.path}',
            'SHA-256 of their arrays' if ours else 'SHA-256 of the file': predictor.digest,
            'Classes': sentence,
            'Registration': clips.registration,
            'Fingerprint of the release': prepared.describe(dataset, data_dir, faces)['fingerprint']
            if '+' not in dataset
            else 'of several',
            **({'Notes': '; '.join(predictor.notes)} if predictor.notes else {}),
        },
    )


def _load(
    predictor: Predictor | ForeignNetwork, dataset: str, data_dir: Path, labels: str, faces: str
) -> ClipSet:
    """Loads a dataset as the networks' own training clips were cut and registered."""
    own = dataclasses.replace(
        predictor.clips, name=dataset, labels=labels, faces=faces, unlabelled=False
    )
    if isinstance(predictor, ForeignNetwork):
        return own.load(data_dir)
    network = predictor.networks[0]
    fit = network.fits.registration if own.registration in cropping.FITTED else None
    if own.registration == 'mean_shape' and len(predictor.clips.name.split('+')) != len(
        dataset.split('+')
    ):
        raise UserError(
            f'{predictor.name} was registered to the mean shape of {predictor.clips.name}: it can '
            'be judged on that alone'
        )
    return own.load(data_dir, fit)


def _parts(clips: ClipSet) -> Fold:
    """Returns the owners' parts.

    Without a test part the validation part is tested, and without either all clips are.
    """
    train, validation, test = (
        np.flatnonzero(clips.split == part) for part in ('train', 'validation', 'test')
    )
    if not len(test):
        none = np.zeros(0, int)
        if len(validation):
            return Fold(train, none, validation)
        return Fold(none, none, np.arange(len(clips)))
    return Fold(train, validation, test)


def _matched(own: Sequence[str], labels: Sequence[str]) -> tuple[set[str], str]:
    """Matches classes by their names; says in a line how."""
    known = {name for name in labels if name in own}
    if not known:
        raise UserError(
            f'the networks know {", ".join(own)}, the labels are {", ".join(labels)}: none in '
            'common; give other --labels'
        )
    if set(own) == set(labels):
        return known, f'the {len(known)} classes of the labels are those of the networks'
    parts = []
    if more := [name for name in own if name not in known]:
        parts.append(f'{", ".join(more)} of the networks left out, the rest made to sum to 1')
    if less := [name for name in labels if name not in known]:
        parts.append(f'{", ".join(less)} of the labels not known to the networks, always wrong')
    return known, f'classes differ: {"; ".join(parts)}'


def _trained_on(predictor: Predictor, clips: ClipSet, tested: np.ndarray) -> tuple[str, ...]:
    """Stamps test clips that any of the networks, or what they build on, was trained on."""
    source = transfer.Source.open(str(predictor.path))
    ids = clips.clip_id[tested].tolist()
    folds = {int(source.fold[network.member]) for network in predictor.networks}
    stamps = ()
    seen = set().union(*(source.seen[fold] for fold in folds))
    if count := len(recordings(clips.name, ids) & recordings(source.chain['dataset'], seen)):
        stamps += (f'{count} OF {len(tested)} TEST CLIPS WERE SEEN IN TRAINING',)
    if earlier := source.doubtful(clips.name, ids, folds):
        stamps += (
            f'WHAT THE NETWORKS BUILD ON WAS TRAINED ON {" AND ".join(earlier).upper()}: TEST '
            'CLIPS MAY HAVE BEEN SEEN',
        )
    return stamps


def _shrunk(frames: np.ndarray, side: int) -> np.ndarray:
    """Stills uint8 [n, 1, S, S, C] shrunk to `side` pixels and enlarged again."""
    size = frames.shape[2]
    out = np.empty_like(frames)
    for row, frame in enumerate(frames[:, 0]):
        small = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
        large = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
        out[row, 0] = large.reshape(frame.shape)
    return out


def _thirds(frames: np.ndarray) -> dict[str, np.ndarray]:
    """Thirds of clips by sharpness and by brightness of their first frames: bool [clip] each."""
    grey = frames[:, 0].mean(-1)
    sharp = np.array([cv2.Laplacian(each, cv2.CV_64F).std() / (each.std() + 1) for each in grey])
    found = {}
    for name, values in (('Sharpness', sharp), ('Brightness', grey.mean((1, 2)))):
        low, high = np.quantile(values, (1 / 3, 2 / 3))
        found[f'{name}: lowest third, below {low:.2f}'] = values < low
        found[f'{name}: middle third'] = (values >= low) & (values < high)
        found[f'{name}: highest third, from {high:.2f}'] = values >= high
    return found
