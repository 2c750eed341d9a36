"""Comparisons: every number by other means, and refusal where runs cannot be paired."""

import csv
import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from scipy import stats

from fer_jax import cli
from fer_jax import report as command
from fer_jax.errors import UserError
from fer_jax.evaluation import comparison, rundir
from fer_jax.evaluation.predictions import TEST
from fer_jax.reports import comparison_page

FEW = 50  # draws, where intervals are not looked at


def call(*argv):
    """Runs the command as its users do, with errors left to the test."""
    cli.call(command.main, command.define, [str(word) for word in argv])


def compare(*paths, **options):
    """Compares run directories; returns what is said."""
    return comparison.compute([rundir.load(path) for path in paths], **options)


def rows_of(path, rule):
    """A run's test rows of predictions.csv under a rule: {(fold, clip): right}, and subjects."""
    with (path / 'predictions.csv').open(newline='') as file:
        rows = [r for r in csv.DictReader(file) if (r['part'], r['rule']) == ('test', rule)]
    right = {(int(r['fold']), r['clip_id']): r['label'] == r['predicted'] for r in rows}
    return right, {r['clip_id']: r['subject'] for r in rows}


@pytest.fixture(scope='module')
def values(finished_run, other_run):
    """The comparison of the two runs under the default rule."""
    return compare(finished_run, other_run)


def test_every_number_recomputed_from_predictions_csv(values, finished_run, other_run):
    (first, subject), (second, _) = (
        rows_of(path, 'val_best') for path in (finished_run, other_run)
    )
    keys = sorted(first)
    a, b = (np.array([right[key] for key in keys]) for right in (first, second))
    fold = np.array([key[0] for key in keys])
    of_folds = [[right[fold == f].mean() for f in range(10)] for right in (a, b)]
    (pair,) = values['pairs']
    assert values['rule'] == 'val_best'
    assert values['clips'] == len(keys) == 327
    assert pair['difference'] == pytest.approx(a.mean() - b.mean())
    assert pair['fold_difference'] == pytest.approx(np.mean(of_folds[0]) - np.mean(of_folds[1]))
    assert pair['only_first'] == (a & ~b).sum() and pair['only_second'] == (~a & b).sum()
    assert pair['both'] + pair['neither'] == (a == b).sum()
    for alternative in ('two-sided', 'greater', 'less'):
        key = alternative.replace('-', '_')
        expected = {
            't': stats.ttest_rel(*of_folds, alternative=alternative).pvalue,
            'wilcoxon': stats.wilcoxon(
                np.round(np.subtract(*of_folds), 6), alternative=alternative
            ).pvalue,
            'mcnemar': stats.binomtest(
                int((a & ~b).sum()), int((a != b).sum()), alternative=alternative
            ).pvalue,
        }
        for name, p in expected.items():
            assert pair['tests'][name][key] == pytest.approx(p), (name, key)
    # Test folds are a tenth, so that training has nine times their clips.
    t, corrected = (pair['tests'][name]['statistic'] for name in ('t', 'corrected_t'))
    assert corrected == pytest.approx(t * np.sqrt(0.1 / (0.1 + 1 / 9)))
    assert pair['effect_size'] == pytest.approx(t / np.sqrt(10))

    people = np.array([subject[key[1]] for key in keys])
    names = np.unique(people)
    drawn = []
    rng = np.random.default_rng(5)
    for _ in range(1000):
        at = np.concatenate([np.flatnonzero(people == n) for n in rng.choice(names, len(names))])
        drawn.append(a[at].mean() - b[at].mean())
    np.testing.assert_allclose(pair['interval'], np.percentile(drawn, [2.5, 97.5]), atol=0.008)


def test_pairs_are_found_by_clip_and_not_by_place(values, finished_run, other_run, tmp_path):
    moved = tmp_path / 'moved'
    shutil.copytree(other_run, moved)
    table = rundir.load(other_run).predictions
    order = np.random.default_rng(0).permutation(len(table.clip_id))
    dataclasses.replace(
        table,
        probabilities=table.probabilities[:, :, order],
        part=table.part[:, order],
        duplicate=table.duplicate[:, order],
        **{name: getattr(table, name)[order] for name in ('label', 'subject', 'clip_id')},
    ).save(moved / 'probabilities.npz')
    assert compare(finished_run, moved)['pairs'] == values['pairs']


def test_the_other_order_is_the_other_sign(values, finished_run, other_run):
    (forward,), (backward,) = values['pairs'], compare(other_run, finished_run)['pairs']
    assert backward['difference'] == pytest.approx(-forward['difference'])
    assert backward['interval'] == pytest.approx([-end for end in reversed(forward['interval'])])
    for name, outcome in forward['tests'].items():
        assert backward['tests'][name]['greater'] == pytest.approx(outcome['less'])
        assert backward['tests'][name]['two_sided'] == pytest.approx(outcome['two_sided'])


def test_seeds_are_averaged_and_clips_are_then_not_counted(make_predictions, make_run, tmp_path):
    three, one = make_predictions(folds=4, seeds=3, epochs=3), make_predictions(folds=4, epochs=3)
    runs = [make_run(tmp_path / name, table, simulated=True)
            for name, table in (('three', three), ('one', one))]  # fmt: skip
    found = compare(*runs, rule='last', draws=FEW)
    (pair,) = found['pairs']
    right = [run['results']['last']['pooled_accuracy'] for run in found['runs']]
    assert pair['difference'] == pytest.approx(right[0] - right[1])
    assert 'mcnemar' not in pair['tests'] and pair['only_first'] is None
    accuracies = [[row['accuracy'] for row in found['runs'][0]['results']['last']['folds']
                   if row['fold'] == fold] for fold in range(4)]  # fmt: skip
    assert [f['A'] for f in found['folds']] == pytest.approx(np.mean(accuracies, axis=1).tolist())
    text = comparison_page.write(found, tmp_path / 'out').read_text()
    assert 'Only the first' not in text and 'McNemar' not in text


def test_one_fold_leaves_the_clips(make_predictions, make_other, make_run, tmp_path):
    table = make_predictions(folds=2, epochs=2, validation=False, known_subjects=False)
    half = dataclasses.replace(
        table,
        **{name: getattr(table, name)[:1]
           for name in ('probabilities', 'part', 'fold', 'seed', 'epochs', 'train_counts',
                        'duplicate', 'retrained', 'failed')},
    )  # fmt: skip
    runs = [make_run(tmp_path / name, t, simulated=False)
            for name, t in (('a', half), ('b', make_other(half, noise=1, seed=0)))]  # fmt: skip
    found = compare(*runs, draws=FEW)
    assert (found['rule'], found['unit'], found['subjects']) == ('last', 'clips', None)
    assert list(found['pairs'][0]['tests']) == ['mcnemar']
    assert found['pairs'][0]['effect_size'] is None
    out = comparison_page.write(found, tmp_path / 'out')
    assert not (out.parent / 'figures' / 'fold_accuracies.svg').exists()
    assert 'SIMULATED' not in out.read_text()
    assert 'Mean over subjects' not in out.read_text()


def test_clips_that_are_tested_twice_have_no_mcnemar_test(
    make_predictions, make_other, make_run, tmp_path
):
    table = make_predictions(folds=2, epochs=2)
    for values in (table.part, table.probabilities):
        values[1] = values[0]
    tables = {'a': table, 'b': make_other(table, noise=1, seed=0)}
    runs = [make_run(tmp_path / name, t, simulated=False) for name, t in tables.items()]
    (pair,) = compare(*runs, draws=FEW)['pairs']
    assert 'mcnemar' not in pair['tests'] and pair['only_first'] is None


def test_runs_that_say_the_same_do_not_differ(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / 'same')
    found = compare(finished_run, tmp_path / 'same', draws=FEW)
    (pair,) = found['pairs']
    assert pair['difference'] == 0 and pair['interval'] == (0, 0)
    assert pair['tests']['t']['two_sided'] == 1
    assert pair['tests']['wilcoxon']['two_sided'] == pair['tests']['mcnemar']['two_sided'] == 1
    assert comparison_page.write(found, tmp_path / 'out').is_file()
    assert 'Paired t-test' in comparison.summary_text(found)


def edit(name, change):
    """Damage: a JSON file of the run is changed."""

    def apply(run):
        value = json.loads((run / name).read_text())
        change(value)
        (run / name).write_text(json.dumps(value))

    return apply


def change_table(**fields):
    """Damage: the run's predictions have other fields."""

    def apply(run):
        table = rundir.load(run).predictions
        changed = {name: change(table) for name, change in fields.items()}
        dataclasses.replace(table, **changed).save(run / 'probabilities.npz')

    return apply


def first_test_clip_in_another_fold(table):
    """Parts where the first test clip of fold 1 is judged in fold 2."""
    part = table.part.copy()
    clip = np.flatnonzero(part[0] == TEST)[0]
    part[0, clip], part[1, clip] = 0, TEST
    return part


def probabilities_everywhere(table):
    """Probabilities of clips that a member did not judge as well."""
    return np.nan_to_num(table.probabilities, nan=0.125)


def replaced(name, old, new):
    """A field with one value in the place of another."""
    return lambda table: np.array([new if v == old else v for v in getattr(table, name)])


def drop_first_training_clip(folds):
    """Fold 2 trains on one clip less."""
    folds['folds'][2]['train'].pop(0)


@pytest.mark.parametrize(
    'damage, message',
    [
        (edit('dataset.json', lambda d: d.update(simulated=False)),
         r'its dataset is ckplus, not ckplus \(simulated\)'),
        (edit('dataset.json', lambda d: d.update(name='oulu')), 'its dataset is oulu'),
        (change_table(classes=lambda t: ('neutral', *t.classes[1:])),
         'classes that only one of them has: anger, neutral'),
        (change_table(label=lambda t: np.where(np.arange(327) == 4, 6 - t.label, t.label)),
         'the label of 1 test clips, the first is'),
        (change_table(subject=replaced('subject', 'S003', 'S004')),
         r'the subject of \d+ test clips, the first is S003/\d+: "S004", not "S003"'),
        (change_table(clip_id=replaced('clip_id', 'S000/000', 'S000/999')),
         'not in the same fold of both, the first is S000/000'),
        (change_table(part=first_test_clip_in_another_fold,
                      probabilities=probabilities_everywhere),
         '2 test clips are not in the same fold of both'),
        (edit('folds.json', drop_first_training_clip),
         'training and validation of fold 2 differ by 1 clips'),
    ],
)  # fmt: skip
def test_runs_that_cannot_be_paired_are_refused(finished_run, other_run, tmp_path, damage, message):
    run = tmp_path / 'run'
    shutil.copytree(other_run, run)
    damage(run)
    with pytest.raises(UserError, match=message) as error:
        call(finished_run, run, f'--out={tmp_path / "out"}')
    assert str(run) in str(error.value) and str(finished_run) in str(error.value)
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_which_training_clips_choose_the_epoch_may_differ(finished_run, other_run, tmp_path):
    run = tmp_path / 'run'
    shutil.copytree(other_run, run)
    edit('folds.json', lambda f: f['folds'][0]['train'].append(f['folds'][0]['validation'].pop()))(
        run
    )
    assert compare(finished_run, run, draws=FEW)['folds'][0]['train_clips'] == 327 - 34


def test_commands_that_ask_for_what_is_not_there(finished_run, other_run, tmp_path):
    with pytest.raises(UserError, match='given twice'):
        call(finished_run, other_run, finished_run)
    with pytest.raises(UserError, match='--rule is for comparing'):
        call(finished_run, '--rule=last')
    with pytest.raises(UserError, match='rule'):
        call(finished_run, other_run, '--rule=best')
    with pytest.raises(UserError, match='is a run, a study or a model folder, whose own report'):
        call(finished_run, other_run, f'--out={other_run}')
    with pytest.raises(UserError, match='there is no run at'):
        call(finished_run, tmp_path / 'none')
    with pytest.raises(UserError, match='27 runs to compare: give at most 26'):
        comparison.compute([rundir.load(finished_run)] * 27)


def test_a_rule_that_a_run_lacks_is_an_error(make_predictions, make_run, finished_run, tmp_path):
    table = make_predictions(validation=False)
    run = make_run(tmp_path / 'run', table, simulated=True)
    edit('folds.json', lambda f: f.update(json.loads((finished_run / 'folds.json').read_text())))(
        run
    )
    with pytest.raises(UserError, match='has no rule val_best: it has last, test_best_fold'):
        call(finished_run, run, '--rule=val_best')
    # Without a wish it is the honest rule that both have.
    assert compare(finished_run, run, draws=FEW)['rule'] == 'last'


@pytest.fixture(scope='module')
def three(tmp_path_factory, finished_run, other_run):
    """The command on three runs under an optimistic rule: its page's folder, and what it said."""
    folder = tmp_path_factory.mktemp('three')
    third = folder / 'third'
    shutil.copytree(other_run, third)
    change_table(probabilities=lambda t: t.probabilities[..., ::-1])(third)
    edit('folds.json', lambda f: f.update(stamps=['subjects shared']))(third)
    edit('config.json', lambda c: c['model'].update(activation='mish', depth=3))(third)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        lines = []
        patch.setattr('builtins.print', lambda text: lines.append(text))
        call(finished_run, other_run, third, '--rule=test_best_fold')
    return folder / 'comparison', '\n'.join(lines)


def test_three_runs_have_three_pairs_with_holms_correction(three):
    folder, said = three
    with (folder / 'figures' / 'tests.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['pair'] for row in rows[::4]] == ['A − B', 'A − C', 'B − C']
    of_test = [row for row in rows if row['test'] == 'McNemar, exact']
    p = sorted((float(row['two_sided']), float(row['holm'])) for row in of_test)
    assert p[0][1] == pytest.approx(3 * p[0][0], rel=1e-4)
    assert p[2][1] == pytest.approx(max(p[2][0], p[1][1]), rel=1e-4)
    assert said.count('Corrected t-test') == 3
    assert max(map(len, said.splitlines()[2:4])) <= 79


def test_stamps_of_every_run_and_of_the_rule_are_on_everything(three):
    folder, said = three
    stamps = ['SIMULATED FACES', 'subjects shared', comparison.OPTIMISTIC]
    text = (folder / 'report.html').read_text(encoding='utf-8')
    assert f'role="note">{" · ".join(stamps)}</p>' in text
    assert said.startswith(''.join(f'*** {stamp} ***\n' for stamp in stamps))
    assert len(list((folder / 'figures').iterdir())) == 3 * 2 + 5
    for path in (folder / 'figures').glob('*.csv'):
        with path.open(newline='', encoding='utf-8') as file:
            assert {row['stamps'] for row in csv.DictReader(file)} == {'; '.join(stamps)}
    for path in (folder / 'figures').glob('*.svg'):
        assert ' · '.join(stamps) in path.read_text(encoding='utf-8')


def test_the_page_says_who_is_who_what_was_asked_and_what_was_set(three):
    folder, said = three
    text = (folder / 'report.html').read_text(encoding='utf-8')
    # One config three times: the folders tell the runs apart.
    for name in ('A · ckplus_c3d-0123abcd', 'B · ckplus_c3d-4567cdef', 'C · third'):
        assert name in text and name.replace(' · ', '  ') in said
    assert comparison.DIRECTION.split('(')[0] in text
    assert 'Seeds are averaged, not drawn' in text and 'unless runs have several' not in text
    with (folder / 'figures' / 'settings.csv').open(newline='') as file:
        rows = {row['setting']: (row['A'], row['B'], row['C']) for row in csv.DictReader(file)}
    assert rows == {
        'model.activation': ('relu', 'relu', 'mish'),
        'model.depth': ('–', '–', '3'),
    }
    for address in re.findall(r'(?:src|href)="([^"]*)"', text):
        if address.startswith('figures/'):
            assert (folder / address).is_file()
        else:
            assert address.startswith(('#', 'data:'))
    assert len(set(re.findall(r' id="([^"]*)"', text))) == len(re.findall(r' id="([^"]*)"', text))
