"""A finished run that is given more epochs is the run that had them from the beginning."""

import json
import shutil

import numpy as np
import pytest

from fer_jax import cli
from fer_jax import main as main_command
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import extension
from fer_jax.experiment import run as experiment
from fer_jax.training.checkpoint import read_best
from tests.plain_runs import plain_config

STEPS = {
    'optimizer.schedule': 'step', 'optimizer.every': 2, 'optimizer.factor': 0.5,
    'optimizer.warmup': 0.0, 'train.keep_states': True,
}  # fmt: skip


def train(folder, data, epochs, extend=None, **changes):
    """Trains a small run with its learning rate in steps."""
    config = plain_config({**STEPS, 'train.epochs': epochs, **changes})
    experiment.run(config, workdir=str(folder), data_dir=data, pages=False, extend=extend)
    return folder


@pytest.fixture(scope='module')
def short(tmp_path_factory, plain_data):
    """A finished run of three epochs; tests only read it."""
    return train(tmp_path_factory.mktemp('extension') / 'short', plain_data, 3)


@pytest.mark.parametrize('patience', [0, 2])
def test_more_epochs_are_those_of_a_longer_run(short, plain_data, tmp_path, capsys, patience):
    changes = {'train.patience': patience}
    if patience:
        short = train(tmp_path / 'short', plain_data, 3, **changes)
    before = {path: path.stat().st_mtime_ns for path in short.rglob('*') if path.is_file()}
    longer = train(tmp_path / 'longer', plain_data, 6, extend=str(short), **changes)
    assert 'goes on from epoch 4' in capsys.readouterr().out
    at_once = train(tmp_path / 'at_once', plain_data, 6, **changes)
    for name in ('probabilities.npz', 'metrics.csv', 'results.json', 'predictions.csv'):
        assert (longer / name).read_bytes() == (at_once / name).read_bytes(), name
    one, other = (read_best(run / 'checkpoints' / '000') for run in (longer, at_once))
    assert one[0] == other[0]
    np.testing.assert_array_equal(*(x[1]['params']['classifier']['kernel'] for x in (one, other)))
    # The shorter run has been read only.
    assert before == {path: path.stat().st_mtime_ns for path in short.rglob('*') if path.is_file()}


@pytest.mark.parametrize(
    ('epochs', 'changes', 'message'),
    [
        (3, {}, 'has 3 epochs: give more'),
        (6, {'train.batch_size': 7}, 'config.train.batch_size is 7, there 10; only train.epochs'),
        (6, {'optimizer.schedule': 'cosine'}, 'another config: config.optimizer.schedule'),
    ],
)
def test_another_run_is_refused_before_anything_is_written(
    short, plain_data, tmp_path, epochs, changes, message
):
    with pytest.raises(UserError, match=message):
        train(tmp_path / 'longer', plain_data, epochs, extend=str(short), **changes)
    assert not (tmp_path / 'longer').exists()


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('optimizer.schedule', 'cosine', 'depend on the number of epochs'),
        ('optimizer.warmup', 0.1, 'depend on the number of epochs'),
        ('train.retrain', True, 'may choose other ones'),
    ],
)
def test_what_depends_on_the_number_of_epochs_is_refused(short, tmp_path, key, value, message):
    run = tmp_path / 'run'
    shutil.copytree(short, run)
    known = json.loads((run / 'config.json').read_text())
    section, name = key.split('.')
    known[section][name] = value
    (run / 'config.json').write_text(json.dumps(known))
    config = experiment.resolve(plain_config({**STEPS, 'train.epochs': 6, key: value}))
    folds, dataset = (rundir.read_json(run / f'{name}.json') for name in ('folds', 'dataset'))
    with pytest.raises(UserError, match=message):
        extension.check(run, config, folds, dataset)


def test_other_data_and_lost_checkpoints_are_refused(short, tmp_path):
    config = experiment.resolve(plain_config({**STEPS, 'train.epochs': 6}))
    folds, dataset = (rundir.read_json(short / f'{name}.json') for name in ('folds', 'dataset'))
    extension.check(short, config, folds, dataset)
    with pytest.raises(UserError, match='the prepared data has changed'):
        extension.check(short, config, folds, {**dataset, 'fingerprint': 'another'})
    run = tmp_path / 'run'
    shutil.copytree(short, run)
    shutil.rmtree(run / 'checkpoints')
    with pytest.raises(UserError, match='has no checkpoints/'):
        extension.check(run, config, folds, dataset)
    (run / 'DONE').unlink()
    with pytest.raises(UserError, match='--extend: .* has not finished'):
        extension.check(run, config, folds, dataset)


def test_a_copy_that_fails_leaves_no_checkpoints(short, tmp_path):
    run, folder = tmp_path / 'run', tmp_path / 'longer'
    shutil.copytree(short, run)
    (run / 'checkpoints' / '001' / 'probabilities.npy').write_bytes(b'half')
    with pytest.raises(UserError, match='001/probabilities.npy is damaged'):
        extension.take_over(run, folder, 6)
    assert [*folder.iterdir()] == []


def test_a_system_of_several_models_is_refused():
    words = ('--config=afew_emotiw.py', '--extend=run')
    with pytest.raises(UserError, match='--extend: .* is made of several models'):
        cli.call(main_command.main, main_command.define, words)


def test_the_need_is_said_before_training(plain_data, tmp_path, capsys):
    train(tmp_path / 'run', plain_data, 1)
    said = capsys.readouterr().out
    assert (
        'a step takes 10 clips of each of 2 networks that train at once; on each device that needs '
        in said
    )
    assert said.index('a step takes') < said.index('trained' if 'trained:' in said else 'accuracy')


def test_a_run_that_kept_no_states_is_refused(plain_data, tmp_path):
    light = {'train.keep_states': False}
    short = train(tmp_path / 'short', plain_data, 1, **light)
    with pytest.raises(UserError, match='kept no optimizer states.*keep_states=True'):
        train(tmp_path / 'longer', plain_data, 2, extend=str(short), **light)
    assert not (tmp_path / 'longer').exists()
