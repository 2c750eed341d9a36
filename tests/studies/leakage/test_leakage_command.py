"""The leak laboratory as it is typed; nothing else can reach its leaks."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import flax.linen as nn
import numpy as np
import pytest

from fer_jax import cli, report
from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.studies import leakage
from fer_jax.studies.leakage import design, measurement, outcomes
from fer_jax.training.step import System

ROOT = Path(__file__).parents[3]
SIZES = leakage.LeakageDesign(
    folds=2, copies=2, inner=2, epochs=2, batch_size=16, learning_rates=(1e-2,),
    dropout_rates=(0.0,), reference=0,
)  # fmt: skip


class Linear(nn.Module):
    """One layer, so that networks train in no time."""

    num_classes: int

    @nn.compact
    def __call__(self, frames, *, mask, length, train, dropout_rate):
        return nn.Dense(self.num_classes)(frames.reshape(len(frames), -1))


@pytest.fixture(scope='module')
def people():
    """24 clips of 8 subjects in two classes."""
    rng = np.random.default_rng(0)
    label = np.arange(24) % 2
    frames = rng.integers(0, 100, (24, 2, 8, 8, 1)) + 70 * label[:, None, None, None, None]
    return ClipSet(
        name='people',
        classes=('anger', 'fear'),
        simulated=True,
        frames=frames.astype(np.uint8),
        length=np.full(24, 2, np.int32),
        label=label.astype(np.int32),
        subject=np.array([f'S{i // 3:03}' for i in range(24)]),
        clip_id=np.array([f'clip{i:03}' for i in range(24)]),
        split=np.full(24, ''),
    )


@pytest.fixture(scope='module')
def measured(people, tmp_path_factory):
    """A folder measured with one seed, what it held then, and measured again with two."""
    out = tmp_path_factory.mktemp('laboratory') / 'leaks'
    patch = pytest.MonkeyPatch()
    system = System(Linear(2), {'name': 'adam'}, {'normalize': 'unit', 'channels': 1})
    patch.setattr(design, 'make_system', lambda classes: system)
    leakage.measure(people, 'print', SIZES, 1, out)
    first = json.loads((out / 'results.json').read_text())
    begun = {path: path.stat().st_mtime_ns for path in (out / 'members').glob('*/latest/*')}
    leakage.measure(people, 'print', SIZES, 2, out)
    patch.undo()
    return out, first, begun


def test_more_seeds_keep_what_was_trained(measured):
    out, first, begun = measured
    second = json.loads((out / 'results.json').read_text())
    assert (first['seeds'], second['seeds']) == (1, 2)
    assert len(begun) == outcomes.networks(SIZES) == 8
    assert {path: path.stat().st_mtime_ns for path in begun} == begun
    assert len(list((out / 'members').iterdir())) == 2 * len(begun)
    for key, way in first['ways'].items():
        assert way['seeds'] == second['ways'][key]['seeds'][:1], key


def test_the_results_are_those_of_the_networks(measured, people):
    out, _, _ = measured
    values = json.loads((out / 'results.json').read_text())
    with np.load(out / 'outcomes.npz') as saved:
        np.testing.assert_allclose(values['ways']['subjects']['seeds'], saved['divided'][2].mean(1))
        # The fold that judges a clip says what its network's file says after the last epoch.
        grid = 3 * SIZES.folds
        for fold in range(SIZES.folds):
            said = np.load(out / 'members' / f'{grid + fold:03}' / 'probabilities.npy')[-1]
            judged = np.flatnonzero(saved['fold'][0] == fold)
            right = said[-len(judged) :].argmax(-1) == people.label[judged]
            np.testing.assert_array_equal(saved['right'][0, 0, -1, judged], right)


def test_the_page_and_every_table_are_stamped(measured):
    out, _, _ = measured
    page = (out / 'report.html').read_text()
    assert 'SIMULATED FACES · LEAKS ON PURPOSE' in page
    values = json.loads((out / 'results.json').read_text())
    assert values['stamps'] == ['SIMULATED FACES', measurement.LEAKING]
    tables = sorted((out / 'figures').glob('*.csv'))
    assert len(tables) == 10 and len(list((out / 'figures').glob('*.svg'))) == 5
    for path in tables:
        with path.open() as file:
            rows = list(csv.DictReader(file))
        assert rows and {row['stamps'] for row in rows} == {'SIMULATED FACES; LEAKS ON PURPOSE'}
    with (out / 'figures' / 'optimism_table.csv').open() as file:
        drawn = {row['key']: float(row['difference']) for row in csv.DictReader(file)}
    for pair in values['optimism']:
        assert drawn[pair['key']] == pytest.approx(pair['difference'], abs=1e-5)


def test_another_measurement_is_refused(measured, people):
    out, _, _ = measured
    with pytest.raises(UserError, match='study.epochs is 3, there 2; give another --out'):
        leakage.measure(people, 'print', dataclasses.replace(SIZES, epochs=3), 1, out)
    with pytest.raises(UserError, match='study.fingerprint is other, there print'):
        leakage.measure(people, 'other', SIZES, 1, out)


def test_the_report_command_draws_it_again(measured, tmp_path, capsys):
    out, _, _ = measured
    cli.call(report.main, report.define, [str(out), f'--out={tmp_path / "again"}'])
    assert (tmp_path / 'again' / 'report.html').read_text() == (out / 'report.html').read_text()
    assert capsys.readouterr().out.startswith('*** SIMULATED FACES ***\n*** LEAKS ON PURPOSE ***')


def test_only_the_command_of_studies_opens_the_laboratory():
    outside = [*(ROOT / 'fer_jax').rglob('*.py'), *(ROOT / 'configs').glob('*.py')]
    outside = [path for path in outside if path.parent.name != 'leakage']
    door = re.compile(r'^ *(from|import) .*\bleakage\b', re.MULTILINE)
    doors = [path for path in outside if door.search(path.read_text())]
    assert doors == [ROOT / 'fer_jax' / 'studies' / '__main__.py']
