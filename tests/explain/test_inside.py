"""Warps, first filters and prefixes of clips against what the networks and the loader do."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import cv2
import jax
import numpy as np
import pytest

from fer_jax import models
from fer_jax.data.clips import ClipSet, sample_frames
from fer_jax.data.protocols import Fold
from fer_jax.experiment.fits import MemberFits
from fer_jax.experiment.trained import TrainedNetwork
from fer_jax.explain import inside, inside_plots, page, pictures
from fer_jax.explain.network import ZERO, Trained
from fer_jax.models.features import features
from fer_jax.training.inputs import NORMALIZATIONS
from fer_jax.training.members import Member
from fer_jax.training.step import System

NO_CLIPS = np.zeros(0, int)


def trained_of(model, frames, **inputs):
    """A made-up member whose network has the parameters that it starts with."""
    count = len(frames)
    clips = ClipSet(
        name='made-up', classes=('anger', 'fear'), simulated=True, frames=frames,
        length=np.arange(count, dtype=np.int32) % frames.shape[1] + 1,
        label=np.arange(count, dtype=np.int32) % 2, subject=np.full(count, ''),
        clip_id=np.array([f'clip{i}' for i in range(count)]), split=np.full(count, ''),
    )  # fmt: skip
    one = np.zeros((1, 1, 1), np.float32)
    member = Member(
        0, 0, Fold(NO_CLIPS, NO_CLIPS, np.arange(count)), 0, 0.0, 0.0, np.ones(2), one, one + 1
    )
    system = System(model, {}, {'normalize': 'unit', 'channels': 1, **inputs})
    network = TrainedNetwork(
        Path(), 0, frames.shape[1:], 'none', system, 1, {}, MemberFits(clips.classes, {})
    )
    seen = network.inputs(frames[:1])
    variables = jax.jit(model.init)(jax.random.key(0), seen, length=np.array([1]))
    network = dataclasses.replace(network, variables=variables)
    return Trained(None, member, clips, network)


def test_the_sampled_face_is_what_the_grid_cuts_out():
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, 24, 24, 1)).astype(np.uint8)
    frames = np.stack([cv2.GaussianBlur(f[0], (7, 7), 2)[None, ..., None] for f in frames])
    trained = trained_of(models.build('stn', num_classes=2), frames)
    theta = np.array([[0.5, -0.1, 0.2], [0.1, 0.6, -0.1]], np.float32)
    params = jax.tree.map(np.asarray, trained.network.variables['params'])
    params['localiser_theta'] = {
        'kernel': np.zeros_like(params['localiser_theta']['kernel']), 'bias': theta.ravel(),
    }  # fmt: skip
    network = dataclasses.replace(trained.network, variables={'params': params})
    trained = dataclasses.replace(trained, network=network)
    found, sampled = inside.warps(trained, np.array([0, 1]))
    np.testing.assert_allclose(found, np.stack([theta, theta]), atol=1e-6)
    lines = inside.outline(theta, (24, 24), 2)
    # The corners of the output's outer edges, mapped by OpenCV's own interpolation between them.
    (top_left, top_right), (bottom_left, _) = lines[0], lines[1]
    source = np.float32([top_left, top_right, bottom_left])
    target = np.float32([[-0.5, -0.5], [23.5, -0.5], [-0.5, 23.5]])
    affine = cv2.getAffineTransform(source, target)
    for frame, out in zip(frames[:, 0], sampled, strict=True):
        expected = cv2.warpAffine(frame[..., 0] / 255.0, affine, (24, 24), flags=cv2.INTER_LINEAR)
        np.testing.assert_allclose(out[..., 0], expected, atol=0.02)


def test_the_grid_of_the_identity_is_the_face():
    identity = np.array([[1, 0, 0], [0, 1, 0]], float)
    lines = inside.outline(identity, (12, 20), 3)
    assert lines.shape == (6, 2, 2)
    np.testing.assert_allclose(lines[0], [[-0.5, -0.5], [19.5, -0.5]])
    np.testing.assert_allclose(lines[1], [[-0.5, 5.5], [19.5, 5.5]])
    np.testing.assert_allclose(lines[5], [[19.5, -0.5], [19.5, 11.5]])


def test_networks_without_a_transformer_on_the_input_have_no_warps():
    frames = np.zeros((1, 1, 24, 24, 1), np.uint8)
    for options in ({'transform': 'none'}, {'transform': 'features'}):
        trained = trained_of(models.build('stn', num_classes=2, **options), frames)
        assert inside.warps(trained, np.array([0])) is None


@pytest.mark.parametrize(
    'name, options, shape, expected',
    [
        ('c3d', {'width': 1 / 32}, (2, 16, 16, 3), {'conv1a': (2, 3, 3, 3)}),
        (
            'stn',
            {'localiser_kernels': (7, 5)},
            (1, 24, 24, 1),
            {'conv1': (10, 1, 3, 3), 'localiser_conv1': (8, 1, 7, 7)},
        ),
        ('frame_cnn', {'width': 1 / 16}, (1, 16, 16, 1), {'frames/conv1a': (2, 1, 9, 9)}),
        (
            'convlstm',
            {'width': 1 / 16, 'second_branch': True},
            (2, 16, 16, 1),
            {'conv1': (2, 3, 3, 3), 'frames/conv1a': (2, 1, 3, 3)},
        ),
        ('rnn', {'units': 3}, (2, 4, 4, 1), {}),
    ],
)
def test_the_first_filters_of_every_network(name, options, shape, expected):
    model = models.build(name, num_classes=2, **options)
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, *shape), np.float32))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), shapes['params'])
    found = inside.first_filters(params)
    assert {layer: kernel.shape for layer, kernel in found.items()} == expected
    for layer, kernel in found.items():
        own = params
        for part in layer.split('/'):
            own = own[part]
        np.testing.assert_allclose(kernel[1, 0], own['kernel'][..., 1].reshape(
            -1, *own['kernel'].shape[-4:-1])[0].mean(-1), rtol=1e-6)  # fmt: skip


def test_filters_of_a_network_with_branches_are_what_its_first_layer_computes():
    frames = np.random.default_rng(0).integers(0, 256, (1, 1, 9, 9, 1)).astype(np.uint8)
    model = models.build(
        'plain_cnn', num_classes=2, filters=(2, 3), convolutions=(1, 1), branches=True
    )
    trained = trained_of(model, frames)
    arrays = {}
    trained = dataclasses.replace(trained, run=SimpleNamespace(stamps=()))
    page._filters(trained, arrays)
    # The answer of the layer to a single pixel, before its ReLU, is its kernel.
    kernel = arrays['filters_conv1a'][:, 0]
    pixel = np.zeros((1, 1, 9, 9, 1), np.float32)
    for sign in (1, -1):
        pixel[0, 0, 4, 4] = sign
        found = features(model, trained.network.variables, pixel, 'map1a')[0, 0, 3:6, 3:6]
        answer = np.maximum(sign * kernel[:, ::-1, ::-1], 0)
        np.testing.assert_allclose(np.moveaxis(found, -1, 0), answer, atol=1e-5)


def test_prefixes_are_filled_as_the_loader_fills_short_clips():
    frames = np.arange(5 * 4).reshape(5, 2, 2, 1)
    prefixes, lengths = inside.revealed(frames)
    assert lengths.tolist() == [1, 2, 3, 4, 5]
    for prefix, length in zip(prefixes, lengths.tolist(), strict=True):
        loaded = frames[:length][sample_frames(length, 5, 'last')]
        np.testing.assert_array_equal(prefix, loaded)


def test_the_course_of_a_clip_ends_where_the_whole_clip_is_judged():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (4, 3, 16, 16, 1)).astype(np.uint8)
    for clip in range(4):  # as the loader leaves them
        frames[clip, clip % 3 :] = frames[clip, clip % 3]
    trained = trained_of(models.build('rnn', num_classes=2, units=8), frames)
    courses = inside.over_time(trained, np.arange(4))
    assert [len(course) for course in courses] == [1, 2, 3, 1]
    predict, variables = jax.jit(trained.network.system.probabilities), trained.network.variables
    whole = predict(variables, trained.seen(np.arange(4)), trained.clips.length)
    for course, end in zip(courses, np.asarray(whole), strict=True):
        np.testing.assert_allclose(course[-1], end, atol=1e-6)
        np.testing.assert_allclose(course.sum(1), 1, atol=1e-5)
    cut = dataclasses.replace(
        trained.clips,
        frames=np.repeat(frames[:, :1], 3, 1),
        length=np.ones(4, np.int32),
    )
    alone = dataclasses.replace(trained, clips=cut)
    first = predict(variables, alone.seen(np.arange(4)), cut.length)
    np.testing.assert_allclose([course[0] for course in courses], first, atol=1e-6)


def test_a_class_of_any_name_has_files():
    names = [
        pictures.file_name('time', k, n) for k, n in enumerate(('a/b', 'a_b', '../c', 'грусть'))
    ]
    assert names == ['time_0_a_b', 'time_1_a_b', 'time_2____c', 'time_3_______']
    frames, courses = np.zeros((1, 2, 8, 8, 1)), [np.full((2, 2), 0.5)]
    (drawing,) = inside_plots.over_time(frames, courses, [1], ['clip'], ('joy', 'anger/fear'), ())
    assert drawing.name == 'time_1_anger_fear'


def test_the_course_of_a_clip_has_a_line_for_each_of_many_classes():
    classes = [f'kind {k}' for k in range(20)]
    frames, courses = np.zeros((1, 2, 8, 8, 1)), [np.full((2, 20), 0.05)]
    (drawing,) = inside_plots.over_time(frames, courses, [1], ['clip'], classes, ())
    assert all(name in drawing.svg for name in classes)


def test_every_normalisation_of_faces_says_what_a_zero_is():
    assert set(ZERO) == set(NORMALIZATIONS) - {'none'}


def test_pictures_normalised_by_themselves_are_shown_dark_to_bright():
    frames = np.random.default_rng(0).integers(60, 200, (2, 1, 16, 16, 1)).astype(np.uint8)
    trained = trained_of(models.build('rnn', num_classes=2, units=8), frames, normalize='each')
    pictures = trained.pictures(trained.seen(np.arange(2)))
    assert 0 < pictures.min() < 0.3 and 0.7 < pictures.max() < 1
    for picture, frame in zip(pictures, frames, strict=True):
        np.testing.assert_allclose(np.corrcoef(picture.ravel(), frame.ravel())[0, 1], 1, atol=1e-5)
    np.testing.assert_allclose(trained.pictures(np.zeros((16, 16, 1), np.float32)), 0.5)
