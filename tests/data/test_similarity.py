"""Perceptual hashes against SciPy's transform, near pairs against comparing all with all."""

import dataclasses
import time

import cv2
import numpy as np
import pytest
import scipy.fft

from fer_jax.data import leaks, similarity
from fer_jax.data.clips import ClipSet

BLACK = np.zeros((48, 48), np.uint8)


def scene(seed: int, side: int = 48) -> np.ndarray:
    """A smooth random picture, uint8 [side, side], grey levels 60 to 180."""
    noise = np.random.default_rng(seed).normal(size=(9, 9)).astype(np.float32)
    picture = cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(picture, None, 60, 180, cv2.NORM_MINMAX).astype(np.uint8)


def hashed(*pictures) -> np.ndarray:
    return similarity.hashes(np.stack(pictures)[..., None])


def clips_of(*frames, label=None) -> ClipSet:
    """Clips of lists of pictures, padded with their last one."""
    n, longest = len(frames), max(map(len, frames))
    padded = [list(clip) + [clip[-1]] * (longest - len(clip)) for clip in frames]
    return ClipSet(
        name='some',
        classes=('a', 'b'),
        simulated=True,
        frames=np.array(padded)[..., None],
        length=np.array([len(clip) for clip in frames], np.int32),
        label=np.array([0] * n if label is None else label, np.int32),
        subject=np.array([''] * n),
        clip_id=np.array([f'c{i}' for i in range(n)]),
        split=np.array([''] * n),
    )


@pytest.mark.parametrize('shape', [(48, 48, 1), (30, 44, 3)])
def test_bits_are_the_signs_of_the_lowest_frequencies(shape):
    frames = np.random.default_rng(0).integers(0, 256, (5, *shape)).astype(np.uint8)
    radius = np.add.outer(np.arange(20) ** 2, np.arange(20) ** 2)
    lowest = np.argsort(radius, axis=None, kind='stable')[1:65]
    for frame, value in zip(frames, similarity.hashes(frames), strict=True):
        spectrum = scipy.fft.dctn(frame.mean(-1), norm='ortho')[:20, :20].ravel()[lowest]
        bits = spectrum > 1e-3 * np.linalg.norm(spectrum)
        assert f'{value:064b}' == ''.join('01'[bit] for bit in bits.astype(int))
    plain = np.add.outer(np.cos(np.pi * (2 * np.arange(48) + 1) * 3 / 96), np.zeros(48))
    wave = np.rint(127 + 100 * plain).astype(np.uint8)
    (down,), (across,) = hashed(wave), hashed(wave.T)
    assert np.bitwise_count(down) == np.bitwise_count(across) == 1 and down != across


def test_what_changes_a_picture_little_changes_few_bits():
    for seed in range(20):
        picture = scene(seed)
        marked = picture.copy()
        marked[42:44, 4:12] += 20  # a watermark
        darker = np.rint(0.5 * picture + 10).astype(np.uint8)
        smaller = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA)
        (value,) = hashed(picture)
        for other in (marked, darker, smaller):
            assert np.bitwise_count(value ^ hashed(other)[0]) <= similarity.NEAR
        assert np.bitwise_count(value ^ hashed(scene(seed + 100))[0]) > 3 * similarity.NEAR
        assert np.bitwise_count(value ^ hashed(picture[:, ::-1])[0]) > 3 * similarity.NEAR


def test_flat_pictures_look_like_nothing_and_symmetric_ones_like_their_copies():
    assert hashed(BLACK, np.full_like(BLACK, 200)).tolist() == [0, 0]
    symmetric = scene(3) // 2 + scene(3)[:, ::-1] // 2
    one, copy, flipped = hashed(symmetric, symmetric // 2 + 20, symmetric[:, ::-1])
    assert np.bitwise_count(one ^ copy) <= 1 and one == flipped


@pytest.mark.parametrize('distance', [0, 4, 9])
@pytest.mark.parametrize('candidates', [16, 1 << 21])
def test_near_pairs_are_those_of_comparing_all_with_all(distance, candidates, monkeypatch):
    monkeypatch.setattr(similarity, '_CANDIDATES', candidates)
    rng = np.random.default_rng(1)
    one = rng.integers(0, np.iinfo(np.uint64).max, 60, np.uint64)
    other = one[rng.integers(60, size=200)]
    flips = rng.integers(0, 13, 200)
    for flipped in range(12):  # none to twelve bits
        bit = np.uint64(1) << rng.integers(0, 64, 200, np.uint64)
        other = np.where(flipped < flips, other ^ bit, other)
    bits = np.bitwise_count(one[:, None] ^ other)
    i, j = np.nonzero(bits <= distance)
    expected = np.stack([i, j, bits[i, j]], axis=1)
    assert len(expected) > 0
    np.testing.assert_array_equal(similarity.near(one, other, distance), expected)
    assert similarity.near(one[:0], other).shape == (0, 3)


def test_links_are_between_groups_and_name_the_nearest_frames():
    brighter = scene(1) // 2 + 60
    clips = clips_of(
        [scene(0), scene(1), scene(2)],  # 0
        [scene(3), brighter],  # 1: its second frame is like the second of 0
        [scene(0), scene(1), scene(2)],  # 2: the same as 0
        [scene(2)[:, ::-1]],  # 3: the last of 0, mirrored
        [BLACK, scene(4)],  # 4: black frames are like nothing
        [BLACK, scene(5)],
    )
    groups = leaks.duplicates(clips)
    links = similarity.links(clips, groups)
    rows = {
        (int(links.one[k]), int(links.other[k])): (
            int(links.frame[k]), int(links.other_frame[k]), bool(links.mirrored[k]),
        )
        for k in range(len(links.one))
    }  # fmt: skip
    assert groups.tolist() == [0, 1, 0, 2, 3, 4]
    assert rows == {(0, 1): (1, 1, False), (0, 2): (2, 0, True)}
    assert (links.distance <= similarity.NEAR).all()
    # Padding is not looked at: were clip 1 a frame shorter, nothing of it would be left.
    shorter = dataclasses.replace(clips, length=np.array([3, 1, 3, 1, 2, 2], np.int32))
    assert similarity.links(shorter, groups).mirrored.tolist() == [True]


def test_a_match_is_the_identical_clip_else_the_nearest():
    marked = scene(0).copy()
    marked[:2, :6] += 20
    clips = clips_of(
        [scene(0)], [scene(0) // 2 + 50], [marked], [scene(0)], [scene(7)], [scene(8)[:, ::-1]],
        [scene(8)],
    )  # fmt: skip
    groups = leaks.duplicates(clips)
    links = similarity.links(clips, groups)
    found = similarity.matches(groups, links, np.array([0, 1, 5]), np.array([6, 4, 3, 2]))
    assert found.clip.tolist() == [2, 3, 6]
    kinds = [similarity.NEARLY, similarity.IDENTICAL, similarity.MIRRORED]
    assert found.kind.tolist() == kinds
    distances = {
        source: int(np.bitwise_count(hashed(marked) ^ hashed(clips.frames[source, 0, :, :, 0]))[0])
        for source in (0, 1)
    }
    nearest = min(distances, key=distances.get)
    assert found.source.tolist() == [nearest, 0, 5]
    assert found.distance.tolist()[:2] == [distances[nearest], 0]
    nothing = similarity.matches(groups, links, np.array([], int), np.array([3, 6]))
    assert not len(nothing.clip)


def test_pairs_of_fer2013s_size_are_found_in_seconds():
    n = 35_887
    small = np.random.default_rng(0).normal(size=(n, 8, 8)).astype(np.float32)
    frames = np.clip(small.repeat(3, 1).repeat(3, 2) * 30 + 127, 0, 255).astype(np.uint8)
    frames[-100:] = frames[:100] // 2 + 40
    many = ClipSet(
        'many', ('a', 'b'), True, frames[:, None, :, :, None], np.ones(n, np.int32),
        np.zeros(n, np.int32), np.array([''] * n), np.arange(n).astype(str), np.array([''] * n),
    )  # fmt: skip
    start = time.process_time()
    groups = np.arange(n)
    links = similarity.links(many, groups)
    found = similarity.matches(groups, links, np.arange(1000), np.arange(n - 100, n))
    assert time.process_time() - start < 20
    assert found.source.tolist() == list(range(100))
