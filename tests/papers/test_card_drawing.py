"""A card as text, as a section and as a page, with and without runs beside it."""

import csv
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

from fer_jax import papers
from fer_jax.errors import UserError
from fer_jax.papers import drawing
from tests.papers.conftest import resolved, synthetic

FERPLUS = resolved('configs/fer2013_stn.py:ferplus7')
BALANCED = resolved('configs/ckplus_c3d.py:balanced')
LOSO = resolved('configs/ckplus_c3d.py:loso')


class Structure(HTMLParser):
    """Checks that elements close in order, and keeps the text."""

    VOID = {'meta', 'link', 'img', 'br'}

    def __init__(self, html: str):
        super().__init__()
        self.open, self.text = [], ''
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize('name', papers.listed())
def test_every_card_draws_as_text_and_html(name):
    card = papers.load(name)
    text = papers.text(card)
    assert max(map(len, text.splitlines())) <= drawing.WIDTH
    words = ' '.join(text.split())
    page = ' '.join(Structure(papers.section(card)).text.split())
    for cells in card.rows.values():
        for cell in cells:
            assert cell in words and cell in page
    for ours in card.ours:
        state = card.state(ours)
        assert state in words and state in page
        assert ours.config in words and ours.config in page


def test_cells_without_a_run_say_so():
    lines = papers.text(papers.load('haddad2020:table4')).splitlines()
    rows = {line.split('  ')[0]: number for number, line in enumerate(lines) if line[:1] == 'c'}
    assert set(rows) == {'c1', 'c2', 'c3'}
    text = '\n'.join(lines)
    assert '  [1]  needs the licensed release\n  [2]  needs the licensed release\nc2' in text
    assert '  [4]  needs the licensed release' in text  # c3, which starts from another run
    assert 'fer_jax.sweep' in papers.text(papers.load('haddad2020:table2'))
    fer2013 = papers.text(papers.load('minaee2019:table1'))
    assert '[1]  not run' in fer2013 and 'licensed' not in fer2013


def test_a_run_stands_beside_the_row_it_answers(make_run):
    run = papers.read(make_run(FERPLUS, name='fer2013_stn_ferplus7'))
    card = papers.load('minaee2019:table1')
    accuracy = f'{100 * run.results["last"]["pooled_accuracy"]:.2f}'
    lines = drawing.lines(card, [run])
    assert [line.name for line in lines[-4:]] == ['The proposed algorithm', '[1]', '[2]', '[3]']
    assert lines[-3].cells == (accuracy,) and lines[-3].whose == 'fer2013_stn_ferplus7, last epoch'
    assert [line.whose for line in lines[-2:]] == ['not run', 'not run']
    text = papers.text(card, [run])
    said = text.splitlines()
    (at,) = [number for number, line in enumerate(said) if line.split() == ['[1]', accuracy]]
    assert said[at].rindex(accuracy) + len(accuracy) == said[at - 1].rindex('70.02%') + 6
    assert said[at + 1] == '      fer2013_stn_ferplus7, last epoch'
    assert 'fer2013_stn_ferplus7: python -m fer_jax.main' in text
    assert 'SIMULATED' not in text
    # It answers no card of another network.
    other = papers.load('haddad2020:table4')
    assert drawing.lines(other, [run]) == drawing.lines(other)


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'train': {**FERPLUS['train'], 'epochs': 40}}, 'train.epochs=40'),
        # What an ablation changes, no word of its command names.
        ({'model': {**FERPLUS['model'], 'transform': 'none'}}, 'model.transform=none'),
    ],
)
def test_what_a_run_changed_of_its_config_is_said(make_run, changes, said):
    run = papers.read(make_run({**FERPLUS, **changes}))
    lines = drawing.lines(papers.load('minaee2019:table1'), [run])
    assert f'run, last epoch · changed: {said}' in [line.whose for line in lines]


@pytest.mark.parametrize(
    'variant, said', [('', ''), ('simulated', ' · changed: variant simulated')]
)
def test_a_small_run_on_simulated_faces_says_so_and_a_full_one_has_no_changes(
    make_run, variant, said
):
    config = resolved(f'configs/ckplus_c3d.py:{variant}')
    simulated = {'subjects': 118, 'seed': 0}
    run = papers.read(make_run({**config, 'simulated': simulated}, name='drawn'))
    whose = {line.whose for line in drawing.lines(papers.load('haddad2020:table7'), [run])}
    assert f'drawn, last epoch{said}' in whose


def test_folds_stand_under_our_rule_and_the_papers_and_simulated_ones_are_stamped(make_run):
    run = papers.read(make_run(BALANCED, name='ckplus', stamps=('SIMULATED FACES',)))
    card = papers.load('haddad2020:table4')
    lines = [line for line in drawing.lines(card, [run]) if line.name == '[1]']
    assert len(lines) == 2
    for line, rule in zip(lines, ('last', 'test_best_fold'), strict=True):
        values = run.results[rule]
        expected = [f'{100 * fold["accuracy"]:.1f}' for fold in values['folds']]
        assert list(line.cells) == [*expected, f'{100 * values["fold_accuracy"]:.2f}', '', '']
        assert 'SIMULATED FACES' in line.whose
        assert ('(optimistic)' in line.whose) == (rule != 'last')
    text = papers.text(card, [run])
    assert text.startswith('*** SIMULATED FACES ***')
    assert max(map(len, text.splitlines())) <= drawing.WIDTH
    assert text.count('needs the licensed release') == 3  # idstep's, c2's and c3's
    assert 'SIMULATED FACES' in papers.section(card, [run])


def test_p_values_are_those_of_our_own_runs(make_run):
    """Row c2's folds against c1's, under each rule; nothing where the folds are others."""
    base = papers.read(make_run(BALANCED, name='c1', clips=140))
    config = resolved('configs/ckplus_c3d.py:balanced,table3')
    run = papers.read(make_run(config, name='c2', clips=140, noise=3.0))
    card = papers.load('haddad2020:table4')
    lines = [line for line in drawing.lines(card, [base, run]) if line.name == '[3]']
    for line, rule in zip(lines, ('last', 'test_best_fold'), strict=True):
        folds = [[f['accuracy'] for f in r.results[rule]['folds']] for r in (base, run)]
        p = stats.ttest_rel(*folds, alternative='greater').pvalue
        assert line.cells[-2] == f'{p:.5f}' and 0 < p < 1
        assert line.cells[-1] == ('significant' if p < 0.05 else 'not significant')
    assert [line.cells[-2:] for line in drawing.lines(card, [base]) if line.name == '[1]'] == [
        ('', '')
    ] * 2  # c1 is what the others are compared with
    alone = [line for line in drawing.lines(card, [run]) if line.name == '[3]']
    assert all(line.cells[-2:] == ('', '') for line in alone)
    assert run.p_value(base, 'last') is not None
    config['data']['labels'] = 'other'
    renamed = papers.read(make_run(config, name='renamed', clips=140, noise=3.0))
    assert renamed.p_value(base, 'last') is None
    other = papers.read(make_run(resolved('configs/ckplus_c3d.py'), name='idstep'))
    lines = [line for line in drawing.lines(card, [other, run]) if line.name == '[3]']
    assert all(line.cells[-2:] == ('', '') for line in lines)


def test_both_readings_of_loso_come_from_one_run(make_run):
    run = papers.read(make_run(LOSO, folds=70))
    lines = [line for line in drawing.lines(papers.load('haddad2020:table6'), [run]) if line.ours]
    shown = [
        (run.results[rule][metric], line.cells[0])
        for metric, pair in (('subject_accuracy', lines[:2]), ('pooled_accuracy', lines[2:]))
        for rule, line in zip(('last', 'test_best_fold'), pair, strict=True)
    ]
    assert all(f'{100 * value:.2f}' == cell for value, cell in shown)


def test_confusions_are_matched_by_class_and_are_means_over_seeds(make_run):
    path = make_run(FERPLUS, seeds=2, folds=1)
    file = path / 'results.json'
    values = json.loads(file.read_text())
    for entry in values.values():  # another order of the classes, as FER2013 has it
        order = [0, 1, 2, 3, 5, 6, 4]
        entry['classes'] = [entry['classes'][i] for i in order]
        entry['confusion'] = [[entry['confusion'][i][j] for j in order] for i in order]
    original = json.loads(file.read_text())['last']['confusion']
    file.write_text(json.dumps(values))
    card = papers.load('minaee2019:figure8')
    lines = [line for line in drawing.lines(card, [papers.read(path)]) if line.cells[0]]
    ours = [line.cells for line in lines if line.ours]
    assert ours == [tuple(f'{count / 2:.1f}' for count in row) for row in original]
    assert sum(map(sum, original)) == 280


def test_a_figure_without_printed_numbers_names_the_run(make_run):
    run = papers.read(make_run(LOSO, folds=70))
    text = papers.text(papers.load('haddad2020:figure5'), [run])
    assert 'run, last epoch' in text and 'needs the licensed' not in text


def test_a_page_and_its_table_are_written(make_run, tmp_path):
    run = papers.read(make_run(BALANCED, name='ckplus', stamps=('SIMULATED FACES',)))
    card = papers.load('haddad2020:table4')
    path = papers.write_page(tmp_path / 'out', card, [run])
    assert path == tmp_path / 'out' / 'haddad2020-table4.html'
    html = path.read_text(encoding='utf-8')
    Structure(html)
    assert 'href="figures/haddad2020-table4.csv"' in html and '<title>haddad2020:table4' in html
    assert html.count('class="strong"') == len(card.rows)
    with (tmp_path / 'out' / 'figures' / 'haddad2020-table4.csv').open(encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    printed = {row['row']: row for row in rows if row['whose'] == 'paper'}
    for name, cells in card.rows.items():
        assert tuple(printed[name][column] for column in card.columns) == cells
    assert {row['stamps'] for row in rows} == {'SIMULATED FACES'}


def test_a_run_that_is_none_is_refused(make_run, tmp_path):
    with pytest.raises(UserError, match='there is no run at'):
        papers.read(tmp_path / 'nowhere')
    run = make_run(FERPLUS)
    (run / 'DONE').unlink()
    with pytest.raises(UserError, match='has not finished'):
        papers.read(run)
    (run / 'DONE').write_text('')
    (run / 'results.json').write_text('{"last": {}}')
    with pytest.raises(UserError, match='names no headline'):
        papers.read(run)
    (run / 'results.json').unlink()
    with pytest.raises(UserError, match='results.json is missing'):
        papers.read(run)


def test_the_loss_column_is_the_squared_error_of_probabilities(make_run):
    config = {**resolved('configs/jaffe_cnn_rnn.py'), 'init': {'run': 'a'}}
    folder = make_run(config)
    (folder / 'dataset.json').write_text('{"starts_from": {"config": "jaffe_cnn_rnn"}}')
    run = papers.read(folder)
    table = synthetic()
    rows = table.at(np.full(table.members, 1))
    true = np.eye(7)[rows.label]
    expected = 100 * np.mean((rows.probabilities - true) ** 2)
    (line,) = [
        x for x in drawing.lines(papers.load('jain2018:table2'), [run]) if x.whose[:3] == 'run'
    ]
    assert line.cells[1] == f'{expected:.2f}'
    for name in ('table2', 'table3'):
        assert papers.load(f'jain2018:{name}').metrics['Loss'] == 'squared_error'


def test_the_training_column_is_the_accuracy_at_the_chosen_epoch(make_run):
    folder = make_run(resolved('configs/afew_activity.py'), folds=1)
    chosen = json.loads((folder / 'results.json').read_text())['last']['epochs']
    card = papers.load('kahou2015:table1')

    def shown():
        run = papers.read(folder)
        (line,) = [x for x in drawing.lines(card, [run]) if x.whose[:3] == 'run']
        return line.cells

    assert shown()[0] == ''  # a run without its file of epochs
    table = 'member,fold,seed,epoch,train_accuracy\n0,0,0,1,0.5\n0,0,0,2,0.983\n'
    (folder / 'metrics.csv').write_text(table)
    assert chosen == [2] and shown()[0] == '98.30' and shown()[1]
    (folder / 'metrics.csv').write_text(table.replace('0.983', 'x'))
    with pytest.raises(UserError, match='metrics.csv is damaged'):
        shown()
