"""Views against OpenCV's own matrices, and the counts that haddad2020 and saurav2020 state."""

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


def test_content_is_shifted_after_it_has_turned():
    """The centre (5, 4) is shown where the shift takes it, however it has turned."""
    for options in ({'degrees': 90}, {'degrees': 20, 'scale': 0.5}):
        matrix = one((9, 11), shift=(2, 1), **options)
        np.testing.assert_allclose(matrix @ [7, 5, 1], [5, 4], atol=1e-5)


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


def test_oulu_s_counts_make_4320_views():
    classes = ['anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise']
    copies = {'flip': 1, 'rotation': 5, 'contrast': 2}
    table = views.by_class_counts(
        np.arange(480), np.arange(480) % 6, classes, (112, 112), np.random.default_rng(0),
        counts=dict.fromkeys(classes, copies), rotation=30, contrast=(0.22, 2.2),
    )  # fmt: skip
    assert len(table) == 4320
    np.testing.assert_array_equal(np.bincount(table.clip), [9] * 480)


def test_copies_are_flips_and_turns_up_to_the_angle():
    table = views.by_class_counts(
        np.arange(480), np.zeros(480, int), ['anger'], (32, 48), np.random.default_rng(0),
        counts={'anger': {'flip': 1, 'rotation': 5, 'contrast': 2}}, rotation=30,
        contrast=(0.22, 2.2),
    )  # fmt: skip
    of_clip = table.affine.reshape(480, 9, 2, 3)
    original = np.eye(3)[:2]
    assert (of_clip[:, 0] == original).all() and (of_clip[:, 7:] == original).all()
    assert (of_clip[:, 1] == one((32, 48), flip=True)).all()
    degrees = np.rad2deg(np.arctan2(of_clip[:, 2:7, 1, 0], of_clip[:, 2:7, 0, 0]))
    assert 29.5 < np.abs(degrees).max() < 30.001
    assert degrees.std() == pytest.approx(30 / 3**0.5, abs=0.5)


@pytest.mark.parametrize(
    'clips, angles, times',
    [
        (327, (-15, -10, -5, 0, 5, 10, 15), 14),  # CK+
        (480, (-10, -5, 0, 5, 10), 10),  # SAVEE, by the text's angles and flips
        (773, (-10, -5, 5, 10), 8),  # AFEW's training clips, by the text's count
    ],
)
def test_fixed_angles_make_the_views_that_saurav_states(clips, angles, times):
    clip = 3 + np.arange(clips)
    table = views.fixed(clip, (64, 64), angles=angles, mirrored=True)
    assert len(table) == times * clips
    np.testing.assert_array_equal(np.bincount(table.clip)[3:], [times] * clips)
    assert (table.contrast == 1).all()
    unlike = np.unique(table.affine[table.clip == 5].round(4), axis=0)
    assert len(unlike) == times  # and the same of every clip
    np.testing.assert_array_equal(table.affine[table.clip == 5], table.affine[table.clip == 9])
    original = np.eye(3, dtype=np.float32)[:2]
    assert (0 in angles) == (table.affine == original).all((1, 2)).any()


def test_fixed_views_turn_as_opencv_and_mirror_what_has_turned():
    size, angles = (48, 64), (-10.0, 0.0, 5.0)
    table = views.fixed(np.array([7]), size, angles=angles, mirrored=True)
    image = np.random.default_rng(0).random(size).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = [cv2.warpAffine(image, affine, (64, 48), flags=flags) for affine in table.affine]
    for k, angle in enumerate(angles):
        forward = cv2.getRotationMatrix2D((31.5, 23.5), angle, 1)
        turned = cv2.warpAffine(image, forward, (64, 48), flags=cv2.INTER_LINEAR)
        np.testing.assert_allclose(drawn[k], turned, atol=0.04)
        np.testing.assert_allclose(drawn[k + 3], turned[:, ::-1], atol=0.04)
    assert len(views.fixed(np.arange(4), size, angles=angles, mirrored=False)) == 12


def test_no_angle_is_a_mistake():
    with pytest.raises(UserError, match='augment.fixed.angles is empty'):
        views.fixed(np.arange(2), (8, 8), angles=(), mirrored=True)


@pytest.mark.parametrize(
    'option, largest, measured',
    [
        ('rotation', 10, lambda t: np.degrees(np.arctan2(t.affine[:, 1, 0], t.affine[:, 0, 0]))),
        ('scale', 0.1, lambda t: 1 / np.hypot(t.affine[:, 1, 0], t.affine[:, 0, 0]) - 1),
        ('contrast', 0.2, lambda t: t.contrast - 1),
        ('shift', 0.1, lambda t: -t.affine[:, 0, 2] / 48),
        ('shift', 0.1, lambda t: -t.affine[:, 1, 2] / 32),
    ],
    ids=['rotation', 'scale', 'contrast', 'shift_x', 'shift_y'],
)
def test_random_views_reach_as_far_as_each_option_says(option, largest, measured):
    still = dict.fromkeys(('flip', 'rotation', 'shift', 'scale', 'contrast'), 0.0)
    table = views.random(
        np.arange(4000), (32, 48), np.random.default_rng(0), **still | {option: largest}
    )
    found = measured(table) / largest
    assert 0.99 < found.max() <= 1 + 1e-4 and -1 - 1e-4 <= found.min() < -0.99
    assert abs(found.mean()) < 0.05 and abs(found.std() - 3**-0.5) < 0.02  # as likely anywhere


def test_random_options_are_drawn_apart():
    """A share is flipped, and contrasts are drawn, whatever else is done to a view."""
    table = views.random(
        np.arange(4000), (32, 48), np.random.default_rng(0), flip=0.3, rotation=10.0, shift=0.1,
        scale=0.1, contrast=0.2, turned=0.5,
    )  # fmt: skip
    flipped = np.linalg.det(table.affine[:, :, :2]) < 0
    assert abs(flipped.mean() - 0.3) < 0.03
    turned = np.abs(table.affine[:, 1, 0]) > 1e-6
    assert abs(turned.mean() - 0.5) < 0.03
    for some in (flipped, ~flipped, turned, ~turned):
        assert abs(table.contrast[some].std() - 0.2 * 3**-0.5) < 0.006


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


def test_vertical_flips_and_a_share_of_turns():
    quiet = {'flip': 0.0, 'shift': 0.0, 'scale': 0.0, 'contrast': 0.0}
    draw = lambda **options: views.random(  # noqa: E731
        np.arange(2000), (24, 24), np.random.default_rng(0), **quiet | options
    )
    image = np.random.default_rng(0).random((24, 24)).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for options, expected in (
        ({'rotation': 0.0, 'vertical': 1.0}, image[::-1]),
        ({'rotation': 0.0, 'vertical': 1.0, 'flip': 1.0}, image[::-1, ::-1]),
    ):
        found = cv2.warpAffine(image, draw(**options).affine[0], (24, 24), flags=flags)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    as_it_is = views.identity(np.arange(1)).affine[0]
    same = lambda table: np.isclose(table.affine, as_it_is, atol=1e-5).all((1, 2)).mean()  # noqa: E731
    assert abs(same(draw(rotation=15.0, turned=0.25)) - 0.75) < 0.05
    assert abs(same(draw(rotation=0.0, vertical=0.25)) - 0.75) < 0.05
    assert same(draw(rotation=15.0)) < 0.01


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


def test_whole_pixels_make_exact_crops():
    table = views.random(
        np.arange(4000), (24, 20), np.random.default_rng(0), flip=0.5, rotation=0.0, shift=0.125,
        scale=0.0, contrast=0.0, whole_pixels=True,
    )  # fmt: skip
    # Of sides of 24 and 20 pixels an eighth is 3 and 2.5, which rounds to 2.
    offset = table.affine[:, :, 2]
    upright = table.affine[:, 0, 0] > 0
    assert sorted(set(offset[upright, 0])) == [-2, -1, 0, 1, 2]
    values, counts = np.unique(offset[:, 1], return_counts=True)
    assert values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert counts.min() > 4000 / 7 * 0.85  # each as likely as any other
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image = np.random.default_rng(1).random((24, 20)).astype(np.float32)
    for affine, up in zip(table.affine[:40], upright[:40], strict=True):
        found = cv2.warpAffine(image, affine, (20, 24), flags=flags)
        x, y = affine[:, 2].astype(int) - (0 if up else [19, 0])
        padded = np.pad(image if up else image[:, ::-1], 4)
        x = x if up else -x
        np.testing.assert_array_equal(found, padded[4 + y : 28 + y, 4 + x : 24 + x])


def test_a_view_that_is_not_turned_keeps_its_size():
    table = views.random(
        np.arange(2000), (24, 24), np.random.default_rng(0), flip=0.0, rotation=10.0, shift=0.0,
        scale=0.1, contrast=0.0, turned=0.25,
    )  # fmt: skip
    same = np.isclose(table.affine, views.identity(np.arange(1)).affine[0], atol=1e-5)
    assert abs(same.all((1, 2)).mean() - 0.75) < 0.05
