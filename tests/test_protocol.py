"""The protocol command as it is typed: folds to a file, a run from a file, the audit."""

import csv
import importlib.util
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax import cli, protocol
from fer_jax import config as configs
from fer_jax.data import preparation, prepared
from fer_jax.errors import UserError
from fer_jax.experiment import run as experiment
from fer_jax.experiment.sections import Sections

# ml_collections loads config files with it on Python 3.11.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')

ROOT = Path(__file__).parents[1]
CKPLUS = f'--config={ROOT / "configs" / "ckplus_c3d.py"}'
SMALL = ['--config.data.frames=2', '--config.data.size=32', '--config.protocol.k=2',
         '--config.model.width=0.03125']  # fmt: skip


def write_ckplus(folder):
    """Sequences of two frames of noise, as CK+ ships: six subjects with two emotions each."""
    rng = np.random.default_rng(0)
    columns, rows = np.meshgrid(np.linspace(40, 100, 17), np.linspace(30, 90, 4))
    points = ''.join(f' {x:.4e} {y:.4e}\n' for x, y in zip(columns.flat, rows.flat, strict=True))
    for subject in range(6):
        for number in (1, 2):
            name = f'S{subject + 1:03}', f'{number:03}'
            stem = '_'.join(name)
            for part in ('cohn-kanade-images', 'Landmarks', 'Emotion'):
                (folder / part / name[0] / name[1]).mkdir(parents=True)
            for frame in ('00000001', '00000002'):
                picture = rng.integers(0, 256, (120, 140)).astype(np.uint8)
                place = folder / 'cohn-kanade-images' / name[0] / name[1] / f'{stem}_{frame}.png'
                cv2.imwrite(str(place), picture)
                place = folder / 'Landmarks' / name[0] / name[1] / f'{stem}_{frame}_landmarks.txt'
                place.write_text(points)
            place = folder / 'Emotion' / name[0] / name[1] / f'{stem}_00000002_emotion.txt'
            place.write_text(f'   {1 + 2 * number:.7e}\n')
    return folder


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
    """CK+ of twelve clips, prepared."""
    folder = tmp_path_factory.mktemp('data')
    release = write_ckplus(tmp_path_factory.mktemp('release'))
    preparation.prepare('ckplus', release, folder, report=lambda line: None)
    return folder


def call(*arguments):
    cli.call(protocol.main, protocol.define, arguments)


@pytest.fixture
def folds(data_dir, tmp_path, capsys):
    """A fold file of three subject-disjoint folds."""
    path = tmp_path / 'folds.json'
    call('--dataset=ckplus', '--name=idstep3', f'--out={path}', f'--data_dir={data_dir}')
    assert capsys.readouterr().out == (
        f'{path}: idstep3 of ckplus, 12 clips; 3 folds with 4 4 4 test clips\n'
    )
    return path


def config_of(*arguments):
    return cli.parse(cli.define_config, [CKPLUS, *SMALL, *arguments]).config


def leak(path):
    """Moves a test clip of the second fold, S002_001, among its training clips."""
    document = json.loads(path.read_text())
    document['folds'][1]['test'].remove('S002_001')
    document['folds'][1]['train'].append('S002_001')
    path.write_text(json.dumps(document))


def test_the_file_has_clips_and_subjects(folds):
    document = json.loads(folds.read_text())
    assert document['protocol'] == 'idstep3' and document['subject_disjoint'] is True
    assert document['subjects']['S004_002'] == 'S004'
    assert [fold['test'] for fold in document['folds']] == [
        [f'S{subject:03}_{number:03}' for subject in (i, i + 3) for number in (1, 2)]
        for i in (1, 2, 3)
    ]


@pytest.mark.parametrize('name', ['loso', 'balanced2', 'random50x3'])
def test_every_name_writes_what_a_run_would_make(data_dir, tmp_path, name):
    path = tmp_path / 'made' / 'folds.json'
    call('--dataset=ckplus', f'--name={name}', f'--out={path}', f'--data_dir={data_dir}')
    document = json.loads(path.read_text())
    assert document['protocol'] == name
    assert document['stamps'] == ['subjects shared'] * name.startswith('random')
    assert len(document['folds']) == {'loso': 6, 'balanced2': 2, 'random50x3': 3}[name]


def test_folds_of_data_prepared_in_another_way_than_the_first(tmp_path):
    release = tmp_path / 'photos'
    for label in ('joy', 'anger'):
        (release / label).mkdir(parents=True)
        for number in range(4):
            picture = np.full((20, 20), 30 * number, np.uint8)
            cv2.imwrite(str(release / label / f'{number}.png'), picture)
    options = {'faces': 'none', 'report': lambda line: None}
    preparation.prepare('own:photos', release, tmp_path / 'data', **options)
    path = tmp_path / 'folds.json'
    of = ('--dataset=own:photos', '--name=random50x1', f'--out={path}')
    call(*of, f'--data_dir={tmp_path / "data"}', '--faces=none', '--labels=own')
    assert len(json.loads(path.read_text())['folds'][0]['test']) == 4
    with pytest.raises(UserError, match="own:photos has no labels 'other'"):
        call(*of, f'--data_dir={tmp_path / "data"}', '--faces=none', '--labels=other')
    with pytest.raises(UserError, match='--faces does not go with --audit'):
        call('--audit', CKPLUS, '--faces=none')


def test_a_run_takes_the_folds_of_a_file(folds, data_dir):
    config = config_of(f'--config.protocol.file={folds}')
    built = experiment.build(config, data_dir)
    assert built.protocol.name == 'idstep3' and built.stamps == ()
    assert [member.fold_number for member in built.members] == [0, 1, 2]
    tested = built.clips.clip_id[built.members[1].fold.test].tolist()
    assert tested == json.loads(folds.read_text())['folds'][1]['test']


def test_a_run_refuses_a_leaking_file(folds, data_dir):
    leak(folds)
    with pytest.raises(UserError, match=r'folds\.json, fold 1: .* train and test share S002; move'):
        experiment.build(config_of(f'--config.protocol.file={folds}'), data_dir)


def test_a_run_says_that_a_fold_file_holds_no_validation_clips(
    folds, data_dir, tmp_path, monkeypatch, capsys
):
    given = f'--config.protocol.file={folds}', '--config.protocol.validation=0.3'
    with pytest.raises(UserError, match=r'folds\.json holds none in some fold: write a file that'):
        experiment.build(config_of(*given, '--config.train.retrain=True'), data_dir)

    def stop(*args):
        raise InterruptedError

    monkeypatch.setattr(experiment, 'train_members', stop)
    for arguments, notes in ((given, 1), (given[:1], 0)):
        with pytest.raises(InterruptedError):
            experiment.run(
                config_of(*arguments), workdir=str(tmp_path / str(notes)), data_dir=data_dir
            )
        said = capsys.readouterr().out
        assert said.count('note: protocol.validation 0.3 is left out, the folds are') == notes


def test_a_run_is_known_by_the_content_of_its_fold_file(folds, tmp_path):
    plain = experiment.resolve(config_of())
    assert plain.protocol.file == '' and plain.protocol.name == 'idstep'
    before = experiment.resolve(config_of(f'--config.protocol.file={folds}'))
    assert set(before.protocol) == {'file', 'sha256', 'fold', 'inner'}
    # The rule that the file replaces is no part of the run; the fold is.
    same = config_of(f'--config.protocol.file={folds}', '--config.protocol.k=5')
    assert configs.identity(experiment.resolve(same)) == configs.identity(before)
    assert configs.identity(experiment.resolve(before)) == configs.identity(before)
    leak(folds)
    after = experiment.resolve(config_of(f'--config.protocol.file={folds}'))
    identities = {configs.identity(config) for config in (plain, before, after)}
    assert len(identities) == 3
    with pytest.raises(UserError, match='its content is not that of protocol.sha256'):
        Sections.open(before).protocol.make(None)


@pytest.mark.parametrize('path', sorted((ROOT / 'configs').glob('*.py')), ids=lambda p: p.stem)
def test_every_config_takes_a_fold_file(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    # What is made of several models has the partitions of the challenge.
    assert 'models' in config or config.protocol.file == ''


def findings(folder):
    with (folder / 'figures' / 'findings.csv').open() as file:
        return {row['question']: row for row in csv.DictReader(file)}


def test_the_audit_of_an_experiment(data_dir, tmp_path, capsys):
    call(
        '--audit', CKPLUS, *SMALL, '--config.inputs.normalize=mean_std',
        '--config.loss.class_weights=True', f'--data_dir={data_dir}', f'--out={tmp_path / "audit"}',
        "--config.stamps=('FOUND BY A SEARCH',)",
    )  # fmt: skip
    out = capsys.readouterr().out
    assert 'ckplus: 12 clips of 6 subjects, 7 classes; idstep2: 2 of 2 folds' in out
    assert 'do not publish' in out
    found = findings(tmp_path / 'audit')
    # haddad2020: a clip of disgust has 4 views, one of happiness too; two statistics in two folds.
    assert found['Views for training made of clips of other parts']['of'] == '48'
    assert found['Fitted statistics that saw clips of other parts']['of'] == '4'
    assert {row['verdict'] for row in found.values()} == {'none', 'note'}
    assert found['Classes without a training clip in some fold']['found'] == '5'
    text = (tmp_path / 'audit' / 'report.html').read_text()
    assert 'ckplus' in text and 'FOUND BY A SEARCH' in text


def test_the_audit_sees_registrations_and_members_trained_again(data_dir, tmp_path):
    call(
        '--audit', CKPLUS, *SMALL, '--config.inputs.normalize=mean_std',
        '--config.data.registration=procrustes', '--config.protocol.validation=0.3',
        '--config.train.retrain=True', f'--data_dir={data_dir}', f'--out={tmp_path / "audit"}',
    )  # fmt: skip
    found = findings(tmp_path / 'audit')['Fitted statistics that saw clips of other parts']
    # A template and a mean image in each of two folds, before and after the epoch is chosen.
    assert (found['found'], found['of']) == ('0', '8')
    with (tmp_path / 'audit' / 'figures' / 'made_from_clips.csv').open() as file:
        rows = {row['name']: row for row in csv.DictReader(file)}
    first, again = (rows[f'mean and deviation image{when}'] for when in ('', ', trained again'))
    assert int(first['clips']) < int(again['clips']) == int(again['train'])


def test_the_audit_of_a_leaking_file_shows_it_and_fails(folds, data_dir, tmp_path, capsys):
    leak(folds)
    with pytest.raises(UserError, match='train and test share S002'):
        call(
            '--audit', CKPLUS, *SMALL, f'--config.protocol.file={folds}', f'--data_dir={data_dir}',
            f'--out={tmp_path / "audit"}', '--config.protocol.fold=1',
        )  # fmt: skip
    assert 'idstep3: 1 of 3 folds' in capsys.readouterr().out
    found = findings(tmp_path / 'audit')['Subjects in two parts of a fold']
    assert (found['found'], found['verdict']) == ('1', 'leak')
    text = (tmp_path / 'audit' / 'report.html').read_text()
    assert 'A run refuses these folds:' in text and 'SHA-256' in text


@pytest.mark.parametrize(
    'arguments, message',
    [
        ([], '--dataset is missing: python -m fer_jax.protocol --dataset=NAME --name=NAME --out'),
        (['--dataset=ckplus', '--name=loso'], '--out is missing'),
        (['--audit'], '--config is missing: python -m fer_jax.protocol --audit --config=FILE'),
        (['--audit', CKPLUS, '--name=loso'], '--name does not go with --audit'),
        (
            ['--dataset=ckplus', '--name=loso', '--out=f.json', CKPLUS],
            '--config does not go without --audit',
        ),
        (['--dataset=ckplus', '--name=kfold', '--out=f.json'], "unknown protocol 'kfold'"),
        (['--dataset=ckplus', '--name=idstep9', '--out=f.json'], '6 subjects, idstep needs at'),
        (['--dataset=ckplus', '--name=official', '--out=f.json'], 'no official training and test'),
        (['--audit', CKPLUS, '--config.protocol.file=nowhere.json'], r'nowhere\.json: No such'),
        (
            ['--audit', CKPLUS, '--config.data.neutral=True', '--config.data.frames=4'],
            'data.frames is 4, and data.neutral takes the first frame',
        ),
    ],
)
def test_mistakes_leave_nothing(data_dir, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        call(*arguments, f'--data_dir={data_dir}')
    assert '\n' not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_audit_does_not_write_over_a_run(data_dir, tmp_path):
    (tmp_path / 'config.json').write_text('{}')
    with pytest.raises(UserError, match='is a run or a file: give another folder as --out'):
        call('--audit', CKPLUS, *SMALL, f'--data_dir={data_dir}', f'--out={tmp_path}')
    assert [path.name for path in tmp_path.iterdir()] == ['config.json']


@pytest.mark.slow
def test_the_audit_of_the_original_fer2013(tmp_path, capsys):
    """Reads what is known of its duplicates, and the near ones that were counted with it."""
    release = Path(os.environ.get('FER_JAX_REAL_DATA', ''))
    if 'FER_JAX_REAL_DATA' not in os.environ or not (release / 'fer2013.csv').exists():
        pytest.skip('the original fer2013.csv is not at hand: FER_JAX_REAL_DATA names its folder')
    preparation.prepare('fer2013', release, tmp_path / 'data', report=lambda line: None)
    config = f'--config={ROOT / "configs" / "fer2013_stn.py"}'
    call('--audit', config, f'--data_dir={tmp_path / "data"}', f'--out={tmp_path / "audit"}')
    assert 'fer2013: 35,887 clips of unknown subjects' in capsys.readouterr().out
    found = findings(tmp_path / 'audit')
    copies = found['Clips that repeat another, pixel by pixel']
    assert int(copies['of']) - int(copies['found']) == 34_034
    assert found['Groups of identical clips with more than one label']['found'] == '57'
    with (tmp_path / 'audit' / 'figures' / 'crossings.csv').open() as file:
        rows = {row['crossing']: row for row in csv.DictReader(file)}
    assert rows['Test clips in training']['identical'] == '288'
    assert rows['Test clips in training or validation']['identical'] == '314'
    # Rounding in a library of linear algebra may turn a bit of a few of them.
    assert int(rows['Test clips in training']['nearly identical']) == pytest.approx(148, abs=5)
    alike = found['Pairs of different clips that look alike']['found']
    assert int(alike) == pytest.approx(1188, abs=20)
    assert prepared.describe('fer2013', tmp_path / 'data')['simulated'] is None
