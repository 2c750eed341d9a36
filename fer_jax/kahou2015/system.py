"""From AFEW to the tables of kahou2015: stages that are trained once, fusions, submissions, page.

Every stage is a file of arrays in RUN/stages, or a run in a folder there, and appears whole or not
at all: a run that is started again trains what is missing. All that is reported follows from these
files (`outcome.load`).
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from fer_jax import atomic, simulation
from fer_jax.config import bind, complete
from fer_jax.data import datasets, prepared
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import run as experiment
from fer_jax.experiment import run_files
from fer_jax.experiment.first_stage import FirstStage
from fer_jax.experiment.sections import Sections
from fer_jax.kahou2015 import (
    audio,
    audio_files,
    decision_fusion,
    fusion_training,
    models,
    outcome,
    page,
    regularisers,
    submissions,
)
from fer_jax.kahou2015.feature_fusion import ACTIVATIONS, FeatureFusion
from fer_jax.kahou2015.models import Arrays, Build
from fer_jax.kahou2015.partitions import TRAININGS, ClipTable, everything, training_of
from fer_jax.kahou2015.submissions import SUBMISSIONS, Entry
from fer_jax.training import transfer

# The parts on each of which some submission searches its weights.
SEARCHED = (submissions.TRAIN, submissions.VALIDATION)
# The models whose features the fusion network is given, in the order of `fusion.units`.
FUSED = ('aggregated', 'audio', 'rnn')
# What the stages are built on: values of the models' configs that the system cannot do without.
NEEDED = {
    'aggregated.model.name': 'svm',
    'rnn.train.retrain': True,
    'rnn.train.seeds': 1,
    **{f'{name}.protocol.fold': -1 for name in ('activity', *FUSED)},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusionOptions:
    """Section `fusion` of the config.

    Attributes:
      units: of the fusion network's first layers, one for each of FUSED.
      common, activation: its common layer's units, and all layers' activation.
      components: principal components of sound that it is given.
      batch_size, dropout_rate: of its training.
      scaled: whether its inputs are standardised over its training clips; in the paper sound alone
        is, whitened.
      epochs: at most, by the name of a recipe (`fusion_training.RECIPES`).
      penalty: keywords of `regularisers.penalty`.
    """

    units: Sequence[int]
    common: int
    activation: str
    components: int
    batch_size: int
    epochs: Mapping[str, int]
    dropout_rate: float
    scaled: bool
    penalty: Mapping[str, Any]

    def __post_init__(self):
        if len(self.units) != len(FUSED):
            raise UserError(
                f'fusion.units has {len(self.units)} numbers: give one for each of '
                f'{", ".join(FUSED)}'
            )
        _check_word('fusion.activation', self.activation, ACTIVATIONS)
        _check_word('fusion.penalty.groups', self.penalty['groups'], regularisers.GROUPS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Section `search` of the config, of the weights of the decision fusion.

    Attributes:
      draws: of a round.
      local: how the rounds after the first draw: 'gaussian' or 'uniform'.
      start, factor, stop: see `decision_fusion.spreads`.
      subsets: whether the weights of each choice of models are searched too.
    """

    draws: int
    local: str
    start: float
    factor: float
    stop: float
    subsets: bool

    def __post_init__(self):
        _check_word('search.local', self.local, decision_fusion.LOCAL)


def _check_word(key: str, word: str, known: Iterable[str]) -> None:
    if word not in known:
        raise UserError(f"{key} is '{word}': give one of {', '.join(known)}")


@dataclasses.dataclass(frozen=True)
class SystemPlan:
    """The plan of a run of the system, from its config.

    Attributes:
      seed: of every stage.
      folder: of the run.
      data_dir: of prepared data.
      models: {name: config of one of the models} on the run's clips and frame network.
      frames: config that trains the frame network; None where a finished run is given.
      fusion, search: see there.
    """

    seed: int
    folder: Path
    data_dir: Path
    models: Mapping[str, ConfigDict]
    frames: ConfigDict | None
    fusion: FusionOptions
    search: SearchOptions

    @classmethod
    def open(cls, config: ConfigDict, folder: Path, data_dir: Path) -> 'SystemPlan':
        """Opens the config's sections; UserError for a key or a value that they do not take."""
        frames = config.frames.training.copy_and_resolve_references()
        frames.seed = config.seed
        models = {name: own.copy_and_resolve_references() for name, own in config.models.items()}
        for own in models.values():
            with own.unlocked():
                own.seed = config.seed
                if 'activity' in own:
                    own.activity.seed = config.seed
                own.simulated = config.simulated
                if 'features' in own:
                    own.features.run = config.frames.run or str(folder / 'stages' / 'frames')
        for key, value in NEEDED.items():
            name, _, rest = key.partition('.')
            if (given := models[name][rest]) != value:
                raise UserError(f'models.{key} is {given}: the EmotiW system needs {value}')
        for name in ('aggregated', 'rnn'):
            own, there = (part.data.registration for part in (models[name], frames))
            if not config.frames.run and own != there:
                raise UserError(
                    f"models.{name}.data.registration is '{own}', but frames.training.data."
                    f"registration '{there}': give both the same, as the variant `registered` does"
                )
        fusion = bind(FusionOptions, config.fusion, 'fusion')
        heard = models['audio'].sound.components
        if not 0 < fusion.components <= heard:
            raise UserError(
                f'fusion.components is {fusion.components} of the {heard} of models.audio.sound.'
                'components: give as many or fewer, and 1 at least'
            )
        return cls(
            config.seed,
            folder,
            data_dir,
            models,
            None if config.frames.run else frames,
            fusion,
            bind(SearchOptions, config.search, 'search'),
        )

    def build(self, name: str) -> Build:
        """Returns what builds the experiment of a model."""
        return functools.partial(experiment.build, self.models[name], self.data_dir)


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
    config = complete(config)
    folder = run_files.folder_of(config, workdir)
    if rundir.is_finished(folder):
        print(f'{folder} is finished; delete it to train again')
        values = outcome.load(folder).values
    else:
        plan = SystemPlan.open(config, folder, data_dir)
        table, folds, about = _begin(plan)
        run_files.begin(folder, config, folds, about, kind=page.KIND)
        _print_plan(about['name'], table, folder)
        _stage(folder, 'clips', lambda: outcome.of_table(table))
        _train(plan, table)
        found = outcome.load(folder)
        values = found.values
        _write(found, folder)
        page.write(found, folder)
        rundir.finish(folder)
    print(f'{outcome.text(values)}\nreport: {folder / "report.html"}', flush=True)
    return values


def _begin(plan: SystemPlan) -> tuple[ClipTable, dict[str, Any], dict[str, Any]]:
    """Lists all clips, and what folds.json and dataset.json say; what a stage lacks fails here."""
    file = plan.models['audio'].sound.file
    if not file:
        audio.package()
    elif not Path(file).expanduser().is_file():
        raise UserError(f'models.audio.sound.file: there is no {file}')
    source = Sections.open(plan.models['activity']).clips
    clips, place = everything(dataclasses.replace(source, frames=1, size=8), plan.data_dir)
    prepared.describe(clips.name, place, datasets.SCENE)
    about = source.about(clips, place)
    for name in ('activity', 'audio'):
        made = Sections.open(plan.models[name]).feature_source(plan.data_dir)
        assert made
        about = about | {made.key: made.chain([], clips)}
    searched, tested = (
        np.flatnonzero(np.isin(clips.split, parts)) for parts in (SEARCHED, [submissions.TEST])
    )
    if file:
        heard = Sections.open(plan.models['audio']).clips
        heard, _ = everything(dataclasses.replace(heard, frames=1, size=8), plan.data_dir)
        audio_files.read(Path(file).expanduser(), heard.clip_id.tolist())
    for option, run in _earlier(plan):
        transfer.Source.open(run, option).check_judging(clips, searched, tested)
    if not plan.frames:
        frames = transfer.Source.open(plan.models['aggregated'].features.run, 'frames.run')
        for name in ('aggregated', 'rnn'):
            sections = Sections.open(plan.models[name])
            stage = FirstStage.open(sections.options, sections.clips, plan.data_dir)
            stage.shape(sections.clips.clip_frames)  # which refuses a layer that is not there
        about = about | {'features_from': frames.chain}
    note = prepared.describe(clips.name, place, source.faces)['simulated']
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
    return table, said, about


def _earlier(plan: SystemPlan) -> list[tuple[str, str]]:
    """Lists the runs that the frame network is of or is to build on, each after its option."""
    if not plan.frames:
        return [('frames.run', plan.models['aggregated'].features.run)]
    own = complete(plan.frames)
    taught = [name.strip() for name in own.distill.runs.split(',')]
    named = [('init.run', own.init.run), *(('distill.runs', name) for name in taught)]
    return [(f'frames.training.{option}', run) for option, run in named if run]


def _print_plan(name: str, table: ClipTable, folder: Path) -> None:
    """Says what is about to be trained on what."""
    counts = ', '.join(f'{len(table.part(part))} {part}' for part in outcome.PARTS)
    print(
        f'{name}: {counts} clips, {len(table.classes)} classes'
        f'{", SIMULATED" * table.simulated}\nrun: {folder}',
        flush=True,
    )


def _stage(folder: Path, name: str, make: Callable[[], Arrays]) -> Arrays:
    """Reads the arrays of a stage, computing them where they are not there yet."""
    path = outcome.place(folder, name)
    if not path.exists():
        print(f'\n{name.replace("-", " ")}', flush=True)
        arrays = make()
        with atomic.replacing(path) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **arrays)
    return outcome.read(folder, name)


def _train(plan: SystemPlan, table: ClipTable) -> None:
    """Computes every stage that is not there yet."""
    stage, stages = functools.partial(_stage, plan.folder), plan.folder / 'stages'
    if plan.frames and not rundir.is_finished(stages / 'frames'):
        print('\nnetwork for frames', flush=True)
        experiment.run(plan.frames, workdir=str(stages / 'frames'), data_dir=plan.data_dir)
    activity, sound, aggregated, rnn = map(plan.build, ('activity', 'audio', 'aggregated', 'rnn'))
    count = plan.fusion.components
    said = {
        'activity': stage('activity', lambda: models.activity(activity, table)),
        'audio': stage('audio', lambda: models.audio(sound, table, count)),
        'aggregated': stage('aggregated', lambda: models.aggregated(aggregated, table)),
        'rnn': stage('rnn', lambda: models.recurrent(rnn, table, stages / 'rnn')),
    }
    options = plan.search
    search = {
        'seed': plan.seed,
        'local': options.local,
        'draws': options.draws,
        'schedule': decision_fusion.spreads(options.start, options.factor, options.stop),
    }
    made: dict[int, Entry] = {}
    for number, submission in SUBMISSIONS.items():
        given, epochs = None, {}
        if not submission.combines:
            fused = stage(f'fusion-{number}', lambda n=number: _fuse(plan, table, said, n))
            at = training_of(number)
            given = _together(said, fused, at)
            kept = number if not submission.keeps else submission.keeps
            epochs = {
                'rnn': said['rnn']['epochs'][at : at + 1],
                'fusion': outcome.read(plan.folder, f'fusion-{kept}')['epoch'],
            }

        def submit(submission=submission, given=given, epochs=epochs):
            entry = submissions.submit(
                submission, given, table.label, table.split, epochs=epochs, made=made, **search
            )
            return outcome.of_entry(entry)

        made[number] = outcome.entry(number, stage(f'submission-{number}', submit))
    if options.subsets:
        clips = table.part(submissions.VALIDATION)
        fused = outcome.read(plan.folder, 'fusion-2')
        given = _together(said, fused, training_of(2))[:, clips]
        stage(
            'subsets',
            lambda: outcome.of_searches(
                decision_fusion.search_subsets(given, table.label[clips], **search)
            ),
        )


def _together(said: dict[str, Arrays], fused: Arrays, training: int) -> np.ndarray:
    """Stacks probabilities float32 [model, clip, class] of one training's models, fusion last."""
    each = [own['probabilities'][training] for own in said.values()]
    return np.stack([*each, fused['probabilities']])


def _fuse(plan: SystemPlan, table: ClipTable, said: dict[str, Arrays], number: int) -> Arrays:
    """Trains a submission's fusion network: probabilities, epoch int [1], history [2, epoch]."""
    submission = SUBMISSIONS[number]
    stop_at, epochs = None, plan.fusion.epochs[submission.recipe]
    if submission.keeps:
        stop_at = outcome.read(plan.folder, f'fusion-{submission.keeps}')['epoch']
        epochs = int(stop_at.max())
    trained = fused(plan.fusion, table, said, number, [plan.seed], stop_at=stop_at)
    history = [trained.history[f'{part}_accuracy'][0] for part in ('train', 'validation')]
    print(f'epoch {trained.epoch[0]} of {epochs} is kept', flush=True)
    return {
        'probabilities': trained.probabilities[0],
        'epoch': trained.epoch,
        'history': np.stack(history),
    }


def network_of(options: FusionOptions, classes: int) -> FeatureFusion:
    """Makes the fusion network that the options describe."""
    return FeatureFusion(classes, tuple(options.units), options.common, options.activation)


def inputs_of(
    options: FusionOptions, table: ClipTable, said: Mapping[str, Arrays], number: int
) -> list[np.ndarray]:
    """Selects what a submission's fusion network is given: float [clip, feature] of each of FUSED.

    Args:
      said: the models' stages, with their `features`.
      number: of the submission.
    """
    features = [said[name]['features'][training_of(number)] for name in FUSED]
    if options.scaled:
        return fusion_training.standardised(features, table.part(*SUBMISSIONS[number].fit))
    return features


def fused(
    options: FusionOptions,
    table: ClipTable,
    said: Mapping[str, Arrays],
    number: int,
    seeds: Sequence[int],
    *,
    stop_at: np.ndarray | None = None,
) -> fusion_training.Fusion:
    """Trains the fusion network of a submission on what the models' stages give.

    Args:
      said, number: as of `inputs_of`.
      stop_at: int [seed], the epochs to keep where another submission has chosen them.
    """
    submission = SUBMISSIONS[number]
    return fusion_training.train(
        network_of(options, len(table.classes)),
        inputs_of(options, table, said, number),
        table.label,
        table.part(*submission.fit),
        table.part(*submission.searched),
        seeds=seeds,
        epochs=options.epochs[submission.recipe] if stop_at is None else int(stop_at.max()),
        batch_size=options.batch_size,
        dropout_rate=options.dropout_rate,
        penalty=dict(options.penalty),
        stop_at=stop_at,
        **fusion_training.RECIPES[submission.recipe],
    )


def _write(found: outcome.SystemOutcome, folder: Path) -> None:
    """Writes results.json, predictions.csv and the submissions in the challenge's format."""
    atomic.write_json(folder / 'results.json', found.values)
    atomic.write_text(folder / 'predictions.csv', outcome.predictions_csv(found))
    clips = found.table.part(submissions.TEST)
    ids = found.table.clip_id[clips].tolist()
    if reason := submissions.obstacle(ids, found.table.classes):
        print(f'no submissions: {reason}', flush=True)
        return
    known = found.table.label[found.table.label >= 0]
    otherwise = found.table.classes[np.bincount(known).argmax()]
    for number, entry in found.entries.items():
        silent = submissions.write_predictions(
            folder / 'submissions' / f'submission-{number}.zip',
            ids,
            entry.probabilities[clips],
            found.table.classes,
            otherwise,
        )
        if silent and number == 1:
            print(f'{silent} test clips that no model speaks of are submitted as {otherwise}')
