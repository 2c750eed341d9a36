"""A member that diverged is left out of every figure, and every page says so."""

import dataclasses

import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.evaluation import predictions as predictions_file
from fer_jax.evaluation import results, rundir
from fer_jax.evaluation.rules import choose
from fer_jax.reports.run_page import write_report


def without(predictions, *members, epoch=2):
    """The table as a run has it in which those members diverged."""
    part, failed = predictions.part.copy(), np.zeros(predictions.members, np.int32)
    probabilities, epochs = predictions.probabilities.copy(), predictions.epochs.copy()
    for member in members:
        part[member], failed[member], epochs[member] = 0, epoch, epoch - 1
        probabilities[member] = np.nan
    return dataclasses.replace(
        predictions, part=part, failed=failed, probabilities=probabilities, epochs=epochs
    )


def only(predictions, members):
    """The table of some members alone."""
    own = ('probabilities', 'part', 'fold', 'seed', 'epochs', 'train_counts', 'duplicate')
    return dataclasses.replace(
        predictions,
        retrained=predictions.retrained[members],
        failed=predictions.failed[members],
        **{name: getattr(predictions, name)[members] for name in own},
    )


def rounded(value):
    """Sums in another order differ in the last digit."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 12) if isinstance(value, float) else value


@pytest.mark.parametrize(
    'seeds,lost,left_out',
    [
        (1, [3], [3]),
        (2, [3], range(10)),  # the other seed has all folds
        (2, [3, 14], [3, 4, 13, 14]),  # no seed has: all seeds count the same folds
        (2, list(range(10)), range(10)),
    ],
)
def test_figures_are_those_of_the_members_that_are_left(make_predictions, seeds, lost, left_out):
    whole = make_predictions(seeds=seeds, duplicates=True)
    kept = [m for m in range(whole.members) if m not in left_out]
    found = results.compute(without(whole, *lost), draws=200)
    expected = results.compute(only(whole, kept), draws=200)
    assert found.keys() == expected.keys()
    for rule, values in expected.items():
        mine = dict(found[rule])
        epochs = np.array(mine.pop('epochs'))
        assert epochs[kept].tolist() == values['epochs'] and not epochs[list(left_out)].any()
        assert [row['member'] for row in mine['folds']] == kept
        for row, other in zip(mine.pop('folds'), values['folds'], strict=True):
            assert row | {'member': 0} == other | {'member': 0}
        for name, value in mine.items():
            assert rounded(value) == rounded(values[name]), (rule, name)


def test_a_fold_lost_when_trained_again_is_lost_to_all_rules(make_predictions):
    first = make_predictions(folds=4, epochs=3)
    double = only(first, [0, 1, 2, 3, 0, 1, 2, 3])
    double = dataclasses.replace(double, retrained=np.arange(8) >= 4)
    chosen = choose(without(double, 6))
    assert set(chosen) == {
        'nested', 'val_best', 'last', 'test_best_fold', 'test_best_common'
    }  # fmt: skip
    for rule, epoch in chosen.items():
        expected = [4, 5, 7] if rule == 'nested' else [0, 1, 3]
        assert np.flatnonzero(epoch >= 0).tolist() == expected


def test_stamps_name_what_is_missing(predictions):
    assert predictions.stamps == ()
    one = without(predictions, 3)
    assert one.stamps == ('fold 3 seed 0 diverged in epoch 2: fold 3 left out',)
    many = without(predictions, 1, 2, 5, 7, 8).stamps
    assert len(many) == 4
    assert many[3] == '5 folds and seeds diverged: these seeds or folds are left out'


def test_a_seed_that_lost_a_fold_is_named_where_another_has_all(make_predictions):
    table = make_predictions(seeds=2)
    said = ('fold 3 seed 0 diverged in epoch 2: seed 0 left out',)
    assert without(table, 3).stamps == said


def test_nothing_left_to_judge_is_said(make_predictions):
    table = without(make_predictions(seeds=2), *range(5), *range(15, 20))
    with pytest.raises(UserError, match='nothing is left to judge; lower the learning rate'):
        choose(table)


def test_the_page_says_it_and_draws_no_curve_of_it(predictions, make_run, tmp_path):
    run = make_run(tmp_path / 'run', without(predictions, 3, epoch=1), simulated=True)
    metrics = (run / 'metrics.csv').read_text().splitlines()
    cells = metrics[1].split(',')
    (run / 'metrics.csv').write_text('\n'.join([*metrics, ','.join(['3', '3', *cells[2:]])]) + '\n')
    found = rundir.load(run)
    assert found.stamps == (rundir.SIMULATED, 'fold 3 seed 0 diverged in epoch 1: fold 3 left out')
    assert all(np.isnan(curve[3]).all() for curve in found.curves.values())
    assert not np.isnan(found.curves['test_loss'][2]).any()
    page = write_report(run, tmp_path / 'page').read_text()
    assert 'fold 3 seed 0 diverged in epoch 1: fold 3 left out' in page
    assert '1 of them diverged and left out' in page
    with (run / 'predictions.csv').open() as file:
        assert ',3,0,' not in file.read()


def test_a_table_written_before_members_could_fail_is_read(predictions, tmp_path):
    predictions.save(tmp_path / 'new.npz')
    with np.load(tmp_path / 'new.npz') as saved:
        np.savez(tmp_path / 'old.npz', **{k: v for k, v in saved.items() if k != 'failed'})
    assert predictions_file.load(tmp_path / 'old.npz').failed.tolist() == [0] * 10
