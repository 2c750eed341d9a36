"""Trains and evaluates an experiment under its protocol, from its config to its report.

    python -m fer_jax.main --config=configs/ckplus_c3d.py:simulated
    python -m fer_jax.main --config=configs/ckplus_c3d.py --config.train.epochs=3 --workdir=/tmp/run
    python -m fer_jax.main --config=configs/ckplus_c3d.py --print_config
    python -m fer_jax.main --config=configs/ckplus_c3d.py --distributed=node0:8476,2,0

First flags: --config=FILE[:variant], --config.KEY=VALUE, --workdir=DIR. Documented in
docs/running.md; all keys are in fer_jax/config/keys.py.

Writes a run's directory (config, folds, checkpoints, probabilities, predictions, results, report).
Started again with the same config it goes on where it was, and a finished run is only read.
More epochs for a finished run that was trained with --config.train.keep_states=True: its command
again, with --config.train.epochs=20 --extend=runs/RUN. The run stays as it is; where the learning
rate does not depend on the number of epochs (cosine, warm-up) they are what a run of 20 would be,
bit for bit.

With --print_config nothing is trained: every key with its value is printed, with a star where it
differs from the defaults, and the folder that the run would have.

With --distributed the processes that are given the same command are one run over all their devices.
Each needs the prepared data; the first alone writes and prints.
"""

from typing import Any

from absl import flags
from ml_collections import ConfigDict

from fer_jax import cli
from fer_jax import config as configs
from fer_jax.data import prepared
from fer_jax.errors import UserError
from fer_jax.experiment import runners


def define(fv: flags.FlagValues) -> None:
    """Defines the command's flags."""
    cli.define_config(fv)
    flags.DEFINE_string(
        'workdir', None, 'the run (default runs/<config>-<hash of the config>)', flag_values=fv
    )
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )
    flags.DEFINE_string(
        'distributed',
        '',
        'one of several processes: auto (SLURM, TPU pods), or HOST:PORT,PROCESSES,NUMBER',
        flag_values=fv,
    )
    flags.DEFINE_string(
        'extend',
        None,
        'a finished run of the same config but fewer train.epochs, from whose end this one goes on',
        flag_values=fv,
    )
    flags.DEFINE_bool(
        'print_config', False, 'print every key of the config and train nothing', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Runs the experiment and prints where the report is."""
    if fv.config is None:
        raise UserError(
            'give an experiment: --config=configs/ckplus_c3d.py, or another file of configs/'
        )
    if fv.print_config:
        _print_config(fv.config, fv.workdir)
        return
    if fv.extend and runners.name_of(fv.config) != runners.EXPERIMENT:
        raise UserError(f'--extend: {fv.config.name} is made of several models, give one of them')
    from fer_jax import runtime

    runtime.join(fv.distributed)
    runtime.prepare()
    run = runners.runner_of(fv.config)
    given: dict[str, Any] = {'workdir': fv.workdir, 'data_dir': prepared.data_root(fv.data_dir)}
    run(fv.config, **given, **({'extend': fv.extend} if fv.extend else {}))


def _print_config(config: ConfigDict, workdir: str | None) -> None:
    """Prints the resolved config, what differs from the defaults marked; reads no data.

    Args:
      workdir: the run's folder, where one is given.
    """
    config = configs.complete(config)
    if config.runner == runners.EXPERIMENT:
        from fer_jax.experiment.run import resolve

        config = resolve(config)
    folder = workdir or f'runs/{config.name}-{configs.identity(config)}'
    print(f'{configs.listing(config)}\n\nrun: {folder}')


if __name__ == '__main__':
    cli.run(main, define, __doc__)
