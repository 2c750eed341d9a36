"""The detectors on simulated faces, what they have learnt, and what is missing."""

import os
import sys
import types
import urllib.error
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax.data import faces
from fer_jax.data.faces import tracking
from fer_jax.errors import UserError
from fer_jax.simulation.people import face, identity, units
from fer_jax.simulation.people.pose import Pose

WIDTH, HEIGHT, SCALE = 320, 240, 55


@pytest.fixture(scope='module')
def film():
    """A simulated face that moves to the right over six frames: pictures and landmarks."""
    who = identity.sample(np.random.default_rng(1))
    actor = face.prepare(who, SCALE, WIDTH, HEIGHT, 1)
    smile = units.intensities({12: 0.6})
    return [
        face.render(actor, smile, Pose(x=130 + 8 * t, y=105, scale=SCALE), noise_seed=t)
        for t in range(6)
    ]


@pytest.fixture(scope='module')
def frames(film):
    return [picture.image for picture in film]


@pytest.fixture(scope='module')
def landmarks(film):
    return np.stack([picture.landmarks for picture in film])


def tight(landmarks):
    return np.concatenate([landmarks.min(1), landmarks.max(1)], axis=1)


@pytest.mark.parametrize('name', ['dlib', 'haar'])
def test_a_simulated_face_is_followed(name, frames, landmarks):
    detector = faces.make_detector(name)
    found = detector.find(frames)
    assert found.box.shape == (6, 4) and found.box.dtype == np.float32
    assert found.landmarks.shape == (6, 68, 2) and np.isnan(found.landmarks).all()
    for box, truth in zip(found.box, tight(landmarks), strict=True):
        assert tracking.overlap(box, truth) > 0.5
    coloured = [np.repeat(frame, 3, axis=2) for frame in frames]
    np.testing.assert_array_equal(detector.find(coloured).box, found.box)
    again = faces.make_detector(name)
    np.testing.assert_array_equal(again.find(frames).box, found.box)
    assert again.key == detector.key and detector.identity['name'] == name


@pytest.mark.parametrize('name', ['dlib', 'haar'])
def test_nobody_and_two_people(name, frames):
    detector = faces.make_detector(name)
    empty = np.full((HEIGHT, WIDTH, 1), 90, np.uint8)
    nobody = detector.find([empty] * 3)
    assert np.isnan(nobody.box).all() and nobody.box.shape == (3, 4)
    assert detector.boxes(empty).shape == (0, 4)
    # A larger person beside the first: both are seen, the larger is followed.
    large = cv2.resize(frames[0], (480, 360))[:, :, None]
    small = np.pad(frames[0], ((0, 120), (0, 0), (0, 0)), constant_values=90)
    both = np.concatenate([small, large], axis=1)
    boxes = detector.boxes(both)
    assert sorted(boxes[:, 0] > WIDTH) == [False, True]
    assert detector.find([both] * 2).box[1, 0] > WIDTH


def test_dlib_finds_small_faces_too(frames, landmarks):
    small = cv2.resize(frames[0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)[:, :, None]
    truth = tight(landmarks[:1])[0] / 2
    assert max(truth[2:] - truth[:2]) < 80  # smaller than what the detector was made for
    (box,) = faces.make_detector('dlib').boxes(small)
    assert tracking.overlap(box, truth) > 0.5


def test_dlibs_tracker_follows_and_lets_go(frames):
    detector = faces.make_detector('dlib')
    start = detector.boxes(frames[0])[0]
    tracker = detector.new_tracker()
    tracker.start(frames[0], start)
    for step, frame in enumerate(frames[1:], start=1):
        box = tracker.update(frame)
        np.testing.assert_allclose(box - start, np.array([8, 0, 8, 0]) * step, atol=4)
    noise = np.random.default_rng(0).integers(80, 120, frames[0].shape).astype(np.uint8)
    assert tracker.update(noise) is None


@pytest.fixture(scope='module')
def predictor(tmp_path_factory, frames, landmarks):
    """A file of dlib's 68 point predictor, learnt from these very frames; and one of 5 points."""
    import dlib

    folder = tmp_path_factory.mktemp('predictors')
    options = dlib.shape_predictor_training_options()
    options.oversampling_amount, options.tree_depth, options.cascade_depth = 40, 3, 6
    options.num_trees_per_cascade_level, options.num_test_splits = 30, 10
    options.feature_pool_size, options.num_threads, options.be_verbose = 150, 1, False
    find = faces.make_detector('dlib')
    pictures = [np.ascontiguousarray(frame[:, :, 0]) for frame in frames]
    for count in (68, 5):
        shapes = []
        for frame, points in zip(frames, landmarks, strict=True):
            rectangle = dlib.rectangle(*(round(float(edge)) for edge in find.boxes(frame)[0]))
            parts = [dlib.point(*np.rint(point).astype(int).tolist()) for point in points[:count]]
            shapes.append([dlib.full_object_detection(rectangle, parts)])
        dlib.train_shape_predictor(pictures, shapes, options).save(str(folder / f'{count}.dat'))
    return folder


def test_dlib_takes_landmarks_from_a_file(predictor, frames, landmarks):
    detector = faces.make_detector('dlib', weights=predictor / '68.dat')
    found = detector.find(frames)
    assert np.abs(found.landmarks - landmarks).mean() < 2.5
    np.testing.assert_allclose(found.box, tight(found.landmarks))  # tight, as with a release
    assert list(detector.identity['weights']) == ['68.dat']
    assert detector.key != faces.make_detector('dlib').key


def test_files_that_dlib_cannot_use(predictor, tmp_path):
    with pytest.raises(UserError, match='5 landmarks instead of 68; pass dlib'):
        faces.make_detector('dlib', weights=predictor / '5.dat')
    (tmp_path / 'cut.dat').write_bytes((predictor / '68.dat').read_bytes()[:5000])
    with pytest.raises(UserError, match='cut.dat: dlib cannot read this .*--weights'):
        faces.make_detector('dlib', weights=tmp_path / 'cut.dat')


# Average grey levels of three rows of seven areas, in blue, are three detections.
NETWORK = """
name: "areas"
input: "data"
input_shape { dim: 1 dim: 3 dim: 300 dim: 300 }
layer { name: "cut" type: "Slice" bottom: "data" top: "blue" top: "rest"
        slice_param { axis: 1 slice_point: 1 } }
layer { name: "areas" type: "Pooling" bottom: "blue" top: "areas"
        pooling_param { pool: AVE kernel_h: 100 kernel_w: 43 stride_h: 100 stride_w: 43 } }
layer { name: "rows" type: "Power" bottom: "areas" top: "rows" power_param { scale: 0.01 } }
"""


def test_opencvs_network_is_fed_and_read_as_it_was_trained(tmp_path):
    (tmp_path / 'deploy.prototxt').write_text(NETWORK)
    weights = tmp_path / 'areas.caffemodel'
    weights.write_bytes(b'\x0a\x05areas')  # a network's name: its layers learn nothing
    rows = np.array(
        [
            [0, 1, 0.9, 0.2, 0.1, 0.6, 0.8],
            [0, 1, 0.3, 0.2, 0.1, 0.6, 0.8],  # not sure enough
            [0, 1, 0.8, 0.5, 0.4, 1.1, 1.2],  # reaches out of the picture
        ]
    )
    blue = np.rint(104 + 100 * rows).astype(np.uint8)  # 104: the mean that OpenCV's network knows
    picture = np.zeros((450, 602, 3), np.uint8)
    picture[:, :, 2] = np.kron(blue, np.ones((150, 86)))
    detector = faces.make_detector('opencv_dnn', weights=weights)
    boxes = detector.boxes(picture)
    truth = np.array([[0.2, 0.1, 0.6, 0.8], [0.5, 0.4, 1, 1]]) * (602, 450, 602, 450) - 0.5
    np.testing.assert_allclose(boxes, truth, atol=9)  # areas blur where they meet
    assert detector.identity['weights'].keys() == {'areas.caffemodel', 'deploy.prototxt'}
    assert np.isnan(detector.find([np.zeros((90, 120, 1), np.uint8)]).box).all()


def test_opencvs_network_must_be_fetched(tmp_path):
    fetch = 'fetch res10_300x300_ssd_iter_140000.caffemodel and deploy.prototxt'
    with pytest.raises(UserError, match=f'needs --weights: {fetch}'):
        faces.make_detector('opencv_dnn')
    alone = tmp_path / 'alone.caffemodel'
    alone.write_bytes(b'')
    with pytest.raises(UserError, match=f'no .caffemodel with a .prototxt beside it; {fetch}'):
        faces.make_detector('opencv_dnn', weights=alone)
    (tmp_path / 'deploy.prototxt').write_text('layer {')
    with pytest.raises(UserError, match=f'OpenCV cannot read this network; {fetch}'):
        faces.make_detector('opencv_dnn', weights=alone)
    with pytest.raises(UserError, match='nowhere: no such file or folder'):
        faces.make_detector('opencv_dnn', weights=tmp_path / 'nowhere')


def test_wrong_names_and_needless_weights(tmp_path):
    with pytest.raises(
        UserError, match="unknown detector 'yolo': one of yunet, dlib, haar, face_al"
    ):
        faces.make_detector('yolo')
    with pytest.raises(UserError, match='haar takes no --weights'):
        faces.make_detector('haar', weights=tmp_path)


@pytest.mark.parametrize('name', ['dlib', 'face_alignment'])
def test_a_missing_package_is_named_with_its_command(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)  # Python's way of saying: not to be imported
    with pytest.raises(UserError, match=r"pip install -e '.\[landmarks\]'") as caught:
        faces.make_detector(name)
    assert f'--faces={name} needs' in str(caught.value) and '\n' not in str(caught.value)


class FaceAlignmentPackage:
    """Stands in for face-alignment, which is no part of the tests' tools."""

    NAMES = ('s3fd.pth', 'fan.pth')

    def __init__(self, monkeypatch, error=None):
        self.error, self.asked = error, []
        package = types.ModuleType('face_alignment')
        package.__version__ = '0'
        package.__path__ = []
        package.LandmarksType = types.SimpleNamespace(TWO_D=1)
        package.FaceAlignment = self.build
        package.api = types.ModuleType('face_alignment.api')
        package.api.models_urls = {'2DFAN-4': 'https://example.org/fan.pth'}
        detection = types.ModuleType('face_alignment.detection')
        sfd = types.ModuleType('face_alignment.detection.sfd')
        sfd.sfd_detector = types.ModuleType('face_alignment.detection.sfd.sfd_detector')
        sfd.sfd_detector.models_urls = {'s3fd': 'https://example.org/s3fd.pth'}
        for module in (package, package.api, detection, sfd, sfd.sfd_detector):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        self.face_detector = types.SimpleNamespace(detect_from_image=self.detect)

    def build(self, kind, device, compile):
        assert kind == 1 and device == 'cpu' and compile is False
        self.home = Path(os.environ['TORCH_HOME'], 'hub', 'checkpoints')
        self.read = [(self.home / name).read_text() for name in self.NAMES if not self.error]
        if self.error:
            raise self.error
        return self

    def detect(self, image):
        assert image.shape == (60, 80, 3)
        return [np.array([10, 12, 30, 40, 0.9])]

    def get_landmarks_from_image(self, image, boxes):
        self.asked.append(boxes)
        return [np.linspace((10, 12), (30, 40), 68).astype(np.float32)]


def test_face_alignment_reads_a_folder_of_ones_own(monkeypatch, tmp_path):
    package = FaceAlignmentPackage(monkeypatch)
    for name in package.NAMES:
        (tmp_path / name).write_text(name)
    monkeypatch.setenv('TORCH_HOME', 'untouched')
    detector = faces.make_detector('face_alignment', weights=tmp_path)
    assert package.read == list(package.NAMES)
    assert os.environ['TORCH_HOME'] == 'untouched' and not package.home.exists()
    assert detector.identity['weights'].keys() == set(package.NAMES)
    found = detector.find([np.zeros((60, 80, 1), np.uint8)] * 2)
    np.testing.assert_array_equal(package.asked[0], [[10, 12, 30, 40]])
    np.testing.assert_array_equal(found.box, [[10, 12, 30, 40]] * 2)
    assert np.isfinite(found.landmarks).all()


def test_face_alignment_offline_says_what_to_fetch_and_where_to(monkeypatch, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    FaceAlignmentPackage(monkeypatch, urllib.error.URLError('no network'))
    with pytest.raises(UserError) as caught:
        faces.make_detector('face_alignment')
    message = str(caught.value)
    assert f'are not both in {tmp_path}/hub/checkpoints and cannot be downloaded' in message
    assert 'fetch https://example.org/s3fd.pth and https://example.org/fan.pth' in message
    assert '\n' not in message
    with pytest.raises(UserError, match=f'{tmp_path} has no s3fd.pth; fetch https'):
        faces.make_detector('face_alignment', weights=tmp_path)
    FaceAlignmentPackage(monkeypatch, EOFError('Ran out of input'))
    with pytest.raises(UserError, match='s3fd.pth or fan.pth is damaged; remove both and fetch'):
        faces.make_detector('face_alignment')
