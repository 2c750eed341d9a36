"""Measures a config's training step and inference on this machine, alone or beside PyTorch.

    python -m fer_jax.benchmark --config=configs/ckplus_c3d.py --batch=4 --against=torch
    python -m fer_jax.benchmark --config=configs/fer2013_stn.py --against=torch --forms
    python -m fer_jax.benchmark --config=configs/ckplus_convlstm.py --film=film.mp4

First flags: --config=FILE[:variant], --batch=N, --against=torch. Documented in docs/running.md.

Needs no data: the clips are noise of the config's geometry. The step is the one that training
dispatches, for one member. With --against=torch such a step in PyTorch, eager and compiled by
torch.compile, takes turns with it in this process, on the same number of threads; the ratio is the
median over rounds of fer_jax's time over PyTorch's, below 1 where fer_jax is faster. --forms adds
the native formulations. --film measures what a live camera would wait for.

Floating-point operations are those of XLA's cost analysis of the native form; the peak is the
fastest matrix product measured on the device in the same run. Prints a table; --json writes the
same figures to a file.
"""

import os
import sys
from pathlib import Path

from absl import flags

from fer_jax import atomic, cli
from fer_jax.data.faces import DETECTORS
from fer_jax.errors import UserError


def define(fv: flags.FlagValues) -> None:
    """Declares this command's flags."""
    cli.define_config(fv)
    flags.DEFINE_enum('against', None, ['torch'], 'measure PyTorch beside it', flag_values=fv)
    flags.DEFINE_bool('forms', False, 'measure the native formulations beside it', flag_values=fv)
    flags.DEFINE_integer('batch', 0, 'clips a step (0: as the config trains)', flag_values=fv)
    flags.DEFINE_integer('rounds', 7, 'turns of each contestant', flag_values=fv)
    flags.DEFINE_string('film', None, 'measure from frame to label on this film', flag_values=fv)
    flags.DEFINE_enum(
        'detector', 'haar', DETECTORS, 'what finds the faces of --film', flag_values=fv
    )
    flags.DEFINE_string('json', None, 'also write the figures to this file', flag_values=fv)


def main(fv: flags.FlagValues) -> None:
    """Measures, prints, writes."""
    if fv.config is None:
        raise UserError('give an experiment: --config=configs/ckplus_c3d.py, or another one')
    import jax

    from fer_jax import runtime
    from fer_jax.benchmark import measure, table
    from fer_jax.data.faces import latency

    sections = measure.open_network(fv.config)
    if fv.film and sections.section:
        raise UserError(f'{sections.name} sees features: --film needs a network that sees faces')
    if fv.batch < 0 or fv.rounds < 1:
        raise UserError(f'--batch is {fv.batch} and --rounds {fv.rounds}: give at least 1')
    found = None
    if fv.film:
        clips = sections.clips
        size = {'size': clips.size, 'channels': clips.channels, 'margin': clips.margin}
        found = latency.measure(fv.film, fv.detector, **size)
    runtime.prepare()
    jax.config.update('jax_enable_compilation_cache', False)  # compile time is one of the figures
    figures = measure.measure(
        sections,
        batch=fv.batch or sections.network.recipe.batch_size,
        rounds=fv.rounds,
        against=fv.against,
        forms=fv.forms,
    )
    if found:
        label = figures['inference_batch_1']['fer_jax']['median']
        figures['film'] = {**found, 'label': label, 'total': sum(found.values()) + label}
    print(table.table(figures))
    if fv.json:
        atomic.write_json(Path(fv.json), figures)


if __name__ == '__main__':
    if 'OMP_WAIT_POLICY' not in os.environ:
        # Read when OpenMP is loaded. Its idle threads would otherwise spin on the cores that the
        # other contestant needs, and PyTorch's on its own: the comparison would flatter JAX.
        os.environ['OMP_WAIT_POLICY'] = 'PASSIVE'
        os.execv(sys.executable, sys.orig_argv)
    cli.run(main, define, __doc__)
