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
