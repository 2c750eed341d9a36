"""Keeps on disk what a detector found, until a preparation is whole."""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_jax.data.datasets import records
from fer_jax.data.faces.detector import Detector
from fer_jax.errors import DAMAGED


class Cached:
    """A detector that looks into a folder first, and leaves there what it finds.

    A clip is known by its pixels, the detector's identity and its package's version: a file that
    changed, other weights or another version are looked at anew.
    """

    def __init__(self, detector: Detector, folder: Path):
        self.detector, self.folder = detector, folder
        self.identity, self.package = detector.identity, detector.package
        self.PARALLEL = detector.PARALLEL
        self.quarter_turns = detector.quarter_turns

    def __len__(self) -> int:
        return sum(1 for _ in self.folder.glob('*.npz'))

    def find(self, frames: Sequence[np.ndarray]) -> records.Faces:
        """Finds the faces of a clip (`Detector.find`), at most once for each clip."""
        digest = hashlib.sha256(self.detector.key.encode())
        for frame in frames:
            digest.update(repr(frame.shape).encode())
            digest.update(np.ascontiguousarray(frame).data)
        path = self.folder / f'{digest.hexdigest()}.npz'
        try:
            with open(path, 'rb') as file, np.load(file) as known:
                return records.Faces(known['box'], known['landmarks'])
        except DAMAGED:
            pass  # not there, or cut off by a machine that went down
        faces = self.detector.find(frames)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix='.part', delete=False) as file:
            np.savez(file, box=faces.box, landmarks=faces.landmarks)
        os.replace(file.name, path)
        return faces
