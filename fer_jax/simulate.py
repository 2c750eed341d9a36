"""Draws a simulated dataset and lays it out as its owners ship it.

    python -m fer_jax.simulate --dataset=ckplus --out=/data/simulated/ckplus
    python -m fer_jax.simulate --dataset=own_pictures --out=photos

First flags: --dataset=NAME, --out=DIR, --subjects=N. Documented in docs/datasets.md (what is drawn
of each).

Writes DIR whole or not at all, with DIR/SIMULATED.json to say what it is. Everyone shown is drawn;
nobody is real. Without --subjects it has the published size: some seconds for jaffe, minutes for
ckplus (1 GB), fer2013 and ferg. Videos have fewer or smaller frames than the originals.
"""

from absl import flags

from fer_jax import cli, simulation
from fer_jax.data.progress import Progress
from fer_jax.errors import UserError
from fer_jax.simulation import release


def define(fv: flags.FlagValues) -> None:
    """Declares the flags."""
    names = ', '.join(release.DATASETS)
    flags.DEFINE_string('dataset', None, f'which dataset: {names}', flag_values=fv)
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
    flags.DEFINE_float(
        'rendered', None, 'afew: which share of the films is drawn, 0 to 1', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Writes the release."""
    for name in ('dataset', 'out'):
        if not fv[name].value:
            raise UserError(f'--{name} is missing')
    with Progress('drawing', 'parts') as bar:
        out = simulation.write_release(
            fv.dataset,
            fv.out,
            fv.subjects,
            fv.seed,
            unlabelled=fv.unlabelled,
            rendered=fv.rendered,
            progress=bar.show,
        )
    print(f'{out}: simulated {fv.dataset}')


if __name__ == '__main__':
    cli.run(main, define, doc=__doc__)
