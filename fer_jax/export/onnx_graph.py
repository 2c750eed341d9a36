"""Writes plain networks (`models.plain_cnn`) as ONNX, with the onnx package's own helpers.

Opset 21, float32. The graph takes uint8 [clips, channel, row, column] and holds normalisation,
crop, mirror image, the mean over members and calibration. It has only operators that OpenCV's dnn
reads, too: a mirror image is a product with a permutation.
"""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import __version__
from fer_jax.errors import UserError
from fer_jax.evaluation.rules import SMALLEST
from fer_jax.experiment.predictor import Predictor
from fer_jax.experiment.trained import TrainedNetwork
from fer_jax.export import files, onnx_traced
from fer_jax.export.folder import drawn_faces
from fer_jax.models.plain_cnn import PlainCNN

MODEL = 'model.onnx'
OPSET = 21
_WHITE = 255.0


def write(predictor: Predictor, out: Path, name: str) -> list[str]:
    """Writes the folder; called and answered as `formats.FORMATS` says.

    Raises:
      UserError: a package that is missing.
    """
    try:
        import onnx
    except ImportError as error:
        raise UserError(files.missing('onnx')) from error
    if not all(map(_is_plain, predictor.networks)):
        return onnx_traced.write(predictor, out, name)
    model = _model(predictor, name or predictor.name)
    onnx.checker.check_model(model, full_check=True)
    frames, _ = drawn_faces(predictor)
    inputs = {'frames': _planes(frames)}
    programs = {MODEL: model.SerializeToString()}
    return files.write(
        predictor, out, name, programs, inputs, 'clip, channel, row, column', runtimes
    )


def _is_plain(network: TrainedNetwork) -> bool:
    """Tells whether a network is of the one kind, with the inputs, that is written here."""
    plain = isinstance(network.system.model, PlainCNN) and not network.earlier
    return plain and network.shape[0] == 1 and network.equalize == 'none'


def runtimes(folder: Path) -> files.Runtimes:
    """Opens model.onnx in the runtimes that are there, as of `files.write`."""
    import cv2

    path = str(folder / MODEL)
    found: dict[str, Any] = {}
    try:
        import onnxruntime
    except ImportError:
        pass
    else:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, ['CPUExecutionProvider'])
        found['ONNX Runtime'] = lambda frames, length: session.run(
            None, {'frames': _planes(frames)}
        )[0]
    network = cv2.dnn.readNetFromONNX(path)

    def opencv(frames: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Runs OpenCV, which takes grey levels as float32 and one number of clips at a time."""
        network.setInput(_planes(frames).astype(np.float32))
        return network.forward().copy()

    return {**found, "OpenCV's dnn": opencv}


def _planes(frames: np.ndarray) -> np.ndarray:
    """Turns stills [n, 1, H, W, C] into what the graph takes, uint8 [n, C, H, W]."""
    return np.ascontiguousarray(frames[:, 0].transpose(0, 3, 1, 2))


@dataclasses.dataclass
class _Graph:
    """Nodes and constants that are added one after the other; each node has one output."""

    nodes: list[Any] = dataclasses.field(default_factory=list)
    constants: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    _count: itertools.count = dataclasses.field(default_factory=itertools.count)

    def add(self, kind: str, *inputs: str, output: str = '', **attributes: Any) -> str:
        """Adds a node and returns the name of what it makes."""
        from onnx import helper

        output = output or f'{kind.lower()}{next(self._count)}'
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Keeps an array, each only once, and returns its name."""
        array = np.asarray(value, dtype)
        for name, known in self.constants.items():
            if known.dtype == array.dtype and np.array_equal(known, array):
                return name
        name = f'constant{len(self.constants)}'
        self.constants[name] = array
        return name


def _model(predictor: Predictor, name: str) -> Any:
    """Builds the ModelProto."""
    from onnx import TensorProto, helper, numpy_helper

    graph = _Graph()
    size, channels = predictor.clips.size, predictor.clips.channels
    unit = graph.add('Mul', graph.add('Cast', 'frames', to=TensorProto.FLOAT),
                     graph.constant(1 / _WHITE))  # fmt: skip
    said = [each for network in predictor.networks for each in _said(graph, network, unit)]
    mean = said[0]
    for each in said[1:]:
        mean = graph.add('Add', mean, each)
    mean = graph.add('Mul', mean, graph.constant(1 / len(said)))
    logs = graph.add('Log', graph.add('Max', mean, graph.constant(SMALLEST)))
    scaled = graph.add('Mul', logs, graph.constant(1 / predictor.temperature))
    graph.add('Softmax', scaled, axis=1, output='probabilities')
    made = helper.make_graph(
        graph.nodes,
        'face_to_probabilities',
        [helper.make_tensor_value_info(
            'frames', TensorProto.UINT8, ['clips', channels, size, size]
        )],
        [helper.make_tensor_value_info(
            'probabilities', TensorProto.FLOAT, ['clips', len(predictor.classes)]
        )],
        [numpy_helper.from_array(value, key) for key, value in graph.constants.items()],
    )  # fmt: skip
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid('', OPSET)],
        ir_version=10,
        producer_name='fer_jax',
        producer_version=__version__,
    )
    facts = {
        'name': name,
        'classes': ','.join(predictor.classes),
        'temperature': str(predictor.temperature),
        'digest': predictor.digest,
    }
    helper.set_model_props(model, facts)
    return model


def _said(graph: _Graph, network: TrainedNetwork, unit: str) -> list[str]:
    """Adds a network on levels 0 to 1 [n, C, H, W]; returns its probabilities, of mirrors too."""
    model, size = network.system.model, network.shape[1]
    assert isinstance(model, PlainCNN)
    params, options = network.folded().variables['params'], network.system.inputs
    x = _normalised(graph, network, unit)
    side = options.get('crop', 0) or size
    if side < size:
        first = (size - side) // 2
        span = [[first] * 2, [first + side] * 2, [2, 3]]
        x = graph.add('Slice', x, *(graph.constant(part, np.int64) for part in span))
    if options['channels'] > network.shape[3]:
        x = graph.add('Concat', *[x] * options['channels'], axis=1)
    views = [x]
    if network.system.mirrored:
        views.append(graph.add('MatMul', x, graph.constant(np.eye(side)[::-1])))
    return [_classified(graph, model, params, view, side) for view in views]


def _normalised(graph: _Graph, network: TrainedNetwork, unit: str) -> str:
    """Adds `inputs.normalize` to levels 0 to 1."""
    kind = network.system.inputs['normalize']
    if kind == 'unit':
        return unit
    if kind == 'symmetric':
        return graph.add('Sub', graph.add('Mul', unit, graph.constant(2)), graph.constant(1))
    least = 1 / _WHITE
    if kind == 'mean_std':
        mean, std = (np.asarray(each).transpose(2, 0, 1)[None] for each in network.fits.mean_std)
        centred = graph.add('Sub', unit, graph.constant(mean))
        return graph.add('Div', centred, graph.constant(np.maximum(std, least)))
    axes = graph.constant([1, 2, 3], np.int64)
    centred = graph.add('Sub', unit, graph.add('ReduceMean', unit, axes, keepdims=1))
    variance = graph.add('ReduceMean', graph.add('Mul', centred, centred), axes, keepdims=1)
    deviation = graph.add('Max', graph.add('Sqrt', variance), graph.constant(least))
    return graph.add('Div', centred, deviation)


def _classified(graph: _Graph, model: PlainCNN, params: Any, x: str, side: int) -> str:
    """Adds the folded network to what it sees, [n, C, side, side]; returns probabilities [n, K]."""
    names = [name for name in params if name.startswith('conv')]
    for group in range(1, len(model.filters) + 1):
        if group > 1 and side > 1:
            side //= 2
            x = graph.add('MaxPool', x, kernel_shape=[2, 2], strides=[2, 2])
        for name in sorted(each for each in names if each[:-1] == f'conv{group}'):
            kernel = np.asarray(params[name]['kernel']).transpose(3, 2, 0, 1)
            arrays = graph.constant(kernel), graph.constant(params[name]['bias'])
            x = graph.add('Conv', x, *arrays, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            x = graph.add('Relu', x)
    mean = graph.add('Flatten', graph.add('GlobalAveragePool', x), axis=1)
    last = params['classifier']
    logits = graph.add('Gemm', mean, graph.constant(last['kernel']), graph.constant(last['bias']))
    return graph.add('Softmax', logits, axis=1)
