"""Searches for the best setting of a config: one of many workers of a study, or the only one.

    python -m fer_jax.sweep --config=FILE[:variant] --study=NAME --storage=ADDRESS --trials=TOTAL
    python -m fer_jax.sweep --config=FILE[:variant] --study=NAME --storage=ADDRESS --retrain_best
    python -m fer_jax.sweep --config=FILE[:variant] --study=NAME --storage=ADDRESS --finish=NUMBER

First flags: --config, --study with --storage, --trials. Documented in docs/running.md.

ADDRESS is journal:PATH, a file for a few workers on one host, or for many
postgresql+psycopg://USER@HOST:PORT/DATABASE, with the password in $PGPASSWORD or ~/.pgpass.

The config file declares what is varied in get_space(config). A trial is one population: all folds
of one setting, a run like any other in WORKDIR/trial-NUMBER. --trials is the total of the study:
start the same command as often as there is room. A trial whose worker was stopped or killed is
taken over from its checkpoints.

Settings are compared on inner validation clips; no test clip is judged until --retrain_best. With
--choose_on_test they are compared on the test folds, and every report says so. A setting whose
remaining folds cannot reach --threshold any more (with --choose_on_test by default the config's) is
given up; --finish=NUMBER trains it.
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from fer_jax import cli
from fer_jax import config as configs
from fer_jax.config import Space
from fer_jax.data import prepared
from fer_jax.errors import UserError
from fer_jax.sweep import sampling, snapshot, space
from fer_jax.sweep.ledger import Ledger
from fer_jax.sweep.storage import Store, open_store, require_optuna


def define(fv: flags.FlagValues) -> None:
    """Declares this command's flags."""
    cli.define_config(fv)
    flags.DEFINE_string('study', None, 'its name', flag_values=fv)
    flags.DEFINE_string(
        'storage', None, 'journal:PATH or postgresql+psycopg://USER@HOST:PORT/DATABASE',
        flag_values=fv,
    )  # fmt: skip
    flags.DEFINE_integer('trials', None, 'of the study, all workers together', flag_values=fv)
    flags.DEFINE_enum(
        'sampler', 'tpe', sampling.SAMPLERS, 'how settings are proposed', flag_values=fv
    )
    flags.DEFINE_integer('seed', 0, 'of the proposals', flag_values=fv)
    flags.DEFINE_enum('pruner', 'none', sampling.PRUNERS, 'besides the threshold', flag_values=fv)
    flags.DEFINE_float(
        'threshold', None,
        "give up what cannot reach it, 0 to 1 (default: the config's, with --choose_on_test only)",
        flag_values=fv,
    )  # fmt: skip
    flags.DEFINE_bool(
        'choose_on_test', False, 'compare settings on the test folds: optimistic', flag_values=fv
    )
    flags.DEFINE_bool('retrain_best', False, 'train the best setting again', flag_values=fv)
    flags.DEFINE_integer('finish', None, 'train this pruned trial to its end', flag_values=fv)
    flags.DEFINE_string('workdir', None, 'the study (default runs/STUDY)', flag_values=fv)
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Works for the study until all its trials have ended."""
    _check(fv)
    path = config_flags.get_config_filename(fv['config']).partition(':')[0]
    searched = configs.load_space(path, fv.config)
    if fv.threshold is not None:
        searched = dataclasses.replace(searched, threshold=fv.threshold)
    elif not fv.choose_on_test:
        # A config's threshold is a paper's, meant for its choice on the test folds. On inner
        # validation clips, judged by networks that saw fewer, every trial might end below it.
        searched = dataclasses.replace(searched, threshold=0.0)
    space.check(fv.config, searched)
    how = sampling.Sampling(fv.sampler, fv.pruner, fv.seed)
    kinds = space.distributions(fv.config, searched)
    if fv.sampler == 'grid':
        space.grid(kinds)  # a range is found before the storage is touched
    with contextlib.closing(open_store(fv.storage)) as store:
        _with_store(fv, store, searched, how, kinds)


def _with_store(
    fv: flags.FlagValues, store: Store, searched: Space, how: sampling.Sampling, kinds: Mapping
) -> None:
    """Does what the command is for, once its storage answers."""
    from fer_jax import runtime
    from fer_jax.sweep import trial, work

    data_dir = prepared.data_root(fv.data_dir)
    runtime.prepare()
    search = trial.StudyPlan.prepare(
        fv.study, fv.config, searched, how, on_test=fv.choose_on_test, data_dir=data_dir
    )
    ledger = Ledger(
        store, fv.study, plan=search.plan(), distributions=kinds, sampling=how,
        total=fv.trials or 0,
    )  # fmt: skip
    workdir = Path(fv.workdir or f'runs/{fv.study}')
    snapshot.check_place(workdir, ledger)
    if fv.finish is not None:
        trial.finish(search, ledger, fv.finish, workdir, data_dir)
    elif fv.retrain_best:
        trial.retrain_best(search, ledger, workdir, data_dir)
    else:
        work.work(search, ledger, workdir, data_dir)


def _check(fv: flags.FlagValues) -> None:
    """Refuses a command line, or an installation, that lacks something."""
    require_optuna()
    if fv.config is None:
        raise UserError('give an experiment that declares a search space: --config=FILE')
    for name, example in (('study', 'NAME'), ('storage', 'journal:PATH')):
        if not fv[name].value:
            raise UserError(f'name the {name}: --{name}={example}')
    if '/' in fv.study:
        raise UserError(f"--study={fv.study}: a name without '/'")
    if fv.finish is None and not fv.retrain_best and (fv.trials or 0) < 1:
        raise UserError('say how many trials the study has in all: --trials=TOTAL')


if __name__ == '__main__':
    cli.run(main, define, __doc__)
