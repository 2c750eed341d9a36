"""Two studies of the networks: a problem that needs memory, and whether the order of frames counts.

    python -m fer_jax.studies --study=adding [--seeds=N] [--out=DIR]
    python -m fer_jax.studies --study=time [--seeds=N] [--out=DIR] [--data_dir=DIR]

adding: the IRNN and a tanh RNN of the same size learn the adding problem over 150 steps (Le et al.
2015). time: on simulated CK+, divided by subject, a 3D CNN and a ConvLSTM learn the same clips with
their frames in order, shuffled, and with the apex in place of all; draws and prepares the simulated
release first, once.

Writes DIR/report.html with figures/ (every figure as SVG, every number drawn as CSV) and
results.json, and prints the results. Started again it goes on: adding keeps every network that is
finished, also with more --seeds; time keeps its runs, DIR/<network>/<order>, which are runs like
any other, and compares each network's in DIR/<network>/report.html.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from fer_jax import atomic, cli, runtime
from fer_jax import config as configs
from fer_jax.data import prepared
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import run as experiment
from fer_jax.experiment import run_files
from fer_jax.reports import comparison_page
from fer_jax.studies import adding, adding_page, order, order_page
from fer_jax.training.progress import TrainingProgress

STUDIES = ('adding', 'time')


def define(fv: flags.FlagValues) -> None:
    """The command's flags."""
    flags.DEFINE_string('study', None, 'adding or time', flag_values=fv)
    flags.DEFINE_integer('seeds', 2, 'how many starts of each network', flag_values=fv)
    flags.DEFINE_string('out', None, 'its folder (default studies/STUDY)', flag_values=fv)
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Trains what is not trained yet and prints where the page is."""
    if fv.positional:
        raise UserError(f"'{fv.positional[0]}' is no flag: python -m fer_jax.studies --study=time")
    if fv.study not in STUDIES:
        given = 'is missing' if fv.study is None else f"'{fv.study}' is unknown"
        raise UserError(f'--study {given}: give {" or ".join(STUDIES)}')
    if fv.seeds < 1:
        raise UserError(f'--seeds is {fv.seeds}: give at least 1')
    out = Path(fv.out or f'studies/{fv.study}')
    runtime.prepare()
    if fv.study == 'adding':
        study_adding(adding.AddingDesign(), fv.seeds, out)
    else:
        study_time(order.OrderDesign(), fv.seeds, out, prepared.data_root(fv.data_dir))


def study_adding(design: adding.AddingDesign, seeds: int, out: Path) -> None:
    """Trains both networks from every seed and reports.

    Raises:
      UserError: `out` holds something else, or a study of other sizes; or a network diverged.
    """
    settings = dataclasses.asdict(design)
    _begin(out, {'study': 'adding', **settings})
    plans = {
        (name, seed): out / 'networks' / f'{name}-{seed}.npy'
        for name in adding.NETWORKS
        for seed in range(seeds)
    }
    waiting = {plan: path for plan, path in plans.items() if not path.exists()}
    with TrainingProgress(design.steps * len(waiting), unit='sequences') as progress:
        for (name, seed), path in waiting.items():
            title = f'{adding.TITLES[name]} seed {seed}'

            def show(error, title=title):
                progress.describe(f'{title}, test error {error:.4f}')
                progress.advance(design.every, design.every * design.batch_size)

            errors = adding.train(design, name, seed, show)
            with atomic.replacing(path) as temporary:
                np.save(temporary, errors)
            progress.say(f'{title}: test error {errors[-1]:.5f}')
    errors = {
        name: np.stack([np.load(plans[name, seed]) for seed in range(seeds)])
        for name in adding.NETWORKS
    }
    values = adding.compute(design, errors)
    atomic.write_json(out / 'results.json', values)
    page = adding_page.write(values, settings, run_files.versions(), out)
    print(f'{adding.summary_text(values, design)}\nreport: {page}', flush=True)


def study_time(design: order.OrderDesign, seeds: int, out: Path, data_dir: Path) -> None:
    """Trains every network on every order and reports.

    Raises:
      Interrupted: SIGTERM or Ctrl-C came; the same call goes on from there.
      UserError: `out` holds something else, or a study of other sizes.
    """
    settings = {**dataclasses.asdict(design), 'seeds': seeds}
    _begin(out, {'study': 'time', **settings})
    runs: dict[str, dict[str, rundir.Run]] = {}
    for network in order.NETWORKS:
        runs[network] = {}
        for name in order.ORDERS:
            print(f'\n{order.TITLES[network]}, frames {order.ORDERS[name]}', flush=True)
            config = order.make_config(design, network, name, seeds)
            folder = out / network / name
            experiment.run(config, workdir=str(folder), data_dir=data_dir)
            runs[network][name] = rundir.load(folder)
    values, compared = order.compute(runs)
    atomic.write_json(out / 'results.json', values)
    for network, found in compared.items():
        comparison_page.write(found, out / network)
    page = order_page.write(values, settings, run_files.versions(), out)
    print(f'\n{order.summary_text(values)}\nreport: {page}', flush=True)


def _begin(out: Path, settings: Mapping[str, Any]) -> None:
    """Writes study.json; refuses a folder of something else or of other settings."""
    path = out / 'study.json'
    if path.exists():
        difference = configs.first_difference(dict(settings), rundir.read_json(path), 'study')
        if difference:
            raise UserError(f'{out} is another study: {difference}; give another --out')
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out} is no study and not empty; give another --out')
    else:
        atomic.write_json(path, settings)


if __name__ == '__main__':
    cli.run(main, define, __doc__)
