"""Exported programs say what the network says, of any number of clips, with nothing outside."""

import functools
import importlib.util
import json
import sys
import timeit
from pathlib import Path

import cv2
import jax
import jax.extend.core
import numpy as np
import pytest

import fer_jax
from fer_jax import cli
from fer_jax import config as configs
from fer_jax.data import fitted
from fer_jax.errors import UserError
from fer_jax.experiment.fits import MemberFits
from fer_jax.experiment.predictor import Predictor
from fer_jax.experiment.sections import Sections
from fer_jax.experiment.trained import TrainedNetwork
from fer_jax.export import __main__ as command
from fer_jax.export import files, onnx_graph, onnx_traced, program
from fer_jax.export.folder import drawn_faces
from fer_jax.ops import portable
from fer_jax.reports import model_card
from fer_jax.training.inputs import model_inputs

ROOT = Path(__file__).parents[2]
CLASSES = tuple('abcdefg')
# A config of each family with what makes its network small, and a temperature that makes it neither
# sure nor indifferent.
FAMILIES = {
    'jaffe_stn': ({}, 0.01),
    'ckplus_c3d': ({'model.width': 0.03125, 'data.frames': 4}, 0.01),  # equalised
    'ckplus_convlstm': ({'model.filters': (2, 2, 2)}, 0.01),
    'mmi_cnn_rnn': ({}, 0.01),
    'fer2013_cnn': ({'model.width': 0.1}, 1.3),
}


def call(*words):
    cli.call(command.main, command.define, [*map(str, words)])


def fresh(stem: str, changes: dict, temperature: float = 1.3) -> Predictor:
    """A predictor of a config's network with random parameters."""
    config = configs.load_config(ROOT / 'configs' / f'{stem}.py')
    config.update_from_flattened_dict(changes)
    sections = Sections.open(config)
    clips, system = sections.clips, sections.network.system(len(CLASSES))
    shape = (clips.frames, clips.size, clips.size, clips.channels)
    mean = np.full(shape[1:], 0.5, np.float32)
    frames = np.zeros((1, *shape), np.uint8)
    seen = model_inputs(jax.numpy.asarray(frames), None, mean, mean, **system.inputs)
    given = {'length': np.full(1, shape[0]), 'train': False}
    made = jax.jit(lambda key: system.model.init(key, seen, **given))(jax.random.key(0))
    variables = {key: made[key] for key in ('params', 'batch_stats') if key in made}
    fits = MemberFits(CLASSES, {fitted.MEAN_STD: (mean, mean)})
    network = TrainedNetwork._built(Path(stem), 0, sections, 1, variables, fits, None)
    return Predictor(stem, Path(stem), (network,), clips, temperature, 10, True, ())


@pytest.mark.parametrize('stem', FAMILIES)
def test_every_family_exports(stem):
    changes, temperature = FAMILIES[stem]
    predictor = fresh(stem, {'data.size': 48, **changes}, temperature)
    exported = program._exported(predictor, ('cpu',))
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, *predictor.networks[0].shape)).astype(np.uint8)
    frames[0] //= 4
    length = np.array([frames.shape[1], 1, frames.shape[1]], np.int32)
    expected = predictor.probabilities(frames, length)
    given = (frames, length) if predictor.sequences else (frames[:, 0],)
    np.testing.assert_allclose(exported.call(*given), expected, atol=1e-5)
    one = exported.call(*(each[:1] for each in given))  # another number of clips
    np.testing.assert_allclose(one, expected[:1], atol=1e-5)
    assert np.abs(expected - expected[:1]).max() > 1e-4


@pytest.fixture(scope='module')
def stablehlo(plain_run, tmp_path_factory):
    pytest.importorskip('flatbuffers')
    out = tmp_path_factory.mktemp('program') / 'stablehlo'
    call(plain_run, '--format=stablehlo', f'--out={out}', '--name=stripes')
    return out


@pytest.fixture(scope='module')
def onnx(plain_run, tmp_path_factory):
    pytest.importorskip('onnx')
    out = tmp_path_factory.mktemp('program') / 'onnx'
    call(plain_run, '--format=onnx', f'--out={out}')
    return out


def test_what_lies_beside_a_program(stablehlo, plain_run):
    assert {path.name for path in stablehlo.iterdir()} == {
        'model.jax', 'model.stablehlo', 'model.json', 'golden.npz', 'README.md'
    }  # fmt: skip
    predictor = Predictor.open(plain_run)
    about = json.loads((stablehlo / 'model.json').read_text())
    assert about['name'] == 'stripes' and about['classes'] == [*predictor.classes]
    assert about['temperature'] == predictor.temperature != 1
    assert about['inputs'] == [{'name': 'frames', 'dtype': 'uint8', 'shape': ['clips', 24, 24, 1]}]
    assert about['face']['equalize'] == 'none'
    names = [row['runtime'] for row in about['parity']]
    assert names == ['JAX', 'jax.export']
    assert all(row['cores'] == 1 and row['ms_a_face'] > 0 for row in about['parity'])
    card = (stablehlo / 'README.md').read_text()
    assert '# stripes' in card and '| jax.export |' in card and 'Article 5(1)(f)' in card
    assert (stablehlo / 'model.stablehlo').read_bytes()[:4] == b'ML\xefR'  # bytecode of MLIR


def test_what_is_equalised_before_a_face_is_resized_is_said():
    face = {'margin': 1.3, 'registration': 'eyes', 'equalize': 'clahe', 'channels': 1}
    about = {
        'name': 'x', 'axes': '', 'inputs': [], 'classes': ['a', 'b'], 'output': {'shape': [1, 2]},
        'temperature': None, 'uncertain_below': 0.5, 'simulated': True, 'parity': [], 'note': '',
    }  # fmt: skip
    said = 'Before it is resized, it is equalised: CLAHE, limit 2, 8 x 8 tiles.'
    assert said in files._card({**about, 'face': face})
    assert 'Before it' not in files._card({**about, 'face': {**face, 'equalize': 'none'}})
    config = configs.load_config(ROOT / 'configs' / 'fer2013_plain.py').to_dict()
    assert 'equalised before' not in model_card._input(config)
    config['data']['equalize'] = 'clahe'
    assert 'equalised before it is resized: CLAHE, limit 2' in model_card._input(config)


def test_golden_outputs_come_again(stablehlo):
    run = program.runtimes(stablehlo)['jax.export']
    with np.load(stablehlo / 'golden.npz') as golden:
        found = run(golden['frames'][:, None], np.ones(4, np.int32))
        np.testing.assert_allclose(found, golden['probabilities'], atol=1e-5)
        assert golden['frames'].std() > 10


def test_onnx_says_the_same_in_both_runtimes(onnx):
    pytest.importorskip('onnxruntime')
    parity = json.loads((onnx / 'model.json').read_text())['parity']
    assert [row['runtime'] for row in parity] == ['JAX', 'ONNX Runtime', "OpenCV's dnn"]
    # This run's temperature is far below 1 and makes rounding errors larger.
    assert max(row['largest_difference'] for row in parity) < 1e-4
    with np.load(onnx / 'golden.npz') as golden:
        frames, expected = golden['frames'], golden['probabilities']
    assert frames.dtype == np.uint8 and frames.shape == (4, 1, 24, 24)
    assert np.abs(expected - expected[:1]).max() > 0.01
    network = cv2.dnn.readNetFromONNX(str(onnx / 'model.onnx'))
    network.setInput(frames.astype(np.float32))
    np.testing.assert_allclose(network.forward(), expected, atol=1e-4)


def test_the_shipped_network_differs_by_less_than_a_hundred_thousandth(tmp_path):
    package = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    small = fer_jax.load('small')
    package.save(onnx_graph._model(small, 'small'), tmp_path / 'model.onnx')
    frames, length = drawn_faces(small)
    expected = small.probabilities(frames, length)
    for name, run in onnx_graph.runtimes(tmp_path).items():
        assert np.abs(run(frames, length) - expected).max() < 1e-5, name


@pytest.mark.parametrize('normalize', ['unit', 'symmetric', 'mean_std', 'each'])
@pytest.mark.parametrize('channels', [1, 3])
def test_every_normalisation_is_in_the_onnx_graph(normalize, channels):
    package, runtime = pytest.importorskip('onnx'), pytest.importorskip('onnxruntime')
    changes = {
        'data.size': 22, 'inputs.crop': 20, 'inputs.normalize': normalize,
        'inputs.channels': channels, 'model.filters': (4, 4, 4), 'model.convolutions': (1, 2, 1),
    }  # fmt: skip
    predictor = fresh('fer2013_plain', changes)
    model = onnx_graph._model(predictor, 'plain')
    package.checker.check_model(model, full_check=True)
    session = runtime.InferenceSession(model.SerializeToString())
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, 1, 22, 22, 1)).astype(np.uint8)
    frames[0] = 7  # no deviation
    said = session.run(None, {'frames': onnx_graph._planes(frames)})[0]
    expected = predictor.probabilities(frames)
    np.testing.assert_allclose(said[1:], expected[1:], atol=1e-5)
    np.testing.assert_allclose(said[0], expected[0], atol=1e-4)  # nothing but rounding errors
    assert predictor.networks[0].system.mirrored and np.abs(expected - expected[:1]).max() > 1e-4


@pytest.mark.parametrize('stem', ['ckplus_c3d', 'fer2013_cnn'])
def test_operators_that_onnx_has_say_the_same(stem):
    changes, temperature = FAMILIES[stem]
    predictor = fresh(stem, {'data.size': 48, **changes}, temperature)
    frames = np.random.default_rng(0).integers(0, 256, (2, *predictor.networks[0].shape))
    frames = frames.astype(np.uint8)
    frames[0] //= 4
    length = np.full(2, frames.shape[1], np.int32)
    with portable.operators():
        program = jax.make_jaxpr(predictor.traced)(frames, length)
    assert 'scatter' not in str(program)
    (said,) = jax.extend.core.jaxpr_as_fun(program)(frames, length)
    expected = predictor.probabilities(frames, length)
    np.testing.assert_allclose(said, expected, atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-4
    usual = str(jax.make_jaxpr(predictor.traced)(frames, length))
    assert 'scatter' in usual and usual != str(program)  # and nothing is left of it


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec('jax2onnx') is None,
    reason='jax2onnx is in the environment of launch/onnx.sh alone',
)
@pytest.mark.filterwarnings('ignore')  # what jax2onnx raises in its own modules
@pytest.mark.parametrize('stem', FAMILIES)
def test_every_family_is_onnx(stem, tmp_path):
    """With -s it prints a row of the table of docs/predict.md."""
    changes, temperature = FAMILIES[stem]
    # One at which the recurrent network is not quite sure of whole clips.
    temperature = max(temperature, 0.1) if stem == 'mmi_cnn_rnn' else temperature
    predictor = fresh(stem, {'data.size': 48, **changes}, temperature)
    model = onnx_traced.trace(predictor, stem)
    (tmp_path / 'model.onnx').write_bytes(model.SerializeToString())
    frames = np.random.default_rng(0).integers(0, 256, (3, *predictor.networks[0].shape))
    frames = frames.astype(np.uint8)
    frames[0] //= 4
    length = np.full(3, frames.shape[1], np.int32)
    expected = predictor.probabilities(frames, length)
    run = onnx_traced.runtimes(tmp_path)['ONNX Runtime']
    difference = np.abs(run(frames, length) - expected).max()
    assert difference < 1e-5
    assert np.abs(expected - expected[:1]).max() > 1e-4
    taken = [
        min(timeit.repeat(functools.partial(each, frames[:1], length[:1]), number=1, repeat=20))
        for each in (predictor.probabilities, run)
    ]
    row = *frames.shape[1:3], difference, *(f'{1000 * each:.2f} ms' for each in taken)
    print(stem, *row, len(model.SerializeToString()))


def test_what_cannot_be_written_is_one_line(plain_run, tmp_path, monkeypatch):
    pytest.importorskip('onnx')
    monkeypatch.setitem(sys.modules, 'jax2onnx', None)
    for stem, changes in (
        ('fer2013_cnn', {'model.width': 0.1}),
        ('fer2013_plain', {'inputs.equalize': 'histogram'}),
    ):
        with pytest.raises(UserError, match='own: bash launch/onnx.sh MODEL .* --format=stablehlo'):
            onnx_graph.write(fresh(stem, changes), tmp_path / 'a', '')
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(UserError, match=r"onnx is not installed: pip install 'fer_jax\[export\]'"):
        call(plain_run, '--format=onnx', f'--out={tmp_path / "a"}')
    assert not (tmp_path / 'a').exists()
    assert files.missing('flatbuffers').startswith('flatbuffers is not installed')
