"""The leak laboratory: measures, on simulated CK+, how much four leaks flatter an accuracy.

    python -m fer_jax.studies.leakage [--out=DIR] [--subjects=N] [--seeds=N] [--data_dir=DIR]

It leaks on purpose; no run can. Small networks are trained with and without
  (a) augmenting before the clips are divided,
  (b) clips divided at random instead of subjects,
  (c) the best epoch on the test clips instead of one chosen on inner validation subjects,
  (d) the best setting (learning rate, dropout) on the test clips instead of one chosen likewise,
and nothing else different. Draws and prepares simulated CK+ first, once.

Writes DIR/report.html with figures/ (every figure as SVG, every number drawn as CSV), results.json,
outcomes.npz (what every network got right, from which all is computed) and members/ (what an
interrupted measurement goes on from), and prints the results. Started again it goes on where it
was; with more --seeds it trains the new ones only. Every part of the page is stamped.
"""

import dataclasses
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from fer_jax import atomic, cli, runtime
from fer_jax import config as configs
from fer_jax.data import prepared
from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import run_files
from fer_jax.experiment.clips import ClipSource, Simulated
from fer_jax.studies import leakage
from fer_jax.studies.leakage import LeakageDesign, design

LEAKING = 'LEAKS ON PURPOSE'
# Of the release, the copies; networks have seeds of their own.
SEED = 0
# With fewer people a fold has too few of a class to be divided again.
FEWEST = 30


def define(fv: flags.FlagValues) -> None:
    """The command's flags."""
    flags.DEFINE_string('out', 'leaks', 'the folder of the measurement', flag_values=fv)
    flags.DEFINE_integer('subjects', 118, 'how many simulated people', flag_values=fv)
    flags.DEFINE_integer('seeds', 3, 'how many divisions and initialisations', flag_values=fv)
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Measures and prints where the page is."""
    if fv.positional:
        raise UserError(f"'{fv.positional[0]}' is no flag: --out=DIR names the folder")
    if fv.seeds < 1:
        raise UserError(f'--seeds is {fv.seeds}: give at least 1')
    if fv.subjects < FEWEST:
        raise UserError(f'--subjects is {fv.subjects}: give at least {FEWEST}')
    runtime.prepare()
    out = Path(fv.out)
    _check(out)
    simulated = Simulated(subjects=fv.subjects, seed=SEED)
    source = ClipSource(**design.DATA, simulated=simulated)
    place = source.ensure_prepared(prepared.data_root(fv.data_dir))
    clips = source.load(place)
    fingerprint = prepared.describe(source.name, place, source.faces)['fingerprint']
    measure(clips, fingerprint, LeakageDesign(), fv.seeds, out)


def measure(clips: ClipSet, fingerprint: str, sizes: LeakageDesign, seeds: int, out: Path) -> None:
    """Trains what is not trained yet, and writes and prints the results.

    Args:
      fingerprint: of the prepared data.

    Raises:
      UserError: `out` holds something else, or a measurement of other sizes or data.
    """
    stamps = (rundir.SIMULATED,) * clips.simulated + (LEAKING,)
    settings = _settings(sizes, fingerprint)
    _begin(out, settings)
    copies = leakage.make_copies(clips, sizes.copies, SEED, **design.AUGMENTATION)
    networks = leakage.networks(sizes)
    print(
        f'{clips.name}: {len(clips):,} clips, {len(copies.clips):,} copies, SIMULATED faces\n'
        f'{networks} small networks for each of {seeds} seed(s), {sizes.epochs} epochs each\n'
        f'laboratory: {out}, which leaks on purpose',
        flush=True,
    )
    system = leakage.make_system(len(clips.classes))
    outcomes = leakage.train(sizes, system, copies, seeds, out / 'members')
    leakage.save(out / 'outcomes.npz', outcomes)
    values = leakage.compute(outcomes, copies, sizes)
    atomic.write_json(out / 'results.json', {'stamps': list(stamps), **values})
    path = leakage.write(values, copies, settings, run_files.versions(), stamps, out)
    print(leakage.summary_text(values, stamps))
    print(f'report: {path}', flush=True)


def _settings(sizes: LeakageDesign, fingerprint: str) -> dict:
    """By what a measurement is known; seeds may be added to it."""
    return configs.as_json(
        ConfigDict(
            {
                'fingerprint': fingerprint,
                'data': design.DATA,
                'model': design.MODEL,
                'augmentation': design.AUGMENTATION,
                **dataclasses.asdict(sizes),
            }
        )
    )


def _check(out: Path) -> None:
    """Refuses a folder that holds something else, before anything is drawn."""
    known = (out / 'laboratory.json').exists() or not out.exists()
    if not known and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out} is no measurement and not empty; give another --out')


def _begin(out: Path, settings: dict) -> None:
    """Writes leakage.json; refuses a measurement of other sizes or data."""
    path = out / 'laboratory.json'
    if path.exists():
        difference = configs.first_difference(settings, rundir.read_json(path), 'laboratory')
        if difference:
            raise UserError(f'{out} is another measurement: {difference}; give another --out')
    else:
        atomic.write_json(path, settings)


if __name__ == '__main__':
    cli.run(main, define, __doc__)
