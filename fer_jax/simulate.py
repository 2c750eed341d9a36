"""Draws a simulated dataset and lays it out as its owners ship it.

    python -m fer_jax.simulate --dataset=ckplus --out=DIR [--subjects=N] [--seed=S]

Writes DIR whole or not at all, with DIR/SIMULATED.json to say what it is. Without --subjects it has
the published size: ckplus 593 sequences (327 labelled) of 123 people at 640x490, about 1 GB;
fer2013 35,887 faces of 48x48 in fer2013.csv and FER+ like votes in fer2013new.csv.
"""

from absl import flags
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fer_jax import cli
from fer_jax.data import simulated
from fer_jax.errors import UserError


def define(fv: flags.FlagValues) -> None:
    """The command's flags."""
    flags.DEFINE_string('dataset', None, 'ckplus or fer2013', flag_values=fv)
    flags.DEFINE_string('out', None, 'the folder to write the release to', flag_values=fv)
    flags.DEFINE_integer(
        'subjects', None, 'how many people (default: the published size)', flag_values=fv
    )
    flags.DEFINE_integer('seed', 0, 'another seed draws other people', flag_values=fv)
    flags.DEFINE_bool(
        'unlabelled',
        None,
        'ckplus: draw the sequences without a label too (default: for the published size only)',
        flag_values=fv,
    )


def main(fv: flags.FlagValues) -> None:
    """Writes the release."""
    for name in ('dataset', 'out'):
        if not fv[name].value:
            raise UserError(f'--{name} is missing')
    columns = (TextColumn('drawing'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task('', total=None)
        out = simulated.write_release(
            fv.dataset,
            fv.out,
            fv.subjects,
            fv.seed,
            unlabelled=fv.unlabelled,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    print(f'{out}: simulated {fv.dataset}')


if __name__ == '__main__':
    cli.run(main, define, doc=__doc__)
