"""Prepares a dataset: from a release as its owners ship it to records of face clips, once.

    python -m fer_jax.prepare --dataset=ckplus --release=/data/CK+
    python -m fer_jax.prepare --dataset=ckplus --report [--out=DIR]
    python -m fer_jax.prepare --dataset=own --name=clinic --release=/data/clinic/manifest.csv

First flags: --dataset=NAME, --release=DIR, --report. Documented in docs/datasets.md (each dataset's
layout, ways of finding faces) and docs/own-data.md (folders, manifests).

Writes DATA_DIR/<dataset>/faces-<faces>/<version>/: array_record files and metadata.json, which says
what was found, what was dropped and why. Prints the same, and warns where the counts are not the
published ones. Interrupted, the same command takes up the faces that were found. --scene stores
whole frames in DATA_DIR/<dataset>/scene/<version>/ instead. --report draws a page of sample faces
and counts: look before you train; do not publish it.
"""

from typing import Any

from absl import flags

from fer_jax import cli
from fer_jax.data import datasets, faces, preparation, prepared
from fer_jax.errors import UserError
from fer_jax.reports import contact_sheet

# That not every dataset takes.
OPTIONS = (
    *('ferplus', 'camera', 'light', 'fold', 'ratings'),
    *('subject_pattern', 'sequences', 'ignore_columns'),
)


def define(fv: flags.FlagValues) -> None:
    """Declares the flags."""
    names = ', '.join(datasets.DATASETS)
    flags.DEFINE_string('dataset', None, f'which dataset: {names}', flag_values=fv)
    name_help = 'own: the name of the data, for data.name own:NAME'
    flags.DEFINE_string('name', None, name_help, flag_values=fv)
    release_help = "folder with the owners' (or simulated) files; own: a manifest, or class folders"
    flags.DEFINE_string('release', None, release_help, flag_values=fv)
    root = f'${prepared.DATA_DIR_VARIABLE}, else {prepared.DEFAULT_DATA_DIR}'
    data_dir_help = f'where prepared datasets lie; default {root}'
    flags.DEFINE_string('data_dir', None, data_dir_help, flag_values=fv)
    faces_help = f'{", ".join(["release", *faces.DETECTORS])} or none; default: release, else yunet'
    flags.DEFINE_string('faces', '', faces_help, flag_values=fv)
    scene_help = 'datasets of films: whole grey frames, for an activity system, instead of faces'
    flags.DEFINE_bool('scene', False, scene_help, flag_values=fv)
    weights_help = 'what the detector has learnt: file, or folder for face_alignment'
    flags.DEFINE_string('weights', None, weights_help, flag_values=fv)
    skip_help = 'keep the readable frames of damaged films; leave out and list what cannot be read'
    flags.DEFINE_bool('skip_unreadable', False, skip_help, flag_values=fv)
    ferplus_help = "fer2013: FER+'s fer2013new.csv; default: beside fer2013.csv"
    flags.DEFINE_string('ferplus', None, ferplus_help, flag_values=fv)
    camera_help = 'oulu_casia: VL (visible light, the default) or NI (near infrared)'
    flags.DEFINE_string('camera', None, camera_help, flag_values=fv)
    light_help = 'oulu_casia: Strong (the default), Weak or Dark'
    flags.DEFINE_string('light', None, light_help, flag_values=fv)
    fold_help = 'tfd: which of the five official folds becomes the split, 1 (the default) to 5'
    flags.DEFINE_integer('fold', None, fold_help, flag_values=fv)
    ratings_help = 'crema_d: whose votes: audio_visual (the default), face or voice'
    flags.DEFINE_string('ratings', None, ratings_help, flag_values=fv)
    pattern_help = "own: a regular expression that finds the subject in a path, such as '(\\d+)_'"
    flags.DEFINE_string('subject_pattern', None, pattern_help, flag_values=fv)
    sequences_help = 'own: folders of pictures below a class folder are clips, not each picture'
    flags.DEFINE_bool('sequences', None, sequences_help, flag_values=fv)
    ignore_help = 'own: columns of the manifest that are not looked at, joined by commas'
    flags.DEFINE_string('ignore_columns', None, ignore_help, flag_values=fv)
    report_help = 'draw report.html: sample faces, counts, what was left out, face sizes'
    flags.DEFINE_bool('report', False, report_help, flag_values=fv)
    out_help = 'folder for the report; default: beside the records'
    flags.DEFINE_string('out', None, out_help, flag_values=fv)
    flags.DEFINE_bool('overwrite', False, 'replace what was prepared at that place', flag_values=fv)


def main(fv: flags.FlagValues) -> None:
    """Prepares the dataset and prints what was found."""
    for flag in ('dataset',) if fv.report else ('dataset', 'release'):
        if not fv[flag].value:
            usage = 'python -m fer_jax.prepare --dataset=NAME --release=DIR'
            raise UserError(f'--{flag} is missing: {usage}')
    name = f'{fv.dataset}:{fv.name}' if fv.name else fv.dataset
    if fv.faces and (fv.scene or fv.faces == datasets.SCENE):
        raise UserError('whole frames have no faces: give --scene without --faces')
    if fv.scene and fv.report:
        raise UserError('--report shows faces, --scene stores none: ask for it without --scene')
    if fv.release:
        options: dict[str, Any] = {
            name: fv[name].value for name in OPTIONS if fv[name].value is not None
        }
        preparation.prepare(
            name,
            fv.release,
            fv.data_dir,
            faces=datasets.SCENE if fv.scene else fv.faces,
            weights=fv.weights,
            skip_unreadable=fv.skip_unreadable,
            overwrite=fv.overwrite,
            **options,
        )
    if fv.report:
        page = contact_sheet.write_sheet(name, data_dir=fv.data_dir, faces=fv.faces, out=fv.out)
        print(f'report: {page}')


if __name__ == '__main__':
    cli.run(main, define, doc=__doc__)
