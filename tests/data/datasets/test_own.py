"""Own data: what is brought, in manifests and folders, is read, with its faces and subjects."""

import concurrent.futures
import unicodedata

import cv2
import numpy as np
import pytest

from fer_jax.data import datasets, preparation, prepared, protocols, registration
from fer_jax.data.datasets.own.builder import Builder
from fer_jax.errors import UserError
from fer_jax.simulation.people import face, identity, movie, units
from fer_jax.simulation.people.pose import Pose

RATE = 16000
GEOMETRY = {'frames': 3, 'sampling': 'uniform', 'size': 32}


def quiet(_line):
    """Takes the lines of a summary."""


def picture(path, level=100, shape=(40, 40)):
    """Writes a picture whose grey levels start at `level`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = (level + np.arange(np.prod(shape)) % 50).astype(np.uint8).reshape(shape)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def film(path, frames=10, sound=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [np.full((48, 64, 3), 20 * t % 256, np.uint8) for t in range(frames)]
    tone = (9000 * np.sin(np.arange(frames * RATE // 10) / 9)).astype(np.int16)
    movie.write_movie(path, images, 10, sound=tone if sound else None, rate=RATE)
    return path


def manifest(folder, text, name='clinic.csv', **options):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, **{'encoding': 'utf-8', **options})
    return path


def builder(tmp_path, faces='none'):
    return Builder(data_dir=tmp_path / 'staging', config=f'faces-{faces}')


def scanned(tmp_path, release, faces='none', **options):
    return builder(tmp_path, faces).open(release, **options)


def labels(found):
    return [(clip.clip_id, clip.label) for clip in found.clips]


def test_a_manifest_of_pictures_films_folders_of_frames_and_sounds(tmp_path):
    folder = tmp_path / 'clinic'
    picture(folder / 'a' / '1.png')
    film(folder / 'film.avi')
    for number in (1, 2, 10):
        picture(folder / 'walk' / f'frame{number}.jpg', 10 * number)
    movie_sound = film(folder / 'voice.avi')
    movie_sound.rename(folder / 'voice.wav')  # what a sound holds is told by its container
    path = manifest(
        folder,
        'subject,label,path,start_s,end_s\n'
        'p1,愉快,a/1.png,,\n'
        'p1,悲伤,film.avi,,0.5\n'
        'p2,愉快,film.avi,0.5,1\n'
        'p2,悲伤,walk,,\n'
        'p3,,./voice.wav,,\n',
    )
    lines = []
    found = preparation.prepare(
        'own:clinic', path, tmp_path / 'data', faces='none', report=lines.append
    )
    assert found['dataset'] == 'own:clinic' and found['subjects'] == 3
    assert found['class_counts'] == {'own': {'悲伤': 2, '愉快': 2}}  # by their characters
    assert found['unlabelled'] == 1 and found['sounds'] == 1 and found['faceless'] == []
    assert lines[0] == 'own:clinic: 5 clips of 3 subjects, 14 frames'
    assert (tmp_path / 'data/own/clinic/faces-none/1.3.0').is_dir()
    clips = prepared.load(
        'own:clinic', data_dir=tmp_path / 'data', faces='none', unlabelled=True, **GEOMETRY
    )
    names = ['a/1.png', 'film.avi[0-0.5]', 'film.avi[0.5-1]', 'voice.wav', 'walk/']
    assert clips.clip_id.tolist() == names and clips.classes == ('悲伤', '愉快')
    assert clips.label.tolist() == [1, 0, 1, -1, 0] and clips.length.tolist() == [1, 3, 3, 1, 3]
    # The frames of a part are its own, and those of a folder are in the order of their numbers.
    assert abs(int(clips.frames[1, -1].mean()) - 4 * 20 * 48 // 64) < 4
    assert np.diff(clips.frames[4].mean((1, 2, 3))).min() > 5
    sound = prepared.load_audio('own:clinic', data_dir=tmp_path / 'data', faces='none')
    assert {name: len(samples) for name, (samples, _) in sound.items()} == {
        'a/1.png': 0,
        'film.avi[0-0.5]': RATE // 2,
        'film.avi[0.5-1]': RATE // 2,
        'voice.wav': RATE,
        'walk/': 0,
    }


def test_a_manifest_in_a_folder_is_found_in_capitals(tmp_path):
    picture(tmp_path / 'photos' / '1.png')
    picture(tmp_path / 'photos' / '2.png', 30)
    manifest(tmp_path / 'photos', 'path,label\n1.png,joy\n2.png,rage\n', 'Manifest.CSV')
    found = scanned(tmp_path, tmp_path / 'photos')
    assert labels(found) == [('1.png', 'joy'), ('2.png', 'rage')]


def test_folders_name_the_classes_in_any_script(tmp_path):
    folder = tmp_path / 'photos'
    decomposed = unicodedata.normalize('NFD', 'étonné')  # as a Mac writes it
    for name in ('радость/01_a.png', 'радость/02_b.jpg', f'{decomposed}/01_c.png'):
        picture(folder / name)
    picture(folder / '.thumbnails' / 'x.png')
    (folder / 'радость' / 'notes.txt').write_text('!')
    picture(folder / 'loose.png')
    found = scanned(tmp_path, folder)
    assert labels(found) == [
        (f'{decomposed}/01_c.png', 'étonné'),
        ('loose.png', ''),
        ('радость/01_a.png', 'радость'),
        ('радость/02_b.jpg', 'радость'),
    ]
    assert [drop['reason'] for drop in found.dropped] == ['no picture, film or sound (.txt)']
    with pytest.raises(UserError, match=r"no subject by --subject_pattern='.d\+_' .1.: loose.png"):
        scanned(tmp_path, folder, subject_pattern=r'\d+_')
    (folder / 'loose.png').unlink()
    found = scanned(tmp_path, folder, subject_pattern=r'(\d+)_')
    assert [clip.subject for clip in found.clips] == ['01', '01', '02']
    with pytest.raises(UserError, match=r"--subject_pattern='\(' is no regular expression"):
        scanned(tmp_path, folder, subject_pattern='(')


def test_folders_of_splits_and_of_sequences(tmp_path):
    folder = tmp_path / 'films'
    for split in ('Train', 'val', 'test'):
        for clip in ('a', 'b'):
            for number in range(6):
                picture(folder / split / 'joy' / clip / f'{number}.png')
        picture(folder / split / 'anger' / '1.png')
    stills = builder(tmp_path)
    found = stills.open(folder)
    assert len(found.clips) == 39 and {clip.split for clip in found.clips} == {
        'train',
        'validation',
        'test',
    }
    (hint,) = stills._hints
    assert hint.startswith('6 folders below classes hold numbered pictures, as Train/joy/a')
    found = scanned(tmp_path, folder, sequences=True)
    assert len(found.clips) == 9
    clip = found.clips[1]
    assert (clip.clip_id, clip.label, clip.split) == ('Train/joy/a/', 'joy', 'train')
    picture(folder / 'other' / '1.png')
    with pytest.raises(UserError, match='Train beside other; the folder holds classes, or only'):
        scanned(tmp_path, folder)


def test_a_folder_of_frames_may_be_called_like_its_film(tmp_path):
    folder = tmp_path / 'films'
    for clip in ('joy/1.mp4', 'anger/2.wav'):
        for number in range(3):
            picture(folder / clip / f'{number}.png')
    path = manifest(folder, 'path,label\nanger/2.wav,anger\njoy/1.mp4,joy\n', 'list.csv')
    listed = scanned(tmp_path, path)
    assert labels(listed) == [('anger/2.wav/', 'anger'), ('joy/1.mp4/', 'joy')]
    path.unlink()
    assert labels(scanned(tmp_path, folder, sequences=True)) == labels(listed)
    place = ('own:x', folder, tmp_path / 'out')
    preparation.prepare(*place, faces='none', sequences=True, report=quiet)
    assert [len(record['frames']) for record in prepared.records(*place[::2], 'none')] == [3, 3]


@pytest.mark.parametrize(
    'parts', ['train_set val_set test_set', 'FER2013Train FER2013Valid FER2013Test']
)
def test_folders_of_splits_may_be_called_as_corpora_call_them(tmp_path, parts):
    for part in parts.split():
        picture(tmp_path / part / 'joy' / '1.png')
    found = scanned(tmp_path, tmp_path)
    splits = {clip.path.split('/')[0]: clip.split for clip in found.clips}
    assert [splits[part] for part in parts.split()] == ['train', 'validation', 'test']
    assert {clip.label for clip in found.clips} == {'joy'}


@pytest.mark.parametrize('options', [{'subject_pattern': r'/(p\d)/'}, {'sequences': True}])
def test_other_options_are_no_earlier_preparation(tmp_path, options):
    for path in ('joy/p1/1.png', 'joy/p1/2.png', 'anger/p2/1.png'):
        picture(tmp_path / 'photos' / path)
    place = ('own:photos', tmp_path / 'photos', tmp_path / 'data')
    first = preparation.prepare(*place, faces='none', report=quiet)
    with pytest.raises(UserError, match='or with other options .*replace it with --overwrite'):
        preparation.prepare(*place, faces='none', report=quiet, **options)
    again = preparation.prepare(*place, faces='none', report=quiet, overwrite=True, **options)
    assert (again['subjects'], again['clips']) != (first['subjects'], first['clips'])
    assert preparation.prepare(*place, faces='none', report=quiet, **options) == again


def test_what_is_no_table_and_no_folder(tmp_path):
    with pytest.raises(UserError, match='gone.csv: no such file or folder'):
        scanned(tmp_path, tmp_path / 'gone.csv')
    with pytest.raises(UserError, match='a.png: a manifest is called .csv or .tsv'):
        scanned(tmp_path, picture(tmp_path / 'a.png'))
    (tmp_path / 'latin.csv').write_bytes('path,label\na.png,fr\xf6hlich\n'.encode('latin-1'))
    with pytest.raises(UserError, match='latin.csv, line 2: not UTF-8; save the table as'):
        scanned(tmp_path, tmp_path / 'latin.csv')
    (tmp_path / 'none').mkdir()
    with pytest.raises(UserError, match='no picture, film or sound in it'):
        scanned(tmp_path, tmp_path / 'none')
    with pytest.raises(UserError, match='no clip has a label'):
        scanned(tmp_path, manifest(tmp_path, 'path,label\na.png,\n'))
    path = manifest(tmp_path, 'path,label,age\na.png,joy,41\n')
    assert labels(scanned(tmp_path, path, ignore_columns='age')) == [('a.png', 'joy')]


def test_short_parts_late_in_a_long_film_are_clips_of_their_own(tmp_path):
    film(tmp_path / 'film.avi')
    parts = 'film.avi,joy,10000.01,10000.03\nfilm.avi,anger,10000.03,10000.04\n'
    found = scanned(tmp_path, manifest(tmp_path, 'path,label,start_s,end_s\n' + parts))
    assert labels(found) == [
        ('film.avi[10000.01-10000.03]', 'joy'),
        ('film.avi[10000.03-10000.04]', 'anger'),
    ]


def test_repetitions_are_left_out_and_overlaps_are_mistakes(tmp_path):
    picture(tmp_path / 'a.png')
    film(tmp_path / 'film.avi')
    path = manifest(tmp_path, 'path,label\na.png,joy\n./a.png,joy\nfilm.avi,anger\n')
    found = scanned(tmp_path, path)
    assert len(found.clips) == 2
    assert found.dropped == [
        {'clip_id': 'a.png', 'path': 'a.png', 'reason': 'listed twice', 'label_set': ''}
    ]
    rows = 'film.avi,joy,0,0.6\nfilm.avi,{},0.5,1\n'
    path = manifest(tmp_path, 'path,label,start_s,end_s\n' + rows.format('anger'))
    with pytest.raises(UserError, match=r'overlapping parts .* film.avi .line 2 and line 3.'):
        scanned(tmp_path, path)
    with_same = builder(tmp_path)
    path = manifest(tmp_path, 'path,label,start_s,end_s\n' + rows.format('joy'))
    assert len(with_same.open(path).clips) == 2
    assert [hint.split(':')[0] for hint in with_same._hints] == [
        'one class only, joy',
        '1 film(s) or sound(s) give several clips and name no subject',
    ]
    path = manifest(tmp_path, 'path,label\na.png,Joy\nfilm.avi,joy\n')
    capitals = builder(tmp_path)
    capitals.open(path)
    assert capitals._hints == ['classes that differ in capitals only: Joy, joy']


@pytest.mark.parametrize(
    'rows, places',
    [
        (',train,0,100|,train,10,20|,test,30,40', r'\(1\): film.avi .line 2 and line 4.;'),
        ('anna,,0,100|ben,,0,99', r'\(1\): film.avi .line 2 and line 3.;'),
        ('anna,,0,50|ben,,60,70|,,10,65', r'\(2\): film.avi .line 2 and line 4., .* line 3.;'),
    ],
)
def test_parts_overlap_with_all_earlier_ones_and_by_subject(tmp_path, rows, places):
    film(tmp_path / 'film.avi')
    lines = ''.join(f'film.avi,joy,{row}\n' for row in rows.split('|'))
    path = manifest(tmp_path, 'path,label,subject,split,start_s,end_s\n' + lines)
    with pytest.raises(UserError, match='labels, subjects or splits ' + places):
        scanned(tmp_path, path)


def test_pictures_that_are_faces_are_stored_whole(tmp_path):
    picture(tmp_path / 'data' / 'joy' / 'a.png', shape=(30, 20))
    picture(tmp_path / 'data' / 'anger' / 'b.png', shape=(300, 300))
    release = tmp_path / 'data'
    found = preparation.prepare('own:x', release, tmp_path / 'out', faces='none', report=quiet)
    assert found['stored_margin'] == 1.0 and found['detector'] is None
    records = {
        record['clip_id']: record for record in prepared.records('own:x', tmp_path / 'out', 'none')
    }
    small = records['joy/a.png']
    assert small['frames'].shape == (1, 30, 30, 1) and small['has_face'].all()
    assert not small['frames'][0, :, :5].any() and small['frames'][0, :, 5:25].all()
    assert records['anger/b.png']['frames'].shape == (1, 160, 160, 1)
    assert 'landmarks' not in small


def drawn(scale=40, x=100, width=200, height=150):
    person = identity.sample(np.random.default_rng(2))
    actor = face.prepare(person, scale, width, height, 1)
    pose = Pose(x=x, y=70, scale=scale)
    return face.render(actor, units.intensities({12: 0.5}), pose, noise_seed=0)


def test_faces_are_found_and_eyes_are_aligned(tmp_path):
    seen = drawn()
    release = tmp_path / 'data'
    for label, image in (('up', seen.image), ('down', np.rot90(seen.image, 2))):
        (release / label).mkdir(parents=True)
        cv2.imwrite(str(release / label / '1.png'), image)
    lines = []
    found = preparation.prepare('own:x', release, tmp_path / 'out', report=lines.append)
    assert found['faces'] == 'faces-yunet' and found['landmarked'] == 2
    assert found['turned'] == {'down/1.png': 180}
    assert any('1 by 180 degrees): 1: down/1.png' in line for line in lines)
    clips = prepared.load(
        'own:x',
        data_dir=tmp_path / 'out',
        **{**GEOMETRY, 'frames': 1, 'registration': 'eyes'},
    )
    assert clips.registration == 'eyes'
    one, other = clips.frames[:, 0].astype(int)
    assert np.abs(one - other).mean() < 3  # both upright, in one place


def test_landmarks_of_ones_own(tmp_path):
    seen = drawn()
    cv2.imwrite(str(tmp_path / 'a.png'), seen.image)
    cv2.imwrite(str(tmp_path / 'b.png'), seen.image)
    np.savetxt(tmp_path / 'a.txt', seen.landmarks)
    np.save(tmp_path / 'b.npy', seen.landmarks[None])
    path = manifest(tmp_path, 'path,label,landmarks\na.png,x,a.txt\nb.png,y,b.npy\n')
    preparation.prepare('own:x', path, tmp_path / 'out', faces='release', report=quiet)
    one, other = prepared.records('own:x', tmp_path / 'out', 'release')
    assert one['landmarks'].shape == (1, 68, 2)
    np.testing.assert_allclose(one['landmarks'], other['landmarks'], atol=1e-3)
    np.savetxt(tmp_path / 'c.txt', registration.keypoints(seen.landmarks, 5))
    path = manifest(tmp_path, 'path,label,landmarks\na.png,x,a.txt\nb.png,y,c.txt\n')
    with pytest.raises(UserError, match=r'.txt: (5|68) points a face, others have (68|5)'):
        preparation.prepare('own:y', path, tmp_path / 'out', faces='release', report=quiet)
    path = manifest(tmp_path, 'path,label,landmarks\na.png,x,gone.txt\nb.png,y,\n')
    with pytest.raises(UserError) as caught:
        scanned(tmp_path, path, 'release')
    assert 'files of landmarks that are not there (1): line 2' in str(caught.value)
    assert 'no landmarks, which --faces=release takes the faces from (1): b.png' in str(
        caught.value
    )


def test_two_files_of_landmarks_for_one_clip_are_a_mistake(tmp_path):
    picture(tmp_path / 'a.png')
    for name in ('a.txt', 'b.txt'):
        (tmp_path / name).write_text('1 2')
    path = manifest(tmp_path, 'path,label,landmarks\na.png,joy,a.txt\na.png,joy,b.txt\n')
    with pytest.raises(UserError, match=r'two files of landmarks .1.: a.png .line 2 and line 3.'):
        scanned(tmp_path, path)


def test_five_landmarks_in_another_order_are_refused(tmp_path):
    ours = np.array([[36, 40], [64, 40], [50, 58], [40, 70], [60, 70]])
    upside_down = (99, 99) - ours
    dlibs = np.array([[70, 40], [58, 41], [30, 40], [42, 41], [50, 60]])
    picture(tmp_path / 'a.png', shape=(100, 100))
    path = manifest(tmp_path, 'path,label,landmarks\na.png,joy,a.txt\n')
    np.savetxt(tmp_path / 'a.txt', ours)
    own = builder(tmp_path, 'release')
    (clip,) = own.open(path).clips
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for points in (ours, upside_down):
            np.savetxt(tmp_path / 'a.txt', points)
            np.testing.assert_array_equal(own.read(clip, pool)[1].landmarks[0], points)
        for points in (dlibs, ours[[1, 0, 2, 4, 3]]):
            np.savetxt(tmp_path / 'a.txt', points)
            with pytest.raises(UserError, match='a.txt: five points in another order; needed are'):
                own.read(clip, pool)


def test_a_protocol_by_subject_without_subjects_offers_the_random_one(tmp_path):
    release = tmp_path / 'data'
    for label in ('joy', 'anger'):
        for number in range(6):
            picture(release / label / f'{number}.png', 10 * number)
    preparation.prepare('own:x', release, tmp_path / 'out', faces='none', report=quiet)
    clips = prepared.load('own:x', data_dir=tmp_path / 'out', faces='none', **GEOMETRY)
    with pytest.raises(UserError, match=r'12 clips name no subject.*random as protocol.name'):
        protocols.make_protocol(clips, name='balanced', k=3)
    assert len(protocols.make_protocol(clips, name='random').folds) == 1
    assert protocols.parse_name('across-own:x') == {'name': 'across', 'target': 'own:x'}


def test_own_data_have_names(tmp_path):
    for name in ('own', 'own:', 'own:a b', 'own:../x'):
        with pytest.raises(UserError, match='own data need a name'):
            datasets.builder_class(name)
    with pytest.raises(UserError, match="unknown dataset 'ckplus:mine'"):
        datasets.builder_class('ckplus:mine')
    with pytest.raises(UserError, match=r'prepare --dataset=own --name=x --release=DIR --data_dir'):
        prepared.describe('own:x', tmp_path)
    assert prepared.location('own:感情', tmp_path) == tmp_path / 'own/感情/faces-yunet/1.3.0'


def test_a_damaged_film_keeps_what_can_be_read(tmp_path):
    release = tmp_path / 'data'
    path = film(release / 'joy' / 'a.avi', frames=30)
    film(release / 'anger' / 'b.avi')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r'a.avi: unreadable video .truncated.*--skip_unreadable'):
        preparation.prepare('own:x', release, tmp_path / 'out', faces='none', report=quiet)
    lines = []
    found = preparation.prepare(
        'own:x', release, tmp_path / 'out', faces='none', report=lines.append, skip_unreadable=True
    )
    assert found['clips'] == 2 and 10 < found['frames'] < 40
    kept = found['frames'] - 10
    assert any(f'a.avi: truncated; {kept} of 30 frames are kept' in line for line in lines)
