"""Occlusion maps against slow loops, and of a network that is known to look at one patch."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.explain import occlusion, saliency
from fer_jax.explain.occlusion import Windows, make_occluder

SHAPE = (3, 13, 10, 2)  # frames, height, width, channels


def linear(network, frames, length):
    """Class probabilities of a linear classifier that sees the first `length` frames."""
    seen = jnp.arange(frames.shape[1])[None] < length[:, None]
    frames = jnp.where(seen[..., None, None, None], frames, 0.0)
    logits = jnp.einsum('bthwc,thwck->bk', frames, network, precision='highest')
    return jax.nn.softmax(logits)


@pytest.fixture(scope='module')
def network():
    rng = np.random.default_rng(0)
    return rng.normal(scale=0.3, size=(*SHAPE, 4)).astype(np.float32)


@pytest.fixture(scope='module')
def face():
    return np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)


def slowly(network, face, length, size, stride):
    """Probabilities under each window by loops, float64, and the windows' corners."""
    height, width = face.shape[1:3]

    def predict(frames):
        logits = np.tensordot(frames[:length].astype(float), network[:length].astype(float), 4)
        return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()

    found, corners, top = [predict(face)], [], 0
    while top + size <= height:
        left = 0
        while left + size <= width:
            hidden = face.copy()
            for y in range(top, top + size):
                for x in range(left, left + size):
                    hidden[:, y, x] = 0
            found.append(predict(hidden))
            corners.append((top, left))
            left = width if left == width - size else min(left + stride, width - size)
        top = height if top == height - size else min(top + stride, height - size)
    return np.array(found), corners


@pytest.mark.parametrize('size, stride, length', [(4, 3, 3), (5, 5, 2), (10, 1, 1), (1, 1, 3)])
def test_every_window_is_judged_as_a_loop_judges_it(network, face, size, stride, length):
    expected, corners = slowly(network, face, length, size, stride)
    windows = Windows.over(SHAPE[1:3], size, stride)
    assert [tuple(corner) for corner in windows.corners.tolist()] == corners
    occlude = make_occluder(linear, windows)
    found = np.asarray(occlude(network, face, length))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    label = np.array([expected[0].argmax()])
    np.testing.assert_array_equal(
        occlusion.flips(found[None], label)[0], expected[1:].argmax(1) != label
    )
    np.testing.assert_allclose(
        occlusion.falls(found[None], label)[0],
        expected[0, label] - expected[1:, label[0]],
        atol=1e-5,
    )


def test_windows_in_parts_are_judged_the_same(network, face):
    windows = Windows.over(SHAPE[1:3], 4, 2)
    whole = make_occluder(linear, windows)(network, face, 3)
    seen = []

    def predict(network, frames, length):
        seen.append(len(frames))
        return linear(network, frames, length)

    parts = make_occluder(predict, windows, together=7 * face.size)(network, face, 3)
    assert len(whole) == 1 + len(windows) == 1 + 6 * 4
    assert seen == [7]  # 25 in four parts of seven, the last not full
    np.testing.assert_allclose(parts, whole, rtol=1e-6)


@pytest.mark.parametrize(
    'shape, size, stride, count',
    [
        ((48, 48), 8, 4, 121),
        ((42, 42), 8, 4, 100),  # 36 is not 34: the last window moves by two
        ((112, 112), 8, 4, 729),
        ((48, 40), 8, 8, 30),
        ((20, 20), 20, 3, 1),
        ((20, 21), 20, 3, 2),
    ],
)
def test_windows_reach_every_edge(shape, size, stride, count):
    windows = Windows.over(shape, size, stride)
    assert len(windows) == count == len(np.unique(windows.corners, axis=0))
    assert windows.corners.min(0).tolist() == [0, 0]
    assert windows.corners.max(0).tolist() == [side - size for side in shape]
    for axis in windows.corners.T:
        assert np.diff(np.unique(axis)).max(initial=1) <= stride


@pytest.mark.parametrize(
    'size, stride, message',
    [
        (49, 4, '--window is 49, the network sees faces of 50 x 48 pixels: give 1 to 48'),
        (0, 4, '--window is 0'),
        (8, 9, '--stride is 9, --window 8: give 1 to 8'),
        (8, 0, '--stride is 0'),
    ],
)
def test_windows_that_there_are_not_are_one_line(size, stride, message):
    with pytest.raises(UserError) as error:
        Windows.over((50, 48), size, stride)
    assert message in str(error.value) and '\n' not in str(error.value)


def test_a_map_is_the_mean_of_the_windows_over_a_pixel():
    windows = Windows.over((11, 9), 4, 3)
    values = np.random.default_rng(2).normal(size=(2, len(windows)))
    expected = np.empty((2, 11, 9))
    for y in range(11):
        for x in range(9):
            over = [t <= y < t + 4 and s <= x < s + 4 for t, s in windows.corners.tolist()]
            expected[:, y, x] = values[:, over].mean(1)
    np.testing.assert_allclose(windows.spread(values), expected)


def test_the_map_peaks_on_the_patch_that_the_network_looks_at():
    # Class 1 is a bright patch at rows 20 to 25, columns 30 to 35; nothing else counts.
    patch = np.zeros((48, 48), bool)
    patch[20:26, 30:36] = True
    network = np.zeros((1, 48, 48, 1, 2), np.float32)
    network[0, patch, 0, 1] = 8 / patch.sum()
    face = np.random.default_rng(3).uniform(size=(1, 48, 48, 1)).astype(np.float32)
    face[0, patch] = 1
    bias = jnp.array([[4.0, 0.0]])

    def predict(network, frames, length):
        return jax.nn.softmax(jnp.einsum('bthwc,thwck->bk', frames, network) + bias)

    windows = Windows.over((48, 48), 8, 4)
    found = np.asarray(make_occluder(predict, windows)(network, face, 1))[None]
    label = np.array([1])
    falls, flips = occlusion.falls(found, label)[0], occlusion.flips(found, label)[0]
    inside = [
        np.sum(patch[top : top + 8, left : left + 8]) for top, left in windows.corners.tolist()
    ]
    np.testing.assert_array_equal(falls > 1e-6, np.array(inside) > 0)
    # Logits are 8 and 4: it flips where more than half of the patch is hidden.
    np.testing.assert_array_equal(flips, np.array(inside) > patch.sum() / 2)
    for values in (falls, flips.astype(float)):
        shown = windows.spread(values)
        y, x = np.unravel_index(shown.argmax(), shown.shape)
        assert patch[y, x]
        assert not shown[:12].any() and not shown[:, :22].any() and not shown[34:].any()


def test_a_clip_that_the_network_gets_wrong_after_all_flips_under_no_window(network, face):
    faces = np.stack([face, -face])
    said = [slowly(network, own, 3, 5, 5)[0][0] for own in faces]
    first = int(said[0].argmax())
    assert said[1].argmax() != first
    trained = SimpleNamespace(
        network=SimpleNamespace(system=SimpleNamespace(probabilities=linear), variables=network),
        clips=SimpleNamespace(
            length=np.array([3, 3]), label=np.array([first, first]), classes=('a', 'b', 'c', 'd')
        ),
        tested=(np.arange(2), np.eye(4)[[first, first]]),  # as saved, both are right
        seen=lambda clip: faces[clip],
        pictures=lambda seen: seen,
        check=lambda clip, said: None,
        run=SimpleNamespace(path='run'),
        member=SimpleNamespace(index=0),
    )
    windows = Windows.over(SHAPE[1:3], 5, 5)
    found = saliency.study(trained, np.arange(2), windows)
    assert found.clip.tolist() == [0] and len(found.probabilities) == len(found.pictures) == 1
    with pytest.raises(UserError, match='run: member 0 gets no test clip right'):
        saliency.study(trained, np.array([1]), windows)


def sure(fear, joy):
    """Makes a study of so many clips of fear and of joy, one window, surer from clip to clip."""
    label = np.repeat([0, 2], [fear, joy])
    whole = np.zeros((fear + joy, 3), np.float32)
    whole[np.arange(fear + joy), label] = np.linspace(0.6, 0.9, fear + joy)
    hidden = np.tile(np.array([0, 0.5, 0.4], np.float32), (fear + joy, 1))
    hidden[fear + 1 :] = whole[fear + 1 :] / 2
    return saliency.Study(
        windows=Windows.over((4, 4), 4, 4),
        classes=('fear', 'anger', 'joy'),
        tested=np.array([9, 4, 8]),
        correct=np.array([fear, 0, joy]),
        clip=np.arange(fear + joy),
        label=label,
        probabilities=np.stack([whole, hidden], 1),
        pictures=np.zeros((fear + joy, 4, 4, 1), np.float32),
    )


def test_the_typical_clip_is_the_middle_one_and_the_trio_of_fear_where_there_is_one():
    found = sure(5, 7)
    assert (found.typical(0), found.typical(2)) == (2, 8)
    assert found.trio() == [0, 2, 4]
    few = sure(2, 7)
    assert (few.typical(0), few.typical(2)) == (1, 5)
    assert few.trio() == [3, 5, 7]


def test_the_table_says_of_each_class_what_its_own_windows_do():
    found = sure(2, 4)
    true = found.probabilities[np.arange(6), 0, found.label]
    joy = (true[2] - 0.4 + true[3:].sum() / 2) / 4
    lines = saliency.text(found.table(), ['A STAMP']).splitlines()
    assert lines[0] == '*** A STAMP ***'
    assert [line.split() for line in lines[1:]] == [
        ['class', 'test', 'right', 'mapped', 'flips', 'mean', 'fall'],
        ['fear', '9', '2', '2', '100.0', '%', f'{100 * true[:2].mean():+.1f}'],
        ['anger', '4', '0', '0', '-', '-'],
        ['joy', '8', '4', '4', '25.0', '%', f'{100 * joy:+.1f}'],
    ]


def test_one_compilation_a_geometry(network, face):
    traced = []

    def predict(network, frames, length):
        traced.append(frames.shape)
        return linear(network, frames, length)

    occlude = make_occluder(predict, Windows.over(SHAPE[1:3], 4, 3))
    for seed in range(4):
        other = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
        occlude(network + seed, other, np.int32(1 + seed % 3))
    assert traced == [(13, *SHAPE)]
    occlude(network[:2], face[:2], np.int32(2))
    assert traced == [(13, *SHAPE), (13, 2, *SHAPE[1:])]
