"""Kinds of folders and their pages: every kind can be drawn, and unknown ones are one line."""

import inspect
import json
import pkgutil
import shutil

import pytest

from fer_jax import cli, evaluate, report
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.explain import __main__ as explain
from fer_jax.reports import kinds
from fer_jax.training import transfer


@pytest.mark.parametrize('kind', kinds.PAGES)
def test_every_kind_has_a_page(kind):
    redraw = pkgutil.resolve_name(kinds.PAGES[kind])
    assert list(inspect.signature(redraw).parameters) == ['folder', 'out']


def test_a_folder_that_records_no_kind_is_read_as_a_run(finished_run, tmp_path):
    assert rundir.kind_of(finished_run) is None
    text, page = kinds.redraw(finished_run, str(tmp_path / 'nothing'))
    rundir.write_kind(shutil.copytree(finished_run, tmp_path / 'run'), kinds.RUN)
    assert kinds.redraw(tmp_path / 'run', str(tmp_path / 'recorded'))[0] == text
    assert page == tmp_path / 'nothing' / 'report.html' and page.is_file()


@pytest.mark.parametrize(
    'recorded, message',
    [
        ({'kind': 'os.path'}, "there is no kind 'os.path' of run, kahou2015, sweep, adding, order"),
        ({}, "there is no kind 'None' of run"),
        ([], 'holds no JSON object'),
    ],
)
def test_a_kind_that_there_is_not_is_one_line(tmp_path, recorded, message):
    (tmp_path / rundir.KIND).write_text(json.dumps(recorded))
    with pytest.raises(UserError, match=message) as error:
        cli.call(report.main, report.define, [str(tmp_path)])
    assert '\n' not in str(error.value)


def test_what_is_for_runs_of_one_model_refuses_other_folders(finished_run, tmp_path):
    folder = shutil.copytree(finished_run, tmp_path / 'system')
    rundir.write_kind(folder, 'kahou2015')
    for command, words in (
        (report, [finished_run, folder]),
        (explain, [folder, f'--data_dir={tmp_path}']),
        (evaluate, [folder, '--dataset=fer2013', f'--out={tmp_path / "judged"}']),
    ):
        with pytest.raises(UserError, match='system is no run of one model, it holds kahou2015'):
            cli.call(command.main, command.define, [str(word) for word in words])
    with pytest.raises(UserError, match='system is no run of one model, it holds kahou2015'):
        transfer.Source.open(str(folder))


def test_a_page_replaces_no_other_folder_s(finished_run, tmp_path):
    other = shutil.copytree(finished_run, tmp_path / 'other')
    study = tmp_path / 'study'
    rundir.write_kind(study, 'order')
    for out in (other, study):
        before = sorted(path.name for path in out.iterdir())
        with pytest.raises(UserError, match='a study or a model folder, whose own report lies'):
            cli.call(report.main, report.define, [str(finished_run), f'--out={out}'])
        assert sorted(path.name for path in out.iterdir()) == before
    cli.call(report.main, report.define, [str(other), f'--out={other}'])
    assert (other / 'report.html').is_file()


@pytest.mark.parametrize('kind', ['adding', 'order', 'leakage', 'sweep', 'kahou2015', 'run'])
def test_a_folder_that_has_hardly_begun_says_what_it_lacks(tmp_path, kind):
    rundir.write_kind(tmp_path, kind)
    with pytest.raises(UserError, match='is missing|has not finished') as error:
        cli.call(report.main, report.define, [str(tmp_path)])
    assert '\n' not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == [rundir.KIND]
