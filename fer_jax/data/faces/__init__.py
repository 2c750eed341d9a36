"""Finding the face in each frame of a clip: detectors with one interface, one face followed.

    found = make_detector('yunet').find(frames)  # frames: list of uint8 [H, W, C]
    found.box, found.landmarks                   # float32 [T, 4] and [T, P, 2], NaN where none

A detector's package is imported when the detector is made, not before.
"""

import importlib
from pathlib import Path

from fer_jax.errors import UserError

# Detector -> the module and class that make it.
DETECTORS = {
    'yunet': ('fer_jax.data.faces.yunet', 'YuNet'),
    'dlib': ('fer_jax.data.faces.hog', 'Dlib'),
    'haar': ('fer_jax.data.faces.opencv', 'Haar'),
    'face_alignment': ('fer_jax.data.faces.alignment', 'FaceAlignment'),
    'opencv_dnn': ('fer_jax.data.faces.opencv', 'OpenCVDNN'),
}


def landmark_count(name: str) -> int:
    """Returns how many landmarks the faces of a detector, or of a release, have where any."""
    return 5 if name == 'yunet' else 68


def make_detector(name: str, *, weights: str | Path | None = None):
    """Makes the `detector.Detector` of that name.

    Args:
      weights: file, or folder for 'face_alignment', with what the detector has learnt; None takes
        what its package brings, downloads or does without.
    Raises:
      UserError: an unknown name, a package that is not installed, weights that are missing or not
        readable; the message says what to install, or what to fetch and where to put it.
    """
    if name not in DETECTORS:
        raise UserError(f"unknown detector '{name}': one of {', '.join(DETECTORS)}")
    module, kind = DETECTORS[name]
    path = None if weights is None else Path(weights).expanduser()
    if path is not None and not path.exists():
        raise UserError(f'{path}: no such file or folder; --weights names what {name} has learnt')
    return getattr(importlib.import_module(module), kind)(path)
