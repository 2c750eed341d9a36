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

from pathlib import Path

from absl import flags

from fer_jax import cli
from fer_jax.data import prepared
from fer_jax.errors import UserError

# Study -> how many starts of each network by default, and with how many people at least, where it
# has people: with fewer an accuracy of `order` has no interval (bootstrap.FEWEST_UNITS), and a fold
# of `leakage` has too few of a class to be divided again.
SEEDS = {'adding': 2, 'order': 2, 'leakage': 3}
FEWEST = {'order': 8, 'leakage': 30}
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
    from fer_jax import runtime
    from fer_jax.studies import adding, leakage, order, study_files, training

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
        training.study_adding(adding.AddingDesign(), seeds, out)
        return
    data_dir = prepared.data_root(fv.data_dir)
    if study == 'order':
        training.study_order(order.OrderDesign(subjects=subjects), seeds, out, data_dir)
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


if __name__ == '__main__':
    cli.run(main, define, __doc__)
