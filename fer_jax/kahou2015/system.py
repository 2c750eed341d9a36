"""From AFEW to the tables of kahou2015: stages that are trained once, fusions, submissions, page.

Every stage is a file of arrays in RUN/stages, or a run in a folder there, and appears whole or not
at all: a run that is started again trains what is missing. All that is reported follows from these
files (`outcome.load`).
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from fer_jax import atomic, simulation
from fer_jax.data import datasets, prepared
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import clips as loading
from fer_jax.experiment import run as experiment
from fer_jax.experiment import run_files
from fer_jax.kahou2015 import (
    audio,
    decision_fusion,
    fusion_training,
    models,
    outcome,
    page,
    submissions,
)
from fer_jax.kahou2015.feature_fusion import FeatureFusion
from fer_jax.kahou2015.models import Arrays
from fer_jax.kahou2015.partitions import TRAININGS, ClipTable, everything, training_of
from fer_jax.kahou2015.submissions import SUBMISSIONS, Entry

# The models whose features the fusion network is given, in the order of `fusion.units`.
FUSED = ('aggregated', 'audio', 'rnn')


def run(config: ConfigDict, *, workdir: str | None, data_dir: Path) -> dict[str, Any]:
    """Trains what is missing, fuses, and reports; a finished run is only read.

    Returns:
      What results.json holds.

    Raises:
      Interrupted: SIGTERM or Ctrl-C came while a network trained; the same call goes on from there.
      UserError: a config, data or a folder that will not do.
    """
    if jax.process_count() > 1:
        raise UserError('the EmotiW system runs in one process: leave --distributed out')
    config = config.copy_and_resolve_references()
    folder = run_files.folder_of(config, workdir)
    if rundir.is_finished(folder):
        print(f'{folder} is finished; delete it to train again')
        values = rundir.read_json(folder / 'results.json')
    else:
        table = _begin(config, folder, data_dir)
        _train(config, table, folder, data_dir)
        found = outcome.load(folder)
        values = found.values
        _write(found, folder)
        page.write(found, folder)
        rundir.finish(folder)
    print(f'{outcome.text(values)}\nreport: {folder / "report.html"}', flush=True)
    return values


def _begin(config: ConfigDict, folder: Path, data_dir: Path) -> ClipTable:
    """Lists all clips, and writes what the run is known by; what a later stage lacks fails here."""
    if not config.models.audio.sound.file:
        audio.package()
    anyone = _of_model(config, 'activity', folder)
    with anyone.unlocked():
        anyone.data.update({'frames': 1, 'size': 8})
    clips, place = everything(anyone, data_dir)
    prepared.describe(clips.name, place, datasets.SCENE)
    about = loading.about(anyone, clips, place)
    note = prepared.describe(clips.name, place, anyone.data.faces)['simulated']
    table = ClipTable.of(clips, simulation.hidden_labels(note) if note else {})
    folds = [
        {
            'train': clips.clip_id[table.part(*training.fit)].tolist(),
            'validation': clips.clip_id[table.part(*training.stop)].tolist(),
            'test': clips.clip_id[table.part(submissions.TEST)].tolist(),
        }
        for training in TRAININGS
    ]
    said = {'protocol': 'partitions', 'subject_disjoint': False, 'stamps': [], 'folds': folds}
    run_files.begin(folder, config, said, about, kind=page.KIND)
    counts = ', '.join(f'{len(table.part(part))} {part}' for part in outcome.PARTS)
    print(
        f'{clips.name}: {counts} clips, {len(clips.classes)} classes'
        f'{", SIMULATED" * clips.simulated}\nrun: {folder}',
        flush=True,
    )
    _stage(folder, 'clips', lambda: outcome.of_table(table))
    return table


def _of_model(config: ConfigDict, name: str, folder: Path) -> ConfigDict:
    """The config of one of the models: on the run's clips and frame network, by its seed."""
    own = config.models[name].copy_and_resolve_references()
    with own.unlocked():
        own.seed = config.seed
        own.simulated = config.simulated
        if 'features' in own:
            own.features.run = config.frames.run or str(folder / 'stages' / 'frames')
    return own


def _stage(folder: Path, name: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays of a stage, made where they are not there yet."""
    path = outcome.place(folder, name)
    if not path.exists():
        print(f'\n{name.replace("-", " ")}', flush=True)
        arrays = make()
        with atomic.replacing(path) as temporary:
            np.savez_compressed(temporary, **arrays)
    return outcome.read(folder, name)


def _train(config: ConfigDict, table: ClipTable, folder: Path, data_dir: Path) -> None:
    """Every stage that is not there yet."""
    stage = functools.partial(_stage, folder)
    own = functools.partial(_of_model, config, folder=folder)
    if not config.frames.run and not rundir.is_finished(folder / 'stages' / 'frames'):
        print('\nnetwork for frames', flush=True)
        training = config.frames.training.copy_and_resolve_references()
        training.seed = config.seed
        experiment.run(training, workdir=str(folder / 'stages' / 'frames'), data_dir=data_dir)
    count = config.fusion.components
    said = {
        'activity': stage('activity', lambda: models.activity(own('activity'), table, data_dir)),
        'audio': stage('audio', lambda: models.audio(own('audio'), table, data_dir, count)),
        'aggregated': stage(
            'aggregated', lambda: models.aggregated(own('aggregated'), table, data_dir)
        ),
        'rnn': stage(
            'rnn',
            lambda: models.recurrent(own('rnn'), table, data_dir, folder / 'stages' / 'rnn'),
        ),
    }
    spread = (config.search[key] for key in ('start', 'factor', 'stop'))
    search = {
        'seed': config.seed,
        'local': config.search.local,
        'draws': config.search.draws,
        'schedule': decision_fusion.spreads(*spread),
    }
    made: dict[int, Entry] = {}
    for number, submission in SUBMISSIONS.items():
        given, epochs = None, {}
        if not submission.combines:
            fused = stage(
                f'fusion-{number}', lambda n=number: _fuse(config, table, said, n, folder)
            )
            at = training_of(number)
            given = _together(said, fused, at)
            kept = number if not submission.keeps else submission.keeps
            epochs = {
                'rnn': said['rnn']['epochs'][at : at + 1],
                'fusion': outcome.read(folder, f'fusion-{kept}')['epoch'],
            }

        def submit(submission=submission, given=given, epochs=epochs):
            entry = submissions.submit(
                submission, given, table.label, table.split, epochs=epochs, made=made, **search
            )
            return outcome.of_entry(entry)

        made[number] = outcome.entry(number, stage(f'submission-{number}', submit))
    if config.search.subsets:
        clips = table.part(submissions.VALIDATION)
        given = _together(said, outcome.read(folder, 'fusion-2'), training_of(2))[:, clips]
        stage(
            'subsets',
            lambda: outcome.of_searches(
                decision_fusion.search_subsets(given, table.label[clips], **search)
            ),
        )


def _together(said: dict[str, Arrays], fused: Arrays, training: int) -> np.ndarray:
    """Probabilities float32 [model, clip, class] of the models of one training, fusion last."""
    each = [own['probabilities'][training] for own in said.values()]
    return np.stack([*each, fused['probabilities']])


def _fuse(
    config: ConfigDict, table: ClipTable, said: dict[str, Arrays], number: int, folder: Path
) -> Arrays:
    """The fusion network of a submission: probabilities, epoch int [1], history [2, epoch]."""
    submission, at = SUBMISSIONS[number], training_of(number)
    fusion = config.fusion
    stop_at, epochs = None, fusion.epochs[submission.recipe]
    if submission.keeps:
        stop_at = outcome.read(folder, f'fusion-{submission.keeps}')['epoch']
        epochs = int(stop_at.max())
    units = tuple(fusion.units)
    if len(units) != len(FUSED):
        raise UserError(
            f'fusion.units has {len(units)} numbers: give one for each of {", ".join(FUSED)}'
        )
    trained = fusion_training.train(
        FeatureFusion(len(table.classes), units, fusion.common, fusion.activation),
        [said[name]['features'][at] for name in FUSED],
        table.label,
        table.part(*submission.fit),
        table.part(*submission.searched),
        seeds=[config.seed],
        epochs=epochs,
        batch_size=fusion.batch_size,
        dropout_rate=fusion.dropout_rate,
        penalty=dict(fusion.penalty),
        stop_at=stop_at,
        **fusion_training.RECIPES[submission.recipe],
    )
    history = [trained.history[f'{part}_accuracy'][0] for part in ('train', 'validation')]
    print(f'epoch {trained.epoch[0]} of {epochs} is kept', flush=True)
    return {
        'probabilities': trained.probabilities[0],
        'epoch': trained.epoch,
        'history': np.stack(history),
    }


def _write(found: outcome.SystemOutcome, folder: Path) -> None:
    """results.json, predictions.csv and the submissions in the challenge's format."""
    atomic.write_json(folder / 'results.json', found.values)
    atomic.write_text(folder / 'predictions.csv', outcome.predictions_csv(found))
    clips = found.table.part(submissions.TEST)
    if not len(clips):
        print('no test clips: nothing to submit', flush=True)
        return
    known = found.table.label[found.table.label >= 0]
    otherwise = found.table.classes[np.bincount(known).argmax()]
    for number, entry in found.entries.items():
        silent = submissions.write_predictions(
            folder / 'submissions' / f'submission-{number}.zip',
            found.table.clip_id[clips].tolist(),
            entry.probabilities[clips],
            found.table.classes,
            otherwise,
        )
        if silent and number == 1:
            print(f'{silent} test clips that no model speaks of are submitted as {otherwise}')
