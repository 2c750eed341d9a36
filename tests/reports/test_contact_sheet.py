"""The page of a prepared dataset says what is stored, no more and no less."""

import base64
import csv
import html.parser
import re

import cv2
import numpy as np
import pytest

from fer_jax.data import preparation, prepared
from fer_jax.errors import UserError
from fer_jax.reports import contact_sheet


class Page(html.parser.HTMLParser):
    """Collects a page's elements; fails where one is not closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.words, self.heads = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag == 'img':
            self.images.append(dict(attributes))
        elif tag not in ('meta', 'link'):
            self.open.append(tag)
        if tag == 'section':
            self.heads.append(dict(attributes)['id'])

    def handle_startendtag(self, tag, attributes):
        """Closed at once: nothing to keep."""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {'style', 'script'} & set(self.open):
            self.words.append(data.strip())

    @property
    def text(self):
        return ' '.join(filter(None, self.words))


def rows_of(folder, name):
    with open(folder / 'figures' / f'{name}.csv', newline='') as file:
        return list(csv.DictReader(file))


def record(number, label, subject, frames, face, landmarks=True, split='train'):
    """A stored clip with a disc for a face of `face` pixels, None for no face."""
    rng = np.random.default_rng(number)
    pictures = rng.integers(0, 60, (frames, 120, 120, 3)).astype(np.uint8)
    box = np.full((frames, 4), np.nan, np.float32)
    points = np.full((frames, 68, 2), np.nan, np.float32)
    if face:
        for picture in pictures:
            cv2.circle(picture, (60, 60), face // 2, (200, 170, 150), -1)
        box[:] = 60 - face / 2, 60 - face / 2, 60 + face / 2, 60 + face / 2
        points[:] = 60 + face / 2 * rng.uniform(-1, 1, (68, 2))
    return {
        'clip_id': f'<c&{number:02d}>', 'label': label, 'subject': subject, 'split': split,
        'frames': pictures, 'box': box, 'has_face': np.isfinite(box).all(1),
    } | ({'landmarks': points} if landmarks else {})  # fmt: skip


FILMS = (
    *(record(i, 'fear', f'S{i % 3}', 3 + i, 60 + i) for i in range(12)),
    record(20, 'anger', 'S1', 9, 20),
    record(21, 'anger', '', 4, 70, split='test'),
    record(22, '', 'S2', 4, 66, split='test'),
    record(23, 'anger', 'S2', 4, None),
)


def description(**change):
    return {
        'dataset': 'ckplus', 'faces': 'faces-dlib', 'release': '/CK+', 'simulated': {'seed': 0},
        'detector': {'identity': {'name': 'dlib'}, 'package': 'dlib 20.0.1'},
        'fingerprint': 'abcdef', 'stored_margin': 1.6, 'clips': 16, 'frames': 123, 'subjects': 3,
        'splits': {'train': 14, 'test': 2}, 'label_sets': {'ckplus': ['anger', 'fear', 'sadness']},
        'class_counts': {'ckplus': {'anger': 3, 'fear': 12, 'sadness': 0}}, 'unlabelled': 1,
        'published_classes': {'anger': 45, 'fear': 25, 'sadness': 28},
        'landmarked': 119, 'faceless': ['<c&23>'], 'faceless_frames': {'<c&03>': 2},
        'differences': ['class anger: 3 of 45 published'],
        'dropped': [
            {'clip_id': f'd{i}', 'path': f'x/d{i}.png', 'reason': reason, 'label_set': ''}
            for i, reason in enumerate(['unlabelled', 'unlabelled', 'no frames'])
        ],
    } | change  # fmt: skip


@pytest.fixture
def films(monkeypatch, tmp_path):
    """A page of clips with everything that can be said of one."""
    monkeypatch.setattr(prepared, 'describe', lambda *_: description())
    monkeypatch.setattr(prepared, 'records', lambda *_: iter(FILMS))
    path = contact_sheet.write_sheet('ckplus', faces='dlib', out=tmp_path / 'out')
    return tmp_path / 'out', Page(path.read_text(encoding='utf-8'))


def test_counts_are_those_of_the_records(films):
    folder, shown = films
    classes = {row['class']: row for row in rows_of(folder, 'classes')}
    assert list(classes) == ['anger', 'fear', 'sadness', 'no label']
    assert [int(row['clips']) for row in classes.values()] == [3, 12, 0, 1]
    assert [row['published'] for row in classes.values()] == ['45', '25', '28', '']
    assert [row['subjects'] for row in classes.values()] == ['2', '3', '', '1']
    assert [int(row['in train']) for row in classes.values()] == [2, 12, 0, 0]
    assert int(classes['fear']['frames']) == sum(range(3, 15))
    subjects = {row['subject']: row for row in rows_of(folder, 'subjects')}
    assert {name: int(row['clips']) for name, row in subjects.items()} == {
        'not named': 1, 'S0': 4, 'S1': 5, 'S2': 6,
    }  # fmt: skip
    assert subjects['S2']['class anger'] == subjects['S2']['class '] == '1'
    assert [row['reason'] for row in rows_of(folder, 'dropped')] == ['unlabelled'] * 2 + [
        'no frames'
    ]
    assert {row['reason']: row['clips'] for row in rows_of(folder, 'reasons')} == {
        'unlabelled': '2', 'no frames': '1',
    }  # fmt: skip
    faceless = {row['clip_id']: row['frames'] for row in rows_of(folder, 'faceless')}
    assert faceless == {'<c&23>': 'all', '<c&03>': '2'}
    assert shown.heads == ['overview', 'faces', 'counts', 'sizes', 'dropped']
    assert 'class anger: 3 of 45 published' in shown.text and 'dlib 20.0.1' in shown.text


@pytest.mark.parametrize('name', ['face_sizes', 'lengths'])
def test_histograms_count_every_clip(films, name):
    folder, _ = films
    sizes = [clip['box'][0, 2] - clip['box'][0, 0] for clip in FILMS if clip['has_face'].any()]
    values = np.array(sizes if name == 'face_sizes' else [len(clip['frames']) for clip in FILMS])
    rows = rows_of(folder, name)
    for row in rows:
        inside = (values >= float(row['from'])) & (values < float(row['below']))
        assert int(row['clips']) == inside.sum()
    assert sum(int(row['clips']) for row in rows) == len(values)
    assert '<svg' in (folder / 'figures' / f'{name}.svg').read_text()


def test_the_pictures_are_the_stored_ones(films):
    _, shown = films
    by_group = {}
    for image in shown.images:
        kind, data = image['src'].split(',')
        assert kind == 'data:image/jpeg;base64'
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        by_group.setdefault(picture.shape[:2], []).append((image['alt'], picture))
    strips, marked = by_group[88, 264], by_group[132, 132]
    names = [alt.split(': ') for alt, _ in strips]
    assert sum(label == 'fear' for _, label in names) == contact_sheet.MOST_FILMS
    assert ['<c&22>', 'no label'] in names and ['<c&23>', 'anger'] in names
    stored = {clip['clip_id']: clip['frames'] for clip in FILMS}
    for (clip_id, _), (_, strip) in zip(names, strips, strict=True):
        frames = stored[clip_id]
        for place, index in enumerate((0, (len(frames) - 1) // 2, len(frames) - 1)):
            expected = cv2.resize(frames[index], (88, 88), interpolation=cv2.INTER_AREA)
            got = strip[:, 88 * place : 88 * (place + 1), ::-1].astype(int)
            assert np.abs(got - expected).mean() < 12  # noise as JPEG keeps it
    # Ten at random, and the one face far below the median; all with box and landmarks.
    assert len(marked) == contact_sheet.MOST_FOUND + 1
    assert marked[-1][0] == '<c&20>: anger' and '20 px' in shown.text
    box = (60 - 10 + 0.5) * 132 / 120
    blue, _, red = marked[-1][1][66, round(box)].astype(int)
    assert red - blue > 60


def test_subjects_take_turns(films):
    rng = np.random.default_rng(0)
    clips = [contact_sheet._clip(clip) for clip in FILMS[:12]]
    chosen = contact_sheet._spread(clips, 6, rng)
    assert sorted(clip.subject for clip in chosen) == ['S0', 'S0', 'S1', 'S1', 'S2', 'S2']
    assert contact_sheet._spread([], 6, rng) == []


def test_simulated_faces_are_stamped_everywhere_and_real_ones_nowhere(films, monkeypatch, tmp_path):
    folder, shown = films
    galleries = len(re.findall('class="gallery"', (folder / 'report.html').read_text()))
    assert galleries == 6 and shown.text.count('SIMULATED FACES') > 10
    for path in (folder / 'figures').iterdir():
        assert 'SIMULATED FACES' in path.read_text()
    monkeypatch.setattr(prepared, 'describe', lambda *_: description(simulated=None))
    path = contact_sheet.write_sheet('ckplus', out=tmp_path / 'real')
    assert 'SIMULATED' not in path.read_text()
    assert not [p for p in path.parent.rglob('*.*') if 'SIMULATED' in p.read_text()]


def test_a_real_preparation_of_stills(tmp_path):
    """FER2013's layout: no subjects, no landmarks, boxes that are the picture, a black row."""
    greys = [40, 90, 140, 0, 250]
    lines = [
        f'{k % 3},{" ".join([str(grey)] * 2304)},{part}'
        for k, (grey, part) in enumerate(
            zip(greys, ['Training'] * 3 + ['PublicTest', 'PrivateTest'], strict=True)
        )
    ]
    (tmp_path / 'fer').mkdir()
    (tmp_path / 'fer/fer2013.csv').write_text('\n'.join(['emotion,pixels,Usage', *lines]) + '\n')
    data = tmp_path / 'data'
    preparation.prepare('fer2013', tmp_path / 'fer', data, report=lambda line: None)
    path = contact_sheet.write_sheet('fer2013', data_dir=data)
    folder = prepared.location('fer2013', data)
    assert path == folder / 'report.html'
    shown = Page(path.read_text())
    assert 'none: registration goes by the face box' in shown.text
    assert not (folder / 'figures/subjects.csv').exists()
    assert not (folder / 'figures/lengths.csv').exists()
    counts = {row['class']: row for row in rows_of(folder, 'classes')}
    assert counts['anger']['in validation'] == '1' and counts['fear']['clips'] == '1'
    # Five stills in their classes, the black one once more.
    assert len(shown.images) == 5 + 1
    loaded = prepared.load('fer2013', data_dir=data, frames=1, sampling='last', size=48)
    assert len(loaded) == 5  # the page beside the records does not disturb them


def test_what_is_not_prepared_is_refused(tmp_path):
    with pytest.raises(UserError, match='fer2013 is not prepared at'):
        contact_sheet.write_sheet('fer2013', data_dir=tmp_path, out=tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
