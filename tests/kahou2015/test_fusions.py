"""Fusion networks trained anew on finished stages: what is changed, said and left alone."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from fer_jax import cli
from fer_jax import config as configs
from fer_jax.config import bind
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.kahou2015 import __main__ as command
from fer_jax.kahou2015 import fusion_training, fusions, models, outcome, system
from fer_jax.kahou2015.submissions import SUBMISSIONS, TEST, VALIDATION
from fer_jax.kahou2015.system import FUSED
from tests.kahou2015.conftest import made_up_table, write_stages
from tests.kahou2015.test_emotiw_system import small


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A finished run of made-up stages, in whose first values of sound the truth can be seen."""
    path = tmp_path_factory.mktemp('fusions') / 'run'
    table = made_up_table()
    write_stages(path, table)
    sound = outcome.read(path, 'audio')
    sound['features'] += 30 * np.eye(7, 4, dtype=np.float32)[np.abs(table.truth)]
    np.savez(outcome.place(path, 'audio'), **sound)
    config = small()
    config.fusion.epochs.update({'stated': 5, 'stable': 5})  # one program for both
    (path / 'config.json').write_text(json.dumps(configs.as_json(configs.complete(config))))
    rundir.finish(path)
    return path


def options_of(folder):
    return bind(system.FusionOptions, small().fusion, 'fusion')


@pytest.mark.parametrize('all_of_them', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ablations_are_trained_on_the_stages_and_nothing_else_is(
    folder, capsys, monkeypatch, all_of_them
):
    if not all_of_them:
        some = {name: fusions.ABLATIONS[name] for name in (fusions.BASE, 'relu')}
        monkeypatch.setattr(fusions, 'ABLATIONS', some)
    before = {path: path.read_bytes() for path in (folder / 'stages').iterdir()}
    cli.call(command.main, command.define, [str(folder), '--fusions', '--draws=1'])
    assert {path: path.read_bytes() for path in (folder / 'stages').iterdir()} == before
    with (folder / 'fusions.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    names = [name for name in fusions.ABLATIONS for _ in range(2)]
    assert [row['name'] for row in rows] == [*names, 'drawn 1']
    assert [row['recipe'] for row in rows[:2]] == ['stated', 'stable']
    said = capsys.readouterr().out
    assert 'SIMULATED' in said and 'of 1 drawn the validation part chooses drawn 1' in said
    # What a row says is what the training of that network gives.
    found, section = outcome.load(folder), rundir.read_json(folder / 'config.json')['fusion']
    options = fusions.changed(bind(system.FusionOptions, section, 'fusion'), activation='relu')
    trained = system.fused(options, found.table, found.models, 1, [0, 1, 2])
    (relu,) = [row for row in rows if row['name'] == 'relu' and row['recipe'] == 'stated']
    for part in ('train', 'validation', 'test'):
        own = found.table.part(part)
        own = own[np.isfinite(trained.probabilities[0, own, 0])]
        right = trained.probabilities[:, own].argmax(-1) == found.table.truth[own]
        assert float(relu[part]) == pytest.approx(right.mean(), abs=1e-5)
    assert relu['epochs'].split() == [str(epoch) for epoch in trained.epoch]
    assert relu['saturated'] == '' and len(rows[0]['saturated'].split()) == 3


def test_saturation_is_counted_where_inputs_are_large(folder):
    found, options = outcome.load(folder), options_of(folder)
    shares = {}
    for scaled in (False, True):
        own = fusions.changed(options, scaled=scaled)
        inputs = system.inputs_of(own, found.table, found.models, 1)
        fit = found.table.part('train')
        given = [rows[fit][np.isfinite(rows[fit]).all(1)] for rows in inputs]
        ones = {
            f'modality{number}': {
                'kernel': np.ones((2, rows.shape[1], 5)), 'bias': np.zeros((2, 5))
            }
            for number, rows in enumerate(given, 1)
        }  # fmt: skip
        shares[scaled] = fusions.saturated(ones, given)
        limit = np.log(99)
        by_hand = [(np.abs(rows.sum(1)) > limit).mean() for rows in given]
        np.testing.assert_allclose(shares[scaled], by_hand)
    assert shares[False][1] > 0.5 > 0.1 > shares[True][1]  # sound, 30 times the others


def test_inputs_are_scaled_over_training_clips_alone():
    rng = np.random.default_rng(0)
    rows = rng.normal(3, 5, (9, 2))
    rows[1] = np.nan
    rows[:, 1] = np.where(np.isnan(rows[:, 1]), np.nan, 4)
    (found,) = fusion_training.standardised([rows], np.arange(6))
    seen = rows[[0, 2, 3, 4, 5], 0]
    np.testing.assert_allclose(found[[0, 2, 8], 0], (rows[[0, 2, 8], 0] - seen.mean()) / seen.std())
    np.testing.assert_array_equal(found[[0, 8], 1], 0)
    assert np.isnan(found[1]).all()


def test_sound_is_whitened_over_its_training_clips():
    frames = np.random.default_rng(0).normal(3, 5, (12, 1, 6)).astype(np.float32)
    train = np.arange(2, 9)
    member = SimpleNamespace(fold=SimpleNamespace(train=train))

    def whitened(values):
        return models._whitened(2, models.Learned(SimpleNamespace(frames=values), member, None))

    found = whitened(frames)
    assert found.shape == (12, 2)
    np.testing.assert_allclose(found[train].std(0, ddof=1), 1, rtol=1e-5)
    scale = np.full((12, 1, 1), 10, np.float32)
    scale[train] = 1
    np.testing.assert_allclose(whitened(frames * scale), found * scale[:, 0], rtol=1e-5)


def test_inputs_of_a_submission_are_scaled_over_what_it_is_trained_on(folder):
    found = outcome.load(folder)
    options = fusions.changed(options_of(folder), scaled=True)
    for number, submission in SUBMISSIONS.items():
        if submission.combines:
            continue
        fit = found.table.part(*submission.fit)
        others = np.setdiff1d(np.arange(len(found.table.clip_id)), fit)
        other = {name: {'features': found.models[name]['features'].copy()} for name in FUSED}
        for own in other.values():
            own['features'][:, others] *= 10
        given = system.inputs_of(options, found.table, found.models, number)
        same = system.inputs_of(options, found.table, other, number)
        for rows, again in zip(given, same, strict=True):
            np.testing.assert_array_equal(rows[fit], again[fit])
            np.testing.assert_allclose(np.nanstd(rows[fit], axis=0), 1, rtol=1e-4)


def test_the_validation_part_chooses_among_what_was_drawn():
    rows = [
        fusions.Row(name, 'units', 'stable', {VALIDATION: chosen, TEST: tested}, (3,), (), ())
        for name, chosen, tested in (
            (fusions.BASE, 0.8, 0.95), ('drawn 1', 0.6, 0.9), ('drawn 2', 0.7, 0.1)
        )
    ]  # fmt: skip
    assert fusions._said(rows)[-1] == (
        'of 2 drawn the validation part chooses drawn 2 (units): 70.00 % there, 10.00 % on the '
        'test part'
    )


def test_what_is_drawn_is_what_is_trained(folder, monkeypatch):
    monkeypatch.setattr(fusions, '_train', lambda *given: given)
    rows = [*fusions.trained(options_of(folder), 1, None, {}, 5)][-5:]
    for number, (name, why, options, recipe, *_) in enumerate(rows, 1):
        units = ', '.join(map(str, options.units))
        own = f'units {units}; common {options.common}; dropout {options.dropout_rate:g}'
        assert (name, why, recipe) == (f'drawn {number}', own, 'stable')
    assert len({row[1] for row in rows}) == 5


def test_groups_are_changed_within_the_penalty(folder):
    options = options_of(folder)
    own = fusions.changed(options, groups='across', activation='relu')
    assert own.penalty == {**options.penalty, 'groups': 'across'} and own.activation == 'relu'
    assert options.penalty['groups'] == 'hidden_units'


def test_mistakes_are_one_line(folder, tmp_path):
    (tmp_path / 'config.json').write_text(json.dumps({'name': 'ckplus_c3d'}))
    rundir.finish(tmp_path)
    for words, message in (
        ([str(tmp_path / 'nowhere'), '--fusions'], 'nowhere'),
        ([str(tmp_path), '--fusions'], 'is no run of configs/afew_emotiw.py'),
        ([str(folder), '--fusions', '--draws=-1'], '--draws=-1: give 0'),
    ):
        with pytest.raises(UserError, match=message) as error:
            cli.call(command.main, command.define, words)
        assert '\n' not in str(error.value)
