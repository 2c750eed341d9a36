"""The AFEW builder on releases written by hand, and on simulated ones."""

import collections
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax.data.datasets import records
from fer_jax.data.datasets.afew import builder as afew
from fer_jax.errors import UserError
from fer_jax.simulation.people import movie
from fer_jax.simulation.releases import afew as simulated

FILMS = {
    'Train_AFEW/Angry/000046280': 4,
    'Train_AFEW/Happy/000102534': 3,
    'Train_AFEW/Neutral/000231280': 1,
    'Val_AFEW/Sad/000046280': 2,  # the same film and time as in training
    'Test_AFEW/Test_vid_Distribute/000029320': 2,
}
FACES = {
    'Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280': (1001, 1002, 1004),  # one frame lost
    'Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000102534': (1001, 1002, 1003),
    'Val_AFEW/AlignedFaces_LBPTOP_Points_Val/Faces/000046280': (1001, 1002),
    'Test_AFEW/Test_2017_Faces_Distribute/000029320': (1001, 1002),
}


def write_film(path: Path, frames: int, sound=True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [np.full((48, 64, 3), (200, 100, 20 * t), np.uint8) for t in range(frames)]
    noise = np.random.default_rng(0).integers(-999, 999, frames * 800).astype(np.int16)
    movie.write_movie(path, images, 10, sound=noise if sound else None, rate=8000 if sound else 0)


@pytest.fixture
def release(tmp_path) -> Path:
    """Five films in three parts; the neutral one has no aligned faces."""
    folder = tmp_path / 'AFEW'
    for name, frames in FILMS.items():
        write_film(folder / f'{name}.avi', frames)
    for name, numbers in FACES.items():
        (folder / name).mkdir(parents=True)
        for number in numbers:
            image = np.full((128, 128, 3), (10, 60, number % 100 * 40), np.uint8)  # BGR
            cv2.imwrite(str(folder / name / f'I_{number}.jpg'), image)
    (folder / 'Train_AFEW' / 'AlignedFaces_LBPTOP_Points' / 'Points').mkdir()
    return folder


@pytest.fixture
def builder(tmp_path):
    return afew.Builder(data_dir=tmp_path / 'unused', config='faces-release')


@pytest.fixture
def searching(tmp_path):
    """A builder whose faces a detector finds."""
    builder = afew.Builder(data_dir=tmp_path / 'unused', config='faces-haar')
    builder.detector = Finder()
    return builder


class Finder:
    """A detector that finds the same box in every frame."""

    def quarter_turns(self, frames):
        return 0

    def find(self, frames):
        faces = records.Faces.nowhere(len(frames))
        faces.box[:] = (20, 10, 50, 40)
        return faces


def test_scan_reads_parts_and_classes(builder, release):
    scanned = builder.open(release)
    assert [(clip.clip_id, clip.label, clip.split) for clip in scanned.clips] == [
        ('train/000046280', 'anger', 'train'),
        ('train/000102534', 'happiness', 'train'),
        ('train/000231280', 'neutral', 'train'),
        ('validation/000046280', 'sadness', 'validation'),
        ('test/000029320', '', 'test'),
    ]
    assert {clip.subject for clip in scanned.clips} == {''} and not scanned.dropped
    assert scanned.clips[3].path == 'Val_AFEW/Sad/000046280.avi'


def test_aligned_faces_are_stored_as_they_are(builder, release):
    clips = {clip.clip_id: clip for clip in builder.open(release).clips}
    record = builder._arrays(clips['train/000046280'], pool=InTurn())
    assert record['frames'].shape == (3, 128, 128, 3) and record['has_face'].all()
    np.testing.assert_allclose(  # RGB, in the order of the frames
        record['frames'].mean((1, 2)), [(40, 60, 10), (80, 60, 10), (160, 60, 10)], atol=4
    )
    np.testing.assert_array_equal(record['box'], [[-0.5, -0.5, 127.5, 127.5]] * 3)
    assert record['audio'].shape == (3200,) and record['sample_rate'] == 8000
    assert builder.STORED_MARGIN == 1.0


def test_aligned_faces_go_by_their_numbers(builder, release):
    folder = release / 'Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280'
    for path, number in zip(sorted(folder.iterdir()), (9, 10, 11), strict=True):
        path.rename(folder / f'{number}.jpg')
    clips = {clip.clip_id: clip for clip in builder.open(release).clips}
    names = [path.name for path in clips['train/000046280'].payload[1]]
    assert names == ['9.jpg', '10.jpg', '11.jpg']


class InTurn:
    """Reads one file after another."""

    map = staticmethod(map)


def test_a_clip_without_aligned_faces_stays_marked(builder, release):
    clips = {clip.clip_id: clip for clip in builder.open(release).clips}
    record = builder._arrays(clips['train/000231280'], pool=InTurn())
    assert record['frames'].shape == (1, 48, 48, 3) and not record['has_face'].any()


def test_a_detector_searches_the_films(searching, release):
    clips = {clip.clip_id: clip for clip in searching.open(release).clips}
    record = searching._arrays(clips['train/000046280'], pool=InTurn())
    assert record['frames'].shape == (4, 48, 48, 3) and record['has_face'].all()
    assert searching.STORED_MARGIN == records.STORED_MARGIN
    assert record['frames'][0, 30, 30].tolist() == pytest.approx([200, 100, 0], abs=6)


def test_a_film_without_sound(searching, release):
    write_film(release / 'Val_AFEW' / 'Fear' / '000000040.avi', frames=1, sound=False)
    clips = {clip.clip_id: clip for clip in searching.open(release).clips}
    record = searching._arrays(clips['validation/000000040'], pool=InTurn())
    assert record['audio'].shape == (0,) and record['sample_rate'] == 0


@pytest.mark.parametrize(
    'inside',
    [
        'Train_AFEW/AlignedFaces_LBPTOP_Points/AlignedFaces_LBPTOP_Points/Faces',
        'Train_AFEW/Train_Aligned_Faces',
        'Train_Aligned_Faces/Angry',
    ],
)
def test_other_places_of_aligned_faces(builder, release, inside):
    usual = release / 'Train_AFEW' / 'AlignedFaces_LBPTOP_Points' / 'Faces'
    kept = release / inside
    usual.rename(release / 'faces')
    shutil.rmtree(usual.parent)
    kept.parent.mkdir(parents=True, exist_ok=True)
    (release / 'faces').rename(kept)
    clips = {clip.clip_id: clip for clip in builder.open(release).clips}
    assert [path.name for path in clips['train/000046280'].payload[1]] == [
        'I_1001.jpg',
        'I_1002.jpg',
        'I_1004.jpg',
    ]


def test_a_release_without_aligned_faces_asks_for_a_detector(builder, searching, release):
    shutil.rmtree(release / 'Val_AFEW' / 'AlignedFaces_LBPTOP_Points_Val')
    with pytest.raises(UserError, match=r'Val_AFEW has no aligned faces .* --faces=dlib'):
        builder.open(release)
    assert len(searching.open(release).clips) == 5


@pytest.mark.parametrize(
    'path, reason',
    [
        ('Train_AFEW/Angry/copy of 000046280.avi', 'foreign name'),
        ('Val_AFEW/Bored/000046299.avi', 'folder is none of the classes'),
        ('Test_AFEW/readme.avi', 'foreign name'),
    ],
)
def test_what_is_no_clip_is_dropped_by_name(builder, release, path, reason):
    write_film(release / path, 1)
    scanned = builder.open(release)
    assert len(scanned.clips) == 5
    (dropped,) = scanned.dropped
    assert dropped['path'] == path and dropped['reason'].startswith(reason)


def test_a_film_in_two_classes_has_neither(builder, release):
    write_film(release / 'Train_AFEW' / 'Sad' / '000046280.avi', 1)
    scanned = builder.open(release)
    assert [clip.clip_id for clip in scanned.clips if clip.split == 'train'] == [
        'train/000102534',
        'train/000231280',
    ]
    assert {clip['reason'] for clip in scanned.dropped} == {'stands in 2 folders of Train_AFEW'}


@pytest.mark.parametrize(
    'path, message',
    [
        ('Train_AFEW/Neutral/000231280.avi', r'unreadable video \(truncated\)'),
        (
            'Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000102534/I_1002.jpg',
            r'unreadable image \(truncated',
        ),
    ],
)
def test_a_truncated_file_is_named(builder, release, path, message):
    whole = (release / path).read_bytes()
    (release / path).write_bytes(whole[: len(whole) // 2])
    faults = []
    for source in builder.open(release).clips:
        try:
            builder._arrays(source, pool=InTurn())
        except UserError as error:
            faults.append(str(error))
    assert len(faults) == 1
    with pytest.raises(UserError, match=f'^{release / path}: {message}'):
        raise UserError(faults[0])


def test_aligned_faces_that_are_no_squares_are_named(builder, release):
    place = release / 'Val_AFEW' / 'AlignedFaces_LBPTOP_Points_Val' / 'Faces' / '000046280'
    for path in place.iterdir():
        cv2.imwrite(str(path), np.zeros((90, 120, 3), np.uint8))
    source = builder.open(release).clips[3]
    with pytest.raises(UserError, match=r'I_1001.jpg: 120x90 pixels; aligned faces are square'):
        builder.read(source, InTurn())


def test_missing_folders_and_wrong_levels_are_named(builder, release):
    with pytest.raises(UserError, match=f'--release={release}$'):
        builder.open(release / 'Train_AFEW' / 'Angry')
    shutil.rmtree(release / 'Test_AFEW')  # not everybody has it
    assert {clip.split for clip in builder.open(release).clips} == {'train', 'validation'}
    shutil.rmtree(release / 'Val_AFEW')
    with pytest.raises(UserError, match=r'no Val_AFEW \(what Val_AFEW.zip holds\)'):
        builder.open(release)


@pytest.fixture(scope='module')
def full(tmp_path_factory):
    """The full list of clips, no film drawn."""
    folder = tmp_path_factory.mktemp('afew') / 'full'
    folder.mkdir()
    plan = simulated.plan(None, seed=1, rendered=0)
    simulated.write(folder, plan, 1, run=lambda tasks: [None for _ in tasks])
    return folder


def described(builder, folder: Path) -> dict:
    return builder._description(builder.open(folder).clips, [])


def test_full_size_has_the_published_counts(builder, full):
    found = described(builder, full)
    assert found['splits'] == {'train': 773, 'validation': 383, 'test': 653}
    assert found['differences'] == [] and found['edition'] == 'AFEW 7.0'
    assert found['subjects'] == 0
    counts = collections.Counter(
        (clip.split, clip.label) for clip in builder.scanned.clips if clip.split != 'test'
    )
    assert counts['train', 'happiness'] == 150 and counts['validation', 'disgust'] == 40


@pytest.mark.parametrize(
    'train, test, edition, differences',
    [
        (723, 539, 'AFEW 5.0', []),
        (773, 593, 'AFEW 6.0', []),
        (773, 0, 'AFEW 7.0', []),
        (720, 539, 'AFEW 5.0', ['split train: 720 of 723 published']),
        (773, 651, 'AFEW 7.0', ['split test: 651 of 653 published']),
    ],
)
def test_editions_are_known_by_their_counts(
    builder, full, tmp_path, train, test, edition, differences
):
    folder = shutil.copytree(full, tmp_path / 'edition')
    for part, count in (('Train_AFEW', train), ('Test_AFEW', test)):
        for path in sorted(folder.glob(f'{part}/*/*.avi'))[count:]:
            path.unlink()
    found = described(builder, folder)
    assert found['edition'] == edition
    assert found['differences'] == differences


def test_half_a_release_differs_in_words(builder, full, tmp_path):
    folder = shutil.copytree(full, tmp_path / 'half')
    for path in sorted(folder.glob('*/*/*.avi'))[::2]:
        path.unlink()
    found = described(builder, folder)
    assert found['edition'] == 'no edition'
    assert any(line.startswith('split validation: 19') for line in found['differences'])
    assert any(line.startswith('class fear: ') for line in found['differences'])


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    """Four drawn films and one that is laid out only."""
    folder = tmp_path_factory.mktemp('afew') / 'drawn'
    folder.mkdir()
    clips = [
        simulated.Clip('Train_AFEW', '000100200', 'Angry', 0, True),
        simulated.Clip('Train_AFEW', '000100280', 'Sad', 0, True),
        simulated.Clip('Train_AFEW', '010203040', 'Fear', 1, False),
        simulated.Clip('Val_AFEW', '000300200', 'Surprise', 2, True),
        simulated.Clip('Test_AFEW', '000500200', 'Happy', 3, True),
    ]
    simulated.write(folder, clips, 5, run=lambda tasks: (f(*a) for f, a in tasks))
    return folder


def test_a_simulated_release_is_read_like_the_owners(builder, searching, drawn):
    clips = {clip.clip_id: clip for clip in builder.open(drawn).clips}
    assert clips['train/000100280'].label == 'sadness' and clips['test/000500200'].label == ''
    films = {clip.clip_id: clip for clip in searching.open(drawn).clips}
    for clip_id, clip in clips.items():
        record = builder._arrays(clip, pool=InTurn())
        frames, nobody = searching.read(films[clip_id], None)
        assert nobody is None and frames[0].shape == (simulated.HEIGHT, simulated.WIDTH, 3)
        if clip_id == 'train/010203040':
            assert len(frames) == 1 and not record['has_face'].any() and not len(record['audio'])
            continue
        assert 12 <= len(frames) <= 30 and record['has_face'].all()
        assert 0.8 * len(frames) < len(record['frames']) <= len(frames)
        assert record['frames'].shape[1:] == (128, 128, 3) and record['sample_rate'] == 16000
        seconds = len(record['audio']) / record['sample_rate']
        assert seconds == pytest.approx(len(frames) / simulated.FPS, abs=0.01)


def test_a_simulated_release_is_the_same_again(drawn, tmp_path):
    clip = simulated.Clip('Val_AFEW', '000300200', 'Surprise', 2, True)
    simulated.write(tmp_path, [clip], 5, run=lambda tasks: (f(*a) for f, a in tasks))
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob('*') if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert (tmp_path / path).read_bytes() == (drawn / path).read_bytes()


def test_people_stand_in_one_part_and_shares_are_drawn():
    plan = simulated.plan(None, seed=4, rendered=0.1)
    parts = collections.defaultdict(set)
    for clip in plan:
        parts[clip.person].add(clip.part)
    assert len(parts) == simulated.PEOPLE and all(len(part) == 1 for part in parts.values())
    drawn = collections.Counter(clip.folder for clip in plan if clip.drawn)
    whole = collections.Counter(clip.folder for clip in plan)
    assert all(0.06 < drawn[name] / whole[name] < 0.11 for name in simulated.EMOTIONS)
    assert len({clip.path for clip in plan}) == len(plan) == 1809
    few = simulated.plan(12, seed=4)
    assert {(clip.part, clip.folder) for clip in few} == {
        (part, name) for part in simulated.COUNTS for name in simulated.EMOTIONS
    }
    assert all(clip.drawn for clip in few)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'subjects': 5}, '--subjects=5: a simulated AFEW has 6 to 302 people'),
        ({'subjects': 303}, '--subjects=303'),
        ({'subjects': 12, 'rendered': 1.5}, '--rendered=1.5: a share from 0 to 1'),
    ],
)
def test_sizes_out_of_range_are_named(options, message):
    with pytest.raises(UserError, match=message):
        simulated.plan(seed=0, **options)


def test_files_of_macos_are_passed_over(builder, release):
    before = builder.open(release)
    for path in [*release.rglob('*.avi'), *release.rglob('*.jpg')]:
        path.with_name(f'._{path.name}').write_bytes(b'\0\5\x16\7')
        copy = release / '__MACOSX' / path.relative_to(release)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(b'\0\5\x16\7')
    copied = release / 'Train_AFEW' / '__MACOSX' / '000000001.avi'
    copied.parent.mkdir()
    copied.write_bytes(b'\0\5\x16\7')
    after = builder.open(release)
    assert after.clips == before.clips and after.dropped == before.dropped


def test_films_of_another_type_are_named(builder, release):
    for path in release.rglob('*.avi'):
        path.rename(path.with_suffix('.mp4'))
    with pytest.raises(UserError, match=r'mp4: the films of AFEW are .avi, here are .mp4'):
        builder.open(release)
