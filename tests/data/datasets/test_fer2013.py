"""The FER2013 builder on rows written by hand, and on the original csv where it is at hand."""

import os
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax.data import preparation, prepared
from fer_jax.data.datasets.fer2013 import builder as fer2013
from fer_jax.errors import UserError

GEOMETRY = {'frames': 1, 'sampling': 'last', 'size': 48}


@pytest.fixture
def builder(tmp_path):
    return fer2013.Builder(data_dir=tmp_path / 'unused', config='faces-release')


def quiet(_line):
    """Takes the lines of a summary."""


def test_labels_parts_and_votes(builder, fer2013_release):
    scanned = builder.open(fer2013_release)
    assert scanned.label_sets == ('fer2013', 'ferplus7', 'ferplus8')
    assert [clip.label for clip in scanned.clips] == [
        'anger',
        'neutral',
        'happiness',
        'fear',
        'disgust',
        'surprise',
        'sadness',
    ]
    parts = ['train'] * 3 + ['validation'] * 2 + ['test'] * 2
    assert [clip.split for clip in scanned.clips] == parts
    assert scanned.clips[1].clip_id == 'fer2013/00000001'
    assert scanned.clips[1].path == 'fer2013.csv:3'
    # Ties go to the earlier column: happiness stands before sadness.
    seven = [clip.other_labels.get('ferplus7', '') for clip in scanned.clips]
    assert seven == ['neutral', 'happiness', 'sadness', '', '', 'surprise', '']
    eight = [clip.other_labels.get('ferplus8', '') for clip in scanned.clips]
    assert eight == ['neutral', 'contempt', 'sadness', '', 'contempt', 'surprise', '']
    assert {(clip['clip_id'][-1], clip['reason']) for clip in scanned.dropped} == {
        ('3', 'ferplus7: no image name in FER+'),
        ('3', 'ferplus8: no image name in FER+'),
        ('4', 'ferplus7: no vote for its classes'),
        ('6', 'ferplus7: no vote for its classes'),
        ('6', 'ferplus8: no vote for its classes'),
    }


def test_pictures_are_stored_as_they_are(fer2013_release, tmp_path, handmade):
    found = preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=quiet)
    assert found['splits'] == {'train': 3, 'validation': 2, 'test': 2}
    assert found['faceless'] == ['fer2013/00000006']  # all black: kept and marked
    clips = prepared.load('fer2013', data_dir=tmp_path / 'data', **GEOMETRY)
    np.testing.assert_array_equal(clips.frames[:, 0, :, :, 0], handmade.fer2013_images())
    assert clips.label.tolist() == [0, 6, 3, 2, 1, 5, 4]
    assert clips.split.tolist() == ['train'] * 3 + ['validation'] * 2 + ['test'] * 2
    assert set(clips.subject) == {''}


def test_empty_lines_are_passed_over(fer2013_release, tmp_path, handmade):
    for name in ('fer2013.csv', 'fer2013new.csv'):
        lines = (fer2013_release / name).read_text().splitlines()
        text = '\n'.join([*lines[:3], '', *lines[3:], '', '']) + '\n'
        (fer2013_release / name).write_text(text)
    preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=quiet)
    options = {'data_dir': tmp_path / 'data', **GEOMETRY}
    clips = prepared.load('fer2013', **options)
    np.testing.assert_array_equal(clips.frames[:, 0, :, :, 0], handmade.fer2013_images())
    seven = prepared.load('fer2013', labels='ferplus7', **options)
    assert [name[-1] for name in seven.clip_id] == ['0', '1', '2', '5']


def test_label_sets_leave_out_what_they_drop(fer2013_release, tmp_path):
    preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=quiet)
    seven = prepared.load('fer2013', data_dir=tmp_path / 'data', labels='ferplus7', **GEOMETRY)
    assert [name[-1] for name in seven.clip_id] == ['0', '1', '2', '5']
    assert [seven.classes[label] for label in seven.label] == [
        'neutral',
        'happiness',
        'sadness',
        'surprise',
    ]
    eight = prepared.load('fer2013', data_dir=tmp_path / 'data', labels='ferplus8', **GEOMETRY)
    assert eight.class_counts['contempt'] == 2 and len(eight) == 5


def test_ferplus_elsewhere_or_not_at_all(fer2013_release, tmp_path):
    votes = (fer2013_release / 'fer2013new.csv').rename(tmp_path / 'votes.csv')
    found = preparation.prepare('fer2013', fer2013_release, tmp_path / 'without', report=quiet)
    assert list(found['label_sets']) == ['fer2013']
    with pytest.raises(UserError, match='which need .* --ferplus=PATH: .* --overwrite'):
        prepared.load('fer2013', data_dir=tmp_path / 'without', labels='ferplus7', **GEOMETRY)
    found = preparation.prepare(
        'fer2013', fer2013_release, tmp_path / 'with', report=quiet, ferplus=votes
    )
    assert list(found['label_sets']) == ['fer2013', 'ferplus7', 'ferplus8']
    with pytest.raises(UserError, match='nowhere.csv: no such file'):
        preparation.prepare('fer2013', fer2013_release, tmp_path, ferplus=tmp_path / 'nowhere.csv')


def test_ferplus_beside_the_images_is_found_in_capitals_and_is_a_file(
    builder, fer2013_release, tmp_path
):
    beside = fer2013_release / 'fer2013new.csv'
    capitals = beside.rename(beside.with_suffix('.CSV'))
    assert builder.open(fer2013_release).label_sets == ('fer2013', 'ferplus7', 'ferplus8')
    capitals.unlink()
    beside.symlink_to(tmp_path / 'nowhere')
    with pytest.raises(UserError, match=f'^{beside}: no file, but a folder or a link that leads'):
        builder.open(fer2013_release)


def test_columns_may_stand_in_another_order(builder, fer2013_release):
    path = fer2013_release / 'fer2013.csv'
    rows = [line.split(',') for line in path.read_text().splitlines()]
    first = builder.open(fer2013_release)
    # As Kaggle's later icml_face_data.csv has them, spaces included.
    reordered = [f'{emotion}, {usage}, {pixels}' for emotion, pixels, usage in rows]
    path.write_text('\n'.join(reordered) + '\n')
    second = builder.open(fer2013_release)
    for one, other in zip(first.clips, second.clips, strict=True):
        assert (one.label, one.split) == (other.label, other.split)
        np.testing.assert_array_equal(one.payload, other.payload)


def _replace(line, column, text):
    def change(lines):
        cells = lines[line].split(',')
        cells[column] = text(cells[column])
        lines[line] = ','.join(cells)

    return change


@pytest.mark.parametrize(
    'change, message',
    [
        (_replace(0, 0, lambda _: 'feeling'), "no column 'emotion' in the header"),
        (_replace(0, 1, lambda _: 'image'), "no column 'pixels'"),
        (_replace(0, 2, lambda _: 'part'), "no column 'Usage'"),
        (_replace(2, 1, lambda p: p.rsplit(' ', 1)[0]), 'line 3: 2,303 pixels instead of 2,304'),
        (_replace(2, 1, lambda p: p + ' 7'), 'line 3: 2,305 pixels'),
        (_replace(2, 1, lambda _: ''), 'line 3: 0 pixels'),
        (_replace(3, 1, lambda p: 'x' + p), 'line 4: pixels that are no whole numbers'),
        (_replace(3, 1, lambda p: '1.5' + p[p.index(' ') :]), 'line 4: pixels that are no whole'),
        (_replace(3, 1, lambda p: '256' + p[p.index(' ') :]), 'line 4: a pixel lies outside'),
        (_replace(3, 1, lambda p: '-1' + p[p.index(' ') :]), 'line 4: a pixel lies outside'),
        (_replace(4, 0, lambda _: '7'), "line 5: emotion '7' is not one of 0 to 6"),
        (_replace(4, 0, lambda _: 'sad'), "line 5: emotion 'sad'"),
        (_replace(4, 2, lambda _: 'Test'), "line 5: Usage 'Test' is none of Training"),
        (
            lambda lines: lines.append(f'"{"1 " * 70_000}'),
            r'line 9: field larger than .*not closed',
        ),
        (lambda lines: lines.append('3,1 2 3'), r'line 9: 2 column\(s\)'),
        (lambda lines: lines.__delitem__(slice(1, None)), 'no rows after the header'),
        (lambda lines: lines.__delitem__(slice(0, None)), "no column 'emotion'"),
    ],
)
def test_a_bad_row_is_named(builder, fer2013_release, change, message):
    path = fer2013_release / 'fer2013.csv'
    lines = path.read_text().splitlines()
    change(lines)
    path.write_text('\n'.join(lines) + '\n')
    with pytest.raises(UserError, match=f'{path}[,:] {message}') as caught:
        builder.open(fer2013_release)
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda lines: lines.pop(), ': 6 rows, but the images have 7'),
        (_replace(0, 2, lambda _: 'calm'), ": no column 'neutral'"),
        (_replace(0, 1, lambda _: 'file'), ": no column 'Image name'"),
        (_replace(0, 0, lambda _: 'part'), ": no column 'Usage'"),
        (_replace(3, 4, lambda _: 'many'), ', line 4: 10 votes of 0 to 10 expected'),
        (_replace(3, 4, lambda _: '-1'), ", line 4: .* but '-1'"),
        (_replace(3, 4, lambda _: '11'), ", line 4: .* but '11'"),
        (_replace(3, 4, lambda _: '1.0'), ", line 4: .* but '1.0'"),
        (_replace(3, 4, lambda _: '3'), ', line 4: 13 votes, but 10 raters'),
        (
            lambda lines: lines.__setitem__(3, 'Training,x.png' + ',0' * 10),
            ', line 4: 0 votes, but',
        ),
        (_replace(4, 0, lambda _: 'Training'), ", line 5: Usage 'Training', but fer2013.csv:5 is"),
    ],
)
def test_bad_votes_are_named(builder, fer2013_release, change, message):
    path = fer2013_release / 'fer2013new.csv'
    lines = path.read_text().splitlines()
    change(lines)
    path.write_text('\n'.join(lines) + '\n')
    with pytest.raises(UserError, match=f'{path}{message}'):
        builder.open(fer2013_release)


def test_votes_of_other_rows_are_refused(builder, tmp_path, handmade):
    def release(folder, order):
        """140 rows of one part whose votes are those of the rows `order`."""
        rng = np.random.default_rng(0)
        shown = rng.integers(0, 7, 140)
        column = (4, 5, 6, 1, 3, 2, 0)  # of each class among the votes
        votes = [tuple(10 if k == column[label] else 0 for k in range(10)) for label in shown]
        rows = [(label, 'Training', votes[row]) for label, row in zip(shown, order, strict=True)]
        return handmade.write_fer2013(tmp_path / folder, rows=rows)

    assert len(builder.open(release('right', range(140))).clips) == 140
    shuffled = np.random.default_rng(1).permutation(140)
    with pytest.raises(UserError, match=r'agree .* on \d+\.\d% of the rows .*another order'):
        builder.open(release('wrong', shuffled))


def test_a_wrong_folder_level_names_the_right_one(builder, fer2013_release):
    for wrong in (fer2013_release.parent, fer2013_release / 'fer2013.csv'):
        with pytest.raises(UserError, match=f'--release={fer2013_release}$'):
            builder.open(wrong)


@pytest.mark.slow
def test_the_original_csv(tmp_path):
    """DESIGN's counts of the real data; FER_JAX_REAL_DATA names a folder with fer2013.csv."""
    release = Path(os.environ.get('FER_JAX_REAL_DATA', ''))
    if 'FER_JAX_REAL_DATA' not in os.environ or not (release / 'fer2013.csv').exists():
        pytest.skip('the original fer2013.csv is not at hand: FER_JAX_REAL_DATA names its folder')
    begin = time.perf_counter()
    found = preparation.prepare('fer2013', release, tmp_path, report=quiet)
    assert time.perf_counter() - begin < 60
    assert found['clips'] == 35887 and not found['differences']
    assert found['splits'] == {'train': 28709, 'validation': 3589, 'test': 3589}
    assert len(found['faceless']) == 12

    clips = prepared.load('fer2013', data_dir=tmp_path, **GEOMETRY)
    pixels = [frame.tobytes() for frame in clips.frames]
    assert len(set(pixels)) == 34034
    training = {face for face, part in zip(pixels, clips.split, strict=True) if part == 'train'}
    test = [face for face, part in zip(pixels, clips.split, strict=True) if part == 'test']
    assert sum(face in training for face in test) == 288

    if 'ferplus7' not in found['label_sets']:
        pytest.skip('fer2013new.csv is not beside fer2013.csv: the FER+ counts are not checked')
    seven = prepared.load('fer2013', data_dir=tmp_path, labels='ferplus7', **GEOMETRY)
    private = seven.label[seven.split == 'test']
    counts = dict(zip(seven.classes, np.bincount(private).tolist(), strict=True))
    assert counts == {
        'anger': 331,
        'disgust': 28,
        'fear': 95,
        'happiness': 929,
        'sadness': 450,
        'surprise': 446,
        'neutral': 1294,
    }


def test_votes_are_stored_and_become_targets(fer2013_release, tmp_path):
    found = preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=quiet)
    assert found['votes'][-2:] == ['unknown', 'no face'] and len(found['votes']) == 10
    assert found['voted_sets'] == ['ferplus7', 'ferplus8']
    stored = {r['clip_id'][-1]: r['votes'].tolist() for r in prepared.records(
        'fer2013', tmp_path / 'data')}  # fmt: skip
    assert stored['2'] == [0, 0, 0, 1, 0, 0, 0, 0, 9, 0]
    load = lambda labels: prepared.load(  # noqa: E731
        'fer2013', data_dir=tmp_path / 'data', labels=labels, **GEOMETRY
    )
    eight = load('ferplus8')
    # anger disgust fear happiness sadness surprise neutral contempt; 'unknown' does not count.
    expected = [
        [0.3, 0.2, 0, 0, 0.1, 0, 0.4, 0],
        [0, 0, 0, 0.2, 0.2, 0, 0, 0.6],
        [0, 0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0.1, 0, 0, 0.9, 0, 0],
    ]
    np.testing.assert_allclose(eight.target, expected, rtol=1e-6)
    np.testing.assert_array_equal(eight.target.argmax(1), eight.label)
    seven = load('ferplus7')
    np.testing.assert_allclose(seven.target[1], [0, 0, 0, 0.5, 0.5, 0, 0], rtol=1e-6)
    assert load('fer2013').target is None


def test_without_ferplus_there_are_no_votes(fer2013_release, tmp_path):
    (fer2013_release / 'fer2013new.csv').unlink()
    found = preparation.prepare('fer2013', fer2013_release, tmp_path, report=quiet)
    assert found['voted_sets'] == []
    assert prepared.load('fer2013', data_dir=tmp_path, **GEOMETRY).target is None


def rewritten(release, folder, form):
    """The rows of a fer2013.csv in another form that people have, in `folder`."""
    lines = (release / 'fer2013.csv').read_text().splitlines()[1:]
    rows = [line.split(',') for line in lines]
    folder.mkdir(parents=True)
    if (release / 'fer2013new.csv').exists():
        shutil.copy(release / 'fer2013new.csv', folder)

    def write(name, header, cells, end='\n', **options):
        text = end.join([header, *(','.join(row) for row in cells)]) + end
        (folder / name).write_text(text, newline='', **options)

    if form == 'icml':
        write('icml_face_data.csv', 'emotion, Usage, pixels', ([e, u, p] for e, p, u in rows))
    elif form == 'windows':
        quoted = ([u, f'"{e}"', f'"{p}"'] for e, p, u in rows)
        write('fer2013.csv', 'Usage,"emotion",pixels', quoted, '\r\n', encoding='utf-8-sig')
    elif form == 'challenge':
        train = [[e, f'"{p}"'] for e, p, u in rows if u == 'Training']
        write('train.csv', 'emotion,pixels', train)
        write('test.csv', 'pixels', ([p] for _, p, u in rows if u != 'Training'))
    else:
        names = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')
        for number, (emotion, pixels, usage) in enumerate(rows):
            part = folder / ('train' if usage == 'Training' else 'test') / names[int(emotion)]
            part.mkdir(parents=True, exist_ok=True)
            image = np.array(pixels.split(), np.uint8).reshape(48, 48)
            name = f'{usage}_{number}' if form == 'named folders' else f'im{number}'
            cv2.imwrite(str(part / f'{name}.png'), image)
    return folder


def test_folders_without_test_images_say_what_is_judged_in_their_place(fer2013_release, tmp_path):
    folder = rewritten(fer2013_release, tmp_path / 'form', 'folders')
    (folder / 'test').rename(folder / 'validation')
    lines = []
    preparation.prepare('fer2013', folder, tmp_path / 'data', report=lines.append)
    assert 'no test images: protocol official judges validation' in ' '.join(lines)


FORMS = ('icml', 'windows', 'challenge', 'folders', 'named folders')


@pytest.mark.parametrize('form', FORMS)
def test_every_form_gives_the_same_images_or_says_what_is_missing(
    fer2013_release, tmp_path, form, handmade
):
    release = rewritten(fer2013_release, tmp_path / 'form', form)
    lines = []
    found = preparation.prepare('fer2013', release, tmp_path / 'data', report=lines.append)
    whole = {'train': 3, 'validation': 2, 'test': 2}
    merged = {'train': 3, 'test': 4}
    assert found['splits'] == (merged if form in ('challenge', 'folders') else whole)
    clips = prepared.load('fer2013', data_dir=tmp_path / 'data', unlabelled=True, **GEOMETRY)
    images = {image.tobytes() for image in handmade.fer2013_images()}
    assert {frame.tobytes() for frame in clips.frames} == images and len(clips) == 7
    said = ' '.join(lines)
    if form == 'challenge':
        assert 'test.csv has no labels' in said and found['unlabelled'] == 4
        assert clips.label.tolist() == [0, 6, 3, -1, -1, -1, -1]
        seven = prepared.load('fer2013', data_dir=tmp_path / 'data', labels='ferplus7', **GEOMETRY)
        assert len(seven) == 3  # of train.csv
        reasons = {drop['reason'] for drop in found['dropped']}
        assert 'ferplus7: whether test.csv has the order of FER+ is not known' in reasons
    else:
        assert sorted(clips.label.tolist()) == list(range(7))
    assert ('no PrivateTest' in said) == (form == 'folders')
    with_votes = form in ('icml', 'windows', 'challenge')
    assert (list(found['label_sets']) == ['fer2013', 'ferplus7', 'ferplus8']) == with_votes
    assert with_votes or 'fer2013new.csv is not joined: FER+ goes by the rows' in said
    if form in ('icml', 'windows'):
        first = preparation.prepare('fer2013', fer2013_release, tmp_path / 'b', report=quiet)
        assert first['class_counts'] == found['class_counts']


def test_forms_that_cannot_be_read_are_named(builder, tmp_path, fer2013_release):
    release = rewritten(fer2013_release, tmp_path / 'form', 'folders')
    with pytest.raises(UserError, match='cannot be joined: FER. goes by the rows'):
        builder.open(release, ferplus=release / 'fer2013new.csv')
    (release / 'test' / 'contempt').mkdir()
    with pytest.raises(UserError, match="'contempt' is none of FER2013's classes.*--dataset=own"):
        builder.open(release)
    (release / 'test' / 'contempt').rmdir()
    picture = next((release / 'train').glob('*/*.png'))
    cv2.imwrite(str(picture), np.zeros((96, 96), np.uint8))
    with pytest.raises(UserError, match=r'96x96 pixels instead of 48x48.*--dataset=own'):
        preparation.prepare('fer2013', release, tmp_path / 'data', report=quiet)
    alone = rewritten(fer2013_release, tmp_path / 'alone', 'challenge')
    (alone / 'test.csv').unlink()
    assert len(builder.open(alone).clips) == 3
    assert 'train.csv alone: no image to test on' in builder._notes[0]
    assert builder._notes[1] == 'fer2013new.csv is not joined: test.csv is not beside train.csv'
    with pytest.raises(UserError, match='icml_face_data.csv, train.csv or folders train and test'):
        builder.open(tmp_path / 'alone' / '..' / '..' / 'nowhere')


@pytest.mark.slow
@pytest.mark.parametrize('form', FORMS)
def test_the_original_csv_rewritten(tmp_path, form):
    """FER_JAX_REAL_DATA names a folder with fer2013.csv."""
    release = Path(os.environ.get('FER_JAX_REAL_DATA', ''))
    if 'FER_JAX_REAL_DATA' not in os.environ or not (release / 'fer2013.csv').exists():
        pytest.skip('the original fer2013.csv is not at hand: FER_JAX_REAL_DATA names its folder')
    folder = rewritten(release, tmp_path / 'form', form)
    found = preparation.prepare('fer2013', folder, tmp_path / 'data', report=quiet)
    whole = {'train': 28709, 'validation': 3589, 'test': 3589}
    merged = {'train': 28709, 'test': 7178}
    assert found['clips'] == 35887
    assert found['splits'] == (merged if form in ('challenge', 'folders') else whole)
    clips = prepared.load('fer2013', data_dir=tmp_path / 'data', unlabelled=True, **GEOMETRY)
    seen = sorted(frame.tobytes() for frame in clips.frames)
    with open(release / 'fer2013.csv') as file:
        next(file)
        wanted = sorted(np.array(row.split(',')[1].split(), np.uint8).tobytes() for row in file)
    assert seen == wanted
