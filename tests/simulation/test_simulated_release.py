"""Simulated releases: layout, published counts, the same bytes from any number of workers."""

import csv
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax import simulation
from fer_jax.errors import UserError
from fer_jax.simulation import release
from fer_jax.simulation.people import units
from fer_jax.simulation.releases import ckplus, fer2013, roster


def digest(folder: Path) -> dict[str, str]:
    """Path and hash of every file; directories, empty ones too, with an empty hash."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        if p.is_file()
        else ''
        for p in sorted(folder.rglob('*'))
    }


FEW = [
    roster.Sequence('S005', 0, 1, 'surprise', True),
    roster.Sequence('S005', 0, 4, 'anger', True),
    roster.Sequence('S017', 1, 2, 'disgust', False),
]


def write_few(out: Path, workers: int, **options) -> Path:
    """A release of three sequences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roster, 'plan', lambda *_: FEW)
        return simulation.write_release(
            'ckplus', out, subjects=2, seed=3, workers=workers, **options
        )


@pytest.fixture(scope='module')
def ckplus_release(tmp_path_factory):
    steps = []
    out = tmp_path_factory.mktemp('ckplus') / 'CK+'
    write_few(out, workers=1, progress=lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    return out


@pytest.fixture(scope='module')
def fer2013_release(tmp_path_factory):
    out = tmp_path_factory.mktemp('fer2013') / 'fer2013'
    return simulation.write_release('fer2013', out, subjects=12, seed=3, workers=2)


def test_full_roster_has_the_published_counts():
    sequences = roster.plan(None, 0, unlabelled=True)
    labelled = [s for s in sequences if s.labelled]
    assert len(sequences) == 593 and len({s.subject for s in sequences}) == 123
    assert len(labelled) == 327 and len({s.subject for s in labelled}) == 118
    assert Counter(s.emotion for s in labelled) == {
        'anger': 45,
        'contempt': 18,
        'disgust': 59,
        'fear': 25,
        'happiness': 69,
        'sadness': 28,
        'surprise': 83,
    }
    assert len({(s.subject, s.number) for s in sequences}) == 593


@pytest.mark.parametrize('seed, unlabelled', [(0, True), (1, False), (2, True)])
def test_folds_of_the_literature_have_their_sizes(seed, unlabelled):
    labelled = [s for s in roster.plan(None, seed, unlabelled) if s.labelled]
    subjects = sorted({s.subject for s in labelled})
    sizes = [sum(s.subject in subjects[i::10] for s in labelled) for i in range(10)]
    assert sizes == [33, 39, 40, 35, 30, 37, 29, 29, 33, 22]
    shown = Counter((s.subject, s.emotion) for s in labelled)
    assert max(shown.values()) == 1, 'a subject shows an emotion once'


@pytest.mark.parametrize('subjects', [1, 2, 7, 30, 60, 117, 200])
def test_reduced_rosters_keep_the_proportions(subjects):
    sequences = roster.plan(subjects, 0, unlabelled=False)
    counts = Counter(s.emotion for s in sequences)
    assert len({s.subject for s in sequences}) == subjects and len(counts) == 7
    total = len(sequences)
    assert total == max(round(327 * subjects / 118), 7, subjects)
    if subjects >= 30:
        for name, published in roster.COUNTS.items():
            assert abs(counts[name] - published * total / 327) < 1.5
    assert all(re.fullmatch(r'S\d{3}', s.subject) and s.labelled for s in sequences)


def test_lengths_vary_about_fifteen_frames():
    rng = np.random.default_rng(0)
    lengths = np.array([ckplus.length(e, rng) for e in roster.COUNTS for _ in range(300)])
    assert lengths.min() >= 6 and lengths.max() <= 40
    assert 14 < lengths.mean() < 16 and 0.01 < (lengths < 10).mean() < 0.15


def test_ckplus_layout(ckplus_release):
    root = ckplus_release
    assert sorted(p.name for p in root.iterdir()) == [
        'Emotion',
        'FACS',
        'Landmarks',
        'SIMULATED.json',
        'cohn-kanade-images',
    ]
    for sequence in FEW:
        subject, number = sequence.subject, f'{sequence.number:03d}'
        frames, points, emotion, facs = (
            sorted(p.name for p in (root / top / subject / number).iterdir())
            for top in ('cohn-kanade-images', 'Landmarks', 'Emotion', 'FACS')
        )
        stems = [f'{subject}_{number}_{t:08d}' for t in range(1, len(frames) + 1)]
        assert 6 <= len(frames) <= 40
        assert frames == [f'{stem}.png' for stem in stems]
        assert points == [f'{stem}_landmarks.txt' for stem in stems]
        assert emotion == ([f'{stems[-1]}_emotion.txt'] if sequence.labelled else [])
        assert facs == [f'{stems[-1]}_facs.txt']


def test_ckplus_number_format(ckplus_release):
    emotions = sorted(ckplus_release.glob('Emotion/*/*/*.txt'))
    assert [p.read_text() for p in emotions] == ['   7.0000000e+00\n', '   1.0000000e+00\n']
    for path in list(ckplus_release.glob('Landmarks/*/*/*.txt'))[:20]:
        lines = path.read_text().splitlines()
        assert len(lines) == 68
        assert all(re.fullmatch(r'(   \d\.\d{7}e[+-]\d\d){2}', line) for line in lines)
        points = np.loadtxt(path)
        assert (points > 0).all() and (points < (640, 490)).all()
    for path in ckplus_release.glob('FACS/*/*/*.txt'):
        rows = np.loadtxt(path, ndmin=2)
        assert set(rows[:, 0]) <= {float(u) for u in units.UNITS}
        assert ((rows[:, 1] >= 1) & (rows[:, 1] <= 5)).all()


def test_ckplus_images_are_what_the_release_ships(ckplus_release, monkeypatch):
    path = next(ckplus_release.glob('cohn-kanade-images/*/*/*.png'))
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image.dtype == np.uint8 and image.shape[:2] in ((490, 640), (480, 640))
    formats = []
    monkeypatch.setattr(ckplus.face, 'prepare', lambda *args: formats.append(args[2:]))
    for index in range(123):
        ckplus.set_stage(index, seed=0)
    assert {size[:2] for size in formats} == {(640, 490), (640, 480)}
    assert 0 < sum(channels == 3 for _, _, channels in formats) < 20
    assert sum(height == 490 for _, height, _ in formats) > 80


def test_facs_codes_the_expression():
    apex = units.intensities({4: 0.9, 7: (0.3, 0.0), 12: 0.1, 17: 1.15})
    assert ckplus.coding(apex) == [[4, 5.0], [7, 2.0], [17, 5.0]]


def test_same_seed_same_bytes_from_any_number_of_workers(ckplus_release, tmp_path):
    assert digest(write_few(tmp_path / 'again', workers=2)) == digest(ckplus_release)


def test_another_seed_draws_other_people():
    plans = [roster.plan(20, seed, unlabelled=False) for seed in (0, 1)]
    assert plans[0] != plans[1]
    person = [(0, ('Training', [3]))]
    first, other = (fer2013.draw_people(person, seed)[0][2] for seed in (0, 1))
    assert (first != other).any()


def test_stamp_says_what_it_is(ckplus_release, fer2013_release):
    stamp = json.loads((ckplus_release / simulation.STAMP).read_text())
    assert stamp == {
        'dataset': 'ckplus',
        'subjects': 2,
        'seed': 3,
        'generator_version': release.VERSION,
    }
    assert json.loads((fer2013_release / simulation.STAMP).read_text())['dataset'] == 'fer2013'


def test_fer2013_rows(fer2013_release):
    with (fer2013_release / 'fer2013.csv').open() as file:
        assert file.readline() == 'emotion,pixels,Usage\n'
        rows = list(csv.reader(file))
    usages = [row[2] for row in rows]
    assert sorted(set(usages), key=usages.index) == ['Training', 'PublicTest', 'PrivateTest']
    assert usages == sorted(usages, key=['Training', 'PublicTest', 'PrivateTest'].index)
    for usage in set(usages):
        assert {row[0] for row in rows if row[2] == usage} == set('0123456')
    faces = np.array([row[1].split(' ') for row in rows]).astype(int)
    assert faces.shape[1] == 2304 and faces.min() >= 0 and faces.max() <= 255
    assert len(np.unique(faces, axis=0)) == len(faces)


def test_fer2013_full_size_has_the_published_counts():
    groups = fer2013.plan(None, 0)
    rows = Counter((usage, label) for usage, labels in groups for label in labels)
    for usage, counts in fer2013.COUNTS.items():
        assert tuple(rows[usage, k] for k in range(7)) == counts
    totals = [sum(counts) for counts in fer2013.COUNTS.values()]
    assert totals == [28709, 3589, 3589] and sum(totals) == fer2013.ROWS


def test_fer2013_votes_join_by_row(fer2013_release):
    with (fer2013_release / 'fer2013new.csv').open() as file:
        header, *votes = list(csv.reader(file))
    with (fer2013_release / 'fer2013.csv').open() as file:
        rows = list(csv.reader(file))[1:]
    assert header == [
        'Usage',
        'Image name',
        'neutral',
        'happiness',
        'surprise',
        'sadness',
        'anger',
        'disgust',
        'fear',
        'contempt',
        'unknown',
        'NF',
    ]
    assert [v[0] for v in votes] == [r[2] for r in rows]
    assert [v[1] for v in votes] == [f'fer{k:07d}.png' for k in range(len(rows))]
    assert {sum(map(int, v[2:])) for v in votes} == {10}
    agree = [
        fer2013.VOTES[int(np.argmax(list(map(int, v[2:]))))] == fer2013.CLASSES[int(r[0])]
        for v, r in zip(votes, rows, strict=True)
    ]
    assert 0.6 < np.mean(agree) < 0.95, "labels are one person's opinion, the votes are ten's"


def test_black_rows_have_no_name_and_no_face(tmp_path):
    black = ('Training', 3, np.zeros((48, 48), np.uint8), [0] * 9 + [10])
    face = ('Training', 3, np.full((48, 48), 7, np.uint8), [0, 10] + [0] * 8)
    fer2013.write(tmp_path, [], 0, lambda tasks: iter([[black], [face]]))
    assert (tmp_path / 'fer2013new.csv').read_text().splitlines()[1:] == [
        'Training,,0,0,0,0,0,0,0,0,0,10',
        'Training,fer0000001.png,0,10,0,0,0,0,0,0,0,0',
    ]
    assert (tmp_path / 'fer2013.csv').read_text().splitlines()[
        2
    ] == f'3,{" ".join(["7"] * 2304)},Training'


def test_taggers_agree_more_on_strong_expressions():
    rng = np.random.default_rng(0)
    share = [
        np.mean([fer2013.votes('fear', amount, rng)[6] for _ in range(300)])
        for amount in (0.6, 1.2)
    ]
    assert 3 < share[0] < share[1] - 1


@pytest.mark.parametrize(
    'dataset, options, words',
    [
        ('ck', {}, '--dataset=ck'),
        ('ckplus', {'subjects': 0}, '--subjects=0'),
        ('ckplus', {'subjects': 901}, '--subjects=901'),
        ('fer2013', {'subjects': 9}, '--subjects=9'),
        ('fer2013', {'subjects': 2, 'unlabelled': True}, '--unlabelled'),
        ('ckplus', {'subjects': 1, 'seed': -1}, '--seed=-1'),
    ],
)
def test_wrong_requests_are_named_and_leave_nothing(tmp_path, dataset, options, words):
    with pytest.raises(UserError, match=re.escape(words)):
        simulation.write_release(dataset, tmp_path / 'out', **options)
    assert not any(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / 'mine.txt').write_text('x')
    with pytest.raises(UserError, match='not empty'):
        simulation.write_release('ckplus', tmp_path, subjects=1)
    assert [p.name for p in tmp_path.iterdir()] == ['mine.txt']


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(ckplus, 'write_image', fail)
    with pytest.raises(OSError, match='disk full'):
        simulation.write_release('ckplus', tmp_path / 'out', subjects=1, workers=1)
    assert not any(tmp_path.iterdir())
