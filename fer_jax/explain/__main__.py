"""Draws what a finished run's network looks at: saliency, warps, first filters, clips over time.

    python -m fer_jax.explain RUN [--member=N] [--clips=N] [--window=8] [--stride=4]
        [--kind=flip|fall] [--out=DIR] [--data_dir=DIR]

First flags: --kind=fall, --clips=N, --out=DIR. Documented in docs/running.md.

RUN is a directory that fer_jax.main wrote and finished; its prepared data must be there. Of one
member (a fold under a seed) the network of the epoch that its validation clips chose, without any
of the last, is asked about test clips that it gets right, up to --clips of each class (0 for all),
with a square of --window pixels zeroed in what it sees, every --stride pixels (minaee2019, sec.
IV-C). The maps show where hiding makes the prediction wrong (flip, the paper's way) or how far the
probability of the true class falls (fall).

Writes explain.html, which needs nothing else, and figures/ (every figure as SVG, every number drawn
as CSV, all arrays as explain.npz) into DIR, by default RUN/explain, and prints a table of the
classes. Where the faces are of people, the page shows them: do not publish it.
"""

from pathlib import Path

import tqdm
from absl import flags

from fer_jax import cli
from fer_jax.data import prepared
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.explain import KINDS


def define(fv: flags.FlagValues) -> None:
    """Defines the command's flags."""
    cli.define_positional(fv, 'RUN')
    flags.DEFINE_integer('member', 0, 'which fold under which seed, from 0', flag_values=fv)
    flags.DEFINE_integer('clips', 50, 'maps of a class at most; 0 for all', flag_values=fv)
    flags.DEFINE_integer('window', 8, 'side of the zeroed square in pixels', flag_values=fv)
    flags.DEFINE_integer('stride', 4, 'pixels from one square to the next', flag_values=fv)
    flags.DEFINE_enum('kind', 'flip', KINDS, 'what the maps show: flip or fall', flag_values=fv)
    flags.DEFINE_string('out', None, 'folder of the page (default RUN/explain)', flag_values=fv)
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Draws what the network of the run that the command names looks at.

    Raises:
      UserError: no finished run, a member or a window that there is not, data that are not there or
        not those of the run, or a network that gets no test clip right.
    """
    from fer_jax import runtime
    from fer_jax.experiment import run_files
    from fer_jax.explain import page, saliency
    from fer_jax.explain.network import Trained
    from fer_jax.explain.occlusion import Windows

    if len(fv.positional) != 1:
        raise UserError('name one run: python -m fer_jax.explain RUN')
    if fv.clips < 0:
        raise UserError(f'--clips is {fv.clips}: give a number of clips, or 0 for all')
    out = Path(fv.out) if fv.out else Path(fv.positional[0]).expanduser() / page.NAME
    rundir.check_out(out)
    runtime.prepare()
    trained = Trained.open(fv.positional[0], fv.member, prepared.data_root(fv.data_dir))
    clip = saliency.choose(trained, fv.clips)
    if not len(clip):
        raise UserError(f'{trained.run.path}: member {fv.member} gets no test clip right')
    windows = Windows.over(trained.seen(clip[:1]).shape[2:4], fv.window, fv.stride)
    member, clips = trained.member, trained.clips
    print(
        f'{clips.name}: member {member.index} (fold {member.fold_number}, seed {member.seed}) '
        f'after epoch {trained.network.epoch}{", SIMULATED faces" * clips.simulated}\n'
        f'{len(windows)} windows of {windows.size} x {windows.size} in each of {len(clip)} clips',
        flush=True,
    )
    study = saliency.study(
        trained, clip, windows, progress=lambda some: tqdm.tqdm(some, 'maps', disable=None)
    )
    path = page.write(trained, study, fv.kind, out, run_files.versions())
    print(saliency.text(study.table(), trained.run.stamps))
    print(f'page: {path}', flush=True)


if __name__ == '__main__':
    cli.run(main, define, __doc__)
