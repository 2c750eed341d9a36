"""The page of an EmotiW run: the paper's numbers beside ours, stamped, whole; and its command."""

import dataclasses
import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from fer_jax import cli, report
from fer_jax.errors import UserError
from fer_jax.kahou2015 import outcome, page


@pytest.fixture(scope='module')
def folder(run, tmp_path_factory):
    """A run with all that its page is drawn from."""
    folder = shutil.copytree(run[0], tmp_path_factory.mktemp('page') / 'run')
    frames = {'run': '', 'training': {'name': 'fer2013_cnn'}}
    dataset = {'name': 'afew', 'simulated': True, 'faces': 'faces-release', 'fingerprint': 'abc'}
    for name, value in (
        ('config', {'name': 'afew_emotiw', 'frames': frames}),
        ('versions', {'command': 'python -m fer_jax.main --config=configs/afew_emotiw.py'}),
        ('dataset', dataset),
        ('kind', {'kind': page.KIND}),
    ):
        (folder / f'{name}.json').write_text(json.dumps(value))
    return folder


def test_the_page_has_both_tables_and_every_figure(folder):
    found = outcome.load(folder)
    text = page.write(found, folder).read_text()
    # Table 1 and 2 of the paper and what stands in its text (kahou2015).
    for printed in ('98.30', '26.60', '33.20', '35.00', '39.60', '23.70', '43.70'):
        assert f'>{printed}<' in text, printed
    for printed in ('86.22', '54.72', '44.34', '50.46', '52.88', '49.91'):
        assert f'>{printed}<' in text, printed
    for name in ('activity', 'audio', 'aggregated', 'rnn', 'fusion', 'submission'):
        assert f'id="figure-confusion_{name}"' in text
    for name in ('decision_weights', 'decision_search', 'fusion_curves', 'subsets'):
        assert f'id="figure-{name}"' in text
    assert text.count('SIMULATED FACES') > 10
    accuracy = found.values['models']['rnn']['validation']['accuracy']
    assert f'>{100 * accuracy:.2f}<' in text
    assert 'validation/000000090' in text  # of which two models are silent
    figures = {path.name for path in (folder / 'figures').iterdir()}
    assert {'models.csv', 'submissions.csv', 'fused.csv', 'silent.csv', 'subsets.csv'} <= figures
    assert len(re.findall('<svg', text)) == sum(name.endswith('.svg') for name in figures)


@pytest.mark.parametrize(
    ('part', 'classes', 'said'),
    [
        ('test', None, 'submissions/ has the predictions in the challenge'),
        ('train', None, 'The data have no test part: no submissions are written.'),
        ('test', ('joy',), "no submissions are written: the challenge has no class 'joy'"),
    ],
)
def test_the_page_promises_submissions_where_they_are_written(folder, part, classes, said):
    table = outcome.load(folder).table
    split = np.where(table.split == 'test', part, table.split)
    table = dataclasses.replace(table, split=split, classes=classes or table.classes)
    values = {'submissions': {1: {'test': None}}}
    assert said in page._of_test_part(SimpleNamespace(table=table, values=values))


def test_the_report_command_draws_it_again(folder, tmp_path, capsys):
    before = (folder / 'report.html').read_text()
    cli.call(report.main, report.define, [str(folder), f'--out={tmp_path / "again"}'])
    assert (tmp_path / 'again' / 'report.html').read_text() == before
    assert 'Aggregated CNN' in capsys.readouterr().out


def test_a_card_points_to_the_page_instead(folder, tmp_path):
    finished = shutil.copytree(folder, tmp_path / 'run')
    (finished / 'DONE').touch()
    with pytest.raises(UserError, match='no run of one model, it holds kahou2015: its own report'):
        cli.call(report.main, report.define, ['--card=kahou2015:table2', str(finished)])


def test_an_unfinished_run_says_what_is_missing(folder, tmp_path):
    unfinished = shutil.copytree(folder, tmp_path / 'run')
    outcome.place(unfinished, 'submission-4').unlink()
    with pytest.raises(UserError, match=r'submission-4\.npz is missing: delete it and DONE'):
        cli.call(report.main, report.define, [str(unfinished)])


@pytest.mark.parametrize(
    ('name', 'values', 'message'),
    [
        ('config', {'frames': {'run': 'runs/a'}}, 'config.json lacks name'),
        ('config', {'name': 'a', 'frames': []}, "config.json: 'frames' is no dict"),
        ('config', {'name': 'a', 'frames': {}}, "config.json: 'frames' lacks run"),
        ('config', {'name': 'a', 'frames': {'run': '', 'training': 3}}, "'frames' lacks run"),
        ('versions', {'jax': '1'}, 'versions.json lacks command'),
        ('dataset', {'name': 'afew', 'simulated': 1}, 'dataset.json lacks faces, fingerprint'),
    ],
)
def test_files_that_lack_what_the_page_shows_are_named(folder, tmp_path, name, values, message):
    damaged = shutil.copytree(folder, tmp_path / 'run')
    (damaged / f'{name}.json').write_text(json.dumps(values))
    with pytest.raises(UserError, match=message):
        cli.call(report.main, report.define, [str(damaged)])
