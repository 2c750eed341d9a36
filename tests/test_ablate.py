"""Ablations from a config to one table on a small simulated CK+; stopped, resumed, refused."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from fer_jax import ablate, cli
from fer_jax.errors import Interrupted, UserError
from fer_jax.experiment import run as experiment
from fer_jax.experiment import run_files

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')

ROOT = Path(__file__).parents[1]
CONFIG = f"""
import importlib.util
from fer_jax.config import Ablation
spec = importlib.util.spec_from_file_location('published', {str(ROOT / 'configs/ckplus_c3d.py')!r})
published = importlib.util.module_from_spec(spec)
spec.loader.exec_module(published)

def get_config(variant=''):
    config = published.get_config(variant)
    config.update_from_flattened_dict({{
        'simulated.subjects': 8, 'data.frames': 2, 'data.size': 32, 'protocol.k': 2,
        'protocol.fold': 0, 'model.width': 0.03125, 'train.epochs': 1, 'train.batch_size': 16,
    }})
    return config

def get_ablations(config):
    return {{
        'weighted': Ablation('Rare classes count for more.', {{'loss.class_weights': True}}),
        'same': Ablation('As it is.', {{'train.epochs': config.train.epochs}}),
        'typo': Ablation('A key too many.', {{'loss.class_weigths': True}}),
        'kind': Ablation('A wrong value.', {{'train.epochs': 'many'}}),
        'late': Ablation('Wrong for the network only.', {{'model.activation': 'gelu'}}),
    }}
"""


@pytest.fixture(scope='module')
def place(tmp_path_factory, drawn_data):
    """A folder with the config, and a link to the data."""
    folder = tmp_path_factory.mktemp('ablate')
    (folder / 'small.py').write_text(CONFIG)
    (folder / 'data').symlink_to(drawn_data)
    return folder


def call(place, *words, workdir='ablations'):
    """The command in a folder of its own, with errors left to the test."""
    config = f'--config={place / "small.py"}:simulated'
    given = [f'--workdir={place / workdir}', f'--data_dir={place / "data"}', config, *words]
    cli.call(ablate.main, ablate.define, given)


@pytest.fixture(scope='module')
def finished(place):
    """The command stopped when the first run was done, started again, and what it then said."""
    trained = []

    def stop_after_one(config, **options):
        if trained:
            raise Interrupted('asked to stop')
        trained.append(run(config, **options))

    run = experiment.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, 'run', stop_after_one)
        with pytest.raises(Interrupted):
            call(place, '--ablations=weighted,same')
    folder = place / 'ablations'
    assert [path.name for path in folder.iterdir()] == ['base']
    before = (folder / 'base' / 'report.html').stat().st_mtime_ns
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('builtins.print', lambda *words, **options: said.append(str(words[0])))
        call(place, '--ablations=weighted,same')
    assert (folder / 'base' / 'report.html').stat().st_mtime_ns == before
    return folder, '\n'.join(said)


def rows_of(folder):
    """The table's rows by ablation."""
    with (folder / 'figures' / 'ablations.csv').open(newline='', encoding='utf-8') as file:
        return {row['name']: row for row in csv.DictReader(file)}


def test_each_ablation_is_a_run_of_its_own_and_all_are_one_table(finished):
    folder, said = finished
    rows = rows_of(folder)
    assert list(rows) == ['base', 'weighted']
    accuracy = {}
    for name, row in rows.items():
        assert (folder / name / 'DONE').exists() and (folder / name / 'report.html').exists()
        results = json.loads((folder / name / 'results.json').read_text())
        accuracy[name] = results['last']['pooled_accuracy']
        assert float(row['accuracy']) == pytest.approx(accuracy[name], abs=1e-5)
    assert float(rows['weighted']['difference']) == pytest.approx(
        accuracy['weighted'] - accuracy['base'], abs=1e-5
    )
    assert rows['weighted']['changes'] == 'loss.class_weights = True'
    config = json.loads((folder / 'weighted' / 'config.json').read_text())
    assert config['loss']['class_weights'] is True
    one, other = ((folder / name / 'predictions.csv').read_text() for name in rows)
    assert one != other
    assert 'ablation same is the config of base: not trained twice' in said
    assert 'ablation 2 of 2, weighted: Rare classes count for more.' in said
    assert 'SIMULATED' in said and 'reading' not in said
    assert 'Rare classes count for more.' in (folder / 'report.html').read_text(encoding='utf-8')


def test_ablations_may_be_asked_for_one_at_a_time(finished, place):
    folder, _ = finished
    copy = place / 'copy'
    shutil.copytree(folder, copy)
    before = (copy / 'weighted' / 'report.html').stat().st_mtime_ns
    call(place, '--ablations=weighted', workdir='copy')
    assert list(rows_of(copy)) == ['base', 'weighted']
    assert (copy / 'weighted' / 'report.html').stat().st_mtime_ns == before


def test_an_ablation_goes_where_main_with_its_values_would_put_it(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []

    def train(config, *, workdir, data_dir):
        seen.append(workdir)
        raise Interrupted

    monkeypatch.setattr(experiment, 'run', train)
    words = (f'--config={place / "small.py"}:simulated', '--config.train.epochs=2')
    with pytest.raises(Interrupted):
        cli.call(ablate.main, ablate.define, [*words, '--ablations=weighted'])
    fv = cli.parse(cli.define_config, words)
    assert seen == [str(run_files.folder_of(experiment.resolve(fv.config), None))]


@pytest.mark.parametrize(
    'words,message',
    [
        (['--ablations=wieghted'], "unknown ablation 'wieghted': .*small.py has weighted, same"),
        (['--ablations=typo'], "ablation 'typo' changes config.loss.class_weigths, which is not"),
        (['--ablations=kind'], "ablation 'kind' sets config.train.epochs to 'many'"),
        (['--ablations=same'], 'every ablation is the config as it stands'),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_trained(place, tmp_path, words, message):
    with pytest.raises(UserError, match=message) as error:
        call(place, *words, workdir=tmp_path / 'x')
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'x').exists()


def test_a_folder_with_another_page_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, 'run', lambda *given, **options: pytest.fail('it trains'))
    (tmp_path / 'small.py').write_text(CONFIG)
    run = tmp_path / 'run'
    run.mkdir()
    (run / 'kind.json').write_text('{"kind": "run"}')
    (run / 'report.html').write_text('of the run')
    with pytest.raises(UserError, match=f'{run} is a run, .*: give another --workdir'):
        call(tmp_path, '--ablations=weighted', workdir='run')
    assert {path.name for path in run.iterdir()} == {'kind.json', 'report.html'}


def test_a_mistake_that_training_finds_names_the_ablation(finished, place):
    with pytest.raises(UserError, match="ablation 'late': .*relu"):
        call(place, '--ablations=late')
    assert not (finished[0] / 'late').exists()


def test_a_config_without_ablations(place, tmp_path):
    (tmp_path / 'plain.py').write_text(CONFIG.split('def get_ablations')[0])
    with pytest.raises(UserError, match=r'plain.py declares no ablations: write get_ablations'):
        cli.call(ablate.main, ablate.define, [f'--config={tmp_path / "plain.py"}'])
    with pytest.raises(UserError, match='give an experiment'):
        cli.call(ablate.main, ablate.define, [])
