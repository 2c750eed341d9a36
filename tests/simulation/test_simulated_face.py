"""The parametric face: landmarks, what each action unit moves, pose, and that detectors find it."""

import dataclasses

import cv2
import numpy as np
import pytest

from fer_jax.simulation.people import expressions, face, geometry, identity, units
from fer_jax.simulation.people.lighting import Camera, Light
from fer_jax.simulation.people.pose import Pose, depth, inverse_map, project
from fer_jax.simulation.releases import ckplus
from fer_jax.simulation.releases.roster import Sequence

NONE = units.intensities({})
SMALL = {'width': 192, 'height': 176}
CAMERA = Camera(blur=0.3, noise=0.0)


def someone(seed=0, **changes):
    return dataclasses.replace(identity.sample(np.random.default_rng(seed)), **changes)


def posed(**changes):
    return dataclasses.replace(Pose(x=96, y=76, scale=38), **changes)


def moved(active, seed=0):
    """Computes how far these units move each point from rest, in face units [68, 2]."""
    who = someone(seed)
    return (
        geometry.build(who, units.intensities(active)).landmarks
        - geometry.build(who, NONE).landmarks
    )


@pytest.mark.parametrize('channels', [1, 3])
def test_picture_has_the_asked_shape_and_range(channels):
    drawn = face.render(someone(), NONE, posed(), channels=channels, **SMALL)
    assert drawn.image.shape == (176, 192, channels) and drawn.image.dtype == np.uint8
    assert drawn.landmarks.shape == (68, 2) and np.isfinite(drawn.landmarks).all()
    assert drawn.image.std() > 20
    assert (drawn.landmarks > 0).all() and (drawn.landmarks < (192, 176)).all()


def test_grey_is_the_luma_of_the_colour_picture():
    who = someone(1, glasses='none')
    grey, colour = (
        face.render(who, NONE, posed(), camera=CAMERA, channels=c, **SMALL).image for c in (1, 3)
    )
    luma = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(luma - grey[..., 0]).mean() < 2.5


def test_drawing_is_a_pure_function():
    who = someone(2)
    first, again = (face.render(who, NONE, posed(), noise_seed=3, **SMALL) for _ in range(2))
    other = face.render(who, NONE, posed(), noise_seed=4, **SMALL)
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.image != other.image).any()
    assert np.abs(first.image.astype(int) - other.image).max() < 40


def test_landmarks_follow_the_ibug_order():
    p = geometry.build(someone(), NONE).landmarks
    jaw, brows, bridge, base, eyes, lips = np.split(p, [17, 27, 31, 36, 48])
    assert (np.diff(jaw[:, 0]) > 0).all() and jaw[:, 1].argmax() == 8
    assert (np.diff(brows[:, 0]) > 0).all() and brows[:, 1].max() < eyes[:, 1].min()
    assert (np.diff(bridge[:, 1]) > 0).all() and (np.diff(base[:, 0]) > 0).all()
    for corners, upper, lower in (((0, 3), (1, 2), (4, 5)), ((6, 9), (7, 8), (10, 11))):
        assert eyes[corners[0], 0] < eyes[upper[0], 0] < eyes[upper[1], 0] < eyes[corners[1], 0]
        assert eyes[lower[0], 0] > eyes[lower[1], 0]
        assert eyes[list(upper), 1].max() < eyes[list(lower), 1].min()
    assert lips[0, 0] == lips[:, 0].min() and lips[6, 0] == lips[:, 0].max()
    assert lips[[2, 3, 4], 1].max() < lips[12:, 1].min() and lips[9, 1] == lips[:, 1].max()
    mirrored = p * (-1, 1)
    np.testing.assert_allclose(mirrored[:17], p[16::-1], atol=1e-5)
    np.testing.assert_allclose(mirrored[36], p[45], atol=1e-5)


INNER_BROW, OUTER_BROW, UPPER_LID, LOWER_LID = (
    [21, 22],
    [18, 25],
    [37, 38, 43, 44],
    [40, 41, 46, 47],
)
CORNERS, CHIN, LOWER_LIP, UPPER_LIP = [48, 54], [7, 8, 9], [56, 57, 58], [50, 51, 52]


@pytest.mark.parametrize(
    'unit, points, down',
    [
        (1, INNER_BROW, -1),
        (2, OUTER_BROW, -1),
        (4, INNER_BROW, 1),
        (5, UPPER_LID, -1),
        (6, LOWER_LID, -1),
        (7, UPPER_LID, 1),
        (9, [31, 35], -1),
        (10, [49, 53], -1),
        (12, CORNERS, -1),
        (14, CORNERS, -1),
        (15, CORNERS, 1),
        (17, LOWER_LIP, -1),
        (45, UPPER_LID, 1),
    ],
)
def test_each_unit_moves_its_part_of_the_face(unit, points, down):
    change = moved({unit: 1.0})
    assert (change[points, 1] * down > 0.02).all()


def test_units_that_open_the_mouth_open_it_in_order():
    who = someone()
    gaps = []
    for active in ({}, {25: 1}, {25: 1, 26: 1}, {25: 1, 27: 1}):
        p = geometry.build(who, units.intensities(active)).landmarks
        gaps.append(p[66, 1] - p[62, 1])
    assert gaps[0] < 0.01 and (np.diff(gaps) > 0.03).all()
    assert (moved({26: 1.0, 25: 1.0})[CHIN, 1] > 0.1).all()
    assert moved({16: 1.0, 25: 1.0})[57, 1] > moved({25: 1.0})[57, 1] + 0.02


def test_stretched_tightened_and_pressed_lips():
    width = {u: np.ptp(moved({u: 1.0})[CORNERS, 0]) for u in (20, 23)}
    assert width[20] > 0.1
    assert moved({23: 1.0})[54, 0] < -0.03 < 0.03 < moved({23: 1.0})[48, 0]
    who = someone()
    thick = [
        np.ptp(geometry.build(who, units.intensities(active)).landmarks[[51, 57], 1])
        for active in ({}, {24: 1.0})
    ]
    assert thick[1] < 0.7 * thick[0]


def test_contempt_is_one_sided():
    change = moved({12: (0.0, 0.4), 14: (0.0, 1.0)})
    assert change[54, 1] < -0.05 and abs(change[48, 1]) < 0.01


def test_texture_moves_with_the_landmarks():
    """Creases, teeth and shading: each unit changes pixels where its part lies, not elsewhere."""
    actor = face.prepare(someone(3, glasses='none', age=0.5), 38, 192, 176, 1)
    rest = face.render(actor, NONE, posed(), camera=CAMERA)
    for unit, around in ((4, 27), (9, 28), (12, 54), (14, 48), (27, 57), (45, 37)):
        active = face.render(actor, units.intensities({unit: 1.0}), posed(), camera=CAMERA)
        change = np.abs(active.image.astype(int) - rest.image)[..., 0]
        x, y = rest.landmarks[around].round().astype(int)
        near = change[y - 9 : y + 10, x - 9 : x + 10].mean()
        assert near > 4, unit
        assert near > 8 * change[:12].mean(), unit


def test_pose_turns_the_nose_ahead_of_the_face():
    who = someone()
    p = geometry.build(who, NONE).landmarks
    straight = project(who, p, Pose())
    right, down = project(who, p, Pose(yaw=0.3)), project(who, p, Pose(pitch=0.2))
    assert right[30, 0] - right[[0, 16], 0].mean() > straight[30, 0] + 15 - 320
    assert (down - straight)[30, 1] > (down - straight)[[0, 16], 1].mean() + 10
    rolled = project(who, p, Pose(roll=0.3))
    eye_line = rolled[45] - rolled[36]
    np.testing.assert_allclose(np.arctan2(eye_line[1], eye_line[0]), 0.3, atol=0.02)
    assert depth(who, np.float32(0), np.float32(who.nose_y - 0.1)) > depth(
        who, np.float32(0.5), np.float32(0)
    )


def _warp_error(angles):
    """Computes how far from each landmark the warp takes its pixels, in window pixels [68]."""
    who = someone(4)
    points = geometry.build(who, NONE).landmarks
    at = project(who, points, Pose(*angles))
    window = face.prepare(who, 95, 640, 490, 1).window
    where = inverse_map(who, Pose(*angles), (0, 0), (640, 490), window)
    found = [cv2.remap(where[..., c], at[None], None, cv2.INTER_LINEAR)[0] for c in (0, 1)]
    return np.abs(np.stack(found, 1) - window.pixels(points)).max(1)


@pytest.mark.parametrize('angles', [(0, 0, 0), (0.2, -0.1, 0.1), (-0.2, 0.12, -0.15)])
def test_inverse_map_undoes_the_projection(angles):
    assert _warp_error(angles).max() < 0.5


@pytest.mark.parametrize('angles', [(0.42, -0.25, 0.3), (-0.42, 0.25, -0.3)])
def test_inverse_map_holds_inside_the_face_when_it_turns_far(angles):
    inside = _warp_error(angles)[17:]  # the far contour hides behind the cheek
    assert np.median(inside) < 0.2 and inside.max() < 3


def test_light_comes_from_its_side():
    who = someone(5, style='bald', glasses='none')
    bright = [
        face.render(who, NONE, posed(), Light(azimuth=a), CAMERA, **SMALL).image[90:110, :, 0]
        for a in (-0.9, 0.9)
    ]
    left, right = slice(62, 90), slice(102, 130)
    assert bright[0][:, left].mean() > bright[0][:, right].mean() + 10
    assert bright[1][:, right].mean() > bright[1][:, left].mean() + 10


def test_people_differ_and_are_reproducible():
    a, b = someone(6), someone(6)
    assert dataclasses.asdict(a)['chin'] == dataclasses.asdict(b)['chin']
    np.testing.assert_array_equal(a.rest, b.rest)
    people = [someone(k) for k in range(80)]
    assert {p.glasses for p in people} == {'none', 'round', 'square'}
    assert len({p.style for p in people}) >= 8
    luma = [float(identity.luminance(np.array(p.skin))[0]) for p in people]
    assert min(luma) < 0.45 and max(luma) > 0.75
    assert np.std([p.rest[0].sum() for p in people]) > 0.3


def test_every_style_can_be_drawn_at_both_sizes():
    for style in ('bald', 'buzz', 'short', 'combed', 'fringe', 'curly', 'bob', 'long', 'tied'):
        for scale, width, height in ((20, 96, 96), (60, 400, 306)):
            pose = Pose(x=width / 2, y=0.43 * height, scale=scale)
            who = someone(7, style=style, beard=0.9, freckles=0.5, moustache=0.5)
            active = units.intensities(dict.fromkeys(units.UNITS, 1.0))
            drawn = face.render(who, active, pose, channels=3, width=width, height=height)
            assert np.isfinite(drawn.landmarks).all() and drawn.image.std() > 15, style


def _random_frames(count):
    """(grey image, landmarks) of frames of as many simulated people, all emotions and times."""
    for i in range(count):
        emotion = units.EMOTIONS[1 + i % 7]
        stage = ckplus.set_stage(i, seed=9)
        take = ckplus.perform(stage, Sequence('S005', i, 1, emotion, True), seed=9)
        t = np.random.default_rng(i).integers(len(take.motion.actions))
        drawn = ckplus.draw(stage, take, t)
        image = drawn.image
        grey = image[..., 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        yield np.ascontiguousarray(grey), drawn.landmarks


def _holds(box, landmarks):
    """Tells whether a detected box (left, top, right, bottom) is this face's by middle and size."""
    low, high = landmarks.min(0), landmarks.max(0)
    centre, side = (low + high) / 2, (high - low).max()
    inside = box[0] < centre[0] < box[2] and box[1] < centre[1] < box[3]
    return inside and 0.5 < (box[2] - box[0]) / side < 2


def _haar():
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + 'haarcascade_frontalface_default.xml')
    return lambda grey: [
        (x, y, x + w, y + h) for x, y, w, h in cascade.detectMultiScale(grey, 1.1, 4)
    ]


def _dlib():
    dlib = pytest.importorskip('dlib', reason="dlib's detector is part of the 'landmarks' extra")
    detector = dlib.get_frontal_face_detector()
    return lambda grey: [(r.left(), r.top(), r.right(), r.bottom()) for r in detector(grey, 0)]


@pytest.fixture(scope='module', params=[60, pytest.param(1000, marks=pytest.mark.slow)])
def frames(request):
    return list(_random_frames(request.param))


@pytest.mark.parametrize('detector', [_haar, _dlib])
def test_real_detectors_find_the_faces(detector, frames):
    detect = detector()
    found = [any(_holds(box, points) for box in detect(grey)) for grey, points in frames]
    assert np.mean(found) >= 0.95


def test_resting_faces_show_expressions():
    """Some people look grumpy or sad when they show nothing: the apex alone is ambiguous."""
    rests = np.stack([someone(k).rest.mean(0) for k in range(200)])
    for unit in (1, 4, 7, 15):
        share = (rests[:, units.INDEX[unit]] > 0.2).mean()
        assert 0.08 < share < 0.7, unit


def test_combined_intensities_relax_antagonists():
    rest = units.intensities({15: 0.5, 4: 0.4})
    smiling = expressions.combine(rest, units.intensities({12: 1.0}))
    assert smiling[0, units.INDEX[15]] < 0.05
    np.testing.assert_allclose(smiling[0, units.INDEX[4]], 0.4, atol=1e-6)
    np.testing.assert_allclose(smiling[0, units.INDEX[12]], 1.0, atol=1e-6)
    assert expressions.combine(rest, units.intensities({4: 1.2})).max() <= 1.2
