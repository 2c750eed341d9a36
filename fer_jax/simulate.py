"""Draws a simulated dataset and lays it out as its owners ship it.

    python -m fer_jax.simulate --dataset=ckplus --out=DIR [--subjects=N] [--seed=S]

Writes DIR whole or not at all, with DIR/SIMULATED.json to say what it is. Everyone shown is drawn;
nobody is real. Without --subjects it has the published size:

    ckplus       593 sequences (327 labelled) of 123 people at 640x490, about 1 GB
    jaffe        213 pictures of 10 people, 256x256 TIFF
    mmi          2,900 sessions of 75 people: videos from onset to offset, stills; 360x288
    oulu_casia   480 sequences of 80 people at 320x240, camera VL in Strong light
    savee        480 videos with sound of 4 speakers
    afew         1,809 videos with sound of 302 people: training, validation and test parts;
                 --rendered=0.1 draws a tenth and leaves the others black
    fer2013      35,887 faces of 48x48 in fer2013.csv and FER+ like votes in fer2013new.csv
    ferg         55,767 pictures of 6 drawn characters; --subjects=1 to 6 is so many characters with
                 30 pictures of each emotion
    own_pictures 60 pictures of 20 people in three classes whose names are in another script: data
                 of one's own, in folders; own_films: 120 films with sound, in a manifest
    tfd          4,178 labelled faces of 48x48 among 112,234 rows, of which the others are black

Videos have fewer or smaller frames than the originals, to be drawn in minutes; the first lines of
fer_jax/data/simulated/<dataset>.py say what else differs.
"""

import time

from absl import flags
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fer_jax import cli, simulation
from fer_jax.errors import UserError
from fer_jax.simulation import release

LINE_EVERY_S = 15.0  # where the output is no terminal


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
    columns = (TextColumn('drawing'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task, said = bar.add_task('', total=None), time.monotonic()

        def show(done: int, total: int) -> None:
            nonlocal said
            bar.update(task, completed=done, total=total)
            if not bar.console.is_terminal and time.monotonic() - said > LINE_EVERY_S:
                said = time.monotonic()
                bar.console.print(f'drawing: {done} of {total} parts')

        out = simulation.write_release(
            fv.dataset,
            fv.out,
            fv.subjects,
            fv.seed,
            unlabelled=fv.unlabelled,
            rendered=fv.rendered,
            progress=show,
        )
    print(f'{out}: simulated {fv.dataset}')


if __name__ == '__main__':
    cli.run(main, define, doc=__doc__)
