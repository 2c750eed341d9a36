"""Reasons to doubt a prediction: a small, blurred or turned face, or a network in two minds."""

import cv2
import numpy as np

# Sides of faces in pixels below which too little is left of an expression.
SMALL = 24
# The deviation of the Laplacian over that of the grey levels, of a face of 64 pixels. A blur of
# deviation 0.025 times the face's side brings a sharp film and simulated faces to about 0.12; of
# FER2013's pictures 1 % are below 0.19.
BLURRED, _SIDE, _FLAT = 0.12, 64, 4.0
# How far the nose lies beside the middle between the eyes, over the distance of the eyes: about 50
# degrees of yaw on simulated faces.
TURNED = 0.30

REASONS = ('small', 'blurred', 'turned', 'unsure')


def sharpness(image: np.ndarray, box: np.ndarray) -> float:
    """Measures how sharp uint8 [H, W, 3] is within a box [4]; 0 where nothing of it is seen."""
    left, top, right, bottom = np.rint(box).astype(int)
    cut = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if not cut.size:
        return 0.0
    grey = cv2.cvtColor(np.ascontiguousarray(cut), cv2.COLOR_RGB2GRAY)
    method = cv2.INTER_AREA if min(grey.shape) > _SIDE else cv2.INTER_LINEAR
    face = cv2.resize(grey, (_SIDE, _SIDE), interpolation=method).astype(np.float32)
    return float(cv2.Laplacian(face, cv2.CV_32F).std() / (face.std() + _FLAT))


def turn(points: np.ndarray) -> float:
    """Measures how far a head is turned to the side, from its five points [5, 2]; 0 is frontal."""
    line = points[1] - points[0]
    apart = float(np.hypot(*line))
    if apart < 1e-6:
        return np.inf
    beside = (points[2] - (points[0] + points[1]) / 2) @ line / apart
    return abs(float(beside)) / apart


def doubts(side: float, sharp: float, turned: float) -> list[str]:
    """Lists the reasons, of REASONS, that lie in the picture."""
    found = [side < SMALL, sharp < BLURRED, turned > TURNED]
    return [reason for reason, so in zip(REASONS, found, strict=False) if so]
