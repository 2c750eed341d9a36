"""The CREMA-D builder on files written by hand, and on a simulated release."""

import collections
import shutil

import numpy as np
import pytest

from fer_jax.data import preparation, prepared
from fer_jax.data.datasets.crema_d import builder as crema_d
from fer_jax.errors import UserError
from fer_jax.simulation.people import movie
from fer_jax.simulation.releases import crema_d as simulated

RATE = 16000
NOISE = np.random.default_rng(0).integers(-999, 999, RATE // 4).astype(np.int16)
# As the owners' table has it: rows of what raters heard (1), saw (2), and both (3); more columns.
VOTES = """"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"
"100001",1,1,1,0,6,1,"1001_DFA_ANG_XX",10,0.6,"N"
"200001",4,4,0,0,1,1,"1001_DFA_ANG_XX",10,0.4,"A:D"
"300001",7,2,0,0,1,0,"1001_DFA_ANG_XX",10,0.7,"A"
"300002",0,4,0,0,4,1,"1001_IEO_DIS_LO",9,0.444444444444444,"D:N"
"300003",0,0,0,1,8,1,"1040_ITH_SAD_XX",10,0.8,"N"
"""


@pytest.fixture
def release(tmp_path):
    """Two films with sound beside them, one of sound alone whose name lacks an X, one unrated."""
    folder = tmp_path / 'CREMA-D'
    for name in ('VideoFlash', 'AudioWAV', 'AudioMP3', 'processedResults'):
        (folder / name).mkdir(parents=True)
    images = [np.full((48, 64, 3), 40 + 30 * t, np.uint8) for t in range(3)]
    for name in ('1001_DFA_ANG_XX', '1001_IEO_DIS_LO', '1002_TIE_HAP_XX', '1040_ITH_SAD_XX'):
        movie.write_movie(folder / 'VideoFlash' / f'{name}.flv', images, 12)
    for name in ('1001_DFA_ANG_XX', '1040_ITH_SAD_X', '1090_WSI_FEA_XX'):
        movie.write_sound(folder / 'AudioWAV' / f'{name}.wav', NOISE, RATE)
    (folder / 'processedResults' / 'tabulatedVotes.csv').write_text(VOTES)
    return folder


@pytest.fixture
def builder(tmp_path):
    return crema_d.Builder(data_dir=tmp_path / 'unused', config='faces-haar')


def test_scan_reads_names_and_finds_the_sound(builder, release):
    found = {clip.clip_id: clip for clip in builder.open(release).clips}
    assert [(name, clip.label, clip.subject) for name, clip in found.items()] == [
        ('1001_DFA_ANG_XX', 'anger', '1001'),
        ('1001_IEO_DIS_LO', 'disgust', '1001'),
        ('1002_TIE_HAP_XX', 'happiness', '1002'),
        ('1040_ITH_SAD_XX', 'sadness', '1040'),
        ('1090_WSI_FEA_XX', 'fear', '1090'),
    ]
    np.testing.assert_array_equal(builder.sound(found['1040_ITH_SAD_XX'])[0], NOISE)
    assert builder.sound(found['1001_IEO_DIS_LO'])[1] == 0
    assert len(builder.read(found['1001_DFA_ANG_XX'], None)[0]) == 3
    assert not builder.has_pictures(found['1090_WSI_FEA_XX'])


@pytest.mark.parametrize(
    'ratings, rated, votes',
    [
        ('audio_visual', 'anger', [7, 2, 0, 0, 1, 0]),
        ('face', '', [4, 4, 0, 0, 1, 1]),
        ('voice', 'neutral', [1, 1, 1, 0, 6, 1]),
    ],
)
def test_votes_are_those_asked_for(builder, release, ratings, rated, votes):
    scanned = builder.open(release, ratings=ratings)
    clip = scanned.clips[0]
    order = [builder.VOTES.index(name) for name in
             ('anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness')]  # fmt: skip
    assert [clip.votes[k] for k in order] == votes
    assert clip.other_labels == {'crema_d_rated': rated}
    said = builder._description(scanned.clips, [])['differences']
    assert ('the votes are those of face alone' in said) == (ratings == 'face')


def test_who_has_no_most_votes_has_no_rated_class(builder, release):
    dropped = {clip['clip_id']: clip for clip in builder.open(release).dropped}
    reason = 'crema_d_rated: no emotion has most votes'
    assert dropped['1001_IEO_DIS_LO']['reason'] == reason
    assert dropped['1002_TIE_HAP_XX']['reason'] == 'crema_d_rated: nobody rated it'
    assert {clip['label_set'] for clip in dropped.values()} == {'crema_d_rated'}


def test_without_votes_there_is_one_label_set(builder, release):
    before = builder.open(release).fingerprint
    assert builder.open(release, ratings='face').fingerprint != before
    (release / 'processedResults' / 'tabulatedVotes.csv').unlink()
    scanned = builder.open(release)
    assert scanned.label_sets == ('crema_d',) and not scanned.dropped
    said = builder._description(scanned.clips, [])['differences']
    assert any('no label set crema_d_rated' in line for line in said)


def test_a_table_of_votes_in_capitals_counts(builder, release):
    table = release / 'processedResults' / 'tabulatedVotes.csv'
    table.rename(table.with_name('TABULATEDVOTES.CSV'))
    scanned = builder.open(release)
    assert scanned.label_sets == ('crema_d', 'crema_d_rated')
    table.with_name('TABULATEDVOTES.CSV').write_text(VOTES.replace('7,2,0', '2,7,0'))
    assert builder.open(release).fingerprint != scanned.fingerprint


def test_labels_of_votes_that_are_not_there_name_their_table(release, tmp_path):
    (release / 'processedResults' / 'tabulatedVotes.csv').unlink()
    for folder in ('VideoFlash', 'AudioMP3'):
        shutil.rmtree(release / folder)
    preparation.prepare('crema_d', release, tmp_path / 'data')
    geometry = {'frames': 1, 'sampling': 'last', 'size': 32}
    message = 'which need processedResults/tabulatedVotes.csv in the release: '
    with pytest.raises(UserError, match=message) as caught:
        prepared.load('crema_d', data_dir=tmp_path / 'data', labels='crema_d_rated', **geometry)
    assert '--ratings' not in str(caught.value)


def test_another_table_and_another_choice_are_refused(builder, release):
    with pytest.raises(UserError, match='--ratings=both: one of voice, face, audio_visual'):
        builder.open(release, ratings='both')
    (release / 'processedResults' / 'tabulatedVotes.csv').write_text('fileName,emoVote\na,A\n')
    with pytest.raises(UserError, match="owners' table of votes expected .* KeyError"):
        builder.open(release)


@pytest.mark.parametrize(
    'folder, kept, more',
    [
        ('VideoFlash', '1001_DFA_ANG_XX.FLV', '1001_DFA_ANG_XX.flv'),
        ('AudioWAV', '1040_ITH_SAD_X.wav', '1040_ITH_SAD_XX.wav'),
    ],
)
def test_two_files_of_one_clip_and_ending_are_refused(builder, release, folder, kept, more):
    place = release / folder
    data = (place / (kept if (place / kept).exists() else more)).read_bytes()
    (place / kept).write_bytes(data)
    (place / more).write_bytes(data)
    with pytest.raises(UserError, match=f'{place / kept} and {more} are one clip; keep one of'):
        builder.open(release)


def test_of_two_endings_the_owners_counts(builder, release):
    for path in ('VideoFlash/1001_DFA_ANG_XX.mp4', 'AudioWAV/1001_DFA_ANG_XX.mp3'):
        (release / path).touch()
    scanned = builder.open(release)
    first = scanned.clips[0].payload
    assert [path.name for path in first.files] == ['1001_DFA_ANG_XX.flv', '1001_DFA_ANG_XX.wav']
    copies = [clip['path'] for clip in scanned.dropped if clip['reason'].startswith('a copy of')]
    assert copies == ['VideoFlash/1001_DFA_ANG_XX.mp4', 'AudioWAV/1001_DFA_ANG_XX.mp3']


def test_an_empty_file_of_sound_leaves_the_film_s(builder, release):
    film = release / 'VideoFlash/1002_TIE_HAP_XX.flv'
    film.unlink()
    images = [np.full((48, 64, 3), 90, np.uint8)] * 3
    movie.write_movie(film.with_suffix('.mp4'), images, 12, sound=NOISE, rate=RATE)
    movie.write_sound(release / 'AudioWAV/1002_TIE_HAP_XX.wav', NOISE[:0], RATE)
    found = {clip.clip_id: clip for clip in builder.open(release).clips}
    samples, rate = builder.sound(found['1002_TIE_HAP_XX'])
    assert rate == RATE and len(samples) >= len(NOISE)


def test_pointers_of_git_lfs_are_named(builder, release):
    path = release / 'VideoFlash' / '1001_DFA_ANG_XX.flv'
    path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n')
    with pytest.raises(UserError, match=f"{path} and 0 more .* 'git lfs pull'"):
        builder.open(release)


def test_full_size_has_the_published_counts(builder, tmp_path):
    folder = tmp_path / 'full' / 'VideoFlash'
    folder.mkdir(parents=True)
    (folder.parent / 'SIMULATED.json').write_text('{"dataset": "crema_d", "seed": 1}')
    for clip in simulated.plan(None, seed=1):
        (folder / f'{clip.name}.flv').touch()
    found = builder._description(builder.open(tmp_path / 'full').clips, [])
    assert found['clips'] == 7442 and found['subjects'] == 91
    assert len(found['differences']) == 1  # the votes


def test_a_link_that_leads_nowhere_is_named(builder, release):
    path = release / 'AudioWAV' / '1001_DFA_ANG_XX.wav'
    path.unlink()
    path.symlink_to('../.git/annex/objects/x')
    with pytest.raises(UserError, match=f'{path}: No such file or directory; copy the file again'):
        builder.open(release)


def test_recordings_that_the_owners_list_as_broken_are_dropped_or_named(builder, release):
    broken = ('1064_IEO_DIS_MD', '1064_TIE_SAD_XX', '1076_MTI_NEU_XX', '1076_MTI_SAD_XX')
    for name in broken:
        (release / 'AudioWAV' / f'{name}.wav').touch()
    scanned = builder.open(release)
    assert set(broken[1:]) == {clip.clip_id for clip in scanned.clips} & set(broken)
    (left_out,) = [clip for clip in scanned.dropped if clip['label_set'] == '']
    assert (left_out['clip_id'], left_out['reason']) == (broken[0], 'broken: shows every emotion')
    said = builder._description(scanned.clips, [])['differences']
    (line,) = [line for line in said if 'broken' in line]
    assert all(name in line for name in broken[1:])


def test_a_simulated_release_has_targets_of_votes(tmp_path):
    plan = [clip for clip in simulated.plan(2, seed=3) if clip.sentence == 'TIE'][::3]
    drawn, data = tmp_path / 'drawn', tmp_path / 'data'
    drawn.mkdir()
    simulated.write(drawn, plan, 3, run=lambda tasks: (f(*a) for f, a in tasks))
    preparation.prepare('crema_d', drawn, data)
    geometry = {'frames': 4, 'sampling': 'uniform', 'size': 32, 'registration': 'eyes'}
    acted = prepared.load('crema_d', data_dir=data, **geometry)
    assert acted.target is None and acted.clip_id.tolist() == sorted(clip.name for clip in plan)
    rated = prepared.load('crema_d', data_dir=data, labels='crema_d_rated', **geometry)
    assert 0 < len(rated) <= len(acted)
    np.testing.assert_allclose(rated.target.sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(rated.target.argmax(1), rated.label)
    sound = prepared.load_audio('crema_d', data_dir=data)
    assert all(rate == 16000 and len(samples) > rate for samples, rate in sound.values())


def test_simulated_raters_perceive_as_published():
    clips = [clip for clip in simulated.plan(20, seed=0) if clip.level == 'XX']
    for kind, share in ((1, 0.409), (2, 0.582), (3, 0.636)):
        right = [
            simulated.perceive(clip, kind, np.random.default_rng([kind, clip.number]))[
                'ADFHNS'.index(clip.emotion[0])
            ]
            for clip in clips
        ]
        assert np.mean(right) / simulated.RATERS == pytest.approx(share, abs=0.02)


def test_a_simulated_crema_d_has_at_most_its_actors():
    assert collections.Counter(clip.actor for clip in simulated.plan(3, 0)) == dict.fromkeys(
        (1001, 1002, 1003), 82
    )
    with pytest.raises(UserError, match='--subjects=92: a simulated CREMA-D has 1 to 91'):
        simulated.plan(92, seed=0)
