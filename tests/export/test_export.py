"""Model folders: what is written, that it says what the run says, and what is refused."""

import json
import shutil

import numpy as np
import pytest

import fer_jax
from fer_jax import cli
from fer_jax.errors import UserError
from fer_jax.evaluation import predictions, rundir
from fer_jax.experiment.predictor import Predictor
from fer_jax.export import __main__ as command
from fer_jax.export import folder as model_folders
from fer_jax.training import model_folder


def call(*words):
    cli.call(command.main, command.define, [*map(str, words)])


@pytest.fixture(scope='module')
def folder(plain_run, tmp_path_factory):
    """The run's two networks as a model folder; tests only read it."""
    out = tmp_path_factory.mktemp('export') / 'model'
    call(plain_run, f'--out={out}', '--name=stripes')
    return out


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / 'copy')


@pytest.fixture(scope='module')
def pictures(plain_stripes):
    rng = np.random.default_rng(5)
    return np.stack([plain_stripes(k % 7, rng) for k in range(21)])


def test_a_folder_says_what_its_run_says(plain_run, folder, pictures):
    run, stored = Predictor.open(plain_run), Predictor.open(folder)
    assert stored.classes == run.classes and len(stored.networks) == len(run.networks) == 2
    assert stored.temperature == run.temperature != 1
    found, expected = stored.images(pictures), run.images(pictures)
    assert np.abs(found - expected).max() < 5e-3  # kernels have two bytes a number
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert len(np.unique(found.argmax(1))) > 3  # it has learnt something


def test_what_is_in_a_folder(plain_run, folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {
        'config.json', 'model.safetensors', 'seen.json.xz', 'golden.npz', 'README.md'
    }  # fmt: skip
    config = json.loads((folder / 'config.json').read_text())
    assert config['name'] == 'stripes' and config['format'] == 1
    assert config['data']['size'] == 24 and config['data']['margin'] == 1.0
    assert config['inputs']['normalize'] == 'each'
    assert config['model']['name'] == 'plain_cnn' and config['model']['filters'] == [8, 12]
    assert config['weights']['kernels'] == 'float16'
    assert config['validation_clips'] == 35
    arrays = model_folder.read_arrays(folder, config)
    assert (
        sum(x.size for a in arrays for x in leaves(a['params']))
        == (config['weights']['parameters'])
    )
    seen = model_folder.read_seen(folder)
    (fold,) = rundir.read_json(plain_run / 'folds.json')['folds']
    assert seen == {0: frozenset(fold['train'] + fold['validation'])}


def leaves(tree):
    for value in tree.values():
        yield from leaves(value) if isinstance(value, dict) else [value]


def test_golden_outputs_come_again(folder):
    with np.load(folder / 'golden.npz') as golden:
        frames = golden['frames']
        assert frames.shape == (4, 1, 24, 24, 1) and frames.dtype == np.uint8
        assert frames.std() > 10  # faces, no blank
        assert golden['classes'].tolist() == [*fer_jax.load(str(folder)).classes]
    assert_golden_outputs_come_again(folder)


def assert_golden_outputs_come_again(folder):
    with np.load(folder / 'golden.npz') as golden:
        found = fer_jax.load(str(folder)).probabilities(golden['frames'])
        np.testing.assert_allclose(found, golden['probabilities'], rtol=0, atol=1e-5)


def test_kernels_keep_four_bytes_where_two_lose_something(
    plain_run, folder, pictures, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(model_folders, '_LOST', -1.0)
    out = tmp_path / 'model'
    call(plain_run, f'--out={out}')
    assert 'four bytes kept instead' in capsys.readouterr().out
    config = json.loads((out / 'config.json').read_text())
    assert config['weights']['kernels'] == 'float32'
    expected = Predictor.open(plain_run).images(pictures)
    found = Predictor.open(out).images(pictures)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.abs(Predictor.open(folder).images(pictures) - expected).max() > 3e-5
    assert_golden_outputs_come_again(out)


def test_one_member_alone(plain_run, pictures, tmp_path):
    call(plain_run, f'--out={tmp_path / "one"}', '--member=1')
    one = Predictor.open(tmp_path / 'one')
    assert len(one.networks) == 1
    expected = Predictor.open(plain_run, 1).images(pictures)
    np.testing.assert_allclose(one.images(pictures), expected, atol=5e-3)
    assert rundir.read_json(tmp_path / 'one' / 'config.json')['members'][0]['seed'] == 1
    assert np.abs(expected - Predictor.open(plain_run, 0).images(pictures)).max() > 0.01


def test_the_card_says_what_must_be_said(folder):
    text = (folder / 'README.md').read_text()
    for said in (
        '# stripes', 'not what a person feels', 'Article 5(1)(f)', 'rights of those who are shown',
        'Demographic bias was not measured', 'Intended uses', 'Uses that it is not for',
        'temperature of', "the raters' votes", '24 x 24 pixels', 'happiness',
    ):  # fmt: skip
        assert said in text, said
    assert '$' not in text


def test_damage_is_found(copy):
    weights = copy / 'model.safetensors'
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match='model.safetensors is damaged or another one: its SHA-256'):
        fer_jax.load(str(copy))
    weights.unlink()
    with pytest.raises(UserError, match='model.safetensors is missing'):
        fer_jax.load(str(copy))
    weights.write_bytes(whole)
    config = (copy / 'config.json').read_text()
    (copy / 'config.json').write_text(config[:100])
    with pytest.raises(UserError, match='config.json is no description of a network'):
        fer_jax.load(str(copy))
    (copy / 'config.json').write_text(config.replace('"format": 1', '"format": 2'))
    with pytest.raises(UserError, match='has format 2, this version reads 1'):
        fer_jax.load(str(copy))
    (copy / 'config.json').unlink()
    with pytest.raises(UserError, match='config.json is missing'):
        fer_jax.load(str(copy))
    (copy / 'config.json').write_text(config)
    with pytest.raises(UserError, match='has members 0 to 1, none of 2'):
        fer_jax.load(str(copy), member=2)


def test_what_cannot_be_written(plain_run, folder, tmp_path):
    with pytest.raises(UserError, match='is not empty'):
        call(plain_run, f'--out={folder}')
    with pytest.raises(UserError, match='is a model folder already'):
        call(folder, f'--out={tmp_path / "again"}')
    with pytest.raises(UserError, match='--out is missing'):
        call(plain_run)
    with pytest.raises(UserError, match='has not finished'):
        call(tmp_path, f'--out={tmp_path / "again"}')
    assert not (tmp_path / 'again').exists()


def test_training_starts_from_a_folder_as_from_its_run(
    plain_run, folder, plain_data, plain_train, tmp_path
):
    given = {'train__epochs': 1, 'train__seeds': 1, 'optimizer__learning_rate': 1e-9}
    run = plain_train(tmp_path / 'run', plain_data, init__run=str(folder), **given)
    chain = rundir.read_json(run / 'dataset.json')['starts_from']
    assert chain['run'] == plain_run.name and chain['fresh'] == []
    sha = json.loads((folder / 'config.json').read_text())['weights']['sha256']
    assert chain['weights'] == sha
    # At such a rate only running averages change in an epoch, and these a little.
    found = predictions.load(run / 'probabilities.npz').at(np.zeros(1, int))
    first = predictions.load(plain_run / 'probabilities.npz')
    epoch = rundir.read_json(plain_run / 'results.json')['val_best']['epochs'][0] - 1
    expected = first.at(np.array([epoch, -1]))
    assert (found.predicted == expected.predicted).mean() > 0.9


def test_a_folder_trains_nobody_who_is_tested_on_its_clips(
    folder, plain_data, plain_train, tmp_path
):
    given = {'protocol__name': 'random', 'protocol__validation': 0.1}
    with pytest.raises(UserError, match='was trained on test clips of fold 0'):
        plain_train(tmp_path / 'run', plain_data, init__run=str(folder), **given)


def test_a_folder_teaches(folder, plain_data, plain_train, tmp_path):
    given = {'train__epochs': 1, 'train__seeds': 1, 'distill__runs': str(folder)}
    run = plain_train(tmp_path / 'run', plain_data, **given)
    (chain,) = rundir.read_json(run / 'dataset.json')['taught_by']
    assert chain['config'] == 'fer2013_plain' and chain['networks'] == [0]


def test_a_network_on_features_takes_the_one_that_makes_them_along(
    plain_run, plain_data, plain_train, pictures, tmp_path
):
    """Its run's first stage may be deleted: the folder needs neither."""
    run = plain_train(tmp_path / 'second', plain_data, **on_features(plain_run))
    call(run, f'--out={tmp_path / "model"}')
    config = rundir.read_json(tmp_path / 'model' / 'config.json')
    assert config['earlier']['layer'] == 'pool1' and config['earlier']['name'] == 'fer2013_plain'
    expected = Predictor.open(run).images(pictures)
    shutil.rmtree(run)
    found = fer_jax.load(str(tmp_path / 'model')).images(pictures)
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert np.abs(found - found[:1]).max() > 0.01


def on_features(first):
    """Changes of the config: a recurrent network that learns from a layer of the first run's."""
    return {
        'features': {'run': str(first), 'layer': 'pool1'},
        'model': {'name': 'rnn', 'units': 8, 'activation': 'tanh'},
        'optimizer__learning_rate': 0.01,
        'inputs': {'normalize': 'none'},
        'augment': {'kind': 'none'},
        'loss__targets': 'labels',
        'train__seeds': 1,
        'train__epochs': 2,
    }
