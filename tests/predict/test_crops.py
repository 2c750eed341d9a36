"""Faces are cut out for a network as its training cut them out."""

import dataclasses

import numpy as np
import pytest

from fer_jax.data import cropping, registration
from fer_jax.data.datasets import records
from fer_jax.predict import crops, models, quality
from fer_jax.predict.detection import FaceFinder
from fer_jax.predict.following import Seen
from fer_jax.predict.windows import Windows


class Shape:
    """Holds all that crops needs to know of a network."""

    fit = None

    def __init__(self, registration='none', frames=1, stored=True, margin=1.0, channels=1):
        self.geometry = cropping.Geometry(frames, 'uniform', 32, channels, registration, 5, margin)
        self.framing, self.stored = models.YUNET, stored


def seen(box, points):
    return Seen(1, np.array(box, float), np.array(points, float), 0.9)


@pytest.fixture(scope='module')
def film(people):
    """Twelve frames with a head that moves, its boxes and its points."""
    rng = np.random.default_rng(0)
    backdrop = rng.integers(0, 255, (300, 400, 3), np.uint8)
    frames, faces = [], []
    for k in range(12):
        image = backdrop.copy()
        x, y = 90 + 2 * k, 70 + k
        image[y : y + 176, x : x + 160] = people[0][k // 3]
        box = [x + 45, y + 30, x + 115.5, y + 120.25]
        eyes = [[x + 65, y + 70], [x + 95, y + 72 + k], [x + 80, y + 90]]
        frames.append(image)
        faces.append(seen(box, [*eyes, [x + 70, y + 102], [x + 92, y + 103]]))
    return frames, faces


@pytest.mark.parametrize('registration', ['none', 'eyes'])
@pytest.mark.parametrize('margin', [1.0, 1.4])
@pytest.mark.parametrize('channels', [1, 3])
def test_a_window_is_what_the_prepared_clip_would_be(film, registration, margin, channels):
    frames, faces = film
    shape = Shape(registration, frames=4, margin=margin, channels=channels)
    boxes = np.stack([shape.framing.box(face.box) for face in faces])
    landmarks = np.zeros((12, 68, 2))
    for k, face in enumerate(faces):
        landmarks[k, 36:42], landmarks[k, 42:48] = face.points[:2]
        landmarks[k, [30, 48, 54]] = face.points[2:]
    record = records.cropped(frames, records.Faces(boxes, landmarks)) | {'clip_id': 'a'}
    wanted = np.empty((4, 32, 32, channels), np.uint8)
    cropping.draw(wanted, record, shape.geometry, None)
    patches = [
        crops.patch(image, k / 25, face, shape)
        for k, (image, face) in enumerate(zip(frames, faces, strict=True))
    ]
    found, length = crops.clip(patches, shape)
    assert length == 4
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert (found == wanted).mean() > 0.99


def test_a_still_is_cut_from_the_frame_at_once(film):
    frames, faces = film
    shape = Shape(stored=False, margin=1.2, channels=3)
    found, length = crops.clip([crops.patch(frames[0], 0.0, faces[0], shape)], shape)
    assert found.shape == (1, 32, 32, 3) and length == 1
    # The middle of the box is the middle of the crop, and 1.2 boxes fill it.
    box = faces[0].box
    x, y = np.rint((box[:2] + box[2:]) / 2).astype(int)
    half = round(1.2 * (box[3] - box[1]) / 2)
    around = frames[0][y - half : y + half, x - half : x + half].astype(float)
    assert abs(found.mean() - around.mean()) < 3


def test_registered_eyes_stand_where_the_network_saw_them(people, scene):
    finder, shape = FaceFinder(), Shape('eyes', channels=3)
    shape.framing = models.LANDMARKS
    image = scene((people[0][0], 100, 30))
    faces = finder.find(image)
    face = seen(faces.box[0], faces.points[0])
    rows, columns = np.mgrid[:240, :480]
    for roll in (0, -8, 8):
        points = face.points + [[0, roll], [0, -roll], [0, 0], [0, 0], [0, 0]]
        marked = np.zeros_like(image)  # a red left eye and a green right one
        for channel, (x, y) in enumerate(points[:2]):
            marked[np.hypot(columns - x, rows - y) < 5, channel] = 255
        clip, _ = crops.clip([crops.patch(marked, 0.0, seen(face.box, points), shape)], shape)
        for channel, wanted in enumerate(registration.eye_places(32, 1.0)):
            weight = clip[0, ..., channel].astype(float)
            y, x = (np.mgrid[:32, :32] * weight).sum((1, 2)) / weight.sum()
            assert np.hypot(x - wanted[0], y - wanted[1]) < 0.5, roll


@pytest.mark.parametrize(
    ('rate', 'window'),
    [
        (30, 10 / 30),
        (24, 10 / 30),
        (60, 10 / 30),
        (240, 10 / 30),
        (60, 1.0),
        (240, 1.0),
        (30, 0.1),
    ],
)
def test_the_last_frames_are_chosen_by_time(monkeypatch, rate, window):
    times, length = last_seen(monkeypatch, rate, window, window)
    assert len(times) == length == 10
    even = times[-1] - np.arange(10)[::-1] * window / 10
    assert times == pytest.approx(np.maximum(even, 1 / rate), abs=0.51 / rate)


def test_last_frames_of_who_was_seen_shortly_are_padded(monkeypatch):
    times, length = last_seen(monkeypatch, 60, 10 / 30, 0.1)
    assert length == len(times) == 3 and times[-1] - times[0] == pytest.approx(4 / 60)


def last_seen(monkeypatch, rate, window, seconds):
    """Times of the frames that a network of the last ten frames sees of a film, and the length."""
    given = []
    draw = cropping.draw

    def noted(out, record, geometry, fit):
        given.extend(int(frame.max()) for frame in record['frames'])
        return draw(out, record, geometry, fit)

    monkeypatch.setattr(crops.cropping, 'draw', noted)
    shape = Shape(frames=10)
    shape.geometry = dataclasses.replace(shape.geometry, sampling='last')
    shape.seconds = window
    face = seen([20, 20, 60, 60], np.full((5, 2), 40.0))
    count = round(seconds * rate)
    film = [np.full((80, 80, 3), k + 1, np.uint8) for k in range(count)]
    patches = [crops.patch(image, k / rate, face, shape) for k, image in enumerate(film)]
    _, length = crops.clip(patches, shape)
    return np.array(given) / rate, length


def test_a_large_face_in_a_window_is_kept_smaller_and_looks_the_same(film):
    frames, faces = film
    import cv2

    shape = Shape(frames=4)
    large = [cv2.resize(image, None, fx=6, fy=6) for image in frames]
    scaled = [seen((face.box + 0.5) * 6 - 0.5, (face.points + 0.5) * 6 - 0.5) for face in faces]
    small, _ = crops.clip(
        [crops.patch(i, 0.0, f, shape) for i, f in zip(frames, faces, strict=True)], shape
    )
    patches = [crops.patch(i, 0.0, f, shape) for i, f in zip(large, scaled, strict=True)]
    assert patches[0].shrunk == 3
    again, _ = crops.clip(patches, shape)
    assert np.abs(small.astype(int) - again).mean() < 4


def test_a_face_outside_the_picture_leaves_black(film):
    frames, _ = film
    shape = Shape(stored=False)
    away = seen([500, 400, 560, 480], np.full((5, 2), 450.0))
    found, _ = crops.clip([crops.patch(frames[0], 0.0, away, shape)], shape)
    assert not found.any()


def test_windows_slide_by_time(film):
    frames, faces = film
    shape, windows = Shape(frames=4), Windows(0.4, step=0.2)
    ends = []
    for k in range(40):
        patch = crops.patch(frames[k % 12], k / 20, faces[k % 12], shape)
        window = windows.add(1, patch)
        if window:
            ends.append((window[0].time, window[-1].time, len(window)))
    assert [n for _, _, n in ends] == [8] * len(ends)
    assert [end for _, end, _ in ends] == pytest.approx([0.35 + 0.2 * k for k in range(9)])
    assert [end - start for start, end, _ in ends] == pytest.approx([0.35] * 9)
    assert windows.forget() == {}


def test_a_window_does_not_bridge_an_absence(film):
    frames, faces = film
    shape, windows = Shape(frames=4), Windows(0.4, step=0.2)
    times = [0.0, 0.1, 0.2, 2.0, 2.1, 2.2, 2.3, 2.4]
    starts = []
    for time in times:
        window = windows.add(1, crops.patch(frames[0], time, faces[0], shape))
        starts += [window[0].time] if window else []
    assert starts == [2.0]
    windows.forget(3.5)
    assert not windows.kept


def test_a_window_holds_frames_that_are_seldom_looked_at(film):
    frames, faces = film
    windows = Windows(2.5, spacing=1.0)
    found = []
    for time in range(6):
        windows.forget(time)
        patch = crops.patch(frames[0], float(time), faces[0], Shape(frames=4))
        found.append(windows.add(1, patch) is not None)
    assert found == [False, False, True, True, True, True]


def test_what_is_too_short_for_a_window_is_given_when_its_person_has_gone(film):
    frames, faces = film
    windows = Windows(2.0)
    for k in range(5):
        patch = crops.patch(frames[k], k / 10, faces[k], Shape(frames=4))
        assert windows.add(7, patch) is None
    assert windows.forget(0.6) == {}
    assert [patch.time for patch in windows.forget(1.0)[7]] == [0, 0.1, 0.2, 0.3, 0.4]


def test_sharpness_falls_with_blur_and_not_with_size(people, scene):
    import cv2

    finder = FaceFinder()
    image = scene((people[1][0], 100, 30))
    box = finder.find(image).box[0]
    side = (box[2:] - box[:2]).max()
    sharp = quality.sharpness(image, box)
    blurred = [
        quality.sharpness(cv2.GaussianBlur(image, (0, 0), share * side), box)
        for share in (0.01, 0.02, 0.04)
    ]
    assert sharp > blurred[0] > blurred[1] > blurred[2]
    assert sharp > quality.BLURRED > blurred[2]
    for times in (2, 3):
        large = cv2.resize(image, None, fx=times, fy=times)
        again = quality.sharpness(large, times * (box + 0.5) - 0.5)
        assert again == pytest.approx(sharp, rel=0.25)
    assert quality.sharpness(image, np.array([-90.0, -90, -10, -10])) == 0


def test_a_turned_head_is_told_from_its_points():
    frontal = np.array([[10.0, 10], [30, 10], [20, 22], [13, 32], [27, 32]])
    turned = frontal + [[0, 0], [0, 0], [8, 0], [0, 0], [0, 0]]
    assert quality.turn(frontal) == 0 and quality.turn(turned) == pytest.approx(0.4)
    # Turning the picture changes nothing.
    angle = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    assert quality.turn(turned @ angle.T) == pytest.approx(0.4)
    assert quality.doubts(30, 0.3, 0.4) == ['turned']
    assert quality.doubts(20, 0.05, 0.1) == ['small', 'blurred']
