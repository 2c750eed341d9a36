"""OpenCV's two face detectors: the Haar cascade of its wheel, and its deep learning model."""

from pathlib import Path

import cv2
import cv2.data
import numpy as np

from fer_jax.data.faces import detector
from fer_jax.errors import UserError

_CASCADE = 'haarcascade_frontalface_alt2.xml'
# The single shot detector of OpenCV's samples: side of its input, mean of its training pictures
# (blue, green, red), and the confidence from which its documentation draws a box.
_DNN_SIDE, _DNN_MEAN, _DNN_CONFIDENCE = 300, (104.0, 177.0, 123.0), 0.5


class Haar(detector.Detector):
    """Viola and Jones' cascade of boosted features, for faces seen from the front.

    Its boxes are squares, on simulated faces 1.15 times as wide as the tight box around the
    landmarks is at most, and 0.18 of that higher: with the forehead, without the chin's tip.
    """

    NAME = 'haar'

    def __init__(self, weights: Path | None = None):
        if weights is not None:
            raise UserError('--faces=haar takes no --weights: its cascade comes with OpenCV')
        super().__init__(f'opencv {cv2.__version__}', cascade=_CASCADE)

    def boxes(self, image):
        cascade = self.own(lambda: cv2.CascadeClassifier(cv2.data.haarcascades + _CASCADE))
        smallest = max(24, min(image.shape[:2]) // 10)
        found = cascade.detectMultiScale(
            detector.grey(image), scaleFactor=1.1, minNeighbors=5, minSize=(smallest, smallest)
        )
        corners = np.array(found, np.float64).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]  # OpenCV gives width and height
        return corners[np.lexsort(corners.T)] - 0.5  # in an order that threads do not change


class OpenCVDNN(detector.Detector):
    """The single shot detector with ResNet-10 that OpenCV publishes (haddad2020, sec. 4.1).

    `weights` is the model's file, with the network's description (.prototxt) beside it.
    """

    NAME = 'opencv_dnn'

    def __init__(self, weights: Path | None = None):
        fetch = (
            'fetch res10_300x300_ssd_iter_140000.caffemodel and deploy.prototxt (the face detector '
            "of OpenCV's samples, opencv/samples/dnn/face_detector) into one folder and pass "
            '--weights=FOLDER/res10_300x300_ssd_iter_140000.caffemodel'
        )
        if weights is None:
            raise UserError(f'--faces=opencv_dnn needs --weights: {fetch}')
        descriptions = sorted(weights.parent.glob('*.prototxt')) if weights.is_file() else []
        if not descriptions:
            raise UserError(f'{weights}: no .caffemodel with a .prototxt beside it; {fetch}')
        if len(descriptions) > 1:
            raise UserError(f'{weights.parent} holds several .prototxt files; leave one there')
        self._files = (str(descriptions[0]), str(weights))
        try:
            self._read()
        except cv2.error as error:
            raise UserError(f'{weights}: OpenCV cannot read this network; {fetch}') from error
        files = (weights, descriptions[0])
        super().__init__(f'opencv {cv2.__version__}', *files, confidence=_DNN_CONFIDENCE)

    def _read(self) -> cv2.dnn.Net:
        return cv2.dnn.readNetFromCaffe(*self._files)

    def boxes(self, image):
        net = self.own(self._read)
        height, width = image.shape[:2]
        small = cv2.resize(detector.coloured(image), (_DNN_SIDE, _DNN_SIDE))
        net.setInput(cv2.dnn.blobFromImage(small, 1.0, mean=_DNN_MEAN, swapRB=True))
        # Rows of image number, class, confidence and the corners as parts of width and height.
        rows = net.forward().reshape(-1, 7).astype(np.float64)
        corners = np.clip(rows[rows[:, 2] >= _DNN_CONFIDENCE, 3:], 0, 1)
        corners = corners[(corners[:, 2:] > corners[:, :2]).all(1)]
        return corners * (width, height, width, height) - 0.5
