"""The first files of a run: config first, each whole or not there, the rest when taken up again."""

import json

import pytest

from fer_jax import atomic
from fer_jax.config import complete, load_config
from fer_jax.errors import UserError
from fer_jax.experiment import run_files

FOLDS, DATASET = {'folds': [1, 2]}, {'clips': 3}
FILES = ('config.json', 'kind.json', 'versions.json', 'folds.json', 'dataset.json')


@pytest.fixture
def config():
    return complete(load_config('fer2013_stn.py'))


def begin(folder, config):
    """Does what `main` does before it trains."""
    folder = run_files.folder_of(config, str(folder))
    run_files.begin(folder, config, FOLDS, DATASET)


@pytest.mark.parametrize('written', range(len(FILES)))
def test_a_run_killed_while_it_begins_can_be_started_again(config, tmp_path, monkeypatch, written):
    names = []

    def write(path, value):
        names.append(path.name)
        if len(names) > written:
            path.parent.mkdir(exist_ok=True)
            (path.parent / f'.{path.stem}-77.partial{path.suffix}').write_text('{')
            raise SystemExit('killed')
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value))

    with monkeypatch.context() as patched:
        patched.setattr(atomic, 'write_json', write)
        with pytest.raises(SystemExit):
            begin(tmp_path / 'run', config)
    assert names[0] == 'config.json'
    begin(tmp_path / 'run', config)
    assert all((tmp_path / 'run' / name).is_file() for name in FILES)


def test_other_folds_and_other_folders_are_refused(config, tmp_path):
    begin(tmp_path / 'run', config)
    with pytest.raises(UserError, match='folds.json is not what this run would have'):
        run_files.begin(tmp_path / 'run', config, {'folds': [3]}, DATASET)
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'notes' / '.hidden').write_text('mine')
    with pytest.raises(UserError, match='is no run and not empty'):
        begin(tmp_path / 'notes', config)
