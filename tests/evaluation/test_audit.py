"""The audit finds each leak that is put into small clips, and shows all of it."""

import base64
import csv
import io
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_jax.data import similarity
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Fold, Protocol
from fer_jax.evaluation import audit
from fer_jax.reports import audit_page

STAMPS = ('SIMULATED FACES', 'subjects shared')


def scene(seed: int) -> np.ndarray:
    """A smooth random picture, uint8 [48, 48]."""
    noise = np.random.default_rng(seed).normal(size=(9, 9)).astype(np.float32)
    picture = cv2.resize(noise, (48, 48), interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(picture, None, 60, 180, cv2.NORM_MINMAX).astype(np.uint8)


def fold_of(train, validation, test) -> Fold:
    return Fold(*(np.array(part, int) for part in (train, validation, test)))


@pytest.fixture(scope='module')
def clips():
    """Twelve stills: 4 is 0 with another label, 5 a darker 1, 6 a mirrored 2, 7 is 3."""
    pictures = [scene(seed) for seed in range(12)]
    pictures[4] = pictures[0]
    pictures[5] = pictures[1] // 2 + 40
    pictures[6] = pictures[2][:, ::-1]
    pictures[7] = pictures[3]
    return ClipSet(
        name='some',
        classes=('anger', 'fear', 'joy'),
        simulated=True,
        frames=np.stack(pictures)[:, None, :, :, None],
        length=np.ones(12, np.int32),
        label=np.array([0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 2, 2], np.int32),
        subject=np.array([f'S{i % 4}' for i in range(10)] + ['', '']),
        clip_id=np.array([f'c{i:02}' for i in range(12)]),
        split=np.array([''] * 12),
    )


@pytest.fixture(scope='module')
def examined(clips):
    """Two folds: in the first each leak lies between training and test, 7 is chosen on."""
    folds = (
        fold_of([0, 1, 2, 3, 8, 10], [7], [4, 5, 6, 9, 11]),
        fold_of([4, 5, 6, 7, 9], [], [0, 8, 10]),
    )
    made = [
        audit.Made(0, 'views (random)', np.array([0, 0, 1, 4, 4]), folds[0].train, True),
        audit.Made(0, 'class weights', np.array([0, 1, 7]), folds[0].train, False),
        audit.Made(1, 'views (random)', np.array([5, 6]), folds[1].train, True),
        audit.Made(1, 'class weights', np.array([4, 5]), folds[1].train, False),
    ]
    protocol = Protocol('mine', True, folds)
    refusal = 'mine, fold 0: declared subject-disjoint, but train & test share S0'
    return audit.examine(clips, protocol, [0, 1], made, stamps=STAMPS, refusal=refusal)


def cells(table) -> dict:
    """A table's rows by their first column, without it."""
    first, *rest = (column.key for column in table.columns)
    return {row[first]: tuple(row[key] for key in rest) for row in table.rows}


def test_what_was_found_in_the_dataset(examined):
    assert cells(audit.findings(examined)) == {
        'Subjects in two parts of a fold': (4, 4, 'leak'),
        'Clips of unknown subject': (2, 12, 'note'),
        'Views for training made of clips of other parts': (2, 7, 'leak'),
        'Fitted statistics that saw clips of other parts': (1, 2, 'leak'),
        'Clips that repeat another, pixel by pixel': (2, 12, 'note'),
        'Groups of identical clips with more than one label': (1, 2, 'note'),
        'Pairs of different clips that look alike': (1, None, 'note'),
        'Pairs of different clips that are alike when mirrored': (1, None, 'note'),
        'Classes without a training clip in some fold': (1, 3, 'note'),
    }


def test_what_crosses_between_parts(examined):
    assert cells(audit.crossings(examined)) == {
        # Clips, identical, nearly, mirrored; then those with another label.
        'Validation clips in training': (1, 1, 0, 0, 0, 0),
        'Test clips in training': (8, 2, 1, 1, 2, 1),
        'Test clips in validation': (8, 0, 0, 0, 0, 0),
        'Test clips in training or validation': (8, 2, 1, 1, 2, 1),
    }
    found = [(p.clip, p.source, p.part, p.source_part, p.kind, p.folds)
             for p in audit.pairs(examined)]  # fmt: skip
    assert found == [
        (0, 4, 'test', 'train', similarity.IDENTICAL, 1),
        (4, 0, 'test', 'train', similarity.IDENTICAL, 1),
        (5, 1, 'test', 'train', similarity.NEARLY, 1),
        (6, 2, 'test', 'train', similarity.MIRRORED, 1),
        (7, 3, 'validation', 'train', similarity.IDENTICAL, 1),
    ]


def test_subjects_labels_and_what_was_made(examined):
    shared = [(row['subject'], row['parts'], row['folds']) for row in audit.subjects(examined).rows]
    assert ('S0', 'training and test', 2) in shared
    assert ('S3', 'training and validation', 1) in shared
    assert ('S2', 'validation and test', 1) not in shared
    assert cells(audit.conflicts(examined)) == {2: ('anger fear', 'c00 c04')}
    made = [tuple(row.values()) for row in audit.made(examined).rows]
    assert made == [
        (0, 'views (random)', 5, 3, 6, 1),
        (0, 'class weights', 1, 3, 6, 1),
        (1, 'views (random)', 2, 2, 5, 0),
        (1, 'class weights', 1, 2, 5, 0),
    ]


def test_class_balance_by_part(examined):
    assert cells(audit.balance(examined)) == {
        'anger': (5, 2, 3, 0, 0, 2, 2),
        'fear': (5, 2, 3, 0, 1, 0, 2),
        'joy': (2, 0, 1, 0, 0, 1, 1),
    }
    share = audit.shares(examined)
    np.testing.assert_allclose(share['train'], np.array([5, 5, 1]) / 11)
    np.testing.assert_allclose(share['test'], np.array([4, 2, 2]) / 8)


def test_clean_folds_of_unknown_subjects(clips):
    nobody = ClipSet(**vars(clips) | {'subject': np.array([''] * 12)})
    protocol = Protocol('mine', False, (fold_of([0, 1, 2, 3, 10], [], [8, 9, 11]),))
    views = audit.Made(0, 'views (none)', np.array([0, 1, 2, 3]), protocol.folds[0].train, True)
    clean = audit.examine(nobody, protocol, [0], [views])
    found = cells(audit.findings(clean))
    assert found['Subjects in two parts of a fold'] == (None, None, 'unknown')
    assert found['Views for training made of clips of other parts'] == (0, 4, 'none')
    assert found['Fitted statistics that saw clips of other parts'] == (0, 0, 'none')
    assert cells(audit.crossings(clean)) == {'Test clips in training': (3, 0, 0, 0, 0, 0)}
    assert audit.pairs(clean) == [] and audit.similar(clean, []) is None
    assert audit.subjects(clean) is None
    assert cells(audit.balance(clean))['joy'] == (2, 1, 1)


def test_text_has_every_number_and_is_stamped(examined):
    lines = audit_page.text(examined).splitlines()
    assert lines[:2] == list(STAMPS)
    assert lines[2] == 'some: 12 clips of 4 subjects, 3 classes; mine: 2 of 2 folds'
    crossing = next(line for line in lines if line.startswith('Test clips in training '))
    assert crossing.split()[-6:] == ['8', '2', '1', '1', '2', '1']
    alike = next(line for line in lines if line.startswith('Pairs of different clips that look'))
    assert alike.split()[-3:] == ['1', '-', 'note']
    assert any(line.split() == ['joy', '2', '0', '1', '0', '0', '1', '1'] for line in lines)


@pytest.fixture(scope='module')
def page(examined, tmp_path_factory):
    """The page's text and its folder."""
    out = tmp_path_factory.mktemp('audit')
    facts = {'Command': 'python -m fer_jax.protocol --audit', 'Fold file': None}
    path = audit_page.write(examined, facts, out)
    assert path == out / 'report.html'
    return path.read_text(encoding='utf-8'), out


def test_the_page_is_stamped_and_needs_nothing_else(page):
    text, out = page
    assert f'role="note">{" · ".join(STAMPS)}</p>' in text
    assert 'declared subject-disjoint, but train &amp; test share S0' in text
    captions = re.findall(r'<figcaption[^>]*>(.*?)</figcaption>', text)
    assert len(captions) == 7 + 1 + 4 and all(' · '.join(STAMPS) in c for c in captions)
    for address in re.findall(r'(?:href|src)="([^"]+)"', text):
        if address.startswith('figures/'):
            assert (out / address).is_file()
        else:
            assert address.startswith(('data:', '#'))
    for path in out.glob('figures/*.csv'):
        with path.open(newline='', encoding='utf-8') as file:
            assert {row['stamps'] for row in csv.DictReader(file)} == {'; '.join(STAMPS)}, path.name


def test_pictures_are_those_of_the_pairs(page, clips):
    text, _ = page
    pictures = {}
    for item in re.findall(r'<li class.*?</li>', text):
        data, ids = re.search(r'base64,([^"]+)" alt="([^"]+)"', item).groups()
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        pictures[ids] = picture, 'class="wrong"' in item, re.sub('<[^>]+>', '', item)
    assert set(pictures) == {
        'c00 and c04', 'c04 and c00', 'c07 and c03', 'c05 and c01', 'c06 and c02', 'c00 c04',
    }  # fmt: skip
    picture, outlined, said = pictures['c05 and c01']
    np.testing.assert_array_equal(picture[:, :48], clips.frames[5, 0, :, :, 0])
    np.testing.assert_array_equal(picture[:, -48:], clips.frames[1, 0, :, :, 0])
    assert outlined and said.startswith('anger · fear test · training, ')
    assert not pictures['c06 and c02'][1]
    assert pictures['c07 and c03'][2] == 'fear validation · training'
    picture, _, said = pictures['c00 c04']
    np.testing.assert_array_equal(picture, clips.frames[0, 0, :, :, 0])
    assert said == '1 anger · 1 fear'


def test_long_lists_are_cut_on_the_page_only(tmp_path):
    n = 300
    rng = np.random.default_rng(0)
    half = rng.integers(0, 256, (n // 2, 1, 12, 12, 3)).astype(np.uint8)
    many = ClipSet(
        'many', ('a', 'b'), False, np.concatenate([half, half]), np.ones(n, np.int32),
        (np.arange(n) < n // 2).astype(np.int32), np.array([''] * n),
        np.array([f'c{i:03}' for i in range(n)]), np.array([''] * n),
    )  # fmt: skip
    fold = fold_of(range(150), [], range(150, n))
    protocol = Protocol('mine', False, (fold, fold_of(range(150, n), [], range(150))))
    found = audit.examine(many, protocol, [0, 1], [])
    text = audit_page.write(found, {}, tmp_path).read_text(encoding='utf-8')
    assert 'The first 200 of 300; all are in the file.' in text
    assert f'{audit_page.MOST} of 300 pairs' in text
    assert f'150 groups of identical clips with more than one label ({audit_page.MOST} shown)' in (
        text
    )
    with (tmp_path / 'figures' / 'similar_clips.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 300 and 'stamps' not in rows[0]
    assert 'role="note"' not in text
