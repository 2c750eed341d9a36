"""The predictions of each model of kahou2015 for all clips, after each of its trainings."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.experiment.classifiers import Classifier, ClassifierLearner
from fer_jax.experiment.first_stage import FirstStage
from fer_jax.experiment.learners import NetworkLearner
from fer_jax.experiment.members import Data
from fer_jax.experiment.run import Experiment, train_members
from fer_jax.experiment.sections import Sections
from fer_jax.kahou2015 import bins
from fer_jax.kahou2015.activity import Activity
from fer_jax.kahou2015.audio import Sound
from fer_jax.kahou2015.fitting import AggregatedSVM
from fer_jax.kahou2015.partitions import TRAININGS, ClipTable, data_of
from fer_jax.models.features import features
from fer_jax.training.checkpoint import read_best
from fer_jax.training.members import Member

# Clips that pass through the recurrent network at a time.
_CLIPS = 256

Arrays = dict[str, np.ndarray]
# Builds a model's experiment on the clips that are loaded as it is told.
Build = Callable[[Callable[[Sections, Path], Data]], Experiment]


class Learned(NamedTuple):
    """A model that is fitted at once, after one training.

    Attributes:
      clips: as the model sees them, with those that have no label.
      member: with all that was fitted.
      probabilities: float [clip, class].
    """

    clips: ClipSet
    member: Member
    probabilities: np.ndarray


def activity(build: Build, table: ClipTable) -> Arrays:
    """Trains the model of motion in whole scenes (sec. 4).

    Returns:
      probabilities float32 [training, clip, class], NaN for clips that the model cannot judge, and
      filters float32 [factor, frame, row, column], which the training part has taught.
    """
    built, learned = _fit(build)
    assert isinstance(built.source, Activity)
    return {**_said(learned, table), 'filters': built.source.filters(learned[0].member)}


def audio(build: Build, table: ClipTable, components: int) -> Arrays:
    """Trains the model of sound (sec. 3).

    Returns:
      probabilities as `activity`; features float32 [training, clip, value], of which the fusion
      network is given the first whitened components (sec. 6.2).
    """
    built, learned = _fit(build)
    assert isinstance(built.source, Sound)
    return _said(learned, table) | _seen(learned, table, functools.partial(_whitened, components))


def aggregated(build: Build, table: ClipTable) -> Arrays:
    """Trains the classifier on the frame network's aggregated probabilities (sec. 2.3).

    Returns:
      probabilities and features as `audio`, the features being the bins' values; averaging float32
      [clip, class], the mean of the frames' probabilities, NaN where these are of other classes.
    """
    built, learned = _fit(build)
    classifier = _classifier(built)
    assert isinstance(classifier, AggregatedSVM)
    clips, count = learned[0].clips, classifier.bins
    averaging = np.full(learned[0].probabilities.shape, np.nan)
    source = built.source
    assert isinstance(source, FirstStage)
    if source.layer == 'logits' and sorted(source.classes) == sorted(clips.classes):
        averaging = bins.average_probabilities(clips.frames, clips.length)
    else:
        print('frame averaging is left out: the frame network tells other classes', flush=True)
    binned = _seen(
        learned, table, lambda own: bins.aggregate(own.clips.frames, own.clips.length, count)
    )
    return {**_said(learned, table), **binned, 'averaging': table.spread(clips, averaging)}


def _fit(build: Build) -> tuple[Experiment, list[Learned]]:
    """Fits a model in one step and predicts after each of TRAININGS."""
    built = build(functools.partial(data_of, stopped=False))
    classifier = _classifier(built)

    def said(clips: ClipSet, member: Member) -> np.ndarray:
        fitted = classifier.fit(clips, member)
        return classifier.predict(fitted, clips.frames, clips.length, len(clips.classes))

    found = [
        Learned(group.clips, member, said(group.clips, member))
        for group in built.groups
        for member in group.members
    ]
    found.sort(key=lambda learned: learned.member.fold_number)
    return built, [
        *found,
        found[-1],
    ]  # without epochs to keep both ways of training on both are one


def _classifier(built: Experiment) -> Classifier:
    assert isinstance(built.learner, ClassifierLearner)
    return built.learner.classifier


def _said(learned: Sequence[Learned], table: ClipTable) -> Arrays:
    said = [table.spread(own.clips, own.probabilities) for own in learned]
    return {'probabilities': np.stack(said)}


def _seen(
    learned: Sequence[Learned], table: ClipTable, describe: Callable[[Learned], np.ndarray]
) -> Arrays:
    return {'features': np.stack([table.spread(own.clips, describe(own)) for own in learned])}


def _whitened(components: int, own: Learned) -> np.ndarray:
    """Scales the first components of sound to deviation 1: float32 [clip, component]."""
    values = own.clips.frames[:, 0, :components]
    return values / values[own.member.fold.train].std(0, ddof=1)


def recurrent(build: Build, table: ClipTable, folder: Path) -> Arrays:
    """Trains the recurrent network (sec. 2.2); its features are its last states.

    The part that it is not trained on chooses its epoch, and it is trained again on both parts for
    as many epochs. Its checkpoints and metrics.csv lie in `folder`.

    Returns:
      probabilities and features as `audio`; epochs int [training], those kept; history float
      [training, 2, epoch], accuracy on training and stopping clips, NaN where there is none.
    """
    built = build(functools.partial(data_of, stopped=True))
    records = train_members(built, folder)
    shape = (len(TRAININGS), 2, built.learner.epochs)
    history, epochs = np.full(shape, np.nan), np.zeros(len(TRAININGS), np.int64)
    framed = {
        member.index: group.clips
        for group in (*built.groups, *built.again)
        for member in group.members
    }
    assert isinstance(built.learner, NetworkLearner)
    system = built.learner.system(len(table.classes))
    said, seen = [], []
    for number, record in enumerate(records):
        if record.failed:
            raise UserError(
                f'the recurrent network diverged in epoch {record.failed}: lower '
                '--config.models.rnn.optimizer.learning_rate'
            )
        for row, name in enumerate(('train_accuracy', 'validation_accuracy')):
            values = [line.get(name, np.nan) for line in record.history]
            history[number, row, : len(values)] = values
        member = folder / 'checkpoints' / f'{record.member.index:03}'
        epochs[number], network = read_best(member)
        own = framed[record.member.index]
        probabilities, states = _pass(system, network, own)
        said.append(table.spread(own, probabilities))
        seen.append(table.spread(own, states))
    return {
        'probabilities': np.stack(said),
        'features': np.stack(seen),
        'epochs': epochs,
        'history': history,
    }


def _pass(system, network: dict, clips: ClipSet) -> tuple[np.ndarray, np.ndarray]:
    """Computes class probabilities [clip, class] and last states [clip, unit] of all clips."""
    variables = {key: value for key, value in network.items() if value}

    @jax.jit
    def both(frames, length):
        states = features(system.model, variables, frames, 'state', length=length)
        return system.probabilities(variables, frames, length), states

    found = []
    for start in range(0, len(clips), _CLIPS):
        some = slice(start, start + _CLIPS)
        found.append(jax.device_get(both(clips.frames[some], clips.length[some])))
    said, seen = zip(*found, strict=True)
    return np.concatenate(said), np.concatenate(seen)
