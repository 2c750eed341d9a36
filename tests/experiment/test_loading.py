"""The data of a config: simulated and prepared where they are not there yet."""

import functools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fer_jax import simulation
from fer_jax.config import keys, load_config
from fer_jax.data import datasets, preparation, prepared
from fer_jax.errors import UserError
from fer_jax.experiment.clips import ClipSource, Simulated
from fer_jax.experiment.members import Data
from fer_jax.experiment.sections import Sections
from fer_jax.simulation.releases import afew


@pytest.fixture
def done(monkeypatch) -> list[str]:
    """Lists what was drawn and prepared, in turn; AFEW's films are laid out only."""
    monkeypatch.setattr(afew, 'plan', functools.partial(afew.plan, rendered=0))
    calls = []
    write, prepare = simulation.write_release, preparation.prepare

    def noted_write(name, *arguments, **options):
        calls.append(f'draw {name}')
        return write(name, *arguments, **options)

    def noted_prepare(name, *arguments, faces, **options):
        calls.append(f'prepare {faces}')
        return prepare(name, *arguments, faces=faces, **options)

    monkeypatch.setattr(simulation, 'write_release', noted_write)
    monkeypatch.setattr(preparation, 'prepare', noted_prepare)
    return calls


def source_of(subjects=6, **more):
    simulated = Simulated(subjects=subjects, seed=1)
    data = keys.EXPERIMENT['data'] | {'name': 'afew', 'frames': 2, 'size': 8}
    return ClipSource(**data, simulated=simulated, **more)


def test_one_release_is_drawn_for_the_faces_and_the_scenes(tmp_path, done, capsys):
    folder = source_of().ensure_prepared(tmp_path)
    assert done == ['draw afew', 'prepare ']
    assert not prepared.location('afew', folder, datasets.SCENE).exists()
    assert source_of(scenes=True).ensure_prepared(tmp_path) == folder
    assert done == ['draw afew', 'prepare ', 'prepare scene']
    source_of(scenes=True).ensure_prepared(tmp_path)
    assert len(done) == 3
    scenes = {clip_id for clip_id, _ in prepared.scenes('afew', data_dir=folder)}
    assert scenes == {record['clip_id'] for record in prepared.records('afew', folder)}
    note = prepared.describe('afew', folder, datasets.SCENE)['simulated']
    assert note == prepared.describe('afew', folder)['simulated'] and note['seed'] == 1
    assert 'drawing a simulated afew of 6 people' in capsys.readouterr().out


def test_runs_that_begin_together_draw_their_data_once(tmp_path, monkeypatch):
    calls = []

    def draw(name, release, **_):
        calls.append(f'draw {name}')
        time.sleep(0.5)  # long enough for the other run to come
        release.mkdir(parents=True)
        (release / simulation.STAMP).touch()

    def prepare(name, release, folder, *, faces, **_):
        calls.append(f'prepare {name}')
        prepared.location(name, folder, faces).mkdir(parents=True)

    monkeypatch.setattr(simulation, 'write_release', draw)
    monkeypatch.setattr(preparation, 'prepare', prepare)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(source_of().ensure_prepared, tmp_path) for _ in range(2)]
        assert len({run.result() for run in runs}) == 1
    assert calls == ['draw afew', 'prepare afew']


@pytest.mark.parametrize(
    ('key', 'value'),
    [('frames', 3), ('sampling', 'uniform'), ('order', 'shuffled'), ('stills', True)],
)
def test_what_would_do_nothing_beside_neutral_faces_is_refused(tmp_path, key, value):
    config = load_config('ckplus_stn.py')
    config.data.update({'neutral': True, key: value})
    with pytest.raises(UserError, match=f'data.{key} is .*, and data.neutral takes the first'):
        Data.load(Sections.open(config), tmp_path)


def test_licensed_data_are_left_where_they_are(tmp_path, done):
    assert source_of(subjects=0, scenes=True).ensure_prepared(tmp_path) == tmp_path
    assert not done and not any(tmp_path.iterdir())
