"""Facts that a simulated release knows and does not tell."""

import pytest

from fer_jax import simulation
from fer_jax.data import datasets, preparation, prepared
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError
from fer_jax.simulation import release
from fer_jax.simulation.releases import afew


def quiet(_line):
    """Takes the lines of a summary."""


def release_and_plan(out, monkeypatch, **options):
    """A simulated AFEW without pictures, and the clips that it was laid out from."""
    plans = []
    write = afew.write

    def noted(folder, plan, seed, run):
        plans.append(plan)
        write(folder, plan, seed, run)

    monkeypatch.setattr(afew, 'write', noted)
    simulation.write_release('afew', out, rendered=0, **options)
    return out, plans[0]


@pytest.mark.parametrize('options', [{'subjects': 12, 'seed': 3}, {'subjects': None, 'seed': 0}])
def test_hidden_labels_are_those_that_were_drawn(tmp_path, monkeypatch, options):
    folder, plan = release_and_plan(tmp_path / 'afew', monkeypatch, **options)
    data = tmp_path / 'data'
    preparation.prepare('afew', folder, data, faces=datasets.SCENE, report=quiet)
    found = prepared.describe('afew', data, datasets.SCENE)
    hidden = simulation.hidden_labels(found['simulated'])
    drawn = {(clip.part, clip.name): clip.folder for clip in plan}
    told = {}
    for record in prepared.records('afew', data, datasets.SCENE):
        name = record['clip_id'].split('/')[1]
        folder_of = {'train': 'Train_AFEW', 'validation': 'Val_AFEW', 'test': 'Test_AFEW'}
        label = drawn.pop((folder_of[record['split']], name))
        if record['split'] == 'test':
            assert record['label'] == ''
            assert hidden.pop(record['clip_id']) == afew.EMOTIONS[label]
        else:
            told[record['clip_id']] = record['label']
            assert record['label'] == afew.EMOTIONS[label]
    assert not hidden and not drawn and len(told) > 30
    assert set(told.values()) == set(found['label_sets']['afew'])


def test_the_note_of_the_release_tells_them(tmp_path):
    """The same without a preparation, whatever share of the films is drawn."""
    folder = simulation.write_release('afew', tmp_path / 'afew', subjects=6, seed=1, rendered=0)
    hidden = simulation.hidden_labels(releases.simulated(folder))
    films = (folder / 'Test_AFEW' / 'Test_vid_Distribute').glob('*.avi')
    assert set(hidden) == {f'test/{film.stem}' for film in films}
    assert hidden == afew.hidden_labels(afew.plan(6, 1, rendered=1))
    other = simulation.hidden_labels(releases.simulated(folder) | {'seed': 2})
    assert set(other) != set(hidden)


@pytest.mark.parametrize('name', sorted(set(release.DATASETS) - {'afew'}))
def test_other_releases_hide_nothing(name):
    note = {'dataset': name, 'subjects': 2, 'seed': 0, 'generator_version': 1}
    assert simulation.hidden_labels(note) == {}


def test_another_version_of_the_drawing_is_refused():
    note = {'dataset': 'afew', 'subjects': 6, 'seed': 0, 'generator_version': 1}
    message = 'afew was simulated by version 1 of the drawing, this is version .: simulate and prep'
    with pytest.raises(UserError, match=message):
        simulation.hidden_labels(note)
