"""Writes networks of any family as ONNX, from the program that JAX traces, with jax2onnx.

jax2onnx pins an orbax that collides with ours and never imports it; `launch/onnx.sh` makes an
environment of its own for both. The program takes one clip (or one face) at a time, whole: a graph
with the number of clips left open would need rules for mapping that jax2onnx has of few operators.
"""

import contextlib
from pathlib import Path
from typing import Any

import cv2
import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np

from fer_jax.errors import UserError
from fer_jax.experiment.predictor import Predictor
from fer_jax.export import files
from fer_jax.export.folder import drawn_faces
from fer_jax.ops import portable

MODEL = 'model.onnx'
OPSET = 21


def write(predictor: Predictor, out: Path, name: str) -> list[str]:
    """Writes the folder; called and answered as `formats.FORMATS` says.

    Raises:
      UserError: jax2onnx is missing, or does not know an operator of the network.
    """
    model = trace(predictor, name or predictor.name)
    frames, _ = drawn_faces(predictor)
    axes = 'clip, frame, row, column, channel'
    if not predictor.sequences:
        frames, axes = frames[:, 0], 'clip, row, column, channel'
    programs, inputs = {MODEL: model.SerializeToString()}, {'frames': frames}
    lines = files.write(predictor, out, name, programs, inputs, axes, runtimes, clips=1)
    return [*lines, *_unread(out)]


def trace(predictor: Predictor, name: str) -> Any:
    """Traces a predictor for one whole clip and translates it to a ModelProto.

    Raises:
      UserError: as of `write`.
    """
    try:
        import jax2onnx  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        if error.name != 'jax2onnx':
            raise
        raise UserError(
            f'{predictor.path}: ONNX of this family is written with jax2onnx, in an environment of '
            'its own: bash launch/onnx.sh MODEL --out=DIR; or give --format=stablehlo'
        ) from error
    shape = predictor.networks[0].shape
    given = jax.ShapeDtypeStruct((1, *(shape if predictor.sequences else shape[1:])), np.uint8)

    def whole(frames: jax.Array) -> jax.Array:
        clips = frames if predictor.sequences else frames[:, None]
        return predictor.traced(clips, jnp.full(1, shape[0], jnp.int32))

    with portable.operators():
        # Traced before jax2onnx replaces Flax's layers by its own.
        program = jax.extend.core.jaxpr_as_fun(jax.make_jaxpr(whole)(given))
    try:
        model = jax2onnx.to_onnx(
            lambda frames: program(frames)[0],
            [given],
            model_name=name,
            opset=OPSET,
            input_names=['frames'],
            output_names=['probabilities'],
        )
    except NotImplementedError as error:
        said = ' '.join(str(error).split())
        raise UserError(
            f'{predictor.path}: jax2onnx cannot write it ({said[:200]}); give --format=stablehlo'
        ) from error
    from onnx import helper

    helper.set_model_props(
        model,
        {
            'classes': ','.join(predictor.classes),
            'temperature': str(predictor.temperature),
            'digest': predictor.digest,
        },
    )
    return model


def runtimes(folder: Path) -> files.Runtimes:
    """Opens model.onnx in the runtimes that read it, as of `files.write`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = str(folder / MODEL)
    session = onnxruntime.InferenceSession(path, options, ['CPUExecutionProvider'])
    stills = len(session.get_inputs()[0].shape) == 4

    def one_by_one(run: Any) -> Any:
        def all_of(frames: np.ndarray, length: np.ndarray) -> np.ndarray:
            given = frames[:, 0] if stills else frames
            return np.concatenate([run(given[k : k + 1]) for k in range(len(given))])

        return all_of

    found = {'ONNX Runtime': one_by_one(lambda one: session.run(None, {'frames': one})[0])}
    with contextlib.suppress(cv2.error):
        network = cv2.dnn.readNetFromONNX(path)

        def opencv(one: np.ndarray) -> np.ndarray:
            """Runs OpenCV, which takes levels as float32."""
            network.setInput(one.astype(np.float32))
            return network.forward().copy()

        opencv(np.zeros([1, *session.get_inputs()[0].shape[1:]], np.uint8))
        found["OpenCV's dnn"] = one_by_one(opencv)
    return found


def _unread(folder: Path) -> list[str]:
    """Says in a line that OpenCV does not read the file; nothing where it does."""
    try:
        network = cv2.dnn.readNetFromONNX(str(folder / MODEL))
        with np.load(folder / files.GOLDEN) as golden:
            network.setInput(golden['frames'][:1].astype(np.float32))
        network.forward()
    except cv2.error:
        return ["OpenCV's dnn does not read it"]
    return []
