"""More epochs for a finished run: a run of more epochs begins with what a shorter one has done."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from fer_jax import atomic
from fer_jax import config as configs
from fer_jax.errors import DAMAGED, UserError
from fer_jax.evaluation import rundir

CHECKPOINTS = 'checkpoints'


def check(run: Path, config: ConfigDict, folds: Mapping, dataset: Mapping) -> None:
    """Checks that a finished run is the beginning of the one that `config` stands for.

    It is, bit for bit, where nothing but `train.epochs` differs, on the same folds and clips, and
    where no step depends on how many epochs there will be.

    Raises:
      UserError: it is not, or has not finished.
    """
    rundir.check_finished(run, '--extend')
    known, wanted = rundir.read_json(run / 'config.json'), configs.as_json(config)
    before, epochs = (_value(values, 'train', 'epochs') for values in (known, wanted))
    if before is None or epochs is None:
        raise UserError(f'--extend: {run} is not trained in epochs; train the config without it')
    if not _value(known, 'train', 'keep_states'):
        raise UserError(
            f'--extend: the networks of {run} have kept no optimizer states; a run that is to be '
            'extended is trained with --config.train.keep_states=True'
        )
    wanted['train']['epochs'] = before
    if difference := configs.difference(wanted, known):
        raise UserError(
            f'--extend: {run} is a run of another config: {difference}; only train.epochs may '
            'differ'
        )
    if epochs <= before:
        raise UserError(
            f'--extend: {run} has {before} epochs: give more, --config.train.epochs={2 * before}'
        )
    schedule, warmup = (_value(wanted, 'optimizer', key) for key in ('schedule', 'warmup'))
    if schedule == 'cosine' or warmup:
        rates = f"optimizer.schedule '{schedule}'" if schedule == 'cosine' else 'optimizer.warmup'
        raise UserError(
            f'--extend: the learning rates of {rates} depend on the number of epochs from the '
            f'first step on, so that {epochs} epochs do not begin with these {before}: train '
            'them without --extend'
        )
    if _value(wanted, 'train', 'retrain'):
        raise UserError(
            '--extend: with train.retrain more epochs may choose other ones to train again for: '
            'train them without --extend'
        )
    for name, value in (('folds.json', folds), ('dataset.json', dataset)):
        if rundir.read_json(run / name) != value:
            raise UserError(
                f'--extend: {run / name} is not what this run would have: the prepared data has '
                'changed, the run that it builds on, or what fer_jax writes; train without --extend'
            )
    if not (run / CHECKPOINTS).is_dir():
        raise UserError(f'--extend: {run} has no {CHECKPOINTS}/ any more; train without --extend')


def take_over(run: Path, folder: Path, epochs: int) -> None:
    """Copies a run's checkpoints into the folder of a longer one, all or nothing; `run` stays.

    A folder that has checkpoints is left as it is: it was begun before.

    Args:
      epochs: of the longer run; the file of a member's probabilities gets room for them.

    Raises:
      UserError: a file of probabilities is missing or damaged.
    """
    if (folder / CHECKPOINTS).exists():
        return
    with atomic.folder_beside(folder) as beside:
        copy = beside / CHECKPOINTS
        shutil.copytree(run / CHECKPOINTS, copy)
        for member in sorted(copy.iterdir()):
            path = member / 'probabilities.npy'
            try:
                known = np.load(path)
                longer = np.full((epochs, *known.shape[1:]), np.nan, np.float16)
                longer[: len(known)] = known
            except DAMAGED as error:
                raise UserError(
                    f'--extend: {run / CHECKPOINTS / member.name / path.name} is damaged '
                    f'({error}): train without --extend'
                ) from error
            np.save(path, longer)
        copy.rename(folder / CHECKPOINTS)


def _value(config: Mapping[str, Any], section: str, key: str) -> Any:
    """Returns a value of a config as JSON; None where it has no such key."""
    found = config.get(section)
    return found.get(key) if isinstance(found, Mapping) else None
