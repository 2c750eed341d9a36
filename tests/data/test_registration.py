"""Registration against linear least squares, OpenCV and pictures with known landmarks."""

import cv2
import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from fer_jax.data import registration


def random_similarity(rng) -> np.ndarray:
    angle, scale = rng.uniform(-np.pi, np.pi), rng.uniform(0.3, 3)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([linear, rng.uniform(-50, 50, 2)])


def least_squares(source, target) -> np.ndarray:
    """A similarity without reflection is linear in (a, b, x, y): [[a, -b], [b, a]] and a shift."""
    (x, y), one, zero = source.T, np.ones(len(source)), np.zeros(len(source))
    rows = np.concatenate([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
    a, b, shift_x, shift_y = np.linalg.lstsq(rows, target.T.ravel())[0]
    return np.array([[a, -b, shift_x], [b, a, shift_y]])


def eye_line(landmarks, size, margin) -> np.ndarray:
    """The matrix that loading's 'eyes' draws a frame through."""
    places = registration.eye_places(size, margin)
    (matrix,) = registration.each_frame(places, registration.eye_centres(landmarks)[None])
    return matrix


def blob_centres(image, count):
    """Centroids [count, 2] of the brightest connected regions, from the left."""
    parts, _, stats, centres = cv2.connectedComponentsWithStats((image > 150).astype(np.uint8))
    assert parts == count + 1
    weighted = []
    for part in range(1, parts):
        x, y, w, h, _ = stats[part]
        window = np.s_[max(0, y - 2) : y + h + 2, max(0, x - 2) : x + w + 2]
        weight = image[window].astype(float) - 60
        rows, columns = np.mgrid[window]
        weighted.append([(columns * weight).sum(), (rows * weight).sum()] / weight.sum())
    return np.array(sorted(weighted, key=lambda centre: centre[0]))


@pytest.mark.parametrize('points', [2, 5, 51, 68])
def test_similarity_recovers_a_known_transform(points):
    rng = np.random.default_rng(points)
    for _ in range(20):
        truth, source = random_similarity(rng), rng.uniform(0, 160, (points, 2))
        found = registration.similarity(source, registration.apply(truth, source))
        np.testing.assert_allclose(found, truth, atol=1e-9)


def test_similarity_is_the_least_squares_one():
    rng = np.random.default_rng(0)
    truth, source = random_similarity(rng), rng.uniform(0, 160, (68, 2))
    noisy = registration.apply(truth, source) + rng.normal(0, 1.0, (68, 2))
    found = registration.similarity(source, noisy)
    np.testing.assert_allclose(found, least_squares(source, noisy), atol=1e-9)
    shift = registration.apply(found, source) - registration.apply(truth, source)
    assert np.abs(shift).max() < 0.5


def test_similarity_never_reflects():
    source = np.random.default_rng(3).uniform(0, 100, (10, 2))
    mirrored = source * (-1, 1)
    found = registration.similarity(source, mirrored)
    assert np.linalg.det(found[:, :2]) > 0
    np.testing.assert_allclose(found, least_squares(source, mirrored), atol=1e-9)


@pytest.mark.parametrize(
    'source', [np.zeros((1, 2)), np.ones((5, 2)), np.full((3, 2), np.nan), np.zeros((4, 3))]
)
def test_similarity_refuses_what_defines_none(source):
    with pytest.raises(ValueError, match='point'):
        registration.similarity(source, source)


@pytest.mark.parametrize('margin', [1.0, 1.3])
def test_eyes_land_where_they_should(handmade, margin):
    landmarks = handmade.posed_face((70, 66), 50, 17)
    matrix = eye_line(landmarks, 112, margin)
    found = registration.apply(cv2.invertAffineTransform(matrix), landmarks)
    eyes = registration.eye_centres(found)
    assert eyes[0, 1] == pytest.approx(eyes[1, 1])
    assert eyes[1, 0] - eyes[0, 0] == pytest.approx(0.44 * 112 / margin)
    assert eyes.mean(0)[0] == pytest.approx(55.5)


def test_landmarks_agree_after_registration(handmade):
    rng = np.random.default_rng(2)
    registered = []
    for _ in range(10):
        pose = (rng.uniform(60, 90, 2), rng.uniform(30, 60), rng.uniform(-30, 30))
        landmarks = handmade.posed_face(*pose)
        matrix = eye_line(landmarks, 64, 1.2)
        registered.append(registration.apply(cv2.invertAffineTransform(matrix), landmarks))
    assert np.ptp(registered, axis=0).max() < 1


@pytest.mark.parametrize('size', [24, 64, 112])
def test_the_drawn_eyes_land_where_the_matrix_says(handmade, size):
    landmarks = handmade.posed_face((74, 62), 60, -20)
    image = handmade.drawn_face(landmarks)
    matrix = eye_line(landmarks, size, 1.2)
    found = blob_centres(registration.warp(image, matrix, size), 2)
    assert np.abs(found - registration.eye_places(size, 1.2)).max() < 0.5


def test_keypoints_are_those_of_the_scheme(handmade):
    landmarks = np.stack([handmade.posed_face((70, 66), 50, d) for d in (0, 17)])
    five = registration.keypoints(landmarks, 5)
    eyes = [landmarks[:, 36:42].mean(1), landmarks[:, 42:48].mean(1)]
    named = [*eyes, landmarks[:, 30], landmarks[:, 48], landmarks[:, 54]]
    np.testing.assert_allclose(five, np.stack(named, 1))
    np.testing.assert_array_equal(registration.keypoints(landmarks, 51), landmarks[:, 17:])
    np.testing.assert_array_equal(registration.keypoints(landmarks, 68), landmarks)


def test_a_frame_without_a_shape_takes_its_neighbours_matrix():
    rng = np.random.default_rng(5)
    target, shapes = rng.uniform(0, 60, (5, 2)), rng.uniform(0, 160, (6, 5, 2))
    shapes[[0, 2, 3], 1] = np.nan
    matrices = registration.each_frame(target, shapes)
    for frame, source in enumerate([1, 1, 1, 4, 4, 5]):
        expected = least_squares(target, shapes[source])
        np.testing.assert_allclose(matrices[frame], expected, atol=1e-9)
    assert registration.each_frame(target, np.full((3, 5, 2), np.nan)) is None


@pytest.mark.parametrize('points', [5, 51])
def test_procrustes_recovers_a_known_shape_and_similarities(points):
    """Faces of one shape under known similarities and noise come to lie together."""
    rng = np.random.default_rng(points)
    shape = rng.uniform(-1, 1, (points, 2))
    moves = []
    for angle, scale in zip(rng.uniform(-0.6, 0.6, 40), rng.uniform(30, 50, 40), strict=True):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        moves.append(np.column_stack([scale * turn, rng.uniform(60, 100, 2)]))
    faces = np.stack([registration.apply(move, shape) for move in moves])
    faces += rng.normal(0, 0.15, faces.shape)
    template = registration.procrustes_mean(faces)
    truth = registration.similarity(shape, template)
    assert np.abs(registration.apply(truth, shape) - template).max() < 0.1
    square = template.mean(0) + np.array([[-30, -30], [-30, 30], [30, -30], [30, 30]])
    for move, face in zip(moves, faces, strict=True):
        matrix = registration.similarity(template, face)
        known = registration.compose(cv2.invertAffineTransform(truth), move)
        wrong = registration.apply(matrix, square) - registration.apply(known, square)
        assert np.abs(wrong).max() < 0.5
        landed = registration.apply(cv2.invertAffineTransform(matrix), face)
        assert np.abs(landed - template).max() < 1


def test_procrustes_mean_is_the_best_there_is():
    """SciPy's disparities to it are less than to shapes near it, and than to the plain mean."""
    rng = np.random.default_rng(6)
    faces = rng.uniform(0, 100, (10, 2)) + rng.normal(0, 6, (30, 10, 2))
    faces = np.stack([registration.apply(random_similarity(rng), face) for face in faces])

    def disparity(mean):
        return sum(scipy.spatial.procrustes(mean, face)[2] for face in faces)

    best = registration.procrustes_mean(faces)
    least = disparity(best)
    assert least < disparity(faces.mean(0)) - 1e-6
    for _ in range(10):
        assert least < disparity(best + rng.normal(0, 0.02 * np.std(best), best.shape))


def test_procrustes_mean_stays_where_the_faces_are(handmade):
    poses = [((70 + d, 60 - d), 50 + 2 * d, 4 * d) for d in (-2, -1, 0, 1, 2)]
    faces = np.stack([handmade.posed_face(*pose) for pose in poses])
    found = registration.procrustes_mean(faces)
    np.testing.assert_allclose(found, handmade.posed_face((70, 60), 50, 0), atol=0.5)


def test_compose_and_window_matrix_agree_with_the_crop():
    rng = np.random.default_rng(7)
    one, other = random_similarity(rng), random_similarity(rng)
    points = rng.uniform(0, 90, (6, 2))
    through = registration.apply(other, registration.apply(one, points))
    np.testing.assert_allclose(
        registration.apply(registration.compose(one, other), points), through
    )
    window = (13, -7, 55)
    back = registration.apply(registration.window_matrix(window, 48), points)
    np.testing.assert_allclose(registration.to_crop(back, window, 48), points, atol=1e-9)


@pytest.mark.parametrize('degrees, side', [(0, 96), (0, 130), (20, 130), (20, 300)])
def test_the_border_is_noise_and_the_picture_stays(degrees, side):
    """A grey picture in noise: what OpenCV draws inside is the same, what it leaves 0 is noise."""
    picture = np.full((2, 96, 96, 3), 90, np.uint8)
    angle, scale = np.deg2rad(degrees), side / 48
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([linear, [47.5, 47.5] - linear @ [23.5, 23.5]])
    given = np.random.default_rng(1)
    frames, moved = registration.noisy_border(picture, matrix, 48, given)
    assert (frames[0] == frames[1]).all() and (frames[..., 0] == frames[..., 1]).all()
    drawn = registration.warp(frames[0], moved, 48)[:, :, 0].astype(int)
    covered = registration.warp(np.full((96, 96), 255, np.uint8), matrix, 48)
    assert (drawn[covered == 255] == 90).all()
    outside = drawn[covered == 0]
    if side <= 96:
        assert frames is picture and not len(outside)
    elif degrees == 0:
        assert len(outside) > 400
    if len(outside):
        assert abs(outside.mean() - 127.5) < 12
        assert outside.std() > 50 * 48 / side  # shrinking averages it
        assert (outside != 0).mean() > 0.95  # nowhere beyond the extended picture


def test_noise_is_uniform():
    picture = np.zeros((1, 10, 10, 1), np.uint8)
    matrix = np.array([[1.0, 0, -200], [0, 1.0, -200]])
    frames, moved = registration.noisy_border(picture, matrix, 100, np.random.default_rng(0))
    noise = frames[0, :150, :150].ravel()
    counts = np.bincount(noise, minlength=256)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    np.testing.assert_array_equal(moved - matrix, [[0, 0, 200], [0, 0, 200]])


def test_warp_is_opencvs_where_nothing_shrinks():
    image = np.random.default_rng(0).integers(0, 256, (60, 70, 3)).astype(np.uint8)
    matrix = registration.similarity([[0, 0], [40, 0]], [[10, 12], [40, 20]])
    reference = cv2.warpAffine(
        image, matrix, (48, 48), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    np.testing.assert_array_equal(registration.warp(image, matrix, 48), reference)


@pytest.mark.parametrize('x, degrees', [(37000, 0), (37000.5, 20), (39990, 0), (41000, 0), (-9, 5)])
def test_warp_takes_a_panorama(x, degrees):
    rng = np.random.default_rng(3)
    wide = np.tile(rng.integers(1, 256, (40, 500), np.uint8), 80)
    turn = cv2.getRotationMatrix2D((0, 0), degrees, 1.5)
    far, near = turn + [[0, 0, x], [0, 0, 5]], turn + [[0, 0, x - 20000], [0, 0, 5]]
    for image, wanted in ((wide, wide[:, 20000:]), (wide.T.copy(), wide.T[20000:].copy())):
        if x < 0:
            wanted, near = image[:9000, :9000], far
        elif image.shape[0] > image.shape[1]:
            far, near = far[::-1], near[::-1]
        found = registration.warp(image, far, 24)
        np.testing.assert_array_equal(found, registration.warp(wanted.copy(), near, 24))


def test_warp_does_not_alias_when_it_shrinks():
    checks = (np.indices((160, 160)).sum(0) % 2 * 255).astype(np.uint8)
    matrix = registration.similarity([[0, 0], [39, 39]], [[1, 1], [152, 152]])
    assert registration.warp(checks, matrix, 40)[2:-2, 2:-2].std() < 5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    aliased = cv2.warpAffine(checks, matrix, (40, 40), flags=flags)
    assert aliased[2:-2, 2:-2].std() > 25


def test_shrinking_by_a_whole_number_averages_areas():
    image = np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8)
    matrix = np.array([[2.0, 0, 0.5], [0, 2.0, 0.5]])
    reference = cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(registration.warp(image, matrix, 48), reference)


def test_crop_cuts_resizes_and_pads():
    image = np.random.default_rng(0).integers(1, 256, (40, 50)).astype(np.uint8)
    np.testing.assert_array_equal(registration.crop(image, (5, 7, 20), 20), image[7:27, 5:25])
    reference = cv2.resize(image[7:27, 5:25], (12, 12), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(registration.crop(image, (5, 7, 20), 12), reference)
    reference = cv2.resize(image[7:27, 5:25], (33, 33), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(registration.crop(image, (5, 7, 20), 33), reference)
    over = registration.crop(image, (-4, 30, 60), 60)
    np.testing.assert_array_equal(over[:10, 4:54], image[30:])
    assert not over[10:].any() and not over[:, :4].any() and not over[:, 54:].any()
    assert not registration.crop(image, (60, 60, 10), 10).any()


@pytest.mark.parametrize('size', [30, 60, 90])
def test_points_follow_the_crop(handmade, size):
    landmarks = handmade.posed_face((74, 62), 50, 10)
    window = (30, 20, 80)
    found = blob_centres(registration.crop(handmade.drawn_face(landmarks), window, size), 2)
    expected = registration.to_crop(registration.eye_centres(landmarks), window, size)
    assert np.abs(found - expected).max() < 0.35


def test_the_window_is_the_median_one():
    rng = np.random.default_rng(0)
    for frames in (1, 2, 5, 8):
        boxes = rng.uniform(20, 40, (frames, 4))
        boxes[:, 2:] += rng.uniform(30, 60, (frames, 2))
        centre = np.median((boxes[:, :2] + boxes[:, 2:]) / 2, axis=0)
        side = 1.5 * np.median((boxes[:, 2:] - boxes[:, :2]).max(1))
        missing = np.concatenate([boxes, np.full((3, 4), np.nan)])  # frames without a face
        x, y, whole = registration.face_window(missing, 1.5)
        assert abs(whole - side) <= 0.5
        assert np.abs(np.array([x, y]) + (whole - 1) / 2 - centre).max() <= 0.5
    assert registration.face_window(np.full((2, 4), np.nan), 1.0) is None
