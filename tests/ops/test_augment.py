"""Views applied to clips, against OpenCV and the contrast formula in NumPy."""

import cv2
import jax
import numpy as np

from fer_jax.ops import augment


def test_geometry_comes_first_then_contrast():
    frames = (np.random.default_rng(0).random((2, 3, 16, 16, 1)) * 255).astype(np.float32)
    affine = np.float32([[[1, 0, 0], [0, 1, 0]], [[-1, 0, 18], [0, 1, 4]]])
    factor = np.float32([1.0, 0.5])
    got = np.asarray(jax.jit(augment.apply_views)(frames, affine, factor))
    np.testing.assert_allclose(got[0], frames[0], atol=1e-4)
    for frame, view in zip(frames[1, ..., 0], got[1, ..., 0], strict=True):
        moved = cv2.warpAffine(
            frame, affine[1], (16, 16), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        np.testing.assert_allclose(view, 127 + 0.5 * (moved - 127), atol=1e-3)
    # The black that came in at the border is stretched with the rest.
    np.testing.assert_array_equal(got[1, :, -4:], 63.5)


def test_erasing_sets_one_rectangle_to_zero():
    frames = np.ones((400, 2, 32, 48, 1), np.float32)
    found = np.asarray(jax.jit(augment.erase)(frames, jax.random.key(0), 0.5))
    gone = found[:, 0, :, :, 0] == 0
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    assert abs(gone.any((1, 2)).mean() - 0.5) < 0.08
    areas = []
    for mask in gone[gone.any((1, 2))]:
        rows, columns = mask.any(1), mask.any(0)
        np.testing.assert_array_equal(mask, rows[:, None] & columns[None])
        for side in (rows, columns):  # in one piece
            assert np.diff(np.flatnonzero(side)).max(initial=1) == 1
        areas.append(mask.mean())
    low, high = augment.ERASED_AREA
    assert low / 2 < min(areas) and max(areas) < high * 1.2
    assert abs(np.mean(areas) - (low + high) / 2) < 0.03
    assert (np.asarray(augment.erase(frames[:9], jax.random.key(0), 0.0)) == 1).all()


def test_clips_are_mixed_with_others_of_the_batch_and_so_are_their_targets():
    frames = np.arange(8, dtype=np.float32)[:, None, None, None, None] * np.ones((1, 2, 3, 3, 1))
    target, mask = np.eye(8, dtype=np.float32), np.arange(8) < 6
    for seed in range(5):
        key = jax.random.key(seed)
        mixed, shares = jax.jit(augment.mix, static_argnums=4)(frames, target, mask, key, 0.4)
        mixed, shares = np.asarray(mixed), np.asarray(shares)
        # What a clip is made of is what its target says.
        expected = (shares @ np.arange(8))[:, None, None, None, None] * np.ones((1, 2, 3, 3, 1))
        np.testing.assert_allclose(mixed, expected, rtol=1e-5)
        np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
        assert (shares.diagonal() >= 0.5).all()
        np.testing.assert_array_equal(shares[6:], target[6:])  # padding stays
        assert (shares[:6, 6:] == 0).all()  # and comes into nothing
        others = shares[:6, :6] - np.diag(shares.diagonal()[:6])
        assert ((others > 0).sum(1) <= 1).all() and (others > 0).sum() > 3
    alone = augment.mix(frames, target, np.arange(8) < 1, jax.random.key(0), 0.4)[1]
    np.testing.assert_allclose(alone, target, rtol=1e-6)
