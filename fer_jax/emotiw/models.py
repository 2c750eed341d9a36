"""What each model of kahou2015 says of all clips, after each of its trainings."""

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from fer_jax import experiment
from fer_jax.data.clips import ClipSet
from fer_jax.emotiw.partitions import TRAININGS, Table, data_of
from fer_jax.errors import UserError
from fer_jax.models.features import features
from fer_jax.multimodal import bins
from fer_jax.training.checkpoint import MemberCheckpoints

# Clips that pass through the recurrent network at a time.
_CLIPS = 256

Arrays = dict[str, np.ndarray]


def fitted(
    config: ConfigDict,
    table: Table,
    data_dir: Path,
    describe: Callable[[ClipSet], np.ndarray] | None = None,
) -> Arrays:
    """A model that is fitted at once on features of clips.

    Args:
      describe: what the fusion network is given of clips as the model sees them.

    Returns:
      probabilities float32 [training, clip, class]; with `describe` features float32 [training,
      clip, value]; NaN for clips that the model cannot judge.
    """
    built = experiment.build(config, data_dir, data_of(config, data_dir, stopped=False))
    said, seen = [None] * len(TRAININGS), [None] * len(TRAININGS)
    for cohort in built.cohorts:
        for member in cohort.members:
            judged = built.system.judge(cohort.clips, member)
            said[member.fold_number] = table.spread(cohort.clips, judged)
            if describe:
                seen[member.fold_number] = table.spread(cohort.clips, describe(cohort.clips))
    said[3], seen[3] = said[2], seen[2]
    return {'probabilities': np.stack(said), **({'features': np.stack(seen)} if describe else {})}


def audio(config: ConfigDict, table: Table, data_dir: Path, components: int) -> Arrays:
    """Sound (sec. 3); its features are the first whitened components (sec. 6.2)."""
    if not 0 < components <= config.sound.components:
        raise UserError(
            f'fusion.components is {components}: models.audio.sound.components gives 1 to '
            f'{config.sound.components}'
        )
    return fitted(config, table, data_dir, lambda clips: clips.frames[:, 0, :components])


def aggregated(config: ConfigDict, table: Table, data_dir: Path) -> Arrays:
    """The aggregated frame network (sec. 2.3); its features are the bins' values.

    Also gives 'averaging' float32 [clip, class], the mean of its frames' probabilities.
    """
    averaged = []

    def describe(clips: ClipSet) -> np.ndarray:
        averaged.append(table.spread(clips, bins.average_probabilities(clips.frames, clips.length)))
        return bins.aggregate(clips.frames, clips.length, config.model.bins)

    return {**fitted(config, table, data_dir, describe), 'averaging': averaged[0]}


def recurrent(config: ConfigDict, table: Table, data_dir: Path, folder: Path) -> Arrays:
    """The recurrent network (sec. 2.2); its features are its last states.

    The part that it is not trained on chooses its epoch, and it is trained again on both parts for
    as many epochs. Its checkpoints and metrics.csv lie in `folder`.

    Returns:
      As `fitted`, and 'epochs' int [training], and 'history' float [training, 2, epoch], accuracy
      on training and stopping clips after each epoch, NaN where there is none.
    """
    data = data_of(config, data_dir, stopped=True)
    built = experiment.build(config, data_dir, data)
    if len(built.members) != 2:
        raise UserError(
            f'models.rnn.train.seeds is {len(built.members) // 2}: the fusions take one network'
        )
    records = experiment.train_members(built, folder)
    shape = (len(TRAININGS), 2, built.schedule.epochs)
    history, epochs = np.full(shape, np.nan), np.zeros(len(TRAININGS), np.int64)
    framed = built.cohorts[0].clips
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
        checkpoints = MemberCheckpoints(folder / 'checkpoints' / f'{record.member.index:03}')
        epochs[number], network = checkpoints.restore_best()
        checkpoints.close()
        probabilities, states = _pass(built.system, network, framed)
        said.append(table.spread(framed, probabilities))
        seen.append(table.spread(framed, states))
    return {
        'probabilities': np.stack(said),
        'features': np.stack(seen),
        'epochs': epochs,
        'history': history,
    }


def _pass(system, network: dict, clips: ClipSet) -> tuple[np.ndarray, np.ndarray]:
    """Class probabilities [clip, class] and last states [clip, unit] of all clips."""
    variables = {key: value for key, value in network.items() if value}

    @jax.jit
    def both(frames, length):
        states = features(system.model, variables, frames, 'state', length=length)
        return system.judge(variables, frames, length), states

    found = []
    for start in range(0, len(clips), _CLIPS):
        some = slice(start, start + _CLIPS)
        found.append(jax.device_get(both(clips.frames[some], clips.length[some])))
    said, seen = zip(*found, strict=True)
    return np.concatenate(said), np.concatenate(seen)
