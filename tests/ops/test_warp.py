"""Warps against OpenCV, SciPy, PyTorch and dm_pix."""

import cv2
import dm_pix
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from fer_jax.ops import warp

torch = pytest.importorskip('torch', reason='the dev extra has PyTorch')

SIZES = [(48, 48, 1), (9, 9, 10), (7, 12, 3)]


def clips(shape, seed=0):
    return (np.random.default_rng(seed).random(shape) * 255).astype(np.float32)


def affines(n, seed=1):
    """Rotations, shears, scalings and shifts, float32 [n, 2, 3]."""
    scatter = np.random.default_rng(seed).normal(0, 0.2, (n, 2, 3)) * [1, 1, 30]
    return (np.array([[1, 0, 0], [0, 1, 0]]) + scatter).astype(np.float32)


def opencv(image, matrix):
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=flags)


@pytest.mark.parametrize('size', [(64, 64), (33, 50)])
def test_warp_affine_equals_opencv(size):
    """On maps whose entries are multiples of 1/32, where OpenCV's rounding of the mapped points to
    1/32 pixel changes nothing, the borders included."""
    frames = clips((12, 3, *size, 1))
    matrices = (np.rint(affines(12) * 32) / 32).astype(np.float32)
    got = np.asarray(warp.warp_affine(frames, matrices))
    expected = [
        [opencv(f[..., 0], m) for f in clip] for clip, m in zip(frames, matrices, strict=True)
    ]
    np.testing.assert_allclose(got[..., 0], expected, atol=1e-3)
    assert (got == 0).mean() > 0.02  # the borders were in play


def test_warp_affine_stays_within_opencvs_rounding_for_any_map():
    """Half of 1/32 pixel in x and in y times the steepest slope between neighbours."""
    image = cv2.GaussianBlur(clips((64, 64)), (0, 0), 2)
    slope = np.abs(np.diff(image, axis=0)).max() + np.abs(np.diff(image, axis=1)).max()
    transform = jax.jit(warp.warp_affine)
    for matrix in affines(12):
        # Within the rounding of the border OpenCV takes points outside for inside.
        inside = cv2.erode(opencv(np.ones_like(image), matrix), np.ones((3, 3))) == 1
        got = transform(image[None, None, :, :, None], matrix[None])[0, 0, :, :, 0]
        difference = np.abs(got - opencv(image, matrix))[inside]
        assert difference.max() < slope / 64 * 1.1


def test_warp_affine_equals_scipy_everywhere():
    frames, matrices = clips((6, 1, 40, 31, 1)), affines(6)
    got = np.asarray(warp.warp_affine(frames, matrices))[:, 0, :, :, 0]
    for image, matrix, warped in zip(
        frames[:, 0, :, :, 0], matrices.astype(float), got, strict=True
    ):
        rows_first = matrix[::-1, [1, 0, 2]]
        expected = scipy.ndimage.affine_transform(
            image.astype(float), rows_first[:, :2], rows_first[:, 2], order=1, mode='grid-constant'
        )
        np.testing.assert_allclose(warped, expected, atol=5e-3)


def test_flips_and_quarter_turns_are_exact_and_agree_with_dm_pix():
    frames = clips((3, 4, 20, 20, 3))
    flip = np.array([[-1, 0, 19], [0, 1, 0]], np.float32)
    turn = np.array([[0, -1, 19], [1, 0, 0]], np.float32)
    upside_down = np.array([[1, 0, 0], [0, -1, 19]], np.float32)
    got = np.asarray(warp.warp_affine(frames, np.stack([flip, turn, upside_down])))
    np.testing.assert_array_equal(got[0], dm_pix.flip_left_right(frames[0]))
    np.testing.assert_array_equal(got[1], jax.vmap(dm_pix.rot90)(frames[1]))
    np.testing.assert_array_equal(got[2], dm_pix.flip_up_down(frames[2]))


def test_rotation_agrees_with_dm_pix():
    frames, angle = clips((1, 2, 32, 32, 3)), 0.4
    cos, sin, centre = np.cos(angle), np.sin(angle), 15.5
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0]])
    matrix[:, 2] = centre - matrix[:, :2] @ [centre, centre]
    got = np.asarray(warp.warp_affine(frames, matrix[None].astype(np.float32)))[0]
    rotate = jax.jit(lambda frame: dm_pix.rotate(frame, angle, order=1, mode='constant'))
    for frame, rotated in zip(frames[0], got, strict=True):
        expected = np.asarray(rotate(frame))
        both = (rotated > 0) & (expected > 0)  # dm_pix ends half a pixel earlier at the border
        np.testing.assert_allclose(rotated[both], expected[both], atol=0.02)
        assert both.mean() > 0.8


def test_all_frames_and_channels_of_a_clip_move_alike():
    frames, matrices = clips((2, 5, 12, 14, 3)), affines(2)
    got = np.asarray(jax.jit(warp.warp_affine)(frames, matrices))
    transform = jax.jit(warp.warp_affine)
    for t in range(5):
        for c in range(3):
            alone = transform(frames[:, t : t + 1, :, :, c : c + 1], matrices)
            np.testing.assert_allclose(got[:, t : t + 1, :, :, c : c + 1], alone, atol=2e-3)


def torch_sample(images, theta, cotangent):
    """Values and gradients to images and theta, channels last."""
    x = torch.tensor(images.transpose(0, 3, 1, 2)).requires_grad_()
    t = torch.tensor(theta).requires_grad_()
    grid = torch.nn.functional.affine_grid(t, x.shape, align_corners=False)
    out = torch.nn.functional.grid_sample(x, grid, align_corners=False)
    (out * torch.tensor(cotangent.transpose(0, 3, 1, 2))).sum().backward()
    last = (0, 2, 3, 1)
    return out.detach().numpy().transpose(last), x.grad.numpy().transpose(last), t.grad.numpy()


@pytest.mark.parametrize('size', SIZES)
def test_sample_grid_equals_pytorch_with_gradients(size):
    rng = np.random.default_rng(0)
    images = rng.random((6, *size), np.float32)
    theta = rng.normal(0, 0.3, (6, 2, 3)) + [[1, 0, 0], [0, 1, 0]]
    theta, cotangent = theta.astype(np.float32), rng.random((6, *size), np.float32)
    values, to_images, to_theta = torch_sample(images, theta, cotangent)
    got, pull_back = jax.vjp(jax.jit(warp.sample_grid), images, theta)
    got_images, got_theta = pull_back(jnp.asarray(cotangent))
    np.testing.assert_allclose(got, values, atol=1e-5)
    np.testing.assert_allclose(got_images, to_images, atol=2e-5)
    np.testing.assert_allclose(got_theta, to_theta, atol=1e-5 * np.abs(to_theta).max())
    assert (values == 0).any()  # outside the image


@pytest.mark.parametrize('size', SIZES)
def test_sample_grid_at_the_identity(size):
    """The image unchanged, and the derivative to the right and below of every pixel, in float64:
    0 beyond the last one."""
    images = np.random.default_rng(0).random((2, *size), np.float32)
    theta = np.tile(np.float32([[1, 0, 0], [0, 1, 0]]), (2, 1, 1))
    np.testing.assert_array_equal(warp.sample_grid(images, theta), images)
    got = jax.jit(jax.grad(lambda t: jnp.sum(warp.sample_grid(images, t))))(theta)
    height, width, _ = size
    outer = np.pad(images.astype(float), ((0, 0), (0, 1), (0, 1), (0, 0)))
    along_x = (np.diff(outer, axis=2)[:, :-1] * width / 2).sum(-1)
    along_y = (np.diff(outer, axis=1)[:, :, :-1] * height / 2).sum(-1)
    x = (2 * np.arange(width) + 1) / width - 1
    y = ((2 * np.arange(height) + 1) / height - 1)[:, None]
    expected = [
        [(d * x).sum((1, 2)), (d * y).sum((1, 2)), d.sum((1, 2))] for d in (along_x, along_y)
    ]
    np.testing.assert_allclose(got, np.moveaxis(expected, 2, 0), rtol=1e-4, atol=1e-3)


def test_sample_grid_can_stop_the_gradient_to_the_images():
    images, theta = clips((2, 8, 8, 1)), affines(2) * np.float32(0.5)

    def total(x, t, stop):
        return jnp.sum(warp.sample_grid(x, t, stop_image_gradient=stop))

    gradient = jax.jit(jax.grad(total, argnums=(0, 1)), static_argnums=2)
    stopped, free = gradient(images, theta, True), gradient(images, theta, False)
    np.testing.assert_array_equal(stopped[0], 0)
    assert np.abs(free[0]).max() > 0
    np.testing.assert_allclose(stopped[1], free[1], rtol=1e-5)


def test_sample_grid_under_vmap_is_each_member_alone():
    images, theta = clips((3, 2, 10, 11, 2)), affines(6).reshape(3, 2, 2, 3) * np.float32(0.6)
    together = jax.jit(jax.vmap(warp.sample_grid))(images, theta)
    alone = jax.jit(warp.sample_grid)
    for member in range(3):
        expected = alone(images[member], theta[member])
        np.testing.assert_allclose(together[member], expected, atol=2e-3)


@pytest.mark.parametrize('value', [np.nan, np.inf, 1e30])
def test_a_diverged_theta_harms_only_its_own_image(value):
    images, theta = clips((2, 8, 8, 1)), np.tile(np.float32([[1, 0, 0], [0, 1, 0]]), (2, 1, 1))
    theta[0, 0, 0] = value
    got = np.asarray(warp.sample_grid(images, theta))
    np.testing.assert_array_equal(got[1], images[1])
    assert not np.isfinite(got[0]).all() or (got[0] == 0).all()
