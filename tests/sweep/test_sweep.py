"""A search from command to page on a small simulated CK+: stopped, taken over, refused."""

import csv
import dataclasses
import errno
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import optuna
import pytest

from fer_jax import cli, report
from fer_jax.errors import Away, Interrupted, UserError
from fer_jax.evaluation import predictions
from fer_jax.experiment import run as experiment
from fer_jax.sweep import trial, work
from fer_jax.training.checkpoint import read_best

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')


def read(folder):
    return json.loads((folder / 'study.json').read_text())


def pooled(folder):
    """Accuracy of a run's judged clips, each member at its best epoch, from its probabilities."""
    table = predictions.load(folder / 'probabilities.npz')
    right = []
    for member in range(table.members):
        clips = np.flatnonzero(table.part[member] == predictions.TEST)
        said = table.probabilities[member][:, clips].argmax(-1) == table.label[clips]
        right += said[said.sum(-1).argmax()].tolist()
    return np.mean(right)


@pytest.fixture
def interrupted(monkeypatch):
    """Stops the n-th run that trains when its first member has ended, as SIGTERM does."""

    def after(runs):
        run, begun = experiment.run, []

        def stop(config, *, on_members_done, **options):
            begun.append(1)

            def cut(experiment_, records):
                on_members_done(experiment_, records)
                if len(begun) == runs and records:
                    raise Interrupted('asked to stop')

            return run(config, on_members_done=cut, **options)

        monkeypatch.setattr(experiment, 'run', stop)

    return after


@pytest.mark.slow
def test_a_study_is_stopped_goes_on_and_trains_its_best_again(
    call_sweep, tmp_path, capsys, monkeypatch, interrupted
):
    with monkeypatch.context():
        interrupted(2)
        with pytest.raises(Interrupted):
            call_sweep('--trials=2')
        monkeypatch.undo()
    folder = tmp_path / 'study'
    kinds = [
        json.loads((place / 'kind.json').read_text()) for place in (folder, folder / 'trial-0000')
    ]
    assert kinds == [{'kind': 'sweep'}, {'kind': 'run'}]
    assert (folder / 'trial-0000' / 'DONE').exists()
    assert not (folder / 'trial-0001' / 'DONE').exists()
    first = folder / 'trial-0001' / 'checkpoints' / '000' / 'latest'
    kept = {path.name: path.stat().st_mtime_ns for path in first.iterdir()}
    said = capsys.readouterr().out
    assert 'protocol.validation is set to 0.2' in said

    call_sweep('--trials=2')
    said = capsys.readouterr().out
    assert 'trial 1, from where another worker left it' in said
    assert {path.name: path.stat().st_mtime_ns for path in first.iterdir()} == kept
    values = read(folder)
    assert [t['state'] for t in values['trials']] == ['done'] * 2
    for found in values['trials']:
        place = folder / found['folder']
        # A trial's value is the accuracy on inner validation clips: no test clip was judged.
        assert found['value'] == pytest.approx(pooled(place))
        config = json.loads((place / 'config.json').read_text())
        assert config['model']['dropout_rate'] == found['params']['model.dropout_rate']
        folds = json.loads((place / 'folds.json').read_text())
        assert trial.INNER in folds['stamps']
        assert not (place / 'report.html').exists()

    call_sweep('--retrain_best')
    best = max(values['trials'], key=lambda t: t['value'])
    place = folder / f'best-{best["number"]:04}-of-0002'
    results = json.loads((place / 'results.json').read_text())
    assert results['nested']['headline']
    page = (place / 'report.html').read_text(encoding='utf-8')
    assert 'setting chosen among 2 trials of the study study on inner validation clips' in page
    config = json.loads((place / 'config.json').read_text())
    assert config['model']['dropout_rate'] == best['params']['model.dropout_rate']
    judged = json.loads((place / 'folds.json').read_text())['folds']
    for number in range(2):
        folds = json.loads((folder / f'trial-{number:04}' / 'folds.json').read_text())['folds']
        for inner, outer in zip(folds, judged, strict=True):
            assert inner['test'] == outer['validation'] and inner['train'] == outer['train']
            assert not {*inner['train'], *inner['test']} & {*outer['test']}

    # The page is drawn from study.json alone, and holds every trial.
    cli.call(report.main, report.define, [str(folder), f'--out={tmp_path / "page"}'])
    page = (tmp_path / 'page' / 'report.html').read_text(encoding='utf-8')
    assert 'SIMULATED' in page and 'no test clip' in page
    with (tmp_path / 'page' / 'figures' / 'trials.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [float(row['value']) for row in rows] == pytest.approx(
        [t['value'] for t in values['trials']], abs=1e-5
    )
    for name in ('history', 'slices', 'parallel'):
        assert (tmp_path / 'page' / 'figures' / f'{name}.svg').exists()


@pytest.mark.slow
def test_no_file_of_a_sweep_holds_a_password(call_sweep, tmp_path, monkeypatch):
    given = '--storage=postgresql+psycopg://me:geheim@host:5432/db?sslpassword=geheim'
    monkeypatch.setattr(sys, 'orig_argv', ['python', '-m', 'fer_jax.sweep', given])
    call_sweep('--trials=1')
    call_sweep('--retrain_best')
    files = [path for path in tmp_path.rglob('*') if path.is_file()]
    said = [path.name for path in files if b'//me:***@host' in path.read_bytes()]
    assert {'versions.json', 'report.html'} <= set(said)
    assert not [path for path in files if b'geheim' in path.read_bytes()]


def test_a_papers_threshold_prunes_its_own_choice_only(call_sweep, place, tmp_path):
    """A nested search ends with a finished best trial where the paper's bound is out of reach."""
    path = place / 'small.py'
    text = path.read_text()
    before, after = text.rsplit('    })\n', 1)  # the end of get_space
    path.write_text(f'{before}    }}, threshold=0.99)\n{after}')
    try:
        words = ['--sampler=random', '--config.train.members_at_once=1']
        call_sweep('--trials=2', *words, study='nested')
        nested = read(tmp_path / 'nested')
        assert [t['state'] for t in nested['trials']] == ['done'] * 2
        assert nested['plan']['space']['threshold'] == 0
        call_sweep('--retrain_best', '--trials=2', *words, study='nested')
        assert list((tmp_path / 'nested').glob('best-*/DONE'))
        call_sweep('--trials=1', '--choose_on_test', *words, study='paper')
        paper = read(tmp_path / 'paper')
        assert [t['state'] for t in paper['trials']] == ['pruned']
        assert paper['plan']['space']['threshold'] == 0.99
    finally:
        path.write_text(text)


def test_pruning_is_exact_and_a_pruned_trial_can_be_finished(call_sweep, tmp_path, capsys):
    # Neither setting reaches 99 %: the second member of each is not worth its time.
    words = [
        '--threshold=0.99',
        '--choose_on_test',
        '--sampler=random',
        '--config.train.members_at_once=1',
    ]
    call_sweep('--trials=2', *words)
    values = read(tmp_path / 'study')
    assert trial.ON_TEST in values['stamps']
    assert [t['state'] for t in values['trials']] == ['pruned'] * 2
    for found in values['trials']:
        assert found['members'] == 1 and 'cannot reach 99 %' in found['reason']
        place = tmp_path / 'study' / found['folder']
        assert not (place / 'DONE').exists()
        assert (place / 'checkpoints' / '000' / 'latest').is_dir()
        assert not [*place.glob('checkpoints/*/best/*')]
    call_sweep('--finish=1', *words)
    place = tmp_path / 'study' / 'trial-0001'
    assert pooled(place) < 0.99
    assert {path.parents[1].name for path in place.glob('checkpoints/*/best/*')} == {'001'}
    with pytest.raises(UserError, match='000/best has no network: of a search only the best'):
        read_best(place / 'checkpoints' / '000')
    assert trial.ON_TEST in (place / 'report.html').read_text(encoding='utf-8')
    page = (tmp_path / 'study' / 'report.html').read_text(encoding='utf-8')
    assert trial.ON_TEST in page and 'the best of many trials' in page
    with pytest.raises(UserError, match='has no trial that was trained to its end'):
        call_sweep('--retrain_best', *words)
    with pytest.raises(UserError, match='trial 7 was not pruned; pruned ones are: 0, 1'):
        call_sweep('--finish=7', *words)


@pytest.mark.slow
def test_a_setting_that_fails_does_not_end_the_study(call_sweep, tmp_path, place, capsys):
    text = (place / 'small.py').read_text()
    grid = "Space({'model.activation': ('gelu', 'relu'), 'protocol.fold': (0,)})"
    other = tmp_path / 'other.py'
    other.write_text(text.split('    return Space')[0] + f'    return {grid}\n')
    words = ['--trials=9', '--sampler=grid', f'--config={other}:simulated']
    call_sweep(*words)
    values = read(tmp_path / 'study')
    assert values['total'] == 2
    by_name = {t['params']['model.activation']: t for t in values['trials']}
    assert by_name['relu']['state'] == 'done' and by_name['gelu']['state'] == 'failed'
    assert 'gelu' in by_name['gelu']['reason'] and 'relu' in by_name['gelu']['reason']


def check_that_one_trial_waits(file):
    """Checks that the study of a journal has one trial, which belongs to no worker."""
    journal = optuna.storages.journal.JournalFileBackend(str(file))
    study = optuna.load_study(study_name='study', storage=optuna.storages.JournalStorage(journal))
    assert [trial.state.name for trial in study.trials] == ['RUNNING']
    assert study.trials[0].user_attrs['worker'] is None


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EIO, errno.ESTALE])
def test_a_disk_that_fails_leaves_the_trial_to_the_next_worker(
    call_sweep, tmp_path, monkeypatch, number
):
    def fails(*words, **options):
        try:
            raise OSError(number, os.strerror(number))
        except OSError as error:
            raise ValueError('while writing') from error

    with monkeypatch.context() as patch:
        patch.setattr(experiment, 'run', fails)
        with pytest.raises(UserError, match=f'trial 0 in .*trial-0000: {os.strerror(number)}; '):
            call_sweep('--trials=1')
    check_that_one_trial_waits(tmp_path / 'journal')


def refused(*words, **options):
    try:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
    except OSError as error:
        raise UserError('/data is damaged') from error


def gone(*words, **options):
    raise UserError('ckplus is not prepared at /data')


@pytest.mark.parametrize(
    'found, build, message', [(refused, None, 'is damaged'), (gone, gone, 'is not prepared')]
)
def test_data_that_go_away_fail_no_trial(call_sweep, tmp_path, monkeypatch, found, build, message):
    with monkeypatch.context() as patch:

        def run(*words, **options):
            patch.setattr(experiment, 'build', build or experiment.build)
            found()

        patch.setattr(experiment, 'run', run)
        with pytest.raises(Away, match=f'trial 0, which waits for the next worker: .*{message}'):
            call_sweep('--trials=3')
    check_that_one_trial_waits(tmp_path / 'journal')


@pytest.mark.parametrize('part', ['fingerprint', 'folds'])
def test_a_study_does_not_go_on_with_other_data(call_sweep, monkeypatch, part):
    monkeypatch.setattr(work, 'work', lambda *given: None)  # nothing is trained
    build = experiment.build

    def changed(*given):
        built = build(*given)
        if part == 'folds':
            folds = built.protocol.folds[::-1]
            return dataclasses.replace(
                built, protocol=dataclasses.replace(built.protocol, folds=folds)
            )
        return dataclasses.replace(built, dataset={**built.dataset, 'fingerprint': 'other'})

    call_sweep('--trials=1')
    call_sweep('--trials=1')
    monkeypatch.setattr(experiment, 'build', changed)
    with pytest.raises(UserError, match=f'begun with another plan: data.{part} is'):
        call_sweep('--trials=1')


@pytest.mark.slow
def test_a_trial_that_was_taken_over_ends_with_its_epoch(call_sweep, monkeypatch, capsys):
    begun = []

    def beat(self):
        begun.append(1)
        self.taken_over = len(begun) == 1

    monkeypatch.setattr(trial.Heartbeat, '_beat', beat)
    call_sweep('--trials=1')
    said = capsys.readouterr().out
    assert 'trial 0: another worker has taken it over' in said
    assert len(begun) == 2 and 'trial 0, from where another worker left it' in said


def test_a_missing_extra_is_one_sentence(call_sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, 'optuna', None)  # Python's way of saying: not to be imported
    with pytest.raises(UserError, match=r'a search needs Optuna: pip install .*\[sweep\]'):
        call_sweep('--trials=1')


@pytest.mark.parametrize(
    'words,message',
    [
        ([], 'say how many trials'),
        (['--trials=0'], 'say how many trials'),
        (['--trials=2', '--sampler=grid'], 'config.model.dropout_rate has a range'),
        (['--trials=2', '--storage=mysql://x'], 'give journal:PATH'),
        (['--trials=2', '--threshold=96.5'], 'the threshold is 96.5'),
        (['--trials=2', '--config.model.activation=gelu'], 'gelu'),
        (['--trials=2', '--study=a/b'], "a name without '/'"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_trained(call_sweep, tmp_path, words, message):
    with pytest.raises(UserError, match=message) as error:
        call_sweep(*words)
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'study').exists()


def test_a_config_without_a_space(call_sweep, tmp_path, place):
    (tmp_path / 'plain.py').write_text((place / 'small.py').read_text().split('def get_space')[0])
    with pytest.raises(UserError, match=r'plain.py declares no search space: write get_space'):
        call_sweep('--trials=1', f'--config={tmp_path / "plain.py"}')


def test_a_model_that_is_fitted_at_once_is_no_search(call_sweep, tmp_path):
    file = tmp_path / 'machine.py'
    file.write_text(
        'from fer_jax.config import Space, load_config\n'
        "get_config = lambda variant='': load_config('afew_audio.py', 'simulated')\n"
        "get_space = lambda config: Space({'sound.components': (5, 50)})\n"
    )
    with pytest.raises(UserError, match='in steps, and afew_audio is fitted at once: give'):
        call_sweep('--trials=1', f'--config={file}')


def test_only_the_best_trial_keeps_its_networks(tmp_path):
    trials = []
    for number, (value, state) in enumerate(
        [(0.5, 'COMPLETE'), (0.7, 'COMPLETE'), (None, 'PRUNED'), (0.7, 'COMPLETE')]
    ):
        folder = tmp_path / f'trial-{number:04}' / 'checkpoints' / '000'
        (folder / 'best' / '1').mkdir(parents=True)
        (folder / 'probabilities.npy').write_text('kept')
        trials.append(
            SimpleNamespace(
                number=number,
                value=value,
                state=SimpleNamespace(name=state),
                user_attrs={'folder': f'trial-{number:04}'},
            )  # fmt: skip
        )
    trial._keep_best(SimpleNamespace(trials=lambda: trials), tmp_path)
    kept = sorted(path.parents[2].name for path in tmp_path.glob('*/checkpoints/*/best'))
    assert kept == ['trial-0001', 'trial-0002']  # the first of two equals; what may be finished
    assert len(list(tmp_path.glob('*/checkpoints/*/probabilities.npy'))) == 4
