"""The studies as they are typed: a tiny one of each, gone on with, and refused."""

import csv
import json
import shutil

import numpy as np
import pytest

from fer_jax import cli, report
from fer_jax.errors import UserError
from fer_jax.evaluation import bootstrap, predictions
from fer_jax.experiment import run as experiment
from fer_jax.studies import __main__ as studies
from fer_jax.studies import adding, order, training

TINY = adding.AddingDesign(length=5, units=4, batch_size=4, steps=20, every=10, tested=50)
FEW = order.OrderDesign(subjects=8, folds=2, frames=3, size=32, epochs=1, batch_size=16)


@pytest.fixture(scope='module')
def added(tmp_path_factory):
    """A folder of the adding study with one seed, then two, and when its networks were written."""
    out = tmp_path_factory.mktemp('studies') / 'adding'
    training.study_adding(TINY, 1, out)
    begun = {path: path.stat().st_mtime_ns for path in (out / 'networks').iterdir()}
    training.study_adding(TINY, 2, out)
    return out, begun


def test_adding_keeps_what_was_trained(added):
    out, begun = added
    assert sorted(path.name for path in begun) == ['irnn-0.npy', 'tanh-0.npy']
    assert {path: path.stat().st_mtime_ns for path in begun} == begun
    values = json.loads((out / 'results.json').read_text())
    for name in adding.NETWORKS:
        errors = [np.load(out / 'networks' / f'{name}-{seed}.npy') for seed in (0, 1)]
        np.testing.assert_array_equal(values['networks'][name]['errors'], errors)
        assert not np.array_equal(*errors)


def test_adding_draws_what_it_saves(added):
    out, _ = added
    text = (out / 'report.html').read_text()
    assert 'The adding problem' in text and 'median of 2' in text and 'python' in text
    figures = {path.name for path in (out / 'figures').iterdir()}
    assert figures == {'adding_problem.svg', 'adding_problem.csv', 'networks.csv'}
    with (out / 'figures' / 'adding_problem.csv').open() as file:
        assert len(list(csv.DictReader(file))) == 2 * 2 * 3


def test_another_study_is_refused(added, tmp_path):
    out, _ = added
    longer = adding.AddingDesign(**(vars(TINY) | {'length': 6}))
    with pytest.raises(UserError, match='study.length is 6, there 5; give another --out'):
        training.study_adding(longer, 1, out)
    with pytest.raises(UserError, match='is another study, it holds adding; give another --out'):
        training.study_order(FEW, 1, out, tmp_path)


@pytest.mark.parametrize('study', ['added', 'ordered'])
def test_the_report_command_draws_it_again(study, request, tmp_path, capsys):
    out, _ = request.getfixturevalue(study)
    cli.call(report.main, report.define, [str(out), f'--out={tmp_path / "again"}'])
    page = tmp_path / 'again' / 'report.html'
    assert page.read_text() == (out / 'report.html').read_text()
    assert str(page) in capsys.readouterr().out
    for path in (out / 'figures').iterdir():
        assert (tmp_path / 'again' / 'figures' / path.name).read_bytes() == path.read_bytes()


def without(key):
    """Makes what takes a key out of a JSON file."""

    def change(path):
        values = json.loads(path.read_text())
        del values[key]
        path.write_text(json.dumps(values))

    return change


DAMAGE = [
    ('study.json', without('length')),
    ('results.json', without('networks')),
    ('results.json', lambda path: path.write_text('{}')),
    ('results.json', lambda path: path.write_text('[')),
    ('versions.json', without('command')),
    ('versions.json', lambda path: path.unlink()),
    ('checksums.json', lambda path: path.write_text('{}')),
    ('checksums.json', lambda path: path.write_text('[]')),
    ('checksums.json', lambda path: path.unlink()),
]


@pytest.mark.parametrize(('name', 'change'), DAMAGE)
def test_a_study_that_is_not_as_it_was_written_is_refused(added, tmp_path, name, change):
    out = shutil.copytree(added[0], tmp_path / 'adding')
    change(out / name)
    with pytest.raises(UserError, match=f'{out}.*: start the study again') as caught:
        cli.call(report.main, report.define, [str(out)])
    assert name in str(caught.value) and '\n' not in str(caught.value)


def test_started_again_a_damaged_study_is_whole(added, tmp_path):
    out = shutil.copytree(added[0], tmp_path / 'adding')
    (out / 'results.json').write_text('{}')
    training.study_adding(TINY, 2, out)
    assert (out / 'results.json').read_bytes() == (added[0] / 'results.json').read_bytes()


@pytest.fixture(scope='module')
def ordered(tmp_path_factory):
    """A folder of one network's study, started again when it was finished; what it trained then."""
    place = tmp_path_factory.mktemp('studies')
    out, trained = place / 'order', []
    narrow = order.NETWORKS['convlstm'] | {'width': 0.0625}
    patch = pytest.MonkeyPatch()
    patch.setattr(order, 'NETWORKS', {'convlstm': narrow})
    training.study_order(FEW, 1, out, place / 'data')
    patch.setattr(experiment, 'build', lambda *given: trained.append(given))
    training.study_order(FEW, 1, out, place / 'data')
    patch.undo()
    return out, trained


def test_order_is_trained_once(ordered):
    _, trained = ordered
    assert not trained


def test_order_is_what_its_runs_say(ordered):
    out, _ = ordered
    values = json.loads((out / 'results.json').read_text())
    assert (values['folds'], values['seeds'], values['subjects']) == (2, 1, 8)
    assert list(values['networks']) == ['convlstm']
    for network, found in values['networks'].items():
        inside, tables = {}, {}
        for name, entry in found['orders'].items():
            folder = out / network / name
            assert json.loads((folder / 'config.json').read_text())['data']['order'] == name
            tables[name] = said = predictions.load(folder / 'probabilities.npz')
            right = said.probabilities[:, -1].argmax(-1) == said.label
            tested = said.part == predictions.TEST
            inside[name] = (right & tested).sum(1) / tested.sum(1)
            np.testing.assert_allclose(entry['cells'][0], inside[name])
            assert entry['accuracy'] == pytest.approx((right & tested).sum() / tested.sum())
        kept, *others = (table.probabilities for table in tables.values())
        assert not any(np.array_equal(kept, other, equal_nan=True) for other in others)
        pairs = [(pair['first'], pair['second']) for pair in found['pairs']]
        assert pairs == [('kept', 'shuffled'), ('kept', 'apex'), ('shuffled', 'apex')]
        for pair in found['pairs']:
            each = inside[pair['first']] - inside[pair['second']]
            np.testing.assert_allclose(pair['cells'][0], each, atol=1e-8)
            assert (pair['better'], pair['worse']) == ((each > 0).sum(), (each < 0).sum())
            low, high = pair['interval']
            assert low <= pair['difference'] <= high


def test_order_is_stamped_everywhere(ordered):
    out, _ = ordered
    assert 'SIMULATED FACES' in (out / 'report.html').read_text()
    tables = sorted((out / 'figures').glob('*.csv'))
    names = ['accuracies', 'differences', 'time_differences', 'time_matters']
    assert [path.stem for path in tables] == names
    for path in tables:
        with path.open() as file:
            assert {row['stamps'] for row in csv.DictReader(file)} == {'SIMULATED FACES'}
    assert (out / 'convlstm' / 'report.html').is_file()
    for path in (out / 'figures').glob('*.svg'):
        assert 'SIMULATED FACES' in path.read_text()


@pytest.mark.parametrize(
    'arguments, message',
    [
        ([], 'no study is named: python -m fer_jax.studies adding|order|leakage'),
        (['space'], "'space' is unknown: python -m fer_jax.studies adding|order|leakage"),
        (['adding', 'runs/a'], "'runs/a' is no flag"),
        (['adding', '--seeds=0'], '--seeds is 0: give at least 1'),
        (['leakage', '--seeds=0'], '--seeds is 0: give at least 1'),
        (['adding', '--seeds=many'], 'flag --seeds=many'),
        (['adding', '--subjects=40'], '--subjects is not for adding'),
        (['order', '--subjects=7'], '--subjects is 7: give at least 8'),
        (['leakage', '--subjects=5'], '--subjects is 5: give at least 30'),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message, tmp_path):
    with pytest.raises(UserError) as caught:
        cli.call(studies.main, studies.define, [f'--out={tmp_path / "new"}', *arguments])
    assert message in str(caught.value) and '\n' not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_order_asks_for_as_many_people_as_an_interval_needs():
    assert studies.FEWEST['order'] == bootstrap.FEWEST_UNITS


@pytest.mark.parametrize('study', ['adding', 'order', 'leakage'])
def test_a_folder_of_something_else_is_left_alone(tmp_path, study):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(UserError, match='is no study and not empty; give another --out'):
        cli.call(studies.main, studies.define, [study, f'--out={tmp_path}'])
    assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']
