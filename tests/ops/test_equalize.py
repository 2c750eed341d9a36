"""Equalisation against OpenCV."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.ops import equalize

SIZES = [(48, 48), (64, 64), (112, 112), (113, 113), (64, 49), (9, 17)]


def pictures(height, width, n=24):
    """uint8 [n, H, W]: noise to smooth, narrow to full range, and black, white, constant, half."""
    rng = np.random.default_rng(height * width)
    images = rng.integers(0, 256, (n, height, width)).astype(np.uint8)
    images = [
        cv2.GaussianBlur(image, (0, 0), s)
        for image, s in zip(images, rng.uniform(0.3, 6, n), strict=True)
    ]
    images = np.stack(images)
    images[4:8] //= 5
    images[0], images[1], images[2] = 0, 255, 93
    images[3, :, : width // 2] = 0
    return images


@pytest.mark.parametrize('size', SIZES)
def test_equalize_histogram_equals_opencv(size):
    images = pictures(*size)
    expected = np.stack([cv2.equalizeHist(image) for image in images])
    got = jax.jit(equalize.equalize_histogram)(images[..., None])
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(np.asarray(got)[..., 0], expected)


@pytest.mark.parametrize('size', SIZES)
def test_clahe_equals_opencv_within_one_level(size):
    images = pictures(*size)
    oracle = cv2.createCLAHE(2, (8, 8))
    difference = np.abs(
        np.asarray(jax.jit(equalize.clahe)(images[..., None]))[..., 0]
        - np.stack([oracle.apply(image) for image in images])
    )
    # Where the interpolated level lies half-way, OpenCV's floats round it either way.
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 0.02


@pytest.mark.parametrize('clip_limit, tiles', [(0.5, (8, 8)), (3.5, (4, 6)), (40.0, (2, 3))])
def test_clahe_parameters_are_opencvs(clip_limit, tiles):
    images = pictures(60, 50)
    oracle = cv2.createCLAHE(clip_limit, tiles)
    expected = np.stack([oracle.apply(image) for image in images])
    operation = jax.jit(equalize.clahe, static_argnums=(1, 2))
    got = np.asarray(operation(images[..., None], clip_limit, tiles))[..., 0]
    assert np.abs(got - expected).max() <= 1
    assert np.mean(got != expected) < 0.02


@pytest.mark.parametrize('operation', [equalize.equalize_histogram, equalize.clahe])
def test_axes_blocks_and_transformations(operation):
    """Clips, frames and channels go alone, whatever the batch, its block, jit or vmap."""
    images = pictures(24, 20, n=78).reshape(2, 13, 24, 20, 3)
    got = np.asarray(jax.jit(operation)(images))
    assert got.shape == images.shape
    alone = np.asarray(jax.jit(operation)(images[1, 12, :, :, 2:]))
    np.testing.assert_array_equal(got[1, 12, :, :, 2:], alone)
    np.testing.assert_array_equal(jax.jit(jax.vmap(operation))(images), got)


def test_fractions_are_rounded_and_the_gradient_is_zero():
    images = jnp.asarray(pictures(16, 16), jnp.float32)[..., None]
    operation = jax.jit(equalize.equalize_histogram)
    np.testing.assert_array_equal(operation(images + 0.3), operation(images))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(operation(x) * x)))(images) - operation(images)
    np.testing.assert_array_equal(gradient, 0)


def test_clahe_refuses_what_it_cannot_mirror():
    with pytest.raises(ValueError, match='8 x 8 tiles need more than 8 x 9 pixels'):
        equalize.clahe(jnp.zeros((1, 9, 8, 1)))
