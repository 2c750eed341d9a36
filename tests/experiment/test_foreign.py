"""Networks of others: forms of their inputs, and what is refused of their files."""

import numpy as np
import pytest

from fer_jax import cli
from fer_jax import evaluate as command
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment.foreign import ForeignNetwork

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
CLASSES = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral')
SIZE = 8
UNIT = {'size': 0, 'scale': (0.0, 1.0)}


def write(path, shape, *, softmax=False, external=''):
    """A network whose outputs are a linear map of the mean level; the map may lie elsewhere."""
    helper, kinds = onnx.helper, onnx.TensorProto
    kernel = onnx.numpy_helper.from_array(np.arange(7, dtype=np.float32)[None], 'kernel')
    if external:
        kernel.ClearField('raw_data')
        kernel.data_location = kinds.EXTERNAL
        kernel.external_data.add(key='location', value=external)
    axes = onnx.numpy_helper.from_array(np.array([1, 2, 3]), 'axes')
    nodes = [
        helper.make_node('ReduceMean', ['x', 'axes'], ['mean'], keepdims=0),
        helper.make_node('Unsqueeze', ['mean', 'last'], ['column']),
        helper.make_node('MatMul', ['column', 'kernel'], ['y' if not softmax else 'z']),
    ]
    if softmax:
        nodes.append(helper.make_node('Softmax', ['z'], ['y']))
    last = onnx.numpy_helper.from_array(np.array([1]), 'last')
    graph = helper.make_graph(
        nodes, 'mean',
        [helper.make_tensor_value_info('x', kinds.FLOAT, shape)],
        [helper.make_tensor_value_info('y', kinds.FLOAT, [shape[0], 7])],
        [kernel, axes, last],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize('softmax', [False, True])
@pytest.mark.parametrize(
    'shape', [['n', 1, SIZE, SIZE], ['n', SIZE, SIZE, 3], [4, SIZE, SIZE, 1], [1, 3, SIZE, SIZE]]
)
def test_faces_come_as_the_file_says(tmp_path, shape, softmax):
    path = write(tmp_path / 'mean.onnx', shape, softmax=softmax)
    network = ForeignNetwork.open(path, CLASSES, size=0, scale=(-1.0, 1.0))
    channels = 3 if 3 in shape else 1
    assert (network.clips.size, network.clips.channels) == (SIZE, channels)
    faces = np.zeros((6, 1, SIZE, SIZE, channels), np.uint8)
    faces += np.arange(6, dtype=np.uint8)[:, None, None, None, None] * 51
    found = network.probabilities(faces)
    odds = np.exp(np.arange(7) * (np.arange(6)[:, None] * 0.4 - 1))
    np.testing.assert_allclose(found, odds / odds.sum(1, keepdims=True), rtol=1e-4)


def reshaped(path, rows, kind=onnx.TensorProto.FLOAT, side=SIZE):
    """A network of free batch that takes `rows` faces of `side` pixels; outputs are its pixels'."""
    helper, numbers = onnx.helper, onnx.helper.tensor_dtype_to_np_dtype(kind)
    kernel = np.repeat(np.arange(7)[None], side * side, axis=0).astype(numbers)
    graph = helper.make_graph(
        [
            helper.make_node('Reshape', ['x', 'form'], ['flat']),
            helper.make_node('MatMul', ['flat', 'kernel'], ['y']),
        ],
        'pixels',
        [helper.make_tensor_value_info('x', kind, ['n', 1, SIZE, SIZE])],
        [helper.make_tensor_value_info('y', kind, None)],
        [
            onnx.numpy_helper.from_array(kernel, 'kernel'),
            onnx.numpy_helper.from_array(np.array([rows, side * side]), 'form'),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def test_half_precision_and_a_batch_that_is_not_free(tmp_path):
    kinds = onnx.TensorProto
    faces = np.array([0, 1, 2], np.uint8)[:, None, None, None, None]
    faces = np.broadcast_to(faces, (3, 1, SIZE, SIZE, 1))
    odds = np.exp(np.arange(7) * (np.arange(3)[:, None] * SIZE * SIZE / 255))
    for rows, kind in ((-1, kinds.FLOAT16), (1, kinds.FLOAT), (1, kinds.FLOAT16)):
        path = reshaped(tmp_path / 'pixels.onnx', rows, kind)
        found = ForeignNetwork.open(path, CLASSES, **UNIT).probabilities(faces)
        np.testing.assert_allclose(found, odds / odds.sum(1, keepdims=True), rtol=1e-2)
    path = reshaped(tmp_path / 'pixels.onnx', -1, kinds.DOUBLE)
    with pytest.raises(UserError, match=r'takes tensor.double.: give a network whose input is'):
        ForeignNetwork.open(path, CLASSES, **UNIT)
    path = reshaped(tmp_path / 'pixels.onnx', 1, side=5)
    with pytest.raises(UserError, match=r'^[^\n]* does not run on faces of 8 pixels .[^\n]*$'):
        ForeignNetwork.open(path, CLASSES, **UNIT)


def test_sizes_that_the_file_leaves_open_are_given(tmp_path):
    path = write(tmp_path / 'mean.onnx', ['n', 'h', 'w', 1])
    with pytest.raises(UserError, match='sees faces of any size: give --size'):
        ForeignNetwork.open(path, CLASSES, **UNIT)
    assert ForeignNetwork.open(path, CLASSES, size=12, scale=(0.0, 1.0)).clips.size == 12
    fixed = write(tmp_path / 'fixed.onnx', ['n', SIZE, SIZE, 1])
    with pytest.raises(UserError, match='--size is 12: give a network of one square face'):
        ForeignNetwork.open(fixed, CLASSES, size=12, scale=(0.0, 1.0))


def test_what_outputs_are_is_the_same_for_all_faces(tmp_path):
    path = write(tmp_path / 'mean.onnx', ['n', SIZE, SIZE, 1])
    network = ForeignNetwork.open(path, CLASSES, size=0, scale=(1 / 21, 1.0))
    # Of a black face the outputs are 0 to 6 times 1/21, which sum to 1.
    faces = np.zeros((2, 1, SIZE, SIZE, 1), np.uint8)
    faces[1] = 255
    found = network.probabilities(faces)
    np.testing.assert_allclose(network.probabilities(faces[:1]), found[:1], rtol=1e-5)
    odds = np.exp(np.arange(7) / 21)
    np.testing.assert_allclose(found[0], odds / odds.sum(), rtol=1e-4)


def test_data_of_a_file_stay_in_its_folder(tmp_path):
    values = np.arange(7, dtype=np.float32)
    (tmp_path / 'elsewhere.bin').write_bytes(values.tobytes())
    inside = tmp_path / 'model'
    inside.mkdir()
    path = inside / 'mean.onnx'
    (inside / 'link.bin').symlink_to(tmp_path / 'elsewhere.bin')
    for place in ('../elsewhere.bin', str(tmp_path / 'elsewhere.bin'), 'link.bin', 'a/../x.bin'):
        write(path, ['n', SIZE, SIZE, 1], external=place)
        with pytest.raises(UserError, match='keeps data outside its folder'):
            ForeignNetwork.open(path, CLASSES, **UNIT)
    (inside / 'own.bin').write_bytes(values.tobytes())
    write(path, ['n', SIZE, SIZE, 1], external='own.bin')
    assert ForeignNetwork.open(path, CLASSES, **UNIT).clips.size == SIZE


def test_what_is_no_network_is_one_line(tmp_path):
    with pytest.raises(UserError, match='no such file'):
        ForeignNetwork.open(tmp_path / 'none.onnx', CLASSES, **UNIT)
    path = write(tmp_path / 'mean.onnx', ['n', SIZE, SIZE, 1])
    with pytest.raises(UserError, match='gives 7 numbers a face, --classes names 2'):
        ForeignNetwork.open(path, CLASSES[:2], **UNIT)
    with pytest.raises(UserError, match='name each output of mean.onnx once'):
        ForeignNetwork.open(path, ('anger', 'anger'), **UNIT)
    path.write_bytes(b'\xff' * 99)
    with pytest.raises(UserError, match='is no ONNX file, or damaged'):
        ForeignNetwork.open(path, CLASSES, **UNIT)
    path.write_bytes(b'')
    with pytest.raises(UserError, match='ONNX Runtime cannot open it'):
        ForeignNetwork.open(path, CLASSES, **UNIT)


def test_a_damaged_tflite_file_is_one_line(tmp_path):
    pytest.importorskip('ai_edge_litert')
    path = tmp_path / 'mean.tflite'
    path.write_bytes(b'no flatbuffer')
    with pytest.raises(UserError, match='is no TFLite file, or damaged'):
        ForeignNetwork.open(path, CLASSES, **UNIT)


def test_the_command_judges_it_like_ours(tmp_path, plain_data, capsys):
    path = write(tmp_path / 'mean.onnx', ['n', SIZE, SIZE, 1])
    words = [str(path), '--dataset=fer2013', f'--data_dir={plain_data}', '--labels=fer2013']
    words += [f'--classes={",".join(CLASSES)}', f'--out={tmp_path / "page"}']
    cli.call(command.main, command.define, [*words, '--scale=-2..-1'])
    found = rundir.read_json(tmp_path / 'page' / 'results.json')
    # Below zero the first class has most: its share of 42 pictures, two of them copies.
    assert found['counted'][0]['accuracy'] == pytest.approx(1 / 7)
    assert found['counted'][1]['removed'] == 2
    assert 'SHA-256 of the file' in found['facts']
    assert 'it may have seen test clips' in capsys.readouterr().out
    for word, said in (
        ('--scale=1', 'give two numbers'), ('--scale=1..0', 'the lower number first'),
        ('--card', '--card, --member and --mirrored are for'),
    ):  # fmt: skip
        with pytest.raises(UserError, match=said):
            cli.call(command.main, command.define, [*words, word])
    with pytest.raises(UserError, match='--classes and --size are for files'):
        cli.call(command.main, command.define, ['small', '--dataset=fer2013', '--classes=a,b'])
