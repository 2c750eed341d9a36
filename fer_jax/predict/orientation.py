"""The turning and mirroring of a film's stored pictures before they are shown.

A display matrix has nine int32 in rows (a, b, u), (c, d, v), (x, y, w) and carries a stored pixel
(p, q) to the shown one (a p + c q + x, b p + d q + y), in 16.16 fixed point. Films turn by quarters
and mirror; the shift only brings the picture back to the first quadrant, so it is not needed.
"""

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Orientation:
    """The steps that a stored picture goes through: swap its axes first, then mirror.

    Attributes:
      transpose: rows become columns.
      mirror_x, mirror_y: left and right, top and bottom are exchanged, after the transposition.
    """

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @classmethod
    def of_matrix(cls, matrix: np.ndarray) -> 'Orientation':
        """Reads a display matrix, int [3, 3]; angles between quarters go to the nearest one."""
        (a, b), (c, d) = np.asarray(matrix, np.float64)[:2, :2]
        if a * a + d * d >= b * b + c * c:
            return cls(False, bool(a < 0), bool(d < 0))
        return cls(True, bool(c < 0), bool(b < 0))

    @classmethod
    def of_turn(cls, degrees: int) -> 'Orientation':
        """Makes the orientation that turns a picture clockwise by a multiple of 90 degrees."""
        return {
            0: cls(),
            90: cls(True, True, False),
            180: cls(False, True, True),
            270: cls(True, False, True),
        }[degrees % 360]

    @property
    def in_words(self) -> str:
        """For people: 'turned by 90 degrees clockwise, mirrored'."""
        mirrored = self.transpose ^ self.mirror_x ^ self.mirror_y
        # Mirroring left and right comes last; what remains is a turn.
        x, y = self.mirror_x ^ mirrored, self.mirror_y
        turn = (90 if x else 270) if self.transpose else (180 if y else 0)
        parts = [f'turned by {turn} degrees clockwise'] * bool(turn) + ['mirrored'] * mirrored
        return ', '.join(parts) or 'as stored'

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Computes width and height of the shown picture."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Shows a stored picture uint8 [H, W, C]; contiguous."""
        if self.transpose:
            image = cv2.transpose(image)
        if self.mirror_x or self.mirror_y:
            # OpenCV: 1 mirrors left and right, 0 top and bottom, -1 both.
            code = -1 if self.mirror_x and self.mirror_y else int(self.mirror_x)
            image = cv2.flip(image, code)
        return image.reshape(*image.shape[:2], -1)  # OpenCV drops a single channel
