"""Writes trained networks in a form that is used without their run, or without fer_jax.

    python -m fer_jax.export RUN --format=folder --out=DIR [--member=0] [--name=NAME]
    python -m fer_jax.export MODEL --format=onnx --out=DIR
    python -m fer_jax.export MODEL --format=stablehlo --out=DIR

First flags: --out=DIR, --format=folder, --member=NUMBER. Documented in docs/predict.md (networks,
runs and folders; programs for others).

MODEL is a network of the package by its name (small), a finished run, or a folder that this wrote.
DIR must be missing or empty. All members are written, of a run with train.retrain those that
were trained again, and whoever loads the folder gets the mean of their probabilities; --member
takes one alone. Of a run whose registration was fitted (procrustes, mean_shape) it is the first.

Format folder: what `fer_jax.load(DIR)`, `--model=DIR` of predict and evaluate and
`--config.init.run=DIR` of training take, with nothing else at hand:
  model.safetensors  the networks' arrays; kernels in two bytes a number where nothing is lost
  config.json        classes, what is cut out of a picture and what a network sees of it, the
                     network, the temperature that calibrates it, the SHA-256 of the arrays
  seen.json.xz       the clips that it was trained or chosen on, which it may never be judged on
  golden.npz         drawn faces and what the networks say of them
  README.md          the model card; evaluate --card fills in its figures

Formats stablehlo and onnx (extra export): a program from faces of uint8 to calibrated
probabilities; equalising, normalising, crop and mirror image are inside (not `data.equalize`,
which comes before a face is resized), the number of faces is free. ONNX is written of plain
networks of single faces, of others by `bash launch/onnx.sh`, one clip at a time; StableHLO of all.
  model.onnx         opset 21
  model.stablehlo    portable bytecode for a CPU; model.jax is for jax.export.deserialize, anywhere
  model.json         classes, inputs, temperature, hashes, how far runtimes differ, ms a face
  golden.npz         drawn faces and what the networks say of them
  README.md          the same for people
"""

from pathlib import Path

from absl import flags

from fer_jax import atomic, cli
from fer_jax.errors import UserError
from fer_jax.export import formats


def define(fv: flags.FlagValues) -> None:
    """Defines the command's flags."""
    cli.define_positional(fv, 'MODEL')
    known = [*formats.FORMATS]
    flags.DEFINE_enum('format', known[0], known, f'one of {", ".join(known)}', flag_values=fv)
    flags.DEFINE_string('out', '', 'the folder to write', flag_values=fv)
    flags.DEFINE_integer('member', -1, 'the one member to write; -1 for all', flag_values=fv)
    flags.DEFINE_string('name', '', "what to call it (default the config's name)", flag_values=fv)


def main(fv: flags.FlagValues) -> None:
    """Writes what the command names, and prints what came of it.

    Raises:
      UserError: not one run, a run that cannot be applied, or a folder that is not free.
    """
    if len(fv.positional) != 1:
        raise UserError('name one model: python -m fer_jax.export MODEL --out=DIR')
    if not fv.out:
        raise UserError('--out is missing: give the folder to write')
    out = Path(fv.out).expanduser()
    if not atomic.is_free(out):
        raise UserError(f'{out} is not empty: give another --out')
    from fer_jax import runtime
    from fer_jax.experiment.predictor import Predictor

    runtime.prepare()
    predictor = Predictor.open(fv.positional[0], fv.member)
    print('\n'.join(formats.writer(fv.format)(predictor, out, fv.name)))


if __name__ == '__main__':
    cli.run(main, define, __doc__)
