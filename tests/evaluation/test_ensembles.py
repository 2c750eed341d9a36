"""Several runs as one: their mean, whose clips may calibrate it, what is refused."""

import dataclasses

import numpy as np
import pytest

from fer_jax import cli
from fer_jax import report as command
from fer_jax.errors import UserError
from fer_jax.evaluation import calibration, ensembles, rundir
from fer_jax.evaluation.rules import choose


@pytest.fixture(scope='module')
def runs(finished_run, other_run):
    return [rundir.load(path) for path in (finished_run, other_run)]


def test_the_mean_at_each_runs_own_epochs(runs):
    found = ensembles.mean(runs)
    assert found.members == 10 and found.probabilities.shape[1] == 1
    tables = [run.predictions for run in runs]
    chosen = [choose(table)['val_best'] for table in tables]
    assert any(chosen[0] != chosen[1])
    for part in (1, 2):
        each = [
            table.at(epoch, part).probabilities for table, epoch in zip(tables, chosen, strict=True)
        ]
        rows = found.at(np.zeros(10, int), part)
        np.testing.assert_allclose(rows.probabilities, np.mean(each, 0), atol=1e-6)
    np.testing.assert_array_equal(found.part, tables[0].part)


def test_classes_and_clips_in_another_order_are_the_same(runs):
    one = runs[1].predictions
    order, clips = np.arange(len(one.classes))[::-1], np.arange(len(one.label))[::-1]
    turned = dataclasses.replace(
        one,
        classes=tuple(one.classes[k] for k in order),
        probabilities=one.probabilities[:, :, clips][..., order],
        label=(len(order) - 1 - one.label)[clips].astype(np.int32),
        train_counts=one.train_counts[:, order],
        **{name: getattr(one, name)[clips] for name in ('clip_id', 'subject')},
        **{name: getattr(one, name)[:, clips] for name in ('part', 'duplicate')},
    )
    other = dataclasses.replace(runs[1], predictions=turned)
    first, second = ensembles.mean(runs), ensembles.mean([runs[0], other])
    np.testing.assert_allclose(first.probabilities, second.probabilities, atol=1e-6)


def test_it_is_judged_like_a_run(runs):
    found = ensembles.judge(runs)
    assert found.stamps == ('SIMULATED FACES',)
    own = f'{runs[0].path.name}: each member at its epoch of highest validation accuracy'
    assert found.facts['Epochs'].startswith(own)
    rows = found.rows
    (all_clips,) = found.counted
    assert all_clips['n'] == 327
    assert all_clips['accuracy'] == pytest.approx((rows.predicted == rows.label).mean())
    low, high = all_clips['accuracy_interval']
    assert low < all_clips['accuracy'] < high
    fitted = calibration.temperature_of(found.predictions, np.zeros(10, int), averaged=False)
    assert found.values['calibration']['temperature'] == fitted[0]


def test_a_clip_that_one_of_them_trained_on_does_not_calibrate(runs):
    one = runs[1].predictions
    part = one.part.copy()
    lost = np.argwhere(part == 1)[::2]
    part[tuple(lost.T)] = 0
    other = dataclasses.replace(runs[1], predictions=dataclasses.replace(one, part=part))
    found = ensembles.mean([runs[0], other])
    assert (found.part[tuple(lost.T)] == 0).all()
    assert (found.part == 1).sum() == (part == 1).sum() > 0


def test_copies_are_those_of_all_networks_whichever_run_is_named_first(runs):
    one = runs[0].predictions
    copies = np.argwhere(one.part == 2)[:3]
    marks = []
    for kind in (1, 2):  # the first run held out what they are copies of, the second trained on it
        duplicate = np.zeros_like(one.duplicate)
        duplicate[tuple(copies.T)] = kind
        marks.append(duplicate)
    both = [changed(run, duplicate=mark) for run, mark in zip(runs, marks, strict=True)]
    for given in (both, both[::-1]):
        every, trained, either = ensembles.judge(given).counted
        assert every['n'] == 327 and trained['removed'] == either['removed'] == 3


def test_other_clips_are_refused(runs, make_predictions, make_run, tmp_path):
    run = make_run(tmp_path / 'b', make_predictions(folds=5, epochs=2), simulated=True)
    with pytest.raises(UserError, match='cannot be paired'):
        ensembles.judge([runs[0], rundir.load(run)])
    with pytest.raises(UserError, match='given twice'):
        ensembles.judge([runs[0], runs[0]])


def test_the_command_writes_its_page(finished_run, other_run, tmp_path, capsys):
    out = tmp_path / 'out'
    words = [str(finished_run), str(other_run), '--ensemble', f'--out={out}']
    cli.call(command.main, command.define, words)
    printed = capsys.readouterr().out
    assert '*** SIMULATED FACES ***' in printed and 'All test clips' in printed
    assert rundir.read_json(out / 'results.json')['counted'][0]['n'] == 327
    assert '<svg' in (out / 'report.html').read_text()
    with pytest.raises(UserError, match='two runs or more'):
        cli.call(command.main, command.define, [str(finished_run), '--ensemble'])


def counted(runs):
    """The number of networks that an ensemble says it is the mean of."""
    return int(ensembles.judge(runs).lead.split()[2])


def changed(run, **values):
    return dataclasses.replace(run, predictions=dataclasses.replace(run.predictions, **values))


def test_a_fold_that_diverged_in_every_run_is_left_out(runs):
    table = runs[0].predictions
    lost = table.fold == 3
    broken = []
    for run in runs:
        failed = np.where(run.predictions.fold == 3, 1, 0).astype(np.int32)
        part = np.where(lost[:, None], 0, run.predictions.part).astype(np.int8)
        broken.append(changed(run, failed=failed, part=part))
    found = ensembles.mean(broken)
    assert found.fold.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert not (found.part[:, (table.part[3] == 2)] == 2).any()
    assert counted(runs) == 20 and counted(broken) == 18


def test_of_networks_that_were_trained_again_each_counts_once_with_its_own_copies(runs):
    def doubled(run):
        table = run.predictions
        again = {
            name: np.concatenate([getattr(table, name)] * 2)
            for name in ('probabilities', 'fold', 'seed', 'epochs', 'train_counts')
        }
        part = np.concatenate([table.part, np.where(table.part == 1, 0, table.part)])
        # A test clip with a copy among the validation clips, which trained in the second stage.
        first = (table.part == 2) & (np.arange(len(table.label)) % 9 == 0)
        duplicate = np.concatenate([first * 1, first * 2]).astype(np.int8)
        retrained = np.repeat([False, True], table.members)
        return changed(
            run, part=part.astype(np.int8), duplicate=duplicate, retrained=retrained,
            failed=np.zeros(2 * table.members, np.int32), **again,
        )  # fmt: skip

    both = [doubled(run) for run in runs]
    assert counted(both) == 20
    every, trained, either = ensembles.judge(both).counted
    assert every['n'] == 327 and trained['removed'] == either['removed'] == 37
