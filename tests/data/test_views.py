"""Views against OpenCV's own matrices, and the counts that haddad2020 states."""

import cv2
import numpy as np
import pytest

from fer_jax.data import views
from fer_jax.errors import UserError

HADDAD = {
    'anger': (1, 2, 1), 'contempt': (1, 7, 4), 'disgust': (1, 1, 1), 'fear': (1, 4, 4),
    'happiness': (1, 1, 1), 'sadness': (1, 4, 3), 'surprise': (1, 1, 0),
}  # fmt: skip
COUNTS = {
    name: dict(zip(('flip', 'rotation', 'contrast'), row, strict=True))
    for name, row in HADDAD.items()
}
CKPLUS = {
    'anger': 45,
    'contempt': 18,
    'disgust': 59,
    'fear': 25,
    'happiness': 69,
    'sadness': 28,
    'surprise': 83,
}


def one(size, flip=False, degrees=0.0, shift=(0.0, 0.0), scale=1.0):
    columns = (np.array([flip]), np.array([degrees]), np.array([shift]), np.array([scale]))
    return views.affines(size, *columns)[0]


@pytest.mark.parametrize('degrees,scale', [(0, 1), (20, 1), (-33, 1.2), (90, 0.5)])
def test_rotation_and_scale_are_opencvs(degrees, scale):
    forward = cv2.getRotationMatrix2D((23.5, 31.5), degrees, scale)
    np.testing.assert_allclose(
        one((64, 48), degrees=degrees, scale=scale), cv2.invertAffineTransform(forward), atol=1e-5
    )


def test_shift_moves_content_right_and_down():
    image = np.zeros((9, 11), np.float32)
    image[4, 5] = 1
    moved = cv2.warpAffine(
        image, one((9, 11), shift=(2, 1)), (11, 9), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    assert np.unravel_index(moved.argmax(), moved.shape) == (5, 7)


def test_flip_mirrors_then_rotates():
    image = np.random.default_rng(0).random((32, 40)).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    flipped = cv2.warpAffine(image, one((32, 40), flip=True), (40, 32), flags=flags)
    np.testing.assert_allclose(flipped, image[:, ::-1], atol=1e-6)
    both = cv2.warpAffine(image, one((32, 40), flip=True, degrees=15), (40, 32), flags=flags)
    after = cv2.warpAffine(
        np.ascontiguousarray(image[:, ::-1]), one((32, 40), degrees=15), (40, 32), flags=flags
    )
    np.testing.assert_allclose(both[4:-4, 4:-4], after[4:-4, 4:-4], atol=0.04)


def test_published_counts_make_1722_views():
    label = np.repeat(np.arange(7), list(CKPLUS.values()))
    table = views.by_class_counts(
        np.arange(327), label, list(CKPLUS), (112, 112), np.random.default_rng(0),
        counts=COUNTS, rotation=30, contrast=(0.22, 2.2),
    )  # fmt: skip
    assert len(table) == 1722
    by_class = np.bincount(label[table.clip])
    np.testing.assert_array_equal(by_class, [225, 234, 236, 250, 276, 252, 249])
    assert set(np.unique(table.clip)) == set(range(327))
    changed = table.contrast != 1
    assert changed.sum() == 45 + 18 * 4 + 59 + 25 * 4 + 69 + 28 * 3
    assert 0.22 <= table.contrast.min() and table.contrast.max() <= 2.2


def test_views_stay_within_the_clips_given():
    clip = np.array([3, 5, 8])
    table = views.random(
        clip,
        (48, 48),
        np.random.default_rng(1),
        flip=0.5,
        rotation=10,
        shift=0.1,
        scale=0.1,
        contrast=0.2,
    )
    np.testing.assert_array_equal(table.clip, clip)
    centre = table.affine @ np.array([23.5, 23.5, 1])
    assert np.abs(centre - 23.5).max() < 48 * 0.1 * 1.2 * 1.5


def test_one_seed_one_table():
    draw = lambda seed: views.random(  # noqa: E731
        np.arange(20), (48, 48), np.random.default_rng(seed),
        flip=0.5, rotation=10, shift=0.1, scale=0.1, contrast=0.2,
    )  # fmt: skip
    np.testing.assert_array_equal(draw(0).affine, draw(0).affine)
    assert not np.array_equal(draw(0).affine, draw(1).affine)


def test_a_class_without_counts_is_named():
    with pytest.raises(UserError, match='no row for fear'):
        views.by_class_counts(
            np.arange(2), np.array([0, 1]), ['anger', 'fear'], (8, 8), np.random.default_rng(0),
            counts={'anger': COUNTS['anger']}, rotation=30, contrast=(0.22, 2.2),
        )  # fmt: skip
