"""Convolutions against XLA's native ones and PyTorch's."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fer_jax.errors import UserError
from fer_jax.models import convolution
from fer_jax.models.convolution import chosen_form, conv2d, conv3d

# Of images and of a kernel, in 40 bands of one row of 16 images.
SHAPES_OF_BANDS = (80, 8, 8, 3), (5, 5, 3, 40)


def values(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def gradients(conv, x, kernel, **options):
    """Value and both gradients of a scalar that weighs every output differently."""

    def scalar(x, kernel):
        y = conv(x, kernel, **options)
        return jnp.sum(jnp.sin(y) * jnp.linspace(1, 2, y.size).reshape(y.shape)), y

    (_, y), (dx, dk) = jax.value_and_grad(scalar, (0, 1), has_aux=True)(x, kernel)
    return y, dx, dk


def assert_close(left, right):
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize('padding', ['VALID', 'SAME'])
@pytest.mark.parametrize(
    'space, window, channels',
    [
        ((7, 9), (3, 3), (3, 4)),  # in pairs, odd width
        ((7, 8), (3, 3), (1, 16)),  # in pairs, even width
        ((9, 12), (7, 5), (2, 5)),
        ((6, 7), (1, 1), (3, 4)),  # no pairs: no neighbour
        ((6, 7), (3, 3), (3, 17)),  # no pairs: too many filters, one product
        ((6, 7), (3, 3), (33, 5)),  # no pairs: too many channels, the kernel's gradient in bands
        ((6, 7), (3, 3), (20, 130)),  # kernel's rows in the outputs, a product for each of them
        ((8, 7), (5, 3), (20, 24)),  # rows of a kernel whose height three does not divide
        ((6, 7), (3, 3), (130, 128)),  # native: enough outputs and values under the kernel
    ],
)
@pytest.mark.parametrize('cores', [1, 2])
def test_conv2d_equals_the_native_form(space, window, channels, padding, cores, monkeypatch):
    monkeypatch.setattr(convolution, 'cores', lambda: cores)
    x, kernel = values((2, *space, channels[0])), values((*window, *channels), 1)
    native = gradients(conv2d, x, kernel, padding=padding, form='lax')
    assert_close(gradients(conv2d, x, kernel, padding=padding, form='taps'), native)
    assert_close([conv2d(x, kernel, padding=padding, form='taps')], native[:1])


@pytest.mark.parametrize('padding', ['VALID', 'SAME'])
@pytest.mark.parametrize(
    'space, window, band',
    [
        ((11, 9), (9, 9), 400),  # bands of two rows, one of the last, margins of four
        ((6, 7), (11, 5), 150),  # 16 images and 3, a row at a time, a kernel higher than the image
        ((8, 10), (5, 3), 10_000),  # one band
    ],
)
def test_kernel_gradient_in_bands_equals_the_native_form(space, window, band, padding, monkeypatch):
    space = tuple(n + (padding == 'VALID') * (k - 1) for n, k in zip(space, window, strict=True))
    x, kernel = values((19, *space, 3)), values((*window, 3, 40), 1)
    native = gradients(conv2d, x, kernel, padding=padding, form='lax')
    monkeypatch.setattr(convolution, '_BAND', band)
    assert_close(gradients(conv2d, x, kernel, padding=padding, form='taps'), native)


def test_bands_of_bfloat16_add_up_in_float32(monkeypatch):
    """A sum of 40 bands is as near to the float32 gradient as the rounding of its result."""
    monkeypatch.setattr(convolution, '_BAND', 16 * 8)
    x, kernel = (jnp.asarray(values(s, i), jnp.bfloat16) for i, s in enumerate(SHAPES_OF_BANDS))

    def gradient(x, kernel):
        y = conv2d(x, kernel, form='taps')
        return jax.vjp(lambda kernel: conv2d(x, kernel, form='taps'), kernel)[1](jnp.ones_like(y))

    (narrow,), (exact,) = gradient(x, kernel), gradient(*(a.astype('float32') for a in (x, kernel)))
    assert narrow.dtype == jnp.bfloat16
    error = np.abs(narrow.astype('float32') - exact).max() / np.abs(exact).max()
    assert error < 2**-8


@pytest.mark.parametrize('filters', [4, 17])
def test_bias_is_added_to_every_position(filters):
    x, kernel, bias = values((2, 5, 7, 3)), values((3, 3, 3, filters), 1), values(filters, 2)
    expected = torch.nn.functional.conv2d(
        torch.tensor(x).permute(0, 3, 1, 2),
        torch.tensor(kernel).permute(3, 2, 0, 1),
        torch.tensor(bias),
    ).permute(0, 2, 3, 1)
    for form in ('lax', 'taps'):
        y = conv2d(x, kernel, bias, padding='VALID', form=form)
        assert_close([y], [expected.numpy()])
        slope = jax.grad(
            lambda bias, form=form: conv2d(x, kernel, bias, padding='VALID', form=form).sum()
        )(bias)
        np.testing.assert_allclose(slope, np.full(filters, y[..., 0].size), rtol=1e-6)


@pytest.mark.parametrize('channels', [2, 33])
def test_conv2d_valid_takes_even_kernels(channels):
    x, kernel = values((2, 5, 7, channels)), values((2, 4, channels, 3), 1)
    native = gradients(conv2d, x, kernel, padding='VALID', form='lax')
    assert_close(gradients(conv2d, x, kernel, padding='VALID', form='taps'), native)


@pytest.mark.parametrize(
    't, frames, space', [*itertools.product((1, 3, 5, 7, 9), (1, 4), [(5, 7)]), (3, 10, (6, 4))]
)
def test_conv3d_equals_the_native_form(t, frames, space):
    x, kernel = values((2, frames, *space, 3)), values((t, 3, 3, 3, 4), 1)
    native = gradients(conv3d, x, kernel, form='lax')
    assert_close(gradients(conv3d, x, kernel, form='taps'), native)
    assert_close([conv3d(x, kernel, form='taps')], native[:1])


@pytest.mark.parametrize('filters', [4, 20])
@pytest.mark.parametrize('form', ['lax', 'taps'])
def test_conv3d_equals_pytorch(form, filters):
    x, kernel = values((2, 4, 5, 6, 3)), values((5, 3, 3, 3, filters), 1)
    bias = values(filters, 2)
    y = conv3d(x, kernel, bias, form=form)
    expected = torch.nn.functional.conv3d(
        torch.tensor(x).permute(0, 4, 1, 2, 3),
        torch.tensor(kernel).permute(4, 3, 0, 1, 2),
        torch.tensor(bias),
        padding=(2, 1, 1),
    )
    assert_close([np.moveaxis(np.asarray(y), -1, 1)], [expected.numpy()])


@pytest.mark.parametrize('channels', [(3, 4), (20, 24), (64, 8)])
def test_mapped_over_members_equals_one_after_another(channels):
    x, kernel = values((2, 2, 3, 5, 6, channels[0])), values((2, 3, 3, 3, *channels), 1)
    grad = lambda x, kernel: gradients(conv3d, x, kernel, form='taps')  # noqa: E731
    together = jax.vmap(grad)(x, kernel)
    for member in range(2):
        assert_close([part[member] for part in together], grad(x[member], kernel[member]))


def test_even_kernels_have_no_same_padding():
    with pytest.raises(ValueError, match='even side'):
        conv2d(values((1, 4, 4, 1)), values((2, 3, 1, 1)))
    with pytest.raises(ValueError, match='even side'):
        conv3d(values((1, 4, 4, 4, 1)), values((2, 3, 3, 1, 1)), form='taps')


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match='neither'):
        conv2d(values((1, 4, 4, 1)), values((3, 3, 1, 1)), padding='FULL')
    with pytest.raises(UserError, match='auto, lax, taps'):
        conv2d(values((1, 4, 4, 1)), values((3, 3, 1, 1)), form='fft')


def test_auto_is_decided_by_platform(monkeypatch):
    monkeypatch.setattr(jax, 'default_backend', lambda: 'cpu')
    assert chosen_form('auto') == 'taps'
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    assert chosen_form('auto') == 'lax'
    assert chosen_form('taps') == 'taps'
