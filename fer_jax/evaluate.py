"""Judges a trained network on the test clips of a prepared dataset.

    python -m fer_jax.evaluate MODEL --dataset=fer2013 [--labels=ferplus8] [--out=DIR]
    python -m fer_jax.evaluate FOLDER --dataset=fer2013 --labels=ferplus8 --card
    python -m fer_jax.evaluate model.onnx --dataset=fer2013 --classes=anger,... --scale=-1..1

First flags: --dataset=NAME, --labels=SET, --out=DIR. Documented in docs/predict.md (networks,
runs and folders; networks of others).

MODEL is a network of the package by its name (small), a directory that fer_jax.main wrote and
finished, or a folder that fer_jax.export wrote. Its classes are matched to the labels' by their
names. The owners' test part is judged, or their validation part where there is none, or all
clips where there is neither; clips are cut out as the network was trained.

Writes into DIR (default evaluation/): report.html, figures/ and results.json with accuracy, its
interval, mean over classes, macro F1, calibration, confusion, and accuracy by size, sharpness and
brightness of the pictures. Test clips that are identical to a training clip are counted apart. Of
labels that raters' votes decide both rules are counted: all clips, by the first class with most
votes; and those on which a majority agrees, as FER+'s authors count (single votes removed, then
more than half of what remains, and no vote for 'unknown' or 'no face').

With --card the figures are written into the model folder: evaluations.json and README.md.

A file .onnx or .tflite is another's network of single faces (needs the extra export): --classes
names its outputs in order as the labels do, --scale says what black and white are for it, --size
how large faces are where the file does not say. Its stills are resized from the prepared ones. An
output that is no distribution goes through a softmax.

The temperature that calibrates a network comes from its own validation clips; nothing is fitted
here. The labels say how people would name the expression in a picture, not what a person feels.
"""

from pathlib import Path

from absl import flags

from fer_jax import cli
from fer_jax.data import prepared
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.reports import judgement_page


def define(fv: flags.FlagValues) -> None:
    """Defines the command's flags."""
    cli.define_positional(fv, 'MODEL')
    flags.DEFINE_string('dataset', '', 'a prepared dataset, e.g. fer2013', flag_values=fv)
    flags.DEFINE_string('labels', '', 'its label set (default its first)', flag_values=fv)
    flags.DEFINE_string('faces', '', 'how its faces were found (default its first)', flag_values=fv)
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )
    flags.DEFINE_integer('member', -1, 'the one member to judge; -1 for all', flag_values=fv)
    flags.DEFINE_bool(
        'mirrored', None, 'count mirror images too, for twice the time (default as trained)',
        flag_values=fv,
    )  # fmt: skip
    flags.DEFINE_string('out', 'evaluation', 'folder for the page and its numbers', flag_values=fv)
    flags.DEFINE_list('classes', [], "names of the outputs of another's network", flag_values=fv)
    flags.DEFINE_integer(
        'size', 0, "side in pixels of its faces (default the file's)", 0, flag_values=fv
    )
    flags.DEFINE_string('scale', '0..1', 'what black and white are for it', flag_values=fv)
    flags.DEFINE_bool('card', False, "write the figures into MODEL's card too", flag_values=fv)


def main(fv: flags.FlagValues) -> None:
    """Judges what the command names, prints the numbers and where the page is.

    Raises:
      UserError: no model, no dataset, one that is not prepared, or a card without a model folder.
    """
    if len(fv.positional) != 1:
        raise UserError('name one model: python -m fer_jax.evaluate MODEL --dataset=NAME')
    if not fv.dataset:
        raise UserError('--dataset is missing: give a prepared dataset, e.g. fer2013')
    out = Path(fv.out)
    rundir.check_out(out)
    from fer_jax import runtime
    from fer_jax.experiment import foreign, judging
    from fer_jax.experiment.foreign import ForeignNetwork
    from fer_jax.experiment.predictor import Predictor
    from fer_jax.reports import model_card
    from fer_jax.training import model_folder

    runtime.prepare()
    path = Path(fv.positional[0]).expanduser()
    if path.suffix in foreign.ENDINGS:
        if fv.card or fv.member != -1 or fv.mirrored is not None:
            raise UserError(f'{path}: --card, --member and --mirrored are for networks of fer_jax')
        predictor = ForeignNetwork.open(path, fv.classes, size=fv.size, scale=_range(fv.scale))
    elif fv.classes or fv.size:
        raise UserError(f'--classes and --size are for files {", ".join(foreign.ENDINGS)}')
    else:
        predictor = Predictor.open(fv.positional[0], fv.member, fv.mirrored)
    if fv.card and not model_folder.is_folder(predictor.path):
        raise UserError(
            f'--card: {predictor.path} is a run; write a model folder first: '
            f'python -m fer_jax.export {fv.positional[0]} --out=DIR'
        )
    for note in predictor.notes:
        print(f'note: {note}')
    found = judging.judge(
        predictor,
        fv.dataset,
        data_dir=prepared.data_root(fv.data_dir),
        labels=fv.labels,
        faces=fv.faces,
        say=lambda line: print(line, flush=True),
    )
    print(found.summary_text())
    page = judgement_page.write(found, out, 'the network as it is, nothing fitted here')
    print(f'\n{page}')
    if fv.card:
        labels = fv.labels
        if '+' not in fv.dataset:
            about = prepared.describe(fv.dataset, prepared.data_root(fv.data_dir), fv.faces)
            labels = labels or next(iter(about['label_sets']))
        key = ' '.join(filter(None, (fv.dataset, labels, fv.faces)))
        model_card.add(predictor.path, key, found.figures())
        print(predictor.path / model_folder.CARD)


def _range(text: str) -> tuple[float, float]:
    """Reads --scale, two numbers LOW..HIGH."""
    low, _, high = text.partition('..')
    try:
        ends = float(low), float(high)
    except ValueError as error:
        raise UserError(f'--scale={text}: give two numbers, e.g. -1..1') from error
    if not -1e6 < ends[0] < ends[1] < 1e6:
        raise UserError(f'--scale={text}: give the lower number first, e.g. -1..1')
    return ends


if __name__ == '__main__':
    cli.run(main, define, __doc__)
