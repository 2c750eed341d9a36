"""The measurement from clips to page: what is trained, what is kept, what is printed."""

import dataclasses
from pathlib import Path

from fer_jax.config import keys
from fer_jax.data import prepared
from fer_jax.data.clips import ClipSet
from fer_jax.evaluation import rundir
from fer_jax.experiment import run_files
from fer_jax.experiment.clips import ClipSource, Simulated
from fer_jax.studies import study_files
from fer_jax.studies.leakage import design, divisions, optimism, outcomes, page
from fer_jax.studies.leakage.design import LeakageDesign

LEAKING = 'LEAKS ON PURPOSE'
# Of the release, the copies; networks have seeds of their own.
SEED = 0


def load_clips(subjects: int, data_dir: Path) -> tuple[ClipSet, str]:
    """Loads simulated CK+, drawn and prepared where it is not yet.

    Args:
      subjects: simulated people.
      data_dir: where prepared datasets lie.

    Returns:
      The clips, and the fingerprint of the prepared data.
    """
    simulated = Simulated(subjects=subjects, seed=SEED)
    source = ClipSource(**{**keys.EXPERIMENT['data'], **design.DATA}, simulated=simulated)
    place = source.ensure_prepared(data_dir)
    clips = source.load(place)
    about = prepared.describe(source.name, place, source.faces)
    return clips, about['fingerprint']


def measure(clips: ClipSet, fingerprint: str, sizes: LeakageDesign, seeds: int, out: Path) -> None:
    """Trains what is not trained yet, and writes and prints the results.

    Args:
      fingerprint: of the prepared data.

    Raises:
      Interrupted: SIGTERM or Ctrl-C came; the same call goes on from there.
      UserError: `out` holds something else, or a measurement of other sizes or data.
    """
    settings = {
        'fingerprint': fingerprint,
        'data': design.DATA,
        'model': design.MODEL,
        'augmentation': design.AUGMENTATION,
        **dataclasses.asdict(sizes),
    }
    study_files.begin(out, 'leakage', settings)
    copies = divisions.make_copies(clips, sizes.copies, SEED, **design.AUGMENTATION)
    print(
        f'{clips.name}: {len(clips):,} clips, {len(copies.clips):,} copies, SIMULATED faces\n'
        f'{outcomes.networks(sizes)} small networks for each of {seeds} seed(s), {sizes.epochs} '
        f'epochs each\nlaboratory: {out}, which leaks on purpose',
        flush=True,
    )
    system = design.make_system(len(clips.classes))
    found = outcomes.train(sizes, system, copies, seeds, out / 'members')
    outcomes.save(out / 'outcomes.npz', found)
    divisions.siblings(copies, sizes.folds).save(out / page.SIBLINGS)
    stamps = [rundir.SIMULATED] * clips.simulated + [LEAKING]
    values = {'stamps': stamps, **optimism.compute(found, copies, sizes)}
    study_files.save(out, values, run_files.versions(), also=[page.SIBLINGS])
    text, path = page.redraw(out, None)
    print(f'{text}\nreport: {path}', flush=True)
