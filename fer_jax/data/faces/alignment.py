"""face-alignment: the S3FD detector and the FAN-4 network, 68 landmarks a face (PyTorch)."""

import contextlib
import os
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fer_jax.data.faces import detector
from fer_jax.errors import UserError


class FaceAlignment(detector.Detector):
    """Bulat and Tzimiropoulos' face alignment network on the faces that S3FD finds.

    `weights` is a folder with both networks' files; None takes them from
    $TORCH_HOME/hub/checkpoints (~/.cache/torch without TORCH_HOME) and downloads what is not there.
    S3FD looks at every n-th frame, FAN at each: its landmarks need a rough box only.
    """

    NAME = 'face_alignment'
    PARALLEL = False  # PyTorch spreads one picture over the cores
    landmarks = True

    def __init__(self, weights: Path | None = None):
        try:  # an extra
            import face_alignment  # pyright: ignore[reportMissingImports]
            from face_alignment import api  # pyright: ignore[reportMissingImports]
            from face_alignment.detection.sfd import sfd_detector  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise detector.package_missing(
                self.NAME, 'the package face-alignment', error
            ) from error
        addresses = (sfd_detector.models_urls['s3fd'], api.models_urls['2DFAN-4'])
        names = [address.rsplit('/', 1)[1] for address in addresses]
        fetch = f'fetch {" and ".join(addresses)} into one folder and pass it with --weights'
        if weights is not None:
            absent = [name for name in names if not (weights / name).is_file()]
            if absent:
                raise UserError(f'{weights} has no {absent[0]}; {fetch}')
        with _checkpoints(weights) as folder:
            try:
                self._networks = face_alignment.FaceAlignment(
                    face_alignment.LandmarksType.TWO_D,
                    device='cpu',
                    compile=False,  # a minute and a half, for clips of seconds
                )
            except OSError as error:  # urllib's URLError is one
                raise UserError(
                    f'--faces=face_alignment: {names[0]} and {names[1]} are not both in {folder} '
                    f'and cannot be downloaded ({error}); {fetch} (or put them there)'
                ) from error
            except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
                raise UserError(
                    f'{folder}: {names[0]} or {names[1]} is damaged; remove both and {fetch}'
                ) from error
            package = f'face-alignment {face_alignment.__version__}'
            super().__init__(package, *(folder / name for name in names))

    def boxes(self, image):
        found = self._networks.face_detector.detect_from_image(detector.coloured(image))
        return np.array(found, np.float64).reshape(-1, 5)[:, :4]  # the fifth is confidence

    def points(self, image, box):
        return self._networks.get_landmarks_from_image(detector.coloured(image), [box])[0]


@contextlib.contextmanager
def _checkpoints(weights: Path | None) -> Iterator[Path]:
    """Points PyTorch to the weights; to a folder of one's own only inside the context."""
    if weights is None:
        home = os.environ.get('TORCH_HOME') or Path(
            os.environ.get('XDG_CACHE_HOME') or '~/.cache', 'torch'
        )
        yield Path(home).expanduser() / 'hub' / 'checkpoints'
        return
    before = os.environ.get('TORCH_HOME')
    with tempfile.TemporaryDirectory() as home:
        Path(home, 'hub').mkdir()
        Path(home, 'hub', 'checkpoints').symlink_to(weights.resolve())
        os.environ['TORCH_HOME'] = home
        try:
            yield weights
        finally:
            del os.environ['TORCH_HOME']
            if before is not None:
                os.environ['TORCH_HOME'] = before
