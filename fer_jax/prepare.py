"""Prepares a dataset: from a release as its owners ship it to records of face clips, once.

    python -m fer_jax.prepare --dataset=ckplus --release=/data/CK+
    python -m fer_jax.prepare --dataset=fer2013 --release=/data/fer2013 --ferplus=fer2013new.csv

Writes DATA_DIR/<dataset>/faces-release/<version>/: array_record files and metadata.json, which says
what was found, what was dropped and why. Prints the same, and warns where the counts are not the
published ones.
"""

from absl import flags

from fer_jax import cli
from fer_jax.data import datasets, preparation, prepared
from fer_jax.errors import UserError


def define(fv: flags.FlagValues) -> None:
    """Declares the flags."""
    names = ', '.join(datasets.DATASETS)
    flags.DEFINE_string('dataset', None, f'which dataset: {names}', flag_values=fv)
    release_help = "folder with the owners' (or simulated) files"
    flags.DEFINE_string('release', None, release_help, flag_values=fv)
    root = f'${prepared.DATA_DIR_VARIABLE}, else {prepared.DEFAULT_DATA_DIR}'
    data_dir_help = f'where prepared datasets lie; default {root}'
    flags.DEFINE_string('data_dir', None, data_dir_help, flag_values=fv)
    ferplus_help = "fer2013: FER+'s fer2013new.csv; default: beside fer2013.csv"
    flags.DEFINE_string('ferplus', None, ferplus_help, flag_values=fv)
    flags.DEFINE_bool('overwrite', False, 'replace what was prepared at that place', flag_values=fv)


def main(fv: flags.FlagValues) -> None:
    """Prepares and prints what was found."""
    for flag in ('dataset', 'release'):
        if not fv[flag].value:
            usage = 'python -m fer_jax.prepare --dataset=NAME --release=DIR'
            raise UserError(f'--{flag} is missing: {usage}')
    options = {'ferplus': fv.ferplus} if fv.ferplus else {}
    preparation.prepare(fv.dataset, fv.release, fv.data_dir, overwrite=fv.overwrite, **options)


if __name__ == '__main__':
    cli.run(main, define, doc=__doc__)
