"""Train and evaluate an experiment under its protocol, from its config to its report.

    python -m fer_jax.main --config=configs/ckplus_c3d.py
    python -m fer_jax.main --config=configs/ckplus_c3d.py:simulated
    python -m fer_jax.main --config=configs/ckplus_c3d.py --config.train.epochs=3 --workdir=/tmp/run

Writes a run's directory (config, folds, checkpoints, probabilities, predictions, results, report).
Started again with the same config it goes on where it was, and a finished run is only read.
"""

from absl import flags

from fer_jax import cli, experiment, runtime
from fer_jax.data import prepared
from fer_jax.errors import UserError


def define(fv: flags.FlagValues) -> None:
    """The command's flags."""
    cli.define_config(fv)
    flags.DEFINE_string(
        'workdir', None, 'the run (default runs/<config>-<hash of the config>)', flag_values=fv
    )
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Runs the experiment and prints where the report is."""
    if fv.config is None:
        raise UserError(
            'give an experiment: --config=configs/ckplus_c3d.py, or another file of configs/'
        )
    runtime.prepare()
    experiment.run(fv.config, workdir=fv.workdir, data_dir=prepared.data_root(fv.data_dir))


if __name__ == '__main__':
    cli.run(main, define, __doc__)
