"""A run one of whose members diverges, from config to report, and one in which all do."""

import csv
import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.experiment import run as experiment
from fer_jax.training.transfer import Source

CONFIG = Path(__file__).parents[2] / 'configs' / 'ckplus_c3d.py'
SMALL = {
    'simulated.subjects': 8, 'data.frames': 4, 'data.size': 32, 'protocol.k': 2,
    'model.width': 0.03125, 'train.checkpoint_every': 1, 'train.batch_size': 16,
}  # fmt: skip


def small_config(**changes):
    spec = importlib.util.spec_from_file_location('ckplus_c3d', CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config('simulated')
    config.update_from_flattened_dict(SMALL | changes)
    return config


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def diverging(monkeypatch, *lost):
    """Builds experiments whose members of those numbers get an infinite learning rate."""
    build = experiment.build

    def changed(config, data_dir):
        def group(one):
            members = [
                dataclasses.replace(m, learning_rate=float('inf')) if m.index in lost else m
                for m in one.members
            ]
            return dataclasses.replace(one, members=members)

        built = build(config, data_dir)
        return dataclasses.replace(
            built,
            groups=[group(one) for one in built.groups],
            again=[group(one) for one in built.again],
        )

    monkeypatch.setattr(experiment, 'build', changed)


def test_a_lost_fold_is_left_out_and_stamped(drawn_data, tmp_path, monkeypatch, capsys):
    diverging(monkeypatch, 0)
    folder = tmp_path / 'run'
    values = experiment.run(
        small_config(**{'train.epochs': 2}), workdir=str(folder), data_dir=drawn_data
    )
    stamp = 'fold 0 seed 0 diverged in epoch 1: fold 0 left out'
    assert stamp in values['last']['stamps'] and values['last']['epochs'] == [0, 2]
    rows = rows_of(folder / 'predictions.csv')
    assert {row['fold'] for row in rows} == {'1'}
    assert values['last']['n'] == len([row for row in rows if row['rule'] == 'last'])
    assert stamp in (folder / 'report.html').read_text()
    assert stamp in capsys.readouterr().out
    monkeypatch.undo()
    source = Source.open(str(folder))
    built = experiment.build(small_config(**{'protocol.fold': 1}), drawn_data)
    assert source.choose(built.members[0], built.clips) == 1
    other = experiment.build(small_config(**{'protocol.fold': 0}), drawn_data)
    with pytest.raises(UserError, match='every network of'):
        source.choose(other.members[0], other.clips)


def test_a_fold_lost_is_not_trained_again(drawn_data, tmp_path, monkeypatch):
    diverging(monkeypatch, 1)
    changes = {'train.epochs': 1, 'protocol.validation': 0.3, 'train.retrain': True}
    values = experiment.run(
        small_config(**changes), workdir=str(tmp_path), data_dir=drawn_data, pages=False
    )
    assert values['nested']['epochs'] == [0, 0, 1, 0]
    assert values['val_best']['epochs'] == [1, 0, 0, 0]
    assert values['nested']['stamps'][1:] == ['fold 1 seed 0 diverged in epoch 1: fold 1 left out']
    with np.load(tmp_path / 'probabilities.npz') as saved:
        assert saved['failed'].tolist() == [0, 1, 0, 1]
        assert saved['retrained'].tolist() == [False, False, True, True]


def test_a_run_whose_members_diverge_now_or_when_trained_again_says_one_line(
    drawn_data, tmp_path, monkeypatch
):
    diverging(monkeypatch, 0, 3)
    changes = {'train.epochs': 1, 'protocol.validation': 0.3, 'train.retrain': True}
    said = 'all 2 members diverged, some when trained again, the first in epoch 1: lower'
    for _ in range(2):  # the second time nothing is trained
        with pytest.raises(UserError, match=said):
            experiment.run(small_config(**changes), workdir=str(tmp_path), data_dir=drawn_data)
    assert not (tmp_path / 'DONE').exists()


def test_a_run_all_of_whose_members_diverge_says_one_line(drawn_data, tmp_path, monkeypatch):
    diverging(monkeypatch, 0, 1)
    for _ in range(2):  # the second time nothing is trained
        with pytest.raises(UserError, match='all 2 members diverged, the first in epoch 1: lower'):
            experiment.run(
                small_config(**{'train.epochs': 1}), workdir=str(tmp_path), data_dir=drawn_data
            )
    assert not (tmp_path / 'DONE').exists()
