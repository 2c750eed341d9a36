"""Writes a dataset's folds to a file that any run accepts, or audits an experiment for leaks.

    python -m fer_jax.protocol --dataset=ckplus --name=idstep10 --out=folds.json
    python -m fer_jax.protocol --audit --config=configs/fer2013_stn.py --out=audit

First flags: --dataset and --name for folds, --config with --audit, --out. Documented in
docs/protocols.md.

Names: idstep10 and balanced10 (any number of folds), loso, official, random80x5 (80 % for training,
five times), random80+10x5 (10 % for validation besides), across-afew (of several datasets the one
that does not train). The file names clips and subjects, so that laboratories can exchange folds; a
run takes it with --config.protocol.file=folds.json and refuses it where it breaks its promise.

--audit trains nothing. It looks for people and similar clips in two parts of a fold, for statistics
that were fitted on other than training clips, and for labels that contradict each other. It prints
what it found and writes report.html with figures/ to --out, by default to
audits/<config>-<hash of the config>. The page shows faces of the dataset: do not publish it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags
from ml_collections import ConfigDict

from fer_jax import atomic, cli
from fer_jax import config as configs
from fer_jax.data import fold_file, leaks, prepared, protocols
from fer_jax.errors import UserError
from fer_jax.evaluation import audit, rundir
from fer_jax.reports import audit_page

if TYPE_CHECKING:
    from fer_jax.experiment.members import Data
    from fer_jax.experiment.sections import Sections

# Nothing is drawn where only folds are wanted: pictures are loaded as small as can be.
THUMBNAIL = {'frames': 1, 'sampling': 'last', 'size': 8}


def define(fv: flags.FlagValues) -> None:
    """Declares the flags."""
    cli.define_config(fv)
    flags.DEFINE_bool('audit', False, 'look for leaks in the folds of --config', flag_values=fv)
    flags.DEFINE_string('dataset', None, 'the dataset to divide', flag_values=fv)
    flags.DEFINE_string('name', None, 'how to divide it, e.g. idstep10', flag_values=fv)
    flags.DEFINE_string(
        'faces', None, 'how its faces were found (default its first)', flag_values=fv
    )
    flags.DEFINE_string('labels', None, 'its label set (default its first)', flag_values=fv)
    flags.DEFINE_string('out', None, 'the fold file; with --audit a folder', flag_values=fv)
    flags.DEFINE_string(
        'data_dir', None, 'prepared datasets (default $FER_JAX_DATA)', flag_values=fv
    )


def main(fv: flags.FlagValues) -> None:
    """Writes folds, or audits."""
    needed, others = ('dataset', 'name', 'out'), ('config',)
    if fv.audit:
        needed, others = ('config',), ('dataset', 'name', 'faces', 'labels')
    for flag in needed:
        if fv[flag].value is None:
            usage = '--audit --config=FILE' if fv.audit else '--dataset=NAME --name=NAME --out=FILE'
            raise UserError(f'--{flag} is missing: python -m fer_jax.protocol {usage}')
    for flag in others:
        if fv[flag].value is not None:
            raise UserError(f'--{flag} does not go {"with" if fv.audit else "without"} --audit')
    if fv.audit:
        audit_experiment(fv.config, prepared.data_root(fv.data_dir), fv.out)
    else:
        prepared_as = {'faces': fv.faces or '', 'labels': fv.labels or ''}
        write_folds(fv.dataset, fv.name, Path(fv.out), fv.data_dir, **prepared_as)


def write_folds(
    dataset: str, name: str, out: Path, data_dir: str | None, *, faces: str, labels: str
) -> None:
    """Divides a prepared dataset and writes the fold file.

    Args:
      faces, labels: see `prepared.load`.
    """
    options = protocols.parse_name(name)
    clips = prepared.load(dataset, data_dir=data_dir, faces=faces, labels=labels, **THUMBNAIL)
    protocol = protocols.make_protocol(clips, **options)
    stamps = (rundir.SIMULATED,) * clips.simulated + leaks.check_folds(protocol, clips)
    atomic.write_json(out, fold_file.to_json(protocol, clips, stamps))
    sizes = ' '.join(str(len(fold.test)) for fold in protocol.folds)
    print(
        f'{out}: {protocol.name} of {dataset}, {len(clips):,} clips; '
        f'{len(protocol.folds)} folds with {sizes} test clips'
    )
    for stamp in stamps:
        print(f'note: {stamp}')


def audit_experiment(config: ConfigDict, data_dir: Path, out: str | None) -> None:
    """Prints what the audit finds and writes its page.

    Raises:
      UserError: the config or its data are wrong; or, once the page is written, the folds are such
        that a run refuses them.
    """
    # Import jax: seconds that writing folds does not need.
    from fer_jax.experiment import run as experiment
    from fer_jax.experiment.members import Data
    from fer_jax.experiment.sections import Sections

    config = experiment.resolve(config)
    sections = Sections.open(config)
    folder = Path(out or Path('audits') / f'{config.name}-{configs.identity(config)}')
    if (folder / 'config.json').exists() or (folder.exists() and not folder.is_dir()):
        raise UserError(f'{folder} is a run or a file: give another folder as --out')
    data = Data.load(sections, data_dir, promising=False)
    clips, source = data.clips, sections.protocol.file
    protocol = sections.protocol.make(clips)
    refusal = ''
    try:
        leaks.check_folds(protocol, clips, source)
    except UserError as error:
        refusal = str(error)
    made = list(_made(sections, data, data_dir))
    examined = audit.examine(
        clips,
        protocol,
        sorted({item.fold for item in made}),
        made,
        stamps=(rundir.SIMULATED,) * clips.simulated + data.stamps,
        refusal=refusal,
    )
    facts = {
        'Command': cli.command_line(),
        'Fingerprint of the data': data.dataset['fingerprint'],
        'Fold file': source or None,
        'SHA-256 of the fold file': sections.protocol.sha256 or None,
    }
    path = audit_page.write(examined, facts, folder)
    print(audit_page.text(examined))
    print(f'\naudit: {path}\n{audit_page.KEEP}')
    if refusal:
        raise UserError(refusal)


def _made(sections: 'Sections', data: 'Data', data_dir: Path) -> Iterator[audit.Made]:
    """Lists what training makes of each fold's clips: views and fits of its first members."""
    from fer_jax.experiment.members import make_groups

    learner, source = sections.learner, sections.feature_source(data_dir)
    divisions = {'': data.protocol}
    if learner.retrain:
        divisions[', trained again'] = data.protocol.merged()
    for when, protocol in divisions.items():
        for group in make_groups(sections, data, source, protocol, [sections.seed]):
            for member in group.members:
                number, train = member.fold_number, member.fold.train
                kind, views = learner.views(member, group.clips)
                yield audit.Made(number, f'views ({kind}){when}', views.clip, train, True)
                for fit in member.fits:
                    yield audit.Made(number, fit.name + when, fit.clips, train, False)


if __name__ == '__main__':
    cli.run(main, define, __doc__)
