"""Targets of the fuzzer: files that commands read, how they are read, and what may pass."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.io import savemat

from fer_jax import cli
from fer_jax import main as main_command
from fer_jax.config import CONFIGS, as_json, complete, keys, load_config
from fer_jax.data import datasets as known
from fer_jax.data import fold_file, leaks, preparation, prepared, protocols
from fer_jax.evaluation import results, rundir
from fer_jax.experiment.predictor import Predictor
from fer_jax.experiment.sections import Sections
from fer_jax.kahou2015 import audio_files
from fer_jax.simulation.people import movie
from fer_jax.training import model_folder
from fer_jax.training.transfer import Source
from tests.data import conftest as handmade
from tests.finished_runs import synthetic, write_run

GEOMETRY = {'frames': 2, 'sampling': 'last', 'size': 24}


@dataclasses.dataclass(frozen=True)
class Target:
    """Something that reads files.

    Attributes:
      write: makes the files in a folder.
      read: reads them and returns what came of it, as nested dicts of comparable values.
      accepted: why a mutation may change a value and pass, by the name of the value.
      pattern: of the files that are damaged.
      kinds: whether mistakes of several kinds are told in several lines, one for each.
    """

    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    accepted: dict[str, str]
    pattern: str = '*'
    kinds: bool = False


def quiet(_line: str) -> None:
    """Takes the lines of a summary."""


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def scanned(name: str, faces: str = '', **options: Any) -> Callable[[Path], Any]:
    """Scans a release and reads every clip, as a preparation does, without storing any."""

    def read(folder: Path) -> Any:
        builder_class = known.builder_class(name)
        way = faces or builder_class.FACES[0]
        builder = builder_class(data_dir=folder / 'unused', config=known.config_name(way))
        scanned = builder.open(folder, **options)
        classes = set(next(iter(builder.LABEL_SETS.values()), ()))
        found = {}
        with ThreadPoolExecutor(1) as pool:
            for clip in scanned.clips:
                assert clip.label in classes | {''} or name == 'own', clip
                frames, where = builder.read(clip, pool)
                assert {frame.dtype.name for frame in frames} == {'uint8'}
                sound = () if builder.sound is None else builder.sound(clip)
                found[clip.clip_id] = {
                    'label': clip.label,
                    'other labels': dict(clip.other_labels),
                    'subject': clip.subject,
                    'split': clip.split,
                    'votes': list(clip.votes),
                    'pixels': digest(np.concatenate([frame.reshape(-1) for frame in frames])),
                    'frames': len(frames),
                    'faces': where and [digest(where.box), digest(where.landmarks)],
                    'sound': [digest(np.asarray(part)) for part in sound],
                }
        return found

    return read


def write_savee(folder: Path) -> None:
    for name in ('DC/a01', 'KL/h04'):
        path = folder / 'AudioVisualClip' / f'{name}.avi'
        path.parent.mkdir(parents=True)
        images = [np.full((48, 64, 3), 40 + 30 * t, np.uint8) for t in range(3)]
        noise = np.random.default_rng(0).integers(-999, 999, 2000).astype(np.int16)
        movie.write_movie(path, images, 12, sound=noise, rate=8000)


def write_jaffe(folder: Path) -> None:
    folder.mkdir()
    for number, name in enumerate(('KA.AN1.39', 'KA.HA1.29', 'YM.NE1.49')):
        image = np.full((256, 256), 40 + 50 * number, np.uint8)
        cv2.imwrite(str(folder / f'{name}.tiff'), image)


def write_tfd(folder: Path) -> None:
    folder.mkdir()
    rows = np.arange(12)
    tables = {
        'images': np.random.default_rng(0).integers(0, 256, (12, 48, 48)).astype(np.uint8),
        'labs_ex': (1 + rows % 7)[:, None].astype(np.int8),
        'labs_id': (rows // 2)[:, None].astype(np.int16),
        'folds': np.tile((rows % 3 + 1)[:, None], (1, 5)).astype(np.uint8),
    }
    savemat(folder / 'TFD_48x48.mat', tables)


def write_mmi(folder: Path) -> None:
    for number in (1, 2):
        session = folder / 'Sessions' / str(number)
        session.mkdir(parents=True)
        (session / 'session.xml').write_text('<session><track view="0"/></session>')
        emotion = f'<M><Metatag Name="Emotion" Value="{number}"/></M>'
        (session / f'S001-00{number}.xml').write_text(emotion)
        cv2.imwrite(str(session / f'S001-00{number}.png'), np.full((48, 64), 90, np.uint8))


def write_own(folder: Path) -> None:
    lines = ['path,label,subject,split']
    for number in range(6):
        (folder / 'a').mkdir(parents=True, exist_ok=True)
        image = np.full((32, 32), 20 * number, np.uint8)
        cv2.imwrite(str(folder / 'a' / f'{number}.png'), image)
        part = 'test' if number > 3 else 'train'
        lines.append(f'a/{number}.png,{"joy" if number % 2 else "rage"},S{number // 2},{part}')
    (folder / 'manifest.csv').write_text('\n'.join(lines) + '\n')


def write_prepared(folder: Path) -> None:
    release = folder.parent / f'{folder.name}-release'
    if not release.exists():
        handmade.write_ckplus(release)
    preparation.prepare('ckplus', release, folder, report=quiet)


def read_prepared(folder: Path) -> Any:
    clips = prepared.load('ckplus', data_dir=folder, **GEOMETRY)
    assert set(clips.label) <= set(range(len(clips.classes)))
    labels = dict(zip(clips.clip_id.tolist(), clips.label.tolist(), strict=True))
    return {'labels': labels, 'pixels': digest(clips.frames)}


def write_folds(folder: Path) -> None:
    write_prepared(folder / 'data')
    clips = prepared.load('ckplus', data_dir=folder / 'data', **GEOMETRY)
    protocol = protocols.make_protocol(clips, name='loso')
    (folder / 'folds.json').write_text(json.dumps(fold_file.to_json(protocol, clips)))


def read_folds(folder: Path) -> Any:
    clips = prepared.load('ckplus', data_dir=folder / 'data', **GEOMETRY)
    protocol = fold_file.read(folder / 'folds.json', clips)
    leaks.check_folds(protocol, clips)
    parts = ('train', 'validation', 'test')
    folds = [{part: getattr(fold, part).tolist() for part in parts} for fold in protocol.folds]
    return dict(enumerate(folds))


def write_config(folder: Path) -> None:
    folder.mkdir()
    config = complete(load_config('ckplus_c3d.py', 'simulated'))
    (folder / 'config.json').write_text(json.dumps(as_json(config)))
    (folder / 'mine.py').write_text((CONFIGS / 'fer2013_stn.py').read_text())


def opened(*words: str) -> Any:
    """Opens a command line as `fer_jax.main` does before it reads any data."""
    config = complete(cli.parse(main_command.define, words).config)
    Sections.open(config)
    return as_json(config)


def read_config(folder: Path) -> Any:
    return {name: opened(f'--config={folder / name}') for name in ('mine.py', 'config.json')}


def write_run_directory(folder: Path) -> None:
    write_run(folder, synthetic(folds=3, epochs=3, subjects=20), simulated=True)


def read_run_directory(folder: Path) -> Any:
    run = rundir.load_finished(folder)
    computed = results.compute(run.predictions, stamps=run.stamps, draws=20)
    fields = {
        field.name: digest(np.asarray(getattr(run.predictions, field.name)))
        for field in dataclasses.fields(run.predictions)
    }
    return {**fields, 'stamps': run.stamps, 'results': json.dumps(computed)}


CLIPS = ('train/001', 'train/002', 'validation/003')


def write_sounds(folder: Path) -> None:
    folder.mkdir()
    values = np.random.default_rng(0).normal(0, 99, (len(CLIPS), 4))
    names = [f'mfcc_sma[{k}]_amean' for k in range(values.shape[1])]
    head = ['@relation SMILEfeatures', '', '@attribute name string', '@attribute frameTime real']
    head += [*(f'@attribute {name} numeric' for name in names), '', '@data', '']
    rows = [[f"'{c}'", '0.0', *(f'{v:.9e}' for v in r)] for c, r in zip(CLIPS, values, strict=True)]
    texts = {
        'features.arff': [*head, *map(','.join, rows)],
        'features.csv': [';'.join(['name', 'frameTime', *names]), *map(';'.join, rows)],
    }
    for name, lines in texts.items():
        (folder / name).write_text('\n'.join(lines) + '\n')


def read_sounds(folder: Path) -> Any:
    found = {}
    for form in ('arff', 'csv'):
        names, values = audio_files.read(folder / f'features.{form}', CLIPS)
        assert np.isfinite(values).all()
        found[form] = {'names': list(names), 'values': digest(values)}
    return found


def write_model_folder(folder: Path) -> None:
    folder.mkdir()
    for name in (model_folder.CONFIG, model_folder.WEIGHTS, model_folder.SEEN):
        shutil.copy(model_folder.SHIPPED / 'small' / name, folder)


def read_model_folder(folder: Path) -> Any:
    predictor = Predictor.open(folder)
    source = Source.open(str(folder))
    return {
        'name': predictor.name.partition(' (')[0],
        'classes': predictor.classes,
        'temperature': predictor.temperature,
        'weights': predictor.digest,
        'chain': dict(source.chain),
        'training pictures': digest(np.array(sorted(map(sorted, source.seen.values()))[0])),
        'clips': repr(predictor.clips),
        'inputs': repr(predictor.networks[0].system.inputs),
    }


def leaves(values: dict, path: str = '') -> list[str]:
    """Dotted keys of a config."""
    found = []
    for key, value in values.items():
        inside = isinstance(value, dict) and value
        found += leaves(value, f'{path}{key}.') if inside else [f'{path}{key}']
    return found


OVERRIDES, C3D = (
    leaves(keys.defaults(complete(load_config(name))))
    for name in ('fer2013_stn.py', 'ckplus_c3d.py')
)

# Why another value may pass: the owners state no checksum, so that nothing says what it was.
LABEL = {'label': 'another class of the set'}
PIXELS = {'pixels': 'other grey levels of a picture that still decodes'}
GONE = {
    'gone': 'a clip less, which the summary of a preparation counts',
    'frames': 'a frame less, which the summary counts',
}
VOTES = {
    'votes': 'votes that ten raters can have given, or none where the file is gone',
    'gone': 'a label set without a class for the clip, which the summary counts',
    'new': 'a class in a label set, by votes that ten raters can have given',
    'ferplus7': 'the class with most of the votes',
    'ferplus8': 'the class with most of the votes',
}
FACES = {'faces': 'landmarks inside of the picture, or none of a frame, which the box follows'}
SOUND = {'sound': 'other samples of a sound that still decodes, or none'}
IN_RANGE = 'a value in its range (config/ranges.py), which the run states'
TARGETS = {
    'fer2013.csv': Target(
        handmade.write_fer2013, scanned('fer2013'), LABEL | PIXELS, 'fer2013.csv'
    ),
    'fer2013new.csv': Target(handmade.write_fer2013, scanned('fer2013'), VOTES, 'fer2013new.csv'),
    'ckplus': Target(handmade.write_ckplus, scanned('ckplus'), LABEL | PIXELS | FACES | GONE),
    'savee': Target(write_savee, scanned('savee', 'haar'), PIXELS | SOUND | GONE),
    'jaffe': Target(write_jaffe, scanned('jaffe', 'haar'), PIXELS | GONE),
    'tfd': Target(write_tfd, scanned('tfd'), LABEL | PIXELS),
    'mmi': Target(write_mmi, scanned('mmi', 'haar'), LABEL | PIXELS | GONE),
    'own': Target(
        write_own,
        scanned('own:fuzzed', 'none'),
        LABEL
        | PIXELS
        | GONE
        | {'subject': 'another name', 'split': 'no part, and the summary counts the parts'},
        kinds=True,
    ),
    'prepared data': Target(write_prepared, read_prepared, {}),  # every byte has a checksum
    'folds': Target(
        write_folds,
        read_folds,
        dict.fromkeys(('train', 'validation', 'test'), 'folds without a leak'),
        'folds.json',
    ),
    'configs': Target(
        write_config,
        read_config,
        dict.fromkeys({key.rpartition('.')[2] for key in C3D}, IN_RANGE),
    ),
    'openSMILE': Target(
        write_sounds,
        read_sounds,
        {'values': 'other finite numbers', 'names': 'a feature of another name'},
    ),
    'model folder': Target(
        write_model_folder,
        read_model_folder,
        dict.fromkeys(
            ('gone', 'new', 'commit', 'config', 'dataset', 'taught_by', 'targets', 'labels'),
            'what the folder says of its training, for people',
        )
        | {
            'temperature': 'a positive number',
            'classes': 'another name of a class',
            'simulated': 'faces count as drawn, with a stamp on every page',
        },
    ),
    'run directory': Target(
        write_run_directory,
        read_run_directory,
        {
            'probabilities': 'other numbers of 0 to 1',
            'label': 'another class',
            'duplicate': 'another of its three values',
            'stamps': 'other words',
            'results': 'what follows from these',
        },
    ),
}
