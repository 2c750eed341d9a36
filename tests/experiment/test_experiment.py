"""From config to report on a small simulated CK+; killed, resumed, refused."""

import csv
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from sklearn import metrics

from fer_jax.errors import UserError
from fer_jax.experiment import run as experiment
from fer_jax.training.checkpoint import MemberCheckpoints

ROOT = Path(__file__).parents[2]
SMALL = {
    'simulated.subjects': 8, 'data.frames': 4, 'data.size': 32, 'protocol.k': 2,
    'model.width': 0.03125, 'train.epochs': 3, 'train.checkpoint_every': 1, 'train.batch_size': 16,
}  # fmt: skip


def rows_of(path):
    """A CSV's rows as dicts."""
    with path.open() as file:
        return list(csv.DictReader(file))


def small_config(**changes):
    spec = importlib.util.spec_from_file_location('ckplus_c3d', ROOT / 'configs' / 'ckplus_c3d.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config('simulated')
    config.update_from_flattened_dict(SMALL | changes)
    return config


@pytest.fixture(scope='module')
def data_dir(drawn_data):
    return drawn_data


@pytest.fixture(scope='module')
def finished(data_dir, tmp_path_factory):
    """A finished run and what it returned."""
    folder = tmp_path_factory.mktemp('runs') / 'finished'
    return folder, experiment.run(small_config(), workdir=str(folder), data_dir=data_dir)


def test_a_run_leaves_what_the_contract_lists(finished):
    folder, _ = finished
    names = (
        'kind.json', 'config.json', 'versions.json', 'folds.json', 'dataset.json', 'metrics.csv',
        'DONE', 'probabilities.npz', 'predictions.csv', 'results.json', 'report.html',
    )  # fmt: skip
    for name in names:
        assert (folder / name).exists(), name
    assert list(folder.glob('events.out.tfevents.*'))
    assert json.loads((folder / 'dataset.json').read_text())['simulated'] is True
    assert 'SIMULATED' in (folder / 'report.html').read_text()
    rows = rows_of(folder / 'metrics.csv')
    assert [(row['member'], row['epoch']) for row in rows] == [
        (member, epoch) for member in '01' for epoch in '123'
    ]


def test_the_results_are_those_of_the_predictions(finished):
    folder, values = finished
    rows = [row for row in rows_of(folder / 'predictions.csv') if row['rule'] == 'last']
    accuracy = metrics.accuracy_score(
        [row['label'] for row in rows], [row['predicted'] for row in rows]
    )
    assert values['last']['pooled_accuracy'] == pytest.approx(accuracy)
    # Each clip is judged once, by the member that did not see its subject.
    assert len({row['clip_id'] for row in rows}) == len(rows) == values['last']['n']
    folds = json.loads((folder / 'folds.json').read_text())['folds']
    for row in rows:
        trained = {clip.split('_')[0] for clip in folds[int(row['fold'])]['train']}
        assert row['subject'] not in trained


def test_a_finished_run_is_only_read(finished, data_dir, capsys):
    folder, values = finished
    before = (folder / 'report.html').stat().st_mtime_ns
    again = experiment.run(small_config(), workdir=str(folder), data_dir=data_dir)
    assert again == json.loads(json.dumps(values))
    assert (folder / 'report.html').stat().st_mtime_ns == before
    assert 'is finished' in capsys.readouterr().out


def test_a_fold_alone_is_the_fold_among_others(finished, data_dir, tmp_path):
    folder, _ = finished
    experiment.run(
        small_config(**{'protocol.fold': 1}), workdir=str(tmp_path / 'one'), data_dir=data_dir
    )
    among, alone = (
        [row for row in rows_of(place / 'predictions.csv') if row['fold'] == '1']
        for place in (folder, tmp_path / 'one')
    )
    for row in among + alone:
        del row['member']
    assert among == alone


def best_params(run, member):
    """A member's parameters as its run would predict with them."""
    checkpoints = MemberCheckpoints(run / 'checkpoints' / member)
    params = checkpoints.restore_best()[1]['params']
    checkpoints.close()
    return params


def test_a_run_starts_from_the_networks_of_another(finished, data_dir, tmp_path, capsys):
    folder, _ = finished
    # A learning rate of 0 keeps the networks that were taken over.
    changes = {'init.run': str(folder), 'optimizer.learning_rate': 0.0, 'train.epochs': 1}
    experiment.run(small_config(**changes), workdir=str(tmp_path / 'next'), data_dir=data_dir)
    assert 'starts from the networks of finished' in capsys.readouterr().out
    chain = json.loads((tmp_path / 'next' / 'dataset.json').read_text())['starts_from']
    assert chain['dataset'] == 'ckplus' and chain['fresh'] == [] and chain['simulated']
    for member in ('000', '001'):
        first, then = (best_params(place, member) for place in (folder, tmp_path / 'next'))
        jax.tree.map(np.testing.assert_array_equal, first, then)

    with pytest.raises(UserError, match='was trained on test clips of fold 0'):
        experiment.run(
            small_config(**changes, **{'protocol.name': 'random', 'protocol.k': 0}),
            workdir=str(tmp_path / 'leak'), data_dir=data_dir,
        )  # fmt: skip
    assert not (tmp_path / 'leak').exists()


def test_nested_trains_again_for_the_epochs_that_validation_chose(data_dir, tmp_path, capsys):
    folder = tmp_path / 'nested'
    changes = {'protocol.validation': 0.3, 'train.retrain': True}
    values = experiment.run(small_config(**changes), workdir=str(folder), data_dir=data_dir)
    assert values['nested']['headline']
    chosen, last = values['val_best']['epochs'], values['nested']['epochs']
    assert chosen[2:] == [0, 0] and last == [0, 0, *chosen[:2]] and min(chosen[:2]) >= 1
    rows = rows_of(folder / 'predictions.csv')
    folds = json.loads((folder / 'folds.json').read_text())['folds']
    for number, fold in enumerate(folds):
        # What chose is not judged, and every test clip is, once under each rule.
        own = [row for row in rows if row['fold'] == str(number) and row['rule'] == 'nested']
        assert sorted(row['clip_id'] for row in own) == sorted(fold['test'])
        assert {row['part'] for row in own} == {'test'}
    assert 'then again on training and validation clips' in capsys.readouterr().out

    # The second network saw the validation clips: as many members as folds, other class counts.
    with np.load(folder / 'probabilities.npz') as saved:
        counts = saved['train_counts'].sum(1)
        assert saved['retrained'].tolist() == [False, False, True, True]
    assert [counts[2 + i] - counts[i] for i in range(2)] == [len(f['validation']) for f in folds]
    assert best_params(folder, '002')

    with pytest.raises(UserError, match='give --config.protocol.validation'):
        experiment.run(
            small_config(**{'train.retrain': True}), workdir=str(tmp_path / 'x'), data_dir=data_dir
        )


def test_a_fitted_registration_gives_each_fold_frames_of_its_own(data_dir, tmp_path):
    config = small_config(**{'data.registration': 'procrustes', 'train.epochs': 1})
    built = experiment.build(config, data_dir)
    first, second = built.groups
    assert [member.index for member in built.members] == [0, 1]
    assert [member.fold_number for member in built.members] == [0, 1]
    assert built.dataset['registration'] == 'procrustes of 5 points'
    assert (first.clips.clip_id == second.clips.clip_id).all()
    assert (first.clips.frames != second.clips.frames).any()
    values = experiment.run(config, workdir=str(tmp_path / 'run'), data_dir=data_dir)
    assert values['last']['n'] == len(built.clips)


def command(workdir, data_dir):
    words = [f'--config.{key}={value}' for key, value in SMALL.items()]
    config = f'--config={ROOT / "configs" / "ckplus_c3d.py"}:simulated'
    return [
        sys.executable, '-m', 'fer_jax.main', config, *words,
        f'--workdir={workdir}', f'--data_dir={data_dir}',
    ]  # fmt: skip


@pytest.fixture(scope='module')
def whole(data_dir, tmp_path_factory):
    """The folder of a command's run that nobody disturbed."""
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    environment = os.environ | {'JAX_PLATFORMS': 'cpu'}
    subprocess.run(command(folder, data_dir), check=True, capture_output=True, env=environment)
    return folder


@pytest.mark.parametrize('stop', [signal.SIGKILL, signal.SIGTERM])
def test_killed_and_started_again_ends_the_same(whole, data_dir, tmp_path, stop):
    """The parameters after the end are bit for bit those of a run that nobody disturbed."""
    environment = os.environ | {'JAX_PLATFORMS': 'cpu'}
    cut = tmp_path / 'cut'
    process = subprocess.Popen(command(cut, data_dir), stdout=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 300
    # In the second member's training, after its first checkpoint.
    while not list((cut / 'checkpoints' / '001' / 'latest').glob('[0-9]*')):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(stop)
    status = process.wait(timeout=120)
    assert status == (-stop if stop == signal.SIGKILL else 128 + stop)
    assert not (cut / 'DONE').exists()
    subprocess.run(command(cut, data_dir), check=True, capture_output=True, env=environment)
    assert (cut / 'predictions.csv').read_bytes() == (whole / 'predictions.csv').read_bytes()
    for member in ('000', '001'):
        ends = []
        for folder in (whole, cut):
            checkpoints = MemberCheckpoints(folder / 'checkpoints' / member)
            ends.append(checkpoints.restore_best())
            checkpoints.close()
        (one, one_network), (other, other_network) = ends
        assert one == other
        flat = [
            np.concatenate([np.ravel(x) for x in leaves(n)]) for n in (one_network, other_network)
        ]
        np.testing.assert_array_equal(*flat)


def leaves(tree):
    """Arrays of a nested dict in the order of its keys."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    return [tree]


@pytest.mark.parametrize(
    'changes,message',
    [
        ({'protocol.fold': 2}, 'protocol.fold is 2: idstep2 has folds 0 to 1'),
        ({'protocol.name': 'idsteps'}, 'idsteps'),
        ({'model.name': 'c4d'}, 'c3d'),
        ({'model.activation': 'gelu'}, 'relu'),
        ({'inputs.equalize': 'clah'}, 'clahe'),
        ({'inputs.normalize': 'zscore'}, 'mean_std'),
        ({'augment.kind': 'mixup'}, 'class_counts'),
        ({'optimizer.name': 'adamax'}, 'momentum'),
        ({'train.batch_size': 0}, 'train.batch_size'),
        ({'loss.l2_layers': ('fc9',), 'loss.l2': 0.1}, 'fc9'),
        ({'loss.l2': 0.1}, 'loss.l2 is 0.1 of no layers: name them in loss.l2_layers'),
        ({'train.patience': 5}, 'there are none: give --config.protocol.validation'),
    ],
)
def test_a_wrong_value_is_one_sentence_and_leaves_nothing(data_dir, tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        experiment.run(small_config(**changes), workdir=str(tmp_path / 'run'), data_dir=data_dir)
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'run').exists()


def test_a_folder_of_another_config_is_refused(finished, data_dir):
    folder, _ = finished
    with pytest.raises(UserError, match='config.train.epochs is 4, there 3; .*--extend=.*finished'):
        experiment.run(small_config(**{'train.epochs': 4}), workdir=str(folder), data_dir=data_dir)
    config = small_config(**{'data.name': 'oulu_casia', 'data.faces': '', 'data.labels': ''})
    with pytest.raises(UserError, match='a run on another dataset: ckplus, not oulu_casia'):
        experiment.run(config, workdir=str(folder), data_dir=data_dir)


def test_a_folder_with_something_else_is_refused(data_dir, tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(UserError, match='is no run and not empty'):
        experiment.run(small_config(), workdir=str(tmp_path), data_dir=data_dir)
    assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']


def test_changed_data_under_a_run_are_refused(finished, data_dir, tmp_path):
    folder, _ = finished
    copy = tmp_path / 'copy'
    shutil.copytree(folder, copy)
    (copy / 'DONE').unlink()
    dataset = json.loads((copy / 'dataset.json').read_text())
    (copy / 'dataset.json').write_text(json.dumps(dataset | {'fingerprint': 'another'}))
    with pytest.raises(UserError, match='the prepared data has changed'):
        experiment.run(small_config(), workdir=str(copy), data_dir=data_dir)
