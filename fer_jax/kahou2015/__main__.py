"""Trains kahou2015's whole system, or draws the page of a run of it again.

    python -m fer_jax.kahou2015 --config=configs/afew_emotiw.py[:simulated] [--workdir=RUN]
    python -m fer_jax.kahou2015 RUN [--out=DIR]
    python -m fer_jax.kahou2015 RUN --fusions [--draws=24]

First flags: --config=FILE[:variant], --workdir=RUN, --out=DIR. Documented in
docs/papers/kahou2015.md.

The system is several models and their fusions: its run has a stage for each, and a stage that is
there is not trained again. fer_jax.main with the same config makes the same run, and fer_jax.report
draws the same page; here is the system by itself, for whoever looks for it under the paper's name.
With --fusions the fusion network alone is trained anew on RUN's finished stages: every ablation of
it under both recipes, and sizes and dropout that are drawn; RUN/fusions.csv has the table.
"""

from pathlib import Path

from absl import flags

from fer_jax import cli
from fer_jax.data import prepared
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import runners


def define(fv: flags.FlagValues) -> None:
    """Declares this command's flags."""
    cli.define_positional(fv, 'RUN, to draw its page again')
    cli.define_config(fv)
    flags.DEFINE_string(
        'workdir', None, 'the run (default runs/<config>-<hash of the config>)', flag_values=fv
    )
    flags.DEFINE_string('out', None, "folder of RUN's page (default RUN)", flag_values=fv)
    flags.DEFINE_boolean(
        'fusions',
        False,
        "train RUN's fusion network anew: ablations and drawn sizes",
        flag_values=fv,
    )
    flags.DEFINE_integer('draws', 24, 'of sizes and dropout, with --fusions', flag_values=fv)
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Trains the config's system, or draws the page of the run that the command names.

    Raises:
      UserError: neither or both are given, or a config of another experiment.
    """
    if (fv.config is None) == (len(fv.positional) != 1):
        raise UserError(
            'give the system: --config=configs/afew_emotiw.py, or one run of it to draw again'
        )
    from fer_jax import runtime
    from fer_jax.kahou2015 import fusions, page, system

    if fv.fusions and fv.config is not None:
        raise UserError('--fusions trains on the stages of a finished run: give RUN, no --config')
    if fv.out and (fv.fusions or fv.config is not None):
        raise UserError('--out is the folder of the page of a RUN: leave it out here')
    if fv.fusions:
        runtime.prepare()
        text, path = fusions.write(Path(fv.positional[0]), fv.draws)
        print(f'{text}\n\n{path}')
        return
    if fv.config is None:
        folder = Path(fv.positional[0])
        rundir.check_out(Path(fv.out or folder), folder)
        text, path = page.redraw(folder, fv.out)
        print(f'{text}\n\n{path}')
        return
    if runners.runner_of(fv.config) is not system.run:
        raise UserError(f'{fv.config.name} is one experiment: python -m fer_jax.main trains it')
    runtime.prepare()
    system.run(fv.config, workdir=fv.workdir, data_dir=prepared.data_root(fv.data_dir))


if __name__ == '__main__':
    cli.run(main, define, __doc__)
