"""Three studies: memory over many steps, what the order of frames is worth, what leaks are worth.

    python -m fer_jax.studies adding [--seeds=N] [--out=DIR]
    python -m fer_jax.studies order [--seeds=N] [--subjects=N] [--out=DIR] [--data_dir=DIR]
    python -m fer_jax.studies leakage [--seeds=N] [--subjects=N] [--out=DIR] [--data_dir=DIR]

First flags: --seeds=N, --subjects=N, --out=DIR. Documented in docs/results.md (studies) and
docs/protocols.md (what leaks are worth).

adding: the IRNN and a tanh RNN of the same size learn the adding problem over 150 steps (Le et al.
2015). order: on simulated CK+, divided by subject, a 3D CNN and a ConvLSTM learn the same clips
with their frames in order, shuffled, and with the apex in place of all. leakage: measures, on
simulated CK+, how much four leaks flatter an accuracy. It leaks on purpose; no run can.

Writes DIR/report.html with figures/ (every figure as SVG, every number drawn as CSV) and
results.json, and prints the results; `python -m fer_jax.report DIR` draws the page again. Started
again a study goes on where it was; adding and leakage then also take more --seeds and train the new
ones only. order keeps its runs in DIR/<network>/<order>, leakage what every network got right in
outcomes.npz.
"""

import dataclasses
from pathlib import Path

import numpy as np
from absl import flags

from fer_jax import atomic, cli, runtime
from fer_jax.data import prepared
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import run as experiment
from fer_jax.experiment import run_files
from fer_jax.reports import comparison_page
from fer_jax.studies import adding, adding_page, leakage, order, order_page, study_files
from fer_jax.training.progress import TrainingProgress

# Study -> how many starts of each network by default, and with how many people at least, where it
# has people: with fewer a fold of `leakage` has too few of a class to be divided again.
SEEDS = {'adding': 2, 'order': 2, 'leakage': 3}
FEWEST = {'order': 5, 'leakage': 30}
SUBJECTS = 118


def define(fv: flags.FlagValues) -> None:
    """Declares this command's flags."""
    cli.define_positional(fv, 'STUDY')
    flags.DEFINE_integer(
        'seeds', None, 'starts of each network (default 2; leakage 3)', flag_values=fv
    )
    flags.DEFINE_integer(
        'subjects', None, f'simulated people (default {SUBJECTS}); not of adding', flag_values=fv
    )
    flags.DEFINE_string('out', None, 'its folder (default studies/STUDY)', flag_values=fv)
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Trains what is not trained yet and prints where the page is."""
    study = _study(fv)
    seeds = SEEDS[study] if fv.seeds is None else fv.seeds
    if seeds < 1:
        raise UserError(f'--seeds is {seeds}: give at least 1')
    subjects = SUBJECTS if fv.subjects is None else fv.subjects
    if study == 'adding':
        for name in ('subjects', 'data_dir'):
            if fv[name].value is not None:
                raise UserError(f'--{name} is not for adding, whose sequences are numbers')
    elif subjects < FEWEST[study]:
        raise UserError(f'--subjects is {subjects}: give at least {FEWEST[study]}')
    out = Path(fv.out or f'studies/{study}')
    study_files.check(out, study)
    runtime.prepare()
    if study == 'adding':
        study_adding(adding.AddingDesign(), seeds, out)
        return
    data_dir = prepared.data_root(fv.data_dir)
    if study == 'order':
        study_order(order.OrderDesign(subjects=subjects), seeds, out, data_dir)
    else:
        clips, fingerprint = leakage.load_clips(subjects, data_dir)
        leakage.measure(clips, fingerprint, leakage.LeakageDesign(), seeds, out)


def _study(fv: flags.FlagValues) -> str:
    """Returns the study that the command names; UserError where it names none, or more."""
    given = 'no study is named' if not fv.positional else f"'{fv.positional[0]}' is unknown"
    if len(fv.positional) > 1:
        given = f"one study at a time, and '{fv.positional[1]}' is no flag"
    if len(fv.positional) != 1 or fv.positional[0] not in SEEDS:
        raise UserError(f'{given}: python -m fer_jax.studies {"|".join(SEEDS)}')
    return fv.positional[0]


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


if __name__ == '__main__':
    cli.run(main, define, __doc__)
