"""Trains the ablations that a config declares, and compares them with the config as it stands.

    python -m fer_jax.ablate --config=configs/fer2013_stn.py:ferplus7
    python -m fer_jax.ablate --config=configs/ckplus_c3d.py --ablations=class_weights,balanced

First flags: --config=FILE[:variant], --ablations=A,B, --workdir=DIR. Documented in docs/index.md
(the commands) and docs/extending.md (how a config declares them).

An ablation is one way to read what a paper contradicts or leaves open: a name, a sentence, and the
values that it changes, from get_ablations(config) of the config file. The config as it stands
(`base`) and each ablation are runs like any other, trained one after another where fer_jax.main
with the same values would put them; one that is finished is only read.

Then it writes report.html and figures/ into runs/<config>-<hash of the config>-ablations, and
prints the same table: every ablation, what it changes, its accuracy, and its difference from the
base. With --workdir=DIR that is DIR, and the runs are DIR/base and DIR/<ablation>.
"""

from collections.abc import Mapping
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from fer_jax import cli
from fer_jax import config as configs
from fer_jax.config import Ablation
from fer_jax.data import prepared
from fer_jax.errors import UserError
from fer_jax.evaluation import ablations, rundir
from fer_jax.reports import comparison_page

BASE = 'base'


def define(fv: flags.FlagValues) -> None:
    """Defines the command's flags."""
    cli.define_config(fv)
    flags.DEFINE_list('ablations', None, 'names, with commas (default all)', flag_values=fv)
    flags.DEFINE_string(
        'workdir', None, 'the page and the runs (default: each in its place in runs/)',
        flag_values=fv,
    )  # fmt: skip
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Trains what is not finished, then writes the comparison and prints it."""
    if fv.config is None:
        raise UserError(
            'give an experiment that declares ablations: --config=configs/ckplus_c3d.py'
        )
    from fer_jax import runtime
    from fer_jax.experiment import run as experiment
    from fer_jax.experiment import run_files

    chosen = {BASE: Ablation('The config as it stands.', {}), **_chosen(fv)}
    plans = _distinct(fv.config, chosen)
    # Folders first: a place that is taken is found before hours of training.
    folders = {
        name: run_files.folder_of(config, fv.workdir and str(Path(fv.workdir) / name))
        for name, config in plans.items()
    }
    base = plans[BASE]
    out = Path(fv.workdir or f'runs/{base.name}-{configs.identity(base)}-ablations')
    rundir.check_out(out, option='--workdir')
    runtime.prepare()
    for number, (name, config) in enumerate(plans.items(), 1):
        print(f'\nablation {number} of {len(plans)}, {name}: {chosen[name].why}', flush=True)
        try:
            experiment.run(
                config, workdir=str(folders[name]), data_dir=prepared.data_root(fv.data_dir)
            )
        except UserError as error:
            raise UserError(f"ablation '{name}': {error}") from error
    values = ablations.compute(
        {name: rundir.load(folder) for name, folder in folders.items()},
        {name: (chosen[name].why, chosen[name].changes) for name in folders},
    )
    page = comparison_page.write(values, out)
    print(f'\n{ablations.text(values)}\n\n{page}')


def _chosen(fv: flags.FlagValues) -> dict[str, Ablation]:
    """Selects the declared ablations that the command names, or all of them."""
    path = config_flags.get_config_filename(fv['config']).partition(':')[0]
    declared = configs.load_ablations(path, fv.config)
    if BASE in declared:
        raise UserError(f"{path}: '{BASE}' is the config as it stands: rename that ablation")
    unknown = sorted(set(fv.ablations or ()) - set(declared))
    if unknown:
        raise UserError(f"unknown ablation '{unknown[0]}': {path} has {', '.join(declared)}")
    return {name: declared[name] for name in fv.ablations or declared}


def _distinct(config: ConfigDict, chosen: Mapping[str, Ablation]) -> dict[str, ConfigDict]:
    """Resolves the config of each ablation, without those that repeat an earlier one's."""
    from fer_jax.experiment import run as experiment

    plans: dict[str, ConfigDict] = {}
    known: dict[str, str] = {}
    for name, ablation in chosen.items():
        plan = experiment.resolve(configs.changed(config, name, ablation))
        first = known.setdefault(configs.identity(plan), name)
        if first == name:
            plans[name] = plan
        else:
            print(f'ablation {name} is the config of {first}: not trained twice')
    if len(plans) == 1:
        raise UserError('every ablation is the config as it stands: there is nothing to compare')
    return plans


if __name__ == '__main__':
    cli.run(main, define, __doc__)
