"""All faces of a picture for prediction: YuNet with averaged boxes (`data.faces.yunet`)."""

from collections.abc import Sequence

import numpy as np

from fer_jax.data.faces import yunet
from fer_jax.data.faces.yunet import Faces
from fer_jax.predict.orientation import Orientation

__all__ = ['START', 'FaceFinder', 'Faces', 'surest_turn']

# Lowest score of a face that nobody follows yet; `yunet.SCORE` is that of one that is followed.
START = 0.8


class FaceFinder(yunet.Network):
    """Finds the faces of pictures with the packaged network; they come from left to right."""

    def __init__(self, sides: Sequence[int] = (320, 640)):
        super().__init__(yunet.packaged(), sides, averaged=True)


def surest_turn(images: Sequence[np.ndarray], finder: FaceFinder) -> Orientation:
    """Finds the turn in which pictures uint8 [H, W, 3] show the surest face; none where in doubt.

    They are looked at turned only where they show no sure face as they are.
    """
    return Orientation.of_turn(-90 * yunet.quarter_turns(images, finder.find))
