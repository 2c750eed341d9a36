"""Frames as stills, and what clips were made of."""

import dataclasses

import numpy as np
import pytest

from fer_jax.data import clips, protocols
from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError


def films(name, length, split, size=4):
    """A clip's frames hold its number and theirs; padding repeats the last one."""
    frames = np.zeros((len(length), size, 2, 2, 1), np.uint8)
    for clip, real in enumerate(length):
        frames[clip] = (10 * clip + np.minimum(np.arange(size), real - 1)).reshape(-1, 1, 1, 1)
    return ClipSet(
        name=name,
        classes=('anger', 'fear'),
        simulated=True,
        frames=frames,
        length=np.array(length, np.int32),
        label=np.arange(len(length), dtype=np.int32) % 2,
        subject=np.array([f'S{i}' for i in range(len(length))]),
        clip_id=np.array([f'{part}/{i:03}' for i, part in enumerate(split)]),
        split=np.array(split),
        landmarks=np.broadcast_to(frames[:, :, :1, :1, 0], (len(length), size, 68, 2)).astype(
            np.float32
        ),
    )


def test_every_true_frame_becomes_a_still():
    found = clips.stills(films('afew', [3, 1, 4], ['train', 'train', 'validation']))
    assert found.clip_id.tolist() == [
        'train/000@0', 'train/000@1', 'train/000@2', 'train/001',
        'validation/002@0', 'validation/002@1', 'validation/002@2', 'validation/002@3',
    ]  # fmt: skip
    assert found.frames[:, 0, 0, 0, 0].tolist() == [0, 1, 2, 10, 20, 21, 22, 23]
    assert found.landmarks[:, 0, 0, 0].tolist() == [0, 1, 2, 10, 20, 21, 22, 23]
    assert found.label.tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert found.subject.tolist() == ['S0'] * 3 + ['S1'] + ['S2'] * 4
    assert found.split.tolist() == ['train'] * 4 + ['validation'] * 4
    assert found.frames.shape == (8, 1, 2, 2, 1) and (found.length == 1).all()


def test_a_sequence_begins_neutral():
    found = clips.onsets(films('ckplus', [2, 1, 2], ['', '', ''], size=2))
    assert found.classes == ('anger', 'fear', 'neutral')
    assert found.clip_id.tolist() == ['/000@0', '/000@1', '/001', '/002@0', '/002@1']
    assert found.label.tolist() == [2, 0, 1, 2, 0] and found.label.dtype == np.int32
    assert found.frames[:, 0, 0, 0, 0].tolist() == [0, 1, 10, 20, 21]
    with pytest.raises(UserError, match='ckplus has stills only'):
        clips.onsets(found)


def test_a_recording_is_known_in_any_set_that_it_is_part_of():
    afew = films('afew', [3, 1], ['train', 'train'])
    both = clips.combine([films('fer2013', [1], ['train'], 4), afew])
    alone = clips.recordings('afew', afew.clip_id.tolist())
    assert alone == {'afew/train/000', 'afew/train/001'}
    apart = clips.stills(both)
    assert clips.recordings(apart.name, apart.clip_id.tolist()) == alone | {'fer2013/train/000'}


def test_features_are_clips_too_and_other_arrays_are_not():
    pictures = films('afew', [3, 1], ['train', 'train'])
    features = np.zeros((2, 4, 5), np.float32)
    assert dataclasses.replace(pictures, frames=features, landmarks=None).frames is features
    for frames in (features.astype(np.float64), features[:, :, 0], pictures.frames[..., 0]):
        with pytest.raises(ValueError, match='features float32'):
            dataclasses.replace(pictures, frames=frames, landmarks=None)


def test_across_datasets_one_trains_and_the_other_chooses_and_judges():
    split = ['train', 'validation', 'train', 'test', 'validation']
    fer, afew = films('fer2013', [1] * 5, split), films('afew', [1] * 5, split[:3] + split[3:])
    both = clips.combine([fer, afew])
    made = protocols.make_protocol(both, name='across', target='afew')
    (fold,) = made.folds
    assert made.name == 'across-afew' and not made.subject_disjoint
    assert fold.train.tolist() == [0, 1, 2, 3, 4]
    assert fold.validation.tolist() == [5, 7] and fold.test.tolist() == [6, 8, 9]
    assert protocols.parse_name(made.name) == {'name': 'across', 'target': 'afew'}


@pytest.mark.parametrize(
    'split, target, message',
    [
        (['train', 'test'], 'tfd', 'one of several datasets of data.name \\(fer2013\\+afew\\)'),
        (['train', 'train'], 'afew', 'no training part beside others'),
        (['test', 'test'], 'afew', 'no training part beside others'),
    ],
)
def test_across_refuses_what_cannot_be_divided(split, target, message):
    both = clips.combine([films('fer2013', [1, 1], split), films('afew', [1, 1], split)])
    with pytest.raises(UserError, match=message):
        protocols.make_protocol(both, name='across', target=target)


def test_votes_follow_their_clips():
    target = np.float32([[0.2, 0.8], [1, 0]])
    voted = dataclasses.replace(films('afew', [3, 1], ['train'] * 2), target=target)
    np.testing.assert_array_equal(clips.stills(voted).target, target[[0, 0, 0, 1]])
    np.testing.assert_array_equal(voted.take(np.array([1])).target, target[1:])
    other = dataclasses.replace(
        films('fer2013', [1], ['train'], 4),
        target=np.float32([[0.6, 0.4]]),
        classes=('joy', 'fear'),
    )
    both = clips.combine([voted, other])
    assert both.classes == ('anger', 'fear', 'joy')
    expected = np.float32([[0.2, 0.8, 0], [1, 0, 0], [0, 0.4, 0.6]])
    np.testing.assert_array_equal(both.target, expected)
    assert clips.combine([voted, films('fer2013', [1], ['train'], 4)]).target is None
    with pytest.raises(ValueError, match='target is'):
        dataclasses.replace(voted, target=target[:1])


def test_pictures_of_which_some_are_simulated_are_simulated():
    drawn, real = films('afew', [3], ['train']), films('fer2013', [1], ['train'])
    real = dataclasses.replace(real, simulated=False)
    assert clips.combine([drawn, real]).simulated and clips.combine([real, drawn]).simulated
    assert not clips.combine([real, dataclasses.replace(drawn, simulated=False)]).simulated


@pytest.mark.parametrize('sampling, frame', [('uniform', 19), ('linspace', 19), ('rising', 9)])
def test_one_frame_is_the_last_one_not_the_neutral_first_one(sampling, frame):
    assert clips.sample_frames(20, 1, sampling).tolist() == [frame]
    assert clips.sample_frames(1, 1, sampling).tolist() == [0]


def test_rising_frames_end_in_the_middle():
    assert clips.sample_frames(9, 3, 'rising').tolist() == [0, 2, 4]
    assert clips.sample_frames(10, 3, 'rising').tolist() == [0, 2, 4]
    assert clips.sample_frames(5, 4, 'rising').tolist() == [0, 1, 2, 2]  # the last one is padding
    assert clips.sample_frames(1, 2, 'rising').tolist() == [0, 0]


@pytest.mark.parametrize('sampling', ['uniform', 'linspace', 'last'])
def test_all_frames_of_a_short_clip_are_taken(sampling):
    found = clips.sample_frames(3, 8, sampling).tolist()
    # saurav2020's are equally spaced: every frame is repeated in its place.
    assert found == ([0, 0, 1, 1, 1, 1, 2, 2] if sampling == 'linspace' else [0, 1] + 6 * [2])


def test_equally_spaced_frames_keep_both_ends():
    for length in (9, 16, 100):
        expected = np.rint(np.linspace(0, length - 1, 8)).tolist()
        for sampling in ('uniform', 'linspace'):
            assert clips.sample_frames(length, 8, sampling).tolist() == expected


def test_an_order_of_frames_is_that_of_the_true_ones():
    given = films('ckplus', [4, 3, 4], ['', '', ''])
    assert clips.arrange(given, 'kept') is given
    shown = {name: clips.arrange(given, name) for name in ('apex', 'shuffled')}
    assert shown['apex'].frames[..., 0, 0, 0].tolist() == [[3] * 4, [12] * 4, [23] * 4]
    mixed = shown['shuffled'].frames[..., 0, 0, 0]
    assert (mixed != given.frames[..., 0, 0, 0]).any()
    assert [sorted(row) for row in mixed[[0, 2]].tolist()] == [[0, 1, 2, 3], [20, 21, 22, 23]]
    assert sorted(mixed[1, :3]) == [10, 11, 12] and mixed[1, 3] == mixed[1, 2]
    for found in shown.values():
        np.testing.assert_array_equal(found.landmarks[..., 0, 0], found.frames[..., 0, 0, 0])
        np.testing.assert_array_equal(found.length, given.length)
