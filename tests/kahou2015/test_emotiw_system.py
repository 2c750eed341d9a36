"""A run of the EmotiW system from its config: what it trains, keeps, takes up again and leaves."""

import dataclasses
import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fer_jax import cli
from fer_jax import config as configs
from fer_jax.benchmark import __main__ as benchmark
from fer_jax.data import prepared
from fer_jax.data.clips import ClipSet
from fer_jax.errors import Interrupted, UserError
from fer_jax.experiment import first_stage
from fer_jax.experiment import run as experiment
from fer_jax.experiment.classifiers import ClassifierLearner
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.first_stage import FirstStage
from fer_jax.experiment.members import make_groups
from fer_jax.experiment.sections import Sections
from fer_jax.kahou2015 import audio_files, models, outcome, partitions, system
from fer_jax.kahou2015.activity import Activity
from fer_jax.kahou2015.fitting import AggregatedSVM
from fer_jax.training.transfer import Source

READ_SOUND, OPEN_STAGE = audio_files.read, FirstStage.open
CONFIG = Path(__file__).parents[2] / 'configs' / 'afew_emotiw.py'


def clips_of(table, rows=slice(None), frame=(8, 8, 1)):
    """The table's clips as they are loaded, of one black frame."""
    count = len(table.clip_id[rows])
    return ClipSet(
        name='afew',
        classes=table.classes,
        simulated=True,
        frames=np.zeros((count, 1, *frame), np.uint8),
        length=np.ones(count, np.int32),
        label=table.label[rows].astype(np.int32),
        subject=np.full(count, ''),
        clip_id=table.clip_id[rows],
        split=table.split[rows],
    )


def small(**changes):
    """The simulated config with little to search."""
    config = configs.load_config(CONFIG, 'simulated')
    config.fusion.update({'units': (5, 3, 4), 'common': 6, 'components': 4})
    config.fusion.epochs.update({'stated': 3, 'stable': 3})
    config.search.update({'draws': 50, 'stop': 0.4, 'subsets': False})
    config.models.audio.sound.file = str(CONFIG)  # any file: the tests do without opensmile
    return configs.with_values(config, changes, 'the test')


@pytest.fixture
def stood_in(run, monkeypatch):
    """Data and models that are made up; the names of the models in the order of their training."""
    table, trained = outcome.load(run[0]).table, []

    def model(name):
        def train(build, given, *rest):
            assert given.clip_id.tolist() == table.clip_id.tolist()
            trained.append(name)
            return outcome.read(run[0], name)

        return train

    for name in ('activity', 'audio', 'aggregated'):
        monkeypatch.setattr(models, name, model(name))
    monkeypatch.setattr(models, 'recurrent', model('rnn'))
    monkeypatch.setattr(
        experiment, 'run', lambda config, workdir, data_dir: trained.append('frames')
    )
    monkeypatch.setattr(system, 'everything', lambda *given: (clips_of(table), Path('data')))
    about = {'name': 'afew', 'simulated': True, 'faces': 'faces-release', 'fingerprint': 'x'}
    monkeypatch.setattr(ClipSource, 'about', lambda *given: about)
    monkeypatch.setattr(ClipSource, 'ensure_prepared', lambda *given: Path('data'))
    monkeypatch.setattr(audio_files, 'read', lambda *given: ([], np.zeros(0)))
    monkeypatch.setattr(FirstStage, 'open', lambda *given: SimpleNamespace(shape=lambda frames: ()))
    monkeypatch.setattr(Activity, 'chain', lambda *given: {'fingerprint': 'y'})
    monkeypatch.setattr(prepared, 'describe', lambda *given: {'simulated': None})
    return trained


@pytest.mark.slow
def test_a_run_is_taken_up_where_it_was_and_then_only_read(stood_in, tmp_path, monkeypatch, capsys):
    folder = tmp_path / 'run'
    go = {'workdir': str(folder), 'data_dir': tmp_path}
    fuse = system.fusion_training.train

    def interrupted(*given, **options):
        raise Interrupted('in the middle')

    monkeypatch.setattr(system.fusion_training, 'train', interrupted)
    with pytest.raises(Interrupted):
        system.run(small(), **go)
    assert stood_in == ['frames', 'activity', 'audio', 'aggregated', 'rnn']
    assert not (folder / 'DONE').exists() and not (folder / 'report.html').exists()
    with pytest.raises(UserError, match='a run of another config: config.fusion.common is 7'):
        system.run(small(**{'fusion.common': 7}), **go)

    monkeypatch.setattr(system.fusion_training, 'train', fuse)
    values = system.run(small(), **go)
    # The network for frames keeps its own folder, which the stand-in did not make.
    assert stood_in[5:] == ['frames']
    assert values == json.loads((folder / 'results.json').read_text())
    assert json.loads((folder / 'kind.json').read_text()) == {'kind': 'kahou2015'}
    assert (folder / 'DONE').exists() and (folder / 'report.html').exists()
    folds = json.loads((folder / 'folds.json').read_text())['folds']
    assert [len(fold['train']) for fold in folds] == [60, 40, 100, 100]
    assert [len(fold['validation']) for fold in folds] == [40, 60, 0, 0]
    found = outcome.load(folder)
    for number, kept in ((3, 2), (6, 4)):
        assert found.entries[number].epochs['fusion'] == found.entries[kept].epochs['fusion']
        np.testing.assert_array_equal(found.entries[number].weights, found.entries[kept].weights)
    with zipfile.ZipFile(folder / 'submissions' / 'submission-6.zip') as archive:
        assert len(archive.namelist()) == 20
        assert archive.read('000000005.txt').decode() in {
            'Angry', 'Disgust', 'Fear', 'Happy', 'Neutral', 'Sad', 'Surprise'
        }  # fmt: skip

    capsys.readouterr()
    assert system.run(small(), **go) == values
    assert len(stood_in) == 6 and 'is finished' in capsys.readouterr().out


def test_units_for_other_than_three_modalities_are_refused(stood_in, tmp_path):
    config = small(**{'fusion.units': (5, 3)})
    with pytest.raises(UserError, match='fusion.units has 2 numbers: give one for each of aggr'):
        system.run(config, workdir=str(tmp_path / 'run'), data_dir=tmp_path)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'fusion.activation': 'tanh'}, "fusion.activation is 'tanh': give one of sigmoid, relu"),
        ({'fusion.penalty.groups': 'rows'}, "fusion.penalty.groups is 'rows': give one of hidden"),
        ({'search.local': 'gauss'}, "search.local is 'gauss': give one of gaussian, uniform"),
        ({'fusion.components': 60}, 'fusion.components is 60 of the 50 of models.audio.sound'),
        ({'models.audio.sound.components': 0}, 'fusion.components is 4 of the 0 of models.audio'),
        (
            {'frames.training.data.registration': 'mean_shape'},
            "models.aggregated.data.registration is 'none', but frames.training.data.*'mean_shape'",
        ),
    ],
)
def test_what_the_fusion_cannot_use_is_refused_before_anything_trains(
    stood_in, tmp_path, changes, message
):
    with pytest.raises(UserError, match=message) as error:
        system.run(small(**changes), workdir=str(tmp_path / 'run'), data_dir=tmp_path)
    assert '\n' not in str(error.value)
    assert not stood_in and not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('key', 'value', 'needed'),
    [
        ('aggregated.model.name', 'averaging', 'svm'),
        ('rnn.train.retrain', False, 'True'),
        ('rnn.train.seeds', 2, '1'),
        ('rnn.protocol.fold', 0, '-1'),
        ('audio.protocol.fold', 0, '-1'),
    ],
)
def test_a_model_that_the_system_cannot_use_is_refused_before_anything_trains(
    stood_in, tmp_path, key, value, needed
):
    config = small()
    own = config.models
    *path, last = key.split('.')
    for name in path:
        own = own[name]
    own[last] = value
    with pytest.raises(UserError, match=f'models.{key} is {value}: .* needs {needed}$'):
        system.run(config, workdir=str(tmp_path / 'run'), data_dir=tmp_path)
    assert not stood_in and not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('trained', 'chosen', 'message'),
    [
        ({'train/000000030'}, set(), 'RUN learned from afew/train/000000030, on which'),
        ({'validation/000000090'}, set(), 'RUN learned from afew/validation/000000090, on which'),
        (set(), {'test/000000003'}, 'RUN learned from afew/test/000000003, on which'),
        (set(), {'train/000000030', 'validation/000000090'}, ''),
    ],
)
def test_a_frame_network_that_learned_the_clips_that_judge_is_refused(
    stood_in, tmp_path, monkeypatch, trained, chosen, message
):
    """Its own validation clips may be AFEW's, as in the paper."""
    source = Source(
        Path('RUN'), {'dataset': 'fer2013+afew'}, np.zeros(1), np.zeros(1),
        seen={0: frozenset(f'afew/{clip}' for clip in trained | chosen)}, classes=(),
        option='frames.run', trained={0: frozenset(f'afew/{clip}' for clip in trained)},
    )  # fmt: skip
    monkeypatch.setattr(system.transfer.Source, 'open', lambda *given: source)

    def stopped(*given):
        raise Interrupted('after the checks')

    monkeypatch.setattr(models, 'activity', stopped)
    go = {'workdir': str(tmp_path / 'run'), 'data_dir': tmp_path}
    with pytest.raises(UserError if message else Interrupted, match=message or 'after the checks'):
        system.run(small(**{'frames.run': 'RUN'}), **go)


@pytest.mark.parametrize('link', ['starts_from', 'taught_by', 'features_from'])
@pytest.mark.parametrize(
    'option', ['frames.run', 'frames.training.init.run', 'frames.training.distill.runs']
)
def test_a_frame_network_that_builds_on_one_of_afew_is_refused(
    stood_in, tmp_path, monkeypatch, link, option
):
    earlier = {'dataset': 'afew'}
    chain = {'dataset': 'fer2013', link: [earlier] if link == 'taught_by' else earlier}
    monkeypatch.setattr(
        system.transfer.Source, 'open',
        lambda path, option: Source(
            Path(path), chain, np.zeros(1), np.zeros(1), {0: frozenset()}, (), option,
            trained={0: frozenset()},
        ),
    )  # fmt: skip
    go = {'workdir': str(tmp_path / 'run'), 'data_dir': tmp_path}
    message = f'^{option}: what the networks of RUN build on was trained on afew as well'
    with pytest.raises(UserError, match=message):
        system.run(small(**{option: 'RUN'}), **go)
    assert not stood_in and not (tmp_path / 'run').exists()


def test_the_seed_is_of_every_stage(tmp_path):
    plan = system.SystemPlan.open(configs.complete(small(seed=7)), tmp_path, tmp_path)
    assert {own.seed for own in (plan, plan.frames, *plan.models.values())} == {7}
    assert plan.models['activity'].activity.seed == 7


def test_a_clip_of_another_release_stands_in_no_other_clip_s_place(run):
    table = outcome.load(run[0]).table
    clips = clips_of(table, slice(5, 8))
    said = np.arange(3.0)
    found = table.spread(dataclasses.replace(clips, clip_id=clips.clip_id[::-1]), said)
    assert found[5:8].tolist() == [2, 1, 0] and np.isfinite(found).sum() == 3
    other = dataclasses.replace(clips, clip_id=np.array([*clips.clip_id[:2], 'test/000000007b']))
    with pytest.raises(UserError, match='a model learns from test/000000007b, which is not among'):
        table.spread(other, said)


@pytest.mark.parametrize('changed', ['sound', 'scenes', 'frames'])
def test_a_run_is_not_taken_up_on_other_sources(stood_in, tmp_path, monkeypatch, changed):
    file, chain = tmp_path / 'sound.csv', {'dataset': 'fer2013', 'commit': '1'}
    file.write_text('name,a')
    source = Source(Path('RUN'), chain, np.zeros(1), np.zeros(1), {}, ())
    monkeypatch.setattr(system.transfer.Source, 'open', lambda *given: source)

    def stopped(*given):
        raise Interrupted('in the middle')

    monkeypatch.setattr(models, 'activity', stopped)
    config = small(**{'models.audio.sound.file': str(file), 'frames.run': 'RUN'})
    go = {'workdir': str(tmp_path / 'run'), 'data_dir': tmp_path}
    for _ in range(2):
        with pytest.raises(Interrupted):
            system.run(config, **go)
    if changed == 'sound':
        file.write_text('name,b')
    elif changed == 'scenes':
        monkeypatch.setattr(Activity, 'chain', lambda *given: {'fingerprint': 'z'})
    else:
        chain['commit'] = '2'
    with pytest.raises(UserError, match='dataset.json is not what this run would have'):
        system.run(config, **go)


def test_what_a_later_stage_lacks_is_said_at_once(stood_in, tmp_path, monkeypatch):
    go = {'workdir': str(tmp_path / 'run'), 'data_dir': tmp_path}
    monkeypatch.setitem(sys.modules, 'opensmile', None)
    with pytest.raises(UserError, match='features of sound need the package opensmile'):
        system.run(small(**{'models.audio.sound.file': ''}), **go)
    with pytest.raises(UserError, match='models.audio.sound.file: there is no nothing.csv'):
        system.run(small(**{'models.audio.sound.file': 'nothing.csv'}), **go)
    monkeypatch.undo()
    with pytest.raises(UserError, match='afew is not prepared at .*faces-release'):
        system.run(small(**{'simulated.subjects': 0}), **go)
    assert not stood_in and not (tmp_path / 'run').exists()


def test_a_sound_file_without_rows_of_some_clips_is_refused_before_the_run_begins(
    stood_in, run, tmp_path, monkeypatch
):
    monkeypatch.setattr(audio_files, 'read', READ_SOUND)
    file, table = tmp_path / 'sound.csv', outcome.load(run[0]).table
    named = table.clip_id[table.split != 'test'].tolist()
    file.write_text('name,a\n' + ''.join(f'{name},1\n' for name in named))
    config = small(**{'models.audio.sound.file': str(file)})
    with pytest.raises(UserError, match='sound.csv has no row for 20 clips: test/'):
        system.run(config, workdir=str(tmp_path / 'run'), data_dir=tmp_path)
    assert not stood_in and not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('size', 'message'),
    [(32, 'RUN saw frames of 32 pixels with 1 channel'), (48, "the network has no features 'log")],
)
def test_a_frame_network_that_gives_no_features_is_refused_before_the_run_begins(
    stood_in, tmp_path, monkeypatch, size, message
):
    source = Source(
        Path('RUN'), {'dataset': 'fer2013'}, np.zeros(1), np.zeros(1), {0: frozenset()}, (),
        trained={0: frozenset()},
    )  # fmt: skip
    monkeypatch.setattr(FirstStage, 'open', OPEN_STAGE)
    monkeypatch.setattr(system.transfer.Source, 'open', lambda *given: source)
    there = SimpleNamespace(registration='none', size=size, channels=1)
    monkeypatch.setattr(first_stage, 'sections_of', lambda path: SimpleNamespace(clips=there))

    def lacking(stage, frames):
        raise UserError(f'the network has no features {stage.layer!r}')

    monkeypatch.setattr(FirstStage, 'shape', lacking)
    with pytest.raises(UserError, match=message):
        system.run(small(**{'frames.run': 'RUN'}), workdir=str(tmp_path / 'run'), data_dir=tmp_path)
    assert not stood_in and not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('fusion.epochs.stated', 0), ('fusion.batch_size', 0), ('fusion.dropout_rate', 1.5),
        ('search.draws', 0), ('search.factor', 1.0), ('search.stop', 0.0),
    ],
)  # fmt: skip
def test_numbers_of_the_fusion_and_the_search_are_refused_before_the_run_begins(
    stood_in, tmp_path, key, value
):
    with pytest.raises(UserError, match=f'config.{key} is .*: give '):
        system.run(small(**{key: value}), workdir=str(tmp_path / 'run'), data_dir=tmp_path)
    assert not stood_in and not (tmp_path / 'run').exists()


def test_clips_are_divided_for_every_training(run, monkeypatch):
    table = outcome.load(run[0]).table
    monkeypatch.setattr(
        partitions, 'everything', lambda *given: (clips_of(table, slice(3, None)), Path())
    )
    monkeypatch.setattr(ClipSource, 'about', lambda *given: {})
    sections = Sections.open(configs.load_config(CONFIG, 'simulated').models.audio)
    own = table.split[3:]
    stopped = partitions.data_of(sections, Path(), stopped=True).protocol.folds
    at_once = partitions.data_of(sections, Path(), stopped=False).protocol.folds
    for fold, train, stop in (
        (stopped[0], ('train',), ('validation',)), (stopped[1], ('validation',), ('train',)),
        (at_once[0], ('train',), ()), (at_once[1], ('validation',), ()),
        (at_once[2], ('train', 'validation'), ()),
    ):  # fmt: skip
        np.testing.assert_array_equal(fold.train, np.flatnonzero(np.isin(own, train)))
        np.testing.assert_array_equal(fold.validation, np.flatnonzero(np.isin(own, stop)))
        assert not len(fold.test)
    assert len(stopped) == 2 and len(at_once) == 3
    spread = table.spread(clips_of(table, slice(3, None)), np.ones((len(own), 2)))
    assert np.isnan(spread[:3]).all() and (spread[3:] == 1).all()


@pytest.mark.parametrize('stopped', [True, False])
def test_a_fitted_registration_keeps_the_clips_that_folds_count(run, monkeypatch, stopped):
    """AFEW's unlabelled test clips come before those that are learned from."""
    table = outcome.load(run[0]).table

    def load(self, folder, fit=None):
        rows = slice(None) if self.unlabelled else np.flatnonzero(table.label >= 0)
        return clips_of(table, rows)

    monkeypatch.setattr(ClipSource, 'ensure_prepared', lambda *given: Path())
    monkeypatch.setattr(ClipSource, 'load', load)
    monkeypatch.setattr(ClipSource, 'about', lambda *given: {})
    monkeypatch.setattr(ClipSource, 'fit_registration', lambda *given: ('fit',))
    config = configs.load_config(CONFIG, 'simulated').models.rnn
    config.data.update({'registration': 'mean_shape', 'faces': 'yunet'})
    sections = Sections.open(config)
    data = partitions.data_of(sections, Path(), stopped=stopped)
    source = SimpleNamespace(
        target_shape=lambda *given: None, groups=lambda own, clips: [(own, clips)]
    )
    groups = make_groups(sections, data, source, data.protocol, [0])
    assert len(groups) == len(data.protocol.folds)
    for group, training in zip(groups, partitions.TRAININGS, strict=False):
        (member,) = group.members
        assert set(group.clips.split[member.fold.train]) == set(training.fit)


def test_a_recurrent_network_predicts_on_the_features_it_learned_from(run, monkeypatch, tmp_path):
    """Each fold has features of another frame network: here they are the fold's number."""
    table = outcome.load(run[0]).table
    learner = Sections.open(configs.load_config(CONFIG, 'simulated').models.rnn).learner
    groups = [
        SimpleNamespace(
            members=[SimpleNamespace(index=index)],
            clips=dataclasses.replace(
                clips_of(table), frames=np.full((len(table.label), 1, 2), index % 2, np.float32)
            ),
        )
        for index in range(4)
    ]
    built = SimpleNamespace(members=[0, 1], learner=learner, groups=groups[:2], again=groups[2:])
    records = [SimpleNamespace(failed=0, history=[], member=g.members[0]) for g in groups]
    monkeypatch.setattr(models, 'train_members', lambda *given: records)
    monkeypatch.setattr(models, 'read_best', lambda path: (1, {}))
    monkeypatch.setattr(
        models, '_pass', lambda system, network, clips: (clips.frames[:, 0], clips.frames[:, 0])
    )
    found = models.recurrent(lambda load_data: built, table, tmp_path)
    for name in ('probabilities', 'features'):
        assert found[name][:, 0, 0].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ('layer', 'more', 'judged'),
    [('logits', (), True), ('logits', ('contempt',), False), ('fc2', (), False)],
)
def test_frame_averaging_needs_logits_of_the_clips_classes(run, monkeypatch, layer, more, judged):
    table = outcome.load(run[0]).table
    known = (*table.classes, *more)
    clips = clips_of(table)
    logits = np.zeros((len(clips), 1, len(known)), np.float32)
    clips = dataclasses.replace(clips, frames=logits)
    said = np.full((len(clips), len(table.classes)), 1 / len(table.classes))
    monkeypatch.setattr(AggregatedSVM, 'fit', lambda *given: {})
    monkeypatch.setattr(AggregatedSVM, 'predict', lambda *given: said)
    built = SimpleNamespace(
        learner=ClassifierLearner(AggregatedSVM(bins=1)),
        groups=[SimpleNamespace(clips=clips, members=[SimpleNamespace(fold_number=0)])],
        source=FirstStage(SimpleNamespace(), layer, known),
    )
    found = models.aggregated(lambda load_data: built, table)['averaging']
    assert found.shape == said.shape
    assert (np.isfinite(found) == judged).all()


@pytest.mark.parametrize('part', ['train', 'validation'])
def test_a_part_without_a_clip_to_learn_from_is_named(run, monkeypatch, part):
    table = outcome.load(run[0]).table
    some = table.split != part
    monkeypatch.setattr(partitions, 'everything', lambda *given: (clips_of(table, some), Path()))
    sections = Sections.open(configs.load_config(CONFIG, 'simulated').models.audio)
    message = f'afew_audio finds nothing to learn from in the {part} part of afew'
    with pytest.raises(UserError, match=message):
        partitions.data_of(sections, Path(), stopped=False)
    with pytest.raises(UserError, match=f"no clip of the partition '{part}'"):
        partitions.ClipTable.of(clips_of(table, some), {})


def test_hidden_labels_judge_and_are_never_learned_from(run):
    table = outcome.load(run[0]).table
    clip = table.clip_id[0]
    found = partitions.ClipTable.of(clips_of(table), {clip: 'sadness', table.clip_id[30]: 'fear'})
    assert found.label[0] == -1 and found.classes[found.truth[0]] == 'sadness'
    assert found.truth[1] == -1
    np.testing.assert_array_equal(found.truth[20:], table.label[20:])  # what is told stays


@pytest.mark.filterwarnings('ignore:the load_module')  # ml_collections
def test_only_main_takes_a_config_of_several_models():
    config = configs.load_config(CONFIG)
    with pytest.raises(UserError, match='afew_emotiw is made of several models'):
        experiment.resolve(config)
    with pytest.raises(UserError, match='is no network that trains in steps'):
        cli.call(benchmark.main, benchmark.define, [f'--config={CONFIG}'])
