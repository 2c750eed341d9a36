"""Writes networks as StableHLO (jax.export), with all that stands between a face and its classes.

  model.jax        for jax.export.deserialize: CPU, CUDA and TPU
  model.stablehlo  portable bytecode of the program for a CPU, for compilers of StableHLO

In both the weights are constants.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from fer_jax.errors import UserError
from fer_jax.experiment.predictor import Predictor
from fer_jax.export import files
from fer_jax.export.folder import drawn_faces

JAX, STABLEHLO = 'model.jax', 'model.stablehlo'
PLATFORMS = ('cpu', 'cuda', 'tpu')


def write(predictor: Predictor, out: Path, name: str) -> list[str]:
    """Writes the folder; called and answered as `formats.FORMATS` says.

    Raises:
      UserError: the package that writes the file of jax.export is missing.
    """
    everywhere = _exported(predictor, PLATFORMS)
    try:
        packed = everywhere.serialize()
    except ImportError as error:
        raise UserError(files.missing('flatbuffers')) from error
    programs = {
        JAX: bytes(packed),
        STABLEHLO: _exported(predictor, ('cpu',)).mlir_module_serialized,
    }
    frames, length = drawn_faces(predictor)
    if predictor.sequences:
        inputs, axes = {'frames': frames, 'length': length}, 'clip, frame, row, column, channel'
    else:
        inputs, axes = {'frames': frames[:, 0]}, 'clip, row, column, channel'
    return files.write(predictor, out, name, programs, inputs, axes, runtimes)


def runtimes(folder: Path) -> files.Runtimes:
    """Opens the program of a folder, as of `files.write`."""
    program = export.deserialize(bytearray((folder / JAX).read_bytes()))
    called, sequences = jax.jit(program.call), len(program.in_avals) > 1

    def run(frames: np.ndarray, length: np.ndarray) -> np.ndarray:
        return np.asarray(called(frames, length) if sequences else called(frames[:, 0]))

    return {'jax.export': run}


def _exported(predictor: Predictor, platforms: tuple[str, ...]) -> export.Exported:
    """Traces a predictor for any number of clips, of at least one."""

    def of_clip(frames: jax.Array, length: jax.Array) -> jax.Array:
        return predictor.traced(frames[None], length[None])[0]

    def of_still(frames: jax.Array) -> jax.Array:
        return of_clip(frames[None], jnp.int32(1))

    # Mapped over clips, since layers compute with their number, which here is a symbol.
    (clips,) = export.symbolic_shape('clips')
    shape = predictor.networks[0].shape
    if predictor.sequences:
        lengths = jax.ShapeDtypeStruct((clips,), np.int32)
        given, mapped = [jax.ShapeDtypeStruct((clips, *shape), np.uint8), lengths], of_clip
    else:
        given, mapped = [jax.ShapeDtypeStruct((clips, *shape[1:]), np.uint8)], of_still
    return export.export(jax.jit(jax.vmap(mapped)), platforms=platforms)(*given)
