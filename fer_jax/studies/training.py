"""Trains the networks of a study that are not trained yet, and draws its page."""

import dataclasses
from pathlib import Path

import numpy as np

from fer_jax import atomic
from fer_jax.evaluation import rundir
from fer_jax.experiment import run as experiment
from fer_jax.experiment import run_files
from fer_jax.reports import comparison_page
from fer_jax.studies import adding, adding_page, order, order_page, study_files
from fer_jax.training.progress import TrainingProgress


def study_adding(design: adding.AddingDesign, seeds: int, out: Path) -> None:
    """Trains both networks from every seed and reports.

    Raises:
      UserError: `out` holds something else, or a study of other sizes; or a network diverged.
    """
    study_files.begin(out, 'adding', dataclasses.asdict(design))
    plans = {
        (name, seed): out / 'networks' / f'{name}-{seed}.npy'
        for name in adding.NETWORKS
        for seed in range(seeds)
    }
    waiting = {plan: path for plan, path in plans.items() if not path.exists()}
    with TrainingProgress(design.steps * len(waiting), unit='sequences') as progress:
        if waiting:
            progress.compiling()
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
    study_files.save(out, adding.compute(design, errors), run_files.versions())
    text, page = adding_page.redraw(out, None)
    print(f'{text}\nreport: {page}', flush=True)


def study_order(design: order.OrderDesign, seeds: int, out: Path, data_dir: Path) -> None:
    """Trains every network on every order and reports.

    Raises:
      Interrupted: SIGTERM or Ctrl-C came; the same call goes on from there.
      UserError: `out` holds something else, or a study of other sizes.
    """
    study_files.begin(out, 'order', {**dataclasses.asdict(design), 'seeds': seeds})
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
    study_files.save(out, values, run_files.versions())
    for network, found in compared.items():
        comparison_page.write(found, out / network)
    text, page = order_page.redraw(out, None)
    print(f'\n{text}\nreport: {page}', flush=True)
